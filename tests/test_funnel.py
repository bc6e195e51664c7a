import numpy as np
import pytest
from matplotlib import pyplot as plt

from analysis import arithmetic, assumptions, funnel, sources, tables


@pytest.fixture(scope="module")
def programme():
    return sources.read("programme_indicators")


@pytest.fixture(scope="module")
def published(programme):
    return funnel.counts(programme)


def test_every_published_count_is_there_with_its_source(programme, published):
    indicators = [name for names in funnel.STEPS.values() for name in names]
    assert len(published) == programme["indicator"].isin(indicators).sum()
    assert published["source"].str.len().min() > 5
    assert set(published["programme"]) == {"OK OCE", "JakPreneur"}


# As the sources have it (Kompas 3 and 18 March 2019, The Jakarta Post 20 March 2019).
def test_years_show_counts_ranges_and_gaps(published):
    table = funnel.by_year(published).set_index("step")
    assert table.loc["trained", "2018"] == "50,000 to 53,000"
    assert table.loc["registered", "2018"] == "65,000"  # of the year, not the one of March
    assert table.loc["registered", "2022"] == "326,000"
    assert (table["2020"] == "not published").all()
    assert table.loc["licensed", "2021"] == "not published"


def test_ratios_are_ranges_over_the_sources(published):
    table = funnel.ratios(published).set_index(["period", "of", "to"])
    trained = table.loc[("2018", "registered", "trained")]
    assert trained["low_pct"] == pytest.approx(100 * 50 / 65)
    assert trained["high_pct"] == pytest.approx(100 * 53 / 65)
    licensed = table.loc[("2018", "trained", "licensed")]
    assert licensed["low_pct"] == pytest.approx(100 * 15_000 / 53_000)
    assert licensed["high_pct"] == pytest.approx(100 * 16_734 / 50_000)
    jobs = table.loc[("2018", "licensed", "jobs claimed")]
    assert not jobs["subset"] and jobs["high_pct"] > 100  # more jobs than licences: no share
    assert table.drop(index=jobs.name)["subset"].all()
    assert table.loc[("2019-03", "licensed", "with capital"), "low_pct"] < 1


def test_the_two_readings_of_the_target_are_kept_apart(programme):
    aims = funnel.targets(programme)
    assert aims["entrepreneurs"] == aims["jobs"] == 200_000 and aims["per_year"] == 40_000
    table = funnel.aim_table(programme).set_index("aim")
    assert table.loc["target of the programme", "unit"] == "entrepreneurs"
    assert table.loc["meeting of the poverty team", "unit"] == "jobs"
    assert "31 May 2018" in table.loc["meeting of the poverty team", "source"]
    with pytest.raises(funnel.FunnelError, match="OKOCE_jobs_target"):
        funnel.targets(programme[programme["indicator"] != "OKOCE_jobs_target"])


def test_the_words_are_the_counts(programme, published):
    told = funnel.verdict(published, funnel.targets(programme))
    assert "15,000 to 16,734 businesses" in told and "38 to 42 %" in told and "326,000" in told
    assert "326,000, more than the 200,000" in told
    assert "licences, of March 2019, is 8 % of that target" in told  # 16,734 of 200,000
    fewer = programme[programme["indicator"] != "JakPreneur_registered"]
    told = funnel.verdict(funnel.counts(fewer), funnel.targets(fewer))
    assert "85,000, not more than the 200,000" in told
    more = programme.copy()
    more.loc[more["indicator"] == "OKOCE_licensed_IUMK", "value"] *= 2
    assert "75 to 84 %" in funnel.verdict(funnel.counts(more), funnel.targets(more))


def test_the_claim_stands_beside_the_survey(published):
    indicators = sources.read("dki_indicators")
    unemployed = indicators.loc[indicators["indicator"] == "unemployed", ["period", "value"]]
    told = funnel.jobs_words(published, unemployed)
    assert "rose from 290,120 (February 2018) to 314,840 (August 2018), by 24,720" in told


def test_what_it_can_mean_is_the_arithmetic_of_the_counts(programme, published):
    base = arithmetic.baseline(tables.read("poverty_semester"), "31", "2017-09")
    inputs = assumptions.read()
    meant = funnel.meaning(published, funnel.targets(programme), base, inputs)
    table = funnel.meaning_table(meant).set_index("what")
    assert table.loc["licensed, last count", "number"] == 16_734
    whole = arithmetic.simulate_points(base, inputs, 200_000).to_numpy()
    assert table.loc["target, entrepreneurs", "median"] == pytest.approx(np.median(whole), rel=1e-3)
    assert table["median"].is_monotonic_increasing
    told = funnel.meaning_words(meant)
    assert f"**{table.loc['licensed, last count', 'median']:.2f} points**" in told


def test_the_programmes_claim_is_held_against_its_own_numbers(programme):
    base = arithmetic.baseline(tables.read("poverty_semester"), "31", "2017-09")
    inputs = assumptions.read()
    told = funnel.claim_words(base, inputs, programme)
    most = 100 * 30_000 * 5.01 / base.population_count
    assert "30,000 jobs" in told and f"by {most:.1f} if every one" in told


def test_both_published_budgets_are_marked(programme):
    budgets = programme.loc[programme["indicator"] == "OKOCE_budget", "value"]
    assert len(budgets) == 2 and sorted(funnel.budget_marks(programme).values()) == sorted(budgets)


def test_the_drawing_has_every_count(programme, published):
    figure, axes = plt.subplots()
    funnel.draw(axes, published, funnel.targets(programme))
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    plt.close(figure)
    for step in funnel.STEPS:
        expected = published.loc[published["step"] == step, "value"] / 1000
        assert list(drawn[step]) == list(expected)
    assert drawn["40,000 entrepreneurs a year"][-1] == 200
