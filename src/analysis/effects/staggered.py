"""Staggered adoption: units that start a programme in different periods, against those not yet in.

The estimators are those of `diff-diff`, which agrees with R's ``did``; here are what a `Design`
and a checked `Panel` need around them: the same estimand from three estimators, the event study,
tests of the assumptions as `Check`, bounds when trends are not parallel, neighbours, groups.

All three estimate the mean effect over treated unit-periods ("simple" in Callaway and Sant'Anna,
2021); effects may differ by start and by time since it. Two-way fixed effects do not estimate it
then, and `bacon` shows what they weigh instead.
"""

import math
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import diff_diff
import numpy as np
import pandas as pd
import pyfixest
from scipy import stats

from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Check, Estimate, amount
from analysis.effects.panels import NEVER, NOT_YET, Panel

SIZE = 0.05  # of all tests here
LEADS = 4  # periods before the start whose leads are tested jointly
SHIFT = 2  # periods by which a placebo start lies before the true one
HONEST_GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
_CONTROL = {NEVER: "never_treated", NOT_YET: "not_yet_treated"}


@dataclass(frozen=True, eq=False)
class Fit:
    """One estimator on one outcome.

    Attributes
    ----------
    estimate
        The mean effect over treated unit-periods.
    event_study : DataFrame
        ``exposure`` (periods since the start; negative: before), ``effect, standard_error, lower,
        upper`` (pointwise), ``reference`` (whether it is zero by construction).
    covariance : DataFrame or None
        Of the event study's effects, by exposure, where the estimator gives it.
    panel, outcome, anticipation
        What was fitted.
    result
        The library's own result.
    notes
        What the library warned of: a trimmed propensity score, few units of a start.
    """

    estimate: Estimate
    event_study: pd.DataFrame
    covariance: pd.DataFrame | None
    panel: Panel
    outcome: str
    anticipation: int
    result: object
    notes: tuple[str, ...] = ()


def callaway_santanna(
    design: Design,
    panel: Panel,
    outcome: str | None = None,
    *,
    comparison: str = NEVER,
    covariates: Sequence[str] = (),
    anticipation: int = 0,
    base: str = "universal",
) -> Fit:
    """Callaway and Sant'Anna (2021), doubly robust with covariates, errors by unit.

    Parameters
    ----------
    design, panel, outcome
        Declared, checked, and one of its outcomes (the first if not given).
    comparison
        ``never treated`` or ``not yet treated``.
    covariates
        Columns of the panel's covariates: trends are parallel given their value before the start.
    anticipation
        Periods before the start in which there may be effects already.
    base
        ``universal``: leads against the last period before the start; ``varying``: each lead
        against the period before it.

    Raises
    ------
    EffectsError
        No design; the outcome or a covariate is not in the panel; nothing could be compared.
    """
    outcome = _asked(design, panel, outcome, covariates)
    if comparison not in _CONTROL:
        raise EffectsError(f"comparison {comparison!r} is neither {NEVER!r} nor {NOT_YET!r}")
    if comparison == NEVER and not panel.untreated_units:
        raise EffectsError(f"no unit is never treated: say comparison={NOT_YET!r}")
    estimator = diff_diff.CallawaySantAnna(
        control_group=_CONTROL[comparison],
        anticipation=anticipation,
        base_period=base,
        alpha=1 - design.level,
    )
    # Nothing depends on the scale of covariates but the solver of the propensity score.
    scaled = {name: _standardised(panel.table[name]) for name in covariates}
    result, notes = _fitted(
        estimator,
        panel,
        outcome,
        table=panel.table.assign(**scaled),
        covariates=list(covariates) or None,
    )
    given = f" given {', '.join(covariates)}" if covariates else ""
    estimate = _estimate(
        design, panel, result, f"Callaway-Sant'Anna{given}", f"errors by unit, {comparison} units"
    )
    study = _studied(result)
    table = study.to_dataframe()
    return Fit(
        estimate,
        _event_study(
            table["event_time"], table["att"], table["se"], table["is_reference"], design.level
        ),
        _square(study.vcov, study.vcov_index),
        panel,
        outcome,
        anticipation,
        result,
        notes,
    )


