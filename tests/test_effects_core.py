"""Designs, panels at the border, estimates and the card."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import effects, provenance
from analysis.effects import (
    PERSONS,
    POINTS,
    Assumption,
    Check,
    Design,
    Detectable,
    Estimate,
    panels,
)

DECLARED = {
    "question": "Did it work?",
    "estimand": "mean effect on the treated",
    "outcome": "P0",
    "unit_of_effect": POINTS,
    "units": "six kota, eight years",
    "treated": "Jakarta Selatan",
    "treatment_start": "2018",
    "comparison": "the five others",
    "credibility": "drawn by lot",
    "assumptions": (Assumption("parallel trends", "no trend before the start (5 %)"),),
    "estimator": "DiD",
    "inference": "placebos",
    "does_not_show": "who gained",
}
DESIGN = Design(**DECLARED)
PASSED = Check("parallel trends", "trend", True, "No trend.", "p above 0.05", p_value=0.4)


def estimate(**other) -> Estimate:
    given = {"effect": -0.2, "lower": -0.5, "upper": 0.1, "n_units": 6, "n_treated": 1}
    given |= {"design": DESIGN, "estimator": "DiD", "inference": "placebos", "n_periods": 8}
    return Estimate(**(given | other))


# ---- the design -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"question": "It worked."}, "does not end with"),
        ({"credibility": " "}, "credibility is ' '"),
        ({"treatment_start": 2018}, "treatment_start is 2018"),
        ({"level": 95}, "level 95"),
        ({"assumptions": ()}, "no assumption is declared"),
        ({"assumptions": ("parallel trends",)}, "has no check"),
        ({"assumptions": (Assumption("a", " "),)}, "needs a name and a check"),
        ({"assumptions": (Assumption("a", "b"), Assumption("a", "c"))}, "declared twice"),
        ({"clusters": ""}, "clusters is ''"),
    ],
)
def test_a_design_that_says_too_little_is_refused(change, told):
    with pytest.raises(effects.EffectsError, match=told):
        Design(**(DECLARED | change))


def test_the_fingerprint_changes_with_any_word():
    assert DESIGN.fingerprint == Design(**DECLARED).fingerprint
    fingerprints = {DESIGN.fingerprint}
    for name, value in DECLARED.items():
        if isinstance(value, str):
            fingerprints.add(dataclasses.replace(DESIGN, **{name: "Other?"}).fingerprint)
    fingerprints.add(dataclasses.replace(DESIGN, level=0.9).fingerprint)
    other = (Assumption("parallel trends", "no trend before the start (10 %)"),)
    fingerprints.add(dataclasses.replace(DESIGN, assumptions=other).fingerprint)
    assert len(fingerprints) == len(DECLARED) + 2


def test_the_declaration_holds_every_word_of_the_design():
    text = DESIGN.declaration().to_string()
    for value in [*DECLARED.values(), DESIGN.fingerprint]:
        if isinstance(value, str):
            assert value in text
    assert "Assumption: parallel trends" in text


# ---- estimates, checks and the card ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"design": "DiD"}, "declare the design before estimating"),
        ({"effect": math.nan}, "not a number"),
        ({"lower": 0.2}, "is none"),
        ({"lower": math.nan}, "is none"),
        ({"p_value": 1.2}, "not in 0 to 1"),
    ],
)
def test_an_impossible_estimate_is_refused(change, told):
    with pytest.raises(effects.EffectsError, match=told):
        estimate(**change)


def test_an_estimate_in_words_and_in_persons():
    assert estimate().words() == "−0.20 percentage points (95 % interval −0.50 to 0.10)"
    persons = estimate().converted(106_123, PERSONS)
    assert persons.words() == "−21,200 persons (95 % interval −53,100 to 10,600)"
    assert persons.effect == pytest.approx(-0.2 * 106_123)
    assert estimate(upper=math.inf).words().endswith("−0.50 to infinity)")
    assert estimate(effect=-0.001).words().startswith("0.00 percentage points")
    with pytest.raises(effects.EffectsError, match="above zero"):
        estimate().converted(-1, PERSONS)


def test_zero_is_excluded_only_by_an_interval_on_one_side():
    assert (
        estimate(upper=-0.1).excludes_zero and estimate(effect=1, lower=0.1, upper=2).excludes_zero
    )
    assert not estimate().excludes_zero
    assert not estimate(lower=math.nan, upper=math.nan).excludes_zero


def test_a_check_needs_a_criterion_unless_it_cannot_be_made():
    with pytest.raises(effects.EffectsError, match="criterion"):
        Check("parallel trends", "trend", True, "No trend.")
    assert Check("parallel trends", "none", None, "No figures before.").verdict == "not testable"
    assert Check("a", "b", np.False_, "c", "d").verdict == "failed"


def card(**other):
    given = {"estimates": [estimate(p_value=0.3)], "checks": [PASSED], "sensitivity": "None."}
    given |= {"mde": Detectable(0.4, POINTS, "by simulation"), "design": DESIGN}
    return effects.card(**(given | other))


def test_the_card_holds_what_a_reader_must_know():
    made = card(conversions={"persons": 100_000.0}, estimates=[estimate(), estimate(label="other")])
    words = made.table.set_index("item")["words"]
    for item in ("Question", "Estimand", "Treated, and when", "Comparison", "Why credible here"):
        assert words[item]
    assert words["Check: parallel trends"] == "PASSED (trend): No trend."
    assert "−20,000 persons" in words["Effect"] and "−0.20 percentage points" in words["Effect"]
    assert words["Other estimators"] == "other −0.20 (−0.50 to 0.10)"
    assert "0.40 percentage points with a power of 80 %" in words["Minimum detectable effect"]
    assert words["What it does not show"] == "who gained"
    assert DESIGN.fingerprint in words["Design"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"estimates": []}, "no estimate"),
        (
            {"estimates": [estimate(design=dataclasses.replace(DESIGN, level=0.9))]},
            "another design",
        ),
        ({"checks": []}, "its result is not here"),
        ({"checks": [dataclasses.replace(PASSED, assumption="luck")]}, "does not declare"),
        ({"sensitivity": " "}, "no sensitivity"),
    ],
)
def test_a_card_that_leaves_something_out_is_refused(change, told):
    with pytest.raises(effects.EffectsError, match=told):
        card(**change)


# ---- panels -----------------------------------------------------------------------------------

KOTA = ["3171", "3172", "3173"]


def long(**other) -> pd.DataFrame:
    rows = [
        (unit, year, int(unit == "3171" and year >= 2004))
        for unit in KOTA
        for year in range(2000, 2008)
    ]
    table = pd.DataFrame(rows, columns=["unit", "time", "treated"])
    table["outcome"] = np.arange(len(table), dtype=float)
    table["start"] = np.where(table["unit"] == "3171", 2004, 0)
    return table.assign(**other)


def test_a_panel_is_the_same_by_start_and_by_treatment():
    by_start = effects.panel(long(), start="start", level="kota", balanced=True)
    by_treatment = effects.panel(long(), treated="treated", level="kota")
    pd.testing.assert_frame_equal(by_start.table, by_treatment.table)
    assert by_start.treated_units == ["3171"] and by_start.untreated_units == ["3172", "3173"]
    assert by_start.starts["3171"] == 5 and by_start.balanced
    pd.testing.assert_frame_equal(by_start.wide("outcome"), by_treatment.wide("outcome"))


def test_periods_may_be_uneven_text_and_a_start_between_them_counts_from_the_next():
    table = long()
    table["time"] = table["time"].map(lambda year: f"{year}-{'03' if year % 2 else '09'}")
    table["start"] = table["unit"].map({"3171": "2003-10"}).astype("str")
    made = effects.panel(table, start="start")
    assert made.starts["3171"] == 5 and made.times[4] == "2004-09"
    late = table.assign(
        start=table["unit"].map({"3171": "2004-09", "3172": "2030-03"}).astype("str")
    )
    assert effects.panel(late, start="start").treated_units == ["3171"]


def off(table):
    return table.assign(treated=[1, 0] * 12)


BAD = [
    (lambda t: pd.concat([t, t.iloc[:2]]), {}, "2 rows repeat a unit and period, the first 3171 in 2000"),
    (off, {}, "3 units switches off, the first 3171 in 2001"),
    (lambda t: t.assign(treated=(t["time"] > 2003).astype(int)), {}, "no unit is untreated: all 3"),
    (lambda t: t.assign(treated=0), {}, "no unit is treated"),
    (lambda t: t.assign(treated=((t["unit"] == "3171") & (t["time"] > 2000)).astype(int)), {}, "1 period before the earliest start"),
    (lambda t: t.assign(treated=(t["unit"] == "3171").astype(int)), {}, "0 periods before the earliest start"),
    (lambda t: t.assign(unit="31.7" + t["unit"].str[3:]), {"level": "kota"}, "3 of 3 codes of units are no BPS codes of a kota: 31.71"),
    (lambda t: t, {"level": "rw"}, "no BPS codes of a rw"),
    (lambda t: t, {"level": "desa"}, "level 'desa' is unknown"),
    (lambda t: t.assign(unit=t["unit"].astype(int)), {}, "codes are text, not int64"),
    (lambda t: t.assign(unit=t["unit"].where(t["time"] > 2000)), {}, "3 rows have no code"),
    (lambda t: t.assign(outcome=t["outcome"].where(t["time"] > 2000)), {}, "3 values are missing or no numbers"),
    (lambda t: t.assign(outcome="n.a."), {}, "24 values are missing or no numbers"),
    (lambda t: t.assign(time=t["time"] / 2), {}, "periods are whole numbers"),
    (lambda t: t.assign(treated=2), {}, "treatment is 0 or 1, but not in 24 rows"),
    (lambda t: t.drop(columns="outcome"), {}, "no column 'outcome' \\(there are: unit"),
    (lambda t: t.iloc[:0], {}, "no rows"),
    (lambda t: t.iloc[:-2], {"balanced": True}, "1 of 3 units lack periods, the first 3173 \\(without 2006, 2007\\)"),
    (lambda t: t.assign(start=t["time"]), {"start": "start", "treated": None}, "3 units have more than one start"),
    (lambda t: t, {"start": "start"}, "name either"),
    (lambda t: t, {"comparison": "anyone"}, "is neither"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "choices", "told"), BAD, ids=[told[:30] for *_, told in BAD])
def test_a_bad_panel_ends_in_a_clear_error(spoil, choices, told):
    with pytest.raises(effects.PanelError, match=told):
        effects.panel(spoil(long()), **({"treated": "treated"} | choices))


def test_a_staggered_panel_without_untreated_units_needs_the_other_comparison():
    table = long(start=lambda t: t["unit"].map({"3171": 2003, "3172": 2004, "3173": 2005}))
    with pytest.raises(effects.PanelError, match="comparison='not yet treated'"):
        effects.panel(table, start="start")
    assert len(effects.panel(table, start="start", comparison=panels.NOT_YET).treated_units) == 3


def test_codes_of_rw_are_those_of_the_kelurahan_and_three_digits():
    panels.check_codes(["3171010001001"], "rw")
    with pytest.raises(effects.PanelError, match="one is"):
        panels.check_codes(["31710100010001"], "rw")


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(3, 7))
def test_the_order_of_rows_does_not_matter(random, start):
    table = long(
        treated=lambda t: ((t["unit"] == "3172") & (t["time"] >= 2000 + start)).astype(int)
    )
    order = list(range(len(table)))
    random.shuffle(order)
    made = effects.panel(table.iloc[order], treated="treated")
    pd.testing.assert_frame_equal(made.table, effects.panel(table, treated="treated").table)
    assert (
        made.table["treated"]
        == (made.table["t"] >= made.table["first_t"]) * (made.table["first_t"] > 0)
    ).all()


def test_a_panel_of_the_users_own_is_recorded_by_name_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_reads", {})
    long().assign(unit=lambda t: "0" + t["unit"]).to_csv(tmp_path / "own.csv", index=False)
    made = panels.read(tmp_path / "own.csv", treated="treated", synthetic=True)
    assert made.units[0] == "03171"
    assert [read["path"] for read in provenance.reads()] == ["own.csv"] and provenance.synthetic()
    with pytest.raises(effects.PanelError, match="^own.csv: 0 .*|own.csv: .*3 codes"):
        panels.read(tmp_path / "own.csv", treated="treated", level="kota")
    with pytest.raises(effects.PanelError, match="none.csv cannot be read"):
        panels.read(tmp_path / "none.csv")
