"""Households of a survey: their welfare against the line, and the survey against what is official.

Microdata come from a user's files (`analysis.microdata`) or, where none are named, from a small
synthetic city, which marks everything made from it.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from analysis import microdata, paths, poverty, provenance, regions, sources, synthetic
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
# numbers of poor cannot be compared then. Six kota by two official counts differ by 16 per cent.
WEIGHT_TOLERANCE_PCT = 20
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


def official(period: str) -> pd.DataFrame:
    """The official figures of the six kota in a period: see `analysis.poverty.reference`."""
    kota = poverty.kota_series(sources.read("dki_kota_poverty"))
    return poverty.reference(kota, sources.read("dki_poverty_semester"), period)


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
            known = official(period)
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
        `official`, of the same period.

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

    published = _with_province(kota_poverty).set_index("kota_code").reindex(table["area_code"])
    for name in ("p0_pct", "poor_count", "population_count"):
        table[f"official_{name}"] = published[name].to_numpy("float64")
    table["population_derived"] = published["population_derived"].to_numpy(bool)
    table["population_ratio"] = table["population_count"] / table["official_population_count"]
    table["p0_inside"] = _inside(table, "p0_pct", "lower_pct", "upper_pct", 0.005)
    inside = _inside(table, "poor_count", "poor_lower_count", "poor_upper_count", 5)
    same = (table["population_ratio"] - 1).abs() * 100 <= WEIGHT_TOLERANCE_PCT
    table["poor_inside"] = inside.where(same)
    return table


def _with_province(kota_poverty: pd.DataFrame) -> pd.DataFrame:
    """The official figures with a row of DKI Jakarta, which has its own publication."""
    (period,) = kota_poverty["period"].unique()
    own = sources.read("dki_poverty_semester").set_index("period").loc[period]
    province = {
        "kota_code": JAKARTA,
        "p0_pct": own["p0_pct"],
        "poor_count": own["poor_thousand"] * 1000,
        "population_count": own["poor_thousand"] * 1e5 / own["p0_pct"],
        "population_derived": False,
    }
    table = pd.concat([kota_poverty, pd.DataFrame([province])], ignore_index=True)
    return table.astype({"population_derived": bool})


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
