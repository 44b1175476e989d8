"""The classify stage: scores, thresholds, buckets, and levels by folder.

Every document is accounted for. The result is the same for any shards.
"""

import json
import random
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.fasttext_model import SMALLEST_MATRIX, FastTextTraining, trained
from corpusmill.classifiers.linear import LinearModel, fit_logistic
from corpusmill.classifiers.statistics_model import FEATURES, measure
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, LEVELS
from corpusmill.manifests.shard import Shard
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.classify import scoring
from corpusmill.stages.classify.scoring import one_ahead
from corpusmill.stages.classify.stage import Classify

from tests.classifiers.tiny_encoders import write_encoder

GOOD = (
    "the law of heat",
    "which is known",
    "a proof that",
    "was given by",
    "for all bodies",
    "in the theory of",
)
BAD = ("CLICK HERE!", "Sale »", "$99 $49", "Login © Share...", "Cart", "Buy Now!!")


def page(number: int) -> str:
    """A text between junk (number 0) and prose (number 100)."""
    chosen = random.Random(number)
    return " ".join(
        chosen.choice(GOOD if chosen.random() * 100 < number else BAD) for _ in range(40)
    )


def row(number: int, **columns):
    return {
        "id": f"document-{number:03d}",
        "text": page(number),
        "kind": "actual",
        "source": "test",
        **columns,
    }


def write(path: Path, rows, schema=DOCUMENT) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, row_group_size=7)
    return str(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    texts = [page(number) for number in (*range(30), *range(71, 101))]
    labels = np.repeat([0.0, 1.0], 30)
    shape = fit_logistic(measure(texts), labels, {"features": list(FEATURES)})
    (folder / "shape.safetensors").write_bytes(shape.to_bytes())
    settings = FastTextTraining(dimension=16, bucket=SMALLEST_MATRIX // 16, epochs=5)
    with trained(zip(texts, labels > 0, strict=True), settings) as path:
        (folder / "words.bin").write_bytes(Path(path).read_bytes())
    return folder


def scorers(models: Path) -> dict:
    return {
        "shape": {"kind": "statistics", "model": str(models / "shape.safetensors")},
        "words": {"kind": "fasttext", "model": str(models / "words.bin")},
    }


def one_scorer(path: Path, feature: str, weight: float) -> dict:
    """A real linear model that looks at a single statistic."""
    weights = np.zeros(len(FEATURES))
    weights[FEATURES.index(feature)] = weight
    nothing, one = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    path.write_bytes(
        LinearModel(weights, nothing, one, 0.0, "identity", {"features": list(FEATURES)}).to_bytes()
    )
    return {"only": {"kind": "statistics", "model": str(path)}}


def classify(output: Path, settings, *inputs: str):
    return run_step(Step("classify", "classify", (), settings), inputs, str(output), InlineRunner())


def rows_below(folder: Path) -> list[dict]:
    return [
        row
        for path in sorted(folder.rglob("*.parquet"))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]


def files_of(folder: Path) -> dict[str, bytes]:
    """All that `folder` holds for later passes, stages and runs."""
    parts = ("documents", "excluded", "work/score", "work/histogram", "work/thresholds")
    paths = (path for part in parts for path in (folder / part).rglob("*"))
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if path.is_file() and path.name != "inputs.json"
    }


def test_better_pages_come_into_higher_levels(models, tmp_path):
    manifest = classify(
        tmp_path / "out",
        {"scorers": scorers(models)},
        write(tmp_path / "a.parquet", map(row, range(100))),
    )
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.failed) == (100, 100, 0)
    mean = {}
    for level in LEVELS:
        found = rows_below(tmp_path / "out" / "documents" / f"level={level}")
        assert {item["level"] for item in found} == {level}
        mean[level] = np.mean([int(item["id"][-3:]) for item in found])
    assert list(mean.values()) == sorted(mean.values())
    assert mean["high"] > 80
    assert mean["low"] < 30


