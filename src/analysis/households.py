"""Households of a survey: their welfare against the line, and the survey against what is official.

Microdata come from a user's files (`analysis.microdata`) or, where none are named, from a small
synthetic city, which marks everything made from it.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from analysis import microdata, paths, poverty, provenance, regions, sources, synthetic
from analysis.microdata import disclosure
from analysis.poverty import design

NATIONAL, EXTREME = "national", "extreme"  # lines; any other is a number of rupiah
# Where a line comes from.
OF_THE_DATA, PUBLISHED, DERIVED, GIVEN = "of the data", "published", "derived", "given"
SIZE_OF_CITY, SEED = synthetic.SMALL, 0
# What the synthetic city is made from.
CITY_SOURCES = (
    "dki_kota_poverty",
    "dki_poverty_semester",
    "kelurahan_population_2024",
    "kelurahan_rw",
    "rw_kumuh_counts",
    "slum_rw_three_kota",
)
DAYS_OF_MONTH = 365 / 12
# Weights that stand for another number of residents than this differ from the official one: the
# numbers of poor cannot be compared then.
WEIGHT_TOLERANCE_PCT = 5
SHARE_TOLERANCE_PCT = 20  # of a kota among all: two official counts differ by up to 16 per cent
SIZE_BOUNDS = (2.0, 6.0)  # of the mean household; that of Jakarta was near 4 in each census
MEDIAN_BOUNDS = (1.0, 6.0)  # of expenditure over the line: outside, the unit is another
SHOWN_QUANTILES = (0.01, 0.99)  # a density shows no single household at its ends
JAKARTA = "31"


class HouseholdError(ValueError):
    """Microdata lack what a figure needs; the message says what and where to give it."""


# ---- reading ---------------------------------------------------------------------------------


def open_microdata(path: str = "") -> microdata.Microdata:
    """The microdata of a mapping, or those of a small synthetic city if none is named.

    Parameters
    ----------
    path
        A mapping or its folder; if empty, what ``MICRODATA`` names; if that is empty too, the
        synthetic city (`synthetic_folder`).

    Raises
    ------
    MicrodataError
        See `analysis.microdata.read`.
    HouseholdError
        There is no survey in the mapping.
    """
    if path:
        data = microdata.read(paths.ROOT / Path(path).expanduser())
    elif os.environ.get(microdata.VARIABLE):
        data = microdata.read()
    else:
        data = microdata.read(synthetic_folder())
    if data.survey is None:
        raise HouseholdError(
            "there is no survey in the mapping: add 'survey:' with a file for each period, as in "
            "data/mappings/susenas_example.yml"
        )
    return data


def synthetic_folder() -> Path:
    """The small synthetic city as files, below ``build``; written the first time.

    Its name has a checksum of the code and the official figures it is made from, so that another
    city is another folder. What it is made from counts as read, whether or not it is written now.
    """
    code = provenance.checksum_of(
        (paths.ROOT / "src" / "analysis" / "synthetic").glob("*.py"), paths.ROOT
    )
    made_of = [code, provenance.sha256(Path(poverty.published.__file__))]
    made_of += [provenance.sha256(sources.verified(source)) for source in CITY_SOURCES]
    name = provenance.checksum_of_text(" ".join(made_of))[:12]
    provenance.record(Path(synthetic.cities.__file__), synthetic=True)
    folder = paths.BUILD / "synthetic" / f"{SIZE_OF_CITY}-{SEED}-{name}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".city-", dir=folder.parent) as temporary:
        whole = Path(temporary, "city")
        synthetic.write(whole, size=SIZE_OF_CITY, seed=SEED)
        try:
            whole.rename(folder)
        except OSError:  # another run was faster, and has written the same
            if not folder.is_dir():
                raise
    return folder


# ---- welfare ---------------------------------------------------------------------------------


def official(period: str, line: str | float = NATIONAL) -> pd.DataFrame:
    """The official figures of the six kota and of DKI Jakarta (``31``) in a period.

    Returns the columns of `analysis.poverty.reference`; P0 and number of poor are those below the
    line asked for, and missing where there are none (of extreme poverty they were published for
    two Marches, by kota; of an own line nothing is).

    Raises
    ------
    PovertyError
        See `analysis.poverty.reference`.
    """
    province = sources.read("dki_poverty_semester")
    kota = poverty.reference(
        poverty.kota_series(sources.read("dki_kota_poverty")), province, period
    )
    own = province.set_index("period").loc[period]
    whole = {
        "period": period,
        "kota_code": JAKARTA,
        "kota": "DKI Jakarta",
        "p0_pct": own["p0_pct"],
        "poor_count": own["poor_thousand"] * 1000,
        "population_count": own["poor_thousand"] * 1e5 / own["p0_pct"],
        "population_derived": False,
        "poverty_line_rp": own["poverty_line_rp"],
        "derived": False,
    }
    table = pd.concat([kota, pd.DataFrame([whole])], ignore_index=True)
    if line == NATIONAL:
        return table
    table[["p0_pct", "poor_count"]] = np.nan
    if line == EXTREME:
        extreme = sources.read("dki_kota_extreme_poverty")
        extreme = extreme[extreme["period"] == period].set_index("kota_code")
        table["p0_pct"] = table["kota_code"].map(extreme["extreme_poverty_pct"])
        table["poor_count"] = table["kota_code"].map(extreme["extreme_poor_count"]).astype(float)
    return table


def lines(data: microdata.Microdata, period: str, line: str | float = NATIONAL) -> pd.DataFrame:
    """The poverty line of each kota in a period.

    Parameters
    ----------
    line
        ``national``: the lines that the data carry, or else those of BPS, published or derived
        (`analysis.poverty.reference`); ``extreme``: the line of extreme poverty, the same for all
        kota, as reported with the figures of BPS for one March and moved to other periods with
        the line of the province; or a number of rupiah per person and month.

    Returns
    -------
    pandas.DataFrame
        ``kota_code, kota, poverty_line_rp, basis`` (of the data, published, derived, given),
        ``derived`` (bool).

    Raises
    ------
    HouseholdError
        The line is unknown, or none is there and none can be derived for this period.
    """
    codes = list(regions.KOTA)
    table = pd.DataFrame({"kota_code": codes, "kota": list(regions.KOTA.values())})
    amount = _amount(line)
    if amount is not None:
        return table.assign(poverty_line_rp=amount, basis=GIVEN, derived=False)
    if line == EXTREME:
        rupiah, basis = _extreme(period)
        return table.assign(poverty_line_rp=rupiah, basis=basis, derived=basis == DERIVED)
    if line != NATIONAL:
        raise HouseholdError(
            f"line {line!r} is unknown: there are {NATIONAL}, {EXTREME}, or an amount in rupiah "
            "per person and month"
        )
    carried = pd.Series(dtype="float64")
    marked = pd.Series(dtype="bool")
    if data.lines is not None:
        own = data.lines[data.lines["period"] == period].set_index("kota_code")
        carried, marked = own["poverty_line_rp"], own["derived"].astype("boolean").fillna(False)
    needed = set(_survey(data, period)["kota_code"])
    if needed <= set(carried.index):
        table["poverty_line_rp"] = table["kota_code"].map(carried).astype("float64")
        table["derived"] = table["kota_code"].map(marked).astype("boolean").fillna(False)
        table["basis"] = np.where(table["derived"], DERIVED, OF_THE_DATA)
        table = table[table["poverty_line_rp"].notna()]
    else:
        try:
            known = official(period).drop(index=len(codes))  # without the province
        except poverty.PovertyError as error:
            raise HouseholdError(
                f"no poverty line for {period}: give the mapping a table 'lines' (period, "
                f"kota_code, poverty_line_rp), or line= an amount ({error})"
            ) from None
        table["poverty_line_rp"] = known["poverty_line_rp"]
        table["derived"] = known["derived"]
        table["basis"] = np.where(known["derived"], DERIVED, PUBLISHED)
    columns = ["kota_code", "kota", "poverty_line_rp", "basis", "derived"]
    return table.astype({"derived": bool})[columns].reset_index(drop=True)


def welfare(data: microdata.Microdata, period: str, line: str | float = NATIONAL) -> pd.DataFrame:
    """The survey of a period with the line of its kota, and welfare as a multiple of it.

    Parameters
    ----------
    data
        `open_microdata`.
    period
        One of its periods.
    line
        See `lines`.

    Returns
    -------
    pandas.DataFrame
        The rows and columns of the survey, and ``kota, poverty_line_rp, line_basis``,
        ``welfare`` (expenditure per person over the line; below 1 is poor), ``poor`` (bool).

    Raises
    ------
    HouseholdError
        The survey has no such period, or there is no line for a kota.
    """
    survey = _survey(data, period).copy()
    own = lines(data, period, line).set_index("kota_code")
    survey["kota"] = survey["kota_code"].map(regions.KOTA)
    survey["poverty_line_rp"] = survey["kota_code"].map(own["poverty_line_rp"])
    survey["line_basis"] = survey["kota_code"].map(own["basis"])
    survey["welfare"] = survey["expenditure_per_capita_rp"] / survey["poverty_line_rp"]
    # BPS counts as poor whose expenditure is below the line.
    survey["poor"] = survey["welfare"] < 1
    return survey.reset_index(drop=True)


def chosen_period(data: microdata.Microdata, period: str = "") -> str:
    """The period asked for, or the last of the survey if none is."""
    return period or data.periods[-1]


def _survey(data: microdata.Microdata, period: str) -> pd.DataFrame:
    if period not in data.periods:
        raise HouseholdError(
            f"the survey has no period {period!r} (it has {', '.join(data.periods)}): give "
            "another with the parameter period, or add its file to the mapping"
        )
    return data.survey[data.survey["period"] == period]


def _amount(line: str | float) -> float | None:
    """The line as an amount, or None if it is a name."""
    try:
        amount = float(line)
    except ValueError:
        return None
    if not 0 < amount < np.inf:
        raise HouseholdError(f"the line is {line}: it is an amount in rupiah above zero")
    return amount


def _extreme(period: str) -> tuple[float, str]:
    """The line of extreme poverty in rupiah per person and month, and where it comes from."""
    table = sources.read("dki_kota_extreme_poverty")
    found = table["source"].str.extract(r"line Rp ([\d.]+) a person a day")[0]
    reported = found.first_valid_index()
    own, at = float(found[reported]), table.loc[reported, "period"]
    rupiah = own * DAYS_OF_MONTH
    if period == at:
        return float(round(rupiah)), PUBLISHED
    province = sources.read("dki_poverty_semester").set_index("period")["poverty_line_rp"].dropna()
    if period not in province.index:
        raise HouseholdError(
            f"the line of extreme poverty is reported for {at} and cannot be moved to {period}, "
            "for which DKI Jakarta has no published line: give line= an amount"
        )
    return float(round(rupiah * province[period] / province[at])), DERIVED


# ---- against what is official ----------------------------------------------------------------


def design_columns(survey: pd.DataFrame) -> dict[str, str | None]:
    """``strata`` and ``clusters`` for `analysis.poverty.design.estimate`; None where not given.

    Raises
    ------
    HouseholdError
        A column is there for some households only.
    """
    chosen: dict[str, str | None] = {}
    for name, column in (("strata", "stratum"), ("clusters", "cluster")):
        missing = survey[column].isna()
        if missing.any() and not missing.all():
            raise HouseholdError(
                f"{missing.sum():,} of {len(survey):,} households have no {column}: complete the "
                "column, or leave it out of the mapping"
            )
        chosen[name] = None if missing.all() else column
    return chosen


def against_official(survey: pd.DataFrame, kota_poverty: pd.DataFrame) -> pd.DataFrame:
    """P0 and number of poor of a survey, with their intervals, beside the official figures.

    Parameters
    ----------
    survey
        `welfare`.
    kota_poverty
        `official`, of the same period and line.

    Returns
    -------
    pandas.DataFrame
        A row per kota with a household in the survey, in the order of codes, and one of DKI
        Jakarta (``31``): ``area_code, area, n_households, n_clusters, n_poor`` (sampled
        households below the line), ``p0_pct, se_points, lower_pct, upper_pct, design_effect,
        interval`` (its kind), ``official_p0_pct, p0_inside`` (boolean, missing where nothing is
        published), ``poor_count, poor_lower_count, poor_upper_count`` (by the weights),
        ``official_poor_count, poor_inside``, ``population_count`` (by the weights),
        ``official_population_count, population_derived, population_ratio``. ``poor_inside`` is
        missing too where the weights stand for another population than the official one
        (`WEIGHT_TOLERANCE_PCT`): the two numbers are then not of the same residents. Intervals
        are of 95 %.
    """
    columns = design_columns(survey)
    p0 = pd.concat(
        [
            design.estimate(survey, "p0", welfare="welfare", line=1.0, by=by, **columns)
            for by in ("kota_code", None)
        ],
        ignore_index=True,
    )
    p0["area"] = p0["area"].replace({design.ALL: JAKARTA})
    rows = pd.concat([survey, survey.assign(kota_code=JAKARTA)], ignore_index=True)
    persons = rows["weight"] * rows["household_size"]
    by_area = {
        "population_count": persons.groupby(rows["kota_code"]).sum(),
        "poor_count": (persons * rows["poor"]).groupby(rows["kota_code"]).sum(),
        "n_poor": rows["poor"].groupby(rows["kota_code"]).sum(),
    }
    table = pd.DataFrame({"area_code": p0["area"]})
    table["area"] = table["area_code"].map({**regions.KOTA, JAKARTA: "DKI Jakarta"})
    table[["n_households", "n_clusters"]] = p0[["n_households", "n_clusters"]]
    for name, values in by_area.items():
        table[name] = table["area_code"].map(values)
    table["p0_pct"], table["se_points"] = p0["estimate"] * 100, p0["se"] * 100
    table["lower_pct"], table["upper_pct"] = p0["lower"] * 100, p0["upper"] * 100
    table["design_effect"], table["interval"] = p0["design_effect"], p0["interval"]
    lower, upper = _total_interval(survey, columns, table, p0)
    table["poor_lower_count"], table["poor_upper_count"] = lower, upper

    published = kota_poverty.set_index("kota_code").reindex(table["area_code"])
    for name in ("p0_pct", "poor_count", "population_count"):
        table[f"official_{name}"] = published[name].to_numpy("float64")
    table["population_derived"] = published["population_derived"].to_numpy(bool)
    table["population_ratio"] = table["population_count"] / table["official_population_count"]
    table["p0_inside"] = _inside(table, "p0_pct", "lower_pct", "upper_pct", 0.005)
    inside = _inside(table, "poor_count", "poor_lower_count", "poor_upper_count", 5)
    same = (table["population_ratio"] - 1).abs() * 100 <= WEIGHT_TOLERANCE_PCT
    table["poor_inside"] = inside.where(same)
    return table


def _total_interval(
    survey: pd.DataFrame,
    columns: dict[str, str | None],
    table: pd.DataFrame,
    p0: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the number of poor (t interval of a total under the design).

    Where the sample says nothing of the error of P0, they are those of P0 times the population.
    """
    known = design.Design.of(survey, **columns)
    scores = known.person_weights * survey["poor"].to_numpy("float64")
    codes = pd.Index(table["area_code"][:-1]).get_indexer(survey["kota_code"])
    variance = np.append(
        design.linearised_variance(known, scores, codes, len(table) - 1),
        design.linearised_variance(known, scores, np.zeros(len(survey), int), 1),
    )
    df = p0["df"].to_numpy()
    reach = np.where(df > 0, special.stdtrit(np.maximum(df, 1), 0.975), np.nan) * np.sqrt(variance)
    poor, population = table["poor_count"].to_numpy(), table["population_count"].to_numpy()
    by_rate = p0["interval"].isin([design.EXACT, design.NONE]).to_numpy()
    lower = np.where(by_rate, p0["lower"] * population, np.maximum(poor - reach, 0))
    return lower, np.where(by_rate, p0["upper"] * population, poor + reach)


