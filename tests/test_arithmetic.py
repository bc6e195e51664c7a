import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from scipy import integrate, stats

from analysis import arithmetic, assumptions, sources, tables
from analysis.arithmetic import GAP, GINI, NEAREST, POOREST, RULES, UNIFORM


@pytest.fixture(scope="module")
def series():
    return tables.read("poverty_semester")


@pytest.fixture(scope="module")
def base(series):
    return arithmetic.baseline(series, "31", "2017-09")


@pytest.fixture(scope="module")
def inputs():
    return assumptions.read()


@pytest.fixture(scope="module")
def medians(inputs):
    return {name: declared.median for name, declared in inputs.items()}


# Figures of BPS for September 2017: 393,130 poor, 3.78 %, line Rp 578,247, P1 0.612, Gini 0.409.


def test_the_baseline_by_hand(base):
    assert base.population_count == pytest.approx(393_130 / 0.0378)
    assert base.persons(1) == pytest.approx(393_130 / 3.78)
    assert base.full_gap_rp == pytest.approx(0.00612 * 393_130 / 0.0378 * 578_247)
    assert base.full_gap_rp / 1e9 == pytest.approx(36.8, abs=0.05)
    assert base.fits == (GAP, GINI)


def test_what_is_not_published_is_asked_for(series):
    with pytest.raises(arithmetic.BaselineError, match="neither P1 nor Gini of Jawa Barat"):
        arithmetic.baseline(series, "32", "2017-09")
    own = arithmetic.baseline(series, "32", "2017-09", gini=0.39)
    assert own.fits == (GINI,) and own.given == ("gini",)
    with pytest.raises(arithmetic.BaselineError, match="p1_pct of Jawa Barat .* give p1_pct"):
        arithmetic.welfare(own, GAP)
    both = arithmetic.baseline(series, "32", "2017-09", gini=0.39, p1_pct=1.2)
    assert both.fits == (GAP, GINI)
    line = arithmetic.baseline(series, "31", "2017-09", poverty_line_rp=600_000)
    assert line.poverty_line_rp == 600_000


@pytest.mark.parametrize(
    ("region", "period", "given", "told"),
    [
        ("99", "2017-09", {}, "no figures of region '99'"),
        ("31", "2017", {}, "no figures of region '31' in '2017'"),
        ("31", "2023-09", {}, "P0 of DKI Jakarta in September 2023 is not published"),
        ("31", "2017-09", {"p1_pct": 3.9}, "between 0 and P0"),
        ("31", "2017-09", {"p1_pct": 3.7}, "at most 95 % of it"),
        ("31", "2017-09", {"gini": 41.0}, "between 0 and 1"),
        ("31", "2017-09", {"poverty_line_rp": -1}, "above 0"),
    ],
)
def test_a_baseline_that_makes_no_sense_is_refused(series, region, period, given, told):
    with pytest.raises(arithmetic.BaselineError, match=told):
        arithmetic.baseline(series, region, period, **given)


def test_the_gini_of_a_province_is_the_one_published(series):
    annual = sources.read("province_indicators_annual")
    bali = arithmetic.baseline(series, "51", "2017-09", annual=annual)
    # BPS: Bali, September 2017: 4.14 %, 176,480 poor, line Rp 364,064, Gini 0.379.
    assert (bali.p0_pct, bali.poverty_line_rp, bali.gini) == (4.14, 364_064, 0.379)
    assert bali.population_count == pytest.approx(176_480 / 0.0414)
    assert bali.fits == (GINI,) and bali.given == ()
    assert arithmetic.baseline(series, "51", "2017-09", annual=annual, gini=0.4).gini == 0.4
    with pytest.raises(arithmetic.BaselineError, match="neither P1 nor Gini of Bali"):
        arithmetic.baseline(series, "51", "2017-03", annual=annual)  # that Gini is of September
    # Where both tables have it, they agree.
    assert arithmetic._annual_gini(annual, "31", "2017-09") == 0.409


