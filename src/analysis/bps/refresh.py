"""Refresh the official tables in ``data/raw`` from the WebAPI of BPS (`make data`).

What has changed is shown before anything is replaced. Figures are added and replaced, never taken
away: a figure that the WebAPI does not have stays as it was entered.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import paths, provenance, sources
from analysis.bps.client import NATIONAL, BpsError, Client, UnexpectedAnswer
from analysis.bps.tables import BpsFormatError, read_table

_SHOWN = 40  # lines of a diff


@dataclass(frozen=True)
class Refresh:
    """How a raw table is refreshed.

    Attributes
    ----------
    source
        Its record in sources.yml.
    area
        Its column of area codes.
    variables
        Indicators of the table by the identifiers of the WebAPI's variables.
    wide
        Whether the indicators are columns; otherwise they are rows with ``value_as_published``.
    category
        The category to take where a variable has several (town, country, total).
    """

    source: str
    area: str
    variables: dict[str, str]
    wide: bool
    category: str = "Jumlah"


# Variables: 192 P0, 183 number of poor (thousand) and 195 poverty line by province; 621 P0 and 624
# poverty line by kabupaten and kota.
REFRESHES = (
    Refresh(
        "province_poverty",
        "province_code",
        {"192": "p0_pct", "183": "poor_thousand", "195": "poverty_line_rp"},
        False,
    ),
    Refresh("dki_kota_poverty", "kota_code", {"621": "p0_pct", "624": "poverty_line_rp"}, True),
)
# What BPS calls them, so that a number that now stands for another variable is noticed.
_TITLES = {
    "p0_pct": "persentase penduduk miskin",
    "poor_thousand": "jumlah penduduk miskin",
    "poverty_line_rp": "garis kemiskinan",
}


def published(client: Client, refresh: Refresh) -> pd.DataFrame:
    """What the WebAPI has for a raw table, fetched anew.

    Returns
    -------
    pandas.DataFrame
        ``area_code, area, period, indicator, value_as_published, variable``, for the areas that
        the raw table is about and figures that are there.

    Raises
    ------
    analysis.bps.client.BpsError, analysis.bps.tables.BpsFormatError
        An answer could not be had, or not be read as a whole.
    """
    known = set(sources.read(refresh.source)[refresh.area])
    parts = []
    for variable, indicator in refresh.variables.items():
        periods = client.periods(variable, NATIONAL, refresh=True)["period_id"]
        for answer in client.dynamic_tables(variable, NATIONAL, periods, refresh=True):
            table = _own(read_table(answer), variable, indicator, refresh.category)
            # Kota figures are of March, which the WebAPI gives as the year.
            period = table["period"] + ("-03" if refresh.wide else "")
            table = table.assign(indicator=indicator, period=period, variable=variable)
            parts.append(table[table["area_code"].isin(known) & table["value"].notna()])
    whole = pd.concat(parts, ignore_index=True)
    whole = whole[whole["period"].str.fullmatch(r"\d{4}-(03|09)")]
    columns = ["area_code", "area", "period", "indicator", "value_as_published", "variable"]
    return whole[columns].reset_index(drop=True)


def _own(table: pd.DataFrame, variable: str, indicator: str, category: str) -> pd.DataFrame:
    """The rows of the category, if the variable is the one that is meant."""
    told = table["indicator"].unique()
    if not all(text.lower().startswith(_TITLES[indicator]) for text in told):
        raise UnexpectedAnswer(
            f"variable {variable} is {told[0]!r}, not {_TITLES[indicator]!r}: look its number up "
            f"with Client.variables and change it in analysis.bps.refresh"
        )
    if len(told) == 1:
        return table
    own = table[table["indicator"].str.endswith(f", {category}")]
    if own.empty:
        raise UnexpectedAnswer(
            f"variable {variable} has {', '.join(map(repr, told))}, and {category!r} is not one of "
            f"these: change the category in analysis.bps.refresh"
        )
    return own


def changes(raw: pd.DataFrame, fetched: pd.DataFrame, refresh: Refresh) -> pd.DataFrame:
    """The cells that a refresh would add or replace.

    Returns
    -------
    pandas.DataFrame
        ``area_code, area, period, indicator, before, after, variable``; ``before`` is missing
        for a new figure.
    """
    if refresh.wide:
        names = list(refresh.variables.values())
        own = raw.melt([refresh.area, "period"], names, "indicator", "before")
    else:
        own = raw.rename(columns={"value_as_published": "before"})
    own = own[[refresh.area, "period", "indicator", "before"]]
    both = fetched.rename(columns={"area_code": refresh.area, "value_as_published": "after"}).merge(
        own, on=[refresh.area, "period", "indicator"], how="left"
    )
    before, after = pd.to_numeric(both["before"]), pd.to_numeric(both["after"])
    both = both[~((before - after).abs() < 1e-9)].rename(columns={refresh.area: "area_code"})
    columns = ["area_code", "area", "period", "indicator", "before", "after", "variable"]
    return both[columns].sort_values(columns[:4], ignore_index=True)


def changed_table(raw: pd.DataFrame, diff: pd.DataFrame, refresh: Refresh) -> pd.DataFrame:
    """The raw table with the changes made; each changed row names the WebAPI as its source."""
    table = raw.copy()
    for change in diff.itertuples():
        own = (table[refresh.area] == change.area_code) & (table["period"] == change.period)
        if not refresh.wide:
            own &= table["indicator"] == change.indicator
        column = change.indicator if refresh.wide else "value_as_published"
        value = float(change.after) if refresh.wide else change.after
        source = f"BPS WebAPI variable {change.variable}"
        if own.any():
            if refresh.wide:
                source = f"{table.loc[own, 'source'].iloc[0]}; {source}"
            elif "note" in table:
                table.loc[own, "note"] = pd.NA  # it was about the figure that is replaced
            table.loc[own, [column, "source"]] = [value, source]
        else:
            same = raw[raw[refresh.area] == change.area_code]
            row = {refresh.area: change.area_code, "period": change.period, column: value}
            name = refresh.area.replace("_code", "")
            row |= {name: same[name].iloc[0], "source": source}
            if not refresh.wide:
                row |= {"indicator": change.indicator, "source_count": 1}
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    order = ["period", refresh.area] if refresh.wide else [refresh.area, "period", "indicator"]
    return table.sort_values(order, kind="stable", ignore_index=True)


def write(source_id: str, table: pd.DataFrame, accessed: str) -> None:
    """Replace a raw file and its record's checksum, size and date; both or neither."""
    source = sources.record(source_id)
    new_file = source.file.with_name(f".{source.file.name}.new")
    new_records = sources.RECORDS.with_name(".sources.yml.new")
    try:
        table.to_csv(new_file, index=False, lineterminator="\n")
        text = sources.RECORDS.read_text(encoding="utf-8")
        start = text.index(f"- id: {source_id}\n")
        end = text.find("\n- id: ", start)
        record = text[start : end if end > 0 else len(text)]
        for key, value in (
            ("sha256", provenance.sha256(new_file)),
            ("bytes", new_file.stat().st_size),
            ("date_accessed", accessed),
        ):
            record = re.sub(rf"(?m)^  {key}: .*$", f"  {key}: {value}", record)
        new_records.write_text(
            text[:start] + record + (text[end:] if end > 0 else ""), encoding="utf-8"
        )
        new_file.replace(source.file)
        new_records.replace(sources.RECORDS)
    finally:
        for temporary in (new_file, new_records):
            temporary.unlink(missing_ok=True)
    sources.records.cache_clear()


