"""Rows that share a preamble: a warning by default, and a setting that compares the rest alone."""

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.looking.inspect import stage_rows
from corpusmill.manifests.looking.tables import row_remarks
from corpusmill.stages.dedup.stage import Dedup

from tests.stages.dedup.corpus import dedup, document, edited, words

PREAMBLE, FOOTER = " ".join(words("preamble", 300)), " ".join(words("footer", 300))


def rows_of(rests: list[str]) -> list[dict]:
    return [
        document(f"d{number}", f"{PREAMBLE} {rest} {FOOTER}") for number, rest in enumerate(rests)
    ]


RESTS = [" ".join(words(f"rest{number}", 20)) for number in range(6)]


def test_rows_that_share_only_a_preamble_and_a_footer_are_removed_with_a_warning(tmp_path):
    result = dedup(tmp_path, rows_of(RESTS))
    assert len(result.kept) == 1
    assert {row["reason"] for row in result.removed} == {"dedup.shared_part"}
    (line,) = row_remarks(stage_rows(result.manifest)[-1])
    assert line.startswith("warning: dedup removed 5 of 6 documents")
    assert "dedup.shared_parts=ignore" in line


def test_the_shared_part_can_be_left_out_and_true_copies_still_go(tmp_path):
    near = " ".join(edited(RESTS[0].split(), 1))
    result = dedup(tmp_path, rows_of([*RESTS, RESTS[3], near]), shared_parts="ignore")
    assert {row["reason"] for row in result.removed} == {"dedup.exact", "dedup.fuzzy"}
    assert len(result.kept) == 6


@pytest.mark.parametrize("shared_parts", ["compare", "ignore"])
def test_scattered_edits_are_no_shared_part(tmp_path, shared_parts):
    text = words("text", 400)
    rows = [document("a", " ".join(text))]
    rows += [document(f"n{seed}", " ".join(edited(text, 4, seed))) for seed in range(5)]
    result = dedup(tmp_path, rows, shared_parts=shared_parts)
    assert {row["reason"] for row in result.removed} == {"dedup.fuzzy"}
    assert len(result.kept) == 1


def test_a_pair_alone_gives_no_warning(tmp_path):
    result = dedup(tmp_path, rows_of(RESTS[:2]))
    assert [row["reason"] for row in result.removed] == ["dedup.fuzzy"]
    assert list(row_remarks(stage_rows(result.manifest)[-1])) == []


def test_earlier_signatures_hold_no_parts_to_leave_out():
    with pytest.raises(RecipeError, match="shared_parts"):
        Dedup(shared_parts="ignore", against=("earlier",))
