"""The input of an area level model, aligned by area and checked once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.sae.design import check_collinear
from analysis.sae.inputs import SaeError, some

Column = npt.ArrayLike | pd.Series
Matrix = npt.ArrayLike | pd.DataFrame

# Published weights are rounded: eight decimals are enough, four are not.
ROW_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class AreaData:
    """One row per area, in the order of the direct estimates.

    ``direct`` and ``variance`` are NaN where there is no direct estimate (``observed`` is False);
    everything else is complete. ``basis`` spans the columns of ``design`` and is orthonormal over
    the observed areas: ``design = basis @ triangle``, so that a covariate in rupiah beside a
    share costs no precision.
    """

    area: pd.Index
    direct: np.ndarray
    variance: np.ndarray
    design: pd.DataFrame
    basis: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray | None
    effective_sample_size: np.ndarray | None

    @property
    def observed(self) -> np.ndarray:
        return ~np.isnan(self.direct)


def area_data(
    direct: Column,
    sampling_variance: Column | None,
    covariates: Matrix,
    *,
    weights_matrix: Matrix | None = None,
    effective_sample_size: Column | None = None,
    variance_needed: bool = True,
    needed: int = 2,
) -> AreaData:
    """Align the parts of the input by area and check them.

    Parameters
    ----------
    direct, sampling_variance, covariates, weights_matrix, effective_sample_size
        As in `analysis.sae.fay_herriot`.
    variance_needed
        Whether the model uses the sampling variances; if not they are only aligned.
    needed
        How many direct estimates there must be beyond the number of covariates.

    Raises
    ------
    SaeError
        See `analysis.sae.fay_herriot`.
    """
    given = {
        "direct": direct,
        "sampling_variance": sampling_variance,
        "covariates": covariates,
        "effective_sample_size": effective_sample_size,
    }
    area = _labels({name: part for name, part in given.items() if part is not None})
    y = _column(direct, "direct", area)
    out = np.isnan(y)
    design = _design(covariates, area)
    variance = np.full(len(area), np.nan)
    if sampling_variance is not None:
        variance = _column(sampling_variance, "sampling_variance", area)
        refuse(variance < 0, area, "sampling_variance is negative: give variances")
        variance = np.where(out, np.nan, variance)
    if variance_needed:
        refuse(
            np.isnan(variance) & ~out,
            area,
            "sampling_variance is missing where there is a direct estimate: give it, or set the "
            "direct estimate to missing (the area then gets a synthetic estimate)",
        )
        refuse(
            variance == 0,
            area,
            "sampling_variance is 0, which says that the direct estimate has no error. A sample "
            "without any poor household has no usable variance: give a smoothed one (a generalised "
            'variance function), use transformation="arcsine", or set the direct estimate to '
            "missing (the area then gets a synthetic estimate)",
        )
    size = None
    if effective_sample_size is not None:
        size = _column(effective_sample_size, "effective_sample_size", area)
        refuse(
            ~(size > 0) & ~out,
            area,
            "effective_sample_size must be a positive number where there is a direct estimate "
            "(sample size divided by the design effect)",
        )
    weights = None if weights_matrix is None else _weights(weights_matrix, area)
    count, terms = int((~out).sum()), design.shape[1]
    if count < terms + needed:
        raise SaeError(
            f"{count} areas with a direct estimate are too few for {terms} covariates: at least "
            f"{terms + needed} are needed to estimate the variance between areas (and many more "
            f"to estimate it well); model lower-level areas or drop covariates"
        )
    basis, triangle = _basis(design, ~out)
    return AreaData(area, y, variance, design, basis, triangle, weights, size)


def _labels(given: dict[str, Column | Matrix]) -> pd.Index:
    """Areas in the order of the first part that has an index; the same areas in all of them."""
    labelled = {
        name: part.index
        for name, part in given.items()
        if isinstance(part, pd.Series | pd.DataFrame)
    }
    first, area = next(iter(labelled.items()), ("", pd.RangeIndex(len(given["direct"]))))
    for name, index in labelled.items():
        if index.has_duplicates:
            twice = some(index[index.duplicated()].unique())
            raise SaeError(f"{name}: area {twice} appears more than once")
        if len(index.symmetric_difference(area, sort=False)):
            raise SaeError(_mismatch(name, index, first, area))
    for name, part in given.items():
        if len(part) != len(area):
            raise SaeError(f"{name} has {len(part)} rows, but there are {len(area)} areas")
    return area.rename("area")


def _mismatch(name: str, index: pd.Index, first: str, area: pd.Index) -> str:
    parts = []
    if len(lost := area.difference(index, sort=False)):
        parts.append(f"{name} has no area {some(lost)}")
    if len(lost := index.difference(area, sort=False)):
        parts.append(f"{first} has no area {some(lost)}")
    return f"{' and '.join(parts)}: give every part of the input the same areas as its index"


def refuse(where: np.ndarray, area: pd.Index, why: str) -> None:
    """Raise if the condition holds anywhere, naming the areas."""
    if where.any():
        raise SaeError(f"area {some(area[where].tolist())}: {why}")


def _column(part: Column, name: str, area: pd.Index) -> np.ndarray:
    """One number per area; NaN where it is missing."""
    if isinstance(part, pd.DataFrame) or np.ndim(part) != 1:
        raise SaeError(f"{name} must be one column: a Series or a one-dimensional array")
    if isinstance(part, pd.Series):
        part = part.reindex(area)
    try:
        values = pd.Series(part).astype("float64").to_numpy()
    except (TypeError, ValueError) as error:
        raise SaeError(f"{name} must be numbers: {error}") from None
    refuse(np.isinf(values), area, f"{name} is infinite")
    return values


def _design(covariates: Matrix, area: pd.Index) -> pd.DataFrame:
    if isinstance(covariates, pd.Series):
        covariates = covariates.to_frame(covariates.name or "x0")
    if not isinstance(covariates, pd.DataFrame):
        values = np.asarray(covariates)
        values = values[:, np.newaxis] if values.ndim == 1 else values
        if values.ndim != 2:
            raise SaeError("covariates must be a table: one row per area, one column per covariate")
        names = [f"x{number}" for number in range(values.shape[1])]
        covariates = pd.DataFrame(values, index=area, columns=names)
    if covariates.shape[1] == 0:
        raise SaeError("covariates has no column: give at least a column of ones (the intercept)")
    if covariates.columns.has_duplicates:
        twice = some(covariates.columns[covariates.columns.duplicated()])
        raise SaeError(f"covariates: column {twice} appears more than once")
    design = covariates.reindex(area)
    for name in design:
        try:
            values = design[name].astype("float64")
        except (TypeError, ValueError):
            raise SaeError(f"covariates: column {name!r} is not numbers: code it first") from None
        refuse(
            ~np.isfinite(values.to_numpy()),
            area,
            f"covariate {name!r} is missing or infinite: every area needs every covariate, also "
            f"where there is no direct estimate",
        )
        design[name] = values
    return design.astype("float64")


def _basis(design: pd.DataFrame, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of the covariates over the observed areas; refuse collinear ones."""
    values = design.to_numpy()
    check_collinear(values[observed], list(design.columns), "area with a direct estimate")
    scale = np.linalg.norm(values[observed], axis=0)
    triangle = np.linalg.qr(values[observed] / scale, mode="r") * scale
    return np.linalg.solve(triangle.T, values.T).T, triangle


