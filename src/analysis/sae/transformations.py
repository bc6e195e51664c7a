"""Transformations of welfare under which the nested error model holds."""

from dataclasses import dataclass

import numpy as np

NONE, LOG, LOG_SHIFT, BOX_COX = "none", "log", "log-shift", "box-cox"
KINDS = (NONE, LOG, LOG_SHIFT, BOX_COX)
LAMBDA = (-1.0, 2.0)  # where the parameter of Box-Cox is looked for
# With a negative Box-Cox parameter the transformed scale ends at a bound, at which welfare is
# infinite. A prediction is followed up to this part of its distance to the bound.
REACH = 0.9
# Logarithms of welfare end here, so that a wild prediction is a silly number and not an infinity.
HIGHEST_LOG = 300.0


@dataclass(frozen=True)
class Transformation:
    """h with h(welfare) normal: ``none``, ``log``, ``log-shift`` or ``box-cox``.

    ``parameter`` is lambda of Box-Cox, or the shift of log-shift. ``shift`` is added to welfare
    before Box-Cox where the sample has values at or below zero: 1 - min, as R's ``emdi`` does.
    """

    kind: str
    parameter: float = float("nan")
    shift: float = 0.0

    @property
    def offset(self) -> float:
        """What is added to welfare before log or power."""
        return self.parameter if self.kind == LOG_SHIFT else self.shift

    @property
    def lowest(self) -> float:
        """The lower end of welfare under the model."""
        return -np.inf if self.kind == NONE else -self.offset

    @property
    def bound(self) -> float:
        """The end of the transformed scale under Box-Cox, -1/lambda (infinite where none)."""
        if self.kind != BOX_COX or self.parameter == 0:
            return np.inf
        return -1 / self.parameter

    def forward(self, welfare: np.ndarray) -> np.ndarray:
        """h(welfare)."""
        if self.kind == NONE:
            return np.asarray(welfare, dtype="float64")
        logs = np.log(np.asarray(welfare) + self.offset)
        if self.kind != BOX_COX or self.parameter == 0:
            return logs
        return np.expm1(self.parameter * logs) / self.parameter

    def inverse(self, value: np.ndarray) -> np.ndarray:
        """Welfare at a transformed value; the lower end of welfare where there is none."""
        if self.kind == NONE:
            return np.asarray(value, dtype="float64")
        if self.kind != BOX_COX or self.parameter == 0:
            return np.exp(np.minimum(value, HIGHEST_LOG)) - self.offset
        with np.errstate(divide="ignore"):
            logs = np.log1p(np.maximum(self.parameter * np.asarray(value), -1.0))
        return np.exp(np.minimum(logs / self.parameter, HIGHEST_LOG)) - self.offset

    def within(self, value: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Draws on the transformed scale, held below the bound of a negative lambda.

        No draw is further from its prediction than `REACH` of the distance to the bound.
        """
        if self.kind != BOX_COX or not self.parameter < 0:
            return value
        return np.minimum(value, prediction + REACH * (self.bound - prediction))


def _margin(welfare: np.ndarray) -> float:
    """How far above zero the smallest value is lifted: 1, or what large values leave of it."""
    return max(1.0, 1e-10 * np.ptp(welfare))


def shift_of(kind: str, welfare: np.ndarray) -> float:
    """The shift before Box-Cox: 1 - min where the smallest welfare is not above zero, else 0."""
    lowest = welfare.min()
    return float(_margin(welfare) - lowest) if kind == BOX_COX and lowest <= 0 else 0.0


def interval(kind: str, welfare: np.ndarray) -> tuple[float, float]:
    """Where the parameter is looked for; as R's ``emdi``.

    Lambda of Box-Cox between -1 and 2. The shift of log-shift between 0 (or what makes the
    smallest value 1) and half the range of welfare.
    """
    if kind == BOX_COX:
        return LAMBDA
    lowest, highest = welfare.min(), welfare.max()
    lower = _margin(welfare) - lowest if lowest <= 0 else 0.0
    return lower, max((highest - lowest) / 2, lower + 1.0)


def scaled(kind: str, logs: np.ndarray, parameter: float, welfare: np.ndarray) -> np.ndarray:
    """Transformed welfare divided by its Jacobian's geometric mean, up to a constant.

    With it the likelihood needs no Jacobian, and values under different parameters compare
    (Box and Cox 1964; Rojas-Perilla et al. 2020). ``logs`` are those of welfare
    plus the shift of Box-Cox; log-shift takes ``welfare``.
    """
    if kind == BOX_COX:
        mean = logs.mean()
        centred = logs - mean
        if abs(parameter) < 1e-12:
            return np.exp(mean) * centred
        return np.exp(mean) * np.expm1(parameter * centred) / parameter
    logs = np.log(welfare + parameter)
    return np.exp(logs.mean()) * logs
