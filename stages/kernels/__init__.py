"""Text kernels: compiled loops over the UTF-8 bytes of Arrow string buffers, so that no Python runs per word.

A kernel never imports Arrow and never raises: it reads `data` (uint8, the bytes of all strings) and `offsets` (int64, one more than
there are strings) and fills arrays that its caller made. Its module imports numba, so it is imported only where it is called.
"""

import hashlib
from pathlib import Path


def sealed(name: str, seal: str) -> None:
    """Hold a file of functions that another file's kernels have compiled in to what they were compiled from.

    numba compiles again when the file of the kernel itself changes, and does not see that one it takes functions from has. So the
    kernel's
    file names the other's seal, and whoever changes the one has to change the other.
    """
    found = hashlib.sha256(Path(__file__).with_name(name).read_bytes()).hexdigest()[:12]
    assert found == seal, f'{name} has changed: write sealed("{name}", "{found}") where it is used'
