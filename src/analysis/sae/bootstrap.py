"""Replicates of a bootstrap: what one is, and running many on whatever workers there are.

Replicate b draws from ``numpy.random.SeedSequence((seed, b))`` and nothing else, so the result
does not depend on who computes it, in which order or in which chunks.
"""

import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from analysis.sae.census import Census, chebyshev, expected
from analysis.sae.distribution import simulate
from analysis.sae.inputs import SaeError
from analysis.sae.measures import Expected
from analysis.sae.transformations import Transformation
from analysis.sae.unit_model import Estimate, Households, fit_transformed

# Effects of areas are followed this many standard deviations to both sides: 3e-12 are beyond.
EFFECT_REACH = 7.0
# Workers are started when what is left would take longer than this in the calling process.
SERIAL_SECONDS = 4.0
# Into how many tasks the replicates are cut for an executor that is not ours, if each of them
# carries the census with it, and if the workers of a cluster have it.
FOREIGN_TASKS, CLUSTER_TASKS = 16, 256


class Draws(Protocol):
    """A bootstrap: ``draw(b)`` is replicate b, an array of the same shape for every b."""

    def draw(self, replicate: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Conditional:
    """Mean and variance of the measures of a household, as one function of its prediction.

    Eight columns: expected mean, P0, P1, P2, and the variances of what a household contributes.
    """

    expected: Expected

    def __call__(self, mu: np.ndarray, s: np.ndarray | float) -> np.ndarray:
        values = self.expected(mu, s)
        first, square = values[..., :4], values[..., [4, 1, 3, 5]]
        return np.concatenate([first, np.maximum(square - first**2, 0)], axis=-1)


@dataclass(frozen=True)
class Truth:
    """A population's measures given the effects of its areas.

    Given u_d the households of an area are independent, so that its measures have a mean and a
    variance that are sums over households, and smooth functions of u_d alone: tabulated once at
    Chebyshev nodes, they make a replicate's truth cost nothing, and no household is drawn.
    ``table`` (nodes, A, 8) holds sums: four means and four variances.
    """

    half: float
    table: np.ndarray

    @classmethod
    def of(
        cls,
        census: Census,
        eta: np.ndarray,
        transformation: Transformation,
        line: float,
        sigma_u: float,
        sigma_e: float,
    ) -> "Truth":
        """Tabulate for a fit; ``eta`` (rows,) are predictions without effects."""
        measure = Conditional(Expected(transformation, line, squares=True))
        cells = census.cells(eta, sigma_e / 6)
        s = np.full(len(census.sizes), sigma_e)
        half = EFFECT_REACH * sigma_u
        if half == 0:
            return cls(0.0, cells.sums(measure, s)[None])
        # A normal distribution function over +-k of its deviations needs about 5 k nodes.
        size = int(np.ceil(24 + 5 * half / sigma_e))
        nodes, _ = chebyshev(size, np.zeros(0), half)
        return cls(half, np.stack([cells.sums(measure, s, shift=u) for u in nodes]))

    def at(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances, each (A, 4), of sums over the households of each area."""
        if self.half == 0:
            values = self.table[0]
        else:
            _, weights = chebyshev(len(self.table), u, self.half)
            values = np.einsum("aj,jak->ak", weights, self.table)
        return values[:, :4], np.maximum(values[:, 4:], 0)


@dataclass(frozen=True)
class Survey:
    """A sample's design beside a census: what turns a sample's welfare into estimates by area.

    ``home`` (D,) is the position in the census of each area of the sample, -1 where it has none.
    ``extra`` names indicators that are simulated, by ``draws`` draws. Where the sample's households
    are known to be among the census', that holds them with a count of -1.
    """

    households: Households
    census: Census
    home: np.ndarray
    kind: str
    line: float
    parameter: float | None = None
    extra: tuple[str, ...] = ()
    draws: int = 0

    def fit(
        self, welfare: np.ndarray, near: tuple[float, float] | None = None
    ) -> tuple[Estimate, Transformation]:
        """The model fitted to welfare (n,), in the order of the design's sorted rows."""
        return fit_transformed(self.households, welfare, self.kind, self.parameter, near)

    def by_census_area(self, values: np.ndarray) -> np.ndarray:
        """Values (D,) of the sample's areas at the census' (A,), zero where none was sampled."""
        placed = np.zeros(len(self.census.sizes))
        inside = self.home >= 0
        placed[self.home[inside]] = values[inside]
        return placed

    def estimate(
        self, estimate: Estimate, transformation: Transformation, seed: tuple[int, ...]
    ) -> np.ndarray:
        """Sums over the census of each area of expected mean, P0, P1, P2; extras as they are."""
        shrinkage = self.by_census_area(estimate.shrinkage)
        effects = self.by_census_area(estimate.effects)
        sd_effect = np.sqrt(estimate.sigma2_u * (1 - shrinkage))
        eta = self.census.predictions(estimate.coefficients)
        s = np.sqrt(estimate.sigma2_e + sd_effect**2)
        sums = expected(self.census, eta, effects, s, Expected(transformation, self.line))
        if not self.extra:
            return sums
        more = simulate(
            self.census,
            eta,
            effects,
            sd_effect,
            np.sqrt(estimate.sigma2_e),
            transformation,
            self.extra,
            self.draws,
            seed,
        )
        return np.column_stack([sums, more])


@dataclass(frozen=True)
class ParametricBootstrap:
    """Squared errors of the estimates in populations drawn from the fitted model.

    González-Manteiga et al. (2008), Molina and Rao (2010, p. 376): effects and
    errors are drawn from the fit, the sample's welfare follows at its own covariates, everything
    is fitted again, the transformation's parameter included, and the estimates are compared with
    the drawn population's indicators. The population's households enter by their exact conditional
    mean and variance given the effects (`Truth`): (estimate - E[truth | u])^2 + var(truth | u) has
    the same expectation as (estimate - truth)^2, with less noise, for areas of any size.

    R's ``emdi`` 2.2 gives the households of areas that were not sampled errors of variance
    sigma2_e + sigma2_u, besides the effect of their area; here they are as the model has them.
    """

    survey: Survey
    truth: Truth
    eta_sample: np.ndarray
    eta: np.ndarray | None
    estimate: Estimate
    transformation: Transformation
    seed: int

    def draw(self, replicate: int) -> np.ndarray:
        """Squared errors of replicate ``replicate``, shape (A, indicators)."""
        survey, seed = self.survey, (self.seed, replicate)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        n_areas, n_own = len(survey.census.sizes), len(survey.home)
        sigma_u, sigma_e = np.sqrt([self.estimate.sigma2_u, self.estimate.sigma2_e])
        u = sigma_u * rng.standard_normal(n_areas)
        elsewhere = sigma_u * rng.standard_normal(n_own)
        own = np.where(survey.home >= 0, u[np.maximum(survey.home, 0)], elsewhere)
        households = survey.households
        value = self.eta_sample + own[households.area]
        value = value + sigma_e * rng.standard_normal(len(value))
        h = self.transformation
        welfare = h.inverse(h.within(value, self.eta_sample))
        near = (h.parameter, self.estimate.ratio)
        fitted, transformation = survey.fit(welfare, near=near)
        found = survey.estimate(fitted, transformation, (*seed, 1))
        mean, variance = self.truth.at(u)
        size = survey.census.sizes[:, None]
        squared = ((found[:, :4] - mean) ** 2 + variance) / size**2
        if not survey.extra:
            return squared
        census, none = survey.census, np.zeros(n_areas)
        drawn = simulate(census, self.eta, u, none, sigma_e, h, survey.extra, 1, (*seed, 2))
        return np.column_stack([squared, (found[:, 4:] - drawn) ** 2])


@dataclass(frozen=True)
class EllDraws:
    """Populations drawn as by Elbers, Lanjouw and Lanjouw (2003): given by the model alone.

    Coefficients from their sampling distribution and effects from N(0, sigma2_u), also where an
    area was sampled. A draw has the indicators' conditional means and variances, (A, 8).
    """

    census: Census
    coefficients: np.ndarray
    root: np.ndarray
    sigma2_u: float
    sigma2_e: float
    transformation: Transformation
    line: float
    seed: int

    def draw(self, replicate: int) -> np.ndarray:
        """Conditional means and variances of replicate ``replicate``, shape (A, 8)."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, replicate)))
        u = np.sqrt(self.sigma2_u) * rng.standard_normal(len(self.census.sizes))
        beta = self.coefficients + self.root @ rng.standard_normal(len(self.root))
        measure = Conditional(Expected(self.transformation, self.line, squares=True))
        s = np.full(len(u), np.sqrt(self.sigma2_e))
        sums = expected(self.census, self.census.predictions(beta), u, s, measure)
        size = self.census.sizes[:, None]
        return np.column_stack([sums[:, :4] / size, sums[:, 4:] / size**2])


def run(
    draws: Draws, replicates: int, executor: Executor | None, progress: bool | None
) -> np.ndarray:
    """Replicates 0..replicates-1, in this order, shape (replicates, ...).

    Parameters
    ----------
    draws
        The bootstrap.
    replicates
        How many.
    executor
        Where to compute; None: here, and in a process for each processor once it is seen that
        the rest would take more than a few seconds.
    progress
        Whether to show a bar on stderr; None: only on a terminal.

    Raises
    ------
    SaeError
        A worker of our own pool died.
    """
    bar = tqdm(
        total=replicates,
        desc="bootstrap",
        disable=None if progress is None else not progress,
        file=sys.stderr,
    )
    with bar:
        if executor is not None:
            held, tasks = draws, FOREIGN_TASKS
            # The executor of a Dask client has no other way to send what all tasks need only once.
            client = getattr(executor, "_client", None)
            if hasattr(client, "scatter"):
                held, tasks = client.scatter(draws, broadcast=True, hash=False), CLUSTER_TASKS
            size = -(-replicates // tasks)
            chunks = [(b, min(b + size, replicates)) for b in range(0, replicates, size)]
            futures = [executor.submit(_chunk, held, *chunk) for chunk in chunks]
            return np.concatenate(list(_collected(futures, chunks, bar)))
        found = []
        began = time.perf_counter()
        while len(found) < replicates:
            found.append(draws.draw(len(found)))
            bar.update()
            left = replicates - len(found)
            each = (time.perf_counter() - began) / len(found)
            if left > 1 and each * left > SERIAL_SECONDS and len(found) >= 3 and _processors() > 1:
                return np.concatenate(
                    [np.stack(found), _pooled(draws, len(found), replicates, bar)]
                )
        return np.stack(found)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chunk(draws: Draws, first: int, stop: int) -> np.ndarray:
    return np.stack([draws.draw(b) for b in range(first, stop)])


def _collected(futures: list, chunks: list, bar: tqdm) -> Iterator[np.ndarray]:
    sizes = {future: stop - first for future, (first, stop) in zip(futures, chunks, strict=True)}
    try:
        for future in as_completed(futures):
            future.result()
            bar.update(sizes[future])
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    yield from (future.result() for future in futures)


def _pooled(draws: Draws, first: int, stop: int, bar: tqdm) -> np.ndarray:
    """Replicates first..stop-1 in processes of our own.

    The arrays go to a file once, which every worker maps: one copy in memory for all of them.
    Workers start afresh (`spawn`), since a copy of a process with threads may hang.
    """
    workers = min(_processors(), stop - first)
    size = max(1, (stop - first) // (4 * workers))
    chunks = [(b, min(b + size, stop)) for b in range(first, stop, size)]
    with tempfile.TemporaryDirectory(prefix="sae-") as folder:
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(draws, protocol=5, buffer_callback=buffers.append)
        raw = [buffer.raw() for buffer in buffers]
        path = Path(folder) / "arrays"
        with path.open("wb") as file:
            for view in raw:
                file.write(view)
        sizes = [view.nbytes for view in raw]
        try:
            with ProcessPoolExecutor(
                workers,
                mp_context=get_context("spawn"),
                initializer=_attach,
                initargs=(str(path), pickled, sizes),
            ) as pool:
                with _fresh_workers():
                    futures = [pool.submit(_own_chunk, *chunk) for chunk in chunks]
                return np.concatenate(list(_collected(futures, chunks, bar)))
        except BrokenProcessPool:
            raise SaeError(
                "a worker process of the bootstrap died, most likely for want of memory: give an "
                "executor with fewer workers, such as concurrent.futures.ThreadPoolExecutor(1)"
            ) from None


@contextmanager
def _fresh_workers() -> Iterator[None]:
    """How processes are that are started herein.

    They have one thread for linear algebra, being as many as the processors already. And they do
    not import the calling script, of which they need nothing: one without
    ``if __name__ == "__main__"`` would run again in each of them.
    """
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    main = sys.modules["__main__"]
    script = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    os.environ.update(dict.fromkeys(names, "1"))
    for name in script:
        delattr(main, name)
    main.__spec__ = None
    try:
        yield
    finally:
        del main.__spec__
        vars(main).update(script)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_attached: Draws | None = None


def _attach(path: str, pickled: bytes, sizes: list[int]) -> None:
    global _attached
    mapped = memoryview(np.memmap(path, dtype="uint8", mode="r")) if sum(sizes) else memoryview(b"")
    ends = np.cumsum([0, *sizes])
    views = [mapped[a:b] for a, b in pairwise(ends)]
    _attached = pickle.loads(pickled, buffers=views)


def _own_chunk(first: int, stop: int) -> np.ndarray:
    return _chunk(_attached, first, stop)
