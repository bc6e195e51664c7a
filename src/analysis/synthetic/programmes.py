"""A made-up programme, rolled out over RW or kecamatan year by year, with planted effects.

Who is treated, and when, follows baseline poverty: the poor first. What an evaluation assumes can
be broken one by one, by sizes that are fixed here before any estimator sees them (`Violations`).
Units have invented names and codes; the six kota are there as clusters and say nothing of the
real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import provenance, regions
from analysis.synthetic import names
from analysis.synthetic.official import SyntheticError

RW, KECAMATAN = "rw", "kecamatan"
# Shares of the full effect by years since the start; the last holds for all later years.
BY_EXPOSURE = (0.4, 0.7, 0.9, 1.0)
# Slum classes, their shares, and their multiples of the effect. Where it is worst it changes most.
CLASSES = ("berat", "sedang", "ringan", "sangat ringan")
CLASS_SHARES = (0.1, 0.25, 0.4, 0.25)
BY_CLASS = {"berat": 1.4, "sedang": 1.2, "ringan": 1.0, "sangat ringan": 0.6}
SELECTION = 0.7  # weight of a standard deviation of baseline poverty against one of chance
PERSISTENCE = 0.3  # of the errors of a unit from year to year
# Kecamatan of each kota; RW are shared out alike.
KECAMATAN_COUNT = {"3101": 2, "3171": 10, "3172": 10, "3173": 8, "3174": 8, "3175": 6}


@dataclass(frozen=True)
class Outcome:
    """An outcome: its mean, dispersion between units and of the yearly error, and full effect."""

    name: str
    mean: float
    between_sd: float
    within_sd: float
    effect: float


@dataclass(frozen=True)
class Violations:
    """What is broken, and how much; everything at zero keeps all assumptions.

    Attributes
    ----------
    hidden_trend
        Drift of treated units against the others, in yearly errors (standard deviations) a year.
    poverty_trend
        The same per standard deviation of baseline poverty: parallel only given poverty.
    anticipation
        Share of the full effect that is there in the year before the start.
    spillover
        Share of the full effect on untreated units with a treated one in reach.
    local_shock
        Shocks that a neighbourhood shares in a year, in yearly errors.
    kota_shock
        Shocks that a kota shares in a year, in yearly errors.
    """

    hidden_trend: float = 0.0
    poverty_trend: float = 0.0
    anticipation: float = 0.0
    spillover: float = 0.0
    local_shock: float = 0.0
    kota_shock: float = 0.0

    def times(self, factor: float) -> "Violations":
        """The same violation at another size, for curves of power."""
        return Violations(**{f.name: factor * getattr(self, f.name) for f in fields(self)})


NONE = Violations()
# Sizes that the tests of an evaluation must be able to see, fixed before any was run.
HIDDEN_TREND = Violations(hidden_trend=0.2)
POVERTY_TREND = Violations(poverty_trend=0.2)
ANTICIPATION = Violations(anticipation=0.5)
SPILLOVER = Violations(spillover=0.5)
LOCAL_SHOCK = Violations(local_shock=1.0)
KOTA_SHOCK = Violations(kota_shock=0.5)


@dataclass(frozen=True)
class Level:
    """Units of one kind: how many, where, from when to when, in which years they start."""

    unit_count: int
    per_neighbourhood: int
    spacing_km: float
    reach_km: float  # of spillovers
    periods: tuple[int, ...]
    starts: tuple[int, ...]
    treated_share: float
    outcomes: tuple[Outcome, ...]


LEVELS = {
    RW: Level(
        unit_count=264,
        per_neighbourhood=6,
        spacing_km=3.0,
        reach_km=1.0,
        periods=tuple(range(2012, 2023)),
        starts=(2018, 2019, 2020),
        treated_share=0.45,
        outcomes=(
            Outcome("slum_index", 50, 8, 3, -4.0),
            Outcome("poverty_pct", 14, 2.5, 1.2, -0.8),
            Outcome("work_pct", 60, 4, 2, 1.0),
            Outcome("income_rp", 1_900_000, 250_000, 90_000, 0.0),
        ),
    ),
    KECAMATAN: Level(
        unit_count=44,
        per_neighbourhood=1,
        spacing_km=4.0,
        reach_km=4.5,
        periods=tuple(range(2012, 2023)),
        starts=(2018, 2020),
        treated_share=0.64,
        outcomes=(
            Outcome("work_pct", 62, 3, 0.8, 1.0),
            Outcome("income_rp", 2_200_000, 300_000, 60_000, 60_000.0),
            Outcome("poverty_pct", 6, 1.0, 0.4, 0.0),
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class Programme:
    """A rollout and what is true in it.

    Attributes
    ----------
    panel
        Long, one row per unit and year, sorted: ``unit_code, unit_name, kota_code,
        neighbourhood, class`` (of RW), ``x_km, y_km, poverty_baseline_pct, period, first_treated``
        (Int64, missing: never), ``treated`` (0 or 1), and the outcomes.
    effects
        Rows as in ``panel``: the planted effect of the programme on treated units, by outcome;
        zero elsewhere.
    spillovers
        Likewise, on units that are not treated in that year.
    outcomes
        Names of the outcomes.
    level, violations, seed, effect_scale, class_shares
        As asked.
    """

    panel: pd.DataFrame
    effects: pd.DataFrame
    spillovers: pd.DataFrame
    outcomes: tuple[str, ...]
    level: str
    violations: Violations
    seed: int
    effect_scale: float
    class_shares: Mapping[str, float]

    def att(self, outcome: str) -> float:
        """The planted effect: the mean over all treated unit-years, in the outcome's unit.

        Of units as they are drawn, in the declared shares of classes; the classes that one panel
        happened to draw differ from it by chance, and the errors of estimators count that chance.
        """
        treated = self.panel["treated"].eq(1)
        exposure = (self.panel["period"] - self.panel["first_treated"])[treated].astype(int)
        profile = np.array(BY_EXPOSURE)[np.minimum(exposure, len(BY_EXPOSURE) - 1)].mean()
        mean_class = 1.0
        if self.level == RW:
            mean_class = sum(self.class_shares[name] * BY_CLASS[name] for name in CLASSES)
        full = {o.name: o.effect for o in LEVELS[self.level].outcomes}[outcome]
        return float(self.effect_scale * full * profile * mean_class)

    def by_exposure(self, outcome: str) -> pd.Series:
        """Mean planted effect of these units by years since the start (``exposure``, from 0)."""
        treated = self.panel["treated"].eq(1)
        exposure = (self.panel["period"] - self.panel["first_treated"])[treated].astype(int)
        return self.effects.loc[treated, outcome].groupby(exposure.rename("exposure")).mean()

    def by_class(self, outcome: str) -> pd.Series:
        """Mean planted effect of these units over treated unit-years by slum class."""
        treated = self.panel["treated"].eq(1)
        return self.effects.loc[treated, outcome].groupby(self.panel["class"]).mean()

    def spillover(self, outcome: str) -> float:
        """Mean planted effect on untreated unit-years with a treated unit in reach."""
        reached = self.spillovers[outcome].ne(0)
        return float(self.spillovers.loc[reached, outcome].mean()) if reached.any() else 0.0


def rollout(
    level: str = RW,
    violations: Violations = NONE,
    seed: int = 0,
    effect_scale: float = 1.0,
    unit_count: int | None = None,
    design_seed: int = 2018,
    class_shares: Mapping[str, float] | None = None,
) -> Programme:
    """Make a programme.

    Parameters
    ----------
    level
        ``rw`` or ``kecamatan``: see `LEVELS`.
    violations
        What is broken.
    seed
        Of the errors, the shocks and the classes. The same seed gives the same panel.
    effect_scale
        Multiple of the planted effects; 0 for a programme that does nothing.
    unit_count
        Units, if not those of the level.
    design_seed
        Of what stays the same in repeated draws: places, poverty, who is treated when.

    class_shares
        Shares of the slum classes among RW, if not `CLASS_SHARES`.

    Raises
    ------
    SyntheticError
        The level is not known, there are too few units, or shares are not of the classes.
    """
    if level not in LEVELS:
        raise SyntheticError(f"no level {level!r}: choose from {', '.join(LEVELS)}")
    own = LEVELS[level]
    count = unit_count or own.unit_count
    if count < 20:
        raise SyntheticError(f"{count} units are too few for a rollout: at least 20")
    shares = dict(zip(CLASSES, CLASS_SHARES, strict=True)) if class_shares is None else class_shares
    if set(shares) != set(CLASSES) or not np.isclose(sum(shares.values()), 1):
        raise SyntheticError(f"shares {dict(shares)} are not those of {', '.join(CLASSES)}, sum 1")
    # A run that makes a programme has read simulated data, though from no file of data.
    provenance.record(Path(__file__), synthetic=True)
    units = _units(level, own, count, np.random.default_rng(design_seed))
    random = np.random.default_rng([design_seed, seed])
    if level == RW:
        units["class"] = random.choice(CLASSES, count, p=[shares[name] for name in CLASSES])

    years = np.array(own.periods)
    start = units["first_treated"].astype("float64").fillna(np.inf).to_numpy()
    exposure = years[None, :] - start[:, None]  # -inf: never
    treated = exposure >= 0
    profile = np.array(BY_EXPOSURE)[np.clip(exposure, 0, len(BY_EXPOSURE) - 1).astype(int)]
    multiple = units["class"].map(BY_CLASS).to_numpy()[:, None] if level == RW else 1.0
    direct = np.where(treated, profile * multiple, 0.0)
    early = violations.anticipation * (exposure == -1)
    reached = ~treated & (_near(units, own.reach_km) @ treated > 0)

    poverty = units["poverty_baseline_pct"].to_numpy()
    standing = (poverty - poverty.mean()) / poverty.std()
    drift = violations.hidden_trend * np.isfinite(start) + violations.poverty_trend * standing
    trend = drift[:, None] * (years - years[0])[None, :]

    outcomes, effects, spillovers = {}, {}, {}
    for outcome in own.outcomes:
        scale = outcome.within_sd
        level_of_unit = outcome.mean + outcome.between_sd * random.standard_normal(count)
        if outcome.name == "poverty_pct":
            level_of_unit = poverty
        noise = _persistent(random, count, len(years))
        noise += _shared(random, units["neighbourhood"], len(years)) * violations.local_shock
        noise += _shared(random, units["kota_code"], len(years)) * violations.kota_shock
        common = np.cumsum(0.3 * random.standard_normal(len(years)))[None, :]
        full = effect_scale * outcome.effect
        effects[outcome.name] = full * direct
        spillovers[outcome.name] = full * violations.spillover * reached
        outcomes[outcome.name] = (
            level_of_unit[:, None]
            + scale * (common + trend + noise)
            + effects[outcome.name]
            + spillovers[outcome.name]
            + full * early
        )

    panel = units.loc[units.index.repeat(len(years))].reset_index(drop=True)
    panel["period"] = np.tile(years, count)
    panel["treated"] = treated.ravel().astype(int)
    return Programme(
        panel=panel.assign(**{name: values.ravel() for name, values in outcomes.items()}),
        effects=pd.DataFrame({name: values.ravel() for name, values in effects.items()}),
        spillovers=pd.DataFrame({name: values.ravel() for name, values in spillovers.items()}),
        outcomes=tuple(outcomes),
        level=level,
        violations=violations,
        seed=seed,
        effect_scale=effect_scale,
        class_shares=shares,
    )


def _units(level: str, own: Level, count: int, random: np.random.Generator) -> pd.DataFrame:
    neighbourhood = np.arange(count) // own.per_neighbourhood
    places = neighbourhood.max() + 1
    side = int(np.ceil(np.sqrt(places)))
    # Neighbourhoods on a grid, so far apart that one is out of reach of the next where a
    # neighbourhood has several units; their units around its middle.
    spread = own.reach_km * 0.35 if own.per_neighbourhood > 1 else 0.0
    x = neighbourhood % side * own.spacing_km + random.uniform(-spread, spread, count)
    y = neighbourhood // side * own.spacing_km + random.uniform(-spread, spread, count)
    share = np.cumsum(list(KECAMATAN_COUNT.values())) / sum(KECAMATAN_COUNT.values())
    kota = np.searchsorted(share, (neighbourhood + 0.5) / places)
    poverty_spec = next(o for o in own.outcomes if o.name == "poverty_pct")
    local = random.standard_normal(places)[neighbourhood]
    standing = np.sqrt(0.4) * local + np.sqrt(0.6) * random.standard_normal(count)
    poverty = poverty_spec.mean + poverty_spec.between_sd * standing

    # A third of the neighbourhoods has no programme at all; in the others the poor come first.
    score = SELECTION * standing + random.standard_normal(count)
    if own.per_neighbourhood > 1:
        appeal = SELECTION * local + random.standard_normal(places)[neighbourhood]
        score = np.where(appeal >= np.quantile(appeal, 1 / 3), score, -np.inf)
    treated = np.argsort(-score)[: round(count * own.treated_share)]
    turn = SELECTION * standing[treated] + 1.5 * random.standard_normal(len(treated))
    waves = np.array_split(treated[np.argsort(-turn)], len(own.starts))
    first = np.full(count, np.nan)
    for year, wave in zip(own.starts, waves, strict=True):
        first[wave] = year
    width = len(str(count))
    return pd.DataFrame(
        {
            "unit_code": [f"{level.upper()}{i + 1:0{width}d}" for i in range(count)],
            "unit_name": names.invented(count),
            "kota_code": np.array(list(regions.KOTA))[kota],
            "neighbourhood": [f"N{n + 1:03d}" for n in neighbourhood],
            "x_km": x,
            "y_km": y,
            "poverty_baseline_pct": poverty,
            "first_treated": pd.array(first, dtype="Int64"),
        }
    )


def _near(units: pd.DataFrame, reach_km: float) -> np.ndarray:
    """Who is in reach of whom (not oneself), 0 or 1."""
    place = units[["x_km", "y_km"]].to_numpy()
    squared = ((place[:, None, :] - place[None, :, :]) ** 2).sum(axis=2)
    near = squared <= reach_km**2
    np.fill_diagonal(near, False)
    return near.astype(int)


def _persistent(random: np.random.Generator, units: int, years: int) -> np.ndarray:
    """Errors of variance 1 that last a little (AR(1), stationary)."""
    fresh = random.standard_normal((units, years))
    errors = np.empty_like(fresh)
    errors[:, 0] = fresh[:, 0]
    for year in range(1, years):
        errors[:, year] = (
            PERSISTENCE * errors[:, year - 1] + np.sqrt(1 - PERSISTENCE**2) * fresh[:, year]
        )
    return errors


def _shared(random: np.random.Generator, group: pd.Series, years: int) -> np.ndarray:
    codes, every = pd.factorize(group)
    return random.standard_normal((len(every), years))[codes]
