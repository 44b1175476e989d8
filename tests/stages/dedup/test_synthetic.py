"""Synthetic rows: compared without their template, and only within their parent."""

import pyarrow as pa
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.synthetic import compared_texts, parent_hashes

from tests.stages.dedup.corpus import dedup, document, edited, words


def synthetic(name: str, parent: str | None, text: str) -> dict:
    return document(name, text, kind="synthetic", prompt="diverse_qa", lineage={"parent": parent})


def questions(seed: int, answer_words: int = 6) -> str:
    """Short pairs in a long frame: most of the words come from the template."""
    lead = (
        "Here are some questions and answers about the passage that was given above, as asked for:"
    )
    return (
        f"{lead}\nQuestion: {' '.join(words(seed, 5))}?\nAnswer: "
        f"{' '.join(words(-seed, answer_words))}."
    )


def table_of(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=DOCUMENT)


def test_rows_of_many_parents_never_collapse_however_alike(tmp_path):
    """Three hundred parents, and every row has the same text."""
    rows = [synthetic(f"s{number:03d}", f"p{number:03d}", questions(1)) for number in range(300)]
    result = dedup(tmp_path, rows[:100], rows[100:], bands=20, rows=1, verify_threshold=0.3)
    assert len(result.kept) == 300


def test_rows_of_one_parent_that_say_the_same_are_duplicates(tmp_path):
    shards = (
        [synthetic("b", "p1", questions(1))],
        [synthetic("a", "p1", questions(1)), synthetic("c", "p2", questions(1))],
    )
    result = dedup(tmp_path, *shards, survivor="first")
    assert result.kept_ids == ["a", "c"]
    assert result.removed_row("b")["detail"] == "duplicate_of=a"


def test_the_template_does_not_make_rows_of_one_parent_alike(tmp_path):
    """Two thirds of the words of each row are template. Without it the rows share nothing."""
    rows = [synthetic("a", "p1", questions(1, 3)), synthetic("b", "p1", questions(2, 3))]
    assert dedup(tmp_path / "with", rows, bands=30, rows=1, verify_threshold=0.2).kept_ids == [
        "a",
        "b",
    ]
    assert dedup(
        tmp_path / "without", rows, bands=30, rows=1, verify_threshold=0.2, template=()
    ).kept_ids != [
        "a",
        "b",
    ]


def test_a_synthetic_row_and_an_actual_document_are_no_duplicates(tmp_path):
    text = " ".join(words(3))
    result = dedup(tmp_path, [document("page", text), synthetic("row", "page", text)])
    assert result.kept_ids == ["page", "row"]


def test_near_duplicates_of_one_parent_are_removed_with_their_similarity(tmp_path):
    text = words(4)
    rows = [synthetic("a", "p1", " ".join(text)), synthetic("b", "p1", " ".join(edited(text, 2)))]
    result = dedup(tmp_path, rows, survivor="first")
    assert (result.kept_ids, result.removed_row("b")["reason"]) == (["a"], "dedup.fuzzy")


def test_rows_without_a_parent_stand_for_themselves(tmp_path):
    rows = [synthetic("a", None, questions(1)), synthetic("b", None, questions(1))]
    assert dedup(tmp_path, rows).kept_ids == ["a", "b"]


def test_tags_and_lead_ins_are_cut_from_synthetic_rows_only():
    text = "Here are the pairs:\nQuestion: who came?\nAnswer: the answer is nobody.\nQ2: and then?"
    rows = table_of(synthetic("s", "p", text), document("d", text))
    found = compared_texts(rows, DedupSettings())
    bare, untouched = found.to_pylist()
    assert " ".join(bare.split()) == "who came? the answer is nobody. and then?"
    assert untouched == text


def test_actual_documents_need_neither_copy_nor_parent():
    table = table_of(document("a", "one"), document("b", "two"))
    assert compared_texts(table, DedupSettings()).equals(table["text"])
    assert parent_hashes(table).tolist() == [0, 0]
