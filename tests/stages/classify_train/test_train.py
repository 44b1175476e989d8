"""Training: four scorers from two collections or from grades, with honest held-out figures.

The files are the same each time.
"""

import json
import random

import pytest
import zstandard
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.classifiers.tiny_encoders import write_encoder

GOOD = [
    "theorem",
    "proof",
    "energy",
    "of",
    "and",
    "is",
    "cell",
    "the",
    "a",
    "that",
    "which",
    "law",
    "heat",
]
BAD = [
    "price",
    "sale",
    "buy",
    "now",
    "login",
    "share",
    "cart",
    "click",
    "subscribe",
    "newsletter",
    "offer",
]
QUICK = {"dimension": 16, "bucket": 562_500, "epochs": 5}


def text(seed: int, share: float) -> str:
    """50 words. `share` of them are good ones."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(GOOD if chosen.random() < share else BAD) for _ in range(50))


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    return str(path)


def collection(path, share, number=80, first=0):
    return write(
        path,
        ({"id": str(seed), "text": text(seed, share)} for seed in range(first, first + number)),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {
        "positive": [
            collection(folder / "positive/books.jsonl.zst", 0.8),
            collection(folder / "positive/papers.jsonl", 0.8, 40, 1000),
        ],
        "negative": [collection(folder / "negative/crawl.jsonl.zst", 0.2, 200, 2000)],
        "encoder": write_encoder(folder / "encoder"),
    }


def settings(data, **changes):
    return {
        "positive": data["positive"],
        "negative": data["negative"],
        "fasttext": QUICK,
        "embedding": {"encoder": data["encoder"], "max_tokens": 60},
        "static": {"encoder": data["encoder"], "dimension": 8},
        "held_out": 0.25,
        **changes,
    }


def train(output, given):
    manifest = run_step(Step("classify-train", "train", (), given), (), str(output), InlineRunner())
    return manifest, json.loads((output / "models/report.json").read_text())


def test_four_scorers_learn_to_tell_the_collections_apart(data, tmp_path):
    manifest, report = train(tmp_path / "train", settings(data))
    assert set(report["models"]) == {"fasttext", "embedding", "static", "statistics"}
    for name, found in report["models"].items():
        assert (tmp_path / "train/models" / found["file"]).exists()
        assert found["held_out"]["auc"] > 0.9, name
        assert found["held_out"]["documents"] == sum(
            label["held_out"] for label in report["labels"].values()
        )
    assert {label: found["documents"] for label, found in report["labels"].items()} == {
        "0": 120,
        "1": 120,
    }
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept) == (320, 240)
    assert counts.unused == {"classify_train.not_sampled": 80}
    assert verify(str(tmp_path)).problems == []


def test_what_is_trained_can_be_used_by_classify(data, tmp_path):
    train(tmp_path / "train", settings(data))
    scorers = {
        "words": {"kind": "fasttext", "model": "step:train/models/fasttext.bin"},
        "meaning": {
            "kind": "embedding",
            "encoder": data["encoder"],
            "max_tokens": 60,
            "head": "step:train/models/embedding.safetensors",
        },
        "cheap": {"kind": "static", "model": "step:train/models/static.safetensors"},
        "shape": {"kind": "statistics", "model": "step:train/models/statistics.safetensors"},
    }
    from tests.stages.small_corpus import documents, write_shard

    rows = [{**row, "text": text(seed, seed / 40)} for seed, row in enumerate(documents("new", 40))]
    path = write_shard(tmp_path / "new.parquet", rows)
    manifest = run_step(
        Step("classify", "classify", (), {"scorers": scorers}),
        (path,),
        str(tmp_path / "classify"),
        InlineRunner(),
    )
    assert manifest.totals[0].kept == 40
    assert verify(str(tmp_path / "classify")).problems == []


def test_training_again_in_another_order_gives_the_same_bytes(data, tmp_path):
    train(tmp_path / "one", settings(data))
    train(tmp_path / "two", settings(data, positive=data["positive"][::-1]))
    names = [path.name for path in (tmp_path / "one/models").iterdir()]
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "one/models" / name).read_bytes() == (
            tmp_path / "two/models" / name
        ).read_bytes(), name


def test_a_large_file_does_not_drown_a_small_one(data, tmp_path):
    _, report = train(
        tmp_path / "train",
        settings(data, embedding=None, static=None, fasttext=None, documents_per_label=60),
    )
    assert report["labels"]["1"]["documents"] == 60
    from corpusmill.manifests.parquet_files import read_parquet

    taken = {
        path.name: sum(table.num_rows for table in read_parquet(str(path)))
        for path in (tmp_path / "train/work/select").glob("*.parquet")
    }
    assert taken == {
        "positive-books.parquet": 30,
        "positive-papers.parquet": 30,
        "negative-crawl.parquet": 60,
    }


def test_grades_are_regressed_and_judged_from_their_threshold_on(tmp_path, data):
    rows = [
        {"id": str(seed), "text": text(seed, seed % 6 / 5), "grade": seed % 6}
        for seed in range(240)
    ]
    path = write(tmp_path / "graded.jsonl.zst", rows)
    given = {
        "labelled": [path],
        "label_column": "grade",
        "fasttext": QUICK,
        "embedding": {"encoder": data["encoder"], "max_tokens": 60},
        "static": {"encoder": data["encoder"], "dimension": 8},
    }
    _, report = train(tmp_path / "train", given)
    assert report["threshold"] == 3.0
    for name in ("embedding", "static", "statistics"):
        assert report["models"][name]["mean_squared_error"] < 1.5, (
            "guessing the mean grade costs 2.9"
        )
        assert report["models"][name]["held_out"]["f1"] > 0.8
    assert report["models"]["fasttext"]["held_out"]["f1"] > 0.8


def test_one_side_without_text_is_refused(data, tmp_path):
    empty = write(tmp_path / "empty.jsonl", [{"id": "1", "text": " "}])
    with pytest.raises(ModelError, match=r"only documents labelled 1; .*records need text"):
        train(tmp_path / "train", settings(data, negative=[empty]))


def test_a_label_column_without_numbers_is_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": "some words", "label": "good"}] * 5)
    with pytest.raises(ModelError, match="`label_column` must name numbers"):
        train(tmp_path / "train", {"labelled": [path]})


def test_a_threshold_beyond_all_grades_is_refused(data, tmp_path):
    with pytest.raises(ModelError, match="no positive document to learn from"):
        train(tmp_path / "train", settings(data, threshold=4.0))


def test_a_missing_encoder_stops_the_stage_before_anything_is_read(data, tmp_path):
    with pytest.raises(ModelError, match="there is no encoder folder"):
        train(tmp_path / "train", settings(data, embedding={"encoder": str(tmp_path / "none")}))
    assert not (tmp_path / "train/receipts").exists()


def test_a_missing_table_stops_the_stage_before_anything_is_read(data, tmp_path):
    with pytest.raises(ModelError, match="there is no table of token vectors folder"):
        train(tmp_path / "train", settings(data, static={"table": str(tmp_path / "none")}))
    assert not (tmp_path / "train/receipts").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "set `positive` and `negative`, or `labelled`"),
        ({"positive": ["a"]}, "set both"),
        ({"positive": ["a"], "negative": ["b"], "labelled": ["c"]}, "or `labelled`"),
        ({"labelled": ["a"], "fasttext": None, "statistics": False}, "nothing to train"),
        ({"labelled": ["a"], "held_out": 1.5}, "held_out is 1.5; wanted: float above 0, below 1"),
    ],
)
def test_wrong_settings_are_refused_with_the_mend(tmp_path, given, message):
    with pytest.raises(RecipeError, match=message):
        train(tmp_path / "train", given)
