"""A lost row is noticed: each fault ends the run. The message names stage, shard and rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.accounts import LostRows
from corpusmill.stages.contract import Outcome
from corpusmill.stages.filter.stage import Filter
from corpusmill.stages.pack import stage as pack
from corpusmill.stages.shuffle import row_groups, streams
from corpusmill.stages.tokenizer import stage as tokenizer
from corpusmill.trainer import data as trainer_data

from tests.stages.small_corpus import documents, run, small_tokenizer, write_shard

NO_RULES: dict[str, list[str]] = {"families": []}


@pytest.fixture
def web(tmp_path):
    for number in range(3):
        rows = documents(f"web{number}", 40, url=f"https://example{number}.org/")
        write_shard(tmp_path / f"web/{number:05d}.parquet", rows)
    return str(tmp_path / "web")


def lose_last(table):
    return table.slice(0, max(0, table.num_rows - 1))


def double_first(table):
    return pa.concat_tables([table.slice(0, 1), table])


def swap_for_another(table):
    """The same number of rows, but the last one is a copy of the first."""
    return pa.concat_tables([lose_last(table), table.slice(0, 1)]) if table.num_rows > 1 else table


FAULTS = pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lose_last, r"received \d+ rows"),
        (double_first, r"received \d+ rows"),
        (swap_for_another, "received as many rows, but not the same ones"),
    ],
)


def once(monkeypatch, module, name, fault):
    """Damage a function's result once, at the first table that has rows."""
    right = getattr(module, name)
    done: list[bool] = []

    def wrong(*arguments):
        table = right(*arguments)
        if table.num_rows > 1 and not done:
            done.append(True)
            return fault(table)
        return table

    monkeypatch.setattr(module, name, wrong)


@FAULTS
@pytest.mark.parametrize(
    ("verb", "settings"),
    [
        ("blend", {"shards": 2, "sources": {"web": {"input": "WEB", "weight": 1}}}),
        ("substring", {"part_bytes": 2000, "min_bytes": 50}),
    ],
)
def test_a_row_lost_doubled_or_swapped_between_passes(
    tmp_path, monkeypatch, web, verb, settings, fault, said
):
    given = json.loads(json.dumps(settings).replace("WEB", web))
    once(monkeypatch, streams, "_within", fault)
    with pytest.raises(
        LostRows, match=rf"^{verb}: shard \S*0000\d\S* of the pass shuffle .*{said}"
    ):
        run(verb, given, tmp_path / verb, *([web] if verb == "substring" else []))
    assert not (tmp_path / verb / "manifest.json").exists()


@FAULTS
def test_a_row_lost_doubled_or_swapped_while_it_is_collected(
    tmp_path, monkeypatch, web, fault, said
):
    monkeypatch.setattr("corpusmill.stages.shuffle.exchange.FAN_IN", 2)
    right = streams._merged
    done: list[bool] = []

    def wrong(pieces):
        table = right(pieces)
        if table is None or table.num_rows < 2 or done:
            return table
        done.append(True)
        return fault(table)

    monkeypatch.setattr(streams, "_merged", wrong)
    with pytest.raises(LostRows, match=rf"of the pass collect-shuffle .*{said}"):
        run(
            "blend",
            {"shards": 2, "sources": {"web": {"input": web, "weight": 1}}},
            tmp_path / "blend",
        )


@FAULTS
def test_a_key_lost_doubled_or_swapped_in_dedup(tmp_path, monkeypatch, web, fault, said):
    right = row_groups._groups
    done: list[bool] = []

    def wrong(*arguments):
        for table in right(*arguments):
            if table.num_rows > 1 and not done:
                done.append(True)
                table = fault(table)
            yield table

    monkeypatch.setattr(row_groups, "_groups", wrong)
    with pytest.raises(LostRows, match=rf"^dedup: shard \S+ of the pass sign .*{said}"):
        run("dedup", {}, tmp_path / "dedup", web)


@pytest.mark.parametrize(("side", "settings"), [("kept", NO_RULES), ("excluded", {})])
def test_a_row_lost_in_a_stages_own_work(tmp_path, monkeypatch, web, side, settings):
    right = Filter.apply

    def wrong(self: Filter, table: pa.Table) -> Outcome:
        found = right(self, table)
        return found._replace(**{side: lose_last(getattr(found, side))})

    monkeypatch.setattr(Filter, "apply", wrong)
    with pytest.raises(
        LostRows,
        match=r"^filter, shard 00000: the account of filter does not balance: 40 read, 39",
    ):
        run("filter", settings, tmp_path / "filter", web)


