"""Every pair has the licence of its row, or that of the corpus, whether it is kept or not."""

import io
import json
import tarfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.sample import sample, sample_text
from corpusmill.manifests.looking.trace import trace
from corpusmill.manifests.looking.trace_text import trace_text
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.storage import Artifact
from corpusmill.report.reading.run import Run
from corpusmill.report.sections.chains import chains
from corpusmill.report.sections.shares import shares
from corpusmill.stages.images.pair import PairReader
from corpusmill.stages.images.pairs import read_pairs

from tests.stages.images.test_stage import SETTINGS, picture
from tests.stages.small_corpus import rows_of, run, small_tokenizer

# (what the row says under `license`, the licence of the pair)
SAID: list[tuple[Any, str | None]] = [
    ("CC-BY-4.0", "CC-BY-4.0"),
    ("https://creativecommons.org/licenses/by-nc/2.0/", "CC-BY-NC-2.0"),
    ("all rights reserved", "all rights reserved"),
    ("MIT OR Apache 2.0", "MIT OR Apache-2.0"),
    (["CC BY-SA 3.0", "MIT"], "CC BY-SA 3.0 AND MIT"),
    (["", " "], None),
    (["GPL-3.0", None], "GPL-3.0"),
    ([{"name": "GPL-3.0"}], '{"name": "GPL-3.0"}'),
    ([None], None),
    ([], None),
    ({}, None),
    ({"name": None, "url": ""}, None),
    (None, None),
    ("", None),
    ("unknown", None),
    (4, "4"),
    (True, "true"),
    (float("nan"), None),
    ([1, 2], "1 AND 2"),
    ({"name": "MIT"}, '{"name": "MIT"}'),
    ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ("no one may copy this " * 50_000, ("no one may copy this " * 20)[:400]),
]


def as_json(folder, said):
    lines = []
    for number, licence in enumerate(said):
        (folder / f"{number}.png").write_bytes(picture(number))
        row = {"image": f"{number}.png", "text": f"text {number}", "license": licence}
        lines.append(json.dumps(row))
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    return str(folder / "pairs.jsonl")


def as_tar(folder, said):
    with tarfile.open(folder / "pairs.tar", "w") as tar:
        for number, licence in enumerate(said):
            about = json.dumps({"license": licence, "text": "not this one"}).encode()
            text = f"text {number}".encode()
            for end, content in (("png", picture(number)), ("json", about), ("txt", text)):
                entry = tarfile.TarInfo(f"{number}.{end}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return str(folder / "pairs.tar")


def as_parquet(folder, licences):
    """licences: column name -> its values as an Arrow array"""
    count = len(next(iter(licences.values())))
    columns = {
        "image": [picture(number) for number in range(count)],
        "text": [f"text {number}" for number in range(count)],
        **licences,
    }
    pq.write_table(pa.table(columns), folder / "pairs.parquet")
    return str(folder / "pairs.parquet")


def licences_of(folder, part="documents"):
    return [row["licence"] for row in rows_of(folder, part)]


@pytest.mark.parametrize("layout", [as_json, as_tar])
def test_a_row_names_its_licence_or_none(tmp_path, layout):
    path = layout(tmp_path, [said for said, _ in SAID])
    run("images", SETTINGS, tmp_path / "out", path)
    wanted = [
        licence.replace("CC BY-SA 3.0", "CC-BY-SA-3.0") if licence else None for _, licence in SAID
    ]
    assert licences_of(tmp_path / "out") == wanted
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [
        f"text {number}" for number in range(len(SAID))
    ]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array(["CC0", None, "none"]), ["CC0-1.0", None, None]),
        (pa.array([b"MIT", b"\xff\xfe", b""], pa.binary()), ["MIT", "\ufffd\ufffd", None]),
        (pa.array([["MIT", "ISC"], [], None]), ["MIT AND ISC", None, None]),
        (pa.array([["GPL-3.0", None], [None], ["unknown"]]), ["GPL-3.0", None, None]),
        (pa.array(["MIT", "ISC", "MIT"]).dictionary_encode(), ["MIT", "ISC", "MIT"]),
        (pa.array([1, 2, None]), ["1", "2", None]),
        (pa.array([{"a": 1}, {"a": None}, None]), ['{"a": 1}', None, None]),
        (pa.array([[{"a": "b"}], [], None]), ['{"a": "b"}', None, None]),
        (pa.array(["x" * 1_000_000, "MIT", None]), ["x" * 400, "MIT", None]),
    ],
)
def test_a_column_of_parquet_may_have_any_type(tmp_path, column, wanted):
    run("images", SETTINGS, tmp_path / "out", as_parquet(tmp_path, {"license": column}))
    assert licences_of(tmp_path / "out") == wanted


