"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan.

Area level: `fay_herriot`. Unit level: `nested_error`, `empirical_best` (and `ell`, to compare).
For both: `benchmark` to published totals, `diagnose` with a quality grade per area.
"""

from analysis.sae.area_level import AreaLevelFit, fay_herriot
from analysis.sae.benchmarking import Benchmark, benchmark
from analysis.sae.diagnostics import Diagnosis, GradeRule, diagnose
from analysis.sae.inputs import SaeError
from analysis.sae.unit_fits import EmpiricalBest, NestedError
from analysis.sae.unit_level import ell, empirical_best, nested_error

__all__ = [
    "AreaLevelFit",
    "Benchmark",
    "Diagnosis",
    "EmpiricalBest",
    "GradeRule",
    "NestedError",
    "SaeError",
    "benchmark",
    "diagnose",
    "ell",
    "empirical_best",
    "fay_herriot",
    "nested_error",
]
