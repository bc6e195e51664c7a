import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import assumptions, sources


@pytest.fixture(scope="module")
def table():
    return sources.read("assumptions")


@pytest.fixture(scope="module")
def inputs():
    return assumptions.read()


def test_every_declared_input_has_a_source_and_a_basis(inputs):
    assert len(inputs) >= 12
    for declared in inputs.values():
        assert len(declared.source) > 20 and declared.basis in (
            "published",
            "literature",
            "judgement",
        )
        # What the project made up says so, and says that it was not published or measured.
        if declared.basis == "judgement":
            words = (
                "not published",
                "found published",
                "judgement",
                "weakly informative",
                "about a tenth",
            )
            assert any(word in declared.source.lower() for word in words), declared.name


@pytest.mark.parametrize("source", [None, "", "   ", "trust me"])
def test_an_input_without_a_source_is_refused(table, source):
    spoilt = table.assign(source=table["source"].mask(table["input"] == "survival", source))
    with pytest.raises(assumptions.AssumptionError, match="input survival.*needs a source"):
        assumptions.checked(spoilt)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("low", 0.9, "survival: low, central and high are not in order"),
        ("low", None, "survival: low, central or high is missing"),
        ("distribution", "cauchy", "survival: distribution: is none of"),
        ("basis", "guess", "survival: basis: is none of"),
        ("low", "half", "survival: low 'half' is no number"),
        ("high", np.inf, "survival: high inf is no number"),
        ("used_by", None, "survival: used_by: is empty"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(table, column, value, told):
    spoilt = table.astype({column: "object"})
    spoilt.loc[spoilt["input"] == "survival", column] = value
    with pytest.raises(assumptions.AssumptionError, match=told):
        assumptions.checked(spoilt)


def test_a_missing_column_and_a_twin_are_refused(table):
    with pytest.raises(assumptions.AssumptionError, match="column: is missing .'source'"):
        assumptions.checked(table.drop(columns="source"))
    with pytest.raises(assumptions.AssumptionError, match="column: is unknown .'remark'"):
        assumptions.checked(table.assign(remark=1))
    with pytest.raises(assumptions.AssumptionError, match="poor_household_size: .* is there twice"):
        assumptions.checked(pd.concat([table, table.head(1)]))
    with pytest.raises(assumptions.AssumptionError, match="there is no input"):
        assumptions.checked(table.head(0))


def test_a_users_own_file_is_read_and_named_in_errors(tmp_path, table):
    own = tmp_path / "mine.csv"
    table.assign(low=table["low"].mask(table["input"] == "survival", 0.6)).to_csv(own, index=False)
    assert assumptions.read(str(own))["survival"].low == 0.6
    table.drop(columns="basis").to_csv(own, index=False)
    with pytest.raises(assumptions.AssumptionError, match=r"mine\.csv: .*basis"):
        assumptions.read(str(own))
    with pytest.raises(assumptions.AssumptionError, match=r"none\.csv cannot be read"):
        assumptions.read(str(tmp_path / "none.csv"))


def declared(distribution, low, central, high):
    return assumptions.Input("x", "all", distribution, low, central, high, "1", "judgement", "test")


@pytest.mark.parametrize(
    ("drawn", "at", "expected"),
    [
        (declared("uniform", 2, np.nan, 4), [0, 0.5, 1], [2, 3, 4]),
        (declared("loguniform", 1, np.nan, 100), [0, 0.5, 1], [1, 10, 100]),
        # By hand: the mode of a triangle from 0 to 1 at 0.5 is its median.
        (declared("triangular", 0, 0.5, 1), [0, 0.125, 0.5, 1], [0, 0.25, 0.5, 1]),
        (declared("normal", -2, 0, 2), [0.025, 0.5, 0.975], [-2, 0, 2]),
        (declared("halfnormal", 0, np.nan, 3), [0, 0.95], [0, 3]),
        (declared("fixed", np.nan, 7, np.nan), [0, 0.3, 1], [7, 7, 7]),
    ],
)
def test_quantiles_by_hand(drawn, at, expected):
    assert drawn.quantile(np.array(at)) == pytest.approx(expected)


@given(u=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=20, unique=True))
def test_quantiles_rise_within_the_bounds(u):
    u = np.sort(u)
    for drawn in assumptions.read().values():
        values = drawn.quantile(u)
        assert (np.diff(values) >= -1e-12).all()
        if drawn.distribution in ("uniform", "loguniform", "triangular"):
            assert drawn.low - 1e-9 <= values.min() and values.max() <= drawn.high * (1 + 1e-12)


def test_draws_of_an_input_do_not_depend_on_the_others(inputs):
    every = assumptions.draw(inputs, 100, seed=3)
    alone = assumptions.draw({"survival": inputs["survival"]}, 100, seed=3)
    assert (every["survival"] == alone["survival"]).all()
    assert (every["survival"] != assumptions.draw(inputs, 100, seed=4)["survival"]).any()
    assert np.corrcoef(every["survival"], every["displacement"])[0, 1] < 0.4


def test_without_uncertainty_every_draw_is_the_median(inputs):
    fixed = assumptions.without_uncertainty(inputs)
    for name, values in assumptions.draw(fixed, 5).items():
        assert (values == inputs[name].median).all()


def test_the_table_shows_every_input_with_its_source(inputs):
    shown = assumptions.table(inputs.values())
    assert list(shown["source"]) == [declared.source for declared in inputs.values()]
    assert "income gain" in set(shown["input"])
