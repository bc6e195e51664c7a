"""Slum scores as a reader sees them: tables and words of classes, rules, agreement of two sets."""

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from analysis import regions, slums
from analysis.slums import Rules, Sensitivity

HEADERS = {
    "slum_class": "Class",
    "rw_count": "RW",
    "rw_share_pct": "% of RW",
    "area_ha": "Hectares",
    "population_count": "Residents",
    "aspect": "Aspect",
    "limits": "Slum condition",
    "basis": "Basis of the limit",
    "varied": "What is varied",
    "kept_pct": "RW that keep their class (%)",
    "kappa": "Kappa",
    "kappa_low": "5 %",
    "kappa_high": "95 %",
    "slum_rw_range": "Slum RW, 5–95 %",
    "rw_name": "RW",
    "kota": "Kota",
    "score": "Score",
    "rank_range": "Rank, 5–95 %",
    "slum_share": "Slum in draws (%)",
    "area_name": "Kelurahan",
    "slum_rw_count": "Slum RW",
    "slum_rw_of_rw_pct": "% of RW",
    "slum_area_of_rw_area_pct": "% of area",
    "slum_residents_of_residents_pct": "% of residents",
}
DECIMALS = {
    "rw_share_pct": 1,
    "kept_pct": 0,
    "kappa": 2,
    "kappa_low": 2,
    "kappa_high": 2,
    "score": 1,
    "slum_share": 0,
    "slum_rw_of_rw_pct": 0,
    "slum_area_of_rw_area_pct": 0,
    "slum_residents_of_residents_pct": 0,
}


def applies(rw: pd.DataFrame, rules: Rules) -> bool:
    """Whether the table has a column for every criterion of the rules."""
    return all(any(m.column in rw for m in criterion.measures) for criterion in rules.criteria)


def rules_table(rules: Rules) -> pd.DataFrame:
    """``aspect, limits, basis`` of a set of rules, one row per criterion and one of the classes."""
    return slums.rules_table(rules)[["aspect", "limits", "basis"]]


def sensitivity_table(rw: pd.DataFrame, rules: Rules, draws: int, seed: int) -> pd.DataFrame:
    """`analysis.slums.sensitivity_table` with the range of the number of slum RW as text."""
    found = slums.sensitivity_table(rw, rules, draws, seed)
    low, high = found["slum_rw_low_count"], found["slum_rw_high_count"]
    text = [f"{a}–{b}" for a, b in zip(low, high, strict=True)]
    columns = ["varied", "kept_pct", "kappa", "kappa_low", "kappa_high"]
    return found[columns].assign(slum_rw_range=text)


def worst_table(found: Sensitivity, names: pd.Series, most: int = 12) -> pd.DataFrame:
    """The RW with the highest scores, with how far their rank reaches in the draws.

    ``names`` are those of the kelurahan by code.
    """
    own = found.rows.sort_values(["score", "kelurahan_code", "rw"], ascending=[False, True, True])
    own = own.head(most)
    reach = zip(own["rank_low"], own["rank_high"], strict=True)
    return pd.DataFrame(
        {
            "rw_name": [
                f"{names[code]} RW {rw}"
                for code, rw in zip(own["kelurahan_code"], own["rw"], strict=True)
            ],
            "kota": own["kelurahan_code"].str[:4].map(regions.KOTA).to_numpy(),
            "score": own["score"].to_numpy(),
            "slum_class": own["slum_class"].astype("str").to_numpy(),
            "rank_range": [f"{low:.0f}–{high:.0f}" for low, high in reach],
            "slum_share": 100 * own["slum_share"].to_numpy(),
        }
    )


def kelurahan_table(scored: pd.DataFrame, names: pd.Series, most: int = 10) -> pd.DataFrame:
    """The kelurahan with the largest share of residents in slum RW, by all three denominators."""
    own = slums.scores_by_kelurahan(scored)
    shares = ["slum_rw_of_rw_pct", "slum_area_of_rw_area_pct", "slum_residents_of_residents_pct"]
    order = shares[2] if own[shares[2]].notna().any() else shares[0]
    own = own.sort_values([order, "kelurahan_code"], ascending=[False, True]).head(most)
    return pd.DataFrame(
        {
            "area_name": own["kelurahan_code"].map(names).to_numpy(),
            "kota": own["kelurahan_code"].str[:4].map(regions.KOTA).to_numpy(),
            **{name: own[name].to_numpy() for name in ("rw_count", "slum_rw_count", *shares)},
        }
    )


def crossed(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """RW by class under two sets of rules, as numbers: rows the first set, columns the second."""
    table = pd.crosstab(first["slum_class"], second["slum_class"], dropna=False)
    table = table.iloc[::-1, ::-1]
    return (
        table.rename_axis(columns=None)
        .rename_axis("slum_class")
        .reset_index()
        .astype({"slum_class": "str"})
    )


def agreement_words(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """How far two sets of rules agree on which RW are slums, beyond chance."""
    both = first["slum_class"].notna() & second["slum_class"].notna()
    a = (first.loc[both, "slum_class"] != slums.NOT_SLUM).to_numpy()
    b = (second.loc[both, "slum_class"] != slums.NOT_SLUM).to_numpy()
    counts = np.array([[(~a & ~b).sum(), (~a & b).sum()], [(a & ~b).sum(), (a & b).sum()]])
    words = (
        f"{a.sum()} RW are slums by the first set, {b.sum()} by the second, {counts[1, 1]} by both."
    )
    if a.any() and b.any() and not (a.all() or b.all()):
        kappa = float(cohens_kappa(counts, return_results=False))
        words += f" Cohen's kappa of slum or not is {kappa:.2f}".replace("-", "−")
        words += " (0 is chance, 1 is full agreement)."
    return words


def classes_words(scored: pd.DataFrame) -> str:
    """``445 of 2,730 RW are slums: 15 berat, 99 sedang, ...``."""
    counts = scored["slum_class"].value_counts()
    *worst, _ = (f"{counts[name]:,} {name}" for name in reversed(counts.index.categories))
    slum = counts.sum() - counts[slums.NOT_SLUM]
    missing = scored["slum_class"].isna().sum()
    rest = f"; {missing:,} have no score" if missing else ""
    return f"{slum:,} of {len(scored):,} RW are slums: {', '.join(worst)}{rest}"


def range_words(found: Sensitivity) -> str:
    """How many slum RW there are when what the rules assume is varied."""
    low, high = found.draws["slum_rw_count"].quantile([0.05, 0.95])
    return (
        f"The rules are not all published: with the assumed parts varied the number lies between "
        f"{low:,.0f} and {high:,.0f} in nine of ten draws"
    )
