"""The cache of compiled kernels: its folder follows the kernels' sources, and no fault of it stops
work.
"""

import ast
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import pytest
from corpusmill.stages.columns import kernel_cache
from corpusmill.stages.columns.kernel_cache import (
    ROOT,
    UNUSED_DAYS,
    cache_folder,
    kernel_digest,
    kernel_files,
)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty place for caches. The cached folder name is forgotten."""
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    cache_folder.cache_clear()
    yield tmp_path
    cache_folder.cache_clear()


def names(module: str) -> set[str]:
    """The files of the package that a module imports, found by Python's own parser."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            modules.append(f"{node.module}")
        for name in modules:
            if name.startswith("corpusmill."):
                path = name.removeprefix("corpusmill.").replace(".", "/")
                found |= {path + ".py", path + "/__init__.py"}
    return {path for path in found if (ROOT / path).is_file()}


def test_the_digest_covers_every_file_that_a_kernel_can_take_code_from():
    hashed = {str(path.relative_to(ROOT)) for path in kernel_files()}
    for path in (ROOT / "stages").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "compiled import " in source or "import numba" in source or "from numba" in source:
            assert str(path.relative_to(ROOT)) in hashed
    for module in hashed:
        assert names(module) <= hashed


def test_numba_compiles_only_through_the_cache():
    """If numba cached a kernel by itself, it would load the old code after an inlined function has
    changed.
    """
    for path in (ROOT / "stages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
                taken = {alias.name for alias in node.names}
                assert not taken & {"njit", "jit", "vectorize", "guvectorize"}, path
                assert path.name == "compiled.py" or "intrinsic" not in taken, path


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stages/extract/page/hashing.py", "def mix(", "def mix(\n"),  # an inlined function
        ("stages/filter/measure/wide_bytes.py", "def ones", "# changed\ndef ones"),  # intrinsics
        ("stages/columns/word_rule.py", "WORD, SPACE", "SPACE, WORD"),  # constants
        ("stages/extract/page/names.py", "VOID: Final = 1", "VOID: Final = 3"),
    ],
)
def test_a_change_of_what_kernels_take_in_changes_the_digest(tmp_path, file, old, new):
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__py*"))
    before = kernel_digest(tmp_path)
    path = tmp_path / file
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1))
    assert kernel_digest(tmp_path) != before
    path.write_text(source)
    assert kernel_digest(tmp_path) == before


def test_a_change_elsewhere_does_not(tmp_path):
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__py*"))
    before = kernel_digest(tmp_path)
    (tmp_path / "stages" / "filter" / "stage.py").write_text("")
    assert kernel_digest(tmp_path) == before


def test_the_folder_is_named_by_the_digest(fresh):
    assert cache_folder() == fresh / "cache" / "kernels" / kernel_digest()
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_place_that_cannot_be_written_to_gives_way_to_a_temporary_one(fresh, kind):
    place = fresh / "cache"
    if kind == "file":
        place.write_text("")
    elif os.getuid() == 0:
        pytest.skip("root may write anywhere")
    else:
        place.mkdir(mode=0o500)
    assert cache_folder().is_relative_to(fresh / "temporary")
    (cache_folder() / "written").write_text("")


def test_a_folder_of_another_user_is_not_used(fresh, monkeypatch):
    monkeypatch.setattr(kernel_cache.os, "getuid", lambda: os.stat("/").st_uid + 4242)
    folder = cache_folder()
    assert folder.parent == fresh / "temporary"  # a new one of its own
    assert not list(folder.iterdir())


def test_folders_that_nobody_has_used_for_long_go(fresh):
    kernels = fresh / "cache" / "kernels"
    for name, days in (("old", UNUSED_DAYS + 1), ("recent", UNUSED_DAYS - 1)):
        (kernels / name).mkdir(parents=True)
        (kernels / name / "kernel.nbc").write_text("")
        then = time.time() - days * 24 * 3600
        os.utime(kernels / name, (then, then))
    today = cache_folder()
    assert sorted(path.name for path in kernels.iterdir()) == sorted([today.name, "recent"])


def test_using_the_folder_keeps_it(fresh):
    folder = cache_folder()
    os.utime(folder, (0, 0))
    cache_folder.cache_clear()
    assert cache_folder() == folder
    assert folder.stat().st_mtime > time.time() - 60


KERNEL = """
import sys, numpy as np
from corpusmill.stages.columns.compiled import njit

@njit
def double(values):
    total = values.sum()
    return total + total

kinds = sys.argv[1].split(",")
for kind in kinds:
    assert double(np.arange(5).astype(kind)) == 20, kind
print(sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))
"""


def test_processes_that_compile_at_once_do_no_harm(fresh):
    script = fresh / "kernel.py"
    script.write_text(KERNEL)
    kinds = ("int64,float64", "float64,int64", "float32,int64", "int32,float32")

    def start(kinds: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), kinds]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    for process in [start(some) for some in kinds]:
        process.communicate()
        assert process.returncode == 0
    assert start("int64,float64,float32,int32").communicate()[0].split() == ["4", "0"]
