"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan."""

from analysis.sae.inputs import SaeError
from analysis.sae.unit_fits import EmpiricalBest, NestedError
from analysis.sae.unit_level import ell, empirical_best, nested_error

__all__ = ["EmpiricalBest", "NestedError", "SaeError", "ell", "empirical_best", "nested_error"]
