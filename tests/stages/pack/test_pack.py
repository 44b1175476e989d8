"""Pack: the tokens are exactly the text, documents end with eos, long ones continue in parts."""

import json
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import LINKED_PARENT, extended
from corpusmill.stages.pack.stage import Pack, split_evenly
from corpusmill.stages.tokenizer import loaded as tokens
from corpusmill.trainer.token_shards import is_held_out
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.small_corpus import (
    bytes_of,
    documents,
    rows_of,
    run,
    small_tokenizer,
    write_shard,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def pack(folder, rows, tokenizer, **settings):
    path = write_shard(folder / "in/00000.parquet", rows)
    return run("pack", {"tokenizer": tokenizer, **settings}, folder / "pack", path)


def test_decoding_gives_the_text_back(tmp_path, tokenizer):
    texts = [
        "kanori, telmos 1789",
        "日本語 🙂\u200d\r\n\ttabs  ",
        "</s> is not an end",
        "\x00 nul and \ufeff mark",
        " a",
    ]
    rows = [{**row, "text": text} for row, text in zip(documents("doc", 5), texts, strict=True)]
    pack(tmp_path, rows, tokenizer)
    decoded = tokens.load(tokenizer)
    packed = rows_of(tmp_path / "pack")
    assert [row["id"] for row in packed] == [row["id"] for row in rows]
    assert [decoded.decode(row["tokens"][:-1]) for row in packed] == texts
    assert {row["tokens"][-1] for row in packed} == {decoded.eos}


def test_footers_hold_the_tokens_and_the_tokenizers_digest(tmp_path, tokenizer):
    pack(tmp_path, documents("doc", 30), tokenizer)
    footer = pq.read_metadata(tmp_path / "pack/documents/00000.parquet").metadata
    total = sum(len(row["tokens"]) for row in rows_of(tmp_path / "pack"))
    assert footer[b"corpusmill.n_tokens"] == str(total).encode()
    assert footer[b"corpusmill.tokenizer"] == tokens.load(tokenizer).digest.encode()


def test_columns_are_those_that_the_trainer_reads(tmp_path, tokenizer):
    pack(tmp_path, documents("doc", 3), tokenizer)
    for row in rows_of(tmp_path / "pack"):
        assert set(row) == {
            "id",
            "tokens",
            "n_prompt",
            "source",
            "root",
            "epoch",
            "phase",
            "part",
            "n_tokens",
        }
        assert (row["n_prompt"], row["part"], row["epoch"], row["source"]) == (0, 0, 0, "from doc")
        assert row["n_tokens"] == len(row["tokens"])


def test_bos_and_eos_are_as_set(tmp_path, tokenizer):
    for name, settings in (("bos", {"add_bos": True}), ("none", {"add_eos": False})):
        pack(tmp_path / name, documents("doc", 3), tokenizer, **settings)
    both, none = rows_of(tmp_path / "bos/pack"), rows_of(tmp_path / "none/pack")
    assert [row["tokens"] for row in both] == [[1, *row["tokens"], 2] for row in none]


def test_a_long_document_continues_in_parts_of_nearly_equal_length(tmp_path, tokenizer):
    rows = documents("doc", 1)
    rows[0]["text"] = "ka no ri tel " * 50
    manifest = pack(tmp_path, rows, tokenizer, max_document_tokens=64, add_bos=True)
    parts = rows_of(tmp_path / "pack")
    lengths = [row["n_tokens"] for row in parts]
    assert [row["part"] for row in parts] == list(range(len(parts)))
    assert len(parts) == -(-sum(lengths) // 64)
    assert max(lengths) <= 64
    assert max(lengths) - min(lengths) <= 1
    joined = [token for row in parts for token in row["tokens"]]
    assert (joined[0], joined[-1], joined.count(1), joined.count(2)) == (1, 2, 1, 1)
    assert tokens.load(tokenizer).decode(joined[1:-1]) == rows[0]["text"]
    assert manifest.totals[0].kept == len(parts)
    assert verify(str(tmp_path / "pack")).problems == []


@given(st.integers(1, 500), st.integers(1, 60))
def test_splitting_loses_nothing_and_stays_below_the_limit(length, limit):
    parts = split_evenly(np.arange(length, dtype=np.int32), limit)
    assert [token for part in parts for token in part] == list(range(length))
    assert all(0 < len(part) <= limit for part in parts)


def test_documents_that_give_no_token_are_excluded(tmp_path, tokenizer):
    rows = documents("doc", 4)
    rows[1]["text"], rows[3]["text"] = "", None
    manifest = pack(tmp_path, rows, tokenizer)
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.excluded, counts.failed) == (
        4,
        2,
        {"pack.empty": 2},
        0,
    )
    assert [row["reason"] for row in rows_of(tmp_path / "pack", "excluded")] == ["pack.empty"] * 2
    assert counts.tokens == sum(row["n_tokens"] for row in rows_of(tmp_path / "pack"))


def test_row_groups_end_after_about_so_many_tokens(tmp_path, tokenizer):
    rows = documents("doc", 3000)
    pack(tmp_path, rows, tokenizer, row_group_tokens=50_000)
    file = pq.ParquetFile(tmp_path / "pack/documents/00000.parquet")
    groups = [
        sum(file.read_row_group(group)["n_tokens"].to_pylist())
        for group in range(file.num_row_groups)
    ]
    assert len(groups) > 2
    assert all(total >= 50_000 for total in groups[:-1])


def test_copies_of_a_blend_keep_their_source_and_epoch(tmp_path, tokenizer):
    path = write_shard(tmp_path / "in.parquet", documents("doc", 20))
    sources = {"twice": {"input": path, "weight": 1, "max_epochs": 2}}
    run("blend", {"sources": sources, "shards": 2}, tmp_path / "blend")
    run("pack", {"tokenizer": tokenizer}, tmp_path / "pack", str(tmp_path / "blend"))
    packed = sorted(rows_of(tmp_path / "pack"), key=lambda row: (row["id"], row["epoch"]))
    assert len(packed) == 40
    for _, copies in groupby(packed, key=lambda row: row["id"]):
        first, second = copies
        assert (first["epoch"], second["epoch"], first["source"]) == (0, 1, "twice")
        assert first["tokens"] == second["tokens"]
    assert verify(str(tmp_path)).problems == []


def test_the_folder_carries_the_tokenizer_and_says_which_it_is(tmp_path, tokenizer):
    manifest = pack(tmp_path, documents("doc", 2), tokenizer)
    copy = tokens.load(str(tmp_path / "pack/tokenizer"))
    record = json.loads((tmp_path / "pack/packing.json").read_text())["tokenizer"]
    assert copy.digest == tokens.load(tokenizer).digest == record["digest"]
    assert (record["vocabulary_size"], record["eos"]) == (400, 2)
    assert {"tokenizer.json", "packing.json"} <= {output.name for output in manifest.outputs}


def test_packing_again_gives_the_same_bytes(tmp_path, tokenizer):
    for name in ("a", "b"):
        pack(tmp_path / name, documents("doc", 50), tokenizer)
    parts = ("documents", "excluded", "tokenizer")
    assert bytes_of(tmp_path / "a/pack", *parts) == bytes_of(tmp_path / "b/pack", *parts)


def test_a_tokenizer_without_eos_is_refused_with_the_mend(tmp_path):
    folder = small_tokenizer(tmp_path / "tokenizer")
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        path = tmp_path / "tokenizer" / file
        kept = {
            key: value for key, value in json.loads(path.read_text()).items() if key != "eos_token"
        }
        path.write_text(json.dumps(kept))
    with pytest.raises(ModelError, match=r"no eos token.*add eos_token.*add_eos: false"):
        Pack(tokenizer=folder).depends_on()
    assert Pack(tokenizer=folder, add_eos=False).depends_on()


def test_a_part_must_have_room_for_bos_text_and_eos(tokenizer):
    with pytest.raises(RecipeError, match=r"max_document_tokens is 2.*at least 3"):
        Pack(tokenizer=tokenizer, max_document_tokens=2)


def test_a_vocabulary_of_another_kind_packs_too(tmp_path):
    """A word-piece tokenizer, whose [SEP] stands for eos."""
    folder = tmp_path / "bert"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ka", "no", "##ri"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "eos_token": "[SEP]"}'
    )
    rows = [{**documents("doc", 1)[0], "text": "Ka nori"}]
    pack(tmp_path, rows, str(folder))
    assert rows_of(tmp_path / "pack")[0]["tokens"] == [5, 6, 7, 3]