def _inside(table: pd.DataFrame, name: str, lower: str, upper: str, rounding: float) -> pd.Series:
    """Whether the official figure, as exact as it is printed, lies in the interval."""
    published = table[f"official_{name}"]
    inside = published.between(table[lower] - rounding, table[upper] + rounding)
    unknown = published.isna() | table[lower].isna() | table[upper].isna()
    return inside.astype("boolean").mask(unknown)


def checks(survey: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """What a survey must pass before its figures are believed.

    Parameters
    ----------
    survey
        `welfare`.
    compared
        `against_official`.

    Returns
    -------
    pandas.DataFrame
        ``check, found, rule`` (in words) and ``passed`` (boolean; missing where there is nothing
        to compare with).
    """
    province = compared.set_index("area_code").loc[JAKARTA]
    kota = compared[compared["area_code"] != JAKARTA]
    persons = survey["weight"] * survey["household_size"]
    ratio = province["population_ratio"]
    shares = kota["population_count"] / kota["population_count"].sum()
    known = kota["official_population_count"] / kota["official_population_count"].sum()
    apart = (shares / known - 1).abs().max() * 100
    mean_size = persons.sum() / survey["weight"].sum()
    median = weighted_quantile(survey["welfare"], persons, 0.5)
    gaps = covariate_gaps(survey)
    shown = published(compared)
    absent = [name for code, name in regions.KOTA.items() if code not in set(kota["area_code"])]
    rows = [
        (
            "Weights: residents",
            f"{ratio * 100:.1f} % of the official number",
            f"within {WEIGHT_TOLERANCE_PCT} %",
            abs(ratio - 1) * 100 <= WEIGHT_TOLERANCE_PCT,
        ),
        (
            "Weights: shares of kota",
            f"at most {apart:.1f} % off the official ones",
            f"within {SHARE_TOLERANCE_PCT} %",
            apart <= SHARE_TOLERANCE_PCT,
        ),
        (
            "Kota in the survey",
            f"without {', '.join(absent)}" if absent else "all",
            "all",
            not absent,
        ),
        (
            "Mean household size",
            f"{mean_size:.2f} persons",
            f"{SIZE_BOUNDS[0]:g} to {SIZE_BOUNDS[1]:g} persons",
            SIZE_BOUNDS[0] <= mean_size <= SIZE_BOUNDS[1],
        ),
        (
            "Median of expenditure per person",
            f"{median:.2f} times the line",
            f"{MEDIAN_BOUNDS[0]:g} to {MEDIAN_BOUNDS[1]:g} times: else the unit is another",
            MEDIAN_BOUNDS[0] <= median <= MEDIAN_BOUNDS[1],
        ),
        (
            "Households without expenditure",
            f"{(survey['expenditure_rp'] <= 0).sum():,} with zero",
            "none",
            not (survey["expenditure_rp"] <= 0).any(),
        ),
        (
            "Missing values of covariates",
            f"{gaps['missing_pct'].max():.1f} % at most" if len(gaps) else "no covariates",
            "none",
            not gaps["missing_pct"].any() if len(gaps) else pd.NA,
        ),
        _design_row(survey),
        _official_row("Official P0 in the interval", shown["p0_inside"]),
        _official_row("Official number of poor in the interval", shown["poor_inside"]),
    ]
    table = pd.DataFrame(rows, columns=["check", "found", "rule", "passed"])
    return table.astype({"passed": "boolean"})


def _design_row(survey: pd.DataFrame) -> tuple:
    columns = design_columns(survey)
    rule = "stratum and cluster given, two clusters in each stratum"
    absent = [column for column in ("stratum", "cluster") if column not in columns.values()]
    if absent:
        found = f"no {' and no '.join(absent)}: standard errors leave the design out"
        return "Design", found, rule, False
    alone = int((survey.groupby("stratum")["cluster"].nunique() < 2).sum())
    found = f"{survey['stratum'].nunique():,} strata, {alone:,} with one cluster"
    return "Design", found, rule, not alone


def _official_row(name: str, inside: pd.Series) -> tuple:
    known = inside.dropna()
    if not len(known):
        return name, "nothing to compare with", "in all areas", pd.NA
    missed = int((~known).sum())
    # Of seven intervals of 95 % one misses in a third of all cases, two in one of 20.
    allowed = 1 if len(known) > 2 else 0
    rule = "in all areas but one: an interval may miss" if allowed else "in all areas"
    return name, f"{known.sum()} of {len(known)} areas", rule, missed <= allowed


def covariate_gaps(survey: pd.DataFrame) -> pd.DataFrame:
    """Covariates that the survey has, and the percent of households without a value.

    Returns ``covariate, missing_pct``, by column; a column that is missing for all was not in
    the mapping, and is left out.
    """
    names = [c for c in microdata.COVARIATES if c in survey and survey[c].notna().any()]
    missing = [survey[name].isna().mean() * 100 for name in names]
    return pd.DataFrame({"covariate": names, "missing_pct": missing}).astype({"missing_pct": float})


def weighted_quantile(values: pd.Series, weights: pd.Series, share: float) -> float:
    """The smallest value at which the weights reach a share of their sum."""
    order = np.argsort(values.to_numpy(), kind="stable")
    reached = np.cumsum(weights.to_numpy()[order])
    return float(values.to_numpy()[order][np.searchsorted(reached, share * reached[-1])])


# ---- what is shown ---------------------------------------------------------------------------


def published(compared: pd.DataFrame) -> pd.DataFrame:
    """`against_official` without small cells (`analysis.microdata.suppress`).

    Sampled households and those of them that are poor are the counts; kota are the cells and DKI
    Jakarta their total. What BPS publishes stays. Adds ``suppressed``.
    """
    own = [name for name in compared if name.startswith("official_")]
    kota = compared["area_code"] != JAKARTA
    cells = microdata.suppress(
        compared[kota],
        ["n_households", "n_poor"],
        of={"n_poor": "n_households"},
        keep=[*own, "population_derived"],
    )
    total = compared[~kota].assign(suppressed=bool(cells["total_suppressed"].any()))
    if total["suppressed"].any() or (total["n_poor"] < disclosure.THRESHOLD).any():
        hidden = [c for c in total.select_dtypes("number") if c not in own]
        total[hidden] = np.nan
        total["suppressed"] = True
    table = pd.concat([cells, total], ignore_index=True).drop(columns="total_suppressed")
    # Whether the official figure lies inside says something of the interval, and the kind of the
    # interval whether anybody is poor.
    for name in ("p0_inside", "poor_inside"):
        table[name] = table[name].astype("boolean").mask(table["suppressed"])
    table["interval"] = table["interval"].mask(table["suppressed"])
    return table


def density(survey: pd.DataFrame, points: int = 200) -> pd.DataFrame:
    """The density of log welfare over persons, between `SHOWN_QUANTILES`.

    Gaussian kernel, Scott's width. Returns ``welfare, density`` (per unit of the natural log).
    """
    persons = survey["weight"] * survey["household_size"]
    logged = np.log(survey["welfare"].clip(lower=1e-6))
    ends = [weighted_quantile(logged, persons, share) for share in SHOWN_QUANTILES]
    at = np.linspace(*ends, points)
    kernel = stats.gaussian_kde(logged, weights=persons)
    return pd.DataFrame({"welfare": np.exp(at), "density": kernel(at)})


def draw_density(axes: Axes, survey: pd.DataFrame) -> None:
    """Draw `density` on a logarithmic axis, with the line at 1 and the poor shaded."""
    shape = density(survey)
    axes.plot(shape["welfare"], shape["density"], color="C0")
    poor = shape["welfare"] <= 1
    axes.fill_between(shape["welfare"][poor], shape["density"][poor], color="C1", alpha=0.5, lw=0)
    axes.axvline(1, color="0.2", lw=1)
    axes.annotate("the line", (1, 1), (-4, -3), xycoords=("data", "axes fraction"),
                  textcoords="offset points", ha="right", va="top", fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    low, high = shape["welfare"].iloc[[0, -1]]
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 3, 5, 10, 20, 50) if low * 0.8 <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)