def sun_abraham(
    design: Design,
    panel: Panel,
    outcome: str | None = None,
    *,
    places: pd.DataFrame | None = None,
    cutoff_km: float | None = None,
    lags: int | None = None,
) -> Fit:
    """Sun and Abraham (2021): a saturated event-study regression, errors by unit.

    With ``places`` and ``cutoff_km``, spatial HAC errors (Conley, 1999): Bartlett weights that
    fall to zero at the cut-off within a period, and over ``lags`` periods within a unit (all of
    them if not given). ``places`` has ``x_km, y_km`` by unit.

    Raises
    ------
    EffectsError
        See `callaway_santanna`; a unit has no place.
    """
    outcome = _asked(design, panel, outcome)
    options = {"alpha": 1 - design.level}
    table = panel.table
    inference = "errors by unit"
    if places is not None:
        if cutoff_km is None or not cutoff_km > 0:
            raise EffectsError("spatial errors need cutoff_km above zero")
        table = _placed(panel, places)
        lags = len(panel.times) - 1 if lags is None else lags
        options |= {
            "vcov_type": "conley",
            "conley_coords": ("x_km", "y_km"),
            "conley_metric": "euclidean",
            "conley_cutoff_km": float(cutoff_km),
            "conley_lag_cutoff": lags,
        }
        inference = f"spatial HAC errors, {cutoff_km:g} km, {lags} periods"
    result, notes = _fitted(diff_diff.SunAbraham(**options), panel, outcome, table=table)
    study = result.event_study_effects
    keys = sorted([*study, -1])
    effect = [study[k]["effect"] if k in study else 0.0 for k in keys]
    error = [study[k]["se"] if k in study else math.nan for k in keys]
    return Fit(
        _estimate(design, panel, result, "Sun-Abraham", inference),
        _event_study(keys, effect, error, [k not in study for k in keys], design.level),
        _square(result.event_study_vcov, result.event_study_vcov_index),
        panel,
        outcome,
        0,
        result,
        notes,
    )


def imputation(
    design: Design, panel: Panel, outcome: str | None = None, *, covariates: Sequence[str] = ()
) -> Fit:
    """Imputation (Borusyak, Jaravel and Spiess, 2024): fixed effects fitted where nobody is
    treated yet tell what would have been; leave-one-out errors by unit.

    Raises
    ------
    EffectsError
        See `callaway_santanna`.
    """
    outcome = _asked(design, panel, outcome, covariates)
    estimator = diff_diff.ImputationDiD(alpha=1 - design.level, leave_one_out=True, pretrends=True)
    result, notes = _fitted(estimator, panel, outcome, covariates=list(covariates) or None)
    table = _studied(result).to_dataframe()
    return Fit(
        _estimate(design, panel, result, "imputation", "leave-one-out errors by unit"),
        _event_study(
            table["event_time"], table["att"], table["se"], table["is_reference"], design.level
        ),
        None,
        panel,
        outcome,
        0,
        result,
        notes,
    )


def two_way(design: Design, panel: Panel, outcome: str | None = None) -> Estimate:
    """The regression with two-way fixed effects, for comparison: see `bacon` for why not."""
    outcome = _asked(design, panel, outcome)
    with _library_warnings():
        fit = pyfixest.feols(f"{outcome} ~ treated | unit + t", panel.table, vcov={"CRV1": "unit"})
    low, high = fit.confint(alpha=1 - design.level).loc["treated"]
    return Estimate(
        design=design,
        estimator="two-way fixed effects",
        effect=float(fit.coef()["treated"]),
        standard_error=float(fit.se()["treated"]),
        lower=float(low),
        upper=float(high),
        p_value=float(fit.pvalue()["treated"]),
        inference="errors by unit",
        **_size(panel),
    )