def test_quality_is_the_highest_bucket_and_decides_the_level(models, tmp_path):
    classify(
        tmp_path / "out",
        {"scorers": scorers(models)},
        write(tmp_path / "a.parquet", map(row, range(100))),
    )
    for item in rows_below(tmp_path / "out" / "documents"):
        assert item["quality"] == max(item["bucket_shape"], item["bucket_words"])
        assert item["level"] == LEVELS[sum(item["quality"] >= border for border in (7, 12, 18, 19))]
        assert 0 <= item["score_shape"] <= 1
        assert 0 <= item["score_words"] <= 1


def test_the_mean_of_the_buckets_can_decide_instead(models, tmp_path):
    path = write(tmp_path / "in.parquet", [row(number) for number in range(40)])
    settings = {"scorers": scorers(models), "combine": "mean"}
    classify(tmp_path / "out", settings, path)
    rows = rows_below(tmp_path / "out/documents")
    assert len(rows) == 40
    buckets = [[row[name] for name in row if name.startswith("bucket_")] for row in rows]
    means = [int(sum(found) / len(found) + 0.5) for found in buckets]
    assert [row["quality"] for row in rows] == means
    assert any(mean < max(found) for mean, found in zip(means, buckets, strict=True))


def test_borders_can_be_moved(models, tmp_path):
    settings = {"scorers": scorers(models), "borders": [1, 2, 3, 4]}
    classify(tmp_path / "out", settings, write(tmp_path / "a.parquet", map(row, range(60))))
    found = rows_below(tmp_path / "out" / "documents" / "level=high")
    assert {item["quality"] for item in found} == set(range(4, 20))


def test_every_shard_writes_every_level_even_an_empty_one(models, tmp_path):
    inputs = [
        write(tmp_path / "in/a.parquet", map(row, range(30))),
        write(tmp_path / "in/none.parquet", []),
    ]
    classify(tmp_path / "out", {"scorers": scorers(models)}, *inputs)
    written = {
        str(path.relative_to(tmp_path / "out/documents"))
        for path in (tmp_path / "out/documents").rglob("*.parquet")
    }
    assert written == {
        f"level={level}/kind=actual/{name}.parquet" for level in LEVELS for name in ("a", "none")
    }
    assert verify(str(tmp_path / "out")).problems == []


def test_nothing_but_empty_shards_is_fine(models, tmp_path):
    manifest = classify(
        tmp_path / "out", {"scorers": scorers(models)}, write(tmp_path / "none.parquet", [])
    )
    assert manifest.totals[0].rows_in == 0
    thresholds = json.loads((tmp_path / "out/work/thresholds/thresholds.json").read_text())
    assert thresholds["scorers"]["shape"]["edges"] == [None] * 19


def test_synthetic_documents_lie_apart(models, tmp_path):
    rows = [row(number, kind="synthetic" if number % 3 else "actual") for number in range(60)]
    classify(tmp_path / "out", {"scorers": scorers(models)}, write(tmp_path / "a.parquet", rows))
    for level in LEVELS:
        for kind in ("actual", "synthetic"):
            found = rows_below(tmp_path / "out" / "documents" / f"level={level}" / f"kind={kind}")
            assert {item["kind"] for item in found} <= {kind}
    assert len(rows_below(tmp_path / "out/documents")) == 60


def test_missing_and_undecodable_text_costs_only_its_row(models, tmp_path):
    table = pa.Table.from_pylist([row(number) for number in range(12)], schema=DOCUMENT)
    values = [text.encode() for text in table["text"].to_pylist()]
    values[3], values[8] = None, b"\xff\xfe broken"
    broken = pa.array(values, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(1, table.schema.field(1), broken), tmp_path / "a.parquet")
    manifest = classify(tmp_path / "out", {"scorers": scorers(models)}, str(tmp_path / "a.parquet"))
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.failed) == (12, 10, 2)
    found = pq.read_table(
        tmp_path / "out/excluded/a.parquet", columns=["id", "stage", "reason", "score_words"]
    )
    assert found["id"].to_pylist() == ["document-003", "document-008"]
    assert set(found["reason"].to_pylist()) == {"error_classify.no_text"}
    assert found["score_words"].null_count == 2


