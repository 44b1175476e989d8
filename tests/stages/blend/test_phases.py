"""Phases: each has its own weights, caps hold over all, and the shards lie in order."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, extended
from corpusmill.stages.blend.presets import PRESETS, phases_of
from corpusmill.stages.blend.settings import BlendSettings, BlendSource

from tests.stages.small_corpus import bytes_of, documents, rows_of, run, write_shard


@pytest.fixture
def web(tmp_path):
    return write_shard(tmp_path / "web/00000.parquet", documents("web", 300))


@pytest.fixture
def math(tmp_path):
    return write_shard(tmp_path / "math/00000.parquet", documents("math", 100))


def sources_of(web, math, **changes):
    return {
        "web": {"input": web, "category": "web"},
        "math": {"input": math, "category": "math", "max_epochs": 4, **changes},
    }


PHASES = [
    {"name": "broad", "length": 3, "weights": {"web": 90, "math": 10}},
    {"name": "good", "length": 1, "weights": {"web": 20, "math": 80}},
]


def tokens_by_source(rows):
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["blend_source"]] += row["n_tokens"]
    return counted


def test_every_phase_has_its_length_and_weights(tmp_path, web, math):
    settings = {"sources": sources_of(web, math), "phases": PHASES, "tokens": 4000, "shards": 4}
    run("blend", settings, tmp_path / "blend")
    rows = rows_of(tmp_path / "blend")
    for phase, wanted in ((0, {"web": 2700, "math": 300}), (1, {"web": 200, "math": 800})):
        counted = tokens_by_source(row for row in rows if row["phase"] == phase)
        for name, tokens in wanted.items():
            assert abs(counted[name] - tokens) <= 40
    assert [row["phase"] for row in rows] == sorted(row["phase"] for row in rows)
    names = sorted(path.name for path in (tmp_path / "blend/documents").iterdir())
    assert names == [
        "phase-01-00000.parquet",
        "phase-01-00001.parquet",
        "phase-01-00002.parquet",
        "phase-02-00003.parquet",
    ]
    assert verify(str(tmp_path / "blend")).problems == []


def test_a_cap_holds_over_all_phases(tmp_path, web, math):
    settings = {
        "sources": sources_of(web, math, max_epochs=1),
        "phases": [{"length": 1, "weights": {"web": 1, "math": 1}}] * 2,
        "tokens": 6000,
    }
    run("blend", settings, tmp_path / "blend")
    copies = Counter(row["id"] for row in rows_of(tmp_path / "blend"))
    assert set(copies.values()) == {1}
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    assert plan["sources"]["math"]["epochs"] == 1.0
    assert [phase["sources"]["math"]["capped"] for phase in plan["phases"]] == [False, True]


def test_without_a_size_the_scarcest_source_sets_it_over_all_phases(tmp_path, web, math):
    settings = {"sources": sources_of(web, math, max_epochs=1), "phases": PHASES}
    run("blend", settings, tmp_path / "blend")
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    math_plan = plan["sources"]["math"]
    assert math_plan["tokens"] == math_plan["available_tokens"]
    assert plan["tokens"] == pytest.approx(math_plan["tokens"] / 0.275, rel=0.02)


def test_every_prefix_of_the_stream_has_its_phases_shares(tmp_path, web, math):
    settings = {"sources": sources_of(web, math), "phases": PHASES, "tokens": 4000, "shards": 5}
    run("blend", settings, tmp_path / "blend")
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    rows = rows_of(tmp_path / "blend")
    for number, phase in enumerate(plan["phases"]):
        counted: Counter[str] = Counter()
        for row in (row for row in rows if row["phase"] == number):
            counted[row["blend_source"]] += row["n_tokens"]
            for name, source in phase["sources"].items():
                assert abs(counted[name] - source["share"] * counted.total()) <= 40


def test_the_result_does_not_depend_on_how_the_input_is_cut(tmp_path, math):
    rows = documents("web", 200)
    whole = write_shard(tmp_path / "whole/a.parquet", rows)
    for number in range(4):
        write_shard(tmp_path / f"cut/{number}.parquet", rows[number::4])
    for name, path in (("one", whole), ("four", str(tmp_path / "cut"))):
        settings = {"sources": sources_of(path, math), "phases": PHASES, "shards": 3}
        run("blend", settings, tmp_path / name)
    assert bytes_of(tmp_path / "one", "documents") == bytes_of(tmp_path / "four", "documents")


def test_the_sources_of_a_category_share_its_weight():
    config = BlendSettings(
        sources={
            "crawl": BlendSource(input="x", weight=3, category="web"),
            "news": BlendSource(input="x", weight=1, category="web"),
            "books": BlendSource(input="x", category="books"),
        },
        phases=({"length": 1, "weights": {"web": 40, "books": 10}},),  # type: ignore[arg-type]
    )
    (phase,) = phases_of(config)
    assert {name: float(weight) for name, weight in phase.weights.items()} == {
        "crawl": 30,
        "news": 10,
        "books": 10,
    }


def test_nemotron_h_is_the_published_table():
    lengths, table = PRESETS["nemotron_h"]
    assert sum(lengths) == pytest.approx(100)
    for phase in range(4):
        assert sum(weights[phase] for weights in table.values()) == pytest.approx(100, abs=0.2)
    config = BlendSettings(
        sources={
            "crawl": BlendSource(input="x", category="web"),
            "qa": BlendSource(input="x", category="sft"),
        },
        preset="nemotron_h",
    )
    phases = phases_of(config)
    assert [float(phase.length) for phase in phases] == pytest.approx([0.6, 0.2, 0.1747, 0.0253])
    assert [float(phase.weights["qa"]) for phase in phases] == [0.0, 0.9, 12.6, 31.8]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "nemotron_h", "phases": PHASES}, "phases and a preset; give one"),
        ({"phases": [{"length": 1, "weights": {"wbe": 1}}]}, "weighs 'wbe', which is no source"),
        ({"phases": PHASES, "weights": "mix"}, "weighs the source 'math', so its weight in mix"),
    ],
)
def test_phases_that_fit_no_source_are_refused(changes, message):
    sources = {"web": {"input": "x", "category": "web"}, "math": {"input": "x", "category": "math"}}
    with pytest.raises(RecipeError, match=message):
        BlendSettings(**{"sources": sources, **changes})


def test_a_preset_needs_its_categories():
    config = BlendSettings(sources={"web": BlendSource(input="x")}, preset="nemotron_h")
    with pytest.raises(
        RecipeError, match=r"has the category ''; nemotron_h needs one of web, code"
    ):
        phases_of(config)


def test_documents_of_large_clusters_count_more_often(tmp_path):
    rows = [
        {**row, "cluster_size": size}
        for row, size in zip(documents("d", 4), (1, 2, 9, None), strict=True)
    ]
    path = tmp_path / "in.parquet"
    schema = extended(pa.field("cluster_size", pa.int32()), of=DOCUMENT)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    sources = {"all": {"input": str(path), "cluster_copies": {2: 2, 5: 3}}}
    manifest = run("blend", {"sources": sources}, tmp_path / "blend")
    copies = Counter(row["id"] for row in rows_of(tmp_path / "blend"))
    assert [copies[row["id"]] for row in rows] == [1, 2, 3, 1]
    assert len({(row["id"], row["epoch"]) for row in rows_of(tmp_path / "blend")}) == 7
    few = run("blend", {"sources": sources, "tokens": 1}, tmp_path / "few")
    assert few.totals[0].excluded["blend.over_quota"] == 4
    assert manifest.totals[0].conserved
    assert few.totals[0].conserved