def draw_against(axes: Axes, shown: pd.DataFrame) -> None:
    """Draw P0 of each area with its interval, and the official one as a cross."""
    places = np.arange(len(shown))[::-1]
    known = shown["p0_pct"].notna().to_numpy()
    estimate = shown["p0_pct"].to_numpy("float64", na_value=np.nan)
    reach = [
        estimate - shown["lower_pct"].to_numpy("float64", na_value=np.nan),
        shown["upper_pct"].to_numpy("float64", na_value=np.nan) - estimate,
    ]
    axes.errorbar(estimate, places, xerr=np.nan_to_num(reach), fmt="o", color="C0", capsize=3,
                  markersize=4, label="survey, 95 % interval")  # fmt: skip
    axes.plot(shown["official_p0_pct"], places, "x", color="C1", markersize=7, mew=2,
              label="official")  # fmt: skip
    for place in places[~known]:
        axes.annotate("survey: suppressed", (0, place), (4, 0),
                      xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="left", va="center", backgroundcolor="white", fontsize=7.5,
                      color="0.35")  # fmt: skip
    axes.set_yticks(places, shown["area"])
    axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(shown) - 0.4)


# ---- in words --------------------------------------------------------------------------------


def line_words(line: str | float) -> str:
    """The line in words."""
    amount = _amount(line)
    if amount is not None:
        return f"Rp {amount:,.0f} per person and month"
    return "the line of extreme poverty" if line == EXTREME else "the poverty line of their kota"


