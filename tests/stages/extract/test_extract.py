"""Extract: every record ends as a document or as an excluded row with one reason and its measured
value.
"""

import time

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.schema import EXCLUSION, extended
from corpusmill.stages.contract import MapStage
from corpusmill.stages.extract import html
from corpusmill.stages.extract.stage import Extract
from corpusmill.stages.readers import RECORD

from tests.stages.readers.warc_bytes import PROSE, answer, page, put, record, table_of

GERMAN = (
    "Der Fluss war in der Nacht gestiegen, und am Morgen standen die unteren Felder unter "
    "Wasser. Die Leute gingen zur Brücke "
    "hinauf, um ihn anzusehen, und redeten über die Hochwasser früherer Jahre, als die Straße "
    "eine Woche lang gesperrt war. "
)


def outcome_of(tmp_path, *answers, settings=None):
    """Extract the given HTTP answers, each a record of its own."""
    data = b"".join(record(number, item) for number, item in enumerate(answers))
    return (settings or Extract()).apply(table_of(put(tmp_path, "crawl.warc", data)))


def of_rows(*rows, settings=None):
    """Extract records given as rows of `RECORD`, for tests that need no file."""
    numbered = [{"id": str(number), **row} for number, row in enumerate(rows)]
    return (settings or Extract()).apply(pa.Table.from_pylist(numbered, schema=RECORD))


def reasons(outcome):
    return [(row["reason"], row["detail"]) for row in outcome.excluded.to_pylist()]


def test_it_is_a_map_stage_that_reads_records():
    assert isinstance(Extract(), MapStage)
    assert Extract.reads == "records"


def test_a_page_becomes_a_document(tmp_path):
    kept, excluded = outcome_of(tmp_path, answer(page()))
    (row,) = kept.to_pylist()
    assert kept.schema == extended(*Extract().adds())
    assert excluded.schema == extended(*Extract().adds(), *EXCLUSION)
    assert excluded.num_rows == 0
    assert row["text"] == (PROSE * 3).strip()
    assert (row["url"], row["source"], row["date"]) == (
        "http://example.org/0",
        "crawl",
        "2024-05-01T12:00:00Z",
    )
    assert (row["language"], row["kind"]) == ("en", "actual")
    assert 0.3 < row["language_score"] <= 1
    assert row["origin"]["offset"] == 0


def test_a_page_has_a_title_and_its_text_begins_with_the_headline(tmp_path):
    body = page().replace(
        b"<body>", b"<title>The river rises | News</title><body><h1>The river rises</h1>"
    )
    (row,) = outcome_of(tmp_path, answer(body)).kept.to_pylist()
    assert row["title"] == "The river rises"
    assert row["text"].startswith("# The river rises\n\nThe river had")


def test_a_text_without_a_page_has_no_title():
    assert of_rows({"text": PROSE}).kept["title"].to_pylist() == [None]


def test_an_excluded_row_keeps_who_it_was(tmp_path):
    row = outcome_of(tmp_path, answer(page(GERMAN * 3))).excluded.to_pylist()[0]
    assert row["stage"] == "extract"
    assert row["reason"] == "language.unwanted"
    assert row["detail"].startswith("language=de language_score=0.")
    assert row["text"].startswith("Der Fluss")
    assert (row["url"], row["language"]) == ("http://example.org/0", "de")
    assert row["id"]
    assert row["origin"]["file"].endswith("crawl.warc")


@pytest.mark.parametrize(
    ("given", "reason", "detail"),
    [
        (answer(page(), status="404 Not Found"), "http.status", "status=404"),
        (answer(b"", status="301 Moved"), "http.status", "status=301"),
        (answer(b"{}", Content_Type="application/json"), "http.mime", "mime=application/json"),
        (answer(b"%PDF-1.4 ...", Content_Type=None), "http.mime", "mime=application/pdf"),
        (answer(b"\x89PNG\r\n"), "http.mime", "mime=image/png (its header says text/html)"),
        (answer(page("")), "page.empty", "characters=0"),
        (answer(b""), "page.empty", "characters=0"),
        (answer(b" \n ", Content_Type="text/plain"), "page.empty", "characters=0"),
        (answer("\u200b \u2060".encode(), Content_Type="text/plain"), "page.empty", "characters=0"),
        (answer(page("77 - 1234567 - 99999")), "language.below_threshold", None),
    ],
)
def test_each_rule_has_its_reason_and_value(tmp_path, given, reason, detail):
    ((found, value),) = reasons(outcome_of(tmp_path, given))
    assert found == reason
    assert value == detail if detail else value.startswith("language_score=0.")