def bacon(design: Design, panel: Panel, outcome: str | None = None) -> pd.DataFrame:
    """What two-way fixed effects weigh (Goodman-Bacon, 2021).

    Returns
    -------
    pandas.DataFrame
        ``comparison`` (words), ``weight`` (sum 1), ``estimate`` (weighted mean), ``forbidden``
        (units treated before serve as comparison), a row per kind. The sum of weight times
        estimate is the coefficient of `two_way`.

    Raises
    ------
    EffectsError
        The panel is not balanced: the decomposition holds for balanced ones.
    """
    outcome = _asked(design, panel, outcome)
    if not panel.balanced:
        raise EffectsError("the Bacon decomposition needs a panel with every unit in every period")
    parts = _fitted(diff_diff.BaconDecomposition(), panel, outcome)[0].to_dataframe()
    words = {
        "treated_vs_never": "treated against never treated",
        "earlier_vs_later": "earlier against later, before these start",
        "later_vs_earlier": "later against earlier, already treated",
    }
    rows = []
    for kind, own in parts.groupby("comparison_type"):
        weight = own["weight"].sum()
        mean = (own["weight"] * own["estimate"]).sum() / weight
        rows.append((words[kind], weight, mean, kind == "later_vs_earlier"))
    columns = ["comparison", "weight", "estimate", "forbidden"]
    return pd.DataFrame(rows, columns=columns).sort_values("forbidden", ignore_index=True)


def pre_trend(fit: Fit, assumption: str, leads: int = LEADS) -> Check:
    """Joint test that nothing happens before the start: the last ``leads`` leads are zero.

    Of `callaway_santanna` or `sun_abraham`: a Wald test against F with as many degrees of freedom
    as there are units. Passing is not proof: see `honest`.

    Raises
    ------
    EffectsError
        The fit has no covariance (use another estimator), or fewer than one lead.
    """
    if fit.covariance is None:
        raise EffectsError("no covariance of the leads: test callaway_santanna or sun_abraham")
    last = -1 - fit.anticipation
    table = fit.event_study.set_index("exposure")
    tested = [e for e in fit.covariance.index if last - leads <= e < last]
    if not tested:
        raise EffectsError("no lead before the reference: the panel has one period before")
    effect = table.loc[tested, "effect"].to_numpy()
    block = fit.covariance.loc[tested, tested].to_numpy()
    clusters = fit.estimate.n_units
    k = len(tested)
    wald = float(effect @ np.linalg.solve(block, effect))
    # Hotelling's T2: a covariance from few units makes the chi-squared test reject too often.
    f = wald * (clusters - k) / (k * (clusters - 1))
    p = float(stats.f.sf(f, k, clusters - k))
    largest = tested[int(np.argmax(np.abs(effect)))]
    unit = fit.estimate.unit
    return Check(
        assumption=assumption,
        name="joint test of the leads",
        passed=p >= SIZE,
        words=(
            f"{k} leads, the largest {amount(table.loc[largest, 'effect'], unit)} {unit} "
            f"{abs(largest)} periods before the start; {_p(p)}"
        ),
        criterion=f"p at least {SIZE:g}",
        statistic=f,
        p_value=p,
    )


def placebo_in_time(
    design: Design,
    panel: Panel,
    assumption: str,
    outcome: str | None = None,
    shift: int = SHIFT,
) -> Check:
    """A start that never was, ``shift`` periods early, on what happened before the true one.

    Raises
    ------
    EffectsError
        Too few periods before the first start.
    """
    estimate = placebo_estimate(design, panel, outcome, shift)
    return Check(
        assumption=assumption,
        name=f"placebo, {shift} periods early",
        passed=estimate.p_value >= SIZE,
        words=f"{estimate.words()}; {_p(estimate.p_value)}",
        criterion=f"p at least {SIZE:g}",
        statistic=estimate.effect / estimate.standard_error,
        p_value=estimate.p_value,
    )


