"""The substring stage end to end, through the executor: what is cut, what is dropped, and that
nothing else decides it.
"""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline.recipe import Step, build_stage
from corpusmill.stages.substring.parts import key_ranges, pack

from tests.stages.small_corpus import bytes_of, rows_of, run, text, write_shard

NOTICE = (
    "This site uses small files to remember you.\nClosing this notice means that you agree "
    "with all of that.\n"
)
WEB = [
    "https://one.example/a",
    "http://www.one.example/b",
    "https://user@ONE.example:80/c",
    "https://two.example/d",
]


def document(name, words, url=None, **columns):
    return {
        "id": name,
        "text": words,
        "url": url,
        "source": "test",
        "kind": "actual",
        "n_tokens": 5,
        **columns,
    }


def own(seed, words=60):
    return "\n".join(text(seed * 100 + line, words // 6) for line in range(6)) + "\n"


def substring(tmp_path, *shards, name="out", **settings):
    paths = [
        write_shard(tmp_path / f"in-{name}" / f"part-{n}.parquet", rows)
        for n, rows in enumerate(shards)
    ]
    manifest = run("substring", {"min_text_chars": 0, **settings}, tmp_path / name, *paths)
    return manifest, rows_of(tmp_path / name), rows_of(tmp_path / name, "excluded")


def corpus(documents=90):
    """Documents of several sites; each site has a notice, some passages are on several sites."""
    rows = []
    for number in range(documents):
        site = number % 7
        passage = own(1000 + number % 11) if number % 3 == 0 else ""
        body = f"{NOTICE.replace('site', f'site {site}')}{own(number)}{passage}{own(-number - 1)}"
        rows.append(
            document(f"id{number * 7919 % 1000:03d}", body, f"https://site{site}.example/{number}")
        )
    return rows


def test_a_notice_on_every_page_stays_on_one(tmp_path):
    pages = [document(f"p{number}", own(number) + NOTICE + own(-number - 1)) for number in range(5)]
    manifest, kept, excluded = substring(tmp_path, pages[:2], pages[2:])
    assert excluded == []
    assert sum(NOTICE in row["text"] for row in kept) == 1
    whole = max(kept, key=lambda row: len(row["text"]))
    assert NOTICE in whole["text"]
    cuts = [row["substring_cuts"] for row in kept if row is not whole]
    assert [[(piece["length"], piece["keeper"]) for piece in pieces] for pieces in cuts] == [
        [(len(NOTICE), whole["id"])]
    ] * 4
    (totals,) = manifest.totals
    assert (totals.rows_in, totals.kept, totals.failed, manifest.conserved) == (5, 5, 0, True)
    assert totals.text_bytes == sum(len(row["text"].encode()) for row in kept)
    assert totals.tokens == 5  # a text that was cut has no count


def test_a_document_that_others_hold_is_dropped_whole_with_its_reason(tmp_path):
    pages = [document("long", own(1, 200) + own(2, 200)), document("inner", own(2, 200) + "x")]
    manifest, kept, excluded = substring(tmp_path, pages)
    assert [row["id"] for row in kept] == ["long"]
    (row,) = excluded
    share = len(own(2, 200).encode()) / len(pages[1]["text"].encode())
    assert (row["stage"], row["reason"]) == ("substring", "substring.mostly_repeated")
    assert row["detail"] == f"repeated={share:.3f} most_in=long"
    assert row["text"] == pages[1]["text"]
    assert manifest.totals[0].excluded == {"substring.mostly_repeated": 1}


def test_a_document_of_which_too_little_is_left_is_dropped(tmp_path):
    pages = [document("long", own(1) + NOTICE), document("short", "Only this.\n" * 4 + NOTICE)]
    assert len(substring(tmp_path, pages, name="kept", min_text_chars=43)[2]) == 0
    (row,) = substring(tmp_path, pages, name="dropped", min_text_chars=44)[2]
    assert (row["id"], row["reason"]) == ("short", "substring.too_short")
    assert row["text"] == pages[1]["text"]


def test_a_short_document_that_repeats_nothing_stays(tmp_path):
    assert len(substring(tmp_path, [document("short", "Hello.")], min_text_chars=1000)[1]) == 1


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("longest", "d3"), ("first", "d1"), ("newest", "d4"), ("best_quality", "d2")],
)
def test_the_keeper_rule_decides_which_copy_stays(tmp_path, rule, expected):
    pages = [
        document("d4", own(4) + NOTICE, date="2024-05-01", quality=1),
        document("d3", own(3) + NOTICE + own(33), date="2021-01-01", quality=7),
        document("d2", own(2) + NOTICE, date="2023-12-31", quality=19),
        document("d1", own(1) + NOTICE),
    ]
    _, kept, _ = substring(tmp_path, pages[:1], pages[1:], keeper=rule)
    assert [row["id"] for row in kept if NOTICE in row["text"]] == [expected]


def test_ties_go_to_the_smallest_id(tmp_path):
    pages = [
        document(name, NOTICE + str(number) * 200) for number, name in enumerate(("m", "b", "z"))
    ]
    _, kept, _ = substring(tmp_path, pages)
    assert [row["id"] for row in kept if NOTICE in row["text"]] == ["b"]


