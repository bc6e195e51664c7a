"""Small area estimates from households: the nested error model and the empirical best predictor.

A sample knows the welfare of some households, a census the covariates of all. The model of
`analysis.sae.unit_model` holds for transformed welfare; given it, mean, headcount (P0), gap (P1)
and severity (P2) of an area are expectations over its census, computed without Monte Carlo.
"""

import numbers
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.sae import bootstrap, design, distribution
from analysis.sae.census import Census
from analysis.sae.inputs import SaeError, one_of, some, whole
from analysis.sae.measures import MEASURES
from analysis.sae.transformations import KINDS, LOG, NONE, Transformation
from analysis.sae.unit_fits import EmpiricalBest, NestedError
from analysis.sae.unit_model import METHODS, Estimate, Households

PREDICTORS = ("census-eb", "eb")
# A census of households is made one of patterns when at most this share of a part of its rows is
# distinct, and when the replicates are enough to win the time back.
DISTINCT_SHARE, LOOK_AT, PAYS_FROM = 0.05, 20_000, 20


def nested_error(
    sample: pd.DataFrame,
    *,
    response: str,
    covariates: Sequence[str],
    area: str,
    method: str = "reml",
) -> NestedError:
    """The nested error model of Battese, Harter and Fuller (1988).

    Parameters
    ----------
    sample
        One row per household.
    response
        Column of y.
    covariates
        Columns of x; an intercept is added. Text, booleans and Categoricals are coded as dummies
        without their first category (`analysis.sae.design.Coding`).
    area
        Column of the area's code.
    method
        ``reml`` or ``ml``.

    Returns
    -------
    NestedError
        Effects are the BLUP at the estimated variances: gamma_d times the area's mean
        of y - x' beta.

    Raises
    ------
    SaeError
        A column is not there or there twice, a value is missing, a number is none; covariates
        are collinear; there is one area only, or no area with two households.

    References
    ----------
    Battese, G. E., R. M. Harter and W. A. Fuller (1988). An error-components model for prediction
    of county crop areas using survey and satellite data. JASA 83, 28-36.
    """
    one_of("method", method, METHODS)
    prepared = _Sample.of(sample, response, covariates, area, None)
    estimate = prepared.households.fit(prepared.y, restricted=method == "reml")
    return prepared.result(estimate, Transformation(NONE), method)