def placebo_estimate(
    design: Design, panel: Panel, outcome: str | None = None, shift: int = SHIFT
) -> Estimate:
    """The estimate of `placebo_in_time`."""
    outcome = _asked(design, panel, outcome)
    table = panel.table
    ever = table["first_t"] > 0
    last_clean = table.loc[ever, "first_t"].max() - 1
    kept = table[np.where(ever, table["t"] < table["first_t"], table["t"] <= last_clean)].copy()
    kept["first_t"] = (kept["first_t"] - shift).where(kept["first_t"] > 0, 0)
    kept = kept[(kept["first_t"] == 0) | (kept["first_t"] > 1)]
    if not (kept["first_t"] > 0).any():
        raise EffectsError(f"no unit has more than {shift} periods before its start")
    kept["treated"] = ((kept["first_t"] > 0) & (kept["t"] >= kept["first_t"])).astype("int64")
    early = Panel(kept.reset_index(drop=True), panel.outcomes, panel.covariates, panel.times)
    # Units drop out when they truly start, so that the panel is unbalanced by design: each effect
    # compares units that are there in both its periods.
    estimator = diff_diff.CallawaySantAnna(control_group="never_treated", alpha=1 - design.level)
    result, _ = _fitted(estimator, early, outcome)
    return _estimate(design, early, result, "placebo in time", "errors by unit")


def no_anticipation(
    design: Design,
    panel: Panel,
    assumption: str,
    outcome: str | None = None,
    comparison: str = NEVER,
) -> Check:
    """Whether there is an effect in the last period before the start, against the one before it.

    Raises
    ------
    EffectsError
        The panel has fewer than two periods before the start.
    """
    fit = callaway_santanna(design, panel, outcome, comparison=comparison, anticipation=1)
    row = fit.event_study.set_index("exposure").loc[-1]
    if not row["standard_error"] > 0:
        raise EffectsError("anticipation needs two periods before the first start")
    z = row["effect"] / row["standard_error"]
    p = float(2 * stats.norm.sf(abs(z)))
    unit = fit.estimate.unit
    low, high = amount(row["lower"], unit), amount(row["upper"], unit)
    return Check(
        assumption=assumption,
        name="effect in the period before the start",
        passed=p >= SIZE,
        words=f"{amount(row['effect'], unit)} {unit} ({low} to {high}); {_p(p)}",
        criterion=f"p at least {SIZE:g}",
        statistic=float(z),
        p_value=p,
    )


def honest(fit: Fit, grid: Sequence[float] = HONEST_GRID) -> tuple[pd.DataFrame, float]:
    """Bounds when trends are not parallel (Rambachan and Roth, 2023, relative magnitudes).

    After the start the difference of trends may change from period to period by as much as
    ``M`` times the largest change before it. The mean over exposures is bounded.

    Returns
    -------
    (pandas.DataFrame, float)
        ``m, lower, upper``, a row each, and the smallest M at which zero is inside (infinite: at
        none up to the largest tried, and zero where it is inside already under parallel trends).

    Raises
    ------
    EffectsError
        The fit is not of `callaway_santanna` with a universal base.
    """
    if not isinstance(fit.result, diff_diff.CallawaySantAnnaResults):
        raise EffectsError("the bounds need a fit of callaway_santanna")
    if fit.result.base_period != "universal":
        raise EffectsError("the bounds need leads against one base: base='universal'")
    grid = sorted({0.0, *map(float, grid)})
    bounds = diff_diff.HonestDiD(
        method="relative_magnitude", alpha=1 - fit.estimate.level
    ).sensitivity_analysis(_studied(fit.result), M_grid=grid)
    table = pd.DataFrame(bounds.robust_cis, columns=["lower", "upper"]).astype(float)
    table.insert(0, "m", grid)
    inside = (table["lower"] <= 0) & (table["upper"] >= 0)
    if inside.iloc[0]:
        breakdown = 0.0
    elif not inside.any():
        breakdown = math.inf
    else:
        breakdown = float(bounds.breakdown_M)
    return table, breakdown