def contents_words(data: microdata.Microdata) -> str:
    """What was read: a Markdown list of the tables, their size and the lowest level of codes."""
    told = []
    if data.synthetic:
        told.append("These data are synthetic, and everything made from them says so.")
    if data.truth is not None:
        told.append(synthetic.population_words(data.periods[-1]))
    for period, own in data.survey.groupby("period"):
        drawn = own["cluster"].nunique()
        told.append(
            f"Survey of {period}: {len(own):,} households"
            + (f" in {drawn:,} clusters" if drawn else "")
            + f"; codes down to the {microdata.level(own)}."
        )
    if data.census is not None:
        households = int(data.census.get("count", pd.Series(1, index=data.census.index)).sum())
        told.append(
            f"Census or register: {households:,} households in {len(data.census):,} different "
            f"patterns of covariates; codes down to the {microdata.level(data.census)}."
        )
    if data.podes is not None:
        told.append(f"Villages: {len(data.podes):,} kelurahan.")
    if data.lines is not None:
        told.append(f"Lines: of {', '.join(sorted(data.lines['period'].unique()))}.")
    told += data.notes
    if more := data.needed_for_more():
        told.append(more)
    return "\n".join(f"- {sentence}" for sentence in told)


def lines_words(survey: pd.DataFrame) -> str:
    """Where the lines come from, and how many are derived."""
    bases = survey.groupby("kota_code")["line_basis"].first().value_counts()
    told = f"Lines by where they come from: {', '.join(f'{n} {b}' for b, n in bases.items())}."
    if DERIVED in bases:
        told += (
            " A derived line is the published one of the nearest period, moved by the ratio of "
            "the province's lines; BPS did not publish it."
        )
    return told