@pytest.mark.parametrize(
    ("points", "given", "told"),
    [
        (0, {}, "points is 0, .* below P0 of DKI Jakarta in September 2017 .3.78 %."),
        (-1, {}, "points is -1"),
        (3.78, {}, "points is 3.78"),
        (1, {"draws": 0}, "draws is 0"),
        (1, {"years": 0}, "years is 0"),
    ],
)
def test_a_question_without_an_answer_is_refused(base, inputs, points, given, told):
    with pytest.raises(arithmetic.BaselineError, match=told):
        arithmetic.check(base, points, **given)
    if "years" not in given:
        with pytest.raises(arithmetic.BaselineError, match=told):
            arithmetic.simulate(base, inputs, points, **given)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("survival", 1.2, "input survival goes from 1.2 to 1.2, .* between 0 and 1"),
        ("leakage", 1.0, "input leakage .* not at 1"),
        ("share_to_poor", 0.0, "input share_to_poor .* not at 0"),
        ("poor_household_size", 0.5, "input poor_household_size"),
    ],
)
def test_an_impossible_input_is_refused(base, inputs, name, value, told):
    with pytest.raises(assumptions.AssumptionError, match=told):
        arithmetic.simulate(base, inputs | {name: inputs[name].fixed(value)}, 1.0, draws=2)


def test_a_missing_and_an_unknown_input_are_named(base, inputs):
    less = {name: declared for name, declared in inputs.items() if name != "survival"}
    with pytest.raises(assumptions.AssumptionError, match="survival is missing, which jobs needs"):
        arithmetic.simulate(base, less, 1.0, draws=2)
    more = inputs | {"surviving": inputs["survival"]}
    with pytest.raises(assumptions.AssumptionError, match="surviving is not used by jobs"):
        arithmetic.simulate(base, more, 1.0, draws=2)


# ---- the lognormal ---------------------------------------------------------------------------


@given(p0=st.floats(0.005, 0.4), sigma=st.floats(0.1, 1.5), x=st.floats(0.05, 3))
def test_the_lognormal_against_scipy_and_quadrature(p0, sigma, x):
    ours = arithmetic.Lognormal(p0, sigma)
    theirs = stats.lognorm(sigma, scale=np.exp(ours.mu))
    assert theirs.cdf(1) == pytest.approx(p0, rel=1e-9)
    assert ours.share_below(x) == pytest.approx(theirs.cdf(x), abs=1e-12)
    gap, _ = integrate.quad(lambda y: (1 - y) * theirs.pdf(y), 0, x, epsabs=1e-12, limit=200)
    assert ours.gap_below(x) == pytest.approx(gap, abs=1e-7)
    assert ours.quantile(0.3) == pytest.approx(theirs.ppf(0.3))
    assert ours.share_below(-1.0) == 0


@given(p0=st.floats(0.01, 0.3), ratio=st.floats(0.05, 0.6))
def test_both_fits_give_back_what_they_were_fitted_to(p0, ratio):
    assert arithmetic.lognormal_of_gap(p0, p0 * ratio).p1 == pytest.approx(p0 * ratio, rel=1e-9)
    gini = 0.2 + ratio / 2
    assert arithmetic.lognormal_of_gini(p0, gini).gini == pytest.approx(gini, rel=1e-12)


def test_small_and_large_gaps_have_a_lognormal_and_impossible_ones_are_named():
    for p1 in (0.0378e-4, 0.95 * 0.0378):
        assert arithmetic.lognormal_of_gap(0.0378, p1).p1 == pytest.approx(p1, rel=1e-6)
    with pytest.raises(arithmetic.BaselineError, match="no lognormal has P0 3.78 % and P1 4 %"):
        arithmetic.lognormal_of_gap(0.0378, np.array([0.01, 0.04]))


def test_the_two_fits_disagree_in_jakarta(base):
    of_gap, of_gini = (arithmetic.welfare(base, fit) for fit in (GAP, GINI))
    assert of_gap.p1 == pytest.approx(0.00612) and of_gini.gini == pytest.approx(0.409)
    assert of_gini.p1 > 1.4 * of_gap.p1 and of_gap.gini < 0.3
    told = arithmetic.fits_words(base)
    assert f"{100 * of_gini.p1:.2f} %" in told and f"{of_gap.gini:.3f}" in told
    assert "nearer to the line" in told


# ---- closed forms, written out again ---------------------------------------------------------


