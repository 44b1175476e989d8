"""A run each night over an input that grows does only what is new."""

import os

import pytest
from corpusmill.manifests.receipt import list_receipts
from corpusmill.pipeline import api
from corpusmill.pipeline.recipe import Recipe, Step

WORDS = ("mountain", "harbour", "market", "library", "bridge", "garden", "railway", "castle")


def text(night, number):
    place = WORDS[(night + number) % len(WORDS)]
    return (
        f"On day {night} the old {place} was closed for repairs, and {number} people wrote to us "
        f"about it. The {place} will open again when the {WORDS[number]} is ready. "
    ) * 4


def add(folder, night):
    """The files of one night: two with texts of their own."""
    for part in range(2):
        page = "\n\n".join(text(night, number) for number in range(part * 4, part * 4 + 4))
        (folder / f"night-{night}-{part}.txt").write_text(page)


@pytest.fixture
def recipe(tmp_path):
    return Recipe(
        "nightly",
        (str(tmp_path / "crawl"),),
        (
            Step("extract", "extract", (), {"languages": []}),
            Step("filter", "filter", (), {"families": ["c4"]}),
            Step("dedup", "dedup", (), {}),
        ),
    )


def test_the_second_night_does_the_new_files_only(tmp_path, recipe):
    crawl, out = tmp_path / "crawl", tmp_path / "out"
    crawl.mkdir()
    add(crawl, 1)
    first = api.run(recipe, str(out), runner="inline")
    assert [manifest.work.reused for manifest in first] == [0, 0, 0]
    shards = {path: os.stat(path).st_mtime_ns for path in out.glob("*/documents/*night-1*")}
    assert shards
    receipts = {receipt.shard for receipt in list_receipts(str(out / "extract"))}
    add(crawl, 2)
    second = api.run(recipe, str(out), runner="inline")
    by_step = {manifest.stages[-1]: manifest for manifest in second}
    for step in ("extract", "filter"):
        work = by_step[step].work
        assert (work.made, work.reused) == (2, 2)
    assert by_step["dedup"].work.reused > 0  # the signatures of the first night
    new = {receipt.shard for receipt in list_receipts(str(out / "extract"))} - receipts
    assert new == {"night-2-0", "night-2-1"}
    assert {
        path: os.stat(path).st_mtime_ns for path in shards if path.parts[-3] != "dedup"
    }.items() <= shards.items()
    third = api.run(recipe, str(out), runner="inline")
    assert [manifest.work.made for manifest in third] == [0, 0, 0]
    whole = api.run(recipe, str(tmp_path / "whole"), runner="inline")
    assert [manifest.totals[-1].kept for manifest in third] == [
        manifest.totals[-1].kept for manifest in whole
    ]
    assert [[item.digest for item in manifest.outputs] for manifest in third] == [
        [item.digest for item in manifest.outputs] for manifest in whole
    ]
