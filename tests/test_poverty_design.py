"""Standard errors under the design: against svy, against simulation, and against themselves."""

import numpy as np
import pandas as pd
import pytest

from analysis.poverty import design
from analysis.poverty import measures as m


def example(lone: int = 0) -> pd.DataFrame:
    """A survey without random numbers: 6 strata of 4 clusters of 5 households.

    With ``lone`` strata of one cluster.
    """
    rows = [(h, c, i) for h in range(6) for c in range(1 if h < lone else 4) for i in range(5)]
    h, c, i = np.array(rows).T
    at = 20 * h + 5 * c + i + 1
    golden = (np.sqrt(5) - 1) / 2
    u = at * golden % 1
    v = (4 * h + c + 1) * golden % 1
    return pd.DataFrame(
        {
            "stratum": [f"s{k}" for k in h],
            "cluster": [f"c{k}" for k in c],
            "weight": 1 + 3 * (at * np.sqrt(2) % 1),
            "household_size": 1 + (at * 7) % 5,
            "y": np.exp(1.5 * (u - 0.5) + 0.8 * (v - 0.5)),
            "area": [f"a{k}" for k in (h + c) % 3],
        }
    )


# svy 0.35.0 on `example`: lone strata (with its rule "center"), area, measure, estimate, standard
# error, interval (of P0 the logit one), design effect against sampling with replacement, df.
OF_SVY = """
0,all,mean,1.11829064,0.07102472745,0.9690732243,1.267508055,2.09719769,18
0,all,p0,0.3407596933,0.04903925011,0.2462822188,0.4498488762,1.273921393,18
0,all,p1,0.08369157722,0.01882100929,,,1.956584293,18
0,a0,mean,1.09051276,0.1541859126,0.4271043221,1.753921197,2.916736644,2
0,a1,mean,1.127745445,0.07858686697,0.7896134471,1.465877443,0.9720489296,2
0,a2,mean,1.136539627,0.1038457246,0.6897275361,1.583351717,1.431666512,2
0,a0,p0,0.4171838648,0.102748656,0.1040890921,0.8151615876,1.6933933,2
0,a1,p0,0.3207227291,0.04655663255,0.1584335433,0.5421559155,0.3880171359,2
0,a2,p0,0.2841782391,0.08357436821,0.06347379291,0.6992841321,1.339106431,2
0,a0,p1,0.1040366817,0.03312059653,,,1.733242271,2
0,a1,p1,0.06561676816,0.01522240511,,,0.6120642316,2
0,a2,p1,0.08221832078,0.03932871492,,,2.432295154,2
2,all,mean,1.097469822,0.08398485969,0.9144825324,1.280457112,2.191730343,12
2,all,p0,0.3533509793,0.05742846986,0.2401325513,0.4858211191,1.284604896,12
2,all,p1,0.08843101218,0.02343145838,,,2.087407598,12
2,a0,mean,1.103084759,0.1927840071,-1.346468305,3.552637823,3.055548841,1
2,a1,mean,1.118837888,0.06879013246,0.2447763814,1.992899395,0.6479371883,1
2,a2,mean,1.068494812,0.1218887774,0.5440497314,1.592939893,1.462764218,2
2,a0,p0,0.4184167466,0.1231813068,0.001156520179,0.9977680163,1.808284091,1
2,a1,p0,0.3202274315,0.05513723552,0.01850353146,0.9216993497,0.4050100556,1
2,a2,p0,0.319535748,0.1041604802,0.05640818476,0.7867200992,1.447035475,2
2,a0,p1,0.1003839415,0.04048107624,,,2.027410292,1
2,a1,p1,0.06799876283,0.01641204577,,,0.4790891127,1
2,a2,p1,0.09765022253,0.05064635259,,,2.452549845,2
"""
OPTIONS = {"welfare": "y", "line": 0.8}
SEVERAL = ["mean", "p0", "p1", "p2", "watts", "sst", "gini", "median", m.share_of(0.4)]


