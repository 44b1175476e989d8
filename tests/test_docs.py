"""Pages lead where they say: every relative link resolves, every page is reachable, and every command that they name can be given."""

import itertools
import re
import shlex
from pathlib import Path

import pytest
from corpusmill.cli import app
from corpusmill.pipeline.catalogue import STAGES
from corpusmill.pipeline.recipe import Recipe, Step, build_stage, override
from typer.main import get_command

ROOT = Path(__file__).parent.parent
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md", "samples/README.md")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text()
    assert [
        page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme
    ] == []


def commands_of(page):
    """The `corpusmill ...` lines of a page's indented blocks, as lists of arguments."""
    return [
        shlex.split(line, comments=True)
        for line in re.findall(r"^    corpusmill +(.*)$", page.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists(page):
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for verb, *arguments in commands_of(page):
        assert verb in commands
        known = {option for parameter in commands[verb].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= known, (
            verb,
            arguments,
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_on_a_command_line_is_accepted(page):
    for verb, *arguments in commands_of(page):
        assignments = [
            value for option, value in itertools.pairwise(arguments) if option == "--set"
        ]
        if verb in STAGES and assignments and "--config" not in arguments:
            build_stage(override(Recipe(verb, (), (Step(verb, verb),)), assignments).steps[0], str)
