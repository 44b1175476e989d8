"""What the sections of the page read and count."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.looking.domains import with_site
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.storage import Artifact, artifact_of
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.report.reading import sampling
from corpusmill.report.reading.run import Run, StageView
from corpusmill.report.sections.answers import labels, usage
from corpusmill.report.sections.chains import chains
from corpusmill.report.sections.differences import Piece, by_words, changes
from corpusmill.report.sections.examples import levels
from corpusmill.report.sections.headline import headline
from corpusmill.report.sections.lineage import lineage
from corpusmill.report.sections.prompts import prompts
from corpusmill.report.sections.shares import clusters
from corpusmill.report.sections.training import thinned

from tests.report.small_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(make_run(tmp_path_factory.mktemp("sections")))


def shards(folder, shards, rows):
    found = []
    for shard in range(shards):
        numbers = range(shard * rows, (shard + 1) * rows)
        table = pa.table({"number": numbers, "text": ["x"] * rows})
        path = str(folder / f"{shard:04d}.parquet")
        pq.write_table(table, path, row_group_size=10)
        described = artifact_of(path)
        found.append(Artifact(path, described.digest, described.size, rows))
    return found


def test_a_sample_of_a_large_stage_is_small_and_spread(tmp_path):
    found = sampling.sample(shards(tmp_path, 20, 50), rows=40, shards=4)
    numbers = found.column("number")
    assert found.rows == 1000
    assert len(numbers) == 40
    assert found.weight == 25
    assert {number // 50 for number in numbers} == {0, 5, 10, 15}
    assert "text" not in found.table.column_names


def test_a_sample_of_a_small_stage_is_the_whole(tmp_path):
    found = sampling.sample(shards(tmp_path, 3, 7))
    assert found.is_whole
    assert found.column("number") == list(range(21))


def test_a_chain_follows_documents_and_accounts_for_each(run):
    (chain,) = chains(run)
    assert [(link.name, link.rows_in, link.kept) for link in chain.links] == [
        ("extract", 10, 10),
        ("filter", 10, 7),
        ("dedup", 7, 6),
    ]
    for link in chain.links:
        assert link.rows_in == link.kept + sum(rows for _, rows in link.reasons)


def test_the_lineage_leads_from_the_raw_files_to_the_last_stage(run):
    nodes = lineage(run)
    assert [(node.name, node.depth, node.raw) for node in nodes][1:] == [
        ("extract", 1, False),
        ("filter", 2, False),
        ("dedup", 3, False),
    ]
    assert nodes[0].raw
    assert nodes[1].reads == [nodes[0].key]


def test_the_tokens_of_two_packs_of_the_same_documents_are_not_added(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "The river rises and the town waits."}\n')
    tokenizer = {"tokenizer": "package:models/tiny"}
    steps = (
        Step("extract", "extract", (), {"min_text_chars": 0}),
        Step("pack", "bare", ("step:extract",), {**tokenizer, "add_eos": False}),
        Step("pack", "ended", ("step:extract",), tokenizer),
    )
    inputs, output = (str(tmp_path / "in.jsonl"),), str(tmp_path / "out")
    run_recipe(Recipe("r", inputs, steps), output, InlineRunner(), lambda *_: None)
    run = Run(output)
    (bare,), (ended,) = ([row.tokens for row in stage.rows] for stage in run.of("pack"))
    assert 0 < bare < ended
    found = headline(run, chains(run), [])
    shown = [(card.value, card.note) for card in found.cards if card.title == "tokens out"]
    assert shown == [(f"{ended:,}", "35 B, in ended"), (f"{bare:,}", "35 B, in bare")]
    said = f"ended holds {ended:,} tokens (35 B) and bare holds {bare:,} tokens (35 B)."
    assert said in found.sentences


def test_the_tokens_of_a_step_that_another_was_made_from_are_not_shown(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "The river rises."}\n')
    mixed = {"tokenizer": "package:models/tiny", "tokens": 10}
    steps = (
        Step("extract", "extract", (), {"min_text_chars": 0}),
        Step("blend", "first", (), {**mixed, "sources": {"a": {"input": "step:extract"}}}),
        Step("blend", "second", (), {**mixed, "sources": {"a": {"input": "step:first"}}}),
    )
    inputs, output = (str(tmp_path / "in.jsonl"),), str(tmp_path / "out")
    run_recipe(Recipe("r", inputs, steps), output, InlineRunner(), lambda *_: None)
    run = Run(output)
    assert all(row.tokens for stage in run.of("blend") for row in stage.rows)
    found = headline(run, chains(run), [])
    (shown,) = (card.note for card in found.cards if card.title == "tokens out")
    assert shown.endswith("in second")


def test_words_that_only_one_text_has_are_marked():
    pair = by_words("The cat sat on the mat.", "The dog sat on the mat.")
    assert pair.marked
    assert Piece("gone", "cat") in pair.before
    assert Piece("new", "dog") in pair.after
    assert "".join(piece.text for piece in pair.before) == "The cat sat on the mat."


def test_the_end_of_a_long_text_is_no_difference():
    words = [f"word{number}" for number in range(300)]
    pair = by_words("Title. " + " ".join(words), " ".join(words))
    assert [piece.text for piece in pair.before if piece.kind == "gone"] == ["Title. "]
    assert not [piece for piece in pair.after if piece.kind == "new"]
    assert pair.after[-1].kind == "gap"


def test_texts_that_have_little_in_common_get_no_marks():
    pair = by_words("alpha beta gamma delta", "one,two;three:four!five?six")
    assert not pair.marked
    assert {piece.kind for piece in [*pair.before, *pair.after]} == {"same"}


def test_changes_show_a_cut_with_the_words_around_it():
    middle = "filler " * 100
    before = f"begin [1] {middle}\nline two\nADVERTISEMENT\nend"
    after = f"begin {middle}\nline two\nend"
    found = changes(before, after)
    assert [piece.text.strip() for piece in found if piece.kind == "gone"] == [
        "[1]",
        "ADVERTISEMENT",
    ]
    assert not [piece for piece in found if piece.kind == "new"]
    assert any(piece.kind == "gap" for piece in found)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.Example.org/a?b=c", "example.org"),
        ("http://user@host.example:8080/", "host.example"),
        ("https://münchen.example/x", "münchen.example"),
        (None, "(no url)"),
        ("no address", "(no url)"),
    ],
)
def test_the_site_of_a_url_is_its_host(url, site):
    table = pa.table({"url": pa.array([url], pa.string())})
    assert with_site(table)["site"].to_pylist() == [site]


def test_a_long_line_of_points_is_thinned_to_means_and_keeps_its_end():
    points = [(float(step), float(step)) for step in range(1, 1001)]
    found = thinned(points, 100)
    assert len(found) == 100
    assert found[0] == (5.5, 5.5)
    assert found[-1] == (1000.0, 1000.0)


def stage_of(folder, verb, files, measures=None):
    """A stage with these shards: path within the folder -> rows."""
    outputs = []
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        described = artifact_of(str(path))
        outputs.append(Artifact(str(path), described.digest, described.size, len(rows)))
    manifest = Manifest(
        [verb],
        {},
        {},
        "",
        outputs=outputs,
        verbs=[verb],
        measures=measures or {},
        folder=str(folder),
    )
    return StageView(manifest)


class Stages:
    """A run of given stages, as far as a section asks."""

    def __init__(self, *stages):
        self.stages = list(stages)

    def of(self, *verbs):
        return [stage for stage in self.stages if stage.verb in verbs]


def run_of(*stages) -> Any:
    return Stages(*stages)


def test_a_prompts_row_counts_answers_reasons_and_diversity(tmp_path):
    kept = [{"id": str(n), "text": "x", "prompt": "qa", "output_tokens": 10} for n in range(3)]
    dropped = [{"id": "9", "text": "", "prompt": "qa", "reason": "synthesize.cut_off"}] * 2
    stage = stage_of(
        tmp_path,
        "synthesize",
        {"documents/level=high/prompt=qa/a.parquet": kept, "excluded/a.parquet": dropped},
        {"diversity": {"qa": {"distinct_4": 0.9, "self_similarity": 0.1, "warnings": ["alike"]}}},
    )
    (row,) = prompts(run_of(stage))
    assert (row.prompt, row.asked, row.kept, row.tokens) == ("qa", 5, 3, 30)
    assert row.reasons == [("synthesize.cut_off", 2)]
    assert (row.distinct, row.alike, row.warnings) == (0.9, 0.1, ("alike",))


def test_labels_are_in_the_order_of_grades_and_have_a_mean(tmp_path):
    counts = {"educational": {"10": 1, "2": 2, "-1": 0}, "kind": {"prose": 3, "list": 0}}
    stage = stage_of(tmp_path, "annotate", {}, {"labels": counts})
    grades, words = labels(run_of(stage))
    assert (grades.name, grades.documents, grades.mean) == ("educational", 3, 14 / 3)
    assert grades.values == [("-1", 0), ("2", 2), ("10", 1)]
    assert (words.values, words.mean) == ([("prose", 3), ("list", 0)], None)


def test_what_asking_took_is_that_of_the_manifest(tmp_path):
    took = {
        "prompts": {"qa": {"rows": 5, "kept": 3, "prompt_tokens": 50, "output_tokens": 30}},
        "engine_hours": 0.5,
        "gpus": 2,
        "gpu_hours": 1.0,
        "output_tokens_per_second": 12.5,
        "gpu_hours_per_billion_tokens": {"read": 40.0, "written": 60.0, "kept": None},
    }
    stages = [
        stage_of(tmp_path / verb, verb, {}, {"usage": took}) for verb in ("synthesize", "annotate")
    ]
    unused = stage_of(tmp_path / "none", "annotate", {}, {"usage": {**took, "prompts": {}}})
    first, second = usage(run_of(*stages, unused))
    assert (first.stage, second.stage) == ("synthesize", "annotate")
    assert first.prompts == [("qa", 5, 3, 50, 30)]
    assert (first.hours, first.gpu_hours, first.speed) == (0.5, 1.0, 12.5)
    assert first.rates == [("read", 40.0), ("written", 60.0)]


def test_the_best_and_the_worst_of_a_level_are_those_of_the_scores(tmp_path):
    rows = [
        {"id": f"{n}", "text": f"text {n}", "level": "high", "quality": 17, "score_a": n / 10}
        for n in range(6)
    ]
    stage = stage_of(tmp_path, "classify", {"documents/level=high/a.parquet": rows})
    (level,) = levels(run_of(stage))
    assert [example.text for example in level.best] == ["text 5", "text 4"]
    assert [example.text for example in level.worst] == ["text 0", "text 1"]
    assert level.best[0].facts == "quality 17, a 0.50"


def test_clusters_are_counted_by_doublings(tmp_path):
    rows = [{"id": str(n), "cluster_size": size} for n, size in enumerate([1, 1, 2, 3, 4, 9])]
    stage = stage_of(tmp_path, "dedup", {"documents/a.parquet": rows})
    assert clusters(stage) == [("1", 2), ("2", 1), ("3-4", 2), ("5-8", 0), ("9-16", 1)]