def rings(
    design: Design,
    panel: Panel,
    places: pd.DataFrame,
    edges_km: Sequence[float],
    outcome: str | None = None,
) -> pd.DataFrame:
    """Effects on untreated neighbours by distance to the nearest treated unit (Butts, 2021).

    Parameters
    ----------
    places
        ``x_km, y_km`` by unit (index).
    edges_km
        Edges of the rings from 0 on, ascending: ``(0, 1, 2.5)``. Beyond the last nothing is
        supposed to arrive; those units are the comparison.

    Returns
    -------
    pandas.DataFrame
        ``ring`` ("treated", then "0-1 km", ...), ``effect, standard_error, lower, upper,
        p_value``, ``n_units`` (ever in it). The first row is the effect on the treated against
        units beyond the rings.

    Raises
    ------
    EffectsError
        A unit has no place; edges that do not ascend from 0; nobody is beyond the last.
    """
    outcome = _asked(design, panel, outcome)
    edges = [float(edge) for edge in edges_km]
    if len(edges) < 2 or edges[0] != 0 or edges != sorted(set(edges)):
        raise EffectsError(f"the edges of the rings {edges} do not ascend from 0")
    estimator = diff_diff.SpilloverDiD(
        rings=edges,
        conley_coords=("x_km", "y_km"),
        conley_metric="euclidean",
        cluster="unit",
        alpha=1 - design.level,
    )
    try:
        result = estimator.fit(
            _placed(panel, places), outcome=outcome, unit="unit", time="t", first_treat="first_t"
        )
    except ValueError as error:
        raise EffectsError(
            f"the rings up to {edges[-1]:g} km cannot be told from the effect: {error}"
        ) from None
    low, high = result.conf_int
    treated = len(panel.treated_units)
    rows = [("treated", result.att, result.se, low, high, result.p_value, treated)]
    names = list(result.n_units_ever_in_ring)
    for inner, outer, name in zip(edges, edges[1:], names, strict=False):
        row = result.spillover_effects.loc[name]
        rows.append(
            (
                f"{inner:g}–{outer:g} km",
                *(row[c] for c in ("coef", "se", "ci_low", "ci_high", "p_value")),
                result.n_units_ever_in_ring[name],
            )
        )
    columns = ["ring", "effect", "standard_error", "lower", "upper", "p_value", "n_units"]
    return pd.DataFrame(rows, columns=columns)


def no_spillover(table: pd.DataFrame, design: Design, assumption: str) -> Check:
    """The nearest ring of `rings` as a check: untreated neighbours are not reached."""
    row = table.iloc[1]
    unit = design.unit_of_effect
    low, high = amount(row["lower"], unit), amount(row["upper"], unit)
    return Check(
        assumption=assumption,
        name=f"effect on untreated units, {row['ring']}",
        passed=row["p_value"] >= SIZE,
        words=f"{amount(row['effect'], unit)} {unit} ({low} to {high}); {_p(row['p_value'])}",
        criterion=f"p at least {SIZE:g}",
        statistic=float(row["effect"] / row["standard_error"]),
        p_value=float(row["p_value"]),
    )


def by_group(
    design: Design,
    panel: Panel,
    groups: pd.Series,
    outcome: str | None = None,
    comparison: str = NEVER,
    least: int = 5,
) -> tuple[pd.DataFrame, float]:
    """Effects within groups of units, each against the untreated units of the same group.

    Parameters
    ----------
    groups
        Group by unit (index), known before the programme.
    least
        Groups with fewer treated or untreated units are left missing.

    Returns
    -------
    (pandas.DataFrame, float)
        ``group, effect, standard_error, lower, upper, n_treated, n_untreated``, and the p-value
        of the test that all effects are the same (Wald; missing with one group).

    Raises
    ------
    EffectsError
        A unit has no group.
    """
    outcome = _asked(design, panel, outcome)
    own = groups.reindex(panel.units)
    if own.isna().any():
        raise EffectsError(
            f"{own.isna().sum()} units have no group, the first {own.index[own.isna()][0]}"
        )
    rows = []
    for name in dict.fromkeys(groups):
        units = own.index[own == name]
        part = panel.table[panel.table["unit"].isin(units)].reset_index(drop=True)
        inside = Panel(part, panel.outcomes, panel.covariates, panel.times)
        treated, untreated = len(inside.treated_units), len(inside.untreated_units)
        if min(treated, untreated) < least:
            rows.append((name, *[math.nan] * 4, treated, untreated))
            continue
        found = callaway_santanna(design, inside, outcome, comparison=comparison).estimate
        rows.append(
            (name, found.effect, found.standard_error, found.lower, found.upper, treated, untreated)
        )
    columns = ["group", "effect", "standard_error", "lower", "upper", "n_treated", "n_untreated"]
    table = pd.DataFrame(rows, columns=columns)
    known = table.dropna(subset=["standard_error"])
    if len(known) < 2:
        return table, math.nan
    precision = 1 / known["standard_error"] ** 2
    mean = (precision * known["effect"]).sum() / precision.sum()
    statistic = (precision * (known["effect"] - mean) ** 2).sum()
    return table, float(stats.chi2.sf(statistic, len(known) - 1))


