"""Blend: weights are shares of tokens, caps hold, and copies differ in epoch.

The result depends on ids, seed and settings alone.
"""

import json
import random
from collections import Counter

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.looking.tables import stage_line
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.blend.settings import BlendSource
from corpusmill.stages.blend.stage import Blend

from tests.stages.readers.warc_bytes import pages
from tests.stages.small_corpus import (
    bytes_of,
    documents,
    rows_of,
    run,
    small_tokenizer,
    write_shard,
)

SOURCES = {"web": BlendSource(input="somewhere", weight=1.0)}


def blend(folder, **settings):
    manifest = run("blend", {"shards": 3, **settings}, folder)
    return manifest, json.loads((folder / "plan.json").read_text())


@pytest.fixture
def web(tmp_path):
    return write_shard(tmp_path / "web/00000.parquet", documents("web", 300))


@pytest.fixture
def math(tmp_path):
    return write_shard(tmp_path / "math/00000.parquet", documents("math", 60))


def tokens_by_source(rows):
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["blend_source"]] += row["n_tokens"]
    return counted


def test_shares_are_met_to_within_a_document(tmp_path, web, math):
    sources = {
        "web": {"input": web, "weight": 70},
        "math": {"input": math, "weight": 30, "max_epochs": 4},
    }
    _, plan = blend(tmp_path / "blend", sources=sources, tokens=4000)
    counted = tokens_by_source(rows_of(tmp_path / "blend"))
    assert 2800 - 40 < counted["web"] <= 2800
    assert 1200 - 40 < counted["math"] <= 1200
    assert {name: source["tokens"] for name, source in plan["sources"].items()} == counted
    assert plan["tokens"] == sum(counted.values())


def test_a_fraction_of_an_epoch_repeats_nothing(tmp_path, web):
    blend(tmp_path / "blend", sources={"web": {"input": web, "weight": 1, "max_epochs": 0.5}})
    rows = rows_of(tmp_path / "blend")
    assert max(Counter(row["id"] for row in rows).values()) == 1
    assert {row["epoch"] for row in rows} == {0}


def test_more_than_one_epoch_takes_every_document_and_some_again_with_another_epoch(tmp_path, math):
    _, plan = blend(
        tmp_path / "blend", sources={"math": {"input": math, "weight": 1, "max_epochs": 2.5}}
    )
    rows = rows_of(tmp_path / "blend")
    copies = Counter(row["id"] for row in rows)
    assert set(copies) == {row["id"] for row in documents("math", 60)}
    assert set(copies.values()) == {2, 3}
    assert len({(row["id"], row["epoch"]) for row in rows}) == len(rows)
    assert {row["epoch"] for row in rows} == {0, 1, 2}
    assert plan["sources"]["math"]["epochs"] == pytest.approx(2.5, abs=0.05)


def test_a_whole_epoch_is_the_source_itself(tmp_path, math):
    blend(tmp_path / "blend", sources={"math": {"input": math, "weight": 0.3}})
    rows = sorted(rows_of(tmp_path / "blend"), key=lambda row: row["id"])
    for row, document in zip(rows, documents("math", 60), strict=True):
        assert {key: row[key] for key in document} == document


def test_the_plan_says_what_a_cap_cost(tmp_path, web, math):
    sources = {
        "web": {"input": web, "weight": 1, "category": "web"},
        "math": {"input": math, "weight": 1, "category": "math"},
    }
    _, plan = blend(tmp_path / "blend", sources=sources, tokens=6000)
    capped, other = plan["sources"]["math"], plan["sources"]["web"]
    assert (capped["capped"], capped["epochs"], capped["asked_share"]) == (True, 1.0, 0.5)
    assert capped["share"] < 0.5 < other["share"]
    assert 6000 - 40 < plan["tokens"] <= 6000
    assert plan["categories"]["math"]["tokens"] == capped["tokens"]


def test_a_blend_that_found_less_than_it_was_asked_for_says_so(tmp_path, web):
    for asked, warned in ((10**8, True), (100, False)):
        folder = tmp_path / str(asked)
        settings = {"sources": {"web": {"input": web, "weight": 1}}, "tokens": asked}
        manifest = run("blend", settings, folder)
        words = f"warning: blend was asked for {asked:,} tokens and gave"
        assert (words in stage_line(str(folder), manifest)) == warned


def test_levels_kinds_and_prompts_choose_documents(tmp_path):
    rows = [
        *documents("high", 20, level="high"),
        *documents("low", 20, level="low"),
        *documents("qa", 20, level="high", kind="synthetic", prompt="diverse_qa"),
        *documents("list", 20, level="high", kind="synthetic", prompt="list"),
    ]
    path = write_shard(tmp_path / "in.parquet", rows)
    sources = {
        "actual": {
            "input": path,
            "weight": 1,
            "levels": ["high"],
            "kinds": ["actual"],
            "max_epochs": None,
        },
        "questions": {"input": path, "weight": 1, "prompts": ["diverse_qa"]},
    }
    manifest, _ = blend(tmp_path / "blend", sources=sources)
    kept = {(row["blend_source"], row["id"].split("-")[0]) for row in rows_of(tmp_path / "blend")}
    assert kept == {("actual", "high"), ("questions", "qa")}
    assert manifest.totals[0].excluded["blend.not_selected"] == 40