def by_hand(base, fit, medians, points):
    """Everything once more, from scipy's lognormal and quadrature."""
    sigma = arithmetic.welfare(base, fit).sigma
    p0, z, n = base.p0_pct / 100, base.poverty_line_rp, base.population_count
    y = stats.lognorm(sigma, scale=z * np.exp(-stats.norm.ppf(p0) * sigma))
    m = medians
    size = m["poor_household_size"]
    lifted = 1 - y.cdf(z - m["income_gain_rp"] / size) / p0
    per_job = m["share_to_poor"] * m["survival"] * (1 - m["displacement"]) * lifted
    jobs = points / 100 * n / size / per_job

    def lacking(low, high):
        return integrate.quad(lambda v: (z - v) * y.pdf(v), low, high, epsrel=1e-13, limit=500)[0]

    reached = 1 - m["exclusion"]
    share = points / 100 / reached
    gross = reached * n / (1 - m["leakage"]) / (1 - m["administration"])
    edge = y.ppf(p0 - share)
    cost = {
        NEAREST: gross * lacking(edge, z),
        UNIFORM: gross * p0 * (z - edge),
        POOREST: gross * lacking(0, y.ppf(share)),
    }
    growth = np.exp(sigma * (stats.norm.ppf(p0) - stats.norm.ppf(p0 - points / 100))) - 1
    return jobs, cost, growth


@pytest.mark.parametrize("fit", [GAP, GINI])
@pytest.mark.parametrize("points", [0.5, 1.0])
def test_without_uncertainty_the_simulation_is_the_closed_form(base, inputs, medians, fit, points):
    fixed = assumptions.without_uncertainty(inputs)
    simulated = arithmetic.simulate(base, fixed, points, draws=7)
    jobs, cost, growth = by_hand(base, fit, medians, points)
    assert simulated[fit]["jobs"].to_numpy() == pytest.approx(jobs, rel=1e-9)
    for rule in RULES:
        assert simulated[fit][rule].to_numpy() == pytest.approx(cost[rule], rel=1e-9)
    for name in ("growth", "growth_even"):
        assert simulated[fit][name].to_numpy() == pytest.approx(growth, rel=1e-9)


def test_persons_are_households_times_size(base):
    for size in (1.0, 4.79, np.array([3.2, 5.01])):
        homes = arithmetic.households(base, 0.7, size)
        assert homes * size == pytest.approx(base.persons(0.7) * np.ones(np.shape(size)), rel=1e-12)


def test_jobs_and_points_are_inverse(base, medians):
    own = {k: medians[k] for k in ("poor_household_size", "share_to_poor", "income_gain_rp")}
    own |= {"survival": medians["survival"], "displacement": medians["displacement"]}
    poor = arithmetic.welfare(base, GAP)
    jobs = arithmetic.jobs_needed(base, poor, 0.6, **own)
    assert arithmetic.points_of_jobs(base, poor, jobs, **own) == pytest.approx(0.6)
    # No number of jobs lifts more than there are poor.
    most = arithmetic.points_of_jobs(base, poor, 1e9, **own)
    assert most == pytest.approx(arithmetic.reachable_points(base, poor, **own))
    assert most < base.p0_pct


def test_targeting_rules_differ_by_a_factor_of_ten_or_so(base):
    poor = arithmetic.welfare(base, GAP)
    nearest, uniform, poorest = (
        arithmetic.transfer_cost_rp(base, poor, 1.0, rule) for rule in RULES
    )
    assert nearest < uniform < base.full_gap_rp and nearest < poorest < base.full_gap_rp
    assert 8 < poorest / nearest < 14


def test_lifting_all_the_poor_costs_the_full_gap(base):
    poor = arithmetic.welfare(base, GAP)
    almost = base.p0_pct - 1e-9
    for rule in (NEAREST, POOREST):
        cost = arithmetic.transfer_cost_rp(base, poor, almost, rule)
        assert cost == pytest.approx(base.full_gap_rp, rel=1e-6)


def test_what_cannot_be_reached_is_infinite(base):
    poor = arithmetic.welfare(base, GAP)
    cost = arithmetic.transfer_cost_rp(
        base, poor, 1.0, NEAREST, exclusion=np.array([0.0, 0.7, 0.8])
    )
    assert list(np.isinf(cost)) == [False, False, True]  # 3.78 x 0.2 is less than a point
    assert np.isinf(arithmetic.growth_needed(base, poor, 5.0))


