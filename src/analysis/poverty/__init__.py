"""Poverty: the series as published, and the measures of a survey with their standard errors.

`published` cleans what BPS prints; its names are here too. `measures` has the indices of poverty
and inequality, `design` their estimates and standard errors under the design of the survey,
`decompositions` what changes and differences are made of, `multidimensional` the method of Alkire
and Foster.

Whose code computes what. The design-based errors and the libraries for them: see `design`. Weighted
means, shares and their errors agree with ``svy``. ``statsmodels`` fits the models of vulnerability
(WLS, and a Gamma GLM for the variance), ``scipy`` has the distributions. The rest is here, for
lack of a library that does it right (looked at in 2026): ``povertyInequalityMeasures`` 1.1.1 has
weighted P1, P2 and Watts, to which this package agrees, but no errors, and its Gini leaves out the
first piece of the Lorenz curve; ``poverty`` 7.2 takes no weights, and its Sen-Shorrocks-Thon index
takes the Gini of expenditure where that of the gaps belongs. Growth incidence, the decompositions
and the counting method have packages in R and Stata (``mpitbR``, ``mpindex``), and none in Python.
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