def test_the_order_of_shards_and_how_documents_are_spread_over_them_change_no_byte(tmp_path):
    rows = corpus()
    shuffled = random.Random(3).sample(rows, len(rows))
    digests = []
    for name, shards in (
        ("one", [rows]),
        ("four", [shuffled[:7], shuffled[7:60], [], shuffled[60:]]),
    ):
        manifest, _, _ = substring(tmp_path, *shards, name=name, part_bytes=30_000)
        digests.append(bytes_of(tmp_path / name, "documents", "excluded"))
        assert manifest.shards > 3
    assert digests[0] == digests[1]


def test_a_second_run_does_nothing_again_and_a_lost_part_is_made_again(tmp_path):
    rows = corpus()
    substring(tmp_path, rows[:40], rows[40:], part_bytes=30_000)
    first = bytes_of(tmp_path / "out", "documents", "excluded", "receipts")
    (tmp_path / "out" / "documents" / "00001.parquet").unlink()
    manifest, _, _ = substring(tmp_path, rows[:40], rows[40:], part_bytes=30_000)
    again = bytes_of(tmp_path / "out", "documents", "excluded", "receipts")
    changed = {name for name in first if first[name] != again.get(name)}
    assert changed == {"receipts/substring/00001.json"}  # its times
    assert manifest.conserved


def test_every_document_of_a_site_is_in_one_part_if_the_site_fits(tmp_path):
    manifest, _, _ = substring(tmp_path, corpus(), part_bytes=30_000)
    assert manifest.shards > 2
    parts = [rows_of_part(tmp_path / "out", part) for part in range(manifest.shards)]
    sites = [{row["url"].split("/")[2] for row in part} for part in parts]
    assert sum(map(len, sites)) == 7
    assert sum(map(len, parts)) == 90


def test_a_site_that_is_too_large_for_a_part_is_split(tmp_path):
    pages = [
        document(f"p{number}", own(number), f"https://one.example/{number}") for number in range(60)
    ]
    manifest, _, _ = substring(tmp_path, pages, part_bytes=4000)
    sizes = [
        sum(len(row["text"].encode()) for row in rows_of_part(tmp_path / "out", p))
        for p in range(manifest.shards)
    ]
    assert sum(sizes) == sum(len(page["text"].encode()) for page in pages)
    assert len(sizes) == -(-sum(sizes) // 4000)
    assert max(sizes) < 8000


def test_hosts_are_compared_without_case_port_user_and_www(tmp_path):
    pages = [document(f"p{n}", own(n) + NOTICE + own(n + 50), url) for n, url in enumerate(WEB)]
    pages += [document(f"q{n}", own(n + 10), f"https://{n}.example/") for n in range(40)]
    substring(tmp_path, pages, part_bytes=8000)
    found = [{row["id"] for row in rows_of_part(tmp_path / "out", part)} for part in range(4)]
    assert any({"p0", "p1", "p2"} <= names for names in found)


def test_columns_of_all_shards_are_kept(tmp_path):
    for number, extra in enumerate(("cluster_size", "score")):
        table = pa.Table.from_pylist([document(f"d{number}", own(number))], schema=DOCUMENT)
        pq.write_table(table.append_column(extra, pa.array([3.0])), tmp_path / f"{number}.parquet")
    run(
        "substring",
        {},
        tmp_path / "out",
        *(str(tmp_path / f"{number}.parquet") for number in (0, 1)),
    )
    rows = sorted(rows_of(tmp_path / "out"), key=lambda row: row["id"])
    assert [(row["cluster_size"], row["score"]) for row in rows] == [(3.0, None), (None, 3.0)]


def test_a_column_of_two_types_is_refused(tmp_path):
    for number, value in enumerate((3.0, "three")):
        table = pa.Table.from_pylist([document(f"d{number}", own(number))], schema=DOCUMENT)
        pq.write_table(
            table.append_column("score", pa.array([value])), tmp_path / f"{number}.parquet"
        )
    with pytest.raises(InputError, match="column of two types"):
        run(
            "substring",
            {},
            tmp_path / "out",
            *(str(tmp_path / f"{number}.parquet") for number in (0, 1)),
        )


def test_a_repeated_id_is_no_reason_to_fail(tmp_path):
    manifest, kept, _ = substring(tmp_path, [document("same", own(1))], [document("same", own(2))])
    assert (len(kept), manifest.conserved) == (2, True)


def test_an_input_without_documents_gives_one_without_documents(tmp_path):
    manifest, kept, _ = substring(tmp_path, [])
    assert (kept, manifest.conserved, manifest.shards) == ([], True, 1)


def test_ranges_are_packed_into_parts_and_large_ones_split():
    parts, splits = pack(np.array([30, 60, 20, 250, 10, 10]), 100)
    assert parts.tolist() == [0, 0, 1, 2, 5, 5]
    assert splits.tolist() == [1, 1, 1, 3, 1, 1]


def test_there_are_many_ranges_of_keys_to_a_part():
    assert key_ranges([Artifact("a", "", 100, text_bytes=1000)], 100) == 256
    # Nobody counted the text: a compressed byte counts as four.
    assert key_ranges([Artifact("a", "", 250)], 100) == 256
    assert key_ranges([Artifact("a", "", 0)], 100) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"min_bytes": 0},
        {"bridge_bytes": -1},
        {"max_removed_share": 0.0},
        {"part_bytes": 2**40},
        {"min_words": -1},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(RecipeError, match=next(iter(settings))):
        build_stage(Step("substring", "substring", (), settings), folder_of=str)


def rows_of_part(folder: Path, part: int):
    return [
        row
        for below in ("documents", "excluded")
        for table in read_parquet(str(folder / below / f"{part:05d}.parquet"))
        for row in table.to_pylist()
    ]