def test_a_document_wanted_by_two_sources_is_in_both_shares(tmp_path):
    path = write_shard(tmp_path / "in.parquet", documents("doc", 50, level="high"))
    sources = {
        "all": {"input": path, "weight": 1},
        "high": {"input": path, "weight": 1, "levels": ["high"]},
    }
    blend(tmp_path / "blend", sources=sources, shards=1)
    rows = rows_of(tmp_path / "blend")
    assert Counter(row["blend_source"] for row in rows) == {"all": 50, "high": 50}
    assert len({(row["id"], row["epoch"]) for row in rows}) == 100
    assert verify(str(tmp_path / "blend")).problems == []


def test_an_id_that_occurs_twice_in_a_source_is_taken_twice_and_told_apart_by_epoch(tmp_path):
    twice = [{**documents("doc", 1)[0], "text": text} for text in ("eins", "zwei")]
    path = write_shard(tmp_path / "in.parquet", twice)
    blend(tmp_path / "blend", sources={"web": {"input": path, "weight": 1}}, shards=1)
    rows = rows_of(tmp_path / "blend")
    assert {row["text"] for row in rows} == {"eins", "zwei"}
    assert {row["epoch"] for row in rows} == {0, 1}
    assert verify(str(tmp_path / "blend")).problems == []


def test_every_document_is_accounted_for_and_what_is_left_out_says_why(tmp_path, web):
    empty = write_shard(
        tmp_path / "empty.parquet", [{"id": "blank-1", "text": ""}, {"id": "blank-2", "text": None}]
    )
    sources = {"web": {"input": (web, empty), "weight": 1}}
    manifest, plan = blend(tmp_path / "blend", sources=sources, tokens=1000)
    (counts,) = manifest.totals
    assert counts.conserved
    assert (counts.rows_in, counts.excluded["blend.empty"]) == (302, 2)
    assert counts.kept == plan["documents"] == len(rows_of(tmp_path / "blend"))
    dropped = rows_of(tmp_path / "blend", "excluded")
    assert Counter(row["reason"] for row in dropped) == counts.excluded
    left = next(row for row in dropped if row["reason"] == "blend.over_quota")
    assert (left["text"], left["stage"], left["detail"]) == (None, "blend", "source=web")
    assert verify(str(tmp_path / "blend")).problems == []


def test_a_larger_blend_contains_the_smaller(tmp_path, web):
    for tokens in (500, 2000):
        blend(tmp_path / str(tokens), sources={"web": {"input": web, "weight": 1}}, tokens=tokens)
    small, large = (
        {row["id"] for row in rows_of(tmp_path / str(tokens))} for tokens in (500, 2000)
    )
    assert small < large


def test_another_seed_draws_and_orders_otherwise(tmp_path, web):
    orders = []
    for seed in (0, 1):
        blend(
            tmp_path / str(seed),
            sources={"web": {"input": web, "weight": 1}},
            tokens=2000,
            seed=seed,
        )
        orders.append([row["id"] for row in rows_of(tmp_path / str(seed))])
    assert set(orders[0]) != set(orders[1])
    assert orders[0] != sorted(orders[0])


def test_the_result_does_not_depend_on_how_the_input_is_cut_or_ordered(tmp_path):
    rows = documents("web", 200)
    whole = write_shard(tmp_path / "whole/a.parquet", rows)
    random.Random(3).shuffle(rows)
    for number, start in enumerate((0, 7, 120)):
        write_shard(tmp_path / f"cut/z{9 - number}.parquet", rows[start : (7, 120, 200)[number]])
    for name, path in (("one", whole), ("three", str(tmp_path / "cut"))):
        sources = {"web": {"input": path, "weight": 1, "max_epochs": 1.3}}
        blend(tmp_path / name, sources=sources)
    assert bytes_of(tmp_path / "one", "documents") == bytes_of(tmp_path / "three", "documents")
    assert (tmp_path / "one/plan.json").read_bytes() == (tmp_path / "three/plan.json").read_bytes()


def test_the_output_may_be_any_fsspec_url(tmp_path, web):
    sources = {"web": {"input": web, "weight": 1, "max_epochs": 1.5}}
    run_step(
        Step("blend", "blend", (), {"sources": sources, "shards": 2}),
        (),
        "memory://bucket/blend",
        InlineRunner(),
    )
    blend(tmp_path / "blend", sources=sources, shards=2)
    for path, data in bytes_of(tmp_path / "blend", "documents", "excluded").items():
        assert storage.read_bytes(f"memory://bucket/blend/{path}") == data