def test_means_and_shares_are_those_of_svy():
    rows = [line.split(",") for line in OF_SVY.split()]
    names = ["lone", "area", "measure", "estimate", "se", "lower", "upper", "design_effect", "df"]
    theirs = pd.DataFrame(rows, columns=names)
    numeric = names[3:]
    theirs[numeric] = theirs[numeric].apply(pd.to_numeric)
    parts = []
    for lone in ("0", "2"):
        survey = example(int(lone))
        survey["persons"] = survey["weight"] * survey["household_size"]
        for by in (None, "area"):
            # Its design effect is of persons drawn, so that persons are the units here.
            found = design.estimate(
                survey, ["mean", "p0", "p1"], by=by, weights="persons", size=None, **OPTIONS
            )
            parts.append(found.assign(lone=lone))
    key = ["lone", "area", "measure"]
    ours = pd.concat(parts).set_index(key).loc[pd.MultiIndex.from_frame(theirs[key])]
    for name in numeric:
        known = theirs[name].notna().to_numpy()  # it has no logit interval of P1
        assert known.sum() >= 16
        assert ours[name].to_numpy()[known] == pytest.approx(theirs[name][known], rel=1e-8), name
    assert set(ours["interval"]) == {"t", "logit"}


def test_weights_times_size_are_weights_of_persons():
    survey = example(2)
    survey["persons"] = survey["weight"] * survey["household_size"]
    one = design.estimate(survey, SEVERAL, by="area", **OPTIONS)
    two = design.estimate(survey, SEVERAL, by="area", weights="persons", size=None, **OPTIONS)
    same = [name for name in one if name != "design_effect"]
    pd.testing.assert_frame_equal(one[same], two[same])


def test_a_formula_by_hand():
    # Two strata of two clusters of one household, weight 1: the mean of 1 3 | 2 6 is 3; scores are
    # (y - 3) / 4; each stratum adds 2 / 1 x sum (t - mean)^2.
    survey = pd.DataFrame({"h": list("aabb"), "c": list("1212"), "y": [1.0, 3, 2, 6]})
    found = design.estimate(
        survey, "mean", welfare="y", strata="h", clusters="c", weights=None, size=None
    ).iloc[0]
    assert found["se"] ** 2 == pytest.approx(2 * (0.25**2 * 2) + 2 * (0.5**2 * 2))
    assert found["df"] == 2 and found["n_clusters"] == 4
    # Of four drawn at random: sum (y - 3)^2 / (4 x 3) = 14 / 12.
    assert found["design_effect"] == pytest.approx(found["se"] ** 2 / (14 / 12))


def test_one_stratum_of_single_households_is_the_textbook():
    survey = pd.DataFrame({"y": np.arange(1.0, 21)})
    plain = {"strata": None, "clusters": None, "weights": None, "size": None}
    found = design.estimate(survey, ["mean", "p0"], welfare="y", line=6.5, **plain)
    assert found["se"][0] == pytest.approx(survey["y"].std() / np.sqrt(20))
    assert found["se"][1] == pytest.approx(np.sqrt(0.3 * 0.7 / 19))
    assert found["design_effect"].tolist() == pytest.approx([1, 1])


def test_single_clusters_centred_and_collapsed_by_hand():
    survey = pd.DataFrame({"h": list("aabcd"), "c": list("12111"), "y": [1.0, 3, 2, 4, 0]})
    options = {"welfare": "y", "strata": "h", "clusters": "c", "weights": None, "size": None}
    t = (survey["y"].to_numpy() - 2) / 5
    centred = design.estimate(survey, "mean", single="centred", **options).iloc[0]
    assert centred["se"] ** 2 == pytest.approx(2 * 2 * 0.2**2 + (t[2:] ** 2).sum())
    assert centred["df"] == 1
    # b and c make a pair, and d, left over, joins it.
    collapsed = design.estimate(survey, "mean", single="collapsed", **options).iloc[0]
    three = t[2:]
    within = 1.5 * ((three - three.mean()) ** 2).sum()
    assert collapsed["se"] ** 2 == pytest.approx(2 * 2 * 0.2**2 + within)
    assert collapsed["df"] == 3
    # One alone joins the stratum before it.
    four = survey[:3]
    t = (four["y"].to_numpy() - 2) / 3
    joined = design.estimate(four, "mean", single="collapsed", **options).iloc[0]
    assert joined["se"] ** 2 == pytest.approx(1.5 * (t**2).sum())


def test_a_single_cluster_outside_the_area_adds_nothing_of_note():
    survey = example(2)
    survey["mine"] = np.where(survey["stratum"] > "s1", "in", "out")
    inside = design.estimate(survey, "p1", by="mine", **OPTIONS).iloc[0]
    apart = design.estimate(survey[survey["mine"] == "in"], "p1", **OPTIONS).iloc[0]
    assert inside["se"] == pytest.approx(apart["se"], rel=1e-9)