def verdict(
    survey: pd.DataFrame, shown: pd.DataFrame, found: pd.DataFrame, line: str | float = NATIONAL
) -> str:
    """The answer: P0 of the province beside the official one, and the checks that fail."""
    (period,) = survey["period"].unique()
    province = shown.set_index("area_code").loc[JAKARTA]
    words = f"By {len(survey):,} households of {period}, "
    if pd.isna(province["p0_pct"]):
        words += "P0 of DKI Jakarta is not shown: too few sampled households are poor"
    else:
        words += (
            f"**{province['p0_pct']:.2f} %** of the people of DKI Jakarta live below "
            f"{line_words(line)} (95 % interval {province['lower_pct']:.2f} to "
            f"{province['upper_pct']:.2f})"
        )
    if pd.notna(province["official_p0_pct"]):
        words += f"; the official figure is {province['official_p0_pct']:.2f} %"
    failed = found.loc[found["passed"].eq(False).fillna(False), "check"]
    checked = int(found["passed"].notna().sum())
    if not len(failed):
        return f"{words}. All {checked} checks are passed."
    verb = "fails" if len(failed) == 1 else "fail"
    return f"{words}. Of {checked} checks {len(failed)} {verb}: {'; '.join(failed)}."


def comparison_words(shown: pd.DataFrame) -> str:
    """How many official P0 lie inside the intervals, and what is known of the numbers of poor."""
    kota = shown[shown["area_code"] != JAKARTA]
    inside = kota["p0_inside"].dropna()
    told = []
    if len(inside):
        told.append(
            f"Of {len(inside)} kota with an official P0 and a survey figure that can be shown, "
            f"{inside.sum()} have it inside the interval."
        )
        outside = kota.loc[kota["p0_inside"].eq(False).fillna(False), "area"]
        if len(outside):
            told.append(f"It lies outside in {', '.join(outside)}.")
    else:
        told.append("No kota has both an official P0 and a survey figure that can be shown.")
    ratio = shown.set_index("area_code").loc[JAKARTA, "population_ratio"]
    if pd.notna(ratio) and abs(ratio - 1) * 100 > WEIGHT_TOLERANCE_PCT:
        told.append(
            f"The weights stand for {ratio * 100:.1f} % of the residents that the official figures "
            "imply (number of poor / P0), so numbers of poor cannot be compared; shares can."
        )
    return " ".join(told)