def empirical_best(
    sample: pd.DataFrame,
    census: pd.DataFrame,
    *,
    welfare: str,
    covariates: Sequence[str],
    area: str,
    line: float,
    transformation: str | None = "box-cox",
    weights: str | None = None,
    count: str | None = None,
    replicates: int = 0,
    seed: int = 0,
    executor: Executor | None = None,
    predictor: str = "census-eb",
    transformation_parameter: float | None = None,
    indicators: Sequence[str] = (),
    draws: int = 50,
    progress: bool | None = None,
) -> EmpiricalBest:
    """Empirical best prediction of mean, P0, P1 and P2 (Molina and Rao 2010).

    Parameters
    ----------
    sample
        One row per household: welfare, covariates, area.
    census
        Covariates and area of every household, or of every pattern with its ``count``.
    welfare
        Column of welfare per person; poor is who is below ``line``. Where lines differ by area,
        give welfare as a multiple of the line, and a line of 1.
    covariates
        Columns of both, as in `nested_error`.
    area
        Column of the area's code, in both.
    line
        The poverty line, above zero, in units of welfare.
    transformation
        ``none`` (or None), ``log``, ``log-shift`` or ``box-cox``. The parameters of the last two
        maximise the REML of welfare scaled by the geometric mean of the Jacobian (Rojas-Perilla
        et al. 2020), as in R's ``emdi``. Box-Cox first adds 1 - min to welfare where the sample
        has a value at or below zero, as ``emdi`` does; the result tells the ``shift``.
    weights
        Column of survey weights of the sample: pseudo-EB (Guadarrama, Molina and Rao 2018), with
        the coefficients of You and Rao (2002) and variances by unweighted REML, as ``emdi``.
    count
        Column of the census with the number of households of each row. Patterns and households
        give the same result.
    replicates
        Of the parametric bootstrap of the MSE (González-Manteiga et al. 2008); 200 or more for
        what is published, 0 for none.
    seed
        Zero or more. Replicate b draws from (seed, b) only, so that the result does not depend on
        the executor or its workers.
    executor
        Any `concurrent.futures.Executor`. Each of up to 16 tasks carries the census with it; that
        of a Dask client (``client.get_executor()``) sends it to every worker once. By default
        replicates run here, and in one process per processor when they would take more than some
        seconds.
    predictor
        ``census-eb`` (default): census and sample are not linked, and every household of the
        census is predicted given the area's sample (Corral, Molina, Cojocaru and Segovia 2022,
        chapter 4; what ``emdi`` computes). ``eb``: the sampled households are known to be among
        the census' of their area, and stand there with their own welfare (Molina and Rao 2010,
        eq. 6); they need no link, but must have the covariates that the census has of them.
    transformation_parameter
        A parameter to take as given, also in the bootstrap.
    indicators
        More indicators, by ``draws`` simulated censuses: ``gini`` and quantiles ``q1`` to ``q99``.
        Slow beside the rest, since every household is drawn. With ``census-eb`` only.
    draws
        How many censuses each simulated indicator is the mean over.
    progress
        A bar of the bootstrap on stderr; by default only on a terminal.

    Returns
    -------
    EmpiricalBest
        Areas of the census, sorted. One that was not sampled has the synthetic estimate, over the
        whole variance sigma2_u, and shrinkage 0. One of the sample only is in the fit, and listed
        in ``sample_only``.

    Raises
    ------
    SaeError
        As `nested_error`, for both tables; a category of the census that the sample does not have;
        welfare at or below zero under log; weights or counts not above zero; a line not above
        zero; no area in common; under ``eb`` an area with more households sampled than in the
        census.

    Notes
    -----
    Given the sample, h(y) of a household of area d is normal with mean x' beta + u_d and variance
    sigma2_e + sigma2_u (1 - gamma_d) (Molina and Rao 2010, eq. 20; Guadarrama et al. 2018). The
    expectation of each measure is `analysis.sae.measures.Expected`; sums over the census are
    `analysis.sae.census`, with an error below 1e-8. Under Box-Cox the support ends: what falls
    below it counts as welfare at its lower end, as in ``emdi``. With lambda < 0 the mean of
    welfare is infinite in theory; it is taken over 6 standard deviations, and no further than
    nine tenths of the way to where welfare becomes infinite; near that end the mean is exact to
    1e-6 of its size only.

    References
    ----------
    Molina, I. and J. N. K. Rao (2010). Small area estimation of poverty indicators. Canadian
    Journal of Statistics 38, 369-385.
    Guadarrama, M., I. Molina and J. N. K. Rao (2018). Small area estimation of general parameters
    under complex sampling designs. Computational Statistics & Data Analysis 121, 20-40.
    González-Manteiga, W. et al. (2008). Bootstrap mean squared error of a small-area EBLUP.
    Journal of Statistical Computation and Simulation 78, 443-462.
    Rojas-Perilla, N., S. Pannier, T. Schmid and N. Tzavidis (2020). Data-driven transformations in
    small area estimation. JRSS A 183, 121-148.
    Corral, P., I. Molina, A. Cojocaru and S. Segovia (2022). Guidelines to Small Area Estimation
    for Poverty Mapping. World Bank.
    """
    one_of("predictor", predictor, PREDICTORS)
    indicators = (indicators,) if isinstance(indicators, str) else tuple(indicators)
    distribution.check(indicators)
    whole("draws", draws, 1)
    known = predictor == "eb"
    if indicators and known:
        raise SaeError("indicators by simulation are there for predictor='census-eb' only")
    task = _Task.of(
        sample, census, welfare, covariates, area, line, transformation, weights, count,
        replicates, seed, whole_counts=bool(indicators),
    )  # fmt: skip
    prepared, table = task.sample, task.census
    if known:
        table = _rest(table, prepared, task.home, task.names)
    survey = bootstrap.Survey(
        prepared.households, table, task.home, task.kind, task.line, transformation_parameter,
        indicators, draws,
    )  # fmt: skip
    estimate, h = survey.fit(prepared.y)
    sums = survey.estimate(estimate, h, (seed, 0, 0))
    if known:
        sums = sums + _observed(prepared, task.home, task.line, len(table.sizes))
    values = sums.copy()
    values[:, :4] /= table.sizes[:, None]
    mse = np.full(values.shape, np.nan)
    if replicates:
        eta = table.predictions(estimate.coefficients)
        draw = bootstrap.ParametricBootstrap(
            survey,
            bootstrap.Truth.of(
                table, eta, h, task.line, np.sqrt(estimate.sigma2_u), np.sqrt(estimate.sigma2_e)
            ),
            prepared.households.x @ estimate.coefficients,
            eta if indicators else None,
            estimate,
            h,
            seed,
        )
        mse = bootstrap.run(draw, replicates, executor, progress).mean(axis=0)
    shrinkage = survey.by_census_area(estimate.shrinkage)
    estimator = ("pseudo-" if weights is not None else "") + ("EB" if known else "Census-EB")
    fit = prepared.result(estimate, h, "reml")
    return task.result(values, mse, indicators, shrinkage, fit, estimator, replicates, seed)


