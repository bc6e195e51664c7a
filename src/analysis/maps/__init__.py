"""One way to draw a map of DKI Jakarta: one frame for every kind.

`choropleth`, `bivariate`, `categories` and `symbols` draw one map; `pair` and `small_multiples`
several of them. All take areas in metres with ``kota_code``, ``kota`` and ``attrs["source"]``,
and give a figure with Kepulauan Seribu at its own scale, where it lies (the locator), scale bars,
north, the borders and names of the kota, a legend that names the scheme of its classes, and
what is missing hatched. `classify` makes classes; `analysis.maps.palettes` has the colours.
"""

from analysis.maps.classes import (
    DECLARED,
    NOT_PUBLISHED,
    SCHEMES,
    SUPPRESSED,
    Class,
    Classes,
    classify,
    round_breaks,
)
from analysis.maps.frame import KEPULAUAN_SERIBU
from analysis.maps.kinds import (
    Panel,
    bivariate,
    categories,
    choropleth,
    pair,
    small_multiples,
    symbols,
)
from analysis.maps.palettes import (
    BIVARIATE,
    HOT_SPOTS,
    LISA,
    SIGNIFICANCE,
    by_significance,
)

__all__ = [
    "BIVARIATE",
    "DECLARED",
    "HOT_SPOTS",
    "KEPULAUAN_SERIBU",
    "LISA",
    "NOT_PUBLISHED",
    "SCHEMES",
    "SIGNIFICANCE",
    "SUPPRESSED",
    "Class",
    "Classes",
    "Panel",
    "bivariate",
    "by_significance",
    "categories",
    "choropleth",
    "classify",
    "pair",
    "round_breaks",
    "small_multiples",
    "symbols",
]