def test_the_first_column_that_holds_something_counts_and_settings_name_others(tmp_path):
    columns = {"licence": [None, "MIT"], "license": ["ISC", "0BSD"], "terms": ["CC0", "CC0"]}
    path = as_parquet(tmp_path, columns)
    run("images", SETTINGS, tmp_path / "usual", path)
    assert licences_of(tmp_path / "usual") == ["ISC", "MIT"]
    settings = {**SETTINGS, "reader": {"licence_columns": ["terms"]}}
    run("images", settings, tmp_path / "other", path)
    assert licences_of(tmp_path / "other") == ["CC0-1.0"] * 2


@pytest.mark.parametrize("layout", [as_json, as_tar])
def test_the_case_of_a_column_does_not_matter(tmp_path, layout):
    path = layout(tmp_path, ["MIT", None])
    settings = {**SETTINGS, "reader": {"licence_columns": ["License"]}}
    run("images", settings, tmp_path / "out", path)
    assert licences_of(tmp_path / "out") == ["MIT", None]


def test_in_parquet_a_column_in_other_case_counts_and_the_exact_one_first(tmp_path):
    columns = {"LICENCE": ["GPL-3.0", "GPL-3.0"], "License": ["ISC", None], "licence": ["MIT"] * 2}
    run("images", SETTINGS, tmp_path / "out", as_parquet(tmp_path, columns))
    assert licences_of(tmp_path / "out") == ["MIT", "MIT"]
    del columns["licence"]
    run("images", SETTINGS, tmp_path / "other", as_parquet(tmp_path, columns))
    assert licences_of(tmp_path / "other") == ["GPL-3.0", "GPL-3.0"]
    about = pa.array([{"License": "ISC"}, {"License": None}])
    settings = {**SETTINGS, "reader": {"licence_columns": ["about.license"]}}
    run("images", settings, tmp_path / "inner", as_parquet(tmp_path, {"about": about}))
    assert licences_of(tmp_path / "inner") == ["ISC", None]


def test_a_parquet_file_without_the_named_column_is_refused(tmp_path):
    path = as_parquet(tmp_path, {"rights": ["MIT", "ISC"]})
    run("images", SETTINGS, tmp_path / "usual", path)
    assert licences_of(tmp_path / "usual") == [None, None]
    reader = PairReader(licence_columns=("terms",))
    with pytest.raises(InputError, match="no column 'terms'; it has image, text, rights"):
        list(read_pairs(Artifact(path, "", 0), reader))


def test_public_domain_is_no_cc0(tmp_path):
    path = as_json(tmp_path, ["public domain", "CC0"])
    run("images", {**SETTINGS, "licences": ["CC0-1.0"]}, tmp_path / "out", path)
    assert licences_of(tmp_path / "out") == ["CC0-1.0"]
    assert licences_of(tmp_path / "out", "excluded") == ["public domain"]


def test_a_ported_licence_is_kept_if_it_is_named_so(tmp_path):
    path = as_json(tmp_path, ["CC BY-SA 3.0 DE", "CC BY-SA 3.0"])
    run("images", {**SETTINGS, "licences": ["CC-BY-SA-3.0"]}, tmp_path / "plain", path)
    assert licences_of(tmp_path / "plain") == ["CC-BY-SA-3.0"]
    assert licences_of(tmp_path / "plain", "excluded") == ["CC BY-SA 3.0 DE"]
    run("images", {**SETTINGS, "licences": ["CC BY-SA 3.0 DE"]}, tmp_path / "ported", path)
    assert licences_of(tmp_path / "ported") == ["CC BY-SA 3.0 DE"]


def test_a_corpus_has_a_licence_for_rows_that_name_none(tmp_path):
    path = as_json(tmp_path, ["MIT", None, "unknown"])
    with open(path, "a") as lines:
        lines.write("\nno json\n")
    settings = {**SETTINGS, "reader": {"licence": "cc by 4.0"}}
    run("images", settings, tmp_path / "out", path)
    assert licences_of(tmp_path / "out") == ["MIT", "CC-BY-4.0", "CC-BY-4.0"]
    assert licences_of(tmp_path / "out", "excluded") == ["CC-BY-4.0"]
    with pytest.raises(CorpusmillError, match="names no licence"):
        run("images", {"reader": {"licence": "unknown"}}, tmp_path / "no", path)


@pytest.mark.parametrize(
    "said",
    [["GPL-3.0", None], [{"name": "GPL-3.0"}], {"name": "CC-BY-NC-4.0"}, b"\xffGPL", True, 7],
)
def test_a_licence_in_an_odd_shape_does_not_become_that_of_the_corpus(tmp_path, said):
    settings = {**SETTINGS, "reader": {"licence": "CC-BY-4.0"}, "licences": ["CC-BY-4.0"]}
    path = as_parquet(tmp_path, {"license": pa.array([said, None])})
    run("images", settings, tmp_path / "out", path)
    assert licences_of(tmp_path / "out") == ["CC-BY-4.0"]
    (gone,) = rows_of(tmp_path / "out", "excluded")
    assert gone["reason"] == "images.unwanted_licence"
    assert gone["licence"] not in (None, "CC-BY-4.0")