def test_an_unknown_rule_names_the_known_ones(base):
    with pytest.raises(arithmetic.BaselineError, match="no rule 'best'"):
        arithmetic.transfer_cost_rp(base, arithmetic.welfare(base, GAP), 1.0, "best")


# ---- monotone in each input ------------------------------------------------------------------

RISES = {
    "displacement": True,
    "share_to_poor": False,
    "income_gain_rp": False,
    "survival": False,
    # Fewer households, each of which lacks more: the first outweighs the second, as long as more
    # people live just below the line than far below.
    "poor_household_size": False,
    "gap_ratio_relative_error": True,
}
COST_RISES = ("leakage", "exclusion", "administration")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(RISES)), fit=st.sampled_from([GAP, GINI]))
def test_jobs_are_monotone_in_each_input(base, inputs, data, name, fit):
    part = assumptions.of(inputs, "jobs")
    at = {n: np.full(30, d.quantile(data.draw(st.floats(0.01, 0.99)))) for n, d in part.items()}
    at[name] = part[name].quantile(np.linspace(0.01, 0.99, 30))
    jobs = arithmetic.outcomes(base, at, 1.0, fit, "jobs")["jobs"]
    steps = np.diff(jobs) if RISES[name] else -np.diff(jobs)
    assert (steps >= -1e-9 * jobs[1:]).all()
    # Beyond the largest gap more income is no help, and a fit to the Gini has no P1.
    assert steps.max() > 0 or name in ("income_gain_rp", "gap_ratio_relative_error")


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    name=st.sampled_from(COST_RISES),
    rule=st.sampled_from(RULES),
    fit=st.sampled_from([GAP, GINI]),
)
def test_costs_are_monotone_in_each_loss(base, inputs, data, name, rule, fit):
    part = assumptions.of(inputs, "transfers")
    at = {n: np.full(30, d.quantile(data.draw(st.floats(0.2, 0.8)))) for n, d in part.items()}
    at[name] = part[name].quantile(np.linspace(0.01, 0.99, 30))
    cost = arithmetic.outcomes(base, at, 1.0, fit, "transfers")[rule]
    finite = cost[np.isfinite(cost)]
    # Where the poorest come first, exclusion replaces some of them by others who lack less.
    falls = (name, rule) == ("exclusion", POOREST)
    assert (np.diff(finite) * (-1 if falls else 1) > 0).all()
    assert np.isfinite(cost[: len(finite)]).all()


@pytest.mark.parametrize(
    ("name", "part", "outcome", "rises"),
    [
        ("gap_ratio_relative_error", "transfers", NEAREST, True),
        ("gap_ratio_relative_error", "transfers", UNIFORM, True),
        ("gap_ratio_relative_error", "transfers", POOREST, True),
        ("gap_ratio_relative_error", "growth", "growth", True),
        ("p0_relative_error", "transfers", NEAREST, False),
        ("p0_relative_error", "transfers", POOREST, True),
        ("p0_relative_error", "growth", "growth", False),
        ("gini_change", "growth", "growth", True),
    ],
)
def test_costs_and_growth_are_monotone_in_the_errors(base, inputs, name, part, outcome, rises):
    own = arithmetic.inputs_of(base, inputs, part)
    at = {n: np.full(50, declared.median) for n, declared in own.items()}
    at[name] = own[name].quantile(np.linspace(0.01, 0.99, 50))
    values = arithmetic.outcomes(base, at, 1.0, GAP, part)[outcome]
    assert (np.diff(values) * (1 if rises else -1) > 0).all()


@given(points=st.floats(0.05, 3.5), fit=st.sampled_from([GAP, GINI]))
def test_more_points_take_more_of_everything(base, inputs, points, fit):
    fixed = assumptions.without_uncertainty(inputs)
    less, more = (
        arithmetic.simulate(base, fixed, p, draws=1)[fit].iloc[0] for p in (points, points * 1.05)
    )
    for name in ("jobs", *RULES, "growth"):
        assert more[name] > less[name] or np.isinf(more[name])


def test_growth_rises_with_inequality_and_falls_with_its_fall(base):
    for fit in base.fits:
        poor = arithmetic.welfare(base, fit)
        change = np.linspace(-0.04, 0.04, 9)
        growth = arithmetic.growth_needed(base, poor, 1.0, change)
        assert (np.diff(growth) > 0).all()
        assert growth[4] == pytest.approx(arithmetic.growth_needed(base, poor, 1.0))


