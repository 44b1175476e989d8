"""A column `licence` of any type travels on, in its own words. No stage fails or guesses, and no
document gets the licence of another.
"""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, IMAGE

from tests.stages.images.test_stage import picture
from tests.stages.small_corpus import documents, rows_of, run, small_tokenizer

# (the column, what its two rows say)
COLUMNS: dict[str, tuple[pa.Array, list[str | None]]] = {
    "list": (pa.array([["CC BY 4.0", "MIT", None], []]), ["CC-BY-4.0 AND MIT", None]),
    "large_list": (pa.array([["GPL-3.0"], None], pa.large_list(pa.string())), ["GPL-3.0", None]),
    "struct": (pa.array([{"name": "MIT"}, {"name": None}]), ['{"name": "MIT"}', None]),
    "list_of_structs": (pa.array([[{"name": "MIT"}], []]), ['{"name": "MIT"}', None]),
    "int": (pa.array([4, None]), ["4", None]),
    "float": (pa.array([float("nan"), 2.5]), [None, "2.5"]),
    "bool": (pa.array([True, None]), ["true", None]),
    "binary": (pa.array([b"MIT", b"\xffGPL"]), ["MIT", "\ufffdGPL"]),
    "dictionary": (pa.array(["MIT", "ISC"]).dictionary_encode(), ["MIT", "ISC"]),
    "large_string": (pa.array(["MIT", None], pa.large_string()), ["MIT", None]),
    "nothing": (pa.nulls(2), [None, None]),
    "text": (pa.array(["house rules", None]), ["house rules", None]),
}
TEXT = "Rivers carry more water in spring than in autumn. " * 30


def shard(folder, column, images=False):
    """Two documents, the second longer. column: of licences; None leaves it out."""
    rows = [
        {"id": f"row {number}", "text": TEXT * (number + 1), "source": "s", "kind": "actual"}
        for number in range(2)
    ]
    table = pa.Table.from_pylist(rows, DOCUMENT)
    if images:
        table = table.append_column(IMAGE, pa.array([picture(0), picture(1)], IMAGE.type))
    if column is not None:
        table = table.append_column("licence", column)
    folder.mkdir()
    pq.write_table(table, folder / "00000.parquet")
    return str(folder / "00000.parquet")


@pytest.mark.parametrize("name", [*COLUMNS, "absent"])
def test_pages_token_rows_and_copies_have_the_licence_of_their_document(tmp_path, name):
    column, wanted = COLUMNS.get(name, (None, [None, None]))
    texts, pictures = shard(tmp_path / "a", column), shard(tmp_path / "b", column, images=True)
    said: dict[str, Any] = {"row 0": wanted[0], "row 1": wanted[1]}

    run("render", {"max_pages": 2}, tmp_path / "render", texts)
    pages = rows_of(tmp_path / "render")
    assert len(pages) >= 3
    assert [page["licence"] for page in pages] == [
        said[page["lineage"]["parent"]] for page in pages
    ]

    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    packed = {"tokenizer": tokenizer, "images": {"tile_size": 448, "max_tiles": 1}}
    run("pack", packed, tmp_path / "pack", pictures)
    assert {row["id"]: row["licence"] for row in rows_of(tmp_path / "pack")} == said
    run("pack", packed | {"max_document_tokens": 300}, tmp_path / "short", pictures)
    assert {row["id"]: row["licence"] for row in rows_of(tmp_path / "short", "excluded")} == said
    run("pack", {"tokenizer": tokenizer}, tmp_path / "texts", texts)
    assert len(rows_of(tmp_path / "texts")) == 2

    sources = {"a": {"input": texts, "weight": 1, "max_epochs": 2}}
    run("blend", {"sources": sources, "tokenizer": tokenizer}, tmp_path / "blend")
    copies = rows_of(tmp_path / "blend")
    assert len(copies) == 4
    assert all(copy["licence"] == said[copy["id"]] for copy in copies)
    assert verify(str(tmp_path)).problems == []


def test_a_blend_keeps_licences_of_the_sources_that_have_some(tmp_path):
    lines = [{"text": "Some words here.", "license": ["cc by 4.0", None]}, {"text": "Others."}]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, lines)))
    without = pa.Table.from_pylist(documents("without", 5), DOCUMENT)
    (tmp_path / "without").mkdir()
    pq.write_table(without, tmp_path / "without/00000.parquet")
    sources = {
        "with": {"input": shard(tmp_path / "with", pa.array(["MIT", "GPL-3.0"])), "weight": 1},
        "without": {"input": str(tmp_path / "without/00000.parquet"), "weight": 1},
        "raw": {"input": str(tmp_path / "raw.jsonl"), "weight": 1},
    }
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    run("blend", {"sources": sources, "tokenizer": tokenizer, "shards": 2}, tmp_path / "blend")
    rows = rows_of(tmp_path / "blend") + rows_of(tmp_path / "blend", "excluded")
    assert len(rows) == 9
    for source, said in (
        ("with", ["GPL-3.0", "MIT"]),
        ("without", [None] * 5),
        ("raw", ["CC-BY-4.0", None]),
    ):
        found = [row["licence"] for row in rows if row["blend_source"] == source]
        assert sorted(found, key=str) == sorted(said, key=str)
