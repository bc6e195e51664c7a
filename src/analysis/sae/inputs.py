"""What every estimator of the package says of its input, in the same words."""

import numbers
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd


class SaeError(ValueError):
    """Input that a small area model cannot be fitted to; the message says where and what to do."""


def some(labels: Iterable) -> str:
    """The first labels, and how many more there are."""
    labels = pd.Index(labels).tolist()  # numbers of Python: 7, not np.int64(7)
    told = ", ".join(map(repr, labels[:5]))
    return told if len(labels) <= 5 else f"{told} and {len(labels) - 5} more"


def one_of(name: str, value: Any, known: Collection) -> None:
    """Refuse an option that there is not."""
    if value not in known:
        raise SaeError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")


def whole(name: str, value: Any, lowest: int) -> None:
    """Refuse what is not a whole number from ``lowest`` on."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < lowest:
        raise SaeError(f"{name} must be a whole number from {lowest} on, not {value!r}")
