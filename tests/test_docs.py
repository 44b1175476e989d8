"""Pages lead where they say: every relative link resolves, every page is reachable, and every verb and option that they name exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from cli import app

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md", "samples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists(page):
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^    corpusmill +(.*)$", page.read_text(), re.MULTILINE):
        verb, _, rest = line.partition(" ")
        assert verb in commands, line
        known = {option for parameter in commands[verb].params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"(?<!\S)(--[a-z-]+)", rest.partition("#")[0])) <= known, line
