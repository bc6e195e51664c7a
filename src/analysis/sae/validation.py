"""What the estimators give beside what R's packages give for the same data.

The data are simulated for this project (``data/raw/reference``); the results are of R's ``sae``
1.3 and ``emdi`` 2.2.2. `analysis.sae.simulation` holds the estimators against known truth instead.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.sae.area_level import AreaLevelFit, fay_herriot
from analysis.sae.bootstrap import Conditional
from analysis.sae.diagnostics import Diagnosis
from analysis.sae.measures import Expected
from analysis.sae.transformations import Transformation
from analysis.sae.unit_fits import EmpiricalBest

EMDI = {"mean": "Mean", "p0": "Head_Count", "p1": "Poverty_Gap"}  # its names of our indicators
_METHODS = {"reml": "REML", "ml": "ML", "moment": "FH"}  # R's names of our methods


def area_level(
    areas: pd.DataFrame,
    of_r: pd.DataFrame,
    fits: pd.DataFrame,
    weights_matrix: np.ndarray | None = None,
) -> pd.DataFrame:
    """Fay-Herriot fits beside those of R's ``sae``.

    Parameters
    ----------
    areas
        ``area, direct, sampling_variance`` and covariates; an intercept is added.
    of_r
        ``area, estimate_METHOD, mse_METHOD`` for some of R's methods.
    fits
        ``model, method, par, value``: R's variances.
    weights_matrix
        Row-standardised weights (M, M) of the spatial model.

    Returns
    -------
    pandas.DataFrame
        A row per method: ``model, method, sigma2_u, sigma2_u_r, estimate_difference,
        mse_difference`` (largest relative differences over the areas).
    """
    table = areas.set_index("area")
    covariates = table.drop(columns=["direct", "sampling_variance"])
    covariates.insert(0, "intercept", 1.0)
    model = "area" if weights_matrix is None else "spatial"
    theirs = of_r.set_index("area").loc[table.index]
    rows = []
    for method, name in _METHODS.items():
        if f"estimate_{name}" not in theirs:
            continue
        fit: AreaLevelFit = fay_herriot(
            table["direct"],
            table["sampling_variance"],
            covariates,
            method=method,
            weights_matrix=weights_matrix,
        )
        ours = fit.areas.set_index("area")
        own = fits[(fits["model"] == model) & (fits["method"] == name)].set_index("par")["value"]
        rows.append(
            {
                "model": "Fay-Herriot" if model == "area" else "spatial Fay-Herriot",
                "method": method,
                "sigma2_u": fit.sigma2_u,
                "sigma2_u_r": own["sigma2_u"],
                "estimate_difference": _largest(ours["estimate"], theirs[f"estimate_{name}"]),
                "mse_difference": _largest(ours["mse"], theirs[f"mse_{name}"]),
            }
        )
    return pd.DataFrame(rows)


def fay_herriot_table(
    areas: pd.DataFrame,
    of_sae: pd.DataFrame,
    lattice: pd.DataFrame,
    of_sae_spatial: pd.DataFrame,
    weights_matrix: np.ndarray,
    fits: pd.DataFrame,
) -> pd.DataFrame:
    """`area_level` of the independent and of the spatial model, one below the other."""
    return pd.concat(
        [
            area_level(areas, of_sae, fits),
            area_level(lattice, of_sae_spatial, fits, weights_matrix),
        ],
        ignore_index=True,
    )


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`fay_herriot_table` for a reader: differences as the power of ten that they stay below."""
    differences = ["estimate_difference", "mse_difference"]
    return table.assign(**{name: table[name].map(_power) for name in differences})


def _power(value: float) -> str:
    """``below 10⁻⁸``; smaller differences are those of rounding, and not the same everywhere."""
    exponent = max(-8, int(np.ceil(np.log10(max(value, 1e-300)))))
    return f"below 10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _largest(ours: pd.Series, theirs: pd.Series) -> float:
    return float((ours / theirs - 1).abs().max())


