"""The data of the proof in one small file, and back: for a machine that only trains.

    python benchmarks/proof_carry.py pack proof data FILE.tar.xz
    python benchmarks/proof_carry.py unpack FILE.tar.xz

`pack` takes the token shards of proof/pack-*, the tokenizer, the held-out texts and the tasks'
items. Tokens become 16-bit numbers; documents that several arms have cost nothing, because the
compressor's window holds all arms. `unpack` writes the same rows in the same order and row groups,
in the folders of the same names. The files' bytes differ, so the digests in the manifests do, too.
The parents in the manifests stay, so an ablation of these arms leads back to the steps before.
"""

import dataclasses
import io
import json
import lzma
import shutil
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from corpusmill.manifests import manifest, storage  # noqa: E402

ITEMS = ("hellaswag", "mmlu", "arc_easy", "piqa", "openbook_qa", "copa", "lambada_openai")
WINDOW = 192 << 20  # bytes that the compressor looks back
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": WINDOW, "lc": 0, "lp": 1, "pb": 1}]


def pack(out: Path, data: Path, target: Path) -> None:
    with (
        lzma.open(target, "wb", filters=FILTERS) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for folder in sorted(out.glob("pack-*")):
            for path in sorted(folder.glob("documents/*.parquet")):
                _add_shard(archive, f"proof/{folder.name}/documents/{path.stem}", path)
            archive.add(folder / manifest.MANIFEST, f"proof/{folder.name}/{manifest.MANIFEST}")
        for folder in (out / "tokenizer" / "tokenizer", out / "held_out"):
            for path in sorted(folder.iterdir()):
                archive.add(path, f"proof/{path.relative_to(out)}")
        for name in ITEMS:
            path = data / "evals" / f"{name}.jsonl.zst"
            archive.add(path.resolve(), f"data/evals/{path.name}")


def _add_shard(archive: tarfile.TarFile, name: str, path: Path) -> None:
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    table = pa.concat_tables(groups)
    tokens = table["tokens"].combine_chunks().flatten().to_numpy()
    assert tokens.size == 0 or tokens.max() < 1 << 16
    rest = {
        "footer": {
            key.decode(): value.decode()
            for key, value in (file.metadata.metadata or {}).items()
            if key.startswith(b"corpusmill.")
        },
        "groups": [group.num_rows for group in groups],
        "columns": {
            column: table[column].to_pylist() for column in table.column_names if column != "tokens"
        },
    }
    for suffix, content in (
        ("json", json.dumps(rest).encode()),
        ("tokens", tokens.astype(np.uint16).tobytes()),
    ):
        entry = tarfile.TarInfo(f"{name}.{suffix}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def unpack(source: Path) -> None:
    """Write below the current folder."""
    with lzma.open(source) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            path = Path(entry.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(entry)
            assert content is not None
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
    for path in sorted(Path("proof").glob("pack-*/documents/*.tokens")):
        _restore_shard(path)
    for folder in Path("proof").absolute().glob("pack-*"):
        _restore_manifest(str(folder))


def _restore_shard(path: Path) -> None:
    rest = json.loads(path.with_suffix(".json").read_text())
    tokens = np.frombuffer(path.read_bytes(), np.uint16).astype(np.int32)
    columns = rest["columns"]
    offsets = np.concatenate([[0], np.cumsum(columns["n_tokens"])]).astype(np.int32)
    table = pa.table(
        {
            "id": pa.array(columns["id"], pa.string()),
            "tokens": pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens)),
            "n_prompt": pa.array(columns["n_prompt"], pa.int32()),
            "source": pa.array(columns["source"], pa.string()),
            "root": pa.array(columns["root"], pa.string()),
            "epoch": pa.array(columns["epoch"], pa.int32()),
            "phase": pa.array(columns["phase"], pa.int16()),
            "part": pa.array(columns["part"], pa.int32()),
            "n_tokens": pa.array(columns["n_tokens"], pa.int32()),
        }
    ).replace_schema_metadata(rest["footer"])
    with pq.ParquetWriter(path.with_suffix(".parquet"), table.schema) as writer:
        start = 0
        for rows in rest["groups"]:
            writer.write_table(table.slice(start, rows), row_group_size=max(rows, 1))
            start += rows
    path.unlink()
    path.with_suffix(".json").unlink()


def _restore_manifest(folder: str) -> None:
    """Give the manifest the restored shards, which are all that is there of its outputs."""
    packed = manifest.read_manifest(folder)
    restored = []
    for shard in packed.documents():
        new = storage.artifact_of(shard.path)
        restored.append(dataclasses.replace(shard, digest=new.digest, size=new.size))
    manifest.write_manifest(dataclasses.replace(packed, outputs=restored), folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["pack"] and len(sys.argv) == 5:
        pack(*map(Path, sys.argv[2:]))
    elif sys.argv[1:2] == ["unpack"] and len(sys.argv) == 3:
        unpack(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
