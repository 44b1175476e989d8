"""Links in the pages lead somewhere, commands are valid, and lines are short."""

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest
from corpusmill.cli import app
from corpusmill.commands.exit_codes import EXIT_CODES
from corpusmill.pipeline.catalogue import STAGES
from corpusmill.pipeline.recipe import Recipe, Step, build_stage, load_recipe, override
from typer.main import get_command

ROOT = Path(__file__).parent.parent
PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "deploy/README.md",
            "samples/README.md",
            "models/tiny/README.md",
        )
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
LONGEST = 99  # characters of a line of prose
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@every_page
def test_every_relative_link_resolves(page):
    wrong = []
    for link, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        target = page.parent / link if link else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(f"{link}#{anchor}")
    assert wrong == []


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text()
    assert [
        page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme
    ] == []


@every_page
def test_no_line_of_prose_is_too_long(page):
    """Tables, fenced blocks, and lines whose last word is a link or address may be longer."""
    lines = FENCE.sub("", page.read_text()).splitlines()
    assert [
        line
        for line in lines
        if len(line) > LONGEST and not line.startswith("|") and "](" not in line.split()[-1]
    ] == []


def test_the_exit_codes_are_those_of_the_command_line():
    rows = re.findall(
        r"^\| (\d+) \| (.*?) \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    assert {int(code): text.replace("`", "") for code, text in rows} == EXIT_CODES


def commands_of(page):
    """The `corpusmill ...` lines of a page's indented blocks, as lists of arguments."""
    return [
        shlex.split(line, comments=True)
        for line in re.findall(
            r"^    corpusmill +(.*)$", page.read_text().replace("\\\n", ""), re.MULTILINE
        )
    ]


@every_page
def test_every_command_exists(page):
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for verb, *arguments in commands_of(page):
        assert verb in commands
        known = {option for parameter in commands[verb].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= known, (
            verb,
            arguments,
        )


@every_page
def test_every_setting_on_a_command_line_is_accepted(page):
    for verb, *arguments in commands_of(page):
        assignments = [
            value for option, value in itertools.pairwise(arguments) if option == "--set"
        ]
        if verb in STAGES and assignments and "--config" not in arguments:
            build_stage(override(Recipe(verb, (), (Step(verb, verb),)), assignments).steps[0], str)


def options_of(script):
    """The `--options` that a script gives to argparse."""
    return {
        argument.value
        for call in ast.walk(ast.parse(script.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


@every_page
def test_every_benchmark_that_is_named_exists_and_knows_its_options(page):
    text = re.sub(r"\s+", " ", page.read_text())
    named = re.findall(r"python (benchmarks/\w+\.py)((?: --?[\w-]+(?: [\w./]+)?)*)", text)
    for script, arguments in named:
        assert (ROOT / script).exists()
        assert set(re.findall(r"--[\w-]+", arguments)) <= options_of(ROOT / script), script


@every_page
def test_every_file_in_backticks_exists(page):
    """Paths that begin with a folder of the repository."""
    folders = "benchmarks|classifiers|commands|constraints|deploy|manifests|models|pipeline|prompts"
    folders += "|recipes|samples|stages|tests|tools|trainer"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text())
    gone = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
    assert [name for name in gone if name not in OF_THE_READER] == []


OF_THE_READER = {"prompts/mine.md"}


def test_the_training_page_shows_the_steps_of_the_shipped_recipe(tmp_path):
    (block,) = (
        block
        for block in re.findall(
            r"^```yaml\n(.*?)^```", (ROOT / "docs/training.md").read_text(), re.M | re.S
        )
    )
    page = tmp_path / "page.yaml"
    page.write_text("stages:\n" + block)
    shown = {step.verb: step.settings for step in load_recipe(str(page)).steps}
    shipped = load_recipe(str(ROOT / "recipes/nemotron_cc.yaml")).steps
    assert shown == {step.verb: step.settings for step in shipped if step.verb in shown}
