"""The command line as a user meets it: exit codes, errors of one line, and JSON for programs."""

import json

import pytest
from corpusmill.manifests.schema import DOCUMENT, actual_id, conform
from corpusmill.manifests.shard import Shard
from corpusmill.pipeline.execute import version

from tests.command_line import corpusmill, error_lines


@pytest.fixture(scope="module")
def deduplicated(tmp_path_factory):
    import pyarrow as pa

    folder = tmp_path_factory.mktemp("run")
    texts = [
        "the same text about rivers and the sea in the north of the country",
        "another text about bread, flour and water",
    ]
    for name in ("a", "b"):
        shard = Shard(name, (), str(folder))
        with shard.parquet("raw", DOCUMENT) as output:
            ids = [actual_id("test", name, row) for row in range(2)]
            output.write(conform(pa.table({"id": ids, "text": texts}), DOCUMENT))
    result = corpusmill(
        "dedup", "--input", "raw", "--output", "out/dedup", "--runner", "inline", cwd=folder
    )
    assert result.returncode == 0, result.stderr
    return folder


def test_a_stage_says_what_it_did_in_one_line(deduplicated):
    result = corpusmill(
        "dedup", "--input", "raw", "--output", "out/dedup", "--runner", "inline", cwd=deduplicated
    )
    assert result.stdout.split()[:9] == [
        "dedup",
        "4",
        "in",
        "2",
        "kept",
        "2",
        "excluded",
        "0",
        "failed",
    ]
    assert result.stdout.split()[9] == "reused"
    assert error_lines(result.stderr) == []
    assert result.stderr.splitlines()[-1].endswith("end, 2 shards reused")


def test_progress_is_lines_or_json_or_nothing(deduplicated, tmp_path):
    def progress(*options):
        command = ("dedup", "--input", deduplicated / "raw", "--output", tmp_path / "out")
        result = corpusmill(*command, "--runner", "inline", *options, cwd=tmp_path)
        assert result.returncode == 0
        return result.stderr.splitlines()

    made = progress("--verbose")
    assert error_lines("\n".join(made)) == []
    assert "dedup: sign: start, 2 shards" in "\n".join(made)
    assert any("dedup: shard 000000-a, 2 documents in " in line for line in made)
    events = [json.loads(line) for line in progress("--log", "json")]
    *_, last = (event for event in events if event["event"] == "end")
    assert (last["shards_done"], last["shards_reused"]) == (2, 2)
    assert {event["event"] for event in events} == {"step", "start", "end", "stage"}
    assert progress("--quiet") == []


def test_inspect_prints_the_promised_json(deduplicated):
    (row,) = json.loads(corpusmill("inspect", "out", "--json", cwd=deduplicated).stdout)["stages"]
    assert set(row) == {"stage", "in", "kept", "excluded", "failed", "bytes", "tokens", "seconds"}
    assert (row["stage"], row["in"], row["kept"], row["excluded"]) == (
        "dedup",
        4,
        2,
        {"dedup.exact": 2},
    )


def test_trace_follows_a_document_to_its_exclusion(deduplicated):
    ids = [actual_id("test", name, 0) for name in ("a", "b")]
    outcomes = {
        sighting["outcome"]
        for document in ids
        for sighting in json.loads(
            corpusmill("trace", "out", document, "--json", cwd=deduplicated).stdout
        )["sightings"]
    }
    assert outcomes == {"kept", "dedup.exact"}


def test_dedup_explains_what_happened_to_a_document(deduplicated):
    first, second = sorted(actual_id("test", name, 0) for name in ("a", "b"))
    result = corpusmill("dedup", "--explain", second, "--output", "out/dedup", cwd=deduplicated)
    assert result.stdout.startswith(
        f"{second} was removed (dedup.exact): its text is the survivor's"
    )
    found = json.loads(
        corpusmill(
            "dedup", "--explain", second, "-o", "out/dedup", "--json", cwd=deduplicated
        ).stdout
    )
    assert (found["document"]["id"], found["survivor"]["reason"]) == (second, None)
    assert found["survivor"]["id"] == first


