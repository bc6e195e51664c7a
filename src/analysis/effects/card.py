"""The evaluation card: all that a reader must know of an evaluation, on top of its notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Check, Detectable, Estimate, amount


@dataclass(frozen=True)
class Card:
    """An evaluation in one table.

    Attributes
    ----------
    design
        As declared.
    table : DataFrame
        ``item, words``, text, for `analysis.display.show_table`.
    """

    design: Design
    table: pd.DataFrame


def card(
    design: Design,
    estimates: Sequence[Estimate],
    checks: Sequence[Check],
    sensitivity: str | Sequence[str],
    mde: Detectable,
    conversions: Mapping[str, float] | None = None,
) -> Card:
    """The evaluation card.

    Parameters
    ----------
    design
        Declared before; every estimate must carry the same.
    estimates
        The leading one first.
    checks
        At least one for each assumption of the design, ``passed=None`` where it cannot be tested.
    sensitivity
        What happens to the leading estimate under other choices, in one or several sentences.
    mde
        The minimum detectable effect.
    conversions
        Units that people use and how many of each one unit of effect is: ``{"persons": 103_000}``.

    Raises
    ------
    EffectsError
        No estimate; one that belongs to another design; an assumption without a check or a check
        of an assumption that was not declared; no sensitivity.
    """
    declared(design)
    if not estimates:
        raise EffectsError("the card has no estimate")
    for estimate in estimates:
        if estimate.design != design:
            raise EffectsError(
                f"the estimate {estimate.label!r} was made under another design "
                f"({estimate.design.fingerprint}) than the card's ({design.fingerprint})"
            )
    _every_assumption(design, checks)
    sensitivity = [sensitivity] if isinstance(sensitivity, str) else list(sensitivity)
    if not any(text.strip() for text in sensitivity):
        raise EffectsError("the card has no sensitivity: say what other choices would give")
    lead, *others = estimates
    rows = [
        ("Question", design.question),
        ("Estimand", design.estimand),
        ("Treated, and when", f"{design.treated}; from {design.treatment_start}"),
        ("Comparison", design.comparison),
        ("Design", f"{design.estimator}. Declared before estimating: {design.fingerprint}"),
        ("Why credible here", design.credibility),
        *((f"Check: {check.assumption}", _told(check)) for check in checks),
        ("Effect", _effect(lead, conversions or {})),
        *([("Other estimators", "; ".join(_short(other) for other in others))] if others else []),
        ("Sensitivity", " ".join(sensitivity)),
        ("Minimum detectable effect", mde.words()),
        ("What it does not show", design.does_not_show),
    ]
    return Card(design, pd.DataFrame(rows, columns=["item", "words"]))


def _every_assumption(design: Design, checks: Sequence[Check]) -> None:
    names = {assumption.name: assumption.check for assumption in design.assumptions}
    for check in checks:
        if check.assumption not in names:
            raise EffectsError(
                f"the check {check.name!r} tests {check.assumption!r}, which the design does not "
                f"declare (it declares: {', '.join(names)})"
            )
    for name, promised in names.items():
        if name not in {check.assumption for check in checks}:
            raise EffectsError(
                f"the design declares a check of {name!r} ({promised}), and its result is not here"
            )


def _told(check: Check) -> str:
    return f"{check.verdict.upper()} ({check.name}): {check.words}"


def _effect(lead: Estimate, conversions: Mapping[str, float]) -> str:
    told = [lead.words(), *(lead.converted(f, unit).words() for unit, f in conversions.items())]
    p = "" if pd.isna(lead.p_value) else f"; p = {lead.p_value:.2f}"
    name = lead.label[0].upper() + lead.label[1:]
    return f"{'; that is '.join(told)}. {name}, {lead.inference}{p}"


def _short(other: Estimate) -> str:
    low, high = amount(other.lower, other.unit), amount(other.upper, other.unit)
    return f"{other.label} {amount(other.effect, other.unit)} ({low} to {high})"
