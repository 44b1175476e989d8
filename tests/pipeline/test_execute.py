"""A stage's run: resume by receipts, quarantine, balanced accounts, no leftovers.

Every runner writes the same bytes.
"""

import hashlib
import json
import os

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError, InputError, StorageError
from corpusmill.manifests.looking.verify import Verdict, verify
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Receipt, list_receipts, read_receipt
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.fused import Fused
from corpusmill.pipeline.ray_runner import RayRunner
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.pipeline.task import Failure
from corpusmill.stages.contract import Inputs

from tests.pipeline.sample_stages import CountAndCopy, DropShort, Failing, write_documents

TEXTS = {"a": ["one", "no", "three"], "b": ["four", "x"], "c": []}


def job(stage, folder, documents, **config):
    names = stage.accounts if isinstance(stage, Fused) else (stage.name,)
    return Job(stage, names, {stage.name: config}, Inputs(str(folder), documents), ())


def data_files(folder):
    """path -> digest, for all files except receipts and manifests."""
    return {
        path.removeprefix(str(folder)): hashlib.sha256(storage.read_bytes(path)).hexdigest()
        for path in finding.files_below(str(folder))
        if "/receipts/" not in path and not path.endswith("manifest.json")
    }


def test_a_map_stage_keeps_excludes_and_accounts_for_every_row(tmp_path):
    manifest = execute(
        job(Fused(stages=(DropShort(),)), tmp_path / "out", write_documents(tmp_path, TEXTS)),
        InlineRunner(),
    )
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.excluded, counts.failed) == (5, 3, {"short": 2}, 0)
    assert manifest.conserved
    assert sum(output.rows for output in manifest.documents()) == 3
    (row,) = [
        row
        for table in read_parquet(manifest.documents("excluded")[1])
        for row in table.to_pylist()
    ]
    assert (row["text"], row["stage"], row["reason"], row["length"]) == (
        "x",
        "drop_short",
        "short",
        1,
    )
    assert verify(str(tmp_path / "out")) == Verdict(6, [], [])


def test_a_record_that_breaks_the_stage_costs_only_itself(tmp_path):
    texts = [f"text {number}" for number in range(20)]
    texts[7] = "poison"
    manifest = execute(
        job(
            Fused(stages=(DropShort(),)), tmp_path / "out", write_documents(tmp_path, {"a": texts})
        ),
        InlineRunner(),
    )
    (counts,) = manifest.totals
    assert (counts.kept, counts.failed) == (19, 1)
    (row,) = [
        row
        for table in read_parquet(manifest.documents("excluded")[0])
        for row in table.to_pylist()
    ]
    assert row["reason"] == "error_drop_short.ValueError"
    assert row["detail"] == "a poisonous record"


def test_fused_stages_each_have_their_account(tmp_path):
    class Again(DropShort):
        name = "drop_shorter"

    fused = Fused(stages=(DropShort(), Again(minimum=5)))
    manifest = execute(
        job(fused, tmp_path / "out", write_documents(tmp_path, TEXTS)), InlineRunner()
    )
    assert [(counts.stage, counts.rows_in, counts.kept) for counts in manifest.totals] == [
        ("drop_short", 5, 3),
        ("drop_shorter", 3, 1),
    ]


def test_two_fused_stages_that_add_the_same_column_write_it_once(tmp_path):
    class Again(DropShort):
        name = "drop_shorter"

    fused = Fused(stages=(DropShort(), Again(minimum=5)))
    texts = [f"text {number}" for number in range(300)]
    manifest = execute(
        job(fused, tmp_path / "out", write_documents(tmp_path, {"a": texts})), InlineRunner()
    )
    (documents,), (dropped,) = manifest.documents(), manifest.documents("excluded")
    for written in (documents, dropped):
        names = schema_of(written).names
        assert len(names) == len(set(names))
    (table,) = read_parquet(documents)
    assert table["length"].to_pylist() == [len(text) for text in texts]


