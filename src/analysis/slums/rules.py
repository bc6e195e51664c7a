"""Declared rules of a slum score: criteria, limits, weights and classes, with the basis of each.

The project's sets are ``data/raw/slum_rules/*.yml``; a user's own has the same form. Whatever is
not published says ``assumed`` there, and `analysis.slums.sensitivity` varies it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from analysis import paths, provenance, sources
from analysis.slums.published import SlumError

BPS_2017, PERMEN_2018 = "slum_rules_bps", "slum_rules_permen"  # records of sources.yml
PUBLISHED, ASSUMED = "published", "assumed"


@dataclass(frozen=True)
class Step:
    """A limit and the points from there on; ``strict``: only above it."""

    limit: float
    points: float
    strict: bool


@dataclass(frozen=True)
class Measure:
    """A column of the table of RW and its steps, from the lowest limit up."""

    column: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Criterion:
    """One criterion: its points are those of the measure with the most."""

    aspect: str
    what: str
    weight: float
    measures: tuple[Measure, ...]
    basis: str
    source: str

    @property
    def most(self) -> float:
        return max(step.points for measure in self.measures for step in measure.steps)


@dataclass(frozen=True)
class Rules:
    """A set of rules.

    Attributes
    ----------
    name, citation
        What it is called, and how figures cite it.
    maximum
        Score of an RW with all points.
    criteria
        In the order of the file.
    classes
        Lowest score by class, from the worst class down.
    weights_basis, weights_source, classes_basis, classes_source
        ``published`` or ``assumed``, and where from.
    weight_concentration, threshold_spread_pct, cutoff_spread
        What `analysis.slums.sensitivity` varies (see the file).
    """

    name: str
    citation: str
    maximum: float
    criteria: tuple[Criterion, ...]
    classes: dict[str, float]
    weights_basis: str
    weights_source: str
    classes_basis: str
    classes_source: str
    weight_concentration: float
    threshold_spread_pct: float
    cutoff_spread: float

    @property
    def weights(self) -> np.ndarray:
        """Weights of the criteria, shape (criteria,), summing to 1."""
        weights = np.array([criterion.weight for criterion in self.criteria], dtype=float)
        return weights / weights.sum()

    @property
    def columns(self) -> list[str]:
        """All columns of measures, in order."""
        return [m.column for criterion in self.criteria for m in criterion.measures]

    def basis_words(self) -> str:
        """``6 of 11 thresholds are published, ...``: what of the set rests on assumption."""
        known = sum(criterion.basis == PUBLISHED for criterion in self.criteria)
        return (
            f"{known} of the {len(self.criteria)} criteria have published thresholds, the weights "
            f"are {self.weights_basis}, the cut-offs of the classes are {self.classes_basis}"
        )


def read_rules(which: str | Path = BPS_2017) -> Rules:
    """A set of rules: `BPS_2017`, `PERMEN_2018`, or the path of a user's own YAML of that form.

    Raises
    ------
    SlumError
        The file cannot be read, lacks a key, has a weight or spread out of range, limits, points
        or cut-offs out of order, or a basis other than published and assumed; the message says
        where.
    """
    if which in (BPS_2017, PERMEN_2018):
        path = sources.verified(which)
    else:
        path = paths.ROOT / Path(which).expanduser()
    shown = paths.shown(path)
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
        rules = _rules(declared)
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SlumError(f"slum rules {shown} cannot be read ({reason})") from None
    except KeyError as error:
        raise SlumError(f"slum rules {shown}: {error} is missing; see bps_2017.yml") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise SlumError(f"slum rules {shown}: {error}") from None
    if which not in (BPS_2017, PERMEN_2018):
        provenance.record(path)
    return rules


def _rules(declared: dict) -> Rules:
    varied = declared["sensitivity"]
    rules = Rules(
        name=declared["name"],
        citation=declared["citation"],
        maximum=float(declared["maximum"]),
        criteria=tuple(_criterion(each) for each in declared["criteria"]),
        classes={name: float(low) for name, low in declared["classes"]["from"].items()},
        weights_basis=_basis(declared["weights"], "weights"),
        weights_source=declared["weights"]["source"],
        classes_basis=_basis(declared["classes"], "classes"),
        classes_source=declared["classes"]["source"],
        weight_concentration=float(varied["weight_concentration"]),
        threshold_spread_pct=float(varied["threshold_spread_pct"]),
        cutoff_spread=float(varied["cutoff_spread"]),
    )
    lows = list(rules.classes.values())
    if not rules.criteria or not lows:
        raise ValueError("there is no criterion, or no class")
    if sorted(lows, reverse=True) != lows or len(set(lows)) < len(lows):
        raise ValueError("classes are listed from the worst down, each from a lower score on")
    if not 0 < lows[-1] <= lows[0] <= rules.maximum:
        raise ValueError(f"cut-offs lie above 0 and up to the maximum of {rules.maximum:g}")
    if len(set(rules.columns)) < len(rules.columns):
        raise ValueError("a column is in two measures")
    if rules.weight_concentration <= 0 or not 0 <= rules.threshold_spread_pct < 100:
        raise ValueError("weight_concentration is positive, threshold_spread_pct below 100")
    if rules.cutoff_spread < 0:
        raise ValueError("cutoff_spread is not negative")
    return rules


def _criterion(declared: dict) -> Criterion:
    aspect = declared["aspect"]
    if not float(declared["weight"]) > 0:
        raise ValueError(f"criterion {aspect}: the weight is positive")
    measures = []
    for measure in declared["measures"]:
        steps = tuple(
            Step(float(s["above"] if "above" in s else s["from"]), float(s["points"]), "above" in s)
            for s in measure["steps"]
        )
        limits, points = [s.limit for s in steps], [s.points for s in steps]
        ordered = limits == sorted(set(limits)) and points == sorted(set(points))
        if not steps or not ordered or limits[0] <= 0 or points[0] <= 0:
            raise ValueError(f"criterion {aspect}: limits and points rise from above 0")
        measures.append(Measure(measure["column"], steps))
    if not measures:
        raise ValueError(f"criterion {aspect}: it has no measure")
    return Criterion(
        aspect,
        declared.get("criterion", aspect),
        float(declared["weight"]),
        tuple(measures),
        _basis(declared, f"criterion {aspect}"),
        declared["source"],
    )


def _basis(declared: dict, where: str) -> str:
    if declared["basis"] not in (PUBLISHED, ASSUMED):
        raise ValueError(f"{where}: basis is {declared['basis']!r}, not published or assumed")
    if len(str(declared["source"]).strip()) < 10:
        raise ValueError(f"{where}: needs a source")
    return declared["basis"]


def rules_table(rules: Rules) -> pd.DataFrame:
    """A set as a reader wants it: ``aspect, criterion, limits, weight_pct, basis, source``.

    One row per criterion, then one for the cut-offs of the classes.
    """
    rows = [
        {
            "aspect": criterion.aspect,
            "criterion": criterion.what,
            "limits": " or ".join(_limits(measure) for measure in criterion.measures),
            "weight_pct": weight * 100,
            "basis": criterion.basis,
            "source": criterion.source,
        }
        for criterion, weight in zip(rules.criteria, rules.weights, strict=True)
    ]
    rows.append(
        {
            "aspect": "classes",
            "criterion": "score",
            "limits": ", ".join(f"{name} from {low:g}" for name, low in rules.classes.items()),
            "weight_pct": np.nan,
            "basis": rules.classes_basis,
            "source": rules.classes_source,
        }
    )
    return pd.DataFrame(rows)


def _limits(measure: Measure) -> str:
    name = measure.column.removesuffix("_pct").replace("_", " ").replace("100m2", "100 m²")
    sign = {True: "above", False: "from"}
    limits = "/".join(f"{step.limit:g}" for step in measure.steps)
    unit = " %" if measure.column.endswith("_pct") else ""
    return f"{name} {sign[measure.steps[0].strict]} {limits}{unit}"