def spread_words(survey: pd.DataFrame) -> str:
    """The median person, and how many live between the line and one and a half times it."""
    persons = survey["weight"] * survey["household_size"]
    near = persons[survey["welfare"].between(1, 1.5, inclusive="left")].sum() / persons.sum()
    median = weighted_quantile(survey["welfare"], persons, 0.5)
    return (
        f"The median person lives at {median:.2f} times the line; {near * 100:.1f} % of the "
        "people live above the line by less than half of it."
    )


def design_words(survey: pd.DataFrame) -> str:
    """What the standard errors take into account, for a note."""
    given = [name for name, column in design_columns(survey).items() if column]
    if len(given) == 2:
        return "Survey: the microdata read. Standard errors by strata and clusters."
    by = f"by {given[0]} only" if given else "as if households had been drawn one by one"
    return f"Survey: the microdata read. Standard errors {by}: the design is not in the file."


def suppressed_words(shown: pd.DataFrame) -> str:
    """Which areas are suppressed and why; empty if none is."""
    hidden = shown.loc[shown["suppressed"], "area"]
    if not len(hidden):
        return ""
    return (
        f"Suppressed: {', '.join(hidden)}; fewer than {disclosure.THRESHOLD} sampled households "
        "are poor (or not poor), or those of another area would follow by difference."
    )


