"""Microdata of households: read through a mapping, and tables of them made safe to publish."""

from analysis.microdata.columns import COVARIATES, TABLES, MicrodataError
from analysis.microdata.disclosure import suppress
from analysis.microdata.reading import LEVELS, VARIABLE, Microdata, level, read

__all__ = [
    "COVARIATES",
    "LEVELS",
    "TABLES",
    "VARIABLE",
    "Microdata",
    "MicrodataError",
    "level",
    "read",
    "suppress",
]
