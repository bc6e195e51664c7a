"""Populations with known truth: what the estimators claim, held against what is so.

Everything here is simulated. It judges the estimators, not poverty anywhere.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.special import ndtri

from analysis.sae.unit_level import empirical_best

WELFARE, COVARIATES, AREA = "welfare", ("schooling", "urban"), "area"


@dataclass(frozen=True)
class Setting:
    """A population under the nested error model of log welfare, and the sample taken from it.

    ``areas``, of which the last ``unsampled`` have no sample; households of the census and of the
    sample per area (the sample's between half and one and a half times the number); standard
    deviations of effects and errors of log welfare; the poverty line.
    """

    areas: int = 60
    unsampled: int = 3
    census: int = 120
    sample: int = 8
    sigma_u: float = 0.2
    sigma_e: float = 0.4
    line: float = 600_000.0

    def census_table(self) -> pd.DataFrame:
        """Covariates of every household; the same in every run."""
        rng = np.random.default_rng(20)
        code = np.repeat(np.arange(self.areas), self.census)
        level = rng.normal(0, 0.3, self.areas)
        return pd.DataFrame(
            {
                AREA: [f"A{a:03d}" for a in code],
                "schooling": level[code] + rng.normal(0, 1, len(code)),
                "urban": np.where(rng.random(len(code)) < 0.5, "yes", "no"),
            }
        )

    def welfare(self, census: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
        """Welfare in one population, shape (2, households): two households of each covariates.

        Those of the first row are the census'. The second has others of the same areas, whom a
        survey may meet that is not linked to the census.
        """
        effect = rng.normal(0, self.sigma_u, self.areas)
        logs = 13.6 + 0.25 * census["schooling"] + 0.15 * (census["urban"] == "yes")
        logs = logs.to_numpy() + np.repeat(effect, self.census)
        return np.exp(logs + rng.normal(0, self.sigma_e, (2, len(census))))

    def sampled(self) -> np.ndarray:
        """Rows whose covariates the sample has: the first of each area, the same in every run."""
        sizes = np.random.default_rng(21).integers(
            self.sample // 2, self.sample + self.sample // 2 + 1, self.areas
        )
        sizes[self.areas - self.unsampled :] = 0
        return np.concatenate([a * self.census + np.arange(n) for a, n in enumerate(sizes)])


def study(
    setting: Setting,
    *,
    runs: int,
    replicates: int,
    seed: int = 0,
    transformation: str = "log",
    predictor: str = "census-eb",
    coverage: float = 0.95,
) -> pd.DataFrame:
    """Populations drawn again and again, and in each the estimates of P0 beside the truth.

    Parameters
    ----------
    setting
        The population and the sample.
    runs
        How many populations.
    replicates
        Of the bootstrap in each.
    seed
        Run r draws from (seed, r).
    transformation
        What is fitted; the truth is ``log``.
    predictor
        As in `empirical_best`: under ``eb`` the sample is a part of the census, under
        ``census-eb`` it has other households.
    coverage
        Of the normal interval, estimate -+ quantile times RMSE.

    Returns
    -------
    pandas.DataFrame
        One row per run and area: ``run, area, n_sample, truth, estimate, mse, direct`` (share of
        the sample below the line; missing without a sample), ``lower, upper, covered``.
    """
    census, rows = setting.census_table(), setting.sampled()
    reach = float(ndtri(0.5 + coverage / 2))
    found = []
    for run in range(runs):
        rng = np.random.default_rng(np.random.SeedSequence((seed, run)))
        welfare = setting.welfare(census, rng)
        poor = pd.Series(welfare[0] < setting.line).groupby(census[AREA]).mean()
        met = welfare[0 if predictor == "eb" else 1, rows]
        sample = census.iloc[rows].assign(**{WELFARE: met})
        result = empirical_best(
            sample,
            census,
            welfare=WELFARE,
            covariates=COVARIATES,
            area=AREA,
            line=setting.line,
            transformation=transformation,
            predictor=predictor,
            replicates=replicates,
            seed=int(rng.integers(2**31)),
        )
        direct = (sample[WELFARE] < setting.line).groupby(sample[AREA]).mean()
        areas, mse = result.areas, result.mse["p0"]
        lower, upper = (areas["p0"] + sign * reach * np.sqrt(mse) for sign in (-1, 1))
        truth = poor.reindex(areas["area"]).to_numpy()
        found.append(
            pd.DataFrame(
                {
                    "run": run,
                    "area": areas["area"],
                    "n_sample": areas["n_sample"],
                    "truth": truth,
                    "estimate": areas["p0"],
                    "mse": mse,
                    "direct": direct.reindex(areas["area"]).to_numpy(),
                    "lower": lower,
                    "upper": upper,
                    "covered": (lower <= truth) & (truth <= upper),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def by_area(study: pd.DataFrame) -> pd.DataFrame:
    """A `study` by area, over its runs.

    Returns
    -------
    pandas.DataFrame
        ``area, n_sample, mse_true`` (mean squared error of the estimate), ``mse_bootstrap`` (mean
        of what the bootstrap said), ``mse_direct, bias, coverage``.
    """
    squared = study.assign(
        mse_true=(study["estimate"] - study["truth"]) ** 2,
        mse_direct=(study["direct"] - study["truth"]) ** 2,
        bias=study["estimate"] - study["truth"],
    )
    means = squared.groupby(["area", "n_sample"], as_index=False).agg(
        mse_true=("mse_true", "mean"),
        mse_bootstrap=("mse", "mean"),
        mse_direct=("mse_direct", "mean"),
        bias=("bias", "mean"),
        coverage=("covered", "mean"),
    )
    return means


def verdict(study: pd.DataFrame) -> pd.Series:
    """What a `study` says in four numbers, and the Monte Carlo error of the second.

    ``coverage`` of the intervals; ``relative_bias`` of the bootstrap MSE (sums over areas), with
    ``relative_bias_se`` from the spread between runs; ``better_than_direct``, the share of sampled
    areas where the estimate's MSE is below the direct estimator's.

    A bootstrap with estimated variances is expected to be somewhat low, by a term of the order of
    one over the number of areas (Hall and Maiti 2006); some 2 % with 57 areas.
    """
    areas = by_area(study)
    squared = (study["estimate"] - study["truth"]) ** 2
    per_run = squared.groupby(study["run"]).sum()
    said = study["mse"].groupby(study["run"]).sum()
    ratio = said.mean() / per_run.mean()
    residual = said - ratio * per_run
    sampled = areas[areas["n_sample"] > 0]
    return pd.Series(
        {
            "coverage": study["covered"].mean(),
            "relative_bias": ratio - 1,
            "relative_bias_se": residual.std() / np.sqrt(len(residual)) / per_run.mean(),
            "better_than_direct": (sampled["mse_true"] < sampled["mse_direct"]).mean(),
        }
    )


def words(study: pd.DataFrame) -> str:
    """`verdict` in a sentence."""
    found = verdict(study)
    return (
        f"95 % intervals hold the truth in **{100 * found['coverage']:.1f} %** of the cases; the "
        f"bootstrap MSE is {100 * found['relative_bias']:+.1f} % off the true one (Monte Carlo "
        f"error {100 * found['relative_bias_se']:.1f}); the estimate has a smaller error than the "
        f"direct one in **{100 * found['better_than_direct']:.0f} %** of the sampled areas."
    ).replace("-", "−")


def draw_one(axes: Axes, study: pd.DataFrame, run: int = 0) -> None:
    """One population: truth, estimate with its interval and direct estimate by area, in percent."""
    own = study[study["run"] == run].sort_values("truth")
    at = np.arange(len(own))
    error = 100 * np.vstack([own["estimate"] - own["lower"], own["upper"] - own["estimate"]])
    axes.errorbar(
        at, 100 * own["estimate"], error, fmt="o", markersize=3, color="C0", elinewidth=0.9,
        label="estimate, 95 % interval",
    )  # fmt: skip
    axes.plot(at, 100 * own["direct"], "x", color="0.45", markersize=4, label="direct estimate")
    axes.plot(at, 100 * own["truth"], color="C1", linewidth=1.4, label="truth")
    axes.set_xticks([])
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylim(top=1.45 * axes.get_ylim()[1])  # room for the legend


def draw_errors(axes: Axes, study: pd.DataFrame) -> None:
    """By area: the RMSE that the bootstrap says, and the direct estimator's, against the true."""
    areas = by_area(study)
    true = 100 * np.sqrt(areas["mse_true"])
    axes.plot(true, 100 * np.sqrt(areas["mse_bootstrap"]), "o", markersize=3.5, label="bootstrap")
    axes.plot(true, 100 * np.sqrt(areas["mse_direct"]), "x", color="0.45", label="direct estimator")
    ends = [0, 1.05 * true.max()]
    axes.plot(ends, ends, color="C1", linewidth=1, label="as it is")
    axes.set_xlim(0.9 * true.min(), ends[1])
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
