"""Registers of persons and households that evaluations of single programmes read.

A user's own file is a CSV with the columns declared here; without one, a made-up register with
planted effects stands in (`analysis.synthetic.scores`), and everything says so.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from analysis import paths, provenance
from analysis.effects import discontinuity, matching, panels
from analysis.effects.design import Design, EffectsError
from analysis.effects.estimates import Check, Estimate, amount
from analysis.effects.panels import Panel
from analysis.synthetic import programmes, scores

# Columns of a file, and what stands in them.
PARTICIPANTS = {
    "person_id": "text",
    "age": "years",
    "female": "0/1",
    "schooling_years": "years",
    "household_size": "persons",
    "worked_before": "0/1, before the training",
    "income_before_rp": "rupiah a month, before the training",
    "trained": "0/1",
    "works": "0/1, after it",
    "income_rp": "rupiah a month, after it",
    "poor": "0/1, after it",
}
APPLICANTS = {
    "person_id": "text",
    "score": "points of the test",
    "age": "years",
    "female": "0/1",
    "schooling_years": "years",
    "household_size": "persons",
    "worked_before": "0/1, before the test",
    "other_aid": "0/1, in another programme",
    "licensed": "0/1",
    "works": "0/1, after it",
    "income_rp": "rupiah a month, after it",
    "poor": "0/1, after it",
}
REGISTER = {
    "household_id": "text",
    "score": "eligibility score, low is poor",
    "household_size": "persons",
    "head_age": "years",
    "head_female": "0/1",
    "head_schooling_years": "years",
    "health_aid": "0/1, in another programme",
    "pkh": "0/1, received",
    "kjp": "0/1, received",
    "food_aid_rp": "rupiah a month, received",
    "expenditure_rp": "rupiah a month and household",
    "food_rp": "rupiah a month and household, spent on food",
    "poor": "0/1",
    "in_school": "0/1, the child of 16 to 18",
}
# One row per kecamatan and year.
ROLLOUT_OUTCOMES = ("work_pct", "income_rp", "poverty_pct")
ROLLOUT = {
    "unit_code": "text, the BPS code of the kecamatan",
    "kota_code": "text",
    "period": "year",
    "first_treated": "year in which the programme came; empty: never",
    "work_pct": "percent of persons who work",
    "income_rp": "rupiah a month",
    "poverty_pct": "percent of residents",
}
_BINARY = {
    name
    for columns in (PARTICIPANTS, APPLICANTS, REGISTER)
    for name, what in columns.items()
    if what.startswith("0/1")
}
# Violations that the checks are shown to notice, and at which multiples of their size.
HIDDEN, SORTING = scores.HIDDEN_SELECTION, scores.MANIPULATION
SIZES = (0.0, 0.25, 0.5, 1.0)
NAMES = {
    "age": "Age",
    "female": "Woman",
    "schooling_years": "Years of schooling",
    "household_size": "Household size",
    "worked_before": "Worked before",
    "work_pct": "Work (%)",
    "poverty_pct": "Poverty (%)",
    "income_before_rp": "Income before (Rp a month)",
    "other_aid": "Other programme",
    "works": "Works",
    "income_rp": "Income (Rp a month)",
    "poor": "Poor",
    "head_age": "Age of head",
    "head_female": "Head is a woman",
    "head_schooling_years": "Schooling of head (years)",
    "health_aid": "Health aid (other programme)",
}


def open_file(path: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """A user's own file.

    Parameters
    ----------
    path
        A CSV; relative to the project's folder. The record of the run holds its name and checksum.
    columns
        One of the formats of this module; the file may have more columns.

    Raises
    ------
    EffectsError
        The file cannot be read, lacks a column, holds a value of another kind than declared, or
        names a person or household twice.
    """
    file = Path(path)
    file = file if file.is_absolute() else paths.ROOT / file
    key = next(iter(columns))
    try:
        table = pd.read_csv(file, dtype={key: "str", "kecamatan_code": "str"})
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise EffectsError(f"the register {file.name} cannot be read ({reason})") from None
    missing = [f"{name} ({columns[name]})" for name in columns if name not in table]
    if missing:
        raise EffectsError(f"{file.name} lacks columns: {', '.join(missing)}")
    for name, what in columns.items():
        if what == "text":
            continue
        odd = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
        if what.startswith("0/1"):
            odd |= table[name].notna() & ~table[name].isin([0, 1])
        if odd.any():
            value = table.loc[odd, name].iloc[0]
            raise EffectsError(
                f"{file.name}, row {odd.idxmax() + 2}: {name} is {str(value)!r}, and not {what}"
            )
    if table[key].duplicated().any():
        twice = table.loc[table[key].duplicated(), key]
        raise EffectsError(f"{file.name}: {len(twice)} rows repeat a {key}: keep one row of each")
    provenance.record(file, name=file.name)
    return table


def participants(path: str = "", seed: int = 0) -> pd.DataFrame:
    """Persons who chose a training or not: a user's file, or made up."""
    return open_file(path, PARTICIPANTS) if path else scores.participants(seed=seed)


