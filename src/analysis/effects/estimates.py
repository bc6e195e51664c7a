"""What an evaluation finds: estimates, the checks of their assumptions, what could be detected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.effects.design import PERSONS, POINTS, RUPIAH, Design, EffectsError, declared

_DECIMALS = {POINTS: 2, PERSONS: 0, RUPIAH: 0, "RW": 0}


def amount(value: float, unit: str, decimals: int | None = None) -> str:
    """A number as prose says it: ``−0.21``, ``12,300``; with a true minus sign.

    Persons and rupiah are rounded to three digits, unless decimals are given: no estimate is
    better than that.
    """
    if math.isnan(value):
        return "not computed"
    if math.isinf(value):
        return "minus infinity" if value < 0 else "infinity"
    if decimals is None:
        decimals = _DECIMALS.get(unit, 2)
        if decimals == 0 and abs(value) >= 1000:
            value = float(f"{value:.3g}")
    text = f"{value:,.{decimals}f}"
    # A rounded zero has no sign.
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


@dataclass(frozen=True)
class Estimate:
    """One estimate of the effect that a design declares.

    Attributes
    ----------
    design
        As declared before.
    estimator
        In a few words: ``synthetic DiD``.
    effect, standard_error, lower, upper
        In ``unit``; the interval is that of ``design.level``. Bounds may be infinite where the
        data bound nothing; the standard error is missing where the inference gives none.
    p_value
        Of no effect, two-sided; missing where there is none.
    inference
        In words: ``placebo in space, 32 donors``.
    n_units, n_treated, n_periods
        What it rests on.
    unit
        Of the effect; the design's if not given.
    label
        What it is called in a table of several; the estimator if not given.
    """

    design: Design
    estimator: str
    effect: float
    lower: float
    upper: float
    inference: str
    n_units: int
    n_treated: int
    n_periods: int
    standard_error: float = math.nan
    p_value: float = math.nan
    unit: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        declared(self.design)
        if not math.isfinite(self.effect):
            raise EffectsError(f"{self.estimator}: the effect is {self.effect!r}, not a number")
        if math.isnan(self.lower) != math.isnan(self.upper) or self.lower > self.upper:
            raise EffectsError(
                f"{self.estimator}: the interval from {self.lower!r} to {self.upper!r} is none"
            )
        if not math.isnan(self.p_value) and not 0 <= self.p_value <= 1:
            raise EffectsError(f"{self.estimator}: p-value {self.p_value!r} is not in 0 to 1")
        if not self.unit:
            object.__setattr__(self, "unit", self.design.unit_of_effect)
        if not self.label:
            object.__setattr__(self, "label", self.estimator)

    @property
    def level(self) -> float:
        return self.design.level

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero (False where there is none)."""
        return self.lower > 0 or self.upper < 0

    def words(self, decimals: int | None = None) -> str:
        """``−0.21 percentage points (95 % interval −0.50 to 0.08)``."""
        effect = f"{amount(self.effect, self.unit, decimals)} {self.unit}"
        if math.isnan(self.lower):
            return f"{effect} (no interval)"
        low, high = (amount(bound, self.unit, decimals) for bound in (self.lower, self.upper))
        return f"{effect} ({self.level * 100:g} % interval {low} to {high})"

    def converted(self, factor: float, unit: str) -> "Estimate":
        """The same estimate in other units: effect, error and bounds times a positive factor.

        Points of P0 times a population / 100 are persons, for instance; the factor is taken as
        known.
        """
        if not factor > 0:
            raise EffectsError(f"the factor to {unit} is {factor!r}: it must be above zero")
        return Estimate(
            design=self.design,
            estimator=self.estimator,
            effect=self.effect * factor,
            lower=self.lower * factor,
            upper=self.upper * factor,
            inference=self.inference,
            n_units=self.n_units,
            n_treated=self.n_treated,
            n_periods=self.n_periods,
            standard_error=self.standard_error * factor,
            p_value=self.p_value,
            unit=unit,
            label=self.label,
        )


@dataclass(frozen=True)
class Check:
    """The result of one check of an assumption.

    Attributes
    ----------
    assumption
        The name of the `Assumption` it tests.
    name
        Of the test: ``placebo in time``.
    passed
        By the criterion; None where it cannot be tested, with the reason in ``words``.
    words
        What was found, in one sentence.
    criterion
        When it passes, fixed beforehand: ``p at least 0.05``.
    statistic, p_value
        Missing where there is none.
    """

    assumption: str
    name: str
    passed: bool | None
    words: str
    criterion: str = ""
    statistic: float = math.nan
    p_value: float = math.nan

    def __post_init__(self) -> None:
        if not self.words.strip():
            raise EffectsError(f"check {self.name!r}: say in words what was found")
        if self.passed is not None:
            object.__setattr__(self, "passed", bool(self.passed))  # not numpy's
            if not self.criterion.strip():
                raise EffectsError(f"check {self.name!r}: say when it passes (criterion)")

    @property
    def verdict(self) -> str:
        """``passed``, ``failed`` or ``not testable``."""
        return {True: "passed", False: "failed", None: "not testable"}[self.passed]


@dataclass(frozen=True)
class Detectable:
    """The minimum detectable effect: the smallest that would be found with the given power.

    Attributes
    ----------
    effect
        Its size, above zero, in ``unit``; infinite if no effect up to the largest tried is found.
    power, size
        Chance of finding it, and of finding one that is not there (two-sided).
    unit, how
        Unit of the effect; how it was found, in words.
    """

    effect: float
    unit: str
    how: str
    power: float = 0.8
    size: float = 0.05

    def __post_init__(self) -> None:
        if not self.effect > 0:
            raise EffectsError(f"a minimum detectable effect of {self.effect!r} is none: above 0")

    def words(self, decimals: int | None = None) -> str:
        """``0.41 percentage points with a power of 80 % at a size of 5 % (how)``."""
        return (
            f"{amount(self.effect, self.unit, decimals)} {self.unit} with a power of "
            f"{self.power * 100:g} % at a size of {self.size * 100:g} % ({self.how})"
        )


def estimates_table(estimates: Sequence[Estimate]) -> pd.DataFrame:
    """Estimates side by side: ``label, effect, standard_error, lower, upper, p_value, inference``,
    a row each, numbers as floats in their unit."""
    names = ["label", "effect", "standard_error", "lower", "upper", "p_value", "inference"]
    return pd.DataFrame([{name: getattr(e, name) for name in names} for e in estimates])


def checks_table(checks: Sequence[Check]) -> pd.DataFrame:
    """Checks as a table of text: ``assumption, name, criterion, words, verdict``, a row each."""
    names = ["assumption", "name", "criterion", "words", "verdict"]
    return pd.DataFrame([{name: getattr(check, name) for name in names} for check in checks])