def test_a_page_without_a_content_type_is_judged_by_its_content(tmp_path):
    assert outcome_of(tmp_path, answer(page(), Content_Type=None)).kept.num_rows == 1


def test_plain_text_is_taken_as_it_stands(tmp_path):
    text = (
        "\tIndented line of a text that nobody marked up, written in English.\n\n\n\nAnother "
        "line of it. <b>"
    )
    (row,) = outcome_of(tmp_path, answer(text.encode(), Content_Type="text/plain")).kept.to_pylist()
    assert row["text"] == text


def test_a_page_over_the_limit_is_excluded_with_its_size(tmp_path):
    found = outcome_of(tmp_path, answer(page("x" * 5000)), settings=Extract(max_page_bytes=4000))
    ((reason, detail),) = reasons(found)
    assert reason == "page.too_large"
    assert detail.endswith("> 4000")


@pytest.mark.slow
def test_fifty_megabytes_on_one_line_are_extracted_if_the_limit_allows():
    big = b"<html><body><p>" + PROSE.encode() * (50_000_000 // len(PROSE)) + b"</p></body></html>"
    start = time.monotonic()
    rows = {"status": 200, "mime": "text/html", "payload": big}
    assert of_rows(rows, settings=Extract(max_page_bytes=60_000_000)).kept.num_rows == 1
    assert reasons(of_rows(rows)) == [("page.too_large", f"bytes={len(big)} > 20000000")]
    assert time.monotonic() - start < 120


def test_a_text_shorter_than_wanted_is_excluded_with_its_length(tmp_path):
    found = outcome_of(
        tmp_path, answer(page("Only a few words.")), settings=Extract(min_text_chars=50)
    )
    assert reasons(found) == [("page.too_short", "characters=17 < 50")]


def test_no_languages_keeps_all_languages(tmp_path):
    kept = outcome_of(
        tmp_path, answer(page()), answer(page(GERMAN * 3)), settings=Extract(languages=())
    ).kept
    assert kept["language"].to_pylist() == ["en", "de"]


def test_the_threshold_is_inclusive_of_its_value_and_can_be_raised(tmp_path):
    score = outcome_of(tmp_path, answer(page())).kept["language_score"][0].as_py()
    assert outcome_of(
        tmp_path, answer(page()), settings=Extract(language_threshold=round(score - 0.01, 3))
    ).kept.num_rows
    (found,) = reasons(
        outcome_of(tmp_path, answer(page()), settings=Extract(language_threshold=1.0))
    )
    assert found[0] == "language.below_threshold"
    assert found[1].endswith("< 1.0 (en)")


def test_a_language_may_have_a_threshold_of_its_own(tmp_path):
    settings = Extract(languages=("en", "de"), language_thresholds={"de": 1.0})
    found = outcome_of(tmp_path, answer(page()), answer(page(GERMAN * 3)), settings=settings)
    assert found.kept["language"].to_pylist() == ["en"]
    assert reasons(found)[0][1].endswith("< 1.0 (de)")


def test_a_threshold_for_a_language_that_is_not_kept_is_refused():
    with pytest.raises(ValueError, match="names fr, which"):
        Extract(language_thresholds={"fr": 0.5})


def test_a_language_that_the_model_does_not_know_is_refused_unless_records_say_theirs():
    with pytest.raises(RecipeError, match="no language 'xx'; there are: af, als"):
        Extract(languages=("en", "xx")).depends_on()
    assert Extract(languages=("xx",), trust_language=True).depends_on()


def test_records_that_hold_text_skip_the_page_steps():
    found = of_rows(
        {
            "mime": "text/plain",
            "text": "    def f():\r\n        return '<p>'\x00  # an English comment about it",
        }
    )
    assert found.kept["text"].to_pylist() == [
        "    def f():\n        return '<p>'  # an English comment about it"
    ]


def test_a_language_that_a_record_brings_is_trusted_only_if_the_settings_say_so():
    row = {"text": PROSE, "language": "de"}
    assert of_rows(row).kept["language"].to_pylist() == ["en"]
    found = of_rows(row, settings=Extract(trust_language=True, languages=("de",))).kept.to_pylist()[
        0
    ]
    assert (found["language"], found["language_score"]) == ("de", None)
    assert of_rows({"text": PROSE}, settings=Extract(trust_language=True)).kept[
        "language"
    ].to_pylist() == ["en"]


def test_what_the_reader_could_not_read_is_excluded_with_its_words():
    found = of_rows({"error": "error_read.truncated", "error_detail": "x.warc at offset 5: cut"})
    assert reasons(found) == [("error_read.truncated", "x.warc at offset 5: cut")]


def test_a_broken_body_of_an_unwanted_answer_is_no_failure(tmp_path):
    broken = answer(b"\x1f\x8b\x08 broken", Content_Encoding="gzip", Content_Type="image/svg+xml")
    assert reasons(outcome_of(tmp_path, broken)) == [("http.mime", "mime=image/svg+xml")]


def test_nul_bytes_and_invalid_utf8_do_not_reach_the_text(tmp_path):
    body = page(PROSE * 2 + "Gr\0üße").replace("ü".encode(), b"\xc3") + b"\xff\xfe\x00"
    (row,) = outcome_of(tmp_path, answer(body)).kept.to_pylist()
    assert "\0" not in row["text"]
    assert row["text"].startswith(PROSE.strip()[:50])


def test_a_page_nested_too_deeply_for_its_extractor_is_a_failed_row_and_its_neighbours_live(
    tmp_path,
):
    bomb = answer(b"<html><body>" + b"<div>" * 100_000 + b"deep")
    start = time.monotonic()
    found = outcome_of(
        tmp_path, answer(page()), bomb, answer(page()), settings=Extract(extractor="resiliparse")
    )
    assert reasons(found) == [("error_html.NestedTooDeeply", "depth=100000 > 2000")]
    assert found.kept.num_rows == 2
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "error", [RecursionError("too deep"), ValueError("odd page\nsecond line"), AssertionError()]
)
def test_whatever_a_page_does_to_the_extractor_costs_that_page_only(tmp_path, monkeypatch, error):
    extract = html.read

    def fails_on_the_second(text, *rest):
        if "poison" in text:
            raise error
        return extract(text, *rest)

    monkeypatch.setattr(html, "read", fails_on_the_second)
    found = outcome_of(
        tmp_path,
        answer(page()),
        answer(page("poison")),
        answer(page()),
        settings=Extract(page_seconds=0),
    )
    assert found.kept.num_rows == 2
    assert reasons(found) == [
        (f"error_html.{type(error).__name__}", (str(error).splitlines() or [""])[0])
    ]


