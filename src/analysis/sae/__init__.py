"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan."""

from analysis.sae.area_level import AreaLevelFit, fay_herriot
from analysis.sae.benchmarking import Benchmark, benchmark
from analysis.sae.diagnostics import Diagnosis, GradeRule, diagnose
from analysis.sae.inputs import SaeError

__all__ = [
    "AreaLevelFit",
    "Benchmark",
    "Diagnosis",
    "GradeRule",
    "SaeError",
    "benchmark",
    "diagnose",
    "fay_herriot",
]
