"""Slum RW where nothing is published by RW: a count model, and whether it may be used.

Listed slum RW y_d of kelurahan d in kota k are negative binomial (NB2, Cameron and Trivedi 1986)
with mean ``c_k n_d exp(x_d' beta)``: n_d its RW, x_d the logarithm of its density and its share of
flood-prone RW, and c_k the completeness of the list, the listed over the published total of the
kota. With c_k known, ``n_d exp(x_d' beta)`` counts all slum RW; without it c_k and the constant
cannot be told apart, and the list has a total of its own census in one kota only. The other kota
take that value, which is an assumption and no estimate.

What the model must show is fixed here, before any fit. If it does not, `predict` refuses.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import floods, regions
from analysis.slums.published import KOTA_WITH_LIST, NOT_PUBLISHED, SlumError

YEAR = 2017  # of the totals that completeness is measured against
RANK_LEAST = 0.3  # rank correlation of predicted and listed share in every kota left out
INTERVAL = 0.9  # predictive interval in which the total of every kota left out must lie
DRAWS = 2_000

_COVARIATES = ("log_density", "flood_prone_share")


@dataclass(frozen=True, eq=False)
class PredictionCheck:
    """Whether the count model may be used, kota left out by kota.

    Attributes
    ----------
    folds
        One row per kota with a list, predicted from the other two: ``kota_code, kota,
        kelurahan_count, listed_count, predicted_count, low_count, high_count`` (predictive
        interval), ``rank_correlation`` (of shares), ``log_score_gain`` (mean logarithm of the
        predictive density of a kelurahan, less that of the model without covariates).
    totals
        Kota without a list whose total of 2017 is published: ``kota_code, kota,
        published_count, predicted_count, low_count, high_count`` (of all slum RW, by the model
        of all three kota and the completeness below).
    criteria
        ``criterion, needed, found, met``: fixed beforehand, all have to be met.
    coefficients
        Of the model of all kota: ``term, estimate, se`` (none for the dispersion).
    completeness
        ``kota_code, completeness, basis`` (published, or that of the others).
    """

    folds: pd.DataFrame
    totals: pd.DataFrame
    criteria: pd.DataFrame
    coefficients: pd.DataFrame
    completeness: pd.DataFrame

    @property
    def valid(self) -> bool:
        return bool(self.criteria["met"].all())

    def words(self) -> str:
        """The verdict and what it rests on."""
        met, all_of_them = int(self.criteria["met"].sum()), len(self.criteria)
        known = self.completeness["basis"].eq("published").sum()
        verdict = (
            "The predicted layer passes its validation and is shown apart, as modelled."
            if self.valid
            else "The predicted layer does not pass its validation and is left out."
        )
        found = "; ".join(f"{row.criterion}: {row.found}" for row in self.criteria.itertuples())
        return (
            f"{verdict} It meets {met} of {all_of_them} criteria that were fixed beforehand "
            f"({found}). How much of the slum RW the list has is known for {known} of "
            f"{len(self.completeness)} kota that have one."
        )


def validate_prediction(
    areas: pd.DataFrame, by_kelurahan: pd.DataFrame, series: pd.DataFrame, seed: int = 0
) -> PredictionCheck:
    """Leave out one kota after the other, and predict it from the other two.

    Parameters
    ----------
    areas
        Table ``kelurahan``.
    by_kelurahan
        Table ``slum_kelurahan``. Where none is listed the count is zero *listed*: that is what
        the model is about, and completeness turns it into slum RW.
    series
        Table ``slum_counts``.
    seed
        Of the draws of predictive intervals.

    Raises
    ------
    SlumError
        No kota with a list has a published total of 2017: then completeness is unknown.
    """
    data = _data(areas, by_kelurahan)
    complete = _completeness(by_kelurahan, series)
    data["exposure"] = data["rw_count"] * data["kota_code"].map(complete.set_index("kota_code")[
        "completeness"]).fillna(1.0)  # fmt: skip
    listed = data[data["kota_code"].isin(KOTA_WITH_LIST)]
    rng = np.random.default_rng(seed)
    folds = []
    for code in KOTA_WITH_LIST:
        out, rest = listed[listed["kota_code"] == code], listed[listed["kota_code"] != code]
        fit, null = _fit(rest, _COVARIATES), _fit(rest, ())
        mean = _mean(fit, out, _COVARIATES)
        low, high = _interval(fit, out, rng)
        share = out["listed_count"] / out["rw_count"]
        folds.append(
            {
                "kota_code": code,
                "kota": regions.KOTA[code],
                "kelurahan_count": len(out),
                "listed_count": int(out["listed_count"].sum()),
                "predicted_count": mean.sum(),
                "low_count": low,
                "high_count": high,
                "rank_correlation": share.corr(mean / out["exposure"], method="spearman"),
                "log_score_gain": _log_score(fit, out, _COVARIATES) - _log_score(null, out, ()),
            }
        )
    folds = pd.DataFrame(folds)
    fit = _fit(listed, _COVARIATES)
    totals = _totals(fit, data, series, rng)
    names = ["constant", "logarithm of density", "share of flood-prone RW", "dispersion"]
    coefficients = pd.DataFrame({"term": names, "estimate": [*fit.beta, fit.dispersion],
                                 "se": [*np.sqrt(np.diag(fit.covariance)), np.nan]})  # fmt: skip
    return PredictionCheck(
        folds, totals, _criteria(folds, totals), coefficients.reset_index(drop=True), complete
    )


def predict(
    check: PredictionCheck,
    areas: pd.DataFrame,
    by_kelurahan: pd.DataFrame,
    seed: int = 0,
) -> pd.DataFrame:
    """Modelled slum RW of the kelurahan for which nothing is published by RW.

    Parameters
    ----------
    check
        `validate_prediction` of the same tables.
    areas, by_kelurahan, seed
        As there.

    Returns
    -------
    pandas.DataFrame
        ``kelurahan_code, kota_code, slum_rw_modelled_count, low_count, high_count`` (predictive
        interval). Kelurahan without a count of RW or without a share of flood-prone RW are left
        out.

    Raises
    ------
    SlumError
        The model did not pass its validation.
    """
    if not check.valid:
        raise SlumError(f"nothing is predicted: {check.words()}")
    data = _data(areas, by_kelurahan)
    share = data["kota_code"].map(check.completeness.set_index("kota_code")["completeness"])
    data["exposure"] = data["rw_count"] * share.fillna(1.0)
    fit = _fit(data[data["kota_code"].isin(KOTA_WITH_LIST)], _COVARIATES)
    out = data[data["status"] == NOT_PUBLISHED]
    drawn = _draws(fit, out, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    return (
        out[["kelurahan_code", "kota_code"]]
        .assign(slum_rw_modelled_count=_mean(fit, out, _COVARIATES), low_count=low, high_count=high)
        .reset_index(drop=True)
    )


def _data(areas: pd.DataFrame, by_kelurahan: pd.DataFrame) -> pd.DataFrame:
    """Kelurahan with all covariates."""
    data = areas[["kelurahan_code", "kota_code", "rw_count", "density_per_km2"]].copy()
    # Standardised roughly, by fixed amounts, so that no fold changes the scale.
    data["log_density"] = np.log(data["density_per_km2"] / 20_000)
    data["flood_prone_share"] = floods.rw_share(areas)["flood_prone_share_pct"] / 100
    columns = ["kelurahan_code", "status", "slum_rw_listed_count"]
    data = data.merge(by_kelurahan[columns], on="kelurahan_code", validate="1:1")
    data["listed_count"] = data["slum_rw_listed_count"].fillna(0).astype(float)
    data = data[data["rw_count"].notna() & data["flood_prone_share"].notna()]
    return data.astype({"rw_count": float}).reset_index(drop=True)


def _completeness(by_kelurahan: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    listed = by_kelurahan.groupby("kota_code")["slum_rw_listed_count"].sum()
    total = series[series["year"] == YEAR].set_index("area")["slum_rw_count"]
    known = {
        code: listed[code] / total[regions.KOTA[code]]
        for code in KOTA_WITH_LIST
        if regions.KOTA[code] in total.index
    }
    if not known:
        raise SlumError(f"no kota with a list has a published total of {YEAR}")
    other = float(np.mean(list(known.values())))
    return pd.DataFrame(
        [
            [code, float(known.get(code, other)), "published" if code in known else "of the others"]
            for code in KOTA_WITH_LIST
        ],
        columns=["kota_code", "completeness", "basis"],
    )


def _design(data: pd.DataFrame, covariates: tuple[str, ...]) -> np.ndarray:
    return np.column_stack([np.ones(len(data)), *(data[name] for name in covariates)])


@dataclass(frozen=True)
class _Fit:
    """Coefficients with their covariance, and the dispersion of NB2 (0: Poisson)."""

    beta: np.ndarray
    covariance: np.ndarray
    dispersion: float


def _fit(data: pd.DataFrame, covariates: tuple[str, ...]) -> _Fit:
    from statsmodels.discrete.discrete_model import NegativeBinomial, Poisson  # slow to import

    counts, design = data["listed_count"].to_numpy(), _design(data, covariates)
    exposure = data["exposure"].to_numpy()
    poisson = Poisson(counts, design, exposure=exposure).fit(disp=0)
    beta, covariance, dispersion = poisson.params, poisson.cov_params(), 0.0
    if (poisson.resid_pearson**2).sum() > poisson.df_resid:
        with warnings.catch_warnings():
            # Near its bound of zero the likelihood is flat in the dispersion: Poisson will do.
            warnings.simplefilter("ignore")
            wider = NegativeBinomial(counts, design, exposure=exposure).fit(disp=0, maxiter=500)
        if wider.mle_retvals["converged"] and np.isfinite(wider.bse).all():
            beta, dispersion = wider.params[:-1], float(wider.params[-1])
            covariance = wider.cov_params()[:-1, :-1]
    return _Fit(np.asarray(beta), np.asarray(covariance), dispersion)


def _mean(fit: _Fit, data: pd.DataFrame, covariates: tuple[str, ...]) -> np.ndarray:
    return data["exposure"].to_numpy() * np.exp(_design(data, covariates) @ fit.beta)


def _log_score(fit: _Fit, data: pd.DataFrame, covariates: tuple[str, ...]) -> float:
    from scipy import stats  # slow to import

    counts, mean = data["listed_count"], _mean(fit, data, covariates)
    if fit.dispersion == 0:
        return float(stats.poisson.logpmf(counts, mean).mean())
    size = 1 / fit.dispersion
    return float(stats.nbinom.logpmf(counts, size, size / (size + mean)).mean())


def _draws(fit: _Fit, data: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Predictive draws (draws, kelurahan): of the coefficients, then of the counts."""
    beta = rng.multivariate_normal(fit.beta, fit.covariance, size=DRAWS)
    mean = data["exposure"].to_numpy() * np.exp(beta @ _design(data, _COVARIATES).T)
    if fit.dispersion > 0:
        mean = rng.gamma(1 / fit.dispersion, mean * fit.dispersion)
    return rng.poisson(mean)


