import pandas as pd
import pytest

from analysis import slums, synthetic
from analysis.slums import shown


@pytest.fixture(scope="module")
def rw():
    return synthetic.rw_variables(0)


def test_classes_in_words(rw):
    scored = slums.score(rw, slums.read_rules())
    words = shown.classes_words(scored)
    assert words == (
        "445 of 2,730 RW are slums: 15 berat, 99 sedang, 205 ringan, 126 sangat ringan"
    )
    scored.loc[scored.index[:3], "slum_class"] = None
    assert shown.classes_words(scored).endswith("; 3 have no score")


def test_the_number_of_slum_rw_has_its_range_and_the_table_says_the_same(rw):
    rules = slums.read_rules()
    words = shown.range_words(slums.sensitivity(rw, rules, draws=40))
    reach = shown.sensitivity_table(rw, rules, 40, 0)["slum_rw_range"].iloc[-1]
    assert "between {} and {} in nine".format(*reach.split("–")) in words
    assert shown.sensitivity_table(rw, rules, 5, 0)["varied"].iloc[-1] == (
        "weights, thresholds and cut-offs"
    )


def test_the_second_set_needs_its_columns(rw):
    ministry = slums.read_rules(slums.PERMEN_2018)
    assert shown.applies(rw, ministry)
    assert not shown.applies(rw.drop(columns="inundated_pct"), ministry)


def test_agreement_of_a_set_with_itself_is_full(rw):
    scored = slums.score(rw, slums.read_rules())
    assert "kappa of slum or not is 1.00" in shown.agreement_words(scored, scored)
    table = shown.crossed(scored, scored)
    assert next(iter(table.columns)) == "slum_class"
    counts = table.drop(columns="slum_class").to_numpy()
    assert counts.trace() == counts.sum() == len(rw)
    none = scored.assign(
        slum_class=pd.Categorical([slums.NOT_SLUM] * len(rw), scored["slum_class"].cat.categories)
    )
    assert "kappa" not in shown.agreement_words(scored, none)


def test_the_worst_come_first_under_their_names(rw):
    found = slums.sensitivity(rw, slums.read_rules(), draws=20)
    names = rw.groupby("kelurahan_code")["area_name"].first()
    table = shown.worst_table(found, names, most=5)
    assert len(table) == 5 and table["score"].is_monotonic_decreasing
    assert table["rw_name"].str.split(" RW ").str[0].isin(names).all()


def test_kelurahan_are_ordered_by_residents(rw):
    scored = slums.score(rw, slums.read_rules())
    names = rw.groupby("kelurahan_code")["area_name"].first()
    table = shown.kelurahan_table(scored, names, most=8)
    assert table["slum_residents_of_residents_pct"].is_monotonic_decreasing
    # Without residents by the number of RW.
    table = shown.kelurahan_table(scored.drop(columns="population_count"), names, most=8)
    assert table["slum_rw_of_rw_pct"].is_monotonic_decreasing
