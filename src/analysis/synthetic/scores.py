"""Households and persons whom a score or a choice puts into a programme, with effects planted.

`register` is what transfers are paid by: households with an eligibility score. `applicants` took
a test whose score decides on a licence. `participants` chose a training, or did not. In each the
effects are the constants below; ``violation`` breaks one assumption by a size fixed beforehand.
Nothing here is an estimate of anything real: amounts are of the order of those paid, and that is
all.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis import provenance, regions
from analysis.synthetic.official import SyntheticError

# ---- the register ----
PKH_CUTOFF, KJP_CUTOFF, FOOD_KINK = 20.0, 45.0, 70.0  # eligible at or below; the aid tapers above
# Scores between which only one rule decides.
PKH_WINDOW, KJP_WINDOW, FOOD_WINDOW = (0.0, 44.99), (20.01, 69.99), (45.01, 89.99)
FOOD_FULL_RP, FOOD_TAPER_RP = 300_000, 15_000  # a month; and so much less per point above the kink
FOOD_TAKEUP = 0.95
TAKEUP_ELIGIBLE, TAKEUP_OTHERS = 0.80, 0.10  # exclusion and inclusion error
PKH_POOR = -0.08  # of the probability of being poor
PKH_EXPENDITURE_RP = 180_000  # of a household's expenditure a month
KJP_SCHOOL = 0.10  # of the probability that a child of 16-18 is in school
FOOD_PER_RUPIAH = 0.60  # rupiah of spending on food per rupiah of aid

# ---- applicants for a licence ----
LICENCE_CUTOFF = 60.0  # licensed at or above
LICENCE_TAKEUP = 0.75, 0.05  # at or above, and below
LICENCE_WORK, LICENCE_INCOME_RP, LICENCE_POOR = 0.10, 350_000, -0.05

# ---- who chose the training ----
TRAINING_WORK, TRAINING_INCOME_RP, TRAINING_POOR = 0.06, 250_000, -0.04
COVARIATES = ["age", "female", "schooling_years", "household_size", "worked_before"]

# ---- violations, with their sizes ----
MANIPULATION, OTHER_PROGRAMME = "manipulation", "other programme"
HIDDEN_SELECTION, NO_OVERLAP = "hidden selection", "no overlap"
VIOLATIONS = {
    # Of those within SORTING_POINTS beyond the cut-off, this share gets to its good side.
    MANIPULATION: 0.5,
    # Share of the eligible side that another programme at the same cut-off reaches (others: 0).
    OTHER_PROGRAMME: 0.3,
    # Log-odds of taking the training per standard deviation of a drive nobody has measured.
    HIDDEN_SELECTION: 0.8,
    # Factor on the log-odds that circumstances give.
    NO_OVERLAP: 6.0,
}
SORTING_POINTS = 3.0
_STREAMS = {"register": 1, "applicants": 2, "participants": 3}
OTHER_EFFECT = 0.5  # of the other programme, as a multiple of the planted effects


def register(
    household_count: int = 12_000,
    seed: int = 0,
    violation: str | None = None,
    size: float = 1.0,
) -> pd.DataFrame:
    """Households of a register with an eligibility score from 0 (poorest) to 100.

    PKH is for scores up to 20, KJP Plus up to 45; food aid is paid in full up to 70 and tapers to
    nothing at 90 (rules made for this register: the real ones differ by programme and year).

    Parameters
    ----------
    household_count
        Rows.
    seed
        The same seed gives the same households.
    violation
        ``manipulation`` or ``other programme`` (both at all cut-offs); none if not given.
    size
        A multiple of the size in `VIOLATIONS`.

    Returns
    -------
    pandas.DataFrame
        ``household_id, kecamatan_code`` (text), ``score`` (0-100), ``household_size, head_age,
        head_female, head_schooling_years`` (fixed before), ``health_aid`` (another programme, 0/1),
        ``pkh, kjp`` (received, 0/1), ``food_aid_rp`` (a month), ``expenditure_rp, food_rp``
        (spent by a household in a month), ``poor, in_school`` (0/1).

    Raises
    ------
    SyntheticError
        The violation is unknown or not one of a register, or a count or size is not positive.
    """
    rng = _begin(
        "register", household_count, seed, violation, size, (MANIPULATION, OTHER_PROGRAMME)
    )
    n = household_count
    need = rng.normal(size=n)  # what the score does not see
    score = 100 * rng.beta(1.25, 1.25, n)
    by = _sizes(violation, size)
    for cutoff in (PKH_CUTOFF, KJP_CUTOFF):
        # The needier ones find the official who helps.
        score = _sorted_in(rng, score, cutoff, by[MANIPULATION], below=True, by=need > 0)
    score = score.round(4)
    table = _people(rng, n, "household_id", "R")
    table["score"] = score
    table["household_size"] = 1 + rng.poisson(3.4 - 0.008 * score)
    table["head_age"] = np.clip(rng.normal(45 + 0.02 * score, 9, n), 20, 85).round()
    table["head_female"] = (rng.random(n) < 0.24 - 0.0008 * score).astype(int)
    table["head_schooling_years"] = np.clip(
        rng.normal(7 + 0.05 * score - 0.8 * need, 2.5, n), 0, 18
    ).round()
    reach = np.full(n, 0.15)
    eligible = {"pkh": score <= PKH_CUTOFF, "kjp": score <= KJP_CUTOFF}
    for reached in eligible.values():
        reach = reach + by[OTHER_PROGRAMME] * reached
    table["health_aid"] = (rng.random(n) < reach).astype(int)
    for name, reached in eligible.items():
        chance = np.where(reached, TAKEUP_ELIGIBLE, TAKEUP_OTHERS)
        table[name] = (rng.random(n) < chance).astype(int)
    food = FOOD_FULL_RP - FOOD_TAPER_RP * np.clip(score - FOOD_KINK, 0, 20)
    table["food_aid_rp"] = np.round(food * (rng.random(n) < FOOD_TAKEUP))
    other = OTHER_EFFECT * table["health_aid"] if violation == OTHER_PROGRAMME else 0.0
    x = score / 100
    table["expenditure_rp"] = (
        2_400_000 + 1_500_000 * x + 600_000 * x**2 - 60_000 * need
        + PKH_EXPENDITURE_RP * (table["pkh"] + other)
        + rng.normal(0, 150_000, n)
    ).round()  # fmt: skip
    table["food_rp"] = (
        1_100_000 + 500_000 * x + 60_000 * x**2 - 20_000 * need
        + FOOD_PER_RUPIAH * table["food_aid_rp"]
        + rng.normal(0, 60_000, n)
    ).round()  # fmt: skip
    poor = 0.62 - 0.45 * x - 0.10 * x**2 + 0.04 * need + PKH_POOR * (table["pkh"] + other)
    school = 0.55 + 0.25 * x + 0.06 * x**2 - 0.03 * need + KJP_SCHOOL * (table["kjp"] + other)
    table["poor"] = (rng.random(n) < poor).astype(int)
    table["in_school"] = (rng.random(n) < school).astype(int)
    return table


def applicants(
    person_count: int = 6_000,
    seed: int = 0,
    violation: str | None = None,
    size: float = 1.0,
) -> pd.DataFrame:
    """Persons who finished a training and took a test; from a score of 60 on they get a licence.

    Parameters as in `register`.

    Returns
    -------
    pandas.DataFrame
        ``person_id, kecamatan_code`` (text), ``score`` (0-100), ``age, female, schooling_years,
        household_size, worked_before`` (fixed before), ``other_aid`` (0/1), ``licensed`` (0/1),
        ``works, income_rp`` (a month), ``poor``.

    Raises
    ------
    SyntheticError
        See `register`.
    """
    rng = _begin("applicants", person_count, seed, violation, size, (MANIPULATION, OTHER_PROGRAMME))
    n, by = person_count, _sizes(violation, size)
    table, drive = _persons(rng, n)
    score = 100 * rng.beta(3.0, 2.4, n)
    score = _sorted_in(rng, score, LICENCE_CUTOFF, by[MANIPULATION], below=False, by=drive > 0)
    table["score"] = score.round(4)
    above = table["score"] >= LICENCE_CUTOFF
    table["other_aid"] = (rng.random(n) < 0.1 + by[OTHER_PROGRAMME] * above).astype(int)
    table["licensed"] = (rng.random(n) < np.where(above, *LICENCE_TAKEUP)).astype(int)
    other = OTHER_EFFECT * table["other_aid"] if violation == OTHER_PROGRAMME else 0.0
    x, got = score / 100, table["licensed"] + other
    table["works"] = (
        rng.random(n) < 0.42 + 0.20 * x + 0.05 * x**2 + 0.05 * drive + LICENCE_WORK * got
    ).astype(int)
    income = 3_000_000 + 1_200_000 * x + 500_000 * x**2 + 250_000 * drive
    table["income_rp"] = (income + LICENCE_INCOME_RP * got + rng.normal(0, 500_000, n)).round()
    poor = 0.26 - 0.10 * x - 0.04 * x**2 - 0.03 * drive + LICENCE_POOR * got
    table["poor"] = (rng.random(n) < poor).astype(int)
    return table


def participants(
    person_count: int = 3_000,
    seed: int = 0,
    violation: str | None = None,
    size: float = 1.0,
) -> pd.DataFrame:
    """Persons of whom some chose the training, by circumstances that are measured.

    Parameters
    ----------
    person_count, seed, size
        As in `register`.
    violation
        ``hidden selection`` (a drive that is not measured leads to the training and to income) or
        ``no overlap`` (circumstances all but decide); none if not given.

    Returns
    -------
    pandas.DataFrame
        ``person_id, kecamatan_code`` (text), ``age, female, schooling_years, household_size,
        worked_before`` (`COVARIATES`), ``income_before_rp`` (a month), ``trained`` (0/1), ``works,
        income_rp, poor`` afterwards.

    Raises
    ------
    SyntheticError
        See `register`.
    """
    rng = _begin(
        "participants", person_count, seed, violation, size, (HIDDEN_SELECTION, NO_OVERLAP)
    )
    n, by = person_count, _sizes(violation, size)
    table, drive = _persons(rng, n)
    schooling = (table["schooling_years"] - 10) / 3
    age = (table["age"] - 36) / 9
    household = table["household_size"] - 4
    index = 0.45 * schooling - 0.3 * age + 0.3 * table["female"] + 0.4 * table["worked_before"]
    stretch = by[NO_OVERLAP] or 1.0
    odds = stretch * (index - 0.3) - 0.7 + by[HIDDEN_SELECTION] * drive
    table["trained"] = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    base = (
        3_400_000 + 350_000 * schooling + 150_000 * age - 200_000 * table["female"]
        + 400_000 * table["worked_before"]
    )  # fmt: skip
    lasting = 300_000 * drive
    table["income_before_rp"] = (base + lasting + rng.normal(0, 450_000, n)).round()
    got = table["trained"]
    table["income_rp"] = (
        base + 150_000 + lasting + TRAINING_INCOME_RP * got + rng.normal(0, 450_000, n)
    ).round()
    works = 0.50 + 0.05 * schooling + 0.15 * table["worked_before"] + 0.05 * drive
    table["works"] = (rng.random(n) < works + TRAINING_WORK * got).astype(int)
    poor = 0.22 - 0.03 * schooling + 0.015 * household - 0.02 * drive + TRAINING_POOR * got
    table["poor"] = (rng.random(n) < poor).astype(int)
    return table


def _begin(
    made: str, count: int, seed: int, violation: str | None, size: float, known: tuple[str, ...]
) -> np.random.Generator:
    if violation is not None and violation not in known:
        raise SyntheticError(f"violation {violation!r} is not one of {', '.join(known)}")
    if count < 1 or seed < 0 or size < 0:
        raise SyntheticError(
            f"count {count}, seed {seed}, size {size}: none may be negative, and no count zero"
        )
    # A run that makes data up has read simulated data, though from no file of data.
    provenance.record(Path(__file__), synthetic=True)
    # The same seed must not give the same persons twice, under two names.
    return np.random.default_rng([_STREAMS[made], seed])


def _sizes(violation: str | None, size: float) -> dict[str, float]:
    return {name: size * by if name == violation else 0.0 for name, by in VIOLATIONS.items()}


def _people(rng: np.random.Generator, n: int, name: str, letter: str) -> pd.DataFrame:
    codes = np.array(sorted(regions.areas()["kecamatan_code"].unique()))
    width = len(str(n))
    return pd.DataFrame(
        {
            name: [f"{letter}{number:0{width}d}" for number in range(1, n + 1)],
            "kecamatan_code": codes[rng.integers(0, len(codes), n)],
        }
    )


def _persons(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    table = _people(rng, n, "person_id", "P")
    table["age"] = np.clip(rng.normal(36, 9, n), 18, 60).round()
    table["female"] = (rng.random(n) < 0.45).astype(int)
    table["schooling_years"] = np.clip(rng.normal(10, 3, n), 0, 18).round()
    table["household_size"] = 1 + rng.poisson(3, n)
    table["worked_before"] = (rng.random(n) < 0.55).astype(int)
    return table, rng.normal(size=n)


def _sorted_in(
    rng: np.random.Generator,
    score: np.ndarray,
    cutoff: float,
    share: float,
    *,
    below: bool,
    by: np.ndarray,
) -> np.ndarray:
    """Some of those just beyond the cut-off get a score just on its good side."""
    beyond = (score > cutoff) if below else (score < cutoff)
    close = beyond & (np.abs(score - cutoff) < SORTING_POINTS) & by
    chance = rng.random(len(score)) < min(1.0, 2 * share)  # half of those close by are such
    move = rng.random(len(score)) * SORTING_POINTS
    return np.where(close & chance, cutoff + (-move if below else move), score)