def test_growth_leaves_the_headcount_that_it_should(base):
    """The lognormal after growth and with more inequality has P0 less one point below the line."""
    for fit in base.fits:
        poor = arithmetic.welfare(base, fit)
        growth = arithmetic.growth_needed(base, poor, 1.0, 0.02)
        ratio = arithmetic.sigma_of_gini(base.gini + 0.02) / arithmetic.sigma_of_gini(base.gini)
        sigma = poor.sigma * ratio
        mean = np.exp(poor.mu + poor.sigma**2 / 2) * (1 + growth)
        after = stats.lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))
        assert after.cdf(1) == pytest.approx(base.p0_pct / 100 - 0.01, rel=1e-9)


def test_yearly_growth_compounds():
    assert (1 + arithmetic.per_year(0.21, 2)) == pytest.approx(1.1)


# ---- simulation ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated(base, inputs):
    return arithmetic.simulate(base, inputs, 1.0, draws=20_000)


def test_the_simulation_is_the_same_twice_and_moves_with_its_inputs(base, inputs, simulated):
    assert simulated.equals(arithmetic.simulate(base, inputs, 1.0, draws=20_000))
    other = inputs | {"share_to_poor": inputs["share_to_poor"].fixed(0.5)}
    again = arithmetic.simulate(base, other, 1.0, draws=20_000)
    assert again[GAP]["jobs"].median() < simulated[GAP]["jobs"].median() / 2
    assert (again[GAP][NEAREST] == simulated[GAP][NEAREST]).all()


def test_the_text_says_what_was_computed(base, inputs, simulated):
    told = arithmetic.jobs_words(base, simulated, 1.0)
    for fit in base.fits:
        found = arithmetic.summary(simulated[fit]["jobs"])
        assert f"{found['median'] / 1000:,.0f} ({found['low'] / 1000:,.0f} to" in told
    table = arithmetic.transfer_table(base, simulated, 1.0).set_index(["fit", "rule"])
    exact = arithmetic.transfer_cost_rp(base, arithmetic.welfare(base, GAP), 1.0, NEAREST)
    assert table.loc[(GAP, NEAREST), "exact"] == pytest.approx(12e-9 * exact)
    answer = arithmetic.answer(base, inputs, simulated, 1.0, {"200,000 jobs promised": 200_000})
    short = [100 * (simulated[fit]["reachable_points"] < 1).mean() for fit in base.fits]
    assert f"In {short[0]:.0f} to {short[1]:.0f} % of the draws" in answer
    assert f"would take {12e-9 * base.full_gap_rp:,.0f} billion" in answer
    most = arithmetic.answer(
        base, inputs, arithmetic.simulate(base, inputs, 3.0, draws=500), 3.0, {}
    )
    assert "inf" not in most and "more than can be reached" in most
    assert "104 thousand persons" in answer and "21 to 22 thousand poor households" in answer
    other = inputs | {"share_to_poor": inputs["share_to_poor"].fixed(0.5)}
    again = arithmetic.simulate(base, other, 1.0, draws=20_000)
    assert arithmetic.jobs_words(base, again, 1.0) != told


def test_summary_by_hand():
    values = np.array([*range(1, 100), np.inf])
    found = arithmetic.summary(values)
    assert found == {"median": 50, "low": 5, "high": 95, "impossible_pct": 1.0}
    assert arithmetic._range(np.array([1.0, 2, np.inf])) == "2 (1 to no amount)"


def test_sobol_indices_of_a_product_are_shares_of_its_log_variance(base, inputs):
    """Jobs are a product: the index of each factor is its share of the variance of the log."""
    found = arithmetic.sensitivity(base, inputs, 1.0, GAP, "jobs", "jobs").set_index("input")
    u = (np.arange(200_000) + 0.5) / 200_000
    drawn = assumptions.draw(assumptions.of(inputs, "jobs"), 200_000)
    whole = np.log(arithmetic.outcomes(base, drawn, 1.0, GAP, "jobs")["jobs"]).var()
    for name in ("share_to_poor", "survival"):
        alone = np.log(inputs[name].quantile(u)).var()
        assert found.loc[name, "total"] == pytest.approx(alone / whole, abs=0.04)
    assert found["total"].sum() == pytest.approx(1, abs=0.1)