def test_report_writes_one_page_without_outside_references(deduplicated):
    path = corpusmill("report", "out", cwd=deduplicated).stdout.strip()
    page = (deduplicated / path).read_text()
    assert "<svg" in page
    assert "src=" not in page
    assert "dedup.exact" in page


def test_verify_tells_damage_by_its_exit_code(deduplicated, tmp_path):
    import shutil

    copy = shutil.copytree(deduplicated / "out" / "dedup", tmp_path / "dedup")
    shutil.copytree(deduplicated / "raw", tmp_path / "raw")
    assert corpusmill("verify", copy, cwd=deduplicated).returncode == 0
    with open(copy / "documents" / "a.parquet", "r+b") as file:
        file.seek(20)
        file.write(b"??")
    result = corpusmill("verify", copy, "--json", cwd=deduplicated)
    assert result.returncode == 4
    assert any("has changed" in problem for problem in json.loads(result.stdout)["problems"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["filter", "--input", "nowhere", "--output", "x"], "matches no file"),
        (["filter", "--output", "x"], "has no input"),
        (
            ["dedup", "--input", "raw", "--output", "x", "--set", "dedup.bandz=3"],
            "did you mean 'bands'",
        ),
        (["dedup", "--input", "raw", "--output", "x", "--set", "dedup.bands=many"], "dedup.bands"),
        (["filter", "--input", "raw", "--output", "out/dedup"], "choose another --output"),
        (["run", "none.yaml", "--output", "x"], "none.yaml does not exist"),
        (
            ["run", "raw/a.parquet", "--output", "x"],
            "raw/a.parquet is not a recipe: it is not text; give the recipe first",
        ),
        (["filter", "--input", "raw", "--output", ""], "--output is empty"),
        (["inspect", "nowhere"], "holds no finished stage"),
        (["trace", "out", "ffffffffffff"], "no document"),
        (
            ["export", "--input", "raw", "--output", "x", "--set", "export.tokenizer=raw"],
            "holds no tokenizer; name the folder",
        ),
        (["dedup", "--no-such-option"], "--help"),
        (["dedupe"], "--help"),
    ],
)
def test_a_users_mistake_is_one_line_that_says_how_to_mend_it(deduplicated, arguments, message):
    runner = ["--runner", "inline"] if "--output" in arguments else []
    result = corpusmill(*arguments, *runner, cwd=deduplicated)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(error_lines(result.stderr)) == 1


@pytest.mark.parametrize(
    "verb",
    ["extract", "filter", "dedup", "classify", "synthesize", "blend", "pack", "train", "export"],
)
def test_every_verbs_help_lists_its_settings(verb, tmp_path):
    result = corpusmill(verb, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert f"{verb}." in result.stdout


def test_the_version_is_told(tmp_path):
    result = corpusmill("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"corpusmill {version()}\n")


def test_without_a_verb_the_help_is_shown(tmp_path):
    result = corpusmill(cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage:")


def test_a_step_of_a_recipe_is_chosen_by_its_name(deduplicated):
    steps = "[{dedup: {name: loose, verify_threshold: 0.5}}, {dedup: {name: strict, fuzzy: false}}]"
    (deduplicated / "two.yaml").write_text(f"stages: {steps}\n")
    command = ("dedup", "-i", "raw", "-o", "chosen", "--runner", "inline", "--config", "two.yaml")
    refused = corpusmill(*command, cwd=deduplicated)
    assert refused.returncode == 2
    assert "--step: loose, strict" in refused.stderr
    assert corpusmill(*command, "--step", "strict", cwd=deduplicated).returncode == 0
    manifest = json.loads((deduplicated / "chosen/manifest.json").read_text())
    assert manifest["config"] == {"strict": {"fuzzy": False}}


def test_the_list_of_verbs_cuts_no_help_short(tmp_path):
    result = corpusmill("--help", cwd=tmp_path, COLUMNS="80")
    assert result.returncode == 0
    assert "..." not in result.stdout.partition("Commands:")[2]