def _asked(
    design: Design, panel: Panel, outcome: str | None, covariates: Sequence[str] = ()
) -> str:
    declared(design)
    if not isinstance(panel, Panel):
        raise EffectsError("check the panel first: analysis.effects.panel(table, ...)")
    outcome = panel.outcomes[0] if outcome is None else outcome
    if outcome not in panel.outcomes:
        raise EffectsError(f"the panel has no outcome {outcome!r}: {', '.join(panel.outcomes)}")
    for name in covariates:
        if name not in panel.covariates:
            raise EffectsError(
                f"the panel has no covariate {name!r}: {', '.join(panel.covariates) or 'none'}"
            )
    return outcome


def _fitted(estimator, panel: Panel, outcome: str, table: pd.DataFrame | None = None, **options):
    """The library's result, and what it warned of as notes."""
    table = panel.table if table is None else table
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = estimator.fit(table, outcome, "unit", "t", "first_t", **options)
    except ValueError as error:
        raise EffectsError(f"{type(estimator).__name__} cannot be fitted: {error}") from None
    told = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    # `placebo_estimate` drops rows on purpose: pairs are compared where both periods are there.
    return result, tuple(dict.fromkeys(t for t in told if not t.startswith("Unbalanced panel")))


@contextmanager
def _library_warnings():
    """Not shown: what the libraries have to change when pandas does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="diff_diff|pyfixest")
        yield


def _studied(result):
    with _library_warnings():
        return result.aggregate("event_study")


def _size(panel: Panel) -> dict[str, int]:
    return {
        "n_units": len(panel.units),
        "n_treated": len(panel.treated_units),
        "n_periods": panel.table["t"].nunique(),
    }


def _estimate(design: Design, panel: Panel, result, estimator: str, inference: str) -> Estimate:
    low, high = result.overall_conf_int
    return Estimate(
        design=design,
        estimator=estimator,
        effect=float(result.overall_att),
        standard_error=float(result.overall_se),
        lower=float(low),
        upper=float(high),
        p_value=float(result.overall_p_value),
        inference=inference,
        **_size(panel),
    )


def _event_study(exposure, effect, error, reference, level: float) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "exposure": np.asarray(exposure, dtype=int),
            "effect": np.asarray(effect, dtype=float),
            "standard_error": np.asarray(error, dtype=float),
        }
    )
    reach = stats.norm.ppf((1 + level) / 2) * table["standard_error"]
    table["lower"], table["upper"] = table["effect"] - reach, table["effect"] + reach
    table["reference"] = np.asarray(reference, dtype=bool)
    return table.sort_values("exposure", ignore_index=True)


def _square(matrix, index) -> pd.DataFrame | None:
    if matrix is None:
        return None
    names = np.asarray(index, dtype=int)
    return pd.DataFrame(np.asarray(matrix), index=names, columns=names)


def _standardised(column: pd.Series) -> pd.Series:
    return (column - column.mean()) / (column.std() or 1.0)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _placed(panel: Panel, places: pd.DataFrame) -> pd.DataFrame:
    own = places.reindex(panel.units)[["x_km", "y_km"]]
    if own.isna().any().any():
        lost = own.index[own.isna().any(axis=1)]
        raise EffectsError(f"{len(lost)} units have no place, the first {lost[0]}")
    return panel.table.merge(own, left_on="unit", right_index=True, validate="m:1")
