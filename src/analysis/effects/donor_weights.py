"""How one treated unit is compared with donors: weights of donors and of the periods before.

Every method here is the same arithmetic with other weights. With donors' weights w (that add up to
one) and weights l of the periods before the start, the counterfactual of the treated unit in t is
w'Y_t + shift, shift = l'(y - Yw) over the periods before. Without a shift l is zero.

Libraries looked at (2026): ``diff-diff`` 3.13 has synthetic DiD, and it agrees with R's
``synthdid`` to ten digits: its solvers are used here. Its classic synthetic control finds the
published weights of California from one seed and others from the next, and takes 5 to 15 seconds
for a fit, which a placebo in space asks for once per donor; ``pysyncon`` finds other optima than
R. Neither has the demeaned or the ridge augmented one. So those are here, each a few lines on
non-negative least squares.

References
----------
Abadie, A., A. Diamond and J. Hainmueller (2010). Synthetic control methods for comparative case
studies. JASA 105, 493-505.
Arkhangelsky, D., S. Athey, D. Hirshberg, G. Imbens and S. Wager (2021). Synthetic
difference-in-differences. American Economic Review 111, 4088-4118.
Ben-Michael, E., A. Feller and J. Rothstein (2021). The augmented synthetic control method. JASA
116, 1789-1803.
Ferman, B. and C. Pinto (2021). Synthetic controls with imperfect pretreatment fit. Quantitative
Economics 12, 1197-1221.
"""

from dataclasses import dataclass

import numpy as np
from diff_diff.utils import compute_sdid_unit_weights, compute_time_weights
from scipy.optimize import minimize, nnls

SYNTHETIC_CONTROL = "synthetic control"
DEMEANED = "demeaned synthetic control"
AUGMENTED = "ridge augmented synthetic control"
SYNTHETIC_DID = "synthetic DiD"
DID = "DiD"
METHODS = (SYNTHETIC_DID, DEMEANED, AUGMENTED, DID, SYNTHETIC_CONTROL)
SHIFTED = (SYNTHETIC_DID, DEMEANED, AUGMENTED, DID)  # a constant distance to the donors is allowed

# The penalty that makes weights unique where donors fit exactly, as in R's synthdid.
_TINY = 1e-6


@dataclass(frozen=True)
class Weights:
    """Weights of donors (J,), adding up to 1, and of periods before the start (n,); see above."""

    donors: np.ndarray
    periods: np.ndarray


def weigh(method: str, y: np.ndarray, donors: np.ndarray, n_pre: int, dates: np.ndarray) -> Weights:
    """The weights of one method.

    Parameters
    ----------
    method
        One of `METHODS`.
    y : (T,)
        Outcomes of the treated unit; only the first ``n_pre`` are looked at.
    donors : (T, J)
        Outcomes of the donors.
    n_pre
        Periods before the start.
    dates : (T,)
        How much each period counts, above zero: the time it stands for.
    """
    before, own = donors[:n_pre], y[:n_pre]
    counts = dates[:n_pre] / dates[:n_pre].sum()
    even, none = np.full(donors.shape[1], 1 / donors.shape[1]), np.zeros(n_pre)
    match method:
        case "DiD":
            return Weights(even, counts)
        case "synthetic control":
            return Weights(_fitted(own, before, counts), none)
        case "demeaned synthetic control":
            return Weights(_fitted(*_demeaned(own, before, counts), counts), counts)
        case "ridge augmented synthetic control":
            return Weights(_augmented(own, before, counts), counts)
        case "synthetic DiD":
            return _synthetic_did(own, before, donors[n_pre:])
    raise ValueError(f"method {method!r} is unknown (there are: {', '.join(METHODS)})")