def test_a_second_run_does_nothing_again(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    first = execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    seconds = [receipt.seconds for receipt in list_receipts(str(tmp_path / "out"))]
    workers = [receipt.worker for receipt in list_receipts(str(tmp_path / "out"))]
    second = execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    assert first.digest == second.digest
    assert [receipt.seconds for receipt in list_receipts(str(tmp_path / "out"))] == seconds
    assert [receipt.worker for receipt in list_receipts(str(tmp_path / "out"))] == workers


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_output_is_made_again(tmp_path, damage):
    documents = write_documents(tmp_path, TEXTS)
    manifest = execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    before = data_files(tmp_path / "out")
    path = manifest.documents()[0].path
    if damage == "change":
        with open(path, "r+b") as file:
            file.seek(30)
            file.write(b"!!")
    else:
        storage.remove(path)
    assert verify(str(tmp_path / "out")).problems
    execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    assert data_files(tmp_path / "out") == before
    assert verify(str(tmp_path / "out")).problems == []


def test_shards_that_left_the_plan_leave_the_folder(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    execute(job(CountAndCopy(), tmp_path / "out", documents[:1]), InlineRunner())
    assert sorted(data_files(tmp_path / "out")) == [
        *("/README.md", "/documents/a.parquet", "/work/count/a.txt"),
    ]
    assert verify(str(tmp_path / "out")).problems == []


def test_both_runners_write_the_same_bytes(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    runner = RayRunner()
    try:
        for stage in (CountAndCopy(), Fused(stages=(DropShort(),))):
            here, there = tmp_path / f"{stage.name}-inline", tmp_path / f"{stage.name}-ray"
            inline = execute(job(stage, here, documents), InlineRunner())
            assert execute(job(stage, there, documents), runner).digest == inline.digest
            assert data_files(here) == data_files(there)
        lost = write_documents(tmp_path / "dying", {"dies": ["gone"], "good": ["stays"]})
        manifest = execute(job(Failing(), tmp_path / "lost", lost), runner)
        # Ray replaced the dead worker. Another worker did its shard.
        assert manifest.totals[0].kept == 2
    finally:
        runner.close()


def test_a_passing_fault_is_tried_again(tmp_path):
    documents = write_documents(tmp_path, {"flaky": ["text"]})
    manifest = execute(job(Failing(), tmp_path / "out", documents), InlineRunner())
    assert manifest.quarantined == []
    assert manifest.totals[0].kept == 1


def test_a_shard_that_fails_twice_is_quarantined_and_the_run_goes_on(tmp_path):
    documents = write_documents(tmp_path, {"bad": ["text"], "good": ["text"]})
    manifest = execute(job(Failing(), tmp_path / "out", documents), InlineRunner())
    assert manifest.quarantined == [
        {"pass": "copy", "shard": "bad", "error": "bad.parquet is damaged; make it again"}
    ]
    assert manifest.totals[0].kept == 1
    receipt = read_receipt(str(tmp_path / "out"), "copy", "bad")
    assert receipt is not None
    assert receipt.status == "quarantined"
    assert verify(str(tmp_path / "out")).problems == []


def test_when_every_shard_fails_the_run_stops_with_the_first_reason(tmp_path):
    with pytest.raises(InputError, match="is damaged"):
        execute(
            job(Failing(), tmp_path / "out", write_documents(tmp_path, {"bad": ["text"]})),
            InlineRunner(),
        )


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(tmp_path):
    documents = write_documents(tmp_path, {"a": ["text"], "full": ["text"]})
    with pytest.raises(StorageError, match="free space"):
        execute(job(Failing(), tmp_path / "out", documents), InlineRunner())
    assert read_receipt(str(tmp_path / "out"), "copy", "a") is not None


def test_a_folder_belongs_to_one_stage(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    with pytest.raises(CorpusmillError, match="holds the output of count_and_copy"):
        execute(job(Fused(stages=(DropShort(),)), tmp_path / "out", documents), InlineRunner())


def test_a_whole_stage_runs_on_an_object_store(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    manifest = execute(
        job(Fused(stages=(DropShort(),)), "memory://lake/out", documents), InlineRunner()
    )
    assert read_manifest("memory://lake/out").digest == manifest.digest
    assert verify("memory://lake/out") == Verdict(6, [], [])


def test_a_damaged_receipt_counts_as_not_done(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    manifest = execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    path = tmp_path / "out" / "receipts" / "copy" / "a.json"
    path.write_text(path.read_text()[:40])
    assert (
        execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner()).digest
        == manifest.digest
    )
    assert json.loads(path.read_text())["status"] == "done"


class KillsAWriter(InlineRunner):
    """After the first shard, leaves a partial file as of a killed worker."""

    def __init__(self, folder):
        self.left = folder / "documents" / ".z.parquet.nowhere-1-deadbeef.partial"

    def run(self, tasks, *, holds_engine):
        for found in super().run(tasks, holds_engine=holds_engine):
            if self.left.parent.exists() and not self.left.exists():
                self.left.write_bytes(b"PAR1")
                os.utime(self.left, (0, 0))
            yield found


def test_the_end_of_a_stage_removes_what_a_killed_worker_left(tmp_path):
    runner = KillsAWriter(tmp_path / "out")
    execute(job(CountAndCopy(), tmp_path / "out", write_documents(tmp_path, TEXTS)), runner)
    assert sorted(path.name for path in runner.left.parent.iterdir()) == [
        "a.parquet",
        "b.parquet",
        "c.parquet",
    ]


def test_of_the_receipts_only_those_of_shards_that_are_gone_are_read_at_the_end(
    tmp_path, monkeypatch
):
    documents = write_documents(tmp_path, TEXTS)
    execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    read: list[str] = []
    monkeypatch.setattr(Receipt, "from_json", recording(read, Receipt.from_json))
    execute(job(CountAndCopy(), tmp_path / "out", documents[:2]), InlineRunner())
    names = [path.removeprefix(f"{tmp_path}/out/receipts/") for path in read]
    assert sorted(names) == sorted(
        f"{step}/{name}.json" for step in ("count", "copy") for name in "abc"
    )
    assert not (tmp_path / "out/receipts/copy/c.json").exists()
    assert not (tmp_path / "out/documents/c.parquet").exists()


def recording(read, from_json):
    """`from_json`, which also records the path of each receipt that it reads."""

    def record(data, folder, path):
        read.append(path)
        return from_json(data, folder, path)

    return record


class LosesSight(InlineRunner):
    """Runs every task, then reports that its worker was lost."""

    def run(self, tasks, *, holds_engine):
        for task, result in super().run(tasks, holds_engine=holds_engine):
            yield task, Failure("the worker was lost") if isinstance(result, Receipt) else result


def test_a_worker_that_was_lost_after_its_work_has_done_it(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    seen = execute(job(CountAndCopy(), tmp_path / "seen", documents), InlineRunner())
    lost = execute(job(CountAndCopy(), tmp_path / "lost", documents), LosesSight())
    assert lost.quarantined == []
    assert lost.digest == seen.digest


@pytest.mark.parametrize("which", ["receipts/gone/old.json", "manifest.json"])
def test_an_unreadable_receipt_or_manifest_is_mended_by_the_next_run(tmp_path, which):
    documents = write_documents(tmp_path, TEXTS)
    first = execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    storage.write_bytes(str(tmp_path / "out" / which), b'{"half')
    assert (
        execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner()).digest
        == first.digest
    )
    assert verify(str(tmp_path / "out")).problems == []


def test_verify_names_a_shard_that_is_no_parquet_any_more(tmp_path):
    manifest = execute(
        job(CountAndCopy(), tmp_path / "out", write_documents(tmp_path, TEXTS)), InlineRunner()
    )
    path = manifest.documents()[0].path
    storage.write_bytes(path, b"PAR1")
    assert any(path in problem for problem in verify(str(tmp_path / "out")).problems)
