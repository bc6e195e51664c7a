"""Measure the designs of `analysis.effects` for persons and households against what is promised.

On made-up registers: do intervals of 95 % hold the planted effect, do tests of assumptions that
hold fail as often as they say, and how often do they see a violation of a size fixed beforehand?
``python benchmarks/effects_cutoffs.py [share]`` runs a share of the replicates (1: all).
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.effects import Assumption, Design, discontinuity, matching
from analysis.effects.discontinuity import ABOVE, Rule, without_takeup
from analysis.synthetic import scores

FULL, SLOW, CURVE = 1000, 200, 50  # replicates; SLOW where one takes long, CURVE per size
FACTORS = (0.25, 0.5, 0.75, 1.0)
PERSONS = 2_000
FIXED = ["age", "female", "schooling_years", "household_size"]
DESIGN = Design(
    question="What did the programme change?",
    estimand="the planted effect",
    outcome="outcome",
    unit_of_effect="points",
    units="made-up persons and households",
    treated="those with the programme",
    treatment_start="once",
    comparison="those without",
    credibility="made so",
    assumptions=(Assumption(discontinuity.DENSITY, "density test"),),
    estimator="several",
    inference="several",
    does_not_show="anything real",
)
LICENCE = Rule("score", scores.LICENCE_CUTOFF, ABOVE, "licensed")
OFFER = without_takeup(LICENCE)
FOOD = Rule("score", scores.FOOD_KINK, takeup="food_aid_rp", window=scores.FOOD_WINDOW)
FOOD_RULE = Rule(
    "score", scores.FOOD_KINK, window=scores.FOOD_WINDOW, slope_change=-scores.FOOD_TAPER_RP
)
OFFERED = scores.LICENCE_TAKEUP[0] - scores.LICENCE_TAKEUP[1]  # difference in take-up


def shown(label: str, hits: list[bool], nominal: float) -> None:
    share, error = np.mean(hits), np.sqrt(nominal * (1 - nominal) / len(hits))
    mark = "" if abs(share - nominal) <= 3 * error else "  <- beyond three Monte Carlo errors"
    print(f"  {label}: {share:.1%} of {len(hits)} (nominal {nominal:.0%}){mark}", flush=True)


def people(seed: int, violation: str | None = None, size: float = 1.0) -> matching.Groups:
    made = scores.participants(1_500, seed, violation, size)
    return matching.groups(
        made, "trained", scores.COVARIATES, ["works", "income_rp", "income_before_rp"]
    )


def applicants(seed: int, violation: str | None = None, size: float = 1.0) -> pd.DataFrame:
    return scores.applicants(PERSONS, seed, violation, size)


def covered(made: Callable, estimate: Callable, truth: float, number: int) -> list[bool]:
    found = (estimate(made(seed)) for seed in range(number))
    return [one.lower <= truth <= one.upper for one in found]


def coverage(share: float) -> None:
    print("95 % intervals that hold the planted effect")
    rd = discontinuity
    cases = [
        ("sharp discontinuity, income", applicants,
         lambda d: rd.effect(DESIGN, d, OFFER, "income_rp"),
         OFFERED * scores.LICENCE_INCOME_RP, SLOW),
        ("fuzzy discontinuity, income", applicants,
         lambda d: rd.effect(DESIGN, d, LICENCE, "income_rp"), scores.LICENCE_INCOME_RP, SLOW),
        ("fuzzy discontinuity, work (0/1)", applicants,
         lambda d: rd.effect(DESIGN, d, LICENCE, "works"), scores.LICENCE_WORK, SLOW),
        ("sharp kink", lambda seed: scores.register(seed=seed),
         lambda d: rd.kink(DESIGN, d, FOOD_RULE, "food_rp"),
         scores.FOOD_TAKEUP * scores.FOOD_PER_RUPIAH, SLOW),
        ("fuzzy kink", lambda seed: scores.register(seed=seed),
         lambda d: rd.kink(DESIGN, d, FOOD, "food_rp"), scores.FOOD_PER_RUPIAH, SLOW),
    ]  # fmt: skip
    for method in matching.METHODS:
        slow = method in (matching.DOUBLY_ROBUST, matching.IPW)
        cases.append(
            (f"{method}, income", people,
             lambda d, m=method: matching.estimate(DESIGN, d, "income_rp", m),
             scores.TRAINING_INCOME_RP, SLOW if slow else FULL)
        )  # fmt: skip
    cases.append(
        (f"{matching.ENTROPY}, work (0/1)", people,
         lambda d: matching.estimate(DESIGN, d, "works"), scores.TRAINING_WORK, FULL)
    )  # fmt: skip
    for label, made, estimate, truth, number in cases:
        shown(label, covered(made, estimate, truth, round(number * share)), 0.95)


def tests() -> dict[str, tuple[Callable, Callable]]:
    """The project's own tests: what they are made on, and the check."""
    rd = discontinuity
    return {
        "density": (applicants, lambda d: rd.density(d, LICENCE)),
        "balance, with the other programme": (
            applicants, lambda d: rd.balance(d, LICENCE, [*FIXED, "other_aid"])
        ),
        "placebo cut-offs": (applicants, lambda d: rd.placebo(d, LICENCE, "income_rp")),
        "placebo outcome": (people, lambda d: matching.placebo(d, "income_before_rp")),
    }  # fmt: skip


def sizes(share: float) -> None:
    print("tests that fail although all assumptions hold")
    for name, (made, test) in tests().items():
        number = round((SLOW if made is applicants and name != "density" else FULL) * share)
        shown(name, [not test(made(seed)).passed for seed in range(number)], 0.05)
    fixed = ["household_size", "head_age", "head_schooling_years"]
    checks = [
        discontinuity.kink_balance(scores.register(seed=seed), FOOD, fixed).passed
        for seed in range(round(SLOW * share))
    ]
    shown("kinks of what is fixed before", [not passed for passed in checks], 0.05)
    low = [matching.overlap(people(seed)).passed for seed in range(round(SLOW * share))]
    print(f"  overlap: {1 - np.mean(low):.1%} of {len(low)} (no size: should be none)")


def power(share: float) -> None:
    print(f"tests that fail by size of the violation ({', '.join(f'x {f:g}' for f in FACTORS)})")
    own = tests()
    cases = [
        ("density", scores.MANIPULATION, *own["density"]),
        ("balance", scores.MANIPULATION, *own["balance, with the other programme"]),
        ("balance", scores.OTHER_PROGRAMME, *own["balance, with the other programme"]),
        ("placebo outcome", scores.HIDDEN_SELECTION, *own["placebo outcome"]),
    ]
    number = max(5, round(CURVE * share))
    for name, violation, made, test in cases:
        curve = [
            np.mean([not test(made(seed, violation, by)).passed for seed in range(number)])
            for by in FACTORS
        ]
        told = ", ".join(f"{value:.0%}" for value in curve)
        print(f"  {violation} ({scores.VIOLATIONS[violation]:g}), {name}: {told}", flush=True)
    flagged = []
    for by in FACTORS:
        groups = [people(seed, scores.NO_OVERLAP, by) for seed in range(number)]
        flagged.append(np.mean([not matching.overlap(group).passed for group in groups]))
    told = ", ".join(f"{value:.0%}" for value in flagged)
    print(f"  {scores.NO_OVERLAP} ({scores.VIOLATIONS[scores.NO_OVERLAP]:g}), overlap: {told}")


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for part in (coverage, sizes, power):
        start = time.perf_counter()
        part(share)
        print(f"  ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