def test_of_two_parents_a_row_names_the_one_that_is_held_out_first(tmp_path, tokenizer):
    """So it is held out if either is. The row goes through blend, which keeps both parents."""
    pages = [f"doc-{number:05d}" for number in range(40)]
    made = [
        {
            **row,
            "kind": "synthetic",
            "lineage": {"parent": first},
            "linked_parent": {"parent": second, "start": 0, "end": 1},
        }
        for row, first, second in zip(documents("syn", 39), pages, pages[1:], strict=False)
    ]
    path = tmp_path / "in/00000.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(made, schema=extended(LINKED_PARENT)), path)
    source = {"input": str(path), "weight": 1}
    run("blend", {"sources": {"synthetic": source}, "shards": 2}, tmp_path / "blend")
    run("pack", {"tokenizer": tokenizer}, tmp_path / "pack", str(tmp_path / "blend"))
    roots = {row["id"]: row["root"] for row in rows_of(tmp_path / "pack")}
    assert len(roots) == 39
    for row in made:
        parents = (row["lineage"]["parent"], row["linked_parent"]["parent"])
        for share in (0.02, 0.1, 0.3, 0.7):
            assert is_held_out(roots[row["id"]], share) == any(
                is_held_out(parent, share) for parent in parents
            )


def test_a_synthetic_document_names_the_page_it_was_made_from(tmp_path, tokenizer):
    made = [
        {**row, "kind": "synthetic", "lineage": {"parent": "doc-00000"}}
        for row in documents("syn", 2)
    ]
    pack(tmp_path, [*documents("doc", 2), *made], tokenizer)
    roots = {row["id"]: row["root"] for row in rows_of(tmp_path / "pack")}
    assert roots == {
        "doc-00000": None,
        "doc-00001": None,
        "syn-00000": "doc-00000",
        "syn-00001": "doc-00000",
    }
