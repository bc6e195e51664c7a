import pandas as pd
import pytest

from analysis import slum_scores, slums, synthetic


@pytest.fixture(scope="module")
def rw():
    return synthetic.rw_variables(0)


def test_classes_in_words(rw):
    scored = slums.score(rw, slums.read_rules())
    words = slum_scores.classes_words(scored)
    assert words.startswith("15 berat, 99 sedang, 205 ringan, 126 sangat ringan")
    assert "of 2,730 RW" in words and "no score" not in words


def test_the_second_set_needs_its_columns(rw):
    ministry = slums.read_rules(slums.PERMEN_2018)
    assert slum_scores.applies(rw, ministry)
    assert not slum_scores.applies(rw.drop(columns="inundated_pct"), ministry)


def test_agreement_of_a_set_with_itself_is_full(rw):
    scored = slums.score(rw, slums.read_rules())
    assert "kappa of slum or not is 1.00" in slum_scores.agreement_words(scored, scored)
    table = slum_scores.crossed(scored, scored)
    assert next(iter(table.columns)) == "slum_class"
    counts = table.drop(columns="slum_class").to_numpy()
    assert counts.trace() == counts.sum() == len(rw)
    none = scored.assign(
        slum_class=pd.Categorical([slums.NOT_SLUM] * len(rw), scored["slum_class"].cat.categories)
    )
    assert "kappa" not in slum_scores.agreement_words(scored, none)


def test_the_worst_come_first_under_their_names(rw):
    found = slums.sensitivity(rw, slums.read_rules(), draws=20)
    names = rw.groupby("kelurahan_code")["area_name"].first()
    table = slum_scores.worst_table(found, names, most=5)
    assert len(table) == 5 and table["score"].is_monotonic_decreasing
    assert table["rw_name"].str.split(" RW ").str[0].isin(names).all()


def test_kelurahan_are_ordered_by_residents(rw):
    scored = slums.score(rw, slums.read_rules())
    names = rw.groupby("kelurahan_code")["area_name"].first()
    table = slum_scores.kelurahan_table(scored, names, most=8)
    assert table["slum_residents_of_residents_pct"].is_monotonic_decreasing
    # Without residents by the number of RW.
    table = slum_scores.kelurahan_table(scored.drop(columns="population_count"), names, most=8)
    assert table["slum_rw_of_rw_pct"].is_monotonic_decreasing
