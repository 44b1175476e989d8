"""How kernels are compiled: `njit` with a cache on disk that belongs to the kernels' sources.

numba compiles a kernel again when the kernel's own file changes. It does not see that a function which the kernel has
inlined changed in another file. So the cache lies in a folder named after a digest of all kernel sources: whatever
changes, stale code is never loaded.
"""

import functools
import hashlib
import os
from pathlib import Path

STAGES = Path(__file__).parent.parent


@functools.cache
def kernel_digest() -> str:
    """SHA-256 over the sources of all kernels, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(STAGES.rglob("*.py")):
        source = path.read_bytes()
        if b"columns.compiled import" in source:
            digest.update(f"{path.relative_to(STAGES)} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept. `CORPUSMILL_CACHE` names another place than `~/.cache/corpusmill`."""
    root = os.environ.get("CORPUSMILL_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "corpusmill"
    )
    return Path(root) / "kernels" / kernel_digest()


os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())
import numba  # noqa: E402 - it reads the variable when it is imported

numba.config.CACHE_DIR = str(cache_folder())  # somebody else may have imported it first
njit = numba.njit
