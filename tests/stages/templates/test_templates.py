"""The templates stage end to end: what goes, what stays, that it can be put back, and that nothing
but documents and settings decides.
"""

import random

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.readers.charset import detector_versions
from corpusmill.stages.templates.lines import lines_of
from corpusmill.stages.templates.stage import Templates
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.small_corpus import bytes_of, rows_of, run, text, write_shard

MENU = "Home | About us | Contact | Imprint"
NOTICE = "Subscribe to our newsletter and never miss a story again."
GOLDEN = f"""# Page 3

{MENU}

Page three has a story of its own.
It goes on in a second line.

```
{MENU}
```

## Related

Home

{NOTICE}
All rights are reserved by the mill.
"""


def document(name, words, url):
    return {
        "id": name, "text": words, "url": url, "source": "test", "kind": "actual", "n_tokens": 5,
    }  # fmt: skip


def page(number, host="one.example"):
    own = "\n".join(text(1000 * len(host) + 10 * number + line, 9) for line in range(4))
    body = f"{MENU}\n\n{own}\n\n{NOTICE}\nAll rights are reserved by the mill.\n"
    return document(f"{host}{number}", body, f"https://www.{host}/{number}")


def site(pages=12, host="one.example"):
    return [page(number, host) for number in range(pages)]


def templates(tmp_path, *shards, name="out", **given):
    paths = [
        write_shard(tmp_path / f"in-{name}" / f"part-{n}.parquet", rows)
        for n, rows in enumerate(shards)
    ]
    manifest = run("templates", given, tmp_path / name, *paths)
    return manifest, rows_of(tmp_path / name), rows_of(tmp_path / name, "excluded")


def test_lines_that_many_pages_of_a_site_have_go_and_the_rest_stays(tmp_path):
    rows = [*site(), document("golden", GOLDEN, "https://ONE.example:80/3")]
    _, kept, dropped = templates(tmp_path, rows)
    assert dropped == []
    (golden,) = (row["text"] for row in kept if row["id"] == "golden")
    # The menu in the fence is code. `Home` has too few words. The heading stands before it.
    assert golden == (
        "# Page 3\n\nPage three has a story of its own.\nIt goes on in a second line.\n\n"
        f"```\n{MENU}\n```\n\n## Related\n\nHome\n"
    )
    assert all(MENU not in row["text"] for row in kept if row["id"] != "golden")


def test_what_was_removed_is_recorded_and_can_be_put_back(tmp_path):
    rows = [*site(), document("golden", GOLDEN, "https://one.example/3")]
    manifest, kept, _ = templates(tmp_path, rows)
    before = {row["id"]: row["text"] for row in rows}
    (counts,) = manifest.totals
    removed = sum(row["template_removed_bytes"] for row in kept)
    assert (counts.edited, counts.cut_bytes) == (len(kept), removed)
    for row in kept:
        assert restore(row["text"], row["template_cuts"]) == before[row["id"]]
        cut = sum(len(piece["text"].encode()) for piece in row["template_cuts"])
        assert cut == row["template_removed_bytes"] > 0
        assert row["n_tokens"] is None


def test_small_sites_rare_lines_and_pages_without_address_stay_whole(tmp_path):
    small = site(9, "small.example")
    rare = [page(number, "rare.example") for number in range(3)]
    rare += [document(f"r{n}", text(n, 20), f"https://rare.example/{n}") for n in range(20)]
    nowhere = [{**row, "url": None} for row in site(12, "nowhere.example")]
    rows = [*small, *rare, *nowhere]
    _, kept, _ = templates(tmp_path, rows)
    assert {row["id"]: row["text"] for row in kept} == {row["id"]: row["text"] for row in rows}
    assert {row["template_removed_bytes"] for row in kept} == {0}


