"""Pairs of documents that link: which are found, which are taken, and that none is lost."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import LINKS, conform, extended
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.contract import Inputs
from corpusmill.stages.link.stage import Link
from corpusmill.stages.shuffle import exchange


def page(name: str, links: str = "", level: str | None = "high", **columns) -> dict:
    """A page of one letter that links to others by their letters."""
    return {
        "id": (name * 32)[:32],
        "text": f"text of {name}",
        "url": f"https://www.e.org/{name}/",
        "level": level,
        "kind": "actual",
        "links": [f"http://E.org/{link}?utm_source=x" for link in links],
        "stat_x": 1,
        **columns,
    }


def files(folder: Path, shards: dict[str, list[dict]], without=()) -> tuple[storage.Artifact, ...]:
    found = []
    schema = extended(LINKS, pa.field("stat_x", pa.int32()))
    for name, rows in shards.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = conform(pa.Table.from_pylist(rows), schema)
        pq.write_table(table.drop_columns(list(without)), path, row_group_size=2)
        found.append(storage.artifact_of(str(path)))
    return tuple(found)


def run(folder: Path, documents, **settings):
    """(manifest, [(document, linked, mutual)], all rows)"""
    stage = Link(**settings)
    job = Job(stage, (stage.name,), {"link": {}}, Inputs(str(folder), documents), ())
    manifest = execute(job, InlineRunner())
    rows = [
        row
        for path in sorted((folder / "documents").glob("*.parquet"))
        for row in pq.ParquetFile(path).read().to_pylist()
    ]
    pairs = [(row["id"][0], row["linked"]["id"][0], row["linked"]["mutual"]) for row in rows]
    return manifest, pairs, rows


def test_a_link_to_a_document_of_another_shard_makes_a_pair(tmp_path):
    documents = files(tmp_path / "in", {"x/00": [page("a", "bz"), page("b")], "x/01": [page("c")]})
    manifest, pairs, (row,) = run(tmp_path / "out", documents)
    assert pairs == [("a", "b", False)]
    assert row["linked"] == {
        "id": "b" * 32,
        "url": "https://www.e.org/b/",
        "text": "text of b",
        "mutual": False,
    }
    assert (row["text"], row["level"], row["stat_x"]) == ("text of a", "high", 1)
    assert "links" not in row
    assert manifest.measures == {"pairs": 1, "mutual": 0, "links": 2}
    (account,) = manifest.totals
    assert (account.rows_in, account.kept, account.unused) == (3, 1, {"link.no_pair": 2})
    assert not verify(str(tmp_path / "out")).problems


@pytest.mark.parametrize("first", ["a", "b"])
def test_documents_that_link_keep_their_licence_if_only_one_file_of_the_shard_has_some(
    tmp_path, first
):
    second = "b" if first == "a" else "a"
    linking = {first: page(first, "c"), second: page(second, "d")}
    paths = []
    for folder, row in enumerate([*linking.values(), page("c"), page("d")]):
        table = conform(pa.Table.from_pylist([row]), extended(LINKS))
        if row == linking["a"]:
            table = table.append_column("licence", pa.array([["CC BY 4.0", None]]))
        (tmp_path / str(folder)).mkdir()
        paths.append(str(tmp_path / str(folder) / "00.parquet"))
        pq.write_table(table, paths[-1])
    _, pairs, rows = run(tmp_path / "out", tuple(map(storage.artifact_of, paths)))
    assert {pair[:2] for pair in pairs} == {(first, "c"), (second, "d")}
    assert {row["id"][0]: row["licence"] for row in rows} == {"a": "CC-BY-4.0", "b": None}


def test_two_pages_that_link_to_each_other_are_one_pair(tmp_path):
    documents = files(tmp_path / "in", {"00": [page("a", "b")], "01": [page("b", "a")]})
    manifest, pairs, _ = run(tmp_path / "out", documents, pairs_per_document=5)
    assert [(sorted(pair[:2]), pair[2]) for pair in pairs] == [(["a", "b"], True)]
    assert manifest.measures["mutual"] == 1


def test_mutual_links_come_first_and_a_document_is_in_few_pairs(tmp_path):
    rows = [page(name, "h") for name in "abcdefg"] + [page("h", "e"), page("i", "abcdefgh")]
    documents = files(tmp_path / "in", {"00": rows[:4], "01": rows[4:]})
    _, pairs, _ = run(tmp_path / "out", documents)
    assert ({"h", "e"}, True) in [({*pair[:2]}, pair[2]) for pair in pairs]
    for most in (1, 2, 3):
        _, pairs, _ = run(tmp_path / f"out-{most}", documents, pairs_per_document=most)
        for end in (0, 1):
            names = [pair[end] for pair in pairs]
            assert max(map(names.count, names)) == most
        assert len(pairs) == len({pair[:2] for pair in pairs})


def test_only_pages_of_allowed_levels_with_an_address_are_in_pairs(tmp_path):
    rows = [
        page("a", "bcde", "high"),
        page("b", "a", "low"),
        page("c", "a", None),
        page("d", "a", "medium"),
        page("e", "a", kind="synthetic"),
        page("f", "a", url=None),
        {**page("g"), "links": None},
    ]
    documents = files(tmp_path / "in", {"00": rows})
    _, pairs, _ = run(tmp_path / "out", documents, levels=("high", "unscored"))
    assert {frozenset(pair[:2]) for pair in pairs} == {frozenset("ac")}
    _, pairs, _ = run(tmp_path / "all", documents, pairs_per_document=9)
    assert {frozenset(pair[:2]) for pair in pairs} == {*map(frozenset, ["ab", "ac", "ad"])}


def test_of_two_documents_with_one_address_one_is_linked_and_one_links(tmp_path):
    twice = [page("a", "b"), page("a", "b", id="x" * 32), page("b"), page("b", id="y" * 32)]
    documents = files(tmp_path / "in", {"00": twice[:3], "01": twice[3:]})
    _, pairs, _ = run(tmp_path / "out", documents, pairs_per_document=9)
    assert pairs == [("a", "b", False)]


@pytest.mark.parametrize("seed", range(4))
def test_documents_with_one_address_are_one_page_in_any_order(tmp_path, seed):
    dice = random.Random(seed)
    rows = [
        page(name, "".join(dice.sample("abcdefghij", dice.randint(0, 3))), id=f"{number:032x}")
        for number, name in enumerate("abcdefghij" * 2 + "aaabbbc")
    ]
    edges = {
        (row["url"][-2], link[13])
        for row in rows
        for link in row["links"]
        if row["url"][-2] != link[13]
    }
    found = []
    for shards in (1, 2, 5):
        dice.shuffle(rows)
        given = {f"{number:02d}": rows[number::shards] for number in range(shards)}
        documents = files(tmp_path / f"in-{shards}", given)
        many = {"pairs_per_document": 99, "partitions": shards}
        _, _, paired = run(tmp_path / f"out-{shards}", documents, **many)
        found.append({(row["id"], row["linked"]["id"], row["linked"]["mutual"]) for row in paired})
        pages = [(row["url"][-2], row["linked"]["url"][-2]) for row in paired]
        assert all(pair in edges for pair in pages)
        assert sorted(map(sorted, pages)) == sorted(map(sorted, {*map(frozenset, edges)}))
        assert all(
            row["linked"]["mutual"] == ((b, a) in edges)
            for (a, b), row in zip(pages, paired, strict=True)
        )
    assert found[0] == found[1] == found[2]


def test_the_linked_text_is_cut_at_its_end(tmp_path):
    documents = files(tmp_path / "in", {"00": [page("a", "b"), page("b", text="\u00e9" * 50)]})
    _, _, (row,) = run(tmp_path / "out", documents, linked_characters=7)
    assert row["linked"]["text"] == "\u00e9" * 7


def a_web(folder: Path, shards: int, seed: int = 3):
    """Pages that link at random, and all their links."""
    dice = random.Random(seed)
    names = [chr(0x4E00 + number) for number in range(120)]
    linked = {name: dice.sample(names, dice.randint(0, 6)) for name in names}
    rows = [page(name, "".join(links), id=f"{ord(name):032x}") for name, links in linked.items()]
    documents = files(folder, {f"{n:02d}": rows[n::shards] for n in range(shards)})
    edges = {(a, b) for a, links in linked.items() for b in links if a != b}
    return documents, edges


@pytest.mark.parametrize(("shards", "partitions"), [(1, 1), (4, 3), (40, 30)])
def test_with_room_for_all_every_linked_pair_is_there_once(
    tmp_path, monkeypatch, shards, partitions
):
    monkeypatch.setattr(exchange, "MANY_READS", 100)  # so that files are collected
    documents, edges = a_web(tmp_path / "in", shards)
    settings = {"pairs_per_document": 200, "partitions": partitions}
    manifest, _, rows = run(tmp_path / "out", documents, **settings)
    names = {f"{number:032x}": chr(number) for number in range(0x4E00, 0x4E00 + 120)}
    found = [(names[row["id"]], names[row["linked"]["id"]]) for row in rows]
    assert len(found) == len(set(map(frozenset, found)))
    assert set(map(frozenset, found)) == set(map(frozenset, edges))
    mutual = {frozenset(edge) for edge in edges if edge[::-1] in edges}
    assert {
        frozenset(p) for p, row in zip(found, rows, strict=True) if row["linked"]["mutual"]
    } == mutual
    assert manifest.measures["mutual"] == len(mutual) > 0
    assert (tmp_path / "out/receipts/collect-keys").exists() == (shards == 40)


def test_pairs_do_not_depend_on_partitions(tmp_path):
    documents, _ = a_web(tmp_path / "in", 3)
    first = run(tmp_path / "one", documents, partitions=1)[1:]
    assert run(tmp_path / "many", documents, partitions=50)[1:] == first


def test_of_many_links_to_one_page_the_same_few_count_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr("corpusmill.stages.link.stage.LINKS_TO_A_PAGE", 3)
    names = [chr(0x4E00 + number) for number in range(60)]
    rows = [page("b"), *(page(name, "b", id=f"{ord(name):032x}") for name in names * 2)]
    found = []
    for shards in (1, 4):
        given = {f"{number:02d}": rows[number::shards] for number in range(shards)}
        documents = files(tmp_path / f"in-{shards}", given)
        out = tmp_path / f"out-{shards}"
        _, _, paired = run(out, documents, pairs_per_document=3)
        found.append(sorted(row["id"] for row in paired))
        receipts = [json.loads(path.read_text()) for path in out.glob("receipts/keys/*.json")]
        sent = sum(output["rows"] for one in receipts for output in one["outputs"])
        assert sent == len(rows) + 3 * shards
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_documents_without_links_are_told_with_the_mend(tmp_path):
    rows = {"00": [page("a", "b"), page("b")]}
    for name, documents in {
        "no column": files(tmp_path / "1", rows, ["links"]),
        "none": files(tmp_path / "2", {"00": [page("a")]}),
    }.items():
        with pytest.raises(InputError, match=r"no document links to another page.*extractor"):
            run(tmp_path / name, documents)


def test_levels_that_leave_no_links_are_told(tmp_path):
    rows = {"00": [page("a", "b", None), page("b", "", "high")]}
    for name, without in (("null", ()), ("no column", ["level"])):
        documents = files(tmp_path / name / "in", rows, without)
        with pytest.raises(InputError, match=r"link\.levels \(high\).*but others do.*unscored"):
            run(tmp_path / name / "out", documents, levels=("high",))


def test_an_unknown_level_is_named(tmp_path):
    with pytest.raises(RecipeError, match="there is no level 'best'"):
        run(tmp_path, files(tmp_path / "in", {"00": [page("a", "b")]}), levels=("best",))