def test_a_text_without_a_score_is_excluded_by_the_name_of_its_scorer(tmp_path):
    """A weight exceeds float32: texts with digits get an infinite score, the others 0."""
    rows = [row(number, text="a word" if number % 2 else "a 7") for number in range(10)]
    settings = {"scorers": one_scorer(tmp_path / "m.safetensors", "digit_share", 1e300)}
    manifest = classify(tmp_path / "out", settings, write(tmp_path / "a.parquet", rows))
    assert (manifest.totals[0].kept, manifest.totals[0].failed) == (5, 5)
    assert {item["reason"] for item in rows_below(tmp_path / "out/excluded")} == {
        "error_classify.only"
    }
    thresholds = json.loads((tmp_path / "out/work/thresholds/thresholds.json").read_text())
    assert thresholds["scorers"]["only"]["documents"] == 5, (
        "what one scorer cannot judge counts for none"
    )


def test_a_scorer_that_says_the_same_of_everything_lifts_nothing(models, tmp_path):
    constant = one_scorer(tmp_path / "m.safetensors", "digit_share", 0.0)
    path = write(tmp_path / "a.parquet", map(row, range(50)))
    classify(tmp_path / "with", {"scorers": {**scorers(models), **constant}}, path)
    classify(tmp_path / "without", {"scorers": scorers(models)}, path)
    quality = [
        {item["id"]: item["quality"] for item in rows_below(tmp_path / name / "documents")}
        for name in ("with", "without")
    ]
    assert quality[0] == quality[1]


def test_the_cut_does_not_depend_on_how_documents_are_spread_over_shards(models, tmp_path):
    rows = [row(number) for number in range(60)]
    whole = write(tmp_path / "whole/a.parquet", rows)
    parts = [write(tmp_path / f"parts/{name}.parquet", rows[name::3]) for name in range(3)]
    classify(tmp_path / "one", {"scorers": scorers(models)}, whole)
    classify(tmp_path / "three", {"scorers": scorers(models)}, *reversed(parts))
    one, three = (tmp_path / name / "work/thresholds/thresholds.json" for name in ("one", "three"))
    assert one.read_bytes() == three.read_bytes()
    quality = [
        {item["id"]: item["quality"] for item in rows_below(tmp_path / name / "documents")}
        for name in ("one", "three")
    ]
    assert quality[0] == quality[1]


def test_two_runs_write_the_same_bytes(models, tmp_path):
    paths = [write(tmp_path / f"{name}.parquet", map(row, range(name, 60, 2))) for name in range(2)]
    found = []
    for name, inputs in (("first", paths), ("second", paths[::-1])):
        classify(tmp_path / name, {"scorers": scorers(models)}, *inputs)
        found.append(files_of(tmp_path / name))
    assert found[0] == found[1]


