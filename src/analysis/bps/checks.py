"""Rules that find wrong cells in published tables, and the correction of what they find.

`check` takes a long table and a sequence of rules; each rule is a small frozen dataclass with one
job. What is wrong is judged from the figures alone: no rule knows the address of a cell.

A wrong cell must not throw suspicion on its right neighbours. So the rules run again and again:
each time the cell that contradicts the rest of its series most is set aside, and the others are
judged without it, until no new one is found. Rules that need nothing but the cell itself come
first, jumps next, then comparisons of two figures, sums over areas last (``stage``).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd

COLUMNS = ("area_code", "area", "period", "indicator", "value", "rule", "why", "suggested")
_KEY = ["area_code", "period", "indicator"]
_NEEDED = ("area_code", "area", "period", "indicator", "value")

# Below this many areas (or intervals) a median says little, and the next wider one is taken.
_FEW = 4
# From the median absolute deviation to the standard deviation of a normal distribution.
_MAD = 1.4826


class CheckError(ValueError):
    """A table cannot be checked or corrected as asked."""


@dataclass(frozen=True)
class Split:
    """A change of territory: from ``period`` on these areas are not what they were before.

    All their figures break there; a change of population frame (a period alone) breaks only
    counts and the populations they imply, but for every area.
    """

    period: str
    areas: tuple[str, ...]


class Rule(Protocol):
    """What `check` needs of a rule."""

    stage: ClassVar[int]

    def find(self, grid: "Grid") -> list["Finding"]: ...


class Finding(NamedTuple):
    """A cell that a rule objects to.

    ``strength`` is how far it is outside, 1 at the limit. ``aside`` is false if the cell goes on
    standing as evidence about others.
    """

    indicator: str
    row: int
    column: int
    why: str
    suggested: float = np.nan
    strength: float = np.inf
    aside: bool = True


class Grid:
    """The table as one matrix (areas x periods) per indicator, and what is suspected so far."""

    def __init__(self, table: pd.DataFrame, frames: Iterable[str | Split]) -> None:
        table = table[table["value"].notna()]
        keys = _series_keys(table)
        first = table.assign(key=keys).drop_duplicates("key").set_index("key").sort_index()
        self.codes, self.areas = first["area_code"].tolist(), first["area"].tolist()
        self.periods = sorted(table["period"].unique(), key=_time)
        self.time = np.array([_time(period) for period in self.periods])
        self.shape = (len(self.codes), len(self.periods))
        rows = first.index.get_indexer(keys)
        columns = pd.Index(self.periods, dtype="object").get_indexer(table["period"])
        self.exists = np.zeros(self.shape, bool)  # the area has some figure in the period
        self.exists[rows, columns] = True
        self._values = {}
        for indicator, where in table.groupby("indicator").indices.items():
            matrix = np.full(self.shape, np.nan)
            matrix[rows[where], columns[where]] = table["value"].to_numpy(float)[where]
            self._values[indicator] = matrix
        self._suspects: dict[str, np.ndarray] = {}
        self._confirmed: dict[str, np.ndarray] = {}
        self.territory = np.zeros(self.shape, int)
        self.frame = np.zeros(self.shape, int)
        for change in frames:
            if isinstance(change, Split):
                after = np.isin(self.codes, change.areas)[:, None] & self._since(change.period)
                self.territory += after
            else:
                after = np.broadcast_to(self._since(change), self.shape)
            self.frame += after

    def _since(self, period: str) -> np.ndarray:
        return self.time >= _time(period)

    @property
    def indicators(self) -> list[str]:
        return sorted(self._values)

    def values(self, indicator: str) -> np.ndarray:
        """Its matrix; all missing if the table does not have the indicator."""
        return self._values.get(indicator, np.full(self.shape, np.nan))

    def suspect(self, indicator: str) -> np.ndarray:
        return self._suspects.setdefault(indicator, np.zeros(self.shape, bool))

    def confirmed(self, indicator: str) -> np.ndarray:
        return self._confirmed.setdefault(indicator, np.zeros(self.shape, bool))

    def trusted(self, indicator: str) -> np.ndarray:
        """Cells that can stand as evidence about others (positive: comparisons are ratios)."""
        x = self.values(indicator)
        return (x > 0) & np.isfinite(x) & ~self.suspect(indicator)

    def population(self, count: str, rate: str) -> tuple[np.ndarray, np.ndarray]:
        """Logarithm of count / rate, and where both are trusted."""
        logs = _log(self.values(count)) - _log(self.values(rate))
        return logs, self.trusted(count) & self.trusted(rate)

    def name(self, row: int) -> str:
        return self.areas[row] if isinstance(self.areas[row], str) else str(self.codes[row])


# --- rules that need nothing but the cell itself -----------------------------------------------


@dataclass(frozen=True)
class Range:
    """The indicator lies between two bounds, both allowed."""

    indicator: str
    low: float
    high: float
    stage: ClassVar[int] = 0

    def find(self, grid: Grid) -> list[Finding]:
        x = grid.values(self.indicator)
        bounds = f"between {_n(self.low)} and {_n(self.high)}"
        return [
            Finding(self.indicator, i, j, f"{_n(x[i, j])} is not {bounds}")
            for i, j in np.argwhere((x < self.low) | (x > self.high))
        ]


@dataclass(frozen=True)
class Placeholder:
    """A zero where none is possible stands for a missing figure."""

    indicators: tuple[str, ...]
    stage: ClassVar[int] = 0

    def find(self, grid: Grid) -> list[Finding]:
        why = "zero is no possible figure here: it stands for a missing one"
        return [
            Finding(indicator, i, j, why)
            for indicator in self.indicators
            for i, j in np.argwhere(grid.values(indicator) == 0)
        ]


@dataclass(frozen=True)
class ImpossibleArea:
    """Figures of an area that cannot have them.

    Parameters
    ----------
    exists_from
        First period with figures of its own, by code of the area.
    never
        By code of the area, a pattern of the indicators or area names it cannot have.
    """

    exists_from: Mapping[str, str] = field(default_factory=dict)
    never: Mapping[str, str] = field(default_factory=dict)
    stage: ClassVar[int] = 0

    def find(self, grid: Grid) -> list[Finding]:
        found = []
        for indicator in grid.indicators:
            x = grid.values(indicator)
            listed = np.isin(grid.codes, [*self.exists_from, *self.never])
            for i, j in np.argwhere(~np.isnan(x) & listed[:, None]):
                code, since = grid.codes[i], self.exists_from.get(grid.codes[i])
                pattern = self.never.get(code)
                if since and grid.time[j] < _time(since):
                    why = f"{grid.name(i)} has no figures of its own before {since}"
                    found.append(Finding(indicator, i, j, why))
                    continue
                named = f"{indicator}\n{grid.areas[i]}"
                impossible = re.search(pattern, named, re.IGNORECASE) if pattern else None
                if impossible:
                    why = f"area {code} has no part that is {impossible[0].lower()}"
                    found.append(Finding(indicator, i, j, why))
        return found


@dataclass(frozen=True)
class ShiftedRow:
    """All figures of an area in a period are those of the area next to it in the list.

    The row that fits its own series less is the wrong one. At least two figures must agree.
    """

    indicators: tuple[str, ...]
    stage: ClassVar[int] = 0

    def find(self, grid: Grid) -> list[Finding]:
        x = np.stack([grid.values(indicator) for indicator in self.indicators])
        both = ~np.isnan(x[:, 1:]) & ~np.isnan(x[:, :-1])
        same = ((x[:, 1:] == x[:, :-1]) | ~both).all(axis=0) & (both.sum(axis=0) >= 2)
        same &= (x[:, 1:] != 0).any(axis=0)  # rows of zeros are placeholders
        found = []
        for upper, j in np.argwhere(same):
            pair = [upper, upper + 1]
            misfit = [self._misfit(grid, i, j) for i in pair]
            i, other = pair if misfit[0] > misfit[1] else pair[::-1]
            why = f"the whole row of {grid.periods[j]} is that of {grid.name(other)}"
            found += [
                Finding(indicator, i, j, why)
                for k, indicator in enumerate(self.indicators)
                if both[k, upper, j]
            ]
        return found

    def _misfit(self, grid: Grid, i: int, j: int) -> float:
        total = 0.0
        for indicator in self.indicators:
            logs = _log(grid.values(indicator)[i : i + 1])
            ok = ~np.isnan(logs)
            ok[0, j] = False
            expected = _Expected(logs, ok, grid.frame[i : i + 1], grid.time)
            total += np.nan_to_num(abs(logs - expected.between))[0, j]
        return total


# --- comparisons in time ------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeated:
    """A value repeated exactly from the neighbouring period, where that is implausible.

    A rate printed with two decimals does repeat: Jakarta had 3.75 % twice in 2016, and rightly.
    With a ``partner`` (the count of a rate, the rate of a count) the repeat is wrong only if the
    partner moved by more than the population grows (``drift`` per year) and rounding allows, and
    is not itself suspected.
    Without a partner every repeat is wrong: for figures so fine that none happens by chance.

    Parameters
    ----------
    step
        What the indicator is printed in, e.g. 0.01: the repeated value may hide that much.
    """

    indicator: str
    partner: str | None = None
    drift: float = 0.03
    step: float = 0.0
    stage: ClassVar[int] = 2

    def find(self, grid: Grid) -> list[Finding]:
        x, ok = grid.values(self.indicator), grid.trusted(self.indicator)
        segment = grid.territory
        logs, partner = _log(x), None
        if self.partner:
            # Population does not grow as evenly from one frame to the next.
            segment = grid.frame
            partner = grid.values(self.partner)
            ok = ok & grid.trusted(self.partner)
            logs = logs - _log(partner)

        def wrong(other: np.ndarray) -> np.ndarray:
            same = x == _take(x, other)
            if partner is None:
                return same
            moved = abs(_log(partner) - _take(_log(partner), other))
            years = abs(grid.time - _take(np.broadcast_to(grid.time, grid.shape), other))
            doubtful = grid.suspect(self.partner)
            return same & ~doubtful & (moved > self.drift * years + self.step / x)

        found = []
        for i, j, other in _worse_of_pairs(grid, self.indicator, logs, ok, segment, wrong):
            why = f"{_n(x[i, j])} is repeated from {grid.periods[other]}"
            if partner is not None:
                there, here = _n(partner[i, other]), _n(partner[i, j])
                why += f", though {self.partner} is {here} here and {there} there"
            found.append(Finding(self.indicator, i, j, why))
        return found


@dataclass(frozen=True)
class ImpliedPopulation:
    """The population behind a count and a rate, against what its neighbours in time imply.

    Whichever of the two figures is less like its own neighbours is the wrong one, unless the
    count is confirmed by a sum over areas (`SumOfParts`) or one of them is found otherwise. The
    other figure and the neighbours' population determine what it should be.

    A population that goes to a new level and stays there is reported once, at the first figure
    of the new level: a change of frame or territory, which should be declared.

    Parameters
    ----------
    band
        Largest relative distance from the population that both neighbours imply. With a
        neighbour on one side only it is twice as wide.
    scale
        100 for a rate in percent; the population is in the unit of the count.
    step
        What the rate is printed in: its rounding is added to the band.
    """

    count: str
    rate: str
    band: float = 0.01
    scale: float = 100
    step: float = 0.01
    decimals: int = 2
    stage: ClassVar[int] = 3

    def find(self, grid: Grid) -> list[Finding]:
        logs, ok = grid.population(self.count, self.rate)
        expected = _Expected(logs, ok, grid.frame, grid.time)
        deviation = abs(logs - expected.between)
        left, right = logs - expected.left, logs - expected.right
        count, rate = grid.values(self.count), grid.values(self.rate)
        limit = self.band * np.where(expected.two_sided, 1, 2) + self.step / 2 / rate
        strength = deviation / limit
        if not (strength > 1).any():
            return []
        # A wrong cell differs from both sides alike; a new level agrees with one of them.
        alike = np.minimum(abs(left), abs(right)) > np.maximum(abs(left), abs(right)) / 4
        level = expected.two_sided & ~(alike & (np.sign(left) == np.sign(right)))
        wrong_rate = self._wrong_rate(grid)
        found = []
        for i, j in np.argwhere(strength > 1):
            implied = (
                f"{self.count} {_n(count[i, j])} / {self.rate} {_n(rate[i, j])} implies a "
                f"population of {_n(count[i, j] / rate[i, j] * self.scale, 0)}, "
            )
            if level[i, j] and ok[i, j]:
                if abs(left[i, j]) > abs(right[i, j]):
                    before = expected.before[i, j]
                    there = _n(np.exp(logs[i, before]) * self.scale, 0)
                    why = (
                        f"{implied}{grid.periods[before]} {there}, and it stays there: a change "
                        "of frame or territory is to be declared"
                    )
                    found.append(Finding(self.count, i, j, why, aside=False))
                continue
            population = np.exp(expected.between[i, j]) * self.scale
            if wrong_rate[i, j]:
                indicator, suggested = self.rate, count[i, j] / population * self.scale
            else:
                indicator, suggested = self.count, rate[i, j] * population / self.scale
            why = f"{implied}{expected.named(grid, i, j)} {_n(population, 0)}"
            both = grid.suspect(self.count)[i, j] and grid.suspect(self.rate)[i, j]
            suggested = np.nan if both else round(suggested, self.decimals)
            found.append(Finding(indicator, i, j, why, suggested, strength[i, j]))
        return found

    def _wrong_rate(self, grid: Grid) -> np.ndarray:
        misfit = {}
        for indicator, segment in ((self.count, grid.frame), (self.rate, grid.territory)):
            logs = _log(grid.values(indicator))
            expected = _Expected(logs, grid.trusted(indicator), segment, grid.time)
            misfit[indicator] = np.nan_to_num(abs(logs - expected.between))
        closer = misfit[self.rate] >= misfit[self.count]
        wrong_rate = np.where(grid.confirmed(self.count), True, closer)
        suspect_count, suspect_rate = grid.suspect(self.count), grid.suspect(self.rate)
        decided = suspect_count != suspect_rate
        return np.where(decided, suspect_rate, wrong_rate)


@dataclass(frozen=True)
class Jump:
    """A value far from its neighbours in time on both sides, and in the same direction.

    What all areas did in the meantime is taken out first (the median growth from period to
    period), so that a year in which every poverty line rises by 9 % is no jump, and a line that
    rises by 0.4 % while the others rise by 2.9 % is one. How much an area wanders about that
    common path is its own (median absolute deviation): a national figure wanders less than that
    of a small province, and all wander farther in several years than in one (as the square root,
    like a random walk). A series that goes to a new level and stays there is right.

    Parameters
    ----------
    times
        How many times its usual deviation a value may be off (half as much again with a
        neighbour on one side only).
    floor
        Smallest usual deviation, relative.
    framed
        Whether a change of population frame breaks the series (counts).
    """

    indicator: str
    times: float = 6
    floor: float = 0.01
    framed: bool = False
    stage: ClassVar[int] = 1

    def find(self, grid: Grid) -> list[Finding]:
        x, ok = grid.values(self.indicator), grid.trusted(self.indicator)
        segment = grid.frame if self.framed else grid.territory
        logs = _log(x)
        path = _common_path(logs, ok, segment, grid.time)
        own = _Expected(logs - path, ok, segment, grid.time, drifts=not path.any())
        left, right = logs - path - own.left, logs - path - own.right
        usual = _MAD * _medians(abs(np.where(ok, left, np.nan)))
        usual = np.maximum(usual, self.floor)[:, None]
        agree = np.sign(left) == np.sign(right)
        nearer = np.where(abs(left) < abs(right), left, right)
        one_sided = np.where(np.isnan(left), right, left) / 1.5
        off = np.where(own.two_sided, np.where(agree, nearer, 0), one_sided)
        usual = usual * np.sqrt(np.maximum(own.years, 1))
        strength = abs(np.nan_to_num(off)) / (self.times * usual)
        found = []
        for i, j in np.argwhere(strength > 1):
            expected = np.exp(own.between[i, j] + path[j])
            why = (
                f"{_n(x[i, j])} jumps: {own.named(grid, i, j)} about "
                f"{_n(expected, 0 if expected >= 1000 else 2)} (usually within {usual[i, j]:.1%})"
            )
            found.append(Finding(self.indicator, i, j, why, strength=strength[i, j]))
        return found


@dataclass(frozen=True)
class Rises:
    """An indicator that does not fall by more than ``tolerance`` (relative), as poverty lines."""

    indicator: str
    tolerance: float = 0.0
    stage: ClassVar[int] = 3

    def find(self, grid: Grid) -> list[Finding]:
        x, ok = grid.values(self.indicator), grid.trusted(self.indicator)

        def wrong(other: np.ndarray) -> np.ndarray:
            later = np.arange(len(grid.periods)) > other
            there = _take(x, other)
            return np.where(
                later, x < there * (1 - self.tolerance), x * (1 - self.tolerance) > there
            )

        found = []
        pairs = _worse_of_pairs(grid, self.indicator, _log(x), ok, grid.territory, wrong)
        for i, j, other in pairs:
            (a, before), (b, after) = sorted([(j, x[i, j]), (other, x[i, other])])
            fall = f"{_n(before)} in {grid.periods[a]} to {_n(after)} in {grid.periods[b]}"
            found.append(Finding(self.indicator, i, j, f"falls from {fall}", strength=1.0))
        return found


# --- sums over areas ----------------------------------------------------------------------------


@dataclass(frozen=True)
class SumOfParts:
    """The total is the sum of its parts, in every period that has all of them.

    If exactly one of the figures is suspected otherwise, the rest determine it; if none is, the
    total is reported. Counts of a period whose sum is right are confirmed for the other rules.

    Parameters
    ----------
    total
        Code of the area that is the total.
    parts
        Codes of the parts; without any, all other areas with some figure in the period.
    tolerance
        Absolute, for the rounding of the parts.
    """

    indicator: str
    total: str
    parts: tuple[str, ...] = ()
    tolerance: float = 0.0
    decimals: int = 2
    stage: ClassVar[int] = 4

    def confirm(self, grid: Grid) -> None:
        """Note the figures of all periods in which the sum is right."""
        _, parts, complete, difference = self._sums(grid)
        if parts is not None:
            right = complete & (abs(difference) <= self.tolerance)
            grid.confirmed(self.indicator)[:] |= parts & right

    def find(self, grid: Grid) -> list[Finding]:
        total, parts, complete, difference = self._sums(grid)
        if parts is None:
            return []
        x, suspect = grid.values(self.indicator), grid.suspect(self.indicator)
        found = []
        for j in np.flatnonzero(complete & (abs(difference) > self.tolerance)):
            suspects = np.flatnonzero(suspect[:, j] & parts[:, j])
            if len(suspects) > 1:
                continue
            i = suspects[0] if len(suspects) else total
            sign = 1 if i == total else -1
            why = (
                f"the parts add up to {_n(x[total, j] + difference[j])}, "
                f"the total is {_n(x[total, j])}"
            )
            suggested = round(x[i, j] + sign * difference[j], self.decimals)
            strength = abs(difference[j]) / max(self.tolerance, 1e-9)
            found.append(Finding(self.indicator, i, j, why, suggested, strength))
        return found

    def _sums(self, grid: Grid) -> tuple:
        total, parts = _parts(grid, self.total, self.parts)
        if total is None:
            return None, None, None, None
        x = grid.values(self.indicator)
        complete = _complete(x, parts, total)
        difference = np.where(parts, np.nan_to_num(x), 0).sum(axis=0) - x[total]
        parts = parts.copy()
        parts[total] = True
        return total, parts, complete, difference


@dataclass(frozen=True)
class MeanOfParts:
    """The total keeps its ratio to the mean of its parts, weighted by the population they imply.

    National lines and rates are such means (the line to a constant factor), far steadier than
    any comparison in time. Judged in periods that have all parts and no suspect among them, with
    at least three others of that kind to take the ratio from.

    Parameters
    ----------
    count, rate
        The indicators that imply the population of a part.
    tolerance
        Relative distance from the usual ratio.
    """

    indicator: str
    total: str
    count: str
    rate: str
    parts: tuple[str, ...] = ()
    tolerance: float = 0.005
    decimals: int = 2
    stage: ClassVar[int] = 4

    def find(self, grid: Grid) -> list[Finding]:
        total, parts = _parts(grid, self.total, self.parts)
        if total is None:
            return []
        logs, ok = grid.population(self.count, self.rate)
        expected = _Expected(logs, ok, grid.frame, grid.time).between
        weights = np.where(parts, np.exp(np.where(ok, logs, expected)), 0)
        x = grid.values(self.indicator)
        usable = _complete(x, parts, total) & _complete(weights, parts, total=None)
        usable &= ~(grid.suspect(self.indicator) & parts).any(axis=0)
        usable &= x[total] > 0
        found = []
        mean = np.full(len(usable), np.nan)
        weighted = np.where(parts, weights * x, 0)[:, usable]
        mean[usable] = weighted.sum(axis=0) / weights[:, usable].sum(axis=0)
        ratio = _log(x[total]) - _log(mean)
        reference = usable & ~grid.suspect(self.indicator)[total]
        for j in np.flatnonzero(usable):
            others = reference & (np.arange(len(reference)) != j)
            if others.sum() < 3:
                continue
            usual = np.median(ratio[others])
            strength = abs(ratio[j] - usual) / self.tolerance
            if strength <= 1:
                continue
            suggested = round(float(np.exp(usual) * mean[j]), self.decimals)
            why = (
                f"{_n(x[total, j])} is {np.exp(ratio[j]):.4g} times the mean of the parts "
                f"({_n(mean[j])}), in other periods it is {np.exp(usual):.3f} times"
            )
            found.append(Finding(self.indicator, total, j, why, suggested, strength))
        return found


# --- the declared default for poverty by province -------------------------------------------------

# Counts are rate x projected population, and the projections change: in 2011 the results of the
# 2010 census came in (Jakarta +8 %), from September 2020 those of the 2020 census (Kalimantan
# Utara -7 %). Two provinces shrank: Kalimantan Timur, when Kalimantan Utara got figures of its own
# (2015), and Papua and Papua Barat, when four new provinces did (2024).
FRAMES: tuple[str | Split, ...] = (
    "2011-03",
    "2020-09",
    Split("2015-03", ("64",)),
    Split("2024-03", ("91", "94")),
)

_RATE, _COUNT, _LINE = "p0_pct", "poor_thousand", "poverty_line_rp"

POVERTY_RULES: tuple[Rule, ...] = (
    # Since 2010 the highest P0 of a province was 36.80 % (Papua, March 2010), the largest count
    # 31 million (Indonesia, March 2010); the lines of the panel (from 2016) go from 0.27 to 1.24
    # million a month.
    Range(_RATE, 0, 50),
    Range(_COUNT, 0, 40_000),
    Range(_LINE, 100_000, 2_000_000),
    Placeholder((_RATE, _COUNT, _LINE)),
    # First figures of their own, which is later than the law that made them. Jakarta is all urban.
    ImpossibleArea(
        exists_from={
            "65": "2015-03",
            "92": "2024-03",
            "95": "2024-03",
            "96": "2024-03",
            "97": "2024-03",
        },
        never={"31": "rural|perdesaan|pedesaan"},
    ),
    ShiftedRow((_RATE, _COUNT, _LINE)),
    # The fastest population (Kepulauan Riau) grows by 3 % a year. A rate or a count repeats by
    # chance, a line of six digits does not.
    Repeated(_RATE, partner=_COUNT, step=0.01),
    Repeated(_COUNT, partner=_RATE),
    Repeated(_LINE),
    # Within a frame the implied population keeps to its path within 0.3 % beside rounding.
    ImpliedPopulation(_COUNT, _RATE, band=0.01),
    # Rates and counts move with prices and samples, lines hardly: the national one keeps within
    # 0.2 % of the common path.
    Jump(_RATE, floor=0.03),
    Jump(_COUNT, floor=0.03, framed=True),
    Jump(_LINE, floor=0.0025),
    Rises(_LINE),
    # 38 parts rounded to 0.01 thousand.
    SumOfParts(_COUNT, total="00", tolerance=0.2),
    # The national line is 0.998 times the weighted mean of the provinces, in every period.
    MeanOfParts(_RATE, total="00", count=_COUNT, rate=_RATE),
    MeanOfParts(_LINE, total="00", count=_COUNT, rate=_RATE, decimals=0),
)


# --- checking and correcting ----------------------------------------------------------------------


def check(
    table: pd.DataFrame, rules: Sequence[Rule], *, frames: Iterable[str | Split] = ()
) -> pd.DataFrame:
    """Cells that contradict the rules.

    Parameters
    ----------
    table
        Long: at least ``area_code, area, period, indicator, value``, one row per cell. Periods
        are text (``2017``, ``2017-03``), missing values NaN.
    rules
        For example `POVERTY_RULES`.
    frames
        Declared breaks: the first period of a new population frame (of all areas), or a `Split`.
        Neighbours on the other side are not compared.

    Returns
    -------
    pandas.DataFrame
        One row per cell and rule, sorted: ``area_code, area, period, indicator, value, rule,
        why`` (a sentence with the figures) and ``suggested`` (missing unless other figures
        determine the value).

    Raises
    ------
    CheckError
        A column is missing, values are not numbers, a cell occurs twice, or a period is not of
        these forms.
    """
    grid = Grid(_checked(table), list(frames))
    # Zeros and absurd figures make ratios that are missing or infinite, which prove nothing.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        for rule in rules:
            if isinstance(rule, SumOfParts):
                rule.confirm(grid)
        while True:
            found = [(rule, finding) for rule in rules for finding in rule.find(grid)]
            if not _set_aside(grid, found):
                return _as_table(grid, found)


def correct(table: pd.DataFrame, corrections: pd.DataFrame) -> pd.DataFrame:
    """The table with declared corrections, each marked in the column ``flag``.

    Parameters
    ----------
    table
        Long: ``area_code, period, indicator, value``, and ``value_as_published`` and ``flag`` if
        it has them.
    corrections
        ``area_code, period, indicator, value_as_published, value, evidence``. A missing value
        withholds the cell: it is wrong, and what is right is not known.

    Returns
    -------
    pandas.DataFrame
        A copy; ``flag`` is ``corrected`` or ``withheld`` there (after a flag it had).

    Raises
    ------
    CheckError
        A correction names a cell that is not there once, occurs twice, has no evidence, or was
        made for another published value than the table has (a revision, say): look at it again.
    """
    needed = [*_KEY, "value_as_published", "value", "evidence"]
    _require(corrections, needed, "the table of corrections")
    _require(table, [*_KEY, "value"], "the table")
    twice = corrections[corrections.duplicated(_KEY)]
    if len(twice):
        raise CheckError(f"two corrections of one cell: {_cell(twice.iloc[0])}")
    result = table.copy()
    result["flag"] = result["flag"].astype("object") if "flag" in result else None
    published = "value_as_published" if "value_as_published" in table else "value"
    where = pd.Series(np.arange(len(table)), index=pd.MultiIndex.from_frame(table[_KEY]))
    for correction in corrections.to_dict("records"):
        cell = _cell(correction)
        rows = where[where.index == tuple(correction[name] for name in _KEY)].tolist()
        if len(rows) != 1:
            raise CheckError(f"{cell} is corrected, but the table has {len(rows)} such cells")
        if not isinstance(correction["evidence"], str) or not correction["evidence"].strip():
            raise CheckError(f"the correction of {cell} has no evidence")
        found = table[published].iloc[rows[0]]
        if not _same_figure(found, correction["value_as_published"]):
            raise CheckError(
                f"{cell} was corrected when the published value was "
                f"{correction['value_as_published']}, but the table has {found}: look at the "
                "correction again, and drop it if the source has been mended"
            )
        flag = "withheld" if pd.isna(correction["value"]) else "corrected"
        earlier = result["flag"].iloc[rows[0]]
        if isinstance(earlier, str) and earlier:
            flag = f"{earlier}; {flag}"
        result.iloc[rows[0], result.columns.get_loc("value")] = correction["value"]
        result.iloc[rows[0], result.columns.get_loc("flag")] = flag
    return result


# --- helpers --------------------------------------------------------------------------------------


def _set_aside(grid: Grid, found: list[tuple[Rule, Finding]]) -> bool:
    """Suspect the strongest new finding of each series, of the first stage that has any."""
    fresh = [
        (rule.stage, finding)
        for rule, finding in found
        if finding.aside and not grid.suspect(finding.indicator)[finding.row, finding.column]
    ]
    earliest = min((stage for stage, _ in fresh), default=0)
    first = [finding for stage, finding in fresh if stage == earliest]
    strongest: dict[tuple[str, int], float] = {}
    for finding in first:
        series = (finding.indicator, finding.row)
        strongest[series] = max(strongest.get(series, 0), finding.strength)
    for finding in first:
        if finding.strength == strongest[finding.indicator, finding.row]:
            grid.suspect(finding.indicator)[finding.row, finding.column] = True
    return bool(first)


class _Expected:
    """What the nearest trusted neighbours in time, of the same segment, say of each cell.

    ``left`` and ``right`` carry the one before and the one after on by the usual growth of the
    series (``drifts``); ``between`` is the straight line through both, or the one there is.
    ``years`` is how far the nearer one is.
    """

    def __init__(
        self,
        logs: np.ndarray,
        ok: np.ndarray,
        segment: np.ndarray,
        time: np.ndarray,
        drifts: bool = True,
    ) -> None:
        self.before, self.after = _neighbours(ok, segment)
        times = np.broadcast_to(time, logs.shape)
        since, until = times - _take(times, self.before), _take(times, self.after) - times
        self.years = np.nan_to_num(np.fmin(since, until))
        growth = np.zeros((len(logs), 1))
        if drifts:
            steps = (logs - _take(logs, self.before)) / since
            growth = _medians(np.where(ok, steps, np.nan))[:, None]
        self.left = _take(logs, self.before) + growth * since
        self.right = _take(logs, self.after) - growth * until
        self.two_sided = (self.before >= 0) & (self.after >= 0)
        middle = (self.left * until + self.right * since) / (since + until)
        one = np.where(self.before >= 0, self.left, self.right)
        self.between = np.where(self.two_sided, middle, one)

    def named(self, grid: Grid, i: int, j: int) -> str:
        """The neighbours in words, up to the figure: ``2016-09 and 2017-09 imply``."""
        columns = [k for k in (self.before[i, j], self.after[i, j]) if k >= 0]
        verb = "imply" if len(columns) == 2 else "implies"
        return f"{' and '.join(grid.periods[k] for k in columns)} {verb}"


def _neighbours(ok: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the nearest cell that is ok before and after each cell, -1 where there is none."""

    def nearest(columns: Iterable[int]) -> np.ndarray:
        result = np.full(ok.shape, -1)
        last, rows = np.full(len(ok), -1), np.arange(len(ok))
        for j in columns:
            same = (last >= 0) & (segment[rows, last] == segment[:, j])
            result[:, j] = np.where(same, last, -1)
            last = np.where(ok[:, j], j, last)
        return result

    columns = range(ok.shape[1])
    return nearest(columns), nearest(reversed(columns))


