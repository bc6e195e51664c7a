"""The colours of maps: told apart in grey and by readers with deuteranopia (see the tests)."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd

from analysis.maps.classes import Class

# Rows: the second variable, low to high; columns: the first. In CIE Lab lightness falls in nine
# equal steps, along the columns within the rows, so that no two are alike in grey; orange stands
# for the first variable and blue for the second, the pair that deuteranopia leaves.
BIVARIATE = (
    ("#ebebeb", "#f7cda4", "#f7b05d"),
    ("#93aad0", "#a88d8d", "#ab714c"),
    ("#186eb4", "#5a5274", "#643839"),
)

NOT_SIGNIFICANT = Class("not significant", "#ececec")
# Quadrants of the Moran scatter plot: a value and that of its neighbours.
LISA: Mapping[str, Class] = {
    "High-High": Class("High-High", "#8c0d25"),
    "Low-Low": Class("Low-Low", "#2f6fad"),
    "High-Low": Class("High-Low", "#f0954b"),
    "Low-High": Class("Low-High", "#a9d3ec"),
    "not significant": NOT_SIGNIFICANT,
}
# Getis-Ord.
HOT_SPOTS: Mapping[str, Class] = {
    "hot spot": Class("hot spot", "#8c0d25"),
    "cold spot": Class("cold spot", "#5b9bd0"),
    "not significant": NOT_SIGNIFICANT,
}
SIGNIFICANCE: Mapping[str, Class] = {
    "p ≤ 0.001": Class("p ≤ 0.001", "#0b4a3b"),
    "p ≤ 0.01": Class("p ≤ 0.01", "#3f9478"),
    "p ≤ 0.05": Class("p ≤ 0.05", "#94cdab"),
    "not significant": NOT_SIGNIFICANT,
}
_LEVELS = (0.001, 0.01, 0.05)


def by_significance(p_values: pd.Series) -> pd.Series:
    """The categories of `SIGNIFICANCE` of p values (text, same index); missing where they are.

    Raises
    ------
    ValueError
        A p value lies outside 0 to 1.
    """
    given = p_values.astype("float64")
    if not given.dropna().between(0, 1).all():
        raise ValueError("p values must lie between 0 and 1")
    names = np.array([*SIGNIFICANCE])[np.searchsorted(_LEVELS, given)]
    return pd.Series(names, index=p_values.index, dtype="str").mask(given.isna())


def sequential(cmap: str, count: int) -> list[str]:
    """So many colours, light to dark, from a colour map of matplotlib without its ends."""
    colors = mpl.colormaps[cmap](np.linspace(0.12, 0.92, count))
    return [mpl.colors.to_hex(color) for color in colors]