def applicants(path: str = "", seed: int = 0) -> pd.DataFrame:
    """Persons with a test score that decides on a licence: a user's file, or made up."""
    return open_file(path, APPLICANTS) if path else scores.applicants(seed=seed)


def households(path: str = "", seed: int = 0) -> pd.DataFrame:
    """Households with an eligibility score: a user's file, or made up."""
    return open_file(path, REGISTER) if path else scores.register(seed=seed)


def rollout(path: str = "", seed: int = 0) -> tuple[Panel, programmes.Programme | None]:
    """A programme that came to kecamatan in different years: a user's panel, or a made-up one.

    Returns
    -------
    Panel
        Outcomes ``work_pct, income_rp, poverty_pct``, clusters the kota.
    Programme or None
        The made-up programme with its planted effects; None for a user's panel.

    Raises
    ------
    PanelError
        See `analysis.effects.panels.panel`; the columns are those of `ROLLOUT`.
    """
    named = {
        "unit": "unit_code",
        "time": "period",
        "outcomes": ROLLOUT_OUTCOMES,
        "start": "first_treated",
        "cluster": "kota_code",
    }
    if path:
        return panels.read(path, level="kecamatan", **named), None
    made = programmes.rollout(programmes.KECAMATAN, seed=seed)
    return panels.panel(made.panel, **named), made


def whose(*given: str) -> str:
    """What the figures of a notebook rest on, in words, from the paths that a user gave."""
    if all(given):
        return "your data"
    if any(given):
        return "your data and, where you named none, made-up data with planted effects"
    return "made-up data with planted effects"


def sources(*given: str) -> list[str]:
    """What figures name as their source: the user's files, and what the made-up ones live in."""
    made = [] if all(given) else ["kelurahan_population_2024"]
    return [*made, *(Path(path).name for path in given if path)]


def opening(needed: str, *given: str) -> str:
    """How an answer begins: on whose data; and, where none were given, that none are published."""
    if any(given):
        return f"On {whose(*given)}"
    return (
        f"{needed} were not found published, so that nothing is said here of Jakarta. "
        f"On {whose(*given)}"
    )


def noticed(violation: str, replicates: int) -> pd.DataFrame:
    """How often a check notices a violation on made-up data, by its size: a small power curve.

    Parameters
    ----------
    violation
        ``hidden selection``, noticed by the placebo outcome, or ``manipulation``, by the density.
    replicates
        Made-up data per size.

    Returns
    -------
    pandas.DataFrame
        ``size`` (a multiple of that in `analysis.synthetic.scores`; 0: nothing is wrong),
        ``noticed_pct, low_pct, high_pct`` (95 % Wilson interval).
    """
    if replicates < 1:
        raise EffectsError(f"{replicates} replicates: at least 1 is needed")
    check = {HIDDEN: _hidden_selection, SORTING: _sorting}[violation]
    rows = []
    for size in SIZES:
        found = sum(not check(seed, size).passed for seed in range(replicates))
        low, high = proportion_confint(found, replicates, method="wilson")
        rows.append((size, 100 * found / replicates, 100 * low, 100 * high))
    return pd.DataFrame(rows, columns=["size", "noticed_pct", "low_pct", "high_pct"])


