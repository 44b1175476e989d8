"""Image-text corpora in three layouts become the same rows, and bad images end with a reason."""

import bz2
import gzip
import io
import json
import random
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ReadFailed
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import artifact_of
from corpusmill.stages.images.pair import PairReader
from corpusmill.stages.images.pairs import read_pairs
from corpusmill.stages.images.stage import Images, look, write
from PIL import Image, ImageDraw

from tests.stages.small_corpus import rows_of, run

SETTINGS = {"min_side": 64}


def picture(seed, size=(120, 100), kind="PNG", mode="RGB", **settings):
    """Boxes at places that follow from the seed: far from every other seed's by hash."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        pen.rectangle((x, y, x + size[0] // 3, y + size[1] // 3), fill=rng.randrange(1 << 24))
    if mode == "I;16":  # Pillow does not convert to it
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    file = io.BytesIO()
    (image if image.mode == mode else image.convert(mode)).save(file, kind, **settings)
    return file.getvalue()


def plain(size, kind="PNG", mode="RGB", **settings):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **settings)
    return file.getvalue()


def corpus():
    """(name, suffix, image, text, reason)"""
    moving = [Image.new("RGB", (80, 80), "red")]
    return [
        ("good", "png", picture(1), "a page", None),
        ("truncated", "png", picture(2)[:-200], "cut", "image.truncated"),
        ("bomb", "png", plain((15_000, 10_000), mode="1"), "bomb", "image.too_large"),
        ("thin", "png", plain((1, 30_000)), "line", "image.too_thin"),
        ("cmyk", "jpg", picture(3, kind="JPEG", mode="CMYK"), "four inks", None),
        (
            "moving",
            "gif",
            plain((80, 80), "GIF", save_all=True, append_images=moving),
            "moves",
            "image.animated",
        ),
        ("deep", "png", picture(9, mode="I;16"), "sixteen bits", None),
        ("clear", "png", picture(10, mode="P", transparency=0), "a palette", None),
        ("web", "webp", picture(11, kind="WEBP"), "a photo", None),
        ("fax", "tif", picture(12, kind="TIFF", mode="1"), "one page", None),
        (
            "pages",
            "tif",
            plain((80, 80), "TIFF", save_all=True, append_images=moving),
            "two pages",
            "image.animated",
        ),
        ("tags", "png", picture(4), "<img><IMG_CONTEXT></img>", None),
        ("page", "png", b"<html>", "no image", "image.unreadable"),
        ("small", "png", picture(5, (63, 80)), "small", "images.small"),
        ("long", "png", picture(6, (301, 100)), "long", "images.ratio"),
        ("white", "png", plain((100, 100)), "white", "images.blank"),
        ("again", "jpg", picture(1, kind="JPEG", quality=60), "again", "images.near_duplicate"),
        ("silent", "png", picture(7), "", "images.no_text"),
        ("last", "png", picture(8), "the last one", None),
    ]


def as_json(folder, rows):
    lines = []
    for name, suffix, image, text, _ in rows:
        (folder / f"{name}.{suffix}").write_bytes(image)
        lines.append(json.dumps({"image": f"{name}.{suffix}", "text": text}))
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    return folder / "pairs.jsonl"


def as_parquet(folder, rows, nested=False):
    images = [{"bytes": row[2], "path": row[0]} if nested else row[2] for row in rows]
    table = pa.table({"image": images, "text": [row[3] for row in rows]})
    pq.write_table(table, folder / "pairs.parquet", row_group_size=4)
    return folder / "pairs.parquet"


def as_tar(folder, rows):
    with tarfile.open(folder / "pairs.tar", "w") as tar:
        for name, suffix, image, text, _ in rows:
            for end, content in ((suffix, image), ("txt", text.encode()), ("cls", b"7")):
                entry = tarfile.TarInfo(f"part/{name}.{end}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return folder / "pairs.tar"


def nested(folder, rows):
    return as_parquet(folder, rows, nested=True)


@pytest.mark.parametrize("layout", [as_json, as_parquet, nested, as_tar])
def test_every_image_keeps_its_text_or_has_its_reason(tmp_path, layout):
    rows = corpus()
    run("images", SETTINGS, tmp_path / "out", str(layout(tmp_path, rows)))
    kept = rows_of(tmp_path / "out")
    gone = rows_of(tmp_path / "out", "excluded")
    assert {(row["image"], row["text"]) for row in kept} == {
        (image, text) for _, _, image, text, reason in rows if reason is None
    }
    assert {row["origin"]["row"]: row["reason"] for row in gone} == {
        number: row[4] for number, row in enumerate(rows) if row[4] is not None
    }
    assert len({row["id"] for row in kept + gone}) == len(rows)
    assert all(row["width"] == 120 and row["image_hash"] for row in kept)
    assert verify(str(tmp_path / "out")).problems == []


def test_the_first_of_near_images_stays_over_files(tmp_path):
    one, two = tmp_path / "a", tmp_path / "b"
    for folder, kind in ((one, "PNG"), (two, "JPEG")):
        folder.mkdir()
        as_parquet(folder, [("x", "", picture(1, kind=kind), "same", None)])
    run("images", SETTINGS, tmp_path / "out", str(one), str(two))
    [kept], [gone] = rows_of(tmp_path / "out"), rows_of(tmp_path / "out", "excluded")
    assert (kept["image"], gone["image"]) == (picture(1), picture(1, kind="JPEG"))
    run("images", {**SETTINGS, "near": None}, tmp_path / "all", str(one), str(two))
    assert len(rows_of(tmp_path / "all")) == 2


def test_damage_costs_its_own_rows(tmp_path):
    rows = [row for row in corpus() if row[4] is None]
    path = as_tar(tmp_path, rows)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"part/cmyk.jpg") + 700])
    run("images", SETTINGS, tmp_path / "out", str(path))
    assert [row["text"] for row in rows_of(tmp_path / "out")] == ["a page"]
    assert [row["reason"] for row in rows_of(tmp_path / "out", "excluded")] == [
        "error_read.corrupt"
    ]


def test_a_damaged_header_or_a_missing_end_is_told(tmp_path):
    rows = [row for row in corpus() if row[4] is None]
    path = as_tar(tmp_path, rows)
    whole = path.read_bytes()
    end = whole.index(b"part/last.cls") + 2 * 512
    start = whole.index(b"part/cmyk.jpg")
    damaged = whole[:start] + b"\xff" * 512 + whole[start + 512 :]
    for content, texts in (
        (damaged, []),
        (whole[:end], [row[3] for row in rows[:-1]]),
        (whole[: end + 512], [row[3] for row in rows]),  # one block of zeros is enough
    ):
        path.write_bytes(content)
        found = list(read_pairs(artifact_of(str(path)), PairReader()))
        assert [pair.text for pair in found if pair.reason is None] == texts
        lost = [pair.reason for pair in found if pair.reason is not None]
        assert lost == ["error_read.corrupt"] * (content != whole[: end + 512])


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstandard.compress])
def test_a_compressed_tar_is_read_up_to_its_damage(tmp_path, pack):
    rows = [row for row in corpus() if row[4] is None]
    whole = pack(as_tar(tmp_path, rows).read_bytes())
    path = tmp_path / "pairs.tar.zst"
    path.write_bytes(whole)
    found = list(read_pairs(artifact_of(str(path)), PairReader()))
    assert [(pair.text, pair.image) for pair in found] == [(row[3], row[2]) for row in rows]
    path.write_bytes(whole[: len(whole) // 2])
    reasons = [pair.reason for pair in read_pairs(artifact_of(str(path)), PairReader())]
    assert reasons[-1] == "error_read.corrupt"


def test_a_tar_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "pairs.tar.zip", "w") as archive:
        archive.write(as_tar(tmp_path, corpus()[:1]), "pairs.tar")
    with pytest.raises(InputError, match="ZIP"):
        list(read_pairs(artifact_of(str(tmp_path / "pairs.tar.zip")), PairReader()))


class Fails(io.BytesIO):
    """A file of a store. Its reads from `good` bytes on fail."""

    good = 0
    error: Exception

    def read(self, size=-1):
        data = super().read(size)
        if self.tell() > self.good:
            raise self.error
        return data


@pytest.mark.parametrize("layout", [as_json, as_parquet, as_tar])
@pytest.mark.parametrize("error", [OSError(5, "I/O error"), ReadFailed("no answer", "wait")])
def test_a_fault_of_the_storage_loses_no_data(tmp_path, monkeypatch, layout, error):
    rows = [row for row in corpus() if row[4] is None]
    artifact = artifact_of(str(layout(tmp_path, rows)))
    whole = list(read_pairs(artifact, PairReader()))

    def failing(path):
        file = Fails(Path(path).read_bytes())
        file.error, file.good = error, good if path == faulty else 1 << 30
        return file

    monkeypatch.setattr(storage, "open_read", failing)
    faulty = artifact.path if layout is not as_json else str(tmp_path / "cmyk.jpg")
    for good in range(0, artifact.size, artifact.size // 10):
        seen, raised = [], None
        try:
            for pair in read_pairs(artifact, PairReader()):
                seen.append(pair)
        except OSError as caught:
            raised = caught
        assert raised is error or good >= Path(faulty).stat().st_size
        assert seen == whole[: len(seen)]


def shard(tmp_path, *inputs):
    return Shard("pairs", inputs, str(tmp_path / "out"))


def looked(tmp_path, artifact):
    """The shard with what `look` says of a file."""
    first = shard(tmp_path, artifact)
    look(Images(min_side=64), first)
    return first.outputs


@pytest.mark.parametrize("change", ["lost", "found", "other", "more", "fewer"])
def test_a_change_between_the_passes_is_an_error(tmp_path, change):
    rows = [(f"{seed}", "png", picture(seed), "text", None) for seed in range(3)]
    path = as_json(tmp_path, rows)
    artifact = artifact_of(str(path))
    if change == "found":
        (tmp_path / "1.png").unlink()
    outputs = looked(tmp_path, artifact)
    if change == "lost":
        (tmp_path / "1.png").unlink()
    elif change in ("found", "other"):
        (tmp_path / "1.png").write_bytes(picture(9))
    else:
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines, lines[0]] if change == "more" else lines[:-1]))
    with pytest.raises(InputError, match="changed during the run; run again with --replace"):
        write(Images(min_side=64), shard(tmp_path, artifact, *outputs))


def test_many_rows_are_looked_at_in_few_tables(tmp_path, monkeypatch):
    (tmp_path / "pairs.jsonl").write_text('{"text": "no image"}\n' * 2500)
    sizes = []
    written = ParquetOutput.write

    def write_and_note(self, table):
        sizes.append(table.num_rows)
        written(self, table)

    monkeypatch.setattr(ParquetOutput, "write", write_and_note)
    [output] = looked(tmp_path, artifact_of(str(tmp_path / "pairs.jsonl")))
    assert len(sizes) == 3
    assert output.rows == 2500


def test_an_image_that_needs_too_much_memory_costs_itself_alone(tmp_path):
    large = plain((10_000, 9_000), mode="1")  # 360 MB in RGB
    rows = [("a", "png", picture(1), "a", None), ("b", "png", large, "b", "image.memory")]
    rows.append(("c", "png", picture(2), "c", None))
    settings = {**SETTINGS, "image_memory_mb": 512}
    run("images", settings, tmp_path / "out", str(as_tar(tmp_path, rows)))
    assert [row["text"] for row in rows_of(tmp_path / "out")] == ["a", "c"]
    [gone] = rows_of(tmp_path / "out", "excluded")
    assert (gone["reason"], gone["image"]) == ("image.memory", large)


def test_near_images_of_other_files_cost_no_memory(tmp_path):
    artifact = artifact_of(str(as_json(tmp_path, corpus()[:1])))
    rows = {"shard": ["other"] * 50_000 + ["pairs"], "row": [*range(50_000), 0]}
    near = pa.table({**rows, "detail": ["like row 0 of pairs"] * 50_001})
    pq.write_table(near, tmp_path / "near.parquet")
    inputs = (artifact, *looked(tmp_path, artifact), artifact_of(str(tmp_path / "near.parquet")))
    tracemalloc.start()
    [account] = write(Images(min_side=64), shard(tmp_path, *inputs))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert account.kept == 0  # the one image falls
    assert peak < 4 << 20


def test_lines_name_files_of_their_folder_alone(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(picture(1))
    (tmp_path / "in/good.png").write_bytes(picture(2))
    names = ["../secret.png", str(tmp_path / "secret.png"), "http://x/y.png", "none.png", None]
    lines = [{"image": name, "text": "t"} for name in (*names, "good.png")]
    text = "\n".join(["no json", *map(json.dumps, lines)])
    (tmp_path / "in/pairs.jsonl").write_text(text)
    run("images", SETTINGS, tmp_path / "out", str(tmp_path / "in/pairs.jsonl"))
    assert [row["image"] for row in rows_of(tmp_path / "out")] == [picture(2)]
    reasons = [row["reason"] for row in rows_of(tmp_path / "out", "excluded")]
    assert reasons == ["error_read.json", *["images.no_image"] * 5]


def test_two_images_with_one_key_are_no_pair(tmp_path):
    rows = [("x", "png", picture(1), "one", None), ("x", "jpg", picture(2), "two", None)]
    run("images", SETTINGS, tmp_path / "out", str(as_tar(tmp_path, rows)))
    [gone] = rows_of(tmp_path / "out", "excluded")
    assert gone["reason"] == "images.several_images"


def test_a_sample_without_its_partner_shifts_no_other(tmp_path):
    files = {
        "a.png": picture(1),
        "a.txt": b"text of a",
        "b.png": picture(2),
        "c.txt": b"text of c",
        "d.txt": b"\xff\xfe",
        "d.png": picture(3),
        "e.json": b"{broken",
        "e.png": picture(4),
        "f.json": b'{"caption": "of f"}',
        "f.png": picture(5),
        "README": b"about these pairs",
        "sub/a.png": picture(6),
        "sub/a.txt": b"text of sub/a",
        "g.cls": b"7",
        "h.png": b"",
        "h.txt": b"text of h",
        "i.png": picture(7),  # the members of i and j take turns
        "j.png": picture(8),
        "i.txt": b"text of i",
        "j.txt": b"text of j",
        "z.JPG": picture(9, kind="JPEG"),
        "z.json": b'{"text": "text of z"}',
    }
    with tarfile.open(tmp_path / "pairs.tar", "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    run("images", SETTINGS, tmp_path / "out", str(tmp_path / "pairs.tar"))
    assert [(row["text"], row["image"]) for row in rows_of(tmp_path / "out")] == [
        ("text of a", files["a.png"]),
        ("text of sub/a", files["sub/a.png"]),
        ("text of z", files["z.JPG"]),
    ]
    gone = rows_of(tmp_path / "out", "excluded")
    assert [(row["origin"]["row"], row["reason"]) for row in gone] == [
        (1, "images.no_text"),
        (2, "images.no_image"),
        (3, "error_read.utf8"),
        (4, "error_read.json"),
        (5, "images.no_text"),
        (6, "images.no_image"),
        (8, "images.no_image"),
        (9, "image.unreadable"),
        (10, "images.no_text"),
        (11, "images.no_text"),
        (12, "images.no_image"),
        (13, "images.no_image"),
    ]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    pairs = read_pairs(artifact_of(str(tmp_path / "a.txt")), PairReader())
    with pytest.raises(InputError, match="neither JSON lines"):
        list(pairs)
