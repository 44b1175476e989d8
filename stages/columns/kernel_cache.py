"""Where compiled kernels are kept: a folder that is named after a digest of the kernels' sources.

numba compiles a kernel again when the kernel's own file changes. It does not notice when a function
or a constant that the kernel took from another file changes. So the digest covers every file that a
kernel can take code from. Another digest means another folder, so stale code is never loaded.

This file does not import numba. So the command line can quickly ask whether there is anything to
compile.
"""

import functools
import hashlib
import importlib.metadata
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent  # the package's root
UNUSED_DAYS: Final = 30
_PACKAGE: Final = "corpusmill"
_KERNEL_FILE: Final = re.compile(r"^from corpusmill\.stages\.\S*\bcompiled import ", re.MULTILINE)
_IMPORT: Final = re.compile(
    r"^[ \t]*from corpusmill\.(\S+) import (\([^)]*\)|[^\n]*)", re.MULTILINE
)


def kernel_files(root: Path = ROOT) -> list[Path]:
    """The files that define kernels, and all files of the package that these import, directly or
    not. Sorted.
    """
    found: set[Path] = set()
    waiting = [
        path
        for path in sorted((root / "stages").rglob("*.py"))
        if _KERNEL_FILE.search(path.read_text(encoding="utf-8"))
    ]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path.read_text(encoding="utf-8"), root)
    return sorted(found)


def _imported(source: str, root: Path) -> list[Path]:
    """The package's files that this source imports. `from a.b import c` may mean a/b.py,
    a/b/__init__.py or a/b/c.py.
    """
    paths = []
    for module, names in _IMPORT.findall(source):
        folder = root.joinpath(*module.split("."))
        paths += [folder.with_suffix(".py"), folder / "__init__.py"]
        paths += [folder / f"{name}.py" for name in re.findall(r"\w+", names)]
    return [path for path in paths if path.is_file()]


def kernel_digest(root: Path = ROOT) -> str:
    """SHA-256 over the kernels' sources, where they lie and the version of numba; 16 hex digits."""
    digest = hashlib.sha256(f"{root} numba {importlib.metadata.version('numba')}\n".encode())
    for path in kernel_files(root):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


@functools.cache
def cache_folder() -> Path:
    """The folder for the present kernels. It exists and can be written to.

    `CORPUSMILL_CACHE` names another place than `~/.cache/corpusmill`. If that place cannot be
    written to, the folder lies among this user's temporary files. Folders of other digests are
    deleted when nobody has used them for `UNUSED_DAYS`.
    """
    digest = kernel_digest()
    for parent in (_chosen(), _temporary()):
        folder = parent / "kernels" / digest
        if _is_usable(folder):
            _remove_unused(folder)
            return folder
    return Path(tempfile.mkdtemp(prefix="corpusmill-kernels-"))


def _chosen() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("CORPUSMILL_CACHE") or os.path.join(home, _PACKAGE))


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"{_PACKAGE}-{os.getuid()}"


def _is_usable(folder: Path) -> bool:
    """Make the folder if need be. It must belong to us: whoever writes to it decides what code we
    run.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            return False
        with tempfile.TemporaryFile(dir=folder):
            os.utime(folder)  # marks it as used
    except OSError:
        return False
    return True


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for other in folder.parent.iterdir():
        try:
            unused = other != folder and other.stat().st_mtime < oldest
        except OSError:  # another process has just removed it
            continue
        if unused:
            shutil.rmtree(other, ignore_errors=True)
