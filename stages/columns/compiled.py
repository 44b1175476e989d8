"""How kernels are compiled: numba's `njit`, with a cache on disk that is tied to the kernels'
sources.

Every kernel takes `njit` from here. Its compiled code is kept in `kernel_cache.cache_folder`.
Several processes may compile at once: each writes whole files, and only one at a time writes the
index of a kernel.
"""

import fcntl
from typing import Any

import numba
from corpusmill.stages.columns.kernel_cache import cache_folder
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

__all__ = ["inlined", "intrinsic", "merged", "njit", "uncounted"]


class _KernelCache(FunctionCache):
    """numba's cache of one function. A lock guards its index while that is read, changed and
    written.
    """

    def save_overload(self, sig: Any, data: Any) -> None:
        with open(cache_folder() / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().save_overload(sig, data)


def njit(function: Any = None, /, **options: Any) -> Any:
    """numba's decorator, as `@njit` or `@njit(nogil=True)`, with our cache. Options are those of
    `numba.njit`.
    """
    if function is None:
        return lambda function: njit(function, **options)
    kernel = numba.njit(function, **options)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())  # numba reads it here and never again
    try:
        kernel._cache = _KernelCache(function)  # as `njit(cache=True)` does with numba's own cache
    finally:
        numba.config.CACHE_DIR = before
    return kernel


# For kernels that get all their arrays from their caller and make none. At every call numba counts
# references to each array of a tuple, atomically. That can take two thirds of the time, and here
# there is nothing to count. `_nrt` is the option that numba's own array functions use for this.
uncounted = njit(_nrt=False)
# The same, for kernels that are called in one or two places: the compiler puts them there. A call
# hands on every number that describes an array, more than a hundred for a page and its tables.
merged = njit(_nrt=False, forceinline=True)
inlined = njit(_nrt=False, inline="always")
