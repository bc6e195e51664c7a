"""Classes: of values, by a scheme that has a name, and of areas that have no value."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import mapclassify
import numpy as np
import pandas as pd

DECLARED = "declared limits"
ROUND = "RoundBreaks"
# The schemes, and how a legend names them. All but the last are those of mapclassify.
SCHEMES = {
    "Quantiles": "quantiles",
    "EqualInterval": "equal intervals",
    "FisherJenks": "Fisher-Jenks",
    "HeadTailBreaks": "head/tail breaks",
    "MaximumBreaks": "maximum breaks",
    "PrettyBreaks": "pretty breaks",
    ROUND: "quantiles, rounded up",
}


@dataclass(frozen=True)
class Class:
    """How areas are drawn, and their name in the legend."""

    label: str
    color: str = "white"
    hatch: str | None = None


NOT_PUBLISHED = Class("not published", "white", "//////")
SUPPRESSED = Class("suppressed: too few cases", "white", "......")


@dataclass(frozen=True)
class Classes:
    """Classes of values: ascending upper ends, each included in its class.

    ``scheme`` is what the legend says of how they were made. ``classes[i]`` and ``len(classes)``
    are those of the breaks.

    Raises
    ------
    ValueError
        There are no breaks, or they do not ascend.
    """

    breaks: tuple[float, ...]
    scheme: str = DECLARED

    def __post_init__(self) -> None:
        if not self.breaks or not np.all(np.diff(self.breaks) > 0):
            raise ValueError(f"breaks must ascend, at least one of them: {list(self.breaks)}")

    def __len__(self) -> int:
        return len(self.breaks)

    def __getitem__(self, place):
        return self.breaks[place]

    def number(self, values: pd.Series, name: str = "the values") -> pd.Series:
        """The class of every value, from 0; missing where the value is.

        Raises
        ------
        ValueError
            A value lies above the last break.
        """
        values = values.astype("float64")
        if values.max() > self.breaks[-1]:
            raise ValueError(
                f"{name} reaches {values.max()}, above the last break {self.breaks[-1]}"
            )
        number = pd.Series(np.searchsorted(self.breaks, values), index=values.index)
        return number.astype("Int64").mask(values.isna())

    def limits(self, values: pd.Series, decimals: int) -> list[str]:
        """The ends of the classes, from the least value on, as the legend prints them."""
        ends = [self._least(values), *self.breaks]
        return [f"{end:,.{decimals}f}" for end in ends]

    def labels(self, values: pd.Series, decimals: int) -> list[str]:
        """What the legend says of each class: its limits."""
        lows = [self._least(values), *self.breaks[:-1]]
        return [
            _limits(low, high, decimals, i)
            for i, (low, high) in enumerate(zip(lows, self.breaks, strict=True))
        ]

    def _least(self, values: pd.Series) -> float:
        least = values.astype("float64").min()
        return least if least < self.breaks[0] else 0


def classify(
    values: pd.Series, scheme: str = "Quantiles", k: int = 5, *, decimals: int | None = None
) -> Classes:
    """Classes of values by a scheme of mapclassify, or `round_breaks`.

    Parameters
    ----------
    values
        The values; missing ones are left out.
    scheme
        One of `SCHEMES`.
    k
        Number of classes. Ties can make them fewer, and `HeadTailBreaks` finds their number
        itself; `PrettyBreaks` takes it as a wish.
    decimals
        Limits are rounded up to so many decimal places: give those of the legend, and the legend
        tells the exact limits.

    Raises
    ------
    ValueError
        The scheme is unknown, there are no values, or fewer different ones than classes.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}: it is one of {', '.join(SCHEMES)}")
    known = values.dropna().astype("float64")
    if known.nunique() < k:
        raise ValueError(f"{known.nunique()} different values cannot make {k} classes: lower k")
    if scheme == ROUND:
        upper = _rounded_quantiles(known, k)
    else:
        options = {} if scheme == "HeadTailBreaks" else {"k": k}
        with warnings.catch_warnings():  # numba would only be faster
            warnings.filterwarnings("ignore", message="Numba not installed")
            upper = getattr(mapclassify, scheme)(known.to_numpy(), **options).bins
    upper = np.asarray(upper, dtype="float64")
    if decimals is not None:
        upper = np.ceil(upper * 10.0**decimals - 1e-9) / 10.0**decimals
    upper[-1] = max(upper[-1], known.max())
    return Classes(tuple(np.unique(upper).tolist()), SCHEMES[scheme])


def round_breaks(values: pd.Series, count: int = 5) -> Classes:
    """Classes between quantiles of the values, rounded up to two digits.

    For maps whose values change with a parameter; the last class reaches the largest value, and
    few different values make fewer classes.
    """
    known = values.dropna().astype("float64")
    if known.empty:
        raise ValueError("no values to make classes of")
    return Classes(tuple(_rounded_quantiles(known, count)), SCHEMES[ROUND])


def declared(breaks: Sequence[float] | Classes) -> Classes:
    """Breaks as `Classes`; bare numbers are limits that the caller declares."""
    return breaks if isinstance(breaks, Classes) else Classes(tuple(breaks))


def _rounded_quantiles(values: pd.Series, count: int) -> list[float]:
    quantiles = values.quantile(np.linspace(0, 1, count + 1)[1:])
    size = 10.0 ** (np.floor(np.log10(quantiles)) - 1)
    return list(dict.fromkeys((np.ceil(quantiles / size - 1e-9) * size).round(6)))


def _limits(low: float, high: float, decimals: int, number: int) -> str:
    start = f"{low:,.{decimals}f}"
    if low == high:
        return start
    return f"{'over ' if number else ''}{start} – {high:,.{decimals}f}"