def unit_level(
    result: EmpiricalBest, census: pd.DataFrame, area: str, of_emdi: pd.DataFrame, draws: int
) -> pd.DataFrame:
    """P0 and P1 beside those of R's ``emdi``, with the Monte Carlo error of the latter.

    Parameters
    ----------
    result
        What `analysis.sae.empirical_best` gave.
    census, area
        What it was given.
    of_emdi
        ``Domain, Head_Count, Poverty_Gap``.
    draws
        How many censuses ``emdi`` simulated (its L).

    Returns
    -------
    pandas.DataFrame
        A row per area and indicator: ``area, indicator, estimate, emdi, monte_carlo_error, z``
        (the difference in Monte Carlo errors; standard normal if there is no other).
    """
    errors = monte_carlo_errors(result, census, area, draws)
    theirs = of_emdi.set_index("Domain").loc[result.areas["area"]]
    parts = []
    for indicator in ("p0", "p1"):
        part = pd.DataFrame(
            {
                "area": result.areas["area"],
                "indicator": indicator,
                "estimate": result.areas[indicator],
                "emdi": theirs[EMDI[indicator]].to_numpy(),
                "monte_carlo_error": errors[indicator].to_numpy(),
            }
        )
        part["z"] = (part["estimate"] - part["emdi"]) / part["monte_carlo_error"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def monte_carlo_errors(
    result: EmpiricalBest, census: pd.DataFrame, area: str, draws: int
) -> pd.DataFrame:
    """Standard error that an estimate by ``draws`` simulated censuses has, from the model itself.

    The spread over draws of an area's indicator: that of its expectation given the area's effect,
    plus what households add. Household by household, by Gauss-Hermite over the effect.

    Returns
    -------
    pandas.DataFrame
        ``mean, p0, p1, p2`` by area.
    """
    x = np.column_stack(
        [np.ones(len(census))]
        + [
            census[name.split("[")[0]] == name.split("[")[1][:-1] if "[" in name else census[name]
            for name in result.coefficients.index[1:]
        ]
    ).astype(float)
    where = pd.Index(result.areas["area"]).get_indexer(census[area])
    effect = result.effects.reindex(result.areas["area"]).fillna(0).to_numpy()
    spread = np.sqrt(result.sigma2_u * (1 - result.areas["shrinkage"].to_numpy()))
    h = Transformation(result.transformation, result.transformation_parameter)
    measure = Conditional(Expected(h, result.line, squares=True))
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    sizes = np.bincount(where)[:, None]
    first = second = within = 0
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        mu = x @ result.coefficients.to_numpy() + (effect + spread * node)[where]
        values = measure(mu, np.sqrt(result.sigma2_e))
        sums = np.column_stack([np.bincount(where, column) for column in values.T])
        mean = sums[:, :4] / sizes
        first = first + weight * mean
        second = second + weight * mean**2
        within = within + weight * sums[:, 4:] / sizes**2
    errors = np.sqrt((second - first**2 + within) / draws)
    return pd.DataFrame(errors, result.areas["area"], ["mean", "p0", "p1", "p2"])


def rmse_ratio(result: EmpiricalBest, mse_of_emdi: pd.DataFrame) -> pd.Series:
    """RMSE of P0 divided by that of ``emdi``, by sampled area (``Domain, Head_Count``)."""
    theirs = mse_of_emdi.set_index("Domain")["Head_Count"].loc[result.mse["area"]].to_numpy()
    ratio = pd.Series(np.sqrt(result.mse["p0"].to_numpy() / theirs), index=result.mse["area"])
    return ratio[(result.areas["n_sample"] > 0).to_numpy()]


def diagnosis_table(diagnoses: Mapping[str, Diagnosis]) -> pd.DataFrame:
    """Normality of several fits: ``transformation, quantity, skewness, kurtosis, shapiro_p``."""
    parts = [d.normality.assign(transformation=name) for name, d in diagnoses.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[["transformation", "quantity", "skewness", "kurtosis", "shapiro_p"]]


def diagnosis_words(right: Diagnosis, wrong: Diagnosis) -> str:
    """What `diagnose` objects to in either fit."""
    fine = "finds nothing to object to" if not right.findings else "objects to the right model too"
    caught = "; ".join(wrong.findings) or "nothing: it was not caught"
    return f"Under the logarithm `diagnose` {fine}. Without it, it says: {caught}."


def words(fay_herriot_table: pd.DataFrame, unit_table: pd.DataFrame, ratio: pd.Series) -> str:
    """How near the results are to R's, in a sentence. The table is `fay_herriot_table`."""
    worst = fay_herriot_table[["estimate_difference", "mse_difference"]].max().max()
    return (
        f"The Fay-Herriot fits agree with R's `sae`, relative differences {_power(worst)} in every "
        f"estimate and MSE; of {len(unit_table)} unit level estimates the farthest lies "
        f"{unit_table['z'].abs().max():.1f} Monte Carlo errors from those of R's `emdi`, and the "
        f"median RMSE is {ratio.median():.2f} times its."
    )


def unit_words(
    result: EmpiricalBest, unit_table: pd.DataFrame, ratio: pd.Series, fits: pd.DataFrame
) -> str:
    """Variances beside R's, and the spread of the differences."""
    theirs = fits[fits["model"] == "unit_log"].set_index("par")["value"]
    z = unit_table["z"]
    return (
        f"Variance between areas {result.sigma2_u:.6f} (R: {theirs['sigma2_u']:.6f}), between "
        f"households {result.sigma2_e:.6f} (R: {theirs['sigma2_e']:.6f}). The differences have a "
        f"standard deviation of {z.std():.2f} Monte Carlo errors, where 1 is expected. The RMSE of "
        f"P0 of the sampled areas is {ratio.min():.2f} to {ratio.max():.2f} times that of `emdi`, "
        f"median {ratio.median():.2f}; both are bootstraps."
    )


def draw_unit_level(axes: Axes, unit_table: pd.DataFrame) -> None:
    """Estimates against those of ``emdi``, in percent, with the line on which they agree."""
    for marker, (indicator, own) in zip("o^", unit_table.groupby("indicator"), strict=True):
        axes.plot(
            100 * own["emdi"],
            100 * own["estimate"],
            marker,
            markersize=3.5,
            label={"p0": "headcount P0", "p1": "gap P1"}[indicator],
        )
    end = 105 * unit_table["emdi"].max()
    axes.plot([0, end], [0, end], color="0.5", linewidth=0.8, zorder=0)
    axes.set(xlabel="emdi, L = 2000 (%)", ylabel="analysis.sae (%)")
    axes.legend(loc="upper left")


def draw_z(axes: Axes, unit_table: pd.DataFrame) -> None:
    """Histogram of the differences in Monte Carlo errors, with the standard normal density."""
    z = unit_table["z"]
    axes.hist(z, bins=np.arange(-3.5, 3.6, 0.5), density=True, color="C0", alpha=0.5)
    x = np.linspace(-3.5, 3.5, 200)
    axes.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="C1", label="standard normal")
    axes.set(xlabel="Difference (Monte Carlo errors)", ylabel="Density")
    axes.legend(loc="upper right")