def test_a_document_that_pack_loses(tmp_path, monkeypatch, web):
    right = pack._token_rows

    def wrong(*arguments):
        for rows, empty in right(*arguments):
            yield lose_last(rows), empty

    monkeypatch.setattr(pack, "_token_rows", wrong)
    with pytest.raises(LostRows, match=r"pack, shard 00000.* 40 read, 39 kept"):
        run("pack", {"tokenizer": small_tokenizer(tmp_path)}, tmp_path / "pack", web)


def test_a_text_that_the_tokenizer_does_not_get(tmp_path, monkeypatch, web):
    once_read: list[bool] = []
    right = tokenizer.read_parquet

    def wrong(artifact, columns=None):
        for table in right(artifact, columns):
            sample = "text" in table.column_names
            once_read.append(sample)
            yield lose_last(table) if sample and once_read.count(True) == 1 else table

    monkeypatch.setattr(tokenizer, "read_parquet", wrong)
    settings = {"vocab_size": 400, "min_frequency": 1}
    with pytest.raises(LostRows, match=r"tokenizer: shard 00000 of the pass sample sent 40 rows"):
        run("tokenizer", settings, tmp_path / "tokenizer", web)


def test_a_document_that_the_trainer_does_not_count(tmp_path, monkeypatch, web):
    folder = small_tokenizer(tmp_path)
    run("pack", {"tokenizer": folder}, tmp_path / "pack", web)
    right = trainer_data.PackedStream.documents_from
    monkeypatch.setattr(
        trainer_data.PackedStream, "documents_from", lambda *given: max(0, right(*given) - 1)
    )
    model = {
        "pattern": "M*-",
        "hidden_size": 32,
        "ffn_size": 64,
        "vocab_size": 1024,
        "mamba_heads": 4,
        "mamba_head_dim": 16,
        "mamba_state": 16,
        "mamba_groups": 1,
        "attention_heads": 2,
        "key_value_heads": 1,
    }
    settings = {
        "model": model,
        "sequence_length": 32,
        "batch_size": 2,
        "steps": 2,
        "warmup_steps": 0,
        "device": "cpu",
    }
    with pytest.raises(LostRows, match=r"train, shard model.* 120 read"):
        run("train", settings, tmp_path / "train", str(tmp_path / "pack"))