def shown(diff: pd.DataFrame) -> str:
    """A diff for the screen: a line per cell, new ones with ``+``."""
    lines = [
        f"  {'+' if pd.isna(c.before) else '~'} {c.area} ({c.area_code}) {c.period} {c.indicator}: "
        + (f"{c.after}" if pd.isna(c.before) else f"{c.before} -> {c.after}")
        for c in diff.head(_SHOWN).itertuples()
    ]
    if len(diff) > _SHOWN:
        lines.append(f"  ... and {len(diff) - _SHOWN} more")
    return "\n".join(lines)


def main(arguments: list[str] | None = None, client: Client | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.bps.refresh", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="replace without asking")
    options = parser.parse_args(arguments)
    try:
        with client or Client() as asked:
            found = [
                (r, changes(sources.read(r.source), published(asked, r), r)) for r in REFRESHES
            ]
    except (BpsError, BpsFormatError, sources.SourceError) as error:
        print(f"data: {error}; the committed tables stay as they are", file=sys.stderr)
        return 1
    replaced = 0
    for refresh, diff in found:
        where = paths.shown(sources.record(refresh.source).file)
        if diff.empty:
            print(f"{where}: nothing has changed")
            continue
        print(
            f"{where}: {diff['before'].isna().sum()} new and {diff['before'].notna().sum()} changed"
        )
        print(shown(diff))
        if not (options.yes or _agreed(where)):
            print(f"{where} stays as it is (YES=1 replaces without asking)")
            continue
        table = changed_table(sources.read(refresh.source), diff, refresh)
        write(refresh.source, table, f"{pd.Timestamp.now():%Y-%m-%d}")
        replaced += 1
        print(f"{where} replaced; look at it with 'git diff {Path(where)}'")
    return 0 if replaced or all(diff.empty for _, diff in found) else 3


def _agreed(where: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Replace {where}? [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