def _take(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The value of each row in the given column, missing where that is -1."""
    return np.where(columns >= 0, np.take_along_axis(x, np.maximum(columns, 0), axis=1), np.nan)


def _log(x: np.ndarray) -> np.ndarray:
    """Logarithm, missing where there is none."""
    return np.log(np.where((x > 0) & np.isfinite(x), x, np.nan))


def _medians(x: np.ndarray) -> np.ndarray:
    """Median of each row, of all rows together where a row has few values, else 0."""
    known = ~np.isnan(x)
    pooled = np.median(x[known]) if known.any() else 0.0
    return np.array(
        [
            np.median(row[there]) if there.sum() >= _FEW else pooled
            for row, there in zip(x, known, strict=True)
        ]
    )


def _common_path(
    logs: np.ndarray, ok: np.ndarray, segment: np.ndarray, time: np.ndarray
) -> np.ndarray:
    """What the median area did from period to period, added up; zeros if there are few areas."""
    path = np.zeros(len(time))
    if len(logs) <= _FEW:
        return path
    both = ok[:, 1:] & ok[:, :-1] & (segment[:, 1:] == segment[:, :-1])
    steps = np.where(both, np.diff(logs, axis=1), np.nan)
    enough = both.sum(axis=0) > _FEW
    if not enough.any():
        return path
    growth = np.full(len(time) - 1, np.nan)
    growth[enough] = np.nanmedian(steps[:, enough], axis=0)
    years = np.diff(time)
    # Where few areas have both periods, the path goes on as it usually does.
    usual = np.median(growth[enough] / years[enough])
    growth = np.where(enough, growth, usual * years)
    path[1:] = np.cumsum(growth)
    return path


def _worse_of_pairs(
    grid: Grid,
    indicator: str,
    logs: np.ndarray,
    ok: np.ndarray,
    segment: np.ndarray,
    wrong: Callable[[np.ndarray], np.ndarray],
) -> list[tuple[int, int, int]]:
    """Of neighbours that contradict each other, the cell to blame and the other one's column.

    ``wrong`` says of each cell whether it contradicts the one in the column given for it.
    A suspect is to blame; of two others the one that lies farther from what the cells outside
    the pairs say.
    """
    before, after = _neighbours(ok, segment)
    back, ahead = wrong(before) & (before >= 0), wrong(after) & (after >= 0)
    if not (back | ahead).any():
        return []
    doubtful = ok & (back | ahead)
    outside = _Expected(logs, ok & ~doubtful, segment, grid.time)
    misfit = np.nan_to_num(abs(logs - outside.between))
    suspect = grid.suspect(indicator)
    blamed = {}
    for i, j in np.argwhere(back | ahead):
        other = before[i, j] if back[i, j] else after[i, j]
        if suspect[i, j]:
            blamed[i, j] = other
        elif ok[i, j] and back[i, j]:  # every pair of trusted cells is met once, from its later
            worse, better = (j, other) if misfit[i, j] >= misfit[i, other] else (other, j)
            blamed.setdefault((i, worse), better)
    return [(i, j, other) for (i, j), other in blamed.items()]


def _parts(grid: Grid, total: str, parts: tuple[str, ...]) -> tuple[int | None, np.ndarray | None]:
    """Row of the total, and which cells a sum must have; None if the sum cannot be formed."""
    # A code with several names (urban, rural) has no single figure to add.
    if grid.codes.count(total) != 1 or len(set(grid.codes)) < len(grid.codes):
        return None, None
    row = grid.codes.index(total)
    if not parts:
        wanted = grid.exists.copy()
        wanted[row] = False
        return row, wanted
    if not set(parts) <= set(grid.codes):
        return None, None
    return row, np.repeat(np.isin(grid.codes, parts)[:, None], len(grid.periods), axis=1)


def _complete(x: np.ndarray, parts: np.ndarray, total: int | None) -> np.ndarray:
    """Periods in which no part is missing, nor the total."""
    complete = (~np.isnan(x) | ~parts).all(axis=0) & parts.any(axis=0)
    return complete if total is None else complete & ~np.isnan(x[total])


def _time(period: str) -> float:
    """A period as a point in time: a year is its middle, a month its beginning."""
    match = re.fullmatch(r"(\d{4})(?:-(0[1-9]|1[0-2]))?", str(period))
    if not match:
        raise CheckError(f"{period!r} is no period: write a year as 2017, a month as 2017-03")
    year, month = match.groups()
    return int(year) + (int(month) / 12 if month else 0.5)


def _series_keys(table: pd.DataFrame) -> pd.Series:
    """What a series goes by: its code, with the name if a code stands for several at once."""
    code, name = table["area_code"].astype("object"), table["area"].astype("object")
    key = code.where(code.notna(), name).astype(str)
    several = code[table.duplicated(_KEY, keep=False)].unique()
    return key.where(~code.isin(several), key + " " + name.astype(str))


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    _require(table, _NEEDED, "the table")
    if not pd.api.types.is_numeric_dtype(table["value"]):
        raise CheckError("the column value holds text: numbers are needed")
    twice = table[table.duplicated([*_KEY, "area"])]
    if len(twice):
        raise CheckError(f"the table has a cell twice: {_cell(twice.iloc[0])}")
    return table.reset_index(drop=True)


def _require(table: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise CheckError(f"{what} has no column {', '.join(missing)}")


def _same_figure(a: object, b: object) -> bool:
    try:
        return float(a) == float(b)
    except (TypeError, ValueError):
        return str(a).strip() == str(b).strip()


def _cell(row: Mapping) -> str:
    return f"{row['indicator']} of area {row['area_code']} in {row['period']}"


def _n(value: float, decimals: int = 2) -> str:
    """A figure as people write it: 10.12, 25,674.58, 385,621."""
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _as_table(grid: Grid, found: list[tuple[Rule, Finding]]) -> pd.DataFrame:
    rows = [
        (
            grid.codes[f.row],
            grid.areas[f.row],
            grid.periods[f.column],
            f.indicator,
            grid.values(f.indicator)[f.row, f.column],
            type(rule).__name__,
            f.why,
            f.suggested,
        )
        for rule, f in found
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({"value": "float64", "suggested": "float64"})
    table["suggested"] = table["suggested"].where(np.isfinite(table["suggested"]))
    order = ["area_code", "area", "period", "indicator", "rule"]
    return table.drop_duplicates(order).sort_values(order, ignore_index=True)