def test_codes_of_clusters_may_begin_anew_in_each_stratum():
    survey = example()
    unique = survey.assign(cluster=survey["stratum"] + survey["cluster"])
    one, two = (design.estimate(s, "p1", **OPTIONS) for s in (survey, unique))
    pd.testing.assert_frame_equal(one, two)
    assert one["n_clusters"][0] == 24


def test_a_household_written_twice_is_one_of_twice_the_weight():
    survey = example()
    twice = pd.concat([survey, survey[survey["cluster"] == "c1"]], ignore_index=True)
    heavy = survey.assign(weight=survey["weight"] * np.where(survey["cluster"] == "c1", 2, 1))
    measures = [each for each in SEVERAL if each != "median"]  # the kernel's width counts rows
    columns = ["estimate", "se", "lower", "upper", "n_clusters", "df"]
    one, two = (design.estimate(s, measures, **OPTIONS)[columns] for s in (twice, heavy))
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_the_unit_of_the_weights_does_not_matter():
    survey = example(2)
    thousand = survey.assign(weight=survey["weight"] * 1000)
    one, two = (design.estimate(s, SEVERAL, by="area", **OPTIONS) for s in (survey, thousand))
    pd.testing.assert_frame_equal(one, two, rtol=1e-8)


# --- the bootstrap


def test_bootstrap_factors_keep_the_weight_of_a_stratum_on_average():
    drawn = design.Design.of(example())
    factors = design.replicate_factors(drawn, 2000, seed=1)
    times = factors * 3 / 4
    assert np.array_equal(times, times.round())
    strata = np.array([times[drawn.stratum_of == h].sum(axis=0) for h in range(6)])
    assert (strata == 3).all()
    assert factors.mean(axis=1) == pytest.approx(np.ones(24), abs=0.08)
    assert np.array_equal(factors, design.replicate_factors(drawn, 2000, seed=1))


def test_the_bootstrap_and_the_linearisation_agree():
    survey = pd.concat(
        [
            example().assign(
                stratum=lambda t, k=k: t["stratum"] + str(k), y=lambda t, k=k: t["y"] * (1 + k / 20)
            )
            for k in range(6)
        ]
    )
    linear = design.estimate(survey, SEVERAL, **OPTIONS)
    drawn = design.estimate(survey, SEVERAL, method="bootstrap", replicates=1000, **OPTIONS)
    assert drawn["estimate"].equals(linear["estimate"])
    rough = linear["measure"] == "median"
    ratio = drawn["se"] / linear["se"]
    assert ((ratio[~rough] - 1).abs() < 0.08).all(), ratio
    assert ((ratio[rough] - 1).abs() < 0.3).all(), ratio


def test_the_bootstrap_of_areas_and_of_all_columns_is_the_same_as_row_by_row():
    survey = example()
    found = design.estimate(
        survey, ["p1", "gini"], by="area", method="bootstrap", replicates=50, seed=3, **OPTIONS
    ).set_index(["area", "measure"])
    drawn = design.Design.of(survey)
    factors = design.replicate_factors(drawn, 50, seed=3)
    own = (survey["area"] == "a1").to_numpy()
    y, weights = survey["y"][own], drawn.person_weights[own]
    for name, of in (
        ("p1", lambda w: m.fgt(y, 0.8, 1, weights=w)),
        ("gini", lambda w: m.gini(y, weights=w)),
    ):
        replicates = [of(weights * factors[drawn.clusters[own], b]) for b in range(50)]
        slow = np.sqrt(np.mean((np.array(replicates) - of(weights)) ** 2))
        assert found.loc[("a1", name), "se"] == pytest.approx(slow)


# --- simulation


def population(rng: np.random.Generator, level: float) -> pd.DataFrame:
    """4 strata of 150 clusters of 30 households; clusters are alike, and strata differ."""
    h, c, _ = (a.ravel() for a in np.indices((4, 150, 30)))
    welfare = np.exp(
        level + 0.15 * h + rng.normal(0, 0.3, (4, 150))[h, c] + rng.normal(0, 0.5, len(h))
    )
    size = 1 + rng.poisson(2 + np.exp(-welfare))
    return pd.DataFrame({"stratum": h, "cluster": c, "y": welfare, "household_size": size})