def test_copies_of_one_page_are_no_template(tmp_path):
    one = document("a", "\n".join(text(n, 9) for n in range(5)), "https://copies.example/")
    rows = [{**one, "id": f"c{n}"} for n in range(30)]
    _, kept, _ = templates(tmp_path, rows)
    assert {row["text"] for row in kept} == {one["text"]}


def test_a_page_that_is_nothing_but_template_is_dropped_whole_with_its_reason(tmp_path):
    empty = document("empty", f"{MENU}\n\n{NOTICE}\n", "https://one.example/empty")
    manifest, _, dropped = templates(tmp_path, [*site(), empty])
    assert [(row["id"], row["text"], row["reason"]) for row in dropped] == [
        ("empty", empty["text"], "templates.nothing_left")
    ]
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept) == (13, 12)
    assert counts.excluded == {"templates.nothing_left": 1}


def test_shards_partitions_and_their_order_do_not_change_what_goes(tmp_path):
    rows = [row for host in "abcde" for row in site(12 + ord(host) % 3, f"{host}.example")]
    _, whole, _ = templates(tmp_path, rows, name="whole")
    shuffled = random.Random(1).sample(rows, len(rows))
    parts = [shuffled[0:20], shuffled[20:21], shuffled[21:]]
    _, spread, _ = templates(tmp_path, *parts, name="spread", partitions=3)
    cut = {row["id"]: (row["text"], row["template_removed_bytes"]) for row in whole}
    assert cut == {row["id"]: (row["text"], row["template_removed_bytes"]) for row in spread}
    assert sum(removed for _, removed in cut.values()) > 0


def test_partitions_do_not_change_a_byte(tmp_path):
    rows = [row for host in "abcde" for row in site(12, f"{host}.example")]
    shards = rows[:25], rows[25:]
    for name, partitions in (("one", 1), ("seven", 7)):
        templates(tmp_path, *shards, name=name, partitions=partitions)
    one, seven = (bytes_of(tmp_path / name, "documents", "excluded") for name in ("one", "seven"))
    assert len(one) == 4
    assert one == seven


@pytest.mark.parametrize("lost", ["count", "judge", "templates"])
def test_a_run_is_taken_up_where_it_stopped(tmp_path, lost):
    rows = [row for host in "ab" for row in site(12, f"{host}.example")]
    templates(tmp_path, rows[:9], rows[9:])
    before = bytes_of(tmp_path / "out", "documents", "excluded")
    assert before
    (tmp_path / "out" / "manifest.json").unlink()
    for receipt in sorted((tmp_path / "out" / "receipts" / lost).iterdir())[:1]:
        receipt.unlink()
    inputs = sorted(map(str, (tmp_path / "in-out").iterdir()))
    run("templates", {}, tmp_path / "out", *inputs)
    assert bytes_of(tmp_path / "out", "documents", "excluded") == before


def test_settings_decide_what_a_template_is(tmp_path):
    rows = site(9)
    _, kept, _ = templates(tmp_path, rows, name="a", host_pages=9)
    assert [MENU in row["text"] for row in kept] == [False] * 9
    _, kept, _ = templates(tmp_path, rows, name="b", host_pages=9, min_pages=10)
    assert [MENU in row["text"] for row in kept] == [True] * 9


COOKIES = "We use cookies to make this page better for you."


def scattered(pages, line=COOKIES):
    """Pages of as many hosts, and of none, that share a line."""
    return [
        document(
            f"s{n}",
            f"{text(3000 + 2 * n, 9)}\n{line}\n{text(3001 + 2 * n, 9)}",
            None if n == 0 else f"https://h{n}.example/",
        )
        for n in range(pages)
    ]


