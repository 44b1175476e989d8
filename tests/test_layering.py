"""Folders import each other in one direction, and help pages load nothing heavy."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each folder may import.
ALLOWED: dict[str, set[str]] = {
    "manifests": set(),
    "prompts": {"manifests"},
    "classifiers": {"manifests"},
    "trainer": {"manifests"},
    "compression": {"manifests", "trainer"},
    "evaluation": {"manifests", "trainer"},
    "vision": {"manifests", "trainer"},
    "stages": {
        "manifests",
        "prompts",
        "classifiers",
        "trainer",
        "compression",
        "evaluation",
        "vision",
    },
    "pipeline": {"manifests", "stages"},
    "report": {"manifests", "stages", "pipeline"},
    "commands": {"manifests", "stages", "pipeline", "report"},
    "tools": {"manifests", "prompts", "stages", "trainer", "pipeline"},
}
FOLDERS = {*ALLOWED, "cli", "models", "recipes", "samples", "tests", "benchmarks"}


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_folders(path: Path) -> set[str]:
    ours = [name.split(".") for name in imported_modules(path) if name.startswith("corpusmill.")]
    return {parts[1] for parts in ours} & FOLDERS


def test_everything_is_imported_as_corpusmill():
    """The folders are not top-level packages. A user's own `pipeline.py` must not hide one."""
    wrong = {
        str(path.relative_to(ROOT)): tops
        for folder in (*ALLOWED, "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (
            tops := {name.split(".")[0] for name in imported_modules(path)}
            & (FOLDERS - {"tests", "benchmarks"})
        )
    }
    assert not wrong


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_folder_imports_only_the_folders_below_it(folder):
    wrong = {
        str(path.relative_to(ROOT)): folders
        for path in (ROOT / folder).rglob("*.py")
        if (folders := imported_folders(path) - ALLOWED[folder] - {folder})
    }
    assert not wrong


def test_the_command_line_imports_verbs_and_the_list_of_stages():
    assert imported_folders(ROOT / "cli.py") == {"commands", "manifests", "pipeline"}


def test_two_files_know_ray():
    """The runner of tasks, and the trainer's processes."""
    knowing = {
        str(path.relative_to(ROOT))
        for folder in (*ALLOWED, ".")
        for path in ((ROOT / folder).rglob("*.py") if folder != "." else [ROOT / "cli.py"])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name == "ray" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray")
    }
    assert knowing == {"pipeline/ray_runner.py", "trainer/on_ray.py"}


def test_no_two_files_of_the_pipeline_import_each_other():
    names = {path: f"corpusmill.pipeline.{path.stem}" for path in (ROOT / "pipeline").glob("*.py")}
    reads = {
        name: {
            other
            for other in names.values()
            if any(f"{item}.".startswith(f"{other}.") for item in imported_modules(path))
        }
        for path, name in names.items()
    }
    assert not [
        (one, other)
        for one in reads
        for other in reads[one]
        if one != other and one in reads[other]
    ]


def test_help_answers_at_once_and_loads_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-m", "corpusmill.cli", "--help"]
    best = 60.0
    for _ in range(3):
        started = time.perf_counter()
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        best = min(best, time.perf_counter() - started)
    assert "synthesize" in result.stdout
    heavy = {
        "torch",
        "transformers",
        "ray",
        "pyarrow",
        "numba",
        "numpy",
        "pydantic",
        "fasttext",
        "yaml",
    }
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert not loaded & heavy
    assert best < 0.7


def test_the_help_of_a_stage_compiles_and_loads_no_model():
    """All stages in one process. `corpusmill VERB --help` and `corpusmill schema` do no more."""
    program = """
import sys
from corpusmill.pipeline.catalogue import STAGES
from corpusmill.pipeline.settings_help import settings_help

assert all(settings_help(verb) for verb in STAGES)
print(*sys.modules)
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "tokenizers", "ray", "numba", "scipy", "fasttext", "httpx"}
    assert not set(result.stdout.split()) & heavy


def test_no_folders_import_each_other_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for top in ALLOWED:
        for path in (ROOT / top).rglob("*.py"):
            folder = str(path.parent.relative_to(ROOT))
            for name in imported_modules(path):
                parts = name.split(".")[1:] if name.startswith("corpusmill.") else []
                folders = (ROOT.joinpath(*parts[:end]) for end in range(len(parts), 0, -1))
                found = next((item for item in folders if item.is_dir()), None)
                if found is not None and found != path.parent:
                    arrows.setdefault(folder, set()).add(str(found.relative_to(ROOT)))

    def below(folder: str, seen: set[str]) -> set[str]:
        for other in arrows.get(folder, set()) - seen:
            seen.add(other)
            below(other, seen)
        return seen

    assert {folder for folder in arrows if folder in below(folder, set())} == set()
