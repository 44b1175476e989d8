"""The package `corpusmill` is the repository's root, and every folder with code is in it."""

import tomllib

from tests.command_line import ROOT

ROOMS = ("classifiers", "manifests", "pipeline", "prompts", "stages", "trainer")
DATA = {"corpusmill.models", "corpusmill.recipes", "corpusmill.samples"}


def test_every_folder_with_code_is_a_package_of_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")
    }
    expected = (
        {f"corpusmill.{'.'.join(folder.parts)}" for folder in folders} | DATA | {"corpusmill"}
    )
    assert set(settings["packages"]) == expected
