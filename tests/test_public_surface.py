"""`import corpusmill` is quick, typed, and enough to run stages and look at results in a program.

The wheel gives the same, even beside a user's own modules of the same names.
"""

import json
import os
import subprocess
import sys
import zipfile

import corpusmill
import pytest

from tests.command_line import ROOT

TEXT = "The river rises in the northern hills, and it reaches the sea after many days. "


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run of two stages over three documents, one of them too short to keep."""
    folder = tmp_path_factory.mktemp("surface")
    texts = [TEXT * 6, TEXT * 7, "Too short."]
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "recipe.yaml").write_text(
        "name: small\n"
        "stages:\n"
        "  - extract: {min_text_chars: 0}\n"
        "  - filter:\n"
        "      families: []\n"
        "      rules: [{name: few_words, statistic: words, comparison: '<', threshold: 20}]\n"
    )
    return folder


def test_a_recipe_is_loaded_run_read_and_checked(made):
    recipe = corpusmill.load_recipe(str(made / "recipe.yaml"))
    output = str(made / "out")
    finished: list[str] = []
    manifests = corpusmill.run(
        recipe,
        output,
        inputs=str(made / "in.jsonl"),
        on_done=lambda folder, manifest: finished.append(folder),
    )
    assert [folder.rsplit("/", 1)[-1] for folder in finished][-1] == "filter"
    assert manifests[-1] == corpusmill.read_manifest(f"{output}/filter")
    kept = [row for table in corpusmill.documents(f"{output}/filter") for row in table.to_pylist()]
    assert [row["text"].count("river") for row in kept] == [6, 7]
    (dropped,) = (
        row
        for table in corpusmill.documents(f"{output}/filter", ["id", "reason"], excluded=True)
        for row in table.to_pylist()
    )
    assert dropped["reason"] == "recipe.few_words"
    assert [(row.name, row.rows_in, row.kept) for row in corpusmill.inspect(output)] == [
        ("extract", 3, 3),
        ("filter", 3, 2),
    ]
    assert not corpusmill.verify(output).problems
    assert corpusmill.trace(output, kept[0]["id"]).as_json()


def test_one_stage_is_run_with_settings_of_its_own(made):
    manifest = corpusmill.run_stage(
        "extract",
        str(made / "alone"),
        inputs=[str(made / "in.jsonl")],
        settings={"min_text_chars": 0},
    )
    assert sum(artifact.rows for artifact in manifest.documents()) == 3
    with pytest.raises(corpusmill.CorpusmillError, match="did you mean 'min_text_chars'"):
        corpusmill.run_stage("extract", str(made / "none"), settings={"min_text_char": 0})


def test_paths_may_be_pathlib_paths(made):
    out = made / "paths"
    recipe, data = made / "recipe.yaml", made / "in.jsonl"
    corpusmill.run(recipe, out, inputs=data, assignments="extract.languages=[]")
    corpusmill.run_stage("dedup", made / "copies", inputs=[out / "filter"])
    assert corpusmill.read_manifest(out / "filter").totals[0].kept == 2
    assert sum(table.num_rows for table in corpusmill.documents(out / "filter")) == 2
    assert corpusmill.open(out).stages == ["extract", "filter"]
    assert [row.kept for row in corpusmill.inspect(out)] == [3, 2]
    assert corpusmill.verify(out).problems == []
    assert corpusmill.diff(out, out)[0].state == "same"
    (row,) = corpusmill.sample(out / "filter", count=1)
    assert corpusmill.trace(out, row["id"]).id == row["id"]
    assert corpusmill.write_report(out) == str(out / "report.html")
    assert corpusmill.load_recipe(recipe) == corpusmill.load_recipe(str(recipe))
    with pytest.raises(corpusmill.CorpusmillError, match="URL"):
        corpusmill.domains(out)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"runner": "spark"}, "there is no runner 'spark'"), ({"workers": 0}, "workers is 0")],
)
def test_a_runner_that_cannot_be_is_refused(made, options, said):
    data = str(made / "in.jsonl")
    with pytest.raises(corpusmill.CorpusmillError, match=said):
        corpusmill.run_stage("extract", str(made / "never"), inputs=data, **options)
    assert not (made / "never").exists()


def test_every_public_name_is_there_and_no_other():
    assert corpusmill.__all__ == sorted(corpusmill._HOMES)
    for name in corpusmill.__all__:
        assert getattr(corpusmill, name).__doc__
        assert name in dir(corpusmill)
    with pytest.raises(AttributeError, match="no_such_name"):
        corpusmill.no_such_name  # noqa: B018


def test_the_import_loads_nothing_but_the_standard_library():
    program = (
        "import sys; before = set(sys.modules); import corpusmill; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    others = set(found.stdout.split()) - set(sys.stdlib_module_names) - {"corpusmill"}
    assert not others


@pytest.mark.slow
def test_the_wheel_works_beside_a_users_own_pipeline_and_stages(tmp_path):
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("corpusmill-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
        names = packed.namelist()
    assert "corpusmill/py.typed" in names
    assert "corpusmill/report/templates/page.html" in names
    assert not [name for name in names if name.startswith(("tests/", "corpusmill/tests/"))]
    here = tmp_path / "project"
    here.mkdir()
    for own in ("pipeline.py", "stages.py", "cli.py", "models.py"):
        (here / own).write_text("raise SystemExit('this is the user\\'s own module')\n")
    (here / "page.txt").write_text(TEXT * 6)

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "site") in python("-c", "import corpusmill; print(corpusmill.__file__)")
    assert "0.1" in python("-m", "corpusmill.cli", "--version")
    extract = ["extract", "--input", "page.txt", "--output", "out", "--runner", "inline"]
    python("-m", "corpusmill.cli", *extract)
    program = "import corpusmill; print(sum(t.num_rows for t in corpusmill.documents('out')))"
    assert python("-c", program).strip() == "1"
