"""One BLAS thread for small matrices.

The wheels of numpy and of scipy each carry an OpenBLAS with threads of its own. At the size of
area level models (a few hundred rows) a second thread gains nothing; while another program has one
of two cores, every product waits for it, and a fit of half a second takes ten. `threadpoolctl` does
the same for every library; two calls are not worth a dependency.
"""

import contextlib
import ctypes
import functools
import importlib
from collections.abc import Callable, Iterator


@functools.cache
def _controls() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """Getter and setter of the number of threads, for each OpenBLAS that is loaded."""
    found = []
    modules = (("numpy._core._multiarray_umath", "64_"), ("scipy.linalg._fblas", ""))
    for module, suffix in modules:
        # Another build (conda, MKL, macOS) has other names: then nothing is changed.
        with contextlib.suppress(ImportError, AttributeError, OSError):
            library = ctypes.CDLL(importlib.import_module(module).__file__)
            names = (f"scipy_openblas_{verb}_num_threads{suffix}" for verb in ("get", "set"))
            found.append(tuple(getattr(library, name) for name in names))
    return found


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run the block (or, as a decorator, the function) with one BLAS thread."""
    before = [get() for get, _ in _controls()]
    for _, put in _controls():
        put(1)
    try:
        yield
    finally:
        for (_, put), count in zip(_controls(), before, strict=True):
            put(count)
