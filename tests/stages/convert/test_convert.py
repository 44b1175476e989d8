"""Convert: what other tools read is what pack and the other stages wrote."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.stages.convert.dataset import size_category
from corpusmill.stages.convert.stage import Convert
from corpusmill.stages.convert.token_files import token_type

from tests.stages.convert.megatron_reader import IndexedDataset
from tests.stages.small_corpus import documents, rows_of, run, small_tokenizer, write_shard


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Two packed shards. Some documents have several parts."""
    folder = tmp_path_factory.mktemp("packed")
    for number in range(2):
        write_shard(folder / f"in/{number:05d}.parquet", documents(f"doc{number}", 40))
    settings = {"tokenizer": small_tokenizer(folder / "tokenizer"), "max_document_tokens": 60}
    run("pack", settings, folder / "pack", str(folder / "in"))
    return folder / "pack"


def whole_documents(packed, shard):
    """The ids of each document of a shard, its parts end to end."""
    found: list[list[int]] = []
    for row in pq.read_table(packed / f"documents/{shard}.parquet").to_pylist():
        if row["part"] == 0:
            found.append([])
        found[-1] += row["tokens"]
    return found


def test_megatron_reads_every_document(tmp_path, packed):
    manifest = run("convert", {"format": "megatron"}, tmp_path / "out", str(packed))
    assert max(row["part"] for row in rows_of(packed)) > 0
    for shard in ("00000", "00001"):
        read = IndexedDataset(tmp_path / "out/megatron" / shard)
        assert read.dtype is np.uint16
        assert read.documents() == whole_documents(packed, shard)
        assert len(read.lengths) > len(read.documents())
    assert manifest.totals[0].kept == len(rows_of(packed))
    assert manifest.totals[0].tokens == sum(row["n_tokens"] for row in rows_of(packed))
    assert verify(str(tmp_path / "out")).problems == []


def test_megatron_gets_int32_if_asked(tmp_path, packed):
    settings = {"format": "megatron", "token_type": "int32"}
    run("convert", settings, tmp_path / "out", str(packed))
    read = IndexedDataset(tmp_path / "out/megatron/00000")
    assert read.dtype is np.int32
    assert read.documents() == whole_documents(packed, "00000")


@pytest.mark.parametrize(("kind", "size"), [("uint16", 2), ("uint32", 4)])
def test_flat_files_are_the_ids_end_to_end(tmp_path, packed, kind, size):
    run("convert", {"format": "flat", "token_type": kind}, tmp_path / "out", str(packed))
    wanted = whole_documents(packed, "00001")
    path = tmp_path / "out/flat/00001.ds"
    ids = np.memmap(path, dtype=kind, mode="r")
    assert ids.tolist() == [token for document in wanted for token in document]
    ends = np.fromfile(f"{path}.index", np.uint64)
    assert ends.tolist() == np.cumsum([len(document) for document in wanted]).tolist()
    name, total, _ = (tmp_path / "out/flat/00001.ds.metadata").read_text().split("\n")
    assert (name.rsplit("|", 1)[1], int(total)) == (str(size), len(ids))


def test_datatrove_reads_a_flat_file(tmp_path, packed):
    module = pytest.importorskip("datatrove.utils.dataset")
    run("convert", {"format": "flat"}, tmp_path / "out", str(packed))
    path = tmp_path / "out/flat/00000.ds"
    read = module.DatatroveFileDataset(str(path), seq_len=15, token_size=2, return_positions=True)
    wanted = [token for document in whole_documents(packed, "00000") for token in document]
    positions = [at for one in whole_documents(packed, "00000") for at in range(len(one))]
    assert len(read) == len(wanted) // 16
    for number in range(len(read)):
        item = read[number]
        here = slice(number * 16, number * 16 + 16)
        assert item["input_ids"].tolist() == wanted[here]
        begins = [place for place, at in enumerate(positions[here]) if at == 0 and place]
        assert [place for place, at in enumerate(item["positions"]) if at == 0 and place] == begins


@pytest.fixture
def blended(tmp_path):
    for number in range(2):
        write_shard(tmp_path / f"in/{number:05d}.parquet", documents(f"d{number}", 30))
    sources = {"web": {"input": str(tmp_path / "in")}}
    run("blend", {"sources": sources, "shards": 2}, tmp_path / "blend")
    return tmp_path / "blend"