def _interval(fit: _Fit, data: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float]:
    total = _draws(fit, data, rng).sum(axis=1)
    low, high = np.quantile(total, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def _totals(
    fit: _Fit, data: pd.DataFrame, series: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    total = series[series["year"] == YEAR].set_index("area")["slum_rw_count"]
    rows = []
    for code, name in regions.KOTA.items():
        out = data[data["kota_code"] == code]
        if code in KOTA_WITH_LIST or name not in total.index or out.empty:
            continue
        low, high = _interval(fit, out, rng)
        rows.append([code, name, int(total[name]), _mean(fit, out, _COVARIATES).sum(), low, high])
    columns = ["kota_code", "kota", "published_count", "predicted_count", "low_count", "high_count"]
    return pd.DataFrame(rows, columns=columns)


def _criteria(folds: pd.DataFrame, totals: pd.DataFrame) -> pd.DataFrame:
    inside = folds["listed_count"].between(folds["low_count"], folds["high_count"])
    outside = totals["published_count"].between(totals["low_count"], totals["high_count"])
    ranks, gains = folds["rank_correlation"], folds["log_score_gain"]
    rows = [
        (
            "rank correlation with the list in a kota left out",
            f"at least {RANK_LEAST} in each",
            ", ".join(f"{value:.2f}" for value in ranks).replace("-", "−"),
            bool((ranks >= RANK_LEAST).all()),
        ),
        (
            "log score against the model without covariates",
            "better in each kota left out",
            f"better in {(gains > 0).sum()} of {len(gains)}",
            bool((gains > 0).all()),
        ),
        (
            "listed total of a kota left out",
            f"in the {INTERVAL * 100:.0f} % interval of each",
            f"in {inside.sum()} of {len(inside)}",
            bool(inside.all()),
        ),
        (
            f"published total of {YEAR} of a kota without a list",
            f"in the {INTERVAL * 100:.0f} % interval of each",
            f"in {outside.sum()} of {len(outside)}",
            bool(len(outside) > 0 and outside.all()),
        ),
    ]
    return pd.DataFrame(rows, columns=["criterion", "needed", "found", "met"])
