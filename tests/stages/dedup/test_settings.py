"""Settings of dedup: bandings, presets, partitions, and what is refused."""

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.recipe import Step, build_stage
from corpusmill.stages.dedup.stage import (
    KEY_PARTITION_BYTES,
    Dedup,
    default_partitions,
    key_partitions,
)


def test_a_threshold_chooses_bands_and_rows():
    assert Dedup(threshold=0.7, hashes=128, miss_weight=0.9).banding == (20, 6)
    with pytest.raises(RecipeError, match="threshold and bands"):
        Dedup(threshold=0.7, bands=3)


def test_presets_are_the_published_bandings():
    bandings = {
        preset: Dedup(preset=preset).banding for preset in ("fineweb", "nemotron_cc", "dolma")
    }
    assert bandings == {"fineweb": (14, 8), "nemotron_cc": (20, 13), "dolma": (26, 11)}
    assert Dedup().banding == (14, 8)
    assert Dedup(preset="dolma", bands=30).banding == (30, 11)


@pytest.mark.parametrize(
    "settings",
    [
        {"ngram": 0},
        {"bands": 0},
        {"verify_threshold": 0},
        {"verify_threshold": 80},
        {"seed": -1},
        {"max_comparisons": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    (key,) = settings
    with pytest.raises(RecipeError, match=key):
        Dedup(**settings)


def test_a_recipe_builds_the_stage_and_unknown_keys_are_refused():
    stage = build_stage(
        Step("dedup", "dedup", (), {"preset": "dolma", "survivor": "newest"}), lambda name: name
    )
    assert (stage.banding, stage.survivor) == ((26, 11), "newest")
    with pytest.raises(RecipeError, match="verify_treshold"):
        build_stage(Step("dedup", "dedup", (), {"verify_treshold": 0.8}), lambda name: name)


def test_partitions_follow_the_size_of_the_input():
    def artifact(text_bytes: int, size: int = 0) -> storage.Artifact:
        return storage.Artifact("x.parquet", "", size, text_bytes=text_bytes)

    assert default_partitions((artifact(10),)) == 1
    assert default_partitions((artifact(3 << 30), artifact(1))) == 4
    assert default_partitions((artifact(0, size=1 << 30),)) == 4
    assert default_partitions((artifact(1 << 50),)) == 1 << 16


def test_a_small_corpus_has_partitions_for_a_few_workers_if_each_is_worth_it():
    def partitions(text_bytes: int, rows: int = 1) -> int:
        return key_partitions((storage.Artifact("x.parquet", "", 0, rows, text_bytes),))

    assert [partitions(KEY_PARTITION_BYTES * n // 10) for n in (0, 19, 20, 35, 99)] == [
        1,
        1,
        2,
        3,
        4,
    ]
    assert partitions(9 << 30) == 9
    assert partitions(1, rows=7 << 20) == 7