def test_datasets_loads_the_documents(tmp_path, blended):
    datasets = pytest.importorskip("datasets")
    settings = {"format": "datasets", "front_matter": {"license": "odc-by", "language": ["en"]}}
    run("convert", settings, tmp_path / "out", str(blended))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"].num_rows == 60
    assert loaded["train"]["text"] == [row["text"] for row in rows_of(blended)]
    assert loaded["train"][0]["lineage"] == rows_of(blended)[0]["lineage"]
    assert verify(str(tmp_path / "out")).problems == []


def test_the_card_says_what_the_manifest_says(tmp_path, blended):
    settings = {
        "format": "datasets",
        "columns": ["id", "text", "blend_source"],
        "front_matter": {"license": "odc-by", "pretty_name": "A Small Corpus"},
    }
    run("convert", settings, tmp_path / "out", str(blended))
    _, front, body = (tmp_path / "out/README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(front)
    assert (found["license"], found["size_categories"]) == ("odc-by", ["n<1K"])
    assert found["configs"] == [{"config_name": "default", "data_files": "data/*.parquet"}]
    assert "# A Small Corpus" in body
    assert "60 documents" in body
    assert "| `blend_source` | string |" in body
    assert "| blend | 60 | 60 | 0 |" in body
    assert '"input": "in"' in body
    assert str(tmp_path) not in body
    table = pq.read_table(tmp_path / "out/data/train-00000-of-00002.parquet")
    assert table.column_names == ["id", "text", "blend_source"]


def test_the_same_folder_does_not_depend_on_where_it_was_made(tmp_path, packed):
    for name in ("one", "two"):
        run("convert", {"format": "megatron"}, tmp_path / name, str(packed))
    for path in sorted((tmp_path / "one/megatron").iterdir()):
        assert path.read_bytes() == (tmp_path / "two/megatron" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "format is missing"),
        ({"format": "datasets", "token_type": "uint16"}, "token_type is of no use"),
        ({"format": "flat", "columns": ("id",)}, "columns and front_matter are for datasets"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        Convert(**settings)


@pytest.mark.parametrize(
    ("wanted", "form", "largest", "found"),
    [
        ("auto", "megatron", 65_499, "uint16"),
        ("auto", "megatron", 65_500, "int32"),
        ("auto", "flat", 65_535, "uint16"),
        ("auto", "flat", 65_536, "uint32"),
        ("int32", "megatron", 10, "int32"),
    ],
)
def test_the_type_is_that_of_the_formats_own_tools(wanted, form, largest, found):
    assert token_type(wanted, form, largest) == found


@pytest.mark.parametrize(
    ("wanted", "form", "largest", "message"),
    [
        ("uint16", "flat", 70_000, "too large for uint16"),
        ("uint32", "megatron", 10, "Megatron has no uint32"),
    ],
)
def test_a_type_that_does_not_fit_is_refused(wanted, form, largest, message):
    with pytest.raises(RecipeError, match=message):
        token_type(wanted, form, largest)


def test_documents_are_no_tokens_and_tokens_no_documents(tmp_path, packed, blended):
    with pytest.raises(CorpusmillError, match="has no column part, tokens; give the output folder"):
        run("convert", {"format": "megatron"}, tmp_path / "a", str(blended))
    with pytest.raises(CorpusmillError, match=r"holds no text; set convert\.format to megatron"):
        run("convert", {"format": "datasets"}, tmp_path / "b", str(packed))


def test_an_empty_shard_is_an_empty_file(tmp_path, packed):
    empty = tmp_path / "pack"
    (empty / "documents").mkdir(parents=True)
    table = pq.read_table(packed / "documents/00000.parquet").slice(0, 0)
    pq.write_table(table, empty / "documents/00000.parquet")
    (empty / "packing.json").write_bytes((packed / "packing.json").read_bytes())
    for form in ("megatron", "flat"):
        path = str(empty / "documents/00000.parquet")
        run("convert", {"format": form}, tmp_path / form, path)
    assert (tmp_path / "flat/flat/00000.ds").read_bytes() == b""
    assert (tmp_path / "flat/flat/00000.ds.index").read_bytes() == b""
    raw = (tmp_path / "megatron/megatron/00000.idx").read_bytes()
    assert raw[18:34] == pa.array([0, 1], pa.uint64()).buffers()[1].to_pybytes()[:16]


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (54_321, "10K<n<100K"),
        (1_000_000, "1M<n<10M"),
        (10**9, "1B<n<10B"),
        (10**12, "n>1T"),
    ],
)
def test_sizes_have_the_hubs_names(rows, name):
    assert size_category(rows) == name
