"""The pages are true: every YAML block is a readable recipe, and docs/recipes.md's examples run."""

import json
import re
from pathlib import Path

import pytest
import yaml
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.pipeline.recipe import build_stage, load_recipe, override
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner

from tests.stages.engines.scripted_server import answer, serving

ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "docs" / "synthesis-pairs.md"  # its blocks are those of the pages that it quotes
DOCS = sorted({*(ROOT / "docs").glob("*.md")} - {PAIRS})
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
BLOCKS = {
    f"{page.name}-{number}": block
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), 1
    )
}
ENGLISH = (
    "The river rises in the hills and runs to the sea through a wide valley. "
    "In spring the snow melts and the water is high. "
    "People who live there have built bridges of stone, and they keep them with care. "
    "Every village has a mill that was built by the families of the place. "
    "Most of them still stand, and some of them are at work to this day. "
    "Those who walk along the bank in autumn hear the wheels before they see the roofs. "
)
GERMAN = (
    "Der Fluss entspringt in den Bergen und fließt durch ein weites Tal zum Meer. "
    "Im Frühling schmilzt der Schnee, und das Wasser steht hoch. "
    "Die Leute, die dort wohnen, haben Brücken aus Stein gebaut und pflegen sie mit Sorgfalt. "
    "Jedes Dorf hat eine Mühle, die von den Familien des Ortes gebaut wurde. "
    "Die meisten stehen noch, und einige arbeiten bis zum heutigen Tag. "
)


def read(tmp_path, block):
    """The block as a recipe. A list of stages becomes the `stages:` of a recipe."""
    if isinstance(yaml.safe_load(block), list):
        block = "stages:\n" + block
    path = tmp_path / "recipe.yaml"
    path.write_text(block)
    return load_recipe(str(path))


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_a_recipe_whose_settings_exist(name, tmp_path):
    for step in read(tmp_path, BLOCKS[name]).steps:
        build_stage(step, lambda name: f"OUT/{name}")


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """A folder with the inputs of the examples."""
    monkeypatch.chdir(tmp_path)
    files = {
        "crawls/english/pages.jsonl": [
            {"text": ENGLISH},
            {"text": ENGLISH},
            {"text": "Too short."},
        ],
        "crawls/german/pages.jsonl": [{"text": GERMAN}, {"text": ENGLISH}],
        "corpora/manuals/a.jsonl": [
            {"content": f"Turn screw {number} by hand until it stops."} for number in range(20)
        ],
    }
    for name, rows in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "corpora/notes").mkdir()
    (tmp_path / "corpora/notes/one.txt").write_text("A note about rivers and mills.\n")
    return tmp_path


def run(tmp_path, name, *assignments):
    """Run the example `name`. Returns step -> manifest."""
    (block,) = (block for block in BLOCKS.values() if f"\nname: {name}\n" in f"\n{block}")
    recipe = override(read(tmp_path, block), list(assignments))
    return {
        manifest.stages[-1]: manifest
        for manifest in run_recipe(recipe, "OUT", InlineRunner(), lambda *_: None)
    }


def reasons(manifest):
    return {counts.stage: counts.excluded for counts in manifest.totals if counts.excluded}


def test_two_crawls_in_different_languages(corpora):
    done = run(corpora, "two_crawls")
    folders = ["english", "english_clean", "german", "german_clean", "dedup"]
    assert list(done) == folders
    assert sorted(path.name for path in (corpora / "OUT").iterdir()) == sorted(folders)
    assert list(reasons(done["german"])) == ["german"]
    assert not reasons(done["german_clean"])
    assert sorted(path.name for path in (corpora / "OUT/dedup").iterdir()) == [
        *("README.md", "documents", "excluded", "manifest.json", "receipts", "work"),
    ]
    texts = [
        text for part in read_manifest("OUT/dedup").documents() for text in _column(part, "text")
    ]
    assert sorted(text[:3] for text in texts) == ["Der", "The"]


def test_a_filter_of_datatroves(corpora):
    done = run(corpora, "with_datatrove")
    assert reasons(done["filter"])["filter"] == {
        "datatrove.GopherQualityFilter.gopher_short_doc": 1
    }


def test_a_real_model_for_synthesis(corpora):
    with serving(lambda prompt, attempt: answer(f"Rewritten text:\n{ENGLISH}")) as server:
        settings = {"url": server.url, "tokenizer_name": "package:models/tiny"}
        done = run(
            corpora,
            "rephrased",
            *(f"synthesize.engine.{key}={value}" for key, value in settings.items()),
        )
    assert {body["model"] for _, _, body in server.seen} == {"mistralai/Mistral-Nemo-Instruct-2407"}
    assert done["synthesize"].totals[0].kept > 0


def test_corpora_of_ones_own_in_the_blend(corpora):
    done = run(corpora, "own_corpora", "tokenizer.vocab_size=400")
    plan = json.loads((corpora / "OUT/blend/plan.json").read_text())
    assert {name for name, source in plan["sources"].items() if source["tokens"]} == {
        "web",
        "manuals",
        "notes",
    }
    assert done["pack"].totals[0].tokens > 0


def _column(artifact, name):
    return [value for table in read_parquet(artifact, [name]) for value in table[name].to_pylist()]
