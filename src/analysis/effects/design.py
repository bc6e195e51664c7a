"""The design of an evaluation, declared before anything is estimated.

An estimate takes the `Design` and carries it, and the card (`analysis.effects.card`) asks for the
result of every check that the design promised. What was declared has a fingerprint, so that a
design that was changed afterwards does not look like the one of an earlier run.
"""

import json
from dataclasses import asdict, dataclass, fields

import pandas as pd

from analysis import provenance

POINTS, PERSONS, RUPIAH = "percentage points", "persons", "rupiah"


class EffectsError(ValueError):
    """A design, a panel or a request of the evaluation is not what it should be."""


@dataclass(frozen=True)
class Assumption:
    """What must be true for the estimate to be the effect, and how that is tested.

    Attributes
    ----------
    name
        A few words: ``parallel trends``. Checks refer to it.
    check
        The test, declared beforehand: ``no trend before the start (joint Wald test, 5 %)``; or
        ``cannot be tested: ...`` with the reason.
    """

    name: str
    check: str


@dataclass(frozen=True)
class Design:
    """What is asked, of whom, against what, and why the answer should be believed.

    All text is in sentences or phrases that a reader of the report sees.

    Attributes
    ----------
    question
        One question, with its question mark.
    estimand
        What number answers it: ``mean effect on the treated RW, two years after the works``.
    outcome
        The name of the outcome as a reader knows it: ``P0``.
    unit_of_effect
        ``percentage points``, ``persons``, ``rupiah`` or other words for the unit of the effect.
    units, treated, comparison
        The units of the panel, those that were treated, those they are compared with.
    treatment_start
        When: a period, or words for several.
    credibility
        Why the design is credible here.
    assumptions
        Each with its check; at least one.
    estimator, inference
        In words.
    does_not_show
        What the evaluation cannot say.
    level
        Of the intervals, between 0.5 and 1.
    clusters
        Words for the groups within which errors may be correlated, if there are any.
    """

    question: str
    estimand: str
    outcome: str
    unit_of_effect: str
    units: str
    treated: str
    treatment_start: str
    comparison: str
    credibility: str
    assumptions: tuple[Assumption, ...]
    estimator: str
    inference: str
    does_not_show: str
    level: float = 0.95
    clusters: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            text = field.type is str or (field.name == "clusters" and value is not None)
            if text and (not isinstance(value, str) or not value.strip()):
                raise EffectsError(
                    f"design: {field.name} is {value!r}: say it in words before estimating"
                )
        if not self.question.endswith("?"):
            raise EffectsError(f"design: the question {self.question!r} does not end with '?'")
        if not 0.5 < self.level < 1:
            raise EffectsError(f"design: level {self.level!r} is not between 0.5 and 1, as 0.95")
        object.__setattr__(self, "assumptions", tuple(self.assumptions))
        if not self.assumptions:
            raise EffectsError("design: no assumption is declared, and no design is without one")
        for assumption in self.assumptions:
            if not isinstance(assumption, Assumption):
                raise EffectsError(
                    f"design: assumption {assumption!r} has no check: write Assumption(name, check)"
                )
            if not assumption.name.strip() or not assumption.check.strip():
                raise EffectsError(f"design: {assumption!r} needs a name and a check")
        names = [assumption.name for assumption in self.assumptions]
        for name in names:
            if names.count(name) > 1:
                raise EffectsError(f"design: assumption {name!r} is declared twice")

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any word of the declaration."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return provenance.checksum_of_text(text)[:12]

    def declaration(self) -> pd.DataFrame:
        """The design as a table for `analysis.display.show_table`: ``item, declared``, text."""
        rows = [
            ("Question", self.question),
            ("Estimand", self.estimand),
            ("Outcome", f"{self.outcome}; effects in {self.unit_of_effect}"),
            ("Units", self.units),
            ("Treated", f"{self.treated}; from {self.treatment_start}"),
            ("Comparison", self.comparison),
            ("Estimator", self.estimator),
            ("Why credible", self.credibility),
            *((f"Assumption: {a.name}", a.check) for a in self.assumptions),
            ("Inference", f"{self.inference}; intervals of {100 * self.level:g} %"),
            *([("Clusters", self.clusters)] if self.clusters else []),
            ("Does not show", self.does_not_show),
            ("Fingerprint", self.fingerprint),
        ]
        return pd.DataFrame(rows, columns=["item", "declared"])


def declared(design: object) -> Design:
    """The design itself; estimators call this first.

    Raises
    ------
    EffectsError
        It is no `Design`.
    """
    if not isinstance(design, Design):
        raise EffectsError(
            f"declare the design before estimating: the first argument is {type(design).__name__}, "
            "not analysis.effects.Design"
        )
    return design
