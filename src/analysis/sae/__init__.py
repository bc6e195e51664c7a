"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan.

Area level: `fay_herriot`. Unit level: `nested_error`, `empirical_best` (and `ell`, to compare).
For both: `benchmark` to published totals, `diagnose` with a quality grade per area.

Where things are::

    inputs, estimates       what both levels share: errors in words; tables of results
    area_level              fay_herriot and its result
      area_inputs             its input, aligned by area and checked
      independent, spatial    the arithmetic, with independent and with spatial effects
    unit_level              nested_error, empirical_best, ell
      design, unit_fits       their input as matrices; their results
      unit_model              fitting; transformations: log, Box-Cox, ...
      measures, census        expected mean, P0, P1, P2 of a household; their sums over a census
      distribution            Gini and quantiles, by simulation
      bootstrap               replicates, and running them on any executor
    benchmarking, diagnostics
    simulation, validation  the estimators against known truth, and beside R
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