def _weights(matrix: Matrix, area: pd.Index) -> np.ndarray:
    """A row-standardised spatial weights matrix in the order of the areas."""
    if hasattr(matrix, "toarray"):  # of scipy.sparse
        matrix = matrix.toarray()
    if isinstance(matrix, pd.DataFrame):
        if matrix.shape == (len(area), len(area)) and not matrix.columns.isin(area).any():
            matrix = matrix.set_axis(matrix.index, axis=1)
        for axis, index in (("rows", matrix.index), ("columns", matrix.columns)):
            if index.has_duplicates:
                twice = some(index[index.duplicated()].unique())
                raise SaeError(f"weights_matrix: area {twice} appears more than once in its {axis}")
            if len(index.symmetric_difference(area, sort=False)):
                raise SaeError(
                    _mismatch(f"weights_matrix (its {axis})", index, "the rest of the input", area)
                )
        matrix = matrix.reindex(index=area, columns=area)
    try:
        weights = np.asarray(matrix, dtype="float64")
    except (TypeError, ValueError):
        raise SaeError("weights_matrix must be numbers") from None
    if weights.shape != (len(area), len(area)):
        shape = " x ".join(str(size) for size in weights.shape)
        raise SaeError(
            f"weights_matrix is {shape}, but there are {len(area)} areas: it needs a row and a "
            f"column for every area, also for those without a direct estimate"
        )
    refuse(~np.isfinite(weights).all(axis=1), area, "weights_matrix has a missing value")
    refuse((weights < 0).any(axis=1), area, "weights_matrix has a negative weight")
    refuse(np.diag(weights) != 0, area, "weights_matrix makes the area its own neighbour")
    sums = weights.sum(axis=1)
    # A row of zeros is an island: an area without neighbours, which the model allows.
    wrong = (np.abs(sums - 1) > ROW_SUM_TOLERANCE) & (sums != 0)
    if wrong.any():
        raise SaeError(
            f"area {some(area[wrong].tolist())}: the weights of a row must sum to 1 (or be all 0 "
            f"for an island), but they sum to {sums[wrong][0]:g} in the first of them: divide "
            f"every row by its sum"
        )
    if not sums.any():
        raise SaeError("weights_matrix has no neighbours at all: leave it out")
    return weights