def test_a_missing_language_model_stops_the_stage_and_is_no_row(tmp_path):
    settings = Extract(language_model=str(tmp_path / "gone.bin"))
    with pytest.raises(ModelError, match="does not exist"):
        settings.depends_on()
    for extractor in ("main_content", "resiliparse", "justext"):
        with pytest.raises(ModelError, match="does not exist"):
            outcome_of(
                tmp_path,
                answer(page()),
                settings=Extract(extractor=extractor, language_model=settings.language_model),
            )


def test_the_default_extractor_finds_a_list_in_a_menu_where_there_is_nothing_else(tmp_path):
    items = "".join(f"<li><b>setting.{n}</b><p>{PROSE}</p></li>" for n in range(5))
    (row,) = outcome_of(
        tmp_path, answer(f"<html><body><ul class=menu>{items}</ul></body></html>".encode())
    ).kept.to_pylist()
    assert row["text"].count("The river had risen") == 5


def test_every_row_ends_in_exactly_one_table(tmp_path):
    given = [
        answer(page()),
        answer(page(), status="500 Oops"),
        b"no http",
        answer(page(GERMAN * 2)),
        answer(b""),
    ]
    found = outcome_of(tmp_path, *given)
    assert found.kept.num_rows + found.excluded.num_rows == len(given)
    ids = found.kept["id"].to_pylist() + found.excluded["id"].to_pylist()
    assert len(set(ids)) == len(given)


def test_no_rows_give_no_rows():
    found = Extract().apply(RECORD.empty_table())
    assert (found.kept.num_rows, found.excluded.num_rows) == (0, 0)


def test_the_outcome_does_not_depend_on_the_batch(tmp_path):
    answers = [answer(page(f"Page {n}. {PROSE * (n % 3)}")) for n in range(12)]
    whole = outcome_of(tmp_path, *answers)
    table = table_of(
        put(tmp_path, "crawl.warc", b"".join(record(n, item) for n, item in enumerate(answers)))
    )
    parts = [Extract().apply(table.slice(start, 5)).kept for start in range(0, 12, 5)]
    assert pa.concat_tables(parts).to_pylist() == whole.kept.to_pylist()


def test_what_it_depends_on_names_language_model_and_extractor():
    words = Extract().depends_on().split()
    assert len(words[0]) == 64
    assert words[1] == "main_content"
    assert words[-4::2] == ["ftfy", "unicode"]
    assert Extract(extractor="justext").depends_on() != Extract().depends_on()