@pytest.mark.parametrize("partitions", [1, 5])
def test_across_the_corpus_a_line_goes_wherever_it_stands(tmp_path, partitions):
    rows = scattered(8)
    setting = {"across": "corpus", "partitions": partitions}
    _, kept, _ = templates(tmp_path, rows[:3], rows[3:], **setting)
    before = {row["id"]: row["text"] for row in rows}
    for row in kept:
        assert COOKIES not in row["text"]
        (piece,) = row["template_cuts"]
        assert (piece["text"], piece["documents"]) == (f"{COOKIES}\n", 8)
        assert restore(row["text"], row["template_cuts"]) == before[row["id"]]
    _, kept, _ = templates(tmp_path, rows[:6], name="few", **setting)
    assert {row["text"] for row in kept} == {row["text"] for row in rows[:6]}


def test_the_rarest_line_of_a_run_is_counted(tmp_path):
    rows = [*scattered(8), *scattered(12, f"{COOKIES}\n{NOTICE}")[8:]]
    _, kept, _ = templates(tmp_path, rows, across="corpus", corpus_documents=4)
    counts = {piece["text"]: piece["documents"] for row in kept for piece in row["template_cuts"]}
    assert counts == {f"{COOKIES}\n": 12, f"{COOKIES}\n{NOTICE}\n": 4}


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_line_that_is_allowed_stays(tmp_path, charset):
    allowed = tmp_path / "allowed.txt"
    allowed.write_text(f"{COOKIES}  \n  another line\n", encoding=charset)
    rows = scattered(8)
    _, kept, _ = templates(tmp_path, rows, across="corpus", allow=[str(allowed)])
    assert {row["text"] for row in kept} == {row["text"] for row in rows}
    with pytest.raises(CorpusmillError, match=r"missing.txt"):
        templates(tmp_path, rows, name="b", allow=[str(tmp_path / "missing.txt")])


def test_lines_that_stay_depend_on_the_charset_detectors(tmp_path):
    (tmp_path / "allowed.txt").write_text(COOKIES)
    depends_on = Templates(allow=[str(tmp_path / "allowed.txt")]).depends_on()
    assert all(version in depends_on for version in detector_versions())
    assert Templates().depends_on() == ""


@given(st.lists(st.sampled_from([MENU, NOTICE, "own words here", "", "```", "# Head", "$$"])))
@settings(max_examples=100, deadline=None)
def test_any_text_is_cut_at_lines_and_restored(lines):
    import numpy as np
    from corpusmill.stages.templates.cut import cut_rows
    from corpusmill.stages.templates.settings import TemplateSettings
    from corpusmill.stages.templates.sites import host_hashes, keys_of

    words = "\n".join(lines)
    table = pa.table({"text": [words], "url": ["https://one.example/"]})
    hashes = lines_of(joined(pa.chunked_array([[f"{MENU}\n{NOTICE}\n# Head"]]))).hashes
    keys = np.sort(keys_of(host_hashes(table["url"]).repeat(3), hashes))
    known = pa.table({"key": keys, "documents": np.arange(7, 7 + len(keys))})
    edited, _ = cut_rows(TemplateSettings(), table, known)
    (row,) = edited.to_pylist()
    assert restore(row["text"], row["template_cuts"]) == words
    assert "own words here" not in "".join(piece["text"] for piece in row["template_cuts"] or [])
    assert row["text"].count("own words here") == words.count("own words here")
    assert row["text"].count("```") == words.count("```")


@pytest.mark.parametrize("other", ["  Home |  About us | Contact | Imprint\t"])
def test_white_space_does_not_make_another_line(other):
    one, two = (lines_of(joined(pa.chunked_array([[line]]))).hashes[0] for line in (MENU, other))
    assert one == two


def test_a_row_of_a_table_is_never_cut_and_a_blank_line_stays_at_the_seam(tmp_path):
    table = "Type: | string\nValid Values: | any of them\n"
    rows = site(9)
    for row in rows:
        row["text"] = f"Own words {row['id']}\n{table}A line of every page\n\n{row['text']}"
    _, kept, _ = templates(tmp_path, rows, host_pages=9)
    assert len(kept) == 9
    assert all(f"{table}\n" in row["text"] for row in kept)
    assert all("A line of every page" not in row["text"] for row in kept)
