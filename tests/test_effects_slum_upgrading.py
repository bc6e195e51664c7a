"""What the published figures of slum upgrading let one conclude."""

import math

import pandas as pd
import pytest
from test_effects_staggered import DESIGN

from analysis import slums, sources
from analysis.effects import Assumption, Design, EffectsError
from analysis.effects import slum_upgrading as upgrading

ASKED = Design(
    **{f: getattr(DESIGN, f) for f in ("question", "estimand", "outcome", "units", "treated",
       "treatment_start", "comparison", "credibility", "estimator", "inference", "does_not_show")},
    unit_of_effect="RW",
    assumptions=tuple(Assumption(name, "declared") for name in ("pace", "counter", "frame")),
)  # fmt: skip


def series(*rows: tuple[int, int, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "rw_count", "counted_by"])
    return slums.count_series(table.assign(area="DKI Jakarta", kategori="total"))


HALVING = ((2010, 400, "BPS"), (2011, 200, "BPS"), (2013, 200, "BPS"), (2017, 320, "BPS"))


def test_the_trend_by_hand():
    found = upgrading.trend(ASKED, series(*HALVING, (2020, 100, "BPS")), 2017, 2020)
    assert found.paces["yearly_pct"].to_list() == pytest.approx(
        [-50, 0, 100 * (0.5 ** (1 / 3) - 1)]
    )
    # Whole pace: half in three years. Slowest: no change. Fastest: half every year.
    assert found.estimate.effect == pytest.approx(100 - 160)
    assert (found.lower, found.upper) == pytest.approx((100 - 320, 100 - 40))
    assert math.isnan(found.estimate.lower)  # a range is no interval of 95 %
    assert found.detectable.effect == pytest.approx(160 - 40)
    checks = upgrading.trend_checks(found, series(*HALVING, (2020, 100, "BPS")), 2020)
    assert [check.passed for check in checks] == [False, True, False]


def test_even_paces_pass_and_a_count_by_others_fails():
    rows = [(2010 + i, round(1000 * 0.9**i), "BPS") for i in range(5)]
    own = series(*rows, (2017, 400, "BPS"), (2019, 300, "not stated"))
    found = upgrading.trend(ASKED, own, 2017, 2019)
    assert [c.passed for c in upgrading.trend_checks(found, own, 2019)] == [True, False, False]


def test_years_without_a_count_are_refused():
    with pytest.raises(EffectsError, match="no count of DKI Jakarta for 2019"):
        upgrading.trend(ASKED, series(*HALVING), 2017, 2019)
    with pytest.raises(EffectsError, match="tell no range"):
        upgrading.trend(ASKED, series(*HALVING[2:]), 2013, 2017)


def test_lists_against_the_slum_list():
    programme = pd.DataFrame(
        {
            "programme": "CIP",
            "year": 2020,
            "kota": ["JAKARTA PUSAT", "JAKARTA PUSAT", "JAKARTA BARAT"],
            "kelurahan": ["MENTENG", "MENTENG", "KAMAL"],
            "rw": ["001", "002", "001"],
        }
    )
    listed = pd.DataFrame({"kelurahan_code": ["3173060004", "3173060001"], "rw": ["001", "002"]})
    menteng = upgrading.regions.match(["MENTENG"], "JAKARTA PUSAT").iloc[0]
    listed["kelurahan_code"] = [menteng, "3173010001"]
    table = upgrading.lists(programme, listed, {("CIP", 2020): 80}).set_index("kota")
    assert table.loc["Jakarta Pusat", ["named_count", "on_list_count"]].to_list() == [2, 1]
    assert pd.isna(table.loc["Jakarta Barat", "on_list_count"])  # not published is not zero
    assert (table["announced_count"] == 80).all()


def test_spending_per_rw_and_classes_as_published():
    counts = sources.read("rw_kumuh_counts")
    table = upgrading.spending(
        sources.read("slum_programme_budget_2020"), slums.count_series(counts), 2017
    ).set_index("kota")
    assert table.loc["Jakarta Pusat", "per_rw_rp_billion"] == pytest.approx(47.9 / 12)
    assert table.loc["Jakarta Pusat", "slum_rw_count"] == 98
    assert pd.isna(table.loc["Jakarta Timur", "slum_rw_count"])
    pusat = upgrading.classes(counts, "Jakarta Pusat")
    assert pusat.loc[2025, ["ringan", "sangat ringan"]].to_list() == [11, 38]
    assert pusat.loc[2025, ["berat", "sedang"]].isna().all()