def _hidden_selection(seed: int, size: float) -> Check:
    made = scores.participants(1_000, seed, HIDDEN, size)
    before = "income_before_rp"
    groups = matching.groups(made, "trained", scores.COVARIATES, [before])
    return matching.placebo(groups, before)


def _sorting(seed: int, size: float) -> Check:
    made = scores.applicants(2_000, seed, SORTING, size)
    rule = discontinuity.Rule("score", scores.LICENCE_CUTOFF, discontinuity.ABOVE)
    return discontinuity.density(made, rule)


def finding(estimate: Estimate, what: str) -> str:
    """One estimate as a sentence that claims no more than its interval."""
    if estimate.excludes_zero:
        verb = "rises" if estimate.effect > 0 else "falls"
        return f"{what} {verb} by {_size(estimate)}"
    return f"{what}: no effect can be told from chance ({estimate.words()})"


def _size(estimate: Estimate) -> str:
    low, high = sorted((abs(estimate.lower), abs(estimate.upper)))
    value, low, high = (amount(v, estimate.unit) for v in (abs(estimate.effect), low, high))
    return f"{value} {estimate.unit} ({estimate.level * 100:g} % interval {low} to {high})"


def design_table(designs: Mapping[str, Design]) -> pd.DataFrame:
    """Several declarations side by side: ``item`` and a column per design, all of it text."""
    columns = {}
    for name, design in designs.items():
        declared = design.declaration().set_index("item")["declared"]
        is_assumption = declared.index.str.startswith("Assumption")
        told = "; ".join(f"{a.name} – {a.check}" for a in design.assumptions)
        kept = declared[~is_assumption]
        before = list(kept.index).index("Inference")
        columns[name] = pd.concat(
            [kept.iloc[:before], pd.Series({"Assumptions – checks": told}), kept.iloc[before:]]
        )
    return pd.DataFrame(columns).rename_axis("item").reset_index()


def in_units(effects: pd.DataFrame) -> pd.DataFrame:
    """Tables of many outcomes (``outcome, effect``) with the effect as text in units people use.

    By the suffix of the outcome: rupiah, points of a percentage, or points of an outcome that the
    formats of this module declare as 0/1; any other is a plain number.
    """
    told = []
    for outcome, effect in zip(effects["outcome"], effects["effect"], strict=True):
        if outcome.endswith("_rp"):
            told.append(f"Rp {effect:,.0f}")
        elif outcome.endswith("_pct") or outcome in _BINARY:
            told.append(f"{effect if outcome.endswith('_pct') else 100 * effect:.1f} points")
        else:
            told.append(f"{effect:,.2f}")
    return effects.assign(effect=told)


def family(estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    """Leading estimates of several designs with p-values that know how many there are.

    Returns ``what, effect`` (text with its interval), ``p_value, holm_p_value``, a row each.
    """
    p = [estimate.p_value for estimate in estimates.values()]
    return pd.DataFrame(
        {
            "what": list(estimates),
            "effect": [estimate.words() for estimate in estimates.values()],
            "p_value": p,
            "holm_p_value": multipletests(p, method="holm")[1],
        }
    )


def truth_table(rows: Sequence[tuple[str, Estimate, float]]) -> pd.DataFrame:
    """Estimates against what was planted: ``what, effect, lower, upper, planted, inside``, text but
    for the last."""
    return pd.DataFrame(
        [
            (
                what,
                *(amount(v, e.unit) for v in (e.effect, e.lower, e.upper, planted)),
                bool(e.lower <= planted <= e.upper),
            )
            for what, e, planted in rows
        ],
        columns=["what", "effect", "lower", "upper", "planted", "inside"],
    )
