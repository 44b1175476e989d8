"""The redact stage: tags in the text, counts in columns, no document lost."""

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, LINKED, extended
from corpusmill.stages.contract import MapStage
from corpusmill.stages.redact.find import find
from corpusmill.stages.redact.stage import Redact
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.small_corpus import rows_of, run, write_shard

TEXT = (
    "Mail jo@host.de or (415) 766-4198, from 81.2.69.142. Card 4111 1111 1111 1111, IBAN "
    "DE89370400440532013000."
)
REDACTED = "Mail <EMAIL> or <PHONE>, from <IP>. Card <CARD>, IBAN <IBAN>."


def table_of(*texts):
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


def texts_of(outcome):
    return outcome.kept["text"].to_pylist()


def test_it_is_a_map_stage_over_documents():
    assert isinstance(Redact(), MapStage)
    assert Redact.reads == "documents"


def test_each_kind_is_replaced_by_its_tag_and_counted():
    outcome = Redact().apply(table_of(TEXT, "nothing here", "jo@host.de, jo@host.de"))
    assert texts_of(outcome) == [REDACTED, "nothing here", "<EMAIL>, <EMAIL>"]
    assert outcome.kept["pii_email"].to_pylist() == [1, 0, 2]
    for kind in ("ip", "phone", "card", "iban"):
        assert outcome.kept[f"pii_{kind}"].to_pylist() == [1, 0, 0]
    assert outcome.kept.schema == extended(*Redact().adds())


def test_no_document_is_dropped():
    outcome = Redact().apply(table_of(TEXT, None, ""))
    assert outcome.kept.num_rows == 3
    assert outcome.excluded.num_rows == 0
    assert outcome.excluded.schema == extended(*EXCLUSION, of=outcome.kept.schema)
    assert texts_of(outcome)[1:] == [None, ""]


def test_counting_leaves_the_text_as_it_is():
    outcome = Redact(mode="count").apply(table_of(TEXT))
    assert texts_of(outcome) == [TEXT]
    assert outcome.kept["pii_card"].to_pylist() == [1]


def test_kinds_and_tags_are_settings():
    outcome = Redact(kinds=("email",), tags={"email": "[mail]"}).apply(table_of(TEXT))
    assert texts_of(outcome) == [TEXT.replace("jo@host.de", "[mail]")]
    assert "pii_phone" not in outcome.kept.column_names


def test_a_tag_that_is_itself_personal_data_is_refused_before_anything_runs():
    with pytest.raises(RecipeError, match="take another tag"):
        Redact(tags={"email": "a@b.com"}).depends_on()


def test_kinds_may_not_be_empty():
    with pytest.raises(ValueError, match="at least one"):
        Redact(kinds=())


def test_the_output_depends_on_the_version_of_the_numbering_plans_only_where_it_matters():
    assert Redact().depends_on().startswith("phonenumbers ")
    assert Redact(kinds=("email",)).depends_on() == ""


def test_the_language_of_a_document_decides_about_numbers_without_a_country():
    table = table_of("x 0341/696290 x", "x 0341/696290 x")
    table = table.set_column(
        table.schema.get_field_index("language"), DOCUMENT.field("language"), pa.array(["de", None])
    )
    assert Redact().apply(table).kept["pii_phone"].to_pylist() == [1, 0]


def test_redacting_again_changes_nothing():
    once = Redact().apply(table_of(TEXT)).kept
    assert Redact().apply(once).kept["text"] == once["text"]


@pytest.mark.parametrize("string", [pa.string(), pa.large_string()])
def test_sliced_and_chunked_columns_keep_their_rows(string):
    column = pa.chunked_array(
        [
            pa.array(["x", TEXT, None, "jo@host.de"], string).slice(1),
            pa.array([], string),
            pa.array(["ü " + TEXT], string),
        ]
    )
    table = pa.table({"id": pa.array(list("abcd")), "text": column})
    outcome = Redact().apply(table)
    assert texts_of(outcome) == [REDACTED, None, "<EMAIL>", "ü " + REDACTED]
    assert outcome.kept["text"].type == string
    outcome.kept.validate(full=True)


def test_a_linked_document_is_refused_because_its_text_would_stay():
    linked = pa.array([None, {"id": "b", "text": "jo@host.de"}], LINKED.type)
    table = table_of("a", "b").append_column(LINKED, linked)
    with pytest.raises(InputError, match=r"linked would stay as it is.*run redact before link"):
        Redact().apply(table)
    assert Redact(mode="count").apply(table).kept["linked"].to_pylist() == linked.to_pylist()
    assert texts_of(Redact().apply(table.slice(0, 1))) == ["a"]


PIECES = st.sampled_from([TEXT, "ß", "\n", "jo@host.de", "plain "]) | st.text(max_size=6)


@given(st.lists(st.none() | st.lists(PIECES, max_size=6).map("".join), max_size=6))
def test_a_text_is_replaced_where_its_spans_are_and_nowhere_else(texts):
    kept = Redact().apply(table_of(*texts)).kept
    kept.validate(full=True)
    for before, after in zip(texts, kept["text"].to_pylist(), strict=True):
        if before is None:
            assert after is None
            continue
        data = before.encode()
        for span in reversed(find(before)):
            data = data[: span.begin] + f"<{span.kind.upper()}>".encode() + data[span.end :]
        assert after == data.decode()


def test_it_runs_as_a_verb_and_passes_its_columns_on(tmp_path):
    write_shard(tmp_path / "in.parquet", [{"id": "a", "text": TEXT}, {"id": "b", "text": "plain"}])
    manifest = run(
        "redact", {"kinds": ["email", "phone"]}, tmp_path / "out", str(tmp_path / "in.parquet")
    )
    (counts,) = manifest.totals
    rows = rows_of(tmp_path / "out")
    removed = [row["redact_removed_bytes"] for row in rows]
    assert removed[0] > removed[1] == 0
    assert (counts.kept, counts.edited, counts.cut_bytes) == (2, 1, removed[0])
    assert [row["pii_email"] for row in rows] == [1, 0]
    assert rows[0]["text"].startswith("Mail <EMAIL> or <PHONE>, from 81.2.69.142")