def test_encoders_that_may_use_a_gpu_score_first_and_nothing_else_changes(
    models, tmp_path, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    encoder = {
        "kind": "embedding",
        "encoder": write_encoder(tmp_path / "encoder", outputs=1, bias=2.5),
        "max_tokens": 16,
    }
    rows = [row(number, text=None if number == 4 else page(number)) for number in range(40)]
    paths = [write(tmp_path / f"{name}.parquet", rows[name::2]) for name in range(2)]
    for name, device in (("one", "cpu"), ("two", "auto")):
        meaning = {"meaning": {**encoder, "device": device}}
        names = {**scorers(models), **meaning, "again": {**encoder, "device": "cpu"}}
        manifest = classify(tmp_path / name, {"scorers": names}, *paths)
        assert (manifest.totals[0].kept, manifest.totals[0].failed) == (39, 1)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert [path.name for path in sorted((tmp_path / "two/work/encode").rglob("*.parquet"))] == [
        "0.parquet",
        "1.parquet",
    ]
    assert not (tmp_path / "one/work/encode").exists()
    assert verify(str(tmp_path)).problems == []


def test_a_gpu_that_is_not_there_is_missed_before_any_stage_runs(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    stage = Classify(scorers={"a": EmbeddingScorer(encoder="a", device="cuda")})
    with pytest.raises(ModelError, match="device is cuda but there is no CUDA device here"):
        stage.refuse_early(here=True)
    stage.refuse_early(here=False)


def test_encoders_alone_need_no_pass_of_their_own():
    stage = Classify(scorers={"a": EmbeddingScorer(encoder="a"), "b": EmbeddingScorer(encoder="b")})
    assert stage.apart() == {}


def test_batches_that_are_read_ahead_keep_their_order_and_their_error():
    def read():
        for number in range(5):
            yield pa.table({"id": [str(number)]}), [str(number)]
        raise InputError("the file is damaged", "make it again")

    batches = one_ahead(read())
    assert [next(batches)[1] for _ in range(5)] == [["0"], ["1"], ["2"], ["3"], ["4"]]
    with pytest.raises(InputError, match="the file is damaged"):
        next(batches)


def test_the_next_batch_is_read_while_the_caller_works_on_one():
    read = [threading.Event() for _ in range(3)]

    def reading():
        for number, event in enumerate(read):
            event.set()
            yield pa.table({"id": [str(number)]}), [str(number)]

    batches = one_ahead(reading())
    for number in range(2):
        assert next(batches)[1] == [str(number)]
        assert read[number + 1].wait(10), "nobody asked for it yet"
    assert next(batches)[1] == ["2"]


@pytest.mark.parametrize(("device", "ahead"), [("cuda", True), ("cpu", False)])
def test_an_encoder_on_a_gpu_has_its_next_batch_read_meanwhile(
    tmp_path, monkeypatch, device, ahead
):
    second = threading.Event()
    found = []

    def readable(column):
        if column[0].as_py() == page(4):
            second.set()
        return column.to_pylist()

    class Stub(EmbeddingScorer):
        def score(self, texts):
            found.append(second.wait(10 if ahead else 0.2))
            return np.full(len(texts), len(found), dtype=np.float32)

    monkeypatch.setattr(scoring, "device_of", lambda scorer: device)
    monkeypatch.setattr(scoring, "rows_at_a_time", lambda scorer: 4)
    monkeypatch.setattr(scoring, "readable_texts", readable)
    file = storage.artifact_of(write(tmp_path / "in.parquet", map(row, range(7))))
    scoring.encode({"a": Stub(encoder="none")}, Shard("a", (file,), str(tmp_path / "out")))
    assert found == [ahead, True]
    assert [item["a"] for item in rows_below(tmp_path / "out")] == [1.0] * 4 + [2.0] * 3


def test_thresholds_of_one_snapshot_sort_the_next(models, tmp_path):
    classify(
        tmp_path / "old",
        {"scorers": scorers(models)},
        write(tmp_path / "old.parquet", map(row, range(100))),
    )
    settings = {
        "scorers": scorers(models),
        "thresholds": str(tmp_path / "old/work/thresholds/thresholds.json"),
    }
    good = write(tmp_path / "good.parquet", map(row, range(90, 100)))
    classify(tmp_path / "new", settings, good)
    before = {item["id"]: item["quality"] for item in rows_below(tmp_path / "old/documents")}
    after = {item["id"]: item["quality"] for item in rows_below(tmp_path / "new/documents")}
    assert after == {name: before[name] for name in after}
    assert min(after.values()) > 10, "by their own measure half of them would be below 10"


def test_thresholds_of_other_models_or_scorers_are_refused(models, tmp_path):
    classify(
        tmp_path / "old",
        {"scorers": scorers(models)},
        write(tmp_path / "old.parquet", map(row, range(20))),
    )
    thresholds = str(tmp_path / "old/work/thresholds/thresholds.json")
    other = one_scorer(tmp_path / "m.safetensors", "digit_share", 1.0)
    path = write(tmp_path / "new.parquet", map(row, range(20)))
    with pytest.raises(ModelError, match="no thresholds for the scorer only; it has shape, words"):
        classify(tmp_path / "new", {"scorers": other, "thresholds": thresholds}, path)
    with pytest.raises(ModelError, match="another model of the scorer shape"):
        classify(
            tmp_path / "new", {"scorers": {"shape": other["only"]}, "thresholds": thresholds}, path
        )


def test_columns_of_earlier_stages_stay_and_scores_can_be_renewed(models, tmp_path):
    schema = pa.schema([*DOCUMENT, ("stat_words", pa.int32())])
    rows = [row(number, stat_words=number) for number in range(30)]
    path = write(tmp_path / "a.parquet", rows, schema)
    classify(tmp_path / "first", {"scorers": scorers(models)}, path)
    classify(tmp_path / "second", {"scorers": scorers(models)}, str(tmp_path / "first"))
    for item in rows_below(tmp_path / "second/documents"):
        assert item["stat_words"] == int(item["id"][-3:])
        assert item["text"] == page(item["stat_words"])
    assert len(rows_below(tmp_path / "second/documents")) == 30
    assert verify(str(tmp_path)).problems == []


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_table_from_elsewhere_needs_no_more_than_id_and_text(
    models, tmp_path, monkeypatch, device
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    encoder = write_encoder(tmp_path / "encoder", outputs=1, bias=2.5)
    meaning = {"kind": "embedding", "encoder": encoder, "max_tokens": 16, "device": device}
    columns = {
        "id": pa.array(["a", "b"], pa.large_string()),
        "text": pa.array([page(5), page(95)], pa.large_string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    settings = {"scorers": {**scorers(models), "meaning": meaning}}
    classify(tmp_path / "out", settings, str(tmp_path / "a.parquet"))
    bucket = {item["id"]: item["bucket_words"] for item in rows_below(tmp_path / "out/documents")}
    assert bucket["a"] < bucket["b"]


def test_a_text_column_that_is_no_text_is_named(models, tmp_path):
    pq.write_table(pa.table({"id": ["a"], "text": [["a list"]]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"column 'text' is list<.*>, not string"):
        classify(tmp_path / "out", {"scorers": scorers(models)}, str(tmp_path / "a.parquet"))


def test_a_missing_model_stops_the_stage_before_anything_is_read(tmp_path):
    settings = {"scorers": {"words": {"kind": "fasttext", "model": str(tmp_path / "none.bin")}}}
    with pytest.raises(ModelError, match=r"none\.bin does not exist; check the setting"):
        classify(tmp_path / "out", settings, write(tmp_path / "a.parquet", map(row, range(3))))
    assert not (tmp_path / "out/receipts").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scorers": {}}, "scorers is {}; wanted: mapping of text to .*, at least one"),
        ({"scorers": {"Two Words": {"kind": "statistics", "model": "m"}}}, "lower-case"),
        ({"scorers": {"text": {"kind": "statistics", "model": "m"}}}, "of a column of documents"),
        (
            {"scorers": {"a": {"kind": "statistics", "model": "m"}}, "borders": [7, 7, 18, 19]},
            "four ascending",
        ),
        ({"scorers": {"a": {"kind": "guess", "model": "m"}}}, "classify.scorers.a"),
        ({"scorers": {"a": {"kind": "fasttext", "path": "m"}}}, "classify.scorers.a"),
    ],
)
def test_wrong_settings_are_refused_with_the_key_or_the_mend(tmp_path, settings, message):
    with pytest.raises(RecipeError, match=message):
        classify(tmp_path / "out", settings, str(tmp_path))


def test_the_stage_declares_its_columns():
    stage = Classify(scorers={"a": one_config()})
    assert [field.name for field in stage.adds()] == ["score_a", "bucket_a"]


def one_config():
    from corpusmill.classifiers.statistics_model import StatisticsScorer

    return StatisticsScorer(model="m")
