"""Prove the designs for one treated unit on panels with planted effects.

Part of ``make bench``; ``python benchmarks/effects_one_treated.py 100`` takes fewer panels. What is
printed: coverage and size beside what they should be, and how often the checks flag broken panels,
by the size of the violation (`analysis.effects.one_treated.VIOLATIONS`, fixed beforehand).
"""

import math
import sys

from timing import best_of

from analysis.effects import Assumption, Design, donor_weights, one_treated
from analysis.effects import synthetic_control as sc

EFFECT = 0.7
SLOW = (donor_weights.SYNTHETIC_DID, donor_weights.AUGMENTED)  # a fifth of the panels
EARLY_START = 2006
DONORS = 29

DESIGN = Design(
    question="Is the planted effect found?",
    estimand="mean effect from the start on",
    outcome="a simulated outcome",
    unit_of_effect="units of the outcome",
    units="30 simulated units",
    treated="one of them",
    treatment_start="2010",
    comparison="the others",
    credibility="all are drawn alike",
    assumptions=(Assumption("drawn alike", "by construction"),),
    estimator="each in turn",
    inference="placebos and conformal",
    does_not_show="anything real",
)


def beside(share: float, expected: float, trials: int) -> str:
    error = math.sqrt(expected * (1 - expected) / trials)
    verdict = "as it should be" if abs(share - expected) <= 3 * error else "NOT as it should be"
    return f"{100 * share:.1f} % ({100 * expected:.1f} ± {300 * error:.1f}: {verdict})"


def main(trials: int) -> None:
    reach = 1 / (DONORS + 1)  # the rank test of 29 donors at 5 %: its size is 1/30
    for method in sc.METHODS:
        count = trials // 5 if method in SLOW else trials
        covered = rejected = 0
        for seed in range(count):
            found = sc.placebos(one_treated.simulate(seed, effect=EFFECT), method)
            lower, upper = found.interval()
            covered += lower <= EFFECT <= upper
            # An effect moves the treated unit's estimate by itself: no second fit is needed.
            scaled = found.table["scaled"].abs()
            alone = abs(found.fit.effect - EFFECT) / found.noise
            rejected += (1 + (scaled[1:] >= alone).sum()) / len(scaled) <= 0.05
        print(
            f"{method}, {count} panels: coverage {beside(covered / count, 1 - reach, count)}; "
            f"size of the placebo test {beside(rejected / count, reach, count)}"
        )
    # Residuals must be exchangeable in time. Those of the demeaned synthetic control nearly are
    # here; those of DiD keep the memory of the factors, and its interval must not be trusted.
    count = trials // 5
    for method, sound in ((donor_weights.DEMEANED, True), (donor_weights.DID, False)):
        covered = 0
        for seed in range(count):
            panel = one_treated.simulate(seed, effect=EFFECT)
            found = sc.conformal(DESIGN, panel, method)
            covered += found.lower <= EFFECT <= found.upper
        told = (
            beside(covered / count, 0.95, count)
            if sound
            else f"{100 * covered / count:.1f} % (its assumption is broken here)"
        )
        print(f"{method}, conformal, {count} panels: coverage {told}")
    for violation, sizes in one_treated.VIOLATIONS.items():
        for size in sizes:
            flags = {"fit": 0, "placebo in time": 0, "range": 0}
            count = trials // 5
            for seed in range(count):
                panel = one_treated.simulate(seed, violation=violation, size=size)
                early = sc.placebos(panel, donor_weights.DEMEANED, start=EARLY_START)
                whole = sc.placebos(panel, donor_weights.DEMEANED)
                flags["fit"] += not sc.fit_check(whole, "").passed
                flags["placebo in time"] += not sc.time_check(early, "").passed
                flags["range"] += not sc.range_check(sc.range_of_donors(panel), "").passed
            shares = ", ".join(f"{name} {100 * n / count:.0f} %" for name, n in flags.items())
            print(f"{violation} of {size:g} ({count} panels), flagged by: {shares}")
    panel = one_treated.simulate(0)
    for method in sc.METHODS:
        seconds = best_of(3, lambda method=method: sc.placebos(panel, method))
        print(f"{method} with placebos in {DONORS} donors: {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
