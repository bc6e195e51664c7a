"""Measure the designs of `analysis.effects` for panels against what the project promises.

On made-up rollouts: do intervals of 95 % hold the planted effect, do tests of assumptions that
hold fail as often as they say, and how often do they see a violation of a size fixed beforehand?
``python benchmarks/effects_panels.py [share] [part]`` runs a share of the replicates (1: all), and
one of the parts ``coverage``, ``sizes``, ``null``, ``curves``.
"""

import dataclasses
import sys
import time

import numpy as np
import pandas as pd

from analysis.effects import Assumption, Design, inference, panel, staggered
from analysis.synthetic import programmes

FULL, SLOW, CURVE = 1000, 200, 200  # replicates; SLOW where a fit takes long
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5)
DESIGN = Design(
    question="What did the programme change?",
    estimand="mean effect over treated unit-years",
    outcome="outcome",
    unit_of_effect="points",
    units="units of a made-up programme",
    treated="those with the programme",
    treatment_start="several years",
    comparison="never treated",
    credibility="made so",
    assumptions=(Assumption("parallel trends", "leads and placebo"),),
    estimator="several",
    inference="several",
    does_not_show="anything real",
)
NAME = DESIGN.assumptions[0].name


class Rollouts:
    """Repeated draws of one design; the panel is checked once."""

    def __init__(self, level: str, cluster: str = "kota_code"):
        self.level = level
        made = programmes.rollout(level)
        self.places = made.panel.drop_duplicates("unit_code").set_index("unit_code")
        self.base = panel(
            made.panel,
            unit="unit_code",
            time="period",
            outcomes=made.outcomes,
            start="first_treated",
            cluster=cluster,
            covariates=["poverty_baseline_pct"],
        )

    def draw(self, seed: int, violations=programmes.NONE, effect_scale: float = 1.0):
        made = programmes.rollout(self.level, violations, seed, effect_scale)
        new = {name: made.panel[name].to_numpy() for name in made.outcomes}
        return made, dataclasses.replace(self.base, table=self.base.table.assign(**new))


def shown(label: str, hits: list[bool], nominal: float) -> None:
    share, error = np.mean(hits), np.sqrt(nominal * (1 - nominal) / len(hits))
    mark = "" if abs(share - nominal) <= 3 * error else "  <- beyond three Monte Carlo errors"
    print(f"  {label}: {share:.1%} of {len(hits)} (nominal {nominal:.0%}){mark}", flush=True)


def coverage(share: float) -> None:
    print("95 % intervals that hold the planted effect")
    v, s = programmes, staggered
    rw, kecamatan = Rollouts(programmes.RW), Rollouts(programmes.KECAMATAN)
    poverty = ["poverty_baseline_pct"]

    def by(call, **options):
        return lambda own, name: call(DESIGN, own, name, **options).estimate

    conley = {"places": rw.places, "cutoff_km": 2.0}
    cases = [
        ("Callaway-Sant'Anna", rw, v.NONE, "poverty_pct", by(s.callaway_santanna), FULL),
        ("the same, larger effect", rw, v.NONE, "slum_index", by(s.callaway_santanna), FULL),
        ("against not yet treated", rw, v.NONE, "poverty_pct",
         by(s.callaway_santanna, comparison="not yet treated"), FULL),
        ("given poverty, trends that follow it", rw, v.POVERTY_TREND, "poverty_pct",
         by(s.callaway_santanna, covariates=poverty), FULL),
        ("Sun-Abraham", rw, v.NONE, "poverty_pct", by(s.sun_abraham), FULL),
        ("Sun-Abraham, spatial errors, local shocks", rw, v.LOCAL_SHOCK, "poverty_pct",
         by(s.sun_abraham, **conley), SLOW),
        ("imputation", rw, v.NONE, "poverty_pct", by(s.imputation), SLOW),
        ("Callaway-Sant'Anna, 44 kecamatan", kecamatan, v.NONE, "work_pct",
         by(s.callaway_santanna), FULL),
        ("Sun-Abraham, 44 kecamatan", kecamatan, v.NONE, "work_pct", by(s.sun_abraham), FULL),
        ("imputation, 44 kecamatan", kecamatan, v.NONE, "work_pct", by(s.imputation), SLOW),
    ]  # fmt: skip
    for label, rollouts, broken, name, fit, number in cases:
        hits = []
        for seed in range(round(number * share)):
            made, own = rollouts.draw(seed, broken)
            found = fit(own, name)
            hits.append(found.lower <= made.att(name) <= found.upper)
        shown(label, hits, 0.95)
    treated, ring = [], []
    for seed in range(round(SLOW * share)):
        made, own = rw.draw(seed, v.SPILLOVER)
        table = s.rings(DESIGN, own, rw.places, (0, 1, 2.7), "slum_index")
        for hits, row, truth in (
            (treated, table.iloc[0], made.att("slum_index")),
            (ring, table.iloc[1], made.spillover("slum_index")),
        ):
            hits.append(row["lower"] <= truth <= row["upper"])
    shown("rings: the treated, with spillovers", treated, 0.95)
    shown("rings: the untreated within 1 km", ring, 0.95)