@pytest.mark.parametrize("asked", ["unknown", "", "CC-BY-4.0 OR MIT", "MIT/Apache-2.0"])
def test_wanted_licences_that_could_keep_nothing_are_refused(tmp_path, asked):
    path = as_json(tmp_path, ["CC-BY-4.0"])
    for verb, settings in (
        ("images", {**SETTINGS, "licences": ["MIT", asked]}),
        ("code", {"permissive": ["MIT", asked]}),
    ):
        with pytest.raises(CorpusmillError, match=f"is {asked!r}, which names (no licence|sever)"):
            run(verb, settings, tmp_path / verb, path)


def test_only_wanted_licences_are_kept_and_the_others_spare_their_near_images(tmp_path):
    said = ["CC-BY-NC-4.0", "cc by 4.0", None, "MIT OR GPL-3.0-only", "house rules", "MIT AND X11"]
    path = as_json(tmp_path, said)
    (tmp_path / "1.png").write_bytes(picture(0))  # as the first, which is not wanted
    settings = {**SETTINGS, "licences": ["CC BY 4.0", "MIT", "house rules"]}
    manifest = run("images", settings, tmp_path / "out", path)
    assert licences_of(tmp_path / "out") == ["CC-BY-4.0", "MIT OR GPL-3.0-only", "house rules"]
    gone = rows_of(tmp_path / "out", "excluded")
    assert [(row["licence"], row["reason"], row["detail"]) for row in gone] == [
        ("CC-BY-NC-4.0", "images.unwanted_licence", "CC-BY-NC-4.0"),
        (None, "images.no_licence", "the row names no licence"),
        ("MIT AND X11", "images.unwanted_licence", "MIT AND X11"),
    ]
    assert all(row["image"] for row in gone)
    assert manifest.totals[0].excluded == {
        "images.unwanted_licence": 2,
        "images.no_licence": 1,
    }
    assert verify(str(tmp_path / "out")).problems == []


def test_an_excluded_sample_of_a_tar_keeps_its_licence_and_text(tmp_path):
    with tarfile.open(tmp_path / "pairs.tar", "w") as tar:
        for name, content in {
            "a.jpg": picture(1, kind="JPEG"),
            "a.png": picture(2),
            "a.json": b'{"license": "CC-BY-4.0"}',
            "a.txt": b"two images",
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    run("images", SETTINGS, tmp_path / "out", str(tmp_path / "pairs.tar"))
    (gone,) = rows_of(tmp_path / "out", "excluded")
    assert (gone["licence"], gone["text"]) == ("CC-BY-4.0", "two images")
    assert gone["reason"] == "images.several_images"
    assert gone["detail"] == (
        "a.png is the second image of its key: give each image a key, and a text, of its own"
    )


def test_licences_travel_from_documents_to_pages_and_from_pairs_to_tokens(tmp_path):
    texts = [("CC BY-SA 4.0", "Rivers carry more water in spring. " * 30), (None, "Wheat. " * 40)]
    lines = [{"text": text, "license": said} for said, text in texts]
    lines.append({"text": "春天的河水比秋天多。" * 40, "license": "MIT"})  # no font
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run("extract", {"languages": []}, tmp_path / "extract", str(tmp_path / "texts.jsonl"))
    run("render", {"max_pages": 2}, tmp_path / "render", str(tmp_path / "extract"))
    assert set(licences_of(tmp_path / "render")) == {"CC-BY-SA-4.0", None}
    assert licences_of(tmp_path / "render", "excluded") == ["MIT"]
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    packed: dict[str, Any] = {"tokenizer": tokenizer, "images": {"tile_size": 448, "max_tiles": 1}}
    run("pack", packed, tmp_path / "pack", str(tmp_path / "render"))
    assert licences_of(tmp_path / "pack") == licences_of(tmp_path / "render")
    packed["max_document_tokens"] = 300
    run("pack", packed, tmp_path / "short", str(tmp_path / "render"))
    assert "CC-BY-SA-4.0" in licences_of(tmp_path / "short", "excluded")
    assert verify(str(tmp_path)).problems == []


def test_trace_sample_and_report_show_the_licence_and_no_bytes(tmp_path):
    settings = {**SETTINGS, "licences": ["CC-BY-4.0"]}
    run("images", settings, tmp_path / "out", as_json(tmp_path, ["CC BY 4.0", "MIT"]))
    (row,) = rows_of(tmp_path / "out")
    shown = trace_text(trace(str(tmp_path / "out"), row["id"]))
    assert "licence=CC-BY-4.0" in shown
    assert f" image={len(row['image']):,} bytes " in shown
    (found,) = sample(str(tmp_path / "out"), where="licence = 'CC-BY-4.0'")
    assert "licence=CC-BY-4.0" in sample_text(found)
    whole = Run(str(tmp_path / "out"))
    (shared,) = [table for table in shares(whole, chains(whole)) if table.by == "licence"]
    assert [(part.name, part.documents) for part in shared.parts] == [("CC-BY-4.0", 1)]