def ell(
    sample: pd.DataFrame,
    census: pd.DataFrame,
    *,
    welfare: str,
    covariates: Sequence[str],
    area: str,
    line: float,
    transformation: str | None = "log",
    count: str | None = None,
    replicates: int = 0,
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> EmpiricalBest:
    """The method of Elbers, Lanjouw and Lanjouw (2003), for comparison only.

    The same model, whose effects stand for the areas here (ELL's own are of clusters), but not
    conditional on what was sampled in an area: effects are drawn from N(0, sigma2_u) in every
    area, and shrinkage is 0 everywhere. Estimates are the means over ``replicates`` populations
    with coefficients from their sampling distribution (closed form at the fitted coefficients for
    0), the ``mse`` is the variance over them: it is conditional on nothing of the area either, and
    Corral et al. (2022, chapter 4) show how far off it can be.

    Parameters, errors and result are those of `empirical_best`; ``estimator`` is ``ELL``.

    References
    ----------
    Elbers, C., J. O. Lanjouw and P. Lanjouw (2003). Micro-level estimation of poverty and
    inequality. Econometrica 71, 355-364.
    """
    task = _Task.of(
        sample, census, welfare, covariates, area, line, transformation, None, count, replicates,
        seed, whole_counts=False,
    )  # fmt: skip
    prepared, table = task.sample, task.census
    nowhere = np.full(len(task.home), -1)
    survey = bootstrap.Survey(prepared.households, table, nowhere, task.kind, task.line)
    estimate, h = survey.fit(prepared.y)
    values = survey.estimate(estimate, h, (seed, 0, 0)) / table.sizes[:, None]
    mse = np.full(values.shape, np.nan)
    if replicates:
        root = np.linalg.cholesky(prepared.households.covariance(estimate))
        draw = bootstrap.EllDraws(
            table, estimate.coefficients, root, estimate.sigma2_u, estimate.sigma2_e, h,
            task.line, seed,
        )  # fmt: skip
        drawn = bootstrap.run(draw, replicates, executor, progress)
        values = drawn[:, :, :4].mean(axis=0)
        mse = drawn[:, :, :4].var(axis=0) + drawn[:, :, 4:].mean(axis=0)
    shrinkage = np.zeros(len(table.sizes))
    fit = prepared.result(estimate, h, "reml")
    return task.result(values, mse, (), shrinkage, fit, "ELL", replicates, seed)


@dataclass(frozen=True)
class _Sample:
    """A sample as arrays, with what is needed to give results back by its names."""

    index: pd.Index
    response: str
    area: str
    names: pd.Index
    coding: design.Coding
    households: Households
    y: np.ndarray  # in the sorted order of `households`

    @classmethod
    def of(
        cls,
        sample: pd.DataFrame,
        response: str,
        covariates: Sequence[str],
        area: str,
        weights: str | None,
    ) -> "_Sample":
        extra = [] if weights is None else [weights]
        if isinstance(covariates, str):
            raise SaeError(f"covariates is a list of column names: write [{covariates!r}]")
        design.check(sample, [response, *covariates, area, *extra], "sample")
        coding = design.Coding.of(sample, covariates)
        x = np.column_stack([np.ones(len(sample)), coding.matrix(sample, "sample")])
        design.check_collinear(x, [design.INTERCEPT, *coding.names])
        positions, names = design.areas(sample[area], "sample")
        sizes = np.bincount(positions)
        if len(names) < 2:
            raise SaeError(
                f"column {area} of the sample has one area only ({names[0]}): the variance between "
                f"areas needs at least two"
            )
        if len(sample) <= x.shape[1]:
            raise SaeError(
                f"{len(sample)} rows of sample cannot tell {x.shape[1]} coefficients and two "
                f"variances"
            )
        if sizes.max() == 1:
            raise SaeError(
                f"every area of the sample has one household: effects of areas ({area}) cannot be "
                f"told from errors of households; use an area level model or larger areas"
            )
        w = None if weights is None else design.positive(sample[weights], "sample")
        households = Households(x, positions, w)
        y = design.numbers(sample[response], "sample")[households.order]
        return cls(sample.index, response, area, names, coding, households, y)

    def result(self, estimate: Estimate, h: Transformation, method: str) -> NestedError:
        """The fit by names."""
        households = self.households
        back = np.argsort(households.order)
        names = [design.INTERCEPT, *self.coding.names]
        transformed = h.forward(self.y)
        marginal = households.x @ estimate.coefficients
        residual = transformed - marginal - estimate.effects[households.area]
        by_area = pd.Index(self.names, name=self.area)
        errors = np.sqrt(np.diagonal(households.covariance(estimate)))
        return NestedError(
            response=self.response,
            area=self.area,
            method=method,
            sigma2_u=float(estimate.sigma2_u),
            sigma2_e=float(estimate.sigma2_e),
            coefficients=pd.Series(estimate.coefficients, names, name="coefficient"),
            standard_errors=pd.Series(errors, names, name="standard_error"),
            effects=pd.Series(estimate.effects, by_area, name="effect"),
            shrinkage=pd.Series(estimate.shrinkage, by_area, name="shrinkage"),
            residuals=pd.Series(residual[back], self.index, name="residual"),
            fitted=pd.Series(marginal[back], self.index, name="fitted"),
            response_values=pd.Series(transformed[back], self.index, name=self.response),
            design=pd.DataFrame(households.x[back], self.index, names),
            area_codes=pd.Series(self.names[households.area[back]], self.index, name=self.area),
            baselines={name: c[0] for name, c in self.coding.categories.items()},
            log_likelihood=float(households.log_likelihood(estimate, method == "reml")),
            transformation=h.kind,
            transformation_parameter=float(h.parameter),
            shift=float(h.shift),
        )


@dataclass(frozen=True)
class _Task:
    """A sample and a census that were checked and brought together."""

    sample: _Sample
    census: Census
    names: pd.Index  # areas of the census
    home: np.ndarray  # position there of the sample's areas, -1 where there is none
    kind: str
    line: float

    @classmethod
    def of(
        cls,
        sample: pd.DataFrame,
        census: pd.DataFrame,
        welfare: str,
        covariates: Sequence[str],
        area: str,
        line: float,
        transformation: str | None,
        weights: str | None,
        count: str | None,
        replicates: int,
        seed: int,
        whole_counts: bool,
    ) -> "_Task":
        kind = NONE if transformation is None else transformation
        one_of("transformation", kind, KINDS)
        if not isinstance(line, numbers.Real) or not 0 < line < np.inf:
            raise SaeError(f"line must be a number above zero, not {line!r}")
        whole("replicates", replicates, 0)
        whole("seed", seed, 0)
        own = _Sample.of(sample, welfare, covariates, area, weights)
        if kind == LOG and own.y.min() <= 0:
            wrong = int((own.y <= 0).sum())
            raise SaeError(
                f"column {welfare} of the sample is zero or negative in {wrong} of {len(own.y)} "
                f"rows, which have no logarithm: use transformation='log-shift' or 'box-cox', or "
                f"check these rows"
            )
        extra = [] if count is None else [count]
        design.check(census, [*covariates, area, *extra], "census")
        positions, names = design.areas(census[area], "census")
        try:
            home = names.get_indexer(own.names)
        except TypeError:
            home = np.full(len(own.names), -1)
        if (home < 0).all():
            raise SaeError(
                f"no area of the sample ({area} such as {some(own.names[:1])}) is in the census "
                f"(such as {some(names[:1])}): codes must be the same, and text in both"
            )
        table = _census(census, own.coding, positions, len(names), count, replicates, whole_counts)
        return cls(own, table, names, home, kind, float(line))

    def result(
        self,
        values: np.ndarray,
        mse: np.ndarray,
        indicators: tuple[str, ...],
        shrinkage: np.ndarray,
        fit: NestedError,
        estimator: str,
        replicates: int,
        seed: int,
    ) -> EmpiricalBest:
        columns = [*MEASURES, *indicators]
        n_sample = np.zeros(len(self.names), dtype="int64")
        inside = self.home >= 0
        n_sample[self.home[inside]] = self.sample.households.sizes[inside]
        sizes = self.census.sizes
        areas = pd.DataFrame(
            {
                "area": self.names,
                "n_sample": n_sample,
                "n_census": sizes.astype("int64") if (sizes == np.round(sizes)).all() else sizes,
                **{c: values[:, k] for k, c in enumerate(MEASURES)},
                "shrinkage": shrinkage,
                **{c: values[:, 4 + k] for k, c in enumerate(indicators)},
                "synthetic": n_sample == 0,
            }
        )
        errors = pd.DataFrame({"area": self.names, **dict(zip(columns, mse.T, strict=True))})
        left = tuple(self.sample.names[~inside])
        return EmpiricalBest(
            areas, errors, fit, estimator, self.line, int(replicates), int(seed), left
        )


def _census(
    data: pd.DataFrame,
    coding: design.Coding,
    positions: np.ndarray,
    n_areas: int,
    count: str | None,
    replicates: int,
    whole_counts: bool,
) -> Census:
    """The census as arrays sorted by area; ``whole_counts`` refuses fractions of them."""
    counts = None
    if count is not None:
        counts = design.positive(data[count], "census")
        if whole_counts and (counts != np.round(counts)).any():
            raise SaeError(
                f"column {count} of the census has fractions: simulated indicators need whole "
                f"households"
            )
    elif replicates >= PAYS_FROM:
        step = max(1, len(data) // LOOK_AT)
        part = data.iloc[::step][list(coding.covariates)]
        if len(part) > 1000 and part.drop_duplicates().shape[0] < DISTINCT_SHARE * len(part):
            key = positions.astype("int64")
            for name in coding.covariates:
                codes, values = pd.factorize(data[name])
                key = pd.factorize(key * len(values) + codes)[0].astype("int64")
            key, patterns = pd.factorize(key)
            first = np.empty(len(patterns), dtype="intp")
            first[key[::-1]] = np.arange(len(key))[::-1]
            order = first[np.argsort(positions[first], kind="stable")]
            counts = np.bincount(key)[key[order]].astype("float64")
            sizes = np.bincount(positions, minlength=n_areas)
            x = coding.matrix(data, "census", order)
            return Census(x, positions[order], counts, sizes)
    sizes = np.bincount(positions, counts, minlength=n_areas)
    if (np.diff(positions) >= 0).all():
        x = coding.matrix(data, "census")
    else:
        order = np.argsort(positions.astype("int32"), kind="stable")
        positions = positions[order]
        x = coding.matrix(data, "census", order)
        counts = None if counts is None else counts[order]
    return Census(x, positions, counts, sizes)


def _rest(census: Census, sample: _Sample, home: np.ndarray, names: pd.Index) -> Census:
    """The census without the sampled households: they are added with a count of -1."""
    households = sample.households
    inside = np.flatnonzero(home >= 0)
    over = [d for d in inside if households.sizes[d] > census.sizes[home[d]]]
    if over:
        d = over[0]
        raise SaeError(
            f"area {names[home[d]]} has {households.sizes[d]} households in the sample, but "
            f"{census.sizes[home[d]]:,.0f} in the census: under predictor='eb' the sample is a "
            f"part of the census; use 'census-eb'"
        )
    own = home[households.area]
    rows = own >= 0
    area = np.concatenate([census.area, own[rows]])
    order = np.argsort(area, kind="stable")
    x = np.concatenate([census.x, households.x[rows, 1:]])[order]
    counts = np.ones(len(census.area)) if census.count is None else census.count
    counts = np.concatenate([counts, np.full(int(rows.sum()), -1.0)])[order]
    return Census(np.asfortranarray(x), area[order], counts, census.sizes)


def _observed(sample: _Sample, home: np.ndarray, line: float, n_areas: int) -> np.ndarray:
    """Sums over the sampled households of each area of the census, shape (A, 4)."""
    gap = np.maximum(1 - sample.y / line, 0)
    own = np.column_stack([sample.y, sample.y < line, gap, gap**2])
    sums = np.zeros((n_areas, 4))
    by_area = np.add.reduceat(own, sample.households.starts)
    sums[home[home >= 0]] = by_area[home >= 0]
    return sums