def two_stage(rng: np.random.Generator, of: pd.DataFrame, clusters: int = 12) -> pd.DataFrame:
    """8 of 30 households from clusters drawn with replacement, fewer or more by stratum."""
    parts = []
    for h, drawn in enumerate((clusters // 2, clusters, clusters, clusters * 3 // 2)):
        for number, c in enumerate(rng.integers(0, 150, drawn)):
            rows = (h * 150 + c) * 30 + rng.permutation(30)[:8]
            parts.append((rows, np.full(8, number), np.full(8, 150 / drawn * 30 / 8)))
    rows, number, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    return of.iloc[rows].assign(cluster=number, weight=weight)


@pytest.fixture(scope="module")
def repeated() -> tuple[pd.Series, pd.DataFrame]:
    """The truth of a population, and the estimates of 200 samples."""
    rng = np.random.default_rng(7)
    of = population(rng, 0.2)
    people = of["household_size"]
    truth = {
        "mean": m.mean(of["y"], weights=people),
        "p0": m.fgt(of["y"], 0.8, weights=people),
        "p1": m.fgt(of["y"], 0.8, 1, weights=people),
        "p2": m.fgt(of["y"], 0.8, 2, weights=people),
        "watts": m.watts(of["y"], 0.8, weights=people),
        "sst": m.sst(of["y"], 0.8, weights=people),
        "gini": m.gini(of["y"], weights=people),
        "median": m.quantile(of["y"], 0.5, weights=people),
        "share 0.4": m.share(of["y"], 0.4, weights=people),
    }
    found = pd.concat([design.estimate(two_stage(rng, of), SEVERAL, **OPTIONS) for _ in range(200)])
    return pd.Series(truth), found


def test_standard_errors_are_those_of_repeated_samples(repeated):
    truth, found = repeated
    by = found.groupby("measure")
    ratio = np.sqrt(by["se"].apply(lambda se: (se**2).mean())) / by["estimate"].std()
    # 200 samples know a standard deviation to 5 %.
    assert ratio.between(0.87, 1.13).all(), ratio
    bias = (by["estimate"].mean() - truth).abs() / by["estimate"].std()
    assert (bias < 0.25).all(), bias
    # The clusters matter: without them the errors of means would be far too small.
    effect = found[found["measure"] == "mean"]["design_effect"].mean()
    assert effect > 1.5


def test_intervals_cover(repeated):
    truth, found = repeated
    right = found["measure"].map(truth)
    covered = (
        ((found["lower"] <= right) & (right <= found["upper"])).groupby(found["measure"]).mean()
    )
    assert covered.between(0.90, 0.99).all(), covered  # 95 % +- 1.4


def test_of_a_small_share_the_logit_interval_covers_and_the_normal_one_is_one_sided():
    rng = np.random.default_rng(11)
    of = population(rng, 0.2)
    line = m.quantile(of["y"], 0.03, weights=of["household_size"])
    truth = m.fgt(of["y"], line, weights=of["household_size"])
    found = pd.concat(
        [
            design.estimate(two_stage(rng, of, clusters=6), "p0", welfare="y", line=line)
            for _ in range(300)
        ]
    )
    assert found["lower"].min() >= 0
    logit = [(found["upper"] < truth).mean(), (found["lower"] > truth).mean()]
    reach = 2.09 * found["se"]
    normal = [
        (found["estimate"] + reach < truth).mean(),
        (found["estimate"] - reach > truth).mean(),
    ]
    assert sum(logit) < 0.09
    assert normal[0] > logit[0] and sum(normal) > sum(logit)


# --- where there is little to say


def test_nobody_poor_is_not_without_error():
    survey = example().assign(area=lambda t: t["area"].where(t["y"] < 0.8, "rich"))
    table = design.estimate(survey, ["p0", "p2", "sst", "gini"], by="area", **OPTIONS)
    found = table.set_index(["area", "measure"])
    for name in ("p0", "p2"):
        rich = found.loc[("rich", name)]
        assert rich["estimate"] == 0 and np.isnan(rich["se"]) and rich["interval"] == "exact"
        # Clopper and Pearson: all clusters without a poor one has probability 0.025.
        assert (1 - rich["upper"]) ** rich["n_clusters"] == pytest.approx(0.025)
        assert rich["lower"] == 0
    assert found.loc[("rich", "sst"), "interval"] == "none"
    assert found.loc[("rich", "gini"), "se"] > 0
    everybody = found.loc[("a1", "p0")]
    assert everybody["estimate"] == 1 and everybody["upper"] == 1 and everybody["lower"] < 1


def test_an_area_of_one_cluster_has_no_standard_error():
    survey = example().assign(area=lambda t: t["stratum"] + t["cluster"])
    found = design.estimate(survey, ["mean", "p0"], by="area", **OPTIONS)
    assert found["se"].isna().all() and (found["n_clusters"] == 1).all()
    assert set(found["interval"]) <= {"none", "exact"}
    for how in ("centred", "bootstrap"):
        options = {"method": how} if how == "bootstrap" else {"single": how}
        again = design.estimate(survey, "mean", by="area", **options, **OPTIONS)
        assert again["se"].isna().all()


def test_without_degrees_of_freedom_there_is_no_interval():
    survey = example().assign(area=lambda t: t["cluster"])  # a cluster of each stratum
    found = design.estimate(survey, ["mean", "p0"], by="area", **OPTIONS)
    assert (found["df"] == 0).all() and (found["se"] > 0).all()
    assert found["lower"].isna().all() and set(found["interval"]) == {"none"}


def test_constant_welfare_has_no_error_to_estimate():
    found = design.estimate(example().assign(y=1.0), ["mean", "gini", "median"], welfare="y")
    assert found["se"].isna().all() and found["lower"].isna().all()


def test_columns_and_their_order():
    found = design.estimate(example(), ["p1", "mean"], by="area", **OPTIONS)
    assert list(found) == [
        "area", "measure", "estimate", "se", "cv", "lower", "upper", "interval", "n_households",
        "n_clusters", "df", "design_effect",
    ]  # fmt: skip
    assert found["area"].tolist() == ["a0", "a0", "a1", "a1", "a2", "a2"]
    assert found["measure"].tolist() == ["p1", "mean"] * 3
    assert found["n_households"].sum() == 240
    assert found["cv"].to_numpy() == pytest.approx((found["se"] / found["estimate"]).to_numpy())


def test_a_ratio_of_columns():
    survey = example().assign(food=lambda t: t["y"] * 0.5, total=lambda t: t["y"] + t["weight"])
    found = design.estimate(survey, m.ratio_of("food", "total", name="food share")).iloc[0]
    w = survey["weight"] * survey["household_size"]
    assert found["estimate"] == pytest.approx((w @ survey["food"]) / (w @ survey["total"]))
    assert found["measure"] == "food share" and found["interval"] == "logit" and found["se"] > 0


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"strata": "region"}, "no column 'region': it has stratum, cluster"),
        ({"weight": 0.0}, {}, "column weight is not above zero in 120 of 120 rows, first in row 1"),
        ({"y": np.nan}, {}, "column y is missing or infinite"),
        ({"cluster": None}, {}, "column cluster is missing"),
        ({"period": ["2017-03", "2021-03"] * 60}, {}, "2 periods in its column period"),
        ({}, {"line": None}, "p0 needs the poverty line"),
        ({}, {"line": -1}, "the line -1 is not above zero"),
        ({}, {"single": "drop"}, "'drop' is unknown: there are centred, collapsed"),
        ({}, {"method": "jackknife"}, "'jackknife' is unknown: there are taylor, bootstrap"),
        ({}, {"level": 95}, "level is a share between 0 and 1, not 95"),
    ],
)
def test_errors_say_which_column(change, options, words):
    with pytest.raises(m.MeasureError, match=words):
        design.estimate(example().assign(**change), "p0", **{**OPTIONS, **options})


def test_the_bootstrap_says_what_to_do_about_single_clusters():
    with pytest.raises(m.MeasureError, match="2 of 6 strata have one cluster.*'collapsed'"):
        design.estimate(example(2), "p0", method="bootstrap", **OPTIONS)
    found = design.estimate(example(2), "p0", method="bootstrap", single="collapsed", **OPTIONS)
    linear = design.estimate(example(2), "p0", single="collapsed", **OPTIONS)
    assert found["se"][0] == pytest.approx(linear["se"][0], rel=0.15)
    one = example()[:5]
    with pytest.raises(m.MeasureError, match="one cluster: no variance"):
        design.estimate(one, "mean", single="collapsed", **OPTIONS)
