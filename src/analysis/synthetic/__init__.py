"""A synthetic Jakarta: microdata like those that nobody may publish, with the truth known.

`city` makes the population, `survey` draws a Susenas-like sample, `write` writes both as a user's
files. Headcounts and populations of kota, and P1 and Gini of the province, are those published;
everything below the kota is invented, the names of its areas too. ``python -m analysis.synthetic
FOLDER`` writes a city. `programmes.rollout` makes the panel of a made-up programme, whose effects
are planted and whose assumptions can be broken.
"""

from analysis.synthetic import programmes
from analysis.synthetic.cities import (
    EDITIONS,
    FULL,
    MISSPECIFIED,
    PERIODS,
    REGULAR,
    SIZES,
    SMALL,
    City,
    calibration,
    city,
    of_period,
)
from analysis.synthetic.files import is_marked, read_table, write, write_city
from analysis.synthetic.official import SyntheticError, population_words, populations
from analysis.synthetic.rw import rw_variables
from analysis.synthetic.sampling import survey
from analysis.synthetic.welfare import COVARIATES

__all__ = [
    "COVARIATES",
    "EDITIONS",
    "FULL",
    "MISSPECIFIED",
    "PERIODS",
    "REGULAR",
    "SIZES",
    "SMALL",
    "City",
    "SyntheticError",
    "calibration",
    "city",
    "is_marked",
    "of_period",
    "population_words",
    "populations",
    "programmes",
    "read_table",
    "rw_variables",
    "survey",
    "write",
    "write_city",
]
