"""A rollout for its notebook: the user's own panel, or a made-up one that says so."""

import pandas as pd
import pytest
from test_effects_staggered import DESIGN, TRENDS, own_reads  # noqa: F401

from analysis import provenance, sources
from analysis.effects import EffectsError, PanelError, rollouts, staggered
from analysis.synthetic import programmes

OUTCOMES = ["slum_index", "poverty_pct"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A user's panel: real for all the library can know."""
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "_reads", {})
        made = programmes.rollout(unit_count=60)
    made.panel.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def test_the_users_panel_carries_no_mark(file):
    own = rollouts.open_rollout(str(file), OUTCOMES, ["poverty_baseline_pct"])
    assert not provenance.synthetic()
    assert [read["path"] for read in provenance.reads()] == ["mine.csv"]  # and no folder
    assert own.made is None and own.truth("slum_index") is None
    assert len(own.panel.units) == len(own.places) == len(own.groups) == 60
    estimate = staggered.callaway_santanna(DESIGN, own.panel).estimate
    words = rollouts.answer(own, estimate, [], "slum_index")
    assert "made-up" not in words and "planted" not in words


def test_the_variable_names_it_too(file, monkeypatch):
    monkeypatch.setenv(rollouts.VARIABLE, str(file))
    assert rollouts.open_rollout("", OUTCOMES).made is None


def test_without_one_it_is_made_up_and_says_so():
    own = rollouts.open_rollout("", OUTCOMES, unit_count=60)
    assert provenance.synthetic() and own.made is not None
    estimate = staggered.callaway_santanna(DESIGN, own.panel).estimate
    found = rollouts.answer(
        own, estimate, [staggered.placebo_in_time(DESIGN, own.panel, TRENDS)], "slum_index"
    )
    assert "made-up panel" in found and "planted" in found


def test_places_and_classes_may_be_lacking(file):
    pd.read_csv(file).drop(columns=["x_km", "class"]).to_csv(file, index=False)
    own = rollouts.open_rollout(str(file), OUTCOMES)
    assert own.places is None and own.groups is None


def test_a_bad_file_is_refused_by_its_name(file):
    table = pd.read_csv(file)
    table.loc[0, "class"] = "another"
    table.to_csv(file, index=False)
    with pytest.raises(EffectsError, match="class of unit RW01 changes"):
        rollouts.open_rollout(str(file), OUTCOMES)
    pd.concat([table, table.head(1)]).to_csv(file, index=False)
    with pytest.raises(PanelError, match="mine.csv: .*repeat a unit and period"):
        rollouts.open_rollout(str(file), OUTCOMES)


def test_class_shares_are_those_published():
    counts = sources.read("rw_kumuh_counts")
    count, shares = rollouts.class_shares(counts, 2017, "DKI Jakarta")
    assert count == 445 and shares["berat"] == pytest.approx(15 / 445)
    with pytest.raises(EffectsError, match="no count of berat"):
        rollouts.class_shares(counts, 2025, "Jakarta Pusat")


def test_starts_are_counted():
    own = rollouts.open_rollout("", OUTCOMES, ["poverty_baseline_pct"], unit_count=60)
    table = rollouts.starts_table(own, "poverty_baseline_pct").set_index("start")
    assert table["unit_count"].sum() == 60 and list(table.index) == [
        "2018",
        "2019",
        "2020",
        "never",
    ]
    assert table["share_pct"].sum() == pytest.approx(100)
