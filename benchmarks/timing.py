"""How the benchmarks take times."""

import time
from collections.abc import Callable


def best_of(times: int, call: Callable[[], object]) -> float:
    """The fastest of several calls, in seconds: what else runs on the machine only adds to it."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