def tests(rollouts: Rollouts) -> dict:
    """The project's own tests: name, outcome, p-value of a draw."""
    s = staggered
    return {
        "leads": lambda own: s.pre_trend(s.callaway_santanna(DESIGN, own), NAME),
        "placebo in time": lambda own: s.placebo_in_time(DESIGN, own, NAME),
        "anticipation": lambda own: s.no_anticipation(DESIGN, own, NAME),
        "spillover": lambda own: s.no_spillover(
            s.rings(DESIGN, own, rollouts.places, (0, 1, 2.7)), DESIGN, NAME
        ),
    }


def sizes(share: float) -> None:
    print("tests that fail although all assumptions hold")
    for level in (programmes.RW, programmes.KECAMATAN):
        rollouts = Rollouts(level)
        for name, test in tests(rollouts).items():
            if name == "spillover" and level == programmes.KECAMATAN:
                continue  # no kecamatan is far from all others
            hits = [
                not test(rollouts.draw(seed)[1]).passed
                for seed in range(round((SLOW if name == "spillover" else FULL) * share))
            ]
            shown(f"{level}, {name}", hits, 0.05)


def null(share: float) -> None:
    print("effects found where there is none")
    rollouts = Rollouts(programmes.RW)
    for label, broken in (("", programmes.NONE), (", shocks of kota", programmes.KOTA_SHOCK)):
        wild, usual = [], []
        for seed in range(round(SLOW * share)):
            _, own = rollouts.draw(seed, broken, effect_scale=0.0)
            wild.append(inference.wild_bootstrap(DESIGN, own, replicates=399).p_value < 0.05)
            usual.append(staggered.callaway_santanna(DESIGN, own).estimate.p_value < 0.05)
        shown(f"wild bootstrap over six kota{label}", wild, 0.05)
        shown(f"errors by unit, for comparison{label}", usual, 0.05)
    adjusted = {"p_value": [], "p_romano_wolf": [], "p_benjamini_hochberg": []}
    for seed in range(round(SLOW * share)):
        found = inference.many_outcomes(DESIGN, rollouts.draw(seed, effect_scale=0.0)[1])
        for name, hits in adjusted.items():
            hits.append(found[name].min() < 0.05)
    for name, hits in adjusted.items():
        note = ", uncorrected for comparison" if name == "p_value" else ""
        shown(f"any of four outcomes, {name}{note}", hits, 0.05)


def curves(share: float) -> None:
    print("power of the tests against violations (1: the size fixed beforehand)")
    rollouts = Rollouts(programmes.RW)
    every = tests(rollouts)
    rows = []
    for name, broken in (
        ("leads", programmes.HIDDEN_TREND),
        ("leads", programmes.POVERTY_TREND),
        ("placebo in time", programmes.HIDDEN_TREND),
        ("anticipation", programmes.ANTICIPATION),
        ("spillover", programmes.SPILLOVER),
    ):
        what = next(f.name for f in dataclasses.fields(broken) if getattr(broken, f.name))
        for factor in FACTORS:
            hits = [
                not every[name](rollouts.draw(seed, broken.times(factor))[1]).passed
                for seed in range(round(CURVE * share))
            ]
            rows.append((f"{name} against {what}", factor, np.mean(hits)))
    table = pd.DataFrame(rows, columns=["test", "size", "power"])
    print(table.pivot(index="test", columns="size", values="power").to_string())


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    parts = {part.__name__: part for part in (coverage, sizes, null, curves)}
    for part in [parts[name] for name in sys.argv[2:]] or parts.values():
        start = time.perf_counter()
        part(share)
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
