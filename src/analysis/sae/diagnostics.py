"""Is the model to be trusted, and which of its estimates?"""

from __future__ import annotations  # signatures are shown as they are written

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.sae.estimates import by_area, estimates, shares, to_html
from analysis.sae.inputs import SaeError, some

REPLICATES = 999  # of the bias test
SHAPIRO_LIMIT = 5000  # beyond it scipy's p-value of Shapiro and Wilk is not accurate


@dataclass(frozen=True)
class GradeRule:
    """When an estimate is good enough to be shown (1), shown with a warning (2), or not alone (3).

    An estimate has grade 1 if its RMSE is at most ``rmse_points[0]`` percentage points *or* at most
    ``cv[0]`` of the estimate, grade 2 with the second numbers, and grade 3 otherwise. So at low
    rates the points decide, since the CV there mostly says how small the rate is, and the CV takes
    over above ``rmse_points / cv``: at the defaults above 5 %, so that for the 3 to 4 % of Jakarta
    it is the points. There 0.5 points is an interval of about one point to either side.

    A synthetic estimate, which no data of the area have tested, is graded no better than
    ``synthetic_at_best``. Without an MSE there is no grade.

    Attributes
    ----------
    rmse_points
        Bounds of grade 1 and 2 in percentage points. (0, 0) leaves the decision to the CV, as it
        should be for what is not a rate.
    cv
        Bounds of grade 1 and 2, as fractions.
    points_per_unit
        100 if estimates are fractions, 1 if they are percent.
    synthetic_at_best
        1, 2 or 3.
    """

    rmse_points: tuple[float, float] = (0.5, 1.0)
    cv: tuple[float, float] = (0.10, 0.20)
    points_per_unit: float = 100.0
    synthetic_at_best: int = 3

    def __post_init__(self) -> None:
        for name in ("rmse_points", "cv"):
            bounds = getattr(self, name)
            if not (len(bounds) == 2 and 0 <= bounds[0] <= bounds[1]):
                raise SaeError(f"{name} must be two rising numbers, 0 or more, not {bounds!r}")
        if not self.points_per_unit > 0:
            raise SaeError(f"points_per_unit must be positive, not {self.points_per_unit!r}")
        if self.synthetic_at_best not in (1, 2, 3):
            raise SaeError(f"synthetic_at_best must be 1, 2 or 3, not {self.synthetic_at_best!r}")

    def grade(self, table: pd.DataFrame) -> pd.Series:
        """Grades of a table with ``estimate, rmse, synthetic``; missing without an RMSE."""
        rmse = table["rmse"] * self.points_per_unit
        size = table["estimate"].abs() * self.points_per_unit
        grades = pd.Series(3, index=table.index, dtype="Int64")
        for grade, points, cv in zip((2, 1), self.rmse_points[::-1], self.cv[::-1], strict=True):
            grades[rmse <= np.maximum(points, cv * size)] = grade
        grades[table["synthetic"] & (grades < self.synthetic_at_best)] = self.synthetic_at_best
        return grades.where(rmse.notna())


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What `diagnose` found.

    Attributes
    ----------
    normality
        ``quantity, n, skewness, kurtosis, shapiro_w, shapiro_p, jarque_bera, jarque_bera_p``
        (kurtosis in excess of 3; Shapiro-Wilk is missing above 5000 values).
    vif
        ``term, vif``, without constant columns.
    influence
        ``unit, leverage, cooks_distance, influential`` (Cook's distance above 4 / n): areas of an
        area level fit, households of a unit level one.
    r2
        ``marginal`` (fixed effects) and ``conditional`` (fixed and area effects), and ``adjusted``
        for area level fits (of the regression for the true values; NaN otherwise).
    shrinkage
        Smallest, quartiles, largest, and the share of areas below 0.5; sampled areas only.
    bias_test
        Brown's test, or None without direct estimates: ``intercept, intercept_se, slope, slope_se,
        slope_expected, f, f_p, w, w_p, areas``.
    calibration
        ``group, areas, estimate, reference, difference, ratio``, or None if no weights were given.
    grades
        ``area, estimate, rmse, cv, synthetic, grade`` (1 to 3; missing without an MSE).
    rule
        What the grades rest on.
    alpha
        Below which p-value a test counts as a finding.
    """

    normality: pd.DataFrame
    vif: pd.DataFrame
    influence: pd.DataFrame
    r2: pd.Series
    shrinkage: pd.Series
    bias_test: pd.Series | None
    calibration: pd.DataFrame | None
    grades: pd.DataFrame
    rule: GradeRule
    alpha: float

    @property
    def findings(self) -> list[str]:
        """What speaks against the model; empty if nothing does."""
        told = []
        for row in self.normality.itertuples():
            p = row.jarque_bera_p if np.isnan(row.shapiro_p) else row.shapiro_p
            test = "Jarque-Bera" if np.isnan(row.shapiro_p) else "Shapiro-Wilk"
            if p < self.alpha:
                told.append(
                    f"{row.quantity} are not normal ({test} p = {p:.2g}, skewness "
                    f"{row.skewness:.2f}, excess kurtosis {row.kurtosis:.2f}): try another "
                    f"transformation"
                )
        for row in self.vif[self.vif["vif"] > 10].itertuples():
            told.append(f"{row.term} is nearly a combination of the others (VIF {row.vif:.0f})")
        test = self.bias_test
        if test is not None and test["f_p"] < self.alpha:
            told.append(
                f"estimates are biased against the direct ones (Brown: intercept "
                f"{test['intercept']:.4g}, slope {test['slope']:.3f} where the model leads to "
                f"expect {test['slope_expected']:.3f}, p = {test['f_p']:.2g})"
            )
        if test is not None and test["w_p"] < self.alpha:
            told.append(
                f"estimates differ from the direct ones by more than the errors of both allow "
                f"(W = {test['w']:.1f} on {test['areas']:.0f}, p = {test['w_p']:.2g})"
            )
        return told

    def summary(self) -> str:
        """The diagnosis in plain text."""
        counts = self.grades["grade"].value_counts(dropna=False)
        graded = ", ".join(f"{counts.get(grade, 0)} of grade {grade}" for grade in (1, 2, 3))
        none = int(self.grades["grade"].isna().sum())
        worst = self.influence.nlargest(3, "cooks_distance")
        named = ", ".join(f"{row.unit} ({row.cooks_distance:.2f})" for row in worst.itertuples())
        compact = {"index": False, "float_format": "{:.4g}".format}
        parts = [
            "Normality",
            self.normality.to_string(**compact),
            f"R2 marginal {self.r2['marginal']:.3f}, conditional {self.r2['conditional']:.3f}"
            + ("" if np.isnan(self.r2["adjusted"]) else f", adjusted {self.r2['adjusted']:.3f}"),
            f"Shrinkage {self.shrinkage['min']:.3f} to {self.shrinkage['max']:.3f}, median "
            f"{self.shrinkage['50%']:.3f}, below 0.5 in {self.shrinkage['below_half']:.0%} of "
            "the areas",
            f"Largest VIF {self.vif['vif'].max():.2f}; largest Cook's distances: {named}",
        ]
        if self.bias_test is not None:
            test = self.bias_test
            parts.append(
                f"Brown's test: direct = {test['intercept']:.4g} + {test['slope']:.4f} estimate"
                + (
                    ""
                    if np.isnan(test["f_p"])
                    else f" (expected slope {test['slope_expected']:.4f}), p = {test['f_p']:.3f}"
                )
                + f"; W = {test['w']:.1f}, p = {test['w_p']:.3f}"
            )
        if self.calibration is not None:
            parts += ["Calibration", self.calibration.to_string(**compact)]
        parts.append(f"Grades: {graded}" + (f", {none} without" if none else ""))
        parts += [f"Finding: {finding}" for finding in self.findings]
        return "\n".join(parts)

    def __repr__(self) -> str:
        return f"<Diagnosis: {len(self.findings)} findings>"

    def _repr_html_(self) -> str:
        return to_html(self.summary(), self.grades)


def diagnose(
    fit: Any,
    *,
    indicator: str | None = None,
    rule: GradeRule | None = None,
    weights: npt.ArrayLike | pd.Series | None = None,
    by: npt.ArrayLike | pd.Series | None = None,
    published: pd.Series | float | None = None,
    direct: npt.ArrayLike | pd.Series | None = None,
    sampling_variance: npt.ArrayLike | pd.Series | None = None,
    alpha: float = 0.05,
) -> Diagnosis:
    """Diagnose a fitted model and grade its estimates.

    Parameters
    ----------
    fit
        A fit of `analysis.sae.fay_herriot`, or a unit level fit. Of it these attributes are used:

        - ``areas`` (and ``mse``): see `analysis.sae.estimates.estimates`; with
          ``sampling_variance`` where there are direct estimates;
        - ``design``: covariates as a DataFrame, one row per area or household;
        - ``coefficients``: a Series by column of ``design``;
        - ``sigma2_u``, and ``sigma2_e`` (a number); an area level fit has ``error_variance`` (a
          Series by area), ``response_values`` and ``simulate`` instead;
        - ``effects``: predicted area effects, a Series by area;
        - ``residuals``: y - X beta - effect, one per row of ``design`` that was observed;
        - ``whitened_design``, ``whitened_residuals``: V^-1/2 X and V^-1/2 (y - X beta), one row per
          row of ``residuals``, with V the variance of y under the model.
    indicator
        ``estimate`` of an area level fit (its default); ``p0`` (the default) and so on of a unit
        level one.
    rule
        For the grades; `GradeRule` with its defaults if None.
    weights, by, published
        For the calibration: population by area, group (kota) of each area, and published figures by
        group (or one number without groups), in the unit of the estimates. Without ``published``
        the reference is the weighted mean of the direct estimates over the areas that have one.
    direct, sampling_variance
        For a unit level fit, which has none: direct estimates of the indicator and their variances
        by area (missing where there is none), for the bias test and the calibration.
    alpha
        Below which p-value a test counts as a finding.

    Returns
    -------
    Diagnosis

    Raises
    ------
    SaeError
        The fit has no such indicator, or weights, groups or published figures are missing for an
        area or group; the message names it. Direct estimates are given to an area level fit, or
        without their variances.

    Notes
    -----
    Normality: the level-1 residuals of a unit level model; V^-1/2 (y - X beta) of an area level
    one, which is N(0, 1) whatever the sampling variances are. Area effects are divided by the
    square root of their shrinkage first, for predicted effects have unequal variances. (With
    independent effects an area level model has only one residual per area: both then say the same.)

    Leverage and Cook's distance are those of the whitened regression. Marginal and conditional R2:
    Nakagawa and Schielzeth (2013, Methods in Ecology and Evolution 4); the variance of level 1 in
    an area level model is the mean sampling variance. Adjusted R2 of an area level model: Lahiri
    and Suntornchost (2015, Sankhya B 77), for the true values instead of the direct estimates.

    Bias test (Brown, Chambers, Heady and Heasman 2001): the regression of direct on model estimates
    with the F of intercept 0 and slope 1, and W = sum (direct - model)^2 / (D + mse). A model
    estimate shrinks the very direct estimate it is compared with, so that a true model has a slope
    above 1 and a small W, and tables of F and chi-squared would reject it or never reject. Both
    p-values are therefore by simulation from the fitted model (999 draws, parameters as known);
    ``slope_expected`` is the median slope there. Of a unit level fit, p of W is from chi-squared
    with as many degrees of freedom as areas, as if the errors of both were independent: where the
    direct estimates are of the same sample this rejects too seldom, not too often. F has no p.
    """
    rule = GradeRule() if rule is None else rule
    table = estimates(fit, indicator)
    if direct is not None:
        if _area_level(fit):
            raise SaeError("direct is for a unit level fit: an area level fit has its own")
        if sampling_variance is None:
            raise SaeError("direct needs sampling_variance, the variances of the direct estimates")
        table["direct"] = by_area(direct, "direct", table["area"], complete=False)
    grades = table[["area", "estimate", "rmse", "cv", "synthetic"]].assign(grade=rule.grade(table))
    sampled = table.loc[~table["synthetic"], "shrinkage"]
    shrinkage = sampled.describe().drop(["count", "mean", "std"])
    shrinkage["below_half"] = (sampled < 0.5).mean()
    calibration = None
    if weights is not None:
        calibration = calibrate(table, weights, by=by, published=published)
    elif by is not None or published is not None:
        raise SaeError("the calibration needs weights (population by area)")
    return Diagnosis(
        normality=_normality(fit, table),
        vif=_vif(fit.design),
        influence=_influence(fit),
        r2=_r2(fit),
        shrinkage=shrinkage,
        bias_test=_bias_test(fit, table, sampling_variance),
        calibration=calibration,
        grades=grades,
        rule=rule,
        alpha=alpha,
    )


def _area_level(fit: Any) -> bool:
    return hasattr(fit, "error_variance")


def calibrate(
    table: pd.DataFrame,
    weights: npt.ArrayLike | pd.Series,
    *,
    by: npt.ArrayLike | pd.Series | None = None,
    published: pd.Series | float | None = None,
) -> pd.DataFrame:
    """Weighted means of estimates by group beside a reference; arguments as in `diagnose`.

    Returns ``group, areas, estimate, reference, difference, ratio``. Against direct estimates,
    ``estimate`` is of the areas that have one, so that like is compared with like.
    """
    area = table["area"]
    group = pd.Series("all", index=table.index)
    if by is not None:
        group = by_area(by, "by", area)
    share = shares(weights, group, area)
    known = group.unique()
    if published is None:
        if table["direct"].isna().all():
            raise SaeError("the calibration needs a reference: give published, or direct estimates")
        share = share.where(table["direct"].notna())
        share = share / share.groupby(group).transform("sum")
        reference = (share * table["direct"]).groupby(group).sum(min_count=1).reindex(known)
    else:
        if by is None and np.isscalar(published):
            published = {"all": published}
        if np.isscalar(published):
            raise SaeError("with by, published must have a figure for each group")
        reference = pd.Series(published, dtype="float64").reindex(known)
        if reference.isna().any():
            lost = reference.index[reference.isna()]
            raise SaeError(f"published has no figure for group {some(lost)}")
    estimate = (share * table["estimate"]).groupby(group).sum(min_count=1).reindex(known)
    return pd.DataFrame(
        {
            "group": known,
            "areas": share.notna().groupby(group).sum().reindex(known).to_numpy(),
            "estimate": estimate.to_numpy(),
            "reference": reference.to_numpy(),
            "difference": (estimate - reference).to_numpy(),
            "ratio": (estimate / reference.where(reference != 0)).to_numpy(),
        }
    )


def _normality(fit: Any, table: pd.DataFrame) -> pd.DataFrame:
    from scipy import stats

    residuals = np.asarray(
        fit.whitened_residuals if _area_level(fit) else fit.residuals, dtype=float
    )
    kept = table.set_index("area")["shrinkage"].reindex(fit.effects.index).to_numpy(dtype=float)
    real = kept > 0
    effects = fit.effects.to_numpy(dtype=float)[real] / np.sqrt(kept[real])
    rows = []
    for quantity, values in (("residuals", residuals), ("effects", effects)):
        row = {"quantity": quantity, "n": len(values)}
        if len(values) >= 8 and np.ptp(values) > 0:
            if len(values) <= SHAPIRO_LIMIT:
                row["shapiro_w"], row["shapiro_p"] = stats.shapiro(values)
            row["skewness"] = stats.skew(values)
            row["kurtosis"] = stats.kurtosis(values)
            row["jarque_bera"], row["jarque_bera_p"] = stats.jarque_bera(values)
        rows.append(row)
    columns = ["skewness", "kurtosis", "shapiro_w", "shapiro_p", "jarque_bera", "jarque_bera_p"]
    result = pd.DataFrame(rows, columns=["quantity", "n", *columns])
    return result.astype(dict.fromkeys(columns, "float64"))


def _vif(design: pd.DataFrame) -> pd.DataFrame:
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    values = design.to_numpy(dtype=float)
    varying = np.ptp(values, axis=0) > 0
    if values.shape[1] == 1:
        return pd.DataFrame({"term": design.columns[varying], "vif": 1.0})
    factors = [variance_inflation_factor(values, number) for number in np.flatnonzero(varying)]
    return pd.DataFrame(
        {"term": design.columns[varying], "vif": np.array(factors, dtype="float64")}
    )


def _influence(fit: Any) -> pd.DataFrame:
    """Leverage and Cook's distance of the whitened regression, whose error variance is 1."""
    white, residual = np.asarray(fit.whitened_design), np.asarray(fit.whitened_residuals)
    basis = np.linalg.qr(white)[0]
    leverage = (basis**2).sum(axis=1)
    cook = residual**2 * leverage / (white.shape[1] * (1 - leverage) ** 2)
    labels = fit.residuals.index if isinstance(fit.residuals, pd.Series) else fit.design.index
    return pd.DataFrame(
        {
            "unit": labels,
            "leverage": leverage,
            "cooks_distance": cook,
            "influential": cook > 4 / len(cook),
        }
    )


def _r2(fit: Any) -> pd.Series:
    fitted = fit.design @ fit.coefficients
    adjusted = np.nan
    if _area_level(fit):
        sampled = fit.error_variance
        design = fit.design.reindex(sampled.index).to_numpy()
        fitted, level1 = fitted.reindex(sampled.index), float(sampled.mean())
        adjusted = _adjusted_r2(fit.response_values.to_numpy(), design, sampled.to_numpy())
    else:
        level1 = float(fit.sigma2_e)
    explained = float(fitted.var())
    total = explained + fit.sigma2_u + level1
    return pd.Series(
        {
            "marginal": explained / total,
            "conditional": (explained + fit.sigma2_u) / total,
            "adjusted": adjusted,
        },
        name="r2",
    )


def _adjusted_r2(y: np.ndarray, design: np.ndarray, error: np.ndarray) -> float:
    """Lahiri and Suntornchost (2015): both mean squares less what sampling adds to them.

    The difference x - b can be negative; their h(x, b) = 2x / (1 + exp(2b / x)), close to it where
    b is small beside x, is not (as in R's ``emdi``).
    """
    count, terms = design.shape
    basis = np.linalg.qr(design)[0]
    residual = y - basis @ (basis.T @ y)
    freed = 1 - (basis**2).sum(axis=1)
    within, of_sampling = (residual**2).sum() / (count - terms), (freed * error).sum()
    total = y.var(ddof=1)

    def less(mean_square: float, sampling: float) -> float:
        # exp(-2b/x) in the numerator: b / x may be large where all variation is sampling error.
        shrunk = np.exp(-2 * sampling / mean_square)
        return 2 * mean_square * shrunk / (1 + shrunk)

    return float(1 - less(within, of_sampling / (count - terms)) / less(total, error.mean()))


def _bias_test(fit: Any, table: pd.DataFrame, sampling_variance: Any) -> pd.Series | None:
    from scipy import stats

    known = table["direct"].notna()
    x, y = table.loc[known, "estimate"].to_numpy(), table.loc[known, "direct"].to_numpy()
    # Of few areas, or one estimate for all, there is no line.
    if len(x) < 3 or np.ptp(x) <= 1e-12 * np.abs(x).max():
        return None
    if _area_level(fit):
        error = fit.areas.loc[known, "sampling_variance"]
    else:
        error = by_area(sampling_variance, "sampling_variance", table["area"], complete=False)
        area = table.loc[known, "area"].reset_index(drop=True)
        error = by_area(error[known].to_numpy(), "sampling_variance", area)
    variance = error.to_numpy() + table.loc[known, "mse"].to_numpy()
    line = stats.linregress(x, y)
    f, w = _brown_f(x[np.newaxis], y[np.newaxis])[0], ((y - x) ** 2 / variance).sum()
    if _area_level(fit):
        drawn_y, drawn_x = fit.simulate(REPLICATES)
        slope = np.median(_slope(drawn_x, drawn_y))
        drawn_w = ((drawn_y - drawn_x) ** 2 / variance).sum(axis=1)
        f_p, w_p = _beyond(f, _brown_f(drawn_x, drawn_y)), _beyond(w, drawn_w)
    else:
        slope, f_p, w_p = np.nan, np.nan, stats.chi2.sf(w, len(x))
    return pd.Series(
        {
            "intercept": line.intercept,
            "intercept_se": line.intercept_stderr,
            "slope": line.slope,
            "slope_se": line.stderr,
            "slope_expected": slope,
            "f": f,
            "f_p": f_p,
            "w": w,
            "w_p": w_p,
            "areas": len(x),
        },
        name="bias_test",
    )


def _beyond(observed: float, drawn: np.ndarray) -> float:
    """The p-value of a statistic by simulation; NaN where it could not be computed."""
    if np.isnan(observed):
        return np.nan
    return (1 + (drawn >= observed).sum()) / (1 + len(drawn))


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slope of y on x, row by row."""
    centred = x - x.mean(axis=1, keepdims=True)
    return (centred * y).sum(axis=1) / (centred**2).sum(axis=1)


def _brown_f(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """F of intercept 0 and slope 1 in the regression of y on x, row by row."""
    slope = _slope(x, y)[:, np.newaxis]
    rest = y - y.mean(axis=1, keepdims=True) - slope * (x - x.mean(axis=1, keepdims=True))
    within = (rest**2).sum(axis=1)
    return (((y - x) ** 2).sum(axis=1) - within) / 2 / (within / (x.shape[1] - 2))