def test_indices_and_their_intervals_are_the_same_twice(base, inputs):
    again = [
        arithmetic.sensitivity(base, inputs, 1.0, GAP, "growth", "growth", samples=128)
        for _ in range(2)
    ]
    assert again[0].equals(again[1])


def test_without_uncertainty_there_are_no_indices(base, inputs):
    fixed = assumptions.without_uncertainty(inputs)
    found = arithmetic.sensitivity(base, fixed, 1.0, GAP, "jobs", "jobs")
    assert found.empty
    figure, axes = plt.subplots()
    arithmetic.draw_sensitivity(axes, found)
    plt.close(figure)
    assert "for jobs none is uncertain" in arithmetic.sensitivity_words({"jobs": found}, inputs)


def test_the_words_name_the_largest_index_and_its_basis(base, inputs):
    found = arithmetic.sensitivity(base, inputs, 1.0, GAP, "growth", "growth", samples=256)
    told = arithmetic.sensitivity_words({"growth": found}, inputs)
    share = f"{100 * found['total'].iloc[0]:.0f} %"
    assert f"for growth Gini change ({share}; basis: published)" in told


def test_a_fixed_input_has_no_index(base, inputs):
    fixed = inputs | {"leakage": inputs["leakage"].fixed()}
    found = arithmetic.sensitivity(base, fixed, 1.0, GAP, "transfers", NEAREST, samples=64)
    assert "leakage" not in set(found["input"]) and len(found) == 4


def test_break_even_lines_stand_where_so_many_jobs_are_enough(base, inputs, medians):
    figure, axes = plt.subplots()
    arithmetic.draw_break_even(axes, base, inputs, GAP, 1.0, {"200,000 promised": 200_000})
    line = next(drawn for drawn in axes.lines if drawn.get_color() == "C1")
    plt.close(figure)
    own = {n: medians[n] for n in ("poor_household_size", "survival", "displacement")}
    for gain, share in zip(line.get_xdata()[::50], line.get_ydata()[::50], strict=True):
        jobs = arithmetic.jobs_needed(
            base,
            arithmetic.welfare(base, GAP),
            1.0,
            income_gain_rp=1000 * gain,
            share_to_poor=share / 100,
            **own,
        )
        assert jobs == pytest.approx(200_000)


def test_break_even_lines_are_drawn_around_known_inputs(base, inputs):
    fixed = assumptions.without_uncertainty(inputs)
    figure, axes = plt.subplots()
    arithmetic.draw_break_even(axes, base, fixed, GAP, 1.0, {"200,000 promised": 200_000})
    (low, high), top = axes.get_xlim(), axes.get_ylim()[1]
    plt.close(figure)
    assert low < inputs["income_gain_rp"].median / 1000 < high
    assert 100 * inputs["share_to_poor"].median < top <= 100


def test_another_region_with_the_users_own_figures(series, inputs):
    own = arithmetic.baseline(series, "32", "2017-09", gini=0.39, poverty_line_rp=350_000)
    simulated = arithmetic.simulate(own, inputs, 1.0, draws=500)
    assert set(simulated.columns.get_level_values(0)) == {GINI}
    answer = arithmetic.answer(own, inputs, simulated, 1.0, {})
    assert "Jawa Barat" in answer and "promised" not in answer
    assert "full gap" not in arithmetic.transfer_marks(own)
    assert "Only the lognormal of P0 and Gini" in arithmetic.fits_words(own)
    only_gap = arithmetic.baseline(series, "32", "2017-09", p1_pct=1.2)
    growth = arithmetic.simulate(only_gap, inputs, 1.0, draws=500)[GAP]
    assert (growth["growth"] == growth["growth_even"]).all()  # no Gini to move


def test_the_line_grew(series, base):
    rate = arithmetic.line_growth(series, "31", "2017-09", "2022-09")
    assert rate == pytest.approx((773_370 / 578_247) ** 0.2 - 1)
    assert f"{100 * rate:.1f} % a year" in arithmetic.line_words(series, base, 5)
    assert "to March 2020:" in arithmetic.line_words(series, base, 2.5)
    assert arithmetic.line_words(series, base, 30) == ""
