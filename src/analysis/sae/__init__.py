"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan."""

from analysis.sae.area_level import AreaLevelFit, fay_herriot
from analysis.sae.inputs import SaeError

__all__ = ["AreaLevelFit", "SaeError", "fay_herriot"]
