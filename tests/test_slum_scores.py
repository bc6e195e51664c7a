"""Scores of RW by declared rules: expected values by hand, and what holds whatever the table."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import paths, provenance, slums, sources, synthetic
from analysis.slums import rules as declared
from analysis.slums import scores
from analysis.synthetic import official

BPS = slums.read_rules(slums.BPS_2017)
PERMEN = slums.read_rules(slums.PERMEN_2018)
CLEAN = dict.fromkeys(BPS.columns, 0.0)


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    monkeypatch.setattr(provenance, "_reads", {})


@pytest.fixture(scope="module")
def invented():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "_reads", {})
        return synthetic.rw_variables(0)


def table(*rows: dict) -> pd.DataFrame:
    made = pd.DataFrame([CLEAN | row for row in rows])
    return made.assign(kelurahan_code="3173010001", rw=[f"{n:03d}" for n in range(len(made))])


# ---- by hand -----------------------------------------------------------------------------------


def test_one_condition_of_eleven_is_an_eleventh_of_the_score():
    scored = slums.score(table({}, {"poor_construction_pct": 8.1}), BPS)
    assert scored["score"].tolist() == pytest.approx([0, 100 / 11])
    assert scored["points_4"].tolist() == [0, 1]
    assert scored["slum_class"].tolist() == [slums.NOT_SLUM] * 2


@pytest.mark.parametrize(
    ("column", "limit"),
    [
        ("families_per_100m2", 4),
        ("persons_per_100m2", 17),
        ("buildings_per_100m2", 3),
        ("poor_construction_pct", 8),
        ("poor_ventilation_pct", 8.69),
        ("rare_waste_collection_pct", 12.5),
    ],
)
def test_published_limits_of_bps_are_strict(column, limit):
    scored = slums.score(table({column: limit}, {column: limit + 0.01}), BPS)
    assert scored["score"].tolist() == pytest.approx([0, 100 / 11])


def test_families_or_persons_make_one_condition():
    crowded = {"families_per_100m2": 5, "persons_per_100m2": 20}
    assert slums.score(table(crowded), BPS)["score"].tolist() == pytest.approx([100 / 11])
    alone = table(crowded).drop(columns="families_per_100m2")
    assert slums.score(alone, BPS)["score"].tolist() == pytest.approx([100 / 11])


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [(3, "not slum"), (4, "sangat ringan"), (5, "ringan"), (6, "ringan"), (7, "sedang"),
     (8, "sedang"), (9, "berat"), (11, "berat")],
)  # fmt: skip
def test_classes_by_number_of_conditions(conditions, expected):
    columns = [criterion.measures[0].column for criterion in BPS.criteria][:conditions]
    scored = slums.score(table(dict.fromkeys(columns, 99.0)), BPS)
    assert scored["slum_class"].tolist() == [expected]


def test_points_of_the_ministry_at_the_limits_seen_on_its_forms():
    shares = [0, 24.24, 25, 50, 50.91, 51, 75, 76, 100]
    made = pd.DataFrame(0.0, index=range(len(shares)), columns=PERMEN.columns)
    made["drainage_missing_pct"] = shares
    scored = slums.score(made, PERMEN)
    assert scored["score"].tolist() == [0, 0, 1, 1, 1, 3, 3, 5, 5]


@pytest.mark.parametrize(
    ("shares", "total", "expected"),
    [
        ([26, 0, 26, 12.82, 77.56, 90, 0, 0, 0, 80.52, 16.67, 26.67, 100, 100, 100, 100],
         38, "sedang"),
        ([72.09, 0, 30.23, 0, 53.33, 86.15, 0, 0, 0, 100, 10.77, 10.77, 100, 96.92, 0, 100],
         32, "ringan"),
        ([20, 0, 10, 0, 50, 87.27, 0, 11.88, 100, 0, 49.09, 50.91, 100, 100, 0, 100],
         28, "ringan"),
        ([42, 0, 48, 0, 0, 41.38, 0, 0, 14.22, 9.98, 0, 27.59, 100, 100, 0, 0],
         14, "not slum"),
    ],
    ids=["Sumbermulyo", "Tekung", "Rowokangkung", "Kebunan"],
)  # fmt: skip
def test_forms_of_jawa_timur_are_met(shares, total, expected):
    """Totals printed on forms of the province (by RT and RW), classes by the limits printed there."""
    scored = slums.score(pd.DataFrame([shares], columns=PERMEN.columns), PERMEN)
    assert scored["score"].tolist() == [total]
    assert scored["slum_class"].tolist() == [expected]


@pytest.mark.parametrize(
    ("total", "expected"),
    [(15, "not slum"), (16, "ringan"), (37, "ringan"), (38, "sedang"), (59, "sedang"),
     (60, "berat"), (80, "berat")],
)  # fmt: skip
def test_classes_of_the_ministry(total, expected):
    points = next(
        (5,) * a + (3,) * b + (1,) * c
        for a in range(17)
        for b in range(17 - a)
        for c in range(17 - a - b)
        if 5 * a + 3 * b + c == total
    )
    share = {5: 80.0, 3: 60.0, 1: 30.0}
    made = pd.DataFrame([[share[p] for p in points] + [0.0] * (16 - len(points))])
    scored = slums.score(made.set_axis(PERMEN.columns, axis=1), PERMEN)
    assert scored["score"].tolist() == [total]
    assert scored["slum_class"].tolist() == [expected]


def test_a_missing_value_leaves_the_score_missing():
    scored = slums.score(table({"poor_road_pct": np.nan}, {}), BPS)
    assert scored["score"].isna().tolist() == [True, False]
    assert scored["slum_class"].isna().tolist() == [True, False]


def test_missing_columns_are_named_all_of_them():
    with pytest.raises(slums.SlumError, match="no column poor_road_pct, no_own_toilet_pct"):
        slums.score(table({}).drop(columns=["poor_road_pct", "no_own_toilet_pct"]), BPS)
    both = table({}).drop(columns=["families_per_100m2", "persons_per_100m2"])
    with pytest.raises(slums.SlumError, match="families_per_100m2 or persons_per_100m2"):
        slums.score(both, BPS)


def test_shares_of_a_kelurahan_have_their_own_denominators():
    worst = dict.fromkeys(BPS.columns, 99.0)
    made = table(worst, {}, {}, {}).assign(
        area_ha=[1.0, 4.0, 2.0, 3.0], population_count=[500, 100, 200, 200]
    )
    one = slums.scores_by_kelurahan(slums.score(made, BPS)).iloc[0]
    assert one["rw_count"] == 4 and one["slum_rw_count"] == one["berat_rw_count"] == 1
    assert one["slum_rw_of_rw_pct"] == 25
    assert one["slum_area_of_rw_area_pct"] == 10
    assert one["slum_residents_of_residents_pct"] == 50
    unknown = made.assign(area_ha=[1.0, np.nan, 2.0, 3.0])
    one = slums.scores_by_kelurahan(slums.score(unknown, BPS)).iloc[0]
    assert np.isnan(one["slum_area_of_rw_area_pct"])
    assert one["slum_residents_of_residents_pct"] == 50


# ---- whatever the table ------------------------------------------------------------------------

_ROW = st.fixed_dictionaries({c: st.floats(0, 100) for c in BPS.columns})


@settings(max_examples=40, deadline=None)
@given(_ROW, st.sampled_from(BPS.columns), st.floats(0, 100), st.data())
def test_more_deprivation_never_lowers_a_score(row, column, more, data):
    rules = data.draw(st.sampled_from([BPS, PERMEN]))
    row = dict(zip(rules.columns, (list(row.values()) * 2)[: len(rules.columns)], strict=True))
    column = column if column in row else rules.columns[0]
    made = pd.DataFrame([row, row | {column: row[column] + more}])
    low, high = slums.score(made, rules)["score"]
    assert high >= low
    assert 0 <= low <= rules.maximum and 0 <= high <= rules.maximum


@settings(max_examples=25, deadline=None)
@given(st.lists(_ROW, min_size=2, max_size=6), st.randoms(), st.floats(0.1, 50))
def test_order_of_rows_and_scale_of_weights_do_not_matter(rows, random, factor):
    made = pd.DataFrame(rows)
    base = slums.score(made, BPS)["score"]
    order = list(made.index)
    random.shuffle(order)
    pd.testing.assert_series_equal(slums.score(made.loc[order], BPS)["score"].sort_index(), base)
    heavier = tuple(dataclasses.replace(c, weight=c.weight * factor) for c in BPS.criteria)
    other = slums.score(made, dataclasses.replace(BPS, criteria=heavier))["score"]
    np.testing.assert_allclose(other, base, atol=1e-8)


# ---- rules -------------------------------------------------------------------------------------


def test_the_sets_say_what_is_published_and_what_is_assumed():
    assert (len(BPS.criteria), len(PERMEN.criteria)) == (11, 16)
    assert BPS.classes_basis == BPS.weights_basis == declared.ASSUMED
    assert PERMEN.classes_basis == declared.PUBLISHED
    assert len({criterion.aspect for criterion in PERMEN.criteria}) == 7
    shown = slums.rules_table(BPS)
    assert len(shown) == 12 and (shown["source"].str.len() > 10).all()
    assert BPS.basis_words().startswith("5 of the 11 criteria have published thresholds")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["classes", "from"], {"ringan": 30, "berat": 60}, "from the worst down"),
        (["classes", "from"], {"berat": 130}, "up to the maximum of 100"),
        (["criteria", 0, "weight"], 0, "criterion population density: the weight is positive"),
        (["criteria", 1, "basis"], "guess", "basis is 'guess', not published or assumed"),
        (["criteria", 2, "source"], "", "criterion building layout: needs a source"),
        (["sensitivity", "threshold_spread_pct"], 100, "threshold_spread_pct below 100"),
        (["maximum"], None, "bad.yml"),
    ],
)
def test_bad_rules_are_refused_and_the_place_is_named(path, value, message, tmp_path):
    rules = yaml.safe_load(sources.record(slums.BPS_2017).file.read_text())
    place = rules
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(rules, sort_keys=False))
    with pytest.raises(slums.SlumError, match=message):
        slums.read_rules(tmp_path / "bad.yml")


def test_a_users_own_rules_are_read_and_noted(tmp_path):
    own = sources.record(slums.BPS_2017).file.read_text().replace("berat: 80", "berat: 70")
    (tmp_path / "own.yml").write_text(own)
    assert slums.read_rules(tmp_path / "own.yml").classes["berat"] == 70
    assert any(read["path"].endswith("own.yml") for read in provenance.reads())
    with pytest.raises(slums.SlumError, match=r"none\.yml cannot be read"):
        slums.read_rules(tmp_path / "none.yml")


# ---- sensitivity -------------------------------------------------------------------------------


def test_without_spread_nothing_moves(invented):
    still = dataclasses.replace(
        BPS, weight_concentration=1e9, threshold_spread_pct=0.0, cutoff_spread=0.0
    )
    found = slums.sensitivity(invented, still, draws=3)
    assert found.kept_pct == 100 and (found.draws["kappa"] == 1).all()
    pd.testing.assert_series_equal(
        found.rows["rank"], found.rows["rank_low"], check_names=False, atol=500
    )


def test_sensitivity_adds_up_and_is_the_same_each_time(invented):
    few = invented.sample(200, random_state=1)
    found = slums.sensitivity(few, BPS, draws=40)
    probabilities = found.rows.filter(regex="^p_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    own = [
        probabilities.loc[i, f"p_{c.replace(' ', '_')}"]
        for i, c in found.rows["slum_class"].items()
    ]
    np.testing.assert_allclose(found.rows["kept_share"], own)
    assert found.rows["kept_share"].mean() * 100 == pytest.approx(found.kept_pct)
    assert (found.rows["rank_low"] <= found.rows["rank_high"]).all()
    again = slums.sensitivity(few, BPS, draws=40)
    pd.testing.assert_frame_equal(found.draws, again.draws)
    other = slums.sensitivity(few, BPS, draws=40, seed=1)
    assert not found.draws.equals(other.draws)
    assert "keep their class" in found.words()


@pytest.mark.parametrize("part", scores.VARIED)
def test_each_part_moves_something_by_itself(invented, part):
    found = slums.sensitivity(invented.sample(300, random_state=4), BPS, [part], draws=20)
    assert found.varied == (part,)
    assert 50 < found.kept_pct < 100


def test_a_wider_spread_moves_more(invented):
    few = invented.sample(300, random_state=2)
    narrow = dataclasses.replace(BPS, threshold_spread_pct=5.0)
    wide = dataclasses.replace(BPS, threshold_spread_pct=40.0)
    kept = [
        slums.sensitivity(few, rules, [scores.THRESHOLDS], draws=60).kept_pct
        for rules in (narrow, wide)
    ]
    assert kept[0] > kept[1]


def test_kappa_by_hand():
    # 20 both slum, 15 both not, 10 and 5 apart: Po = 0.7, Pe = 0.5 (Cohen 1960), kappa 0.4.
    base = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    codes = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    kept, slum, kappa, weighted = scores._agreement(base, codes, 2)
    assert (kept, slum) == (70, 30)
    assert (kappa, weighted) == pytest.approx((0.4, 0.4))  # two classes: weights change nothing


def test_what_cannot_be_varied_is_refused(invented):
    with pytest.raises(slums.SlumError, match="cannot vary colours"):
        slums.sensitivity(invented, BPS, ["colours"])
    with pytest.raises(slums.SlumError, match="nothing to vary"):
        slums.sensitivity(invented, BPS, [])
    nothing = table({"poor_road_pct": np.nan})
    with pytest.raises(slums.SlumError, match="no RW of the table has a score"):
        slums.sensitivity(nothing, BPS)


def test_each_part_alone_and_all_together(invented):
    parts = slums.sensitivity_table(invented.sample(150, random_state=3), BPS, draws=30)
    assert list(parts["varied"])[:3] == list(scores.VARIED) and len(parts) == 4
    assert parts["kept_pct"].iloc[3] <= parts["kept_pct"].iloc[:3].max()


# ---- synthetic RW ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_synthetic_rw_have_the_published_counts_and_say_what_they_are(seed):
    made = synthetic.rw_variables(seed)
    assert provenance.synthetic()
    scored = slums.score(made, BPS)
    counts = scored["slum_class"].value_counts()
    assert counts.drop("not slum").to_dict() == {
        "berat": 15, "sedang": 99, "ringan": 205, "sangat ringan": 126,
    }  # fmt: skip
    slum = scored[scored["slum_class"] != "not slum"]
    assert slum["kota_code"].value_counts()[["3173", "3174", "3101"]].tolist() == [98, 92, 7]
    pusat = slum.loc[slum["kota_code"] == "3173", "slum_class"].value_counts()
    assert [pusat[c] for c in BPS.classes] == [1, 23, 47, 27]
    assert made["kelurahan_code"].nunique() == 267
    assert not made.duplicated(["kelurahan_code", "rw"]).any()
    assert not {"kelurahan", "kecamatan"} & set(made.columns)  # invented names only


def test_synthetic_rw_sum_to_their_kelurahan_and_go_with_density(invented):
    published = sources.read("kelurahan_population_2024").set_index("kelurahan_code")
    sums = invented.groupby("kelurahan_code")["population_count"].sum()
    assert (sums - published["population_count"][sums.index]).abs().max() <= 15  # rounding
    scored = slums.score(invented, BPS)
    permen = slums.score(invented, PERMEN)
    assert scored["score"].corr(permen["score"], method="spearman") > 0.5
    crowded = invented["families_per_100m2"].groupby(invented["kelurahan_code"]).mean()
    assert crowded.corr(published["density_per_km2"], method="spearman") > 0.2


def test_synthetic_rw_are_slums_where_the_households_of_the_city_are(invented):
    rng = np.random.default_rng(np.random.SeedSequence([0, 0]))  # as `synthetic.cities`
    share = official.slum_shares(rng)
    own = slums.scores_by_kelurahan(slums.score(invented, BPS)).set_index("kelurahan_code")
    assert own["slum_rw_of_rw_pct"].corr(share[own.index]) > 0.9


def test_synthetic_rw_of_a_seed_are_the_same(invented):
    pd.testing.assert_frame_equal(invented, synthetic.rw_variables(0))
    with pytest.raises(synthetic.SyntheticError, match="seed is -1"):
        synthetic.rw_variables(-1)


# ---- the user's table --------------------------------------------------------------------------


@pytest.fixture
def own_file(tmp_path):
    made = table({}, {}).assign(rw=["RW 08", "11"], population_count=[10, 20])
    path = tmp_path / "rw.csv"
    made.to_csv(path, index=False)
    return path


def test_a_users_table_is_read(own_file):
    read = slums.read_variables(own_file, BPS)
    assert read["rw"].tolist() == ["008", "011"]
    assert list(read.columns[:3]) == ["kelurahan_code", "kota_code", "rw"]
    assert not provenance.synthetic()
    assert slums.score(read, BPS)["score"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("poor_road_pct", "road", "no column poor_road_pct, which BPS 2017"),
        ("3173010001", "9973010001", "2 rows have a kelurahan_code that is not of BPS"),
        ("RW 08", "RW A", "1 rows have no RW number .the first is row 1"),
        ("RW 08", "RW 11", "1 RW are there twice .3173010001 RW 011"),
        ("0.0,3173010001,11", "101,3173010001,11", "no_street_lighting_pct: 101 is not between"),
        ("0.0,3173010001,11", "-,3173010001,11", "no_street_lighting_pct: '-' is no number .row 2"),
    ],
)
def test_what_is_wrong_with_a_users_table_is_named(own_file, old, new, message):
    own_file.write_text(own_file.read_text().replace(old, new))
    with pytest.raises(slums.SlumError, match=message):
        slums.read_variables(own_file, BPS)


@pytest.mark.parametrize("name", ["rw.csv", "rw.parquet"])
def test_a_table_marked_as_synthetic_stays_so(tmp_path, invented, name):
    if name.endswith("csv"):
        invented.to_csv(tmp_path / name, index=False)
    else:
        invented.to_parquet(tmp_path / name)
    read = slums.read_variables(tmp_path / name, BPS)
    assert provenance.synthetic() and len(read) == len(invented)
    np.testing.assert_allclose(slums.score(read, BPS)["score"], slums.score(invented, BPS)["score"])


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(slums.SlumError, match=r"none\.csv cannot be read"):
        slums.read_variables(paths.ROOT / "none.csv", BPS)