def test_an_input_that_is_read_in_part(tmp_path, monkeypatch, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    from corpusmill.manifests import shard

    right = shard.read_parquet

    def wrong(artifact, columns=None):
        return (lose_last(table) for table in right(artifact, columns))

    monkeypatch.setattr(shard, "read_parquet", wrong)
    with pytest.raises(
        LostRows, match=r"redact, shard 00000.* read 39 of the 40 rows of .*00000.parquet"
    ):
        run("redact", {}, tmp_path / "redact", str(tmp_path / "filter"))


def test_a_truncated_input_names_stage_and_shard(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    cut = tmp_path / "filter/documents/00001.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    manifest = run("redact", {}, tmp_path / "redact", str(tmp_path / "filter"))
    assert [item["shard"] for item in manifest.quarantined] == ["00001"]
    assert "00001.parquet has" in manifest.quarantined[0]["error"]
    problems = verify(str(tmp_path)).problems
    assert any("00001.parquet has changed" in problem for problem in problems)


def test_verify_compares_parquet_footers_with_receipts(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    path = tmp_path / "filter/receipts/filter/00000.json"
    receipt = json.loads(path.read_text())
    (output,) = [item for item in receipt["outputs"] if "documents/" in item["path"]]
    output["rows"] += 1
    path.write_text(json.dumps(receipt))
    problems = verify(str(tmp_path)).problems
    assert any("holds 40 rows, its receipt says 41" in problem for problem in problems)


def test_verify_sees_a_file_that_no_shard_read(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    run("redact", {}, tmp_path / "redact", str(tmp_path / "filter"))
    path = tmp_path / "redact/receipts/redact/00002.json"
    receipt = json.loads(path.read_text())
    for artifact in receipt["inputs"]:
        artifact["path"] = artifact["path"].replace("00002.parquet", "00001.parquet")
    path.write_text(json.dumps(receipt))
    problems = verify(str(tmp_path)).problems
    assert any("no shard read" in problem and "00002.parquet" in problem for problem in problems)


def test_verify_knows_the_files_that_shards_read_before_their_folder_was_moved(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "old/filter", web)
    run("redact", {}, tmp_path / "old/redact", str(tmp_path / "old/filter"))
    (tmp_path / "old").rename(tmp_path / "new")
    write_shard(tmp_path / "web/00003.parquet", documents("more", 40))
    run("filter", NO_RULES, tmp_path / "new/filter", web)
    manifest = run("redact", {}, tmp_path / "new/redact", str(tmp_path / "new/filter"))
    assert [output.name for output in manifest.documents()][-1] == "00003.parquet"
    assert verify(str(tmp_path / "new")).problems == []


def test_verify_says_once_that_a_receipt_is_lost(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    run("redact", {}, tmp_path / "redact", str(tmp_path / "filter"))
    (tmp_path / "redact/receipts/redact/00002.json").unlink()
    (problem,) = verify(str(tmp_path)).problems
    assert "receipt" in problem
    assert "again" in problem


def test_every_stage_says_which_account_it_keeps(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    manifest = json.loads((tmp_path / "filter/manifest.json").read_text())
    assert (manifest["account"], manifest["unit"]) == ("one_to_one", "documents")
    assert pq.read_metadata(tmp_path / "filter/documents/00000.parquet").num_rows == 40
    assert issubclass(LostRows, CorpusmillError)


def test_inputs_that_were_moved_or_are_named_otherwise_are_reused(tmp_path, monkeypatch, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    run("dedup", {}, tmp_path / "dedup", str(tmp_path / "filter"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filter").rename(tmp_path / "moved")
    for name in (str(tmp_path / "moved"), "moved", "./moved"):
        manifest = run("dedup", {}, tmp_path / "dedup", name)
        assert manifest.work.made == 0
    assert verify(str(tmp_path / "dedup")).problems == []


def test_a_quarantined_reader_is_no_lost_row(tmp_path, monkeypatch, web):
    right = streams.read_streams

    def wrong(shard, destination, artifacts):
        if destination == 0:
            raise RuntimeError("a fault that stays")
        return right(shard, destination, artifacts)

    monkeypatch.setattr("corpusmill.stages.blend.copies.read_streams", wrong)
    settings = {"shards": 2, "sources": {"web": {"input": web, "weight": 1}}}
    manifest = run("blend", settings, tmp_path / "blend")
    assert [item["shard"] for item in manifest.quarantined] == ["00000"]
    assert verify(str(tmp_path / "blend")).problems == []


def test_a_fault_that_came_once_is_mended_by_the_same_command(tmp_path, monkeypatch, web):
    settings = {"shards": 2, "sources": {"web": {"input": web, "weight": 1}}}
    with monkeypatch.context() as patched:
        once(patched, streams, "_within", lose_last)
        with pytest.raises(LostRows, match="run the same command again"):
            run("blend", settings, tmp_path / "blend")
    run("blend", settings, tmp_path / "blend")
    assert verify(str(tmp_path / "blend")).problems == []


def test_a_row_lost_beside_a_quarantined_shard_is_seen(tmp_path, monkeypatch, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    cut = tmp_path / "filter/documents/00001.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    from corpusmill.manifests.parquet_output import ParquetOutput

    right = ParquetOutput.write

    def wrong(self, table):
        right(self, lose_last(table) if "documents" in str(self) or table.num_rows > 1 else table)

    monkeypatch.setattr(ParquetOutput, "write", wrong)
    with pytest.raises(LostRows, match=r"redact counts 80 rows for documents/ and wrote 78"):
        run("redact", {}, tmp_path / "redact", str(tmp_path / "filter"))


def test_a_folder_that_is_given_twice_is_read_twice(tmp_path, web):
    run("filter", NO_RULES, tmp_path / "filter", web)
    folder = str(tmp_path / "filter")
    manifest = run("dedup", {}, tmp_path / "dedup", folder, folder)
    assert manifest.totals[0].rows_in == 240