def simplex(target: np.ndarray, donors: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """The weights w on the simplex with the least ``|target - donors w|^2 + ridge |w|^2``.

    Exact, by one non-negative least squares: on the simplex the residual is (donors - target 1')w,
    a quadratic form Q(w). For u = k w its sum with (1'u - 1)^2 is k^2 Q(w) + (k - 1)^2, whose
    least value over k, Q / (1 + Q), grows with Q: the best u, divided by its sum, is the best w.

    ``target`` is (n,), ``donors`` (n, J).
    """
    count = donors.shape[1]
    apart = donors - target[:, None]
    if ridge > 0:
        apart = np.vstack([apart, np.sqrt(ridge) * np.eye(count)])
    # Q near 1 keeps both parts of comparable size; the solution does not depend on it.
    scale = np.sqrt((apart**2).sum(axis=0).mean()) or 1.0
    system = np.vstack([apart / scale, np.ones(count)])
    right = np.zeros(len(system))
    right[-1] = 1
    free = nnls(system, right, maxiter=50 * count)[0]
    return free / free.sum()


def by_predictors(
    own: np.ndarray, donors: np.ndarray, own_outcome: np.ndarray, donor_outcomes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The classic synthetic control: weights that match predictors, which are weighted themselves.

    Predictors are divided by their standard deviation over all units; their weights V are those
    whose w fits the outcome before the start best (Abadie, Diamond and Hainmueller 2010, section
    2.3). The fit is flat in V, and has several optima: the search starts from equal weights, from
    those that a regression of the outcome on the predictors suggests, and from each predictor
    leading in turn, always in the same order, and keeps the best.

    Parameters
    ----------
    own : (k,)
        Predictors of the treated unit.
    donors : (k, J)
        Predictors of the donors.
    own_outcome, donor_outcomes : (n,), (n, J)
        Outcomes before the start.

    Returns
    -------
    tuple
        w (J,), V (k,) adding up to 1, and the mean squared error of the fit before the start.
    """
    spread = np.column_stack([donors, own]).std(axis=1, ddof=1)[:, None]
    everyone = np.column_stack([donors, own]) / spread
    donors, own = everyone[:, :-1], everyone[:, -1]

    def weights(v: np.ndarray) -> np.ndarray:
        root = np.sqrt(v)
        return simplex(root * own, root[:, None] * donors, ridge=1e-10)

    def loss(logs: np.ndarray) -> float:
        w = weights(_shares(logs))
        return float(np.mean((own_outcome - donor_outcomes @ w) ** 2))

    count = len(own)
    outcomes = np.column_stack([donor_outcomes, own_outcome])
    design = np.column_stack([np.ones(everyone.shape[1]), everyone.T])
    slopes = np.linalg.lstsq(design, outcomes.T, rcond=None)[0][1:]
    suggested = np.log((slopes**2).sum(axis=1) + 1e-12)
    leading = 3.0 * np.eye(count)
    found = []
    for start in (np.zeros(count), suggested - suggested.mean(), *leading):
        options = {"maxiter": 150 * count, "xatol": 1e-3, "fatol": 1e-6}
        found.append(minimize(loss, start, method="Nelder-Mead", options=options))
    best = min(found, key=lambda result: result.fun)
    best = minimize(loss, best.x, method="Nelder-Mead", options=options)
    v = _shares(best.x)
    return weights(v), v, float(best.fun)


def _shares(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(np.clip(logs - logs.max(), -40, 0))
    return powers / powers.sum()


def noise(outcomes: np.ndarray) -> float:
    """The standard deviation of first differences over units and periods, (n, J)."""
    return float(np.diff(outcomes, axis=0).std(ddof=1))


def _demeaned(own, before, counts):
    return own - counts @ own, before - counts @ before


def _scaled(own, before, counts):
    """Demeaned, and each period by the root of what it counts."""
    own, before = _demeaned(own, before, counts)
    root = np.sqrt(counts)
    return root * own, root[:, None] * before


def _fitted(own: np.ndarray, before: np.ndarray, counts: np.ndarray) -> np.ndarray:
    root = np.sqrt(counts)
    ridge = (_TINY * noise(before)) ** 2
    return simplex(root * own, root[:, None] * before, ridge)


def _augmented(own: np.ndarray, before: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Ridge augmented weights (Ben-Michael, Feller and Rothstein 2021, section 4).

    The penalty is chosen by leaving out one period at a time, the means without it: the largest
    within one standard error of the best.
    """
    penalties = _penalties(_scaled(own, before, counts)[1])
    errors = np.empty((len(own), len(penalties)))
    for left in range(len(own)):
        rest = np.arange(len(own)) != left
        kept = counts[rest] / counts[rest].sum()
        weights = _ridged(own[rest], before[rest], kept, penalties)
        gaps = own[:, None] - before @ weights.T
        errors[left] = (gaps[left] - kept @ gaps[rest]) ** 2
    mean, error = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(len(own))
    best = mean.argmin()
    chosen = penalties[mean <= mean[best] + error[best]].max()
    return _ridged(own, before, counts, np.array([chosen]))[0]


def _penalties(before: np.ndarray) -> np.ndarray:
    centred = before - before.mean(axis=1, keepdims=True)
    largest = np.linalg.norm(centred, 2) ** 2
    return largest * np.geomspace(1e-8, 1, 20)


def _ridged(own, before, counts, penalties) -> np.ndarray:
    """Demeaned weights plus what a ridge regression on the periods before corrects, a row per
    penalty."""
    plain = _fitted(*_demeaned(own, before, counts), counts)
    own, before = _scaled(own, before, counts)
    centred = before - before.mean(axis=1, keepdims=True)  # over donors
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    missed = left.T @ (own - before @ plain)
    factors = values / (values**2 + penalties[:, None])
    return plain + (factors * missed) @ right


def _synthetic_did(own: np.ndarray, before: np.ndarray, after: np.ndarray) -> Weights:
    """Weights of synthetic DiD with the penalties of R's synthdid; the solvers are diff-diff's."""
    # The solvers' tolerances are absolute: they are handed numbers around one.
    middle, scale = before.mean(), before.std() or 1.0
    own, before, after = ((part - middle) / scale for part in (own, before, after))
    sigma = noise(before)
    tolerance = 1e-5 * sigma if sigma > 0 else 1e-5
    donors = compute_sdid_unit_weights(
        before, own, zeta_omega=len(after) ** 0.25 * sigma, min_decrease=tolerance
    )
    periods = compute_time_weights(before, after, zeta_lambda=_TINY * sigma, min_decrease=tolerance)
    return Weights(donors, periods)
