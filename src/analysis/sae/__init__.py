"""Small area estimation: from a survey that speaks for six kota to figures by kelurahan."""

from analysis.sae.inputs import SaeError

__all__ = ["SaeError"]