def test_sources_are_mixed_in_every_output_shard(tmp_path, web, math):
    sources = {
        "web": {"input": web, "weight": 1},
        "math": {"input": math, "weight": 1, "max_epochs": None},
    }
    blend(tmp_path / "blend", sources=sources, tokens=6000)
    for shard in sorted((tmp_path / "blend/documents").iterdir()):
        (tmp_path / "one/documents").mkdir(parents=True, exist_ok=True)
        shard.rename(tmp_path / "one/documents/shard.parquet")
        names = [row["blend_source"] for row in rows_of(tmp_path / "one")]
        half = len(names) // 2
        assert len(set(names[:half])) == len(set(names[half:])) == 2


def test_the_number_of_shards_follows_the_size_unless_it_is_set(tmp_path, web, monkeypatch):
    monkeypatch.setattr("corpusmill.stages.blend.plan.SHARD_BYTES", 10_000)
    size = sum(len(row["text"].encode()) for row in documents("web", 300))
    manifest = run("blend", {"sources": {"web": {"input": web, "weight": 1}}}, tmp_path / "blend")
    assert len(manifest.documents()) == round(size / 10_000)


def test_documents_without_a_count_are_counted_by_the_tokenizer(tmp_path):
    rows = documents("web", 30, n_tokens=None)
    path = write_shard(tmp_path / "in.parquet", rows)
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    blend(tmp_path / "blend", sources={"web": {"input": path, "weight": 1}}, tokenizer=tokenizer)
    kept = rows_of(tmp_path / "blend")
    assert len(kept) == 30
    assert all(0 < row["n_tokens"] <= len(row["text"].encode()) for row in kept)


def test_recount_replaces_counts_of_another_tokenizer(tmp_path):
    path = write_shard(tmp_path / "in.parquet", documents("web", 5, n_tokens=1_000_000))
    settings = {"tokenizer": small_tokenizer(tmp_path / "tokenizer"), "recount": True}
    _, plan = blend(tmp_path / "blend", sources={"web": {"input": path, "weight": 1}}, **settings)
    assert plan["tokens"] < 10_000


def test_raw_files_are_read_through_the_readers(tmp_path):
    raw = tmp_path / "notes.jsonl"
    raw.write_text(
        '{"body": "eins zwei drei"}\nthis is no JSON\n{"body": "vier"}\n', encoding="utf-8"
    )
    sources = {"notes": {"input": str(raw), "weight": 1, "reader": {"text_column": "body"}}}
    manifest, _ = blend(
        tmp_path / "blend", sources=sources, tokenizer=small_tokenizer(tmp_path / "tokenizer")
    )
    rows = rows_of(tmp_path / "blend")
    assert {row["text"] for row in rows} == {"eins zwei drei", "vier"}
    assert {(row["source"], row["kind"]) for row in rows} == {("notes", "actual")}
    assert manifest.totals[0].failed == 1
    (failed,) = rows_of(tmp_path / "blend", "excluded")
    assert failed["reason"].startswith("error_read.")
    assert "notes.jsonl" in failed["detail"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": {}}, "sources is {}; wanted: mapping of text to .*at least one"),
        ({"sources": SOURCES, "tokens": 0}, "tokens is 0; wanted: int of at least 1"),
        ({"sources": SOURCES, "recount": True}, "recount needs a tokenizer"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        Blend(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": -1.0}, r"weight is .*wanted: float of at least 0"),
        ({"weight": float("inf")}, r"weight is .*wanted: float of at least 0"),
        (
            {"weight": 1.0, "max_epochs": float("nan")},
            r"max_epochs is .*wanted: float above 0 \| null",
        ),
        ({"weight": 1.0, "max_epochs": 0.0}, r"max_epochs is .*wanted: float above 0 \| null"),
        ({"weight": 1.0, "levels": ("top",)}, "no level 'top'.*medium_low"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        BlendSource(input="somewhere", **settings)


def test_documents_without_a_count_and_no_tokenizer_are_refused_with_the_mend(tmp_path):
    path = write_shard(tmp_path / "in.parquet", documents("web", 3, n_tokens=None))
    with pytest.raises(CorpusmillError, match=r"has no n_tokens.*set the blend's tokenizer"):
        blend(tmp_path / "blend", sources={"web": {"input": path, "weight": 1}})


def test_a_selection_that_finds_nothing_is_refused_by_name(tmp_path, web):
    with pytest.raises(RecipeError, match=r"source best has no tokens.*levels"):
        blend(tmp_path / "blend", sources={"best": {"input": web, "weight": 1, "levels": ["high"]}})


def test_pages_are_no_text_that_could_be_blended(tmp_path, web):
    crawl = tmp_path / "a.warc.gz"
    crawl.write_bytes(b"".join(pages(3)))
    sources = {"a": {"input": [web, str(crawl)], "weight": 1}}
    manifest = run(
        "blend",
        {"tokenizer": small_tokenizer(tmp_path / "tokenizer"), "sources": sources},
        tmp_path / "out",
    )
    (quarantined,) = manifest.quarantined
    assert (
        "a.warc.gz holds pages, not text; run `corpusmill extract` on it first"
        in quarantined["error"]
    )
