"""Poverty: the series as published, and the measures of a survey with their standard errors.

`published` cleans what BPS prints; its names are here too. `measures` has the indices of poverty
and inequality, `design` their estimates and standard errors under the design of the survey,
`decompositions` what changes and differences are made of, `multidimensional` the method of Alkire
and Foster.
"""

from analysis.poverty.published import (
    CORRECTED,
    NOT_IN_TABLES,
    NOT_PUBLISHED,
    PUBLISHED,
    SPLITS,
    WITHHELD,
    PovertyError,
    derived_words,
    disagreements,
    implied_population,
    kota_series,
    of_period,
    panel_table,
    range_words,
    reference,
    same_area,
    semester_series,
)

__all__ = [
    "CORRECTED",
    "NOT_IN_TABLES",
    "NOT_PUBLISHED",
    "PUBLISHED",
    "SPLITS",
    "WITHHELD",
    "PovertyError",
    "derived_words",
    "disagreements",
    "implied_population",
    "kota_series",
    "of_period",
    "panel_table",
    "range_words",
    "reference",
    "same_area",
    "semester_series",
]
