import numpy as np
import pandas as pd
import pytest

from analysis import slums, under_listing
from analysis.under_listing import ANYWHERE, PLACES, WHERE_LISTED, WHERE_NONE


@pytest.fixture
def rows():
    """Two kota of four kelurahan with ten RW each."""
    codes = [f"{kota}010{i:03d}" for kota in ("3171", "3173") for i in range(4)]
    listed = pd.array([3, 1, None, None, 2, None, None, None], dtype="Int64")
    table = pd.DataFrame({"kelurahan_code": codes, "slum_rw_listed_count": listed})
    table["kota_code"] = table["kelurahan_code"].str[:4]
    table["status"] = np.where(
        table["slum_rw_listed_count"].notna(), slums.LISTED, slums.NONE_LISTED
    )
    return table, pd.Series(10, index=codes)


@pytest.mark.parametrize("place", PLACES)
def test_as_many_are_added_as_are_missing_and_none_is_taken_away(rows, place):
    table, rw = rows
    shares = under_listing.completed(table, rw, {"3171": 5, "3173": 2}, place, draws=50)
    counts = np.rint(shares / 10).astype(int)
    listed = table["slum_rw_listed_count"].fillna(0).to_numpy(dtype=int)
    assert (counts[:, :4].sum(axis=1) == 9).all() and (counts[:, 4:].sum(axis=1) == 4).all()
    assert (counts >= listed).all() and (counts <= 10).all()
    new = counts - listed
    if place == WHERE_LISTED:
        assert not new[:, [2, 3, 5, 6, 7]].any()
    if place == WHERE_NONE:
        assert not new[:, [0, 1, 4]].any()
    if place == ANYWHERE:
        assert new.any(axis=0).all()


def test_what_does_not_fit_where_others_are_listed_goes_elsewhere(rows):
    table, rw = rows
    shares = under_listing.completed(table, rw, {"3173": 12}, WHERE_LISTED, draws=20)
    assert (shares[:, 4] == 100).all() and (np.rint(shares[:, 5:].sum(axis=1) / 10) == 4).all()


def test_the_unlisted_are_spread_in_proportion_to_the_rw_that_are_left(rows):
    table, rw = rows
    rw = rw.mask(rw.index == "3173010001", 40)
    shares = under_listing.completed(table, rw, {"3173": 10}, WHERE_NONE, draws=2000, seed=1)
    added = shares[:, 5:] * rw.to_numpy()[5:] / 100
    np.testing.assert_allclose(added.mean(axis=0), 10 * np.array([40, 10, 10]) / 60, rtol=0.05)


def test_bounds_hold_the_listed_value_apart(rows):
    table, rw = rows
    found = under_listing.bounds(
        table,
        rw,
        {"3171": 5, "3173": 2},
        {"mean": lambda s: s.mean(), "spread": lambda s: s.std()},
        draws=40,
    )
    assert len(found) == 6
    mean = found[found["statistic"] == "mean"]
    assert (mean["as_listed"] == 100 * 6 / 80).all()
    assert np.allclose(mean[["low", "median", "high"]], 100 * 13 / 80)
    spread = found[found["statistic"] == "spread"].set_index("place")
    assert spread.loc[WHERE_LISTED, "median"] > spread.loc[WHERE_NONE, "median"]
    again = under_listing.bounds(table, rw, {"3171": 5}, {"mean": lambda s: s.mean()}, draws=3)
    pd.testing.assert_frame_equal(
        again, under_listing.bounds(table, rw, {"3171": 5}, {"mean": lambda s: s.mean()}, draws=3)
    )
    assert "as listed" in under_listing.bounds_words(found)


def test_shortfall_takes_the_largest_total_and_leaves_out_who_has_no_list():
    completeness = pd.DataFrame(
        {
            "kota_code": ["3171", "3171", "3173", "3174", "3175"],
            "kota": ["a", "a", "b", "c", "d"],
            "slum_rw_listed_count": pd.array([5, 5, 7, None, 6], dtype="Int64"),
            "year": pd.array([2008, 2015, 2017, 2017, None], dtype="Int64"),
            "published_count": pd.array([9, 4, 3, 20, None], dtype="Int64"),
            "counted_by": "BPS",
            "listed_share_pct": 1.0,
        }
    )
    found = under_listing.shortfall(completeness).set_index("kota_code")
    assert found["unlisted_count"].to_dict() == {"3171": 4, "3173": 0}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"place": "at home"}, "unknown"),
        ({"unlisted": {"3171": 99}}, "3171 has 36 RW to add 99"),
        ({"status": slums.NOT_PUBLISHED}, "not zero"),
    ],
)
def test_what_cannot_be_placed(rows, change, words):
    table, rw = rows
    if "status" in change:
        table = table.assign(status=change["status"])
    with pytest.raises(slums.SlumError, match=words):
        under_listing.completed(
            table, rw, change.get("unlisted", {"3171": 1}), change.get("place", ANYWHERE)
        )
