"""The columns of a sample and a census as matrices, checked once."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.sae.inputs import SaeError, some

INTERCEPT = "intercept"
# A column of the design counts as a combination of the others when what is left of it, relative
# to its length, is below this.
COLLINEAR = 1e-8


def check(data: pd.DataFrame, columns: Sequence[Hashable], where: str) -> None:
    """The columns of ``data`` are there, each once, without missing values and not empty.

    Raises
    ------
    SaeError
        One of these does not hold; the message names ``where`` and the columns.
    """
    if not isinstance(data, pd.DataFrame):
        raise SaeError(f"the {where} must be a pandas DataFrame, not {type(data).__name__}")
    doubled = [str(c) for c in dict.fromkeys(columns) if (data.columns == c).sum() > 1]
    if doubled:
        raise SaeError(f"the {where} has more than one column named {', '.join(doubled)}")
    absent = [str(c) for c in dict.fromkeys(columns) if c not in data.columns]
    if absent:
        raise SaeError(f"the {where} has no column {', '.join(absent)}")
    if data.empty:
        raise SaeError(f"the {where} has no rows")
    missing = {c: int(data[c].isna().sum()) for c in dict.fromkeys(columns)}
    if any(missing.values()):
        counts = ", ".join(f"{c} ({n} of {len(data)} rows)" for c, n in missing.items() if n)
        raise SaeError(f"the {where} has missing values in {counts}: fill or drop these rows first")


def areas(column: pd.Series, where: str) -> tuple[np.ndarray, pd.Index]:
    """Positions (rows,) of the areas of a column, and the areas themselves, sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    positions, names = pd.factorize(column, sort=True)
    if pd.api.types.infer_dtype(names, skipna=True).startswith("mixed"):
        raise SaeError(
            f"column {column.name} of the {where} mixes text and numbers: codes of areas are text"
        )
    return positions, pd.Index(names)


def numbers(column: pd.Series, where: str) -> np.ndarray:
    """A column as finite float64, shape (rows,)."""
    try:
        values = column.to_numpy(dtype="float64")
    except (TypeError, ValueError):
        raise SaeError(f"column {column.name} of the {where} is not a number") from None
    infinite = ~np.isfinite(values)
    if infinite.any():
        raise SaeError(
            f"column {column.name} of the {where} is infinite in {infinite.sum()} of "
            f"{len(values)} rows"
        )
    return values


def positive(column: pd.Series, where: str) -> np.ndarray:
    """A column of weights or counts as float64, all above zero."""
    values = numbers(column, where)
    wrong = values <= 0
    if wrong.any():
        raise SaeError(
            f"column {column.name} of the {where} is zero or negative in {wrong.sum()} of "
            f"{len(values)} rows: drop these rows, or correct them"
        )
    return values


@dataclass(frozen=True)
class Coding:
    """How covariates become columns of numbers; learnt from the sample, applied to the census.

    A column of text, of booleans or of a pandas Categorical is coded as one dummy per category
    but the first, which is the baseline: in the order of the Categorical, otherwise the first in
    sorted order (``False`` for booleans). Other columns enter as they are.
    """

    covariates: tuple[str, ...]
    categories: dict[str, tuple]

    @classmethod
    def of(cls, data: pd.DataFrame, covariates: Sequence[str]) -> "Coding":
        """Learn the categories from data without missing values."""
        doubled = [c for c in dict.fromkeys(covariates) if list(covariates).count(c) > 1]
        if doubled:
            raise SaeError(f"covariates names {', '.join(map(str, doubled))} more than once")
        categories = {}
        for name in covariates:
            column = data[name]
            if isinstance(column.dtype, pd.CategoricalDtype):
                used = set(column.unique())
                categories[name] = tuple(c for c in column.cat.categories if c in used)
            elif not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
                categories[name] = tuple(sorted(column.unique()))
        return cls(tuple(covariates), categories)

    @property
    def names(self) -> list[str]:
        """Names of the columns of the matrix; a dummy is ``column[category]``."""
        return [
            name
            for covariate in self.covariates
            for name in (
                [f"{covariate}[{c}]" for c in self.categories[covariate][1:]]
                if covariate in self.categories
                else [covariate]
            )
        ]

    def matrix(self, data: pd.DataFrame, where: str, rows: np.ndarray | None = None) -> np.ndarray:
        """The columns `names`, float64, shape (rows, columns), no intercept.

        ``rows`` picks and orders the rows (positions). Stored column by column: a product with
        a vector of coefficients then runs along memory.

        Raises
        ------
        SaeError
            A category that the sample does not have, or a column that is not a number.
        """
        size = len(data) if rows is None else len(rows)
        matrix = np.empty((size, len(self.names)), order="F")
        at = 0
        for name in self.covariates:
            column = data[name]
            if name not in self.categories:
                values = numbers(column, where)
                matrix[:, at] = values if rows is None else values[rows]
                at += 1
                continue
            categories = self.categories[name]
            found, values = pd.factorize(column)
            known = pd.Index(list(categories)).get_indexer(pd.Index(list(values)))
            codes = known[found]
            if (known < 0).any():
                unseen = [value for value, code in zip(values, known, strict=True) if code < 0]
                raise SaeError(
                    f"column {name} of the {where} has {some(unseen)} in {(codes < 0).sum()} rows, "
                    f"which the sample never has: merge categories until both have the same ones"
                )
            if rows is not None:
                codes = codes[rows]
            for code in range(1, len(categories)):
                matrix[:, at] = codes == code
                at += 1
        return matrix


def check_collinear(x: np.ndarray, names: Sequence[str], each: str = "row of the sample") -> None:
    """Refuse a design (rows, columns) in which a column is a combination of those before it.

    ``each`` says what a row is.

    Raises
    ------
    SaeError
        The message names the columns that the first such column is a combination of.
    """
    length = np.sqrt(np.einsum("ij,ij->j", x, x))
    zero = [name for name, size in zip(names, length, strict=True) if size == 0]
    if zero:
        raise SaeError(f"covariate {some(zero)} is zero in every {each}: drop it")
    if len(x) < x.shape[1]:
        raise SaeError(f"{len(x)} rows of sample cannot tell {x.shape[1]} coefficients")
    left = np.abs(np.diag(np.linalg.qr(x / length, mode="r")))
    dependent = np.flatnonzero(left < COLLINEAR)
    if len(dependent) == 0:
        return
    column = dependent[0]
    scaled = x / length
    weights = np.linalg.lstsq(scaled[:, :column], scaled[:, column], rcond=None)[0]
    others = [names[j] for j in np.flatnonzero(np.abs(weights) > 1e-6)]
    if others == [INTERCEPT]:
        raise SaeError(f"covariate {names[column]!r} is the same in every {each}: drop it")
    raise SaeError(
        f"covariate {names[column]!r} is a linear combination of {some(others)} (over every "
        f"{each}): drop one of them"
    )