# ---- tables ----------------------------------------------------------------------------------


def estimates_table(shown: pd.DataFrame) -> pd.DataFrame:
    """P0 by the survey beside the official one, for showing."""
    words = {True: "yes", False: "no"}
    inside = [words.get(value) for value in shown["p0_inside"].astype(object)]
    names = ["area", "n_households", "n_clusters", "p0_pct", "se_points", "lower_pct", "upper_pct"]
    names += ["design_effect", "official_p0_pct"]
    return shown[names].assign(inside=inside)


def counts_table(shown: pd.DataFrame) -> pd.DataFrame:
    """Residents and poor by the weights beside the official ones, for showing."""
    table = shown.assign(population_ratio_pct=shown["population_ratio"] * 100)
    names = ["area", "population_count", "official_population_count", "population_ratio_pct"]
    return table[
        [*names, "poor_count", "poor_lower_count", "poor_upper_count", "official_poor_count"]
    ]


def checks_table(found: pd.DataFrame) -> pd.DataFrame:
    """`checks` with its result in words, for showing."""
    words = {True: "passed", False: "failed"}
    result = [words.get(value, "not possible") for value in found["passed"].astype(object)]
    return found.drop(columns="passed").assign(result=result)


def census(data: microdata.Microdata) -> pd.DataFrame:
    """The patterns of the census, or a table without rows if the mapping has none."""
    if data.census is not None:
        return data.census
    needed = {"kota_code": "str", "household_size": "int64", "count": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in needed.items()})
