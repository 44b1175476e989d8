"""datatrove filters as blocks: real filters of the wheel, run on single documents."""

import sys
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.manifests.storage import artifact_of
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.fused import Fused
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.contract import Inputs
from corpusmill.stages.filter.datatrove_block import judge, load, parse
from corpusmill.stages.filter.stage import Filter
from datatrove.pipeline.filters.base_filter import BaseFilter


class MissingPackage(BaseFilter):
    """A filter as datatrove writes them, with a package that nobody has."""

    _requires_dependencies = ["no_such_package"]

    def filter(self, document):
        return True


FILTERS = "datatrove.pipeline.filters"
PROSE = " ".join(
    ["The quality of the text that people have to read with care is to be measured here and there."]
    * 6
)


def block(name, **arguments):
    return parse({"class": f"{FILTERS}:{name}", "arguments": arguments})


def row(text, identity="a", **columns):
    return {"id": identity, "text": text, "url": "https://a.example/", **columns}


def test_a_document_that_the_filter_keeps_has_no_reason():
    verdict = judge(block("GopherQualityFilter"), row(PROSE))
    assert (verdict.reason, verdict.text) == ("", PROSE)


def test_a_drop_carries_the_class_and_the_filters_own_reason():
    verdict = judge(block("GopherQualityFilter"), row("Too short."))
    assert verdict.reason == "datatrove.GopherQualityFilter.gopher_short_doc"


def test_a_reason_that_is_prose_becomes_a_code_and_stays_readable_in_the_detail():
    verdict = judge(block("C4ParagraphFilter"), row("One paragraph."))
    assert (verdict.reason, verdict.detail) == (
        "datatrove.C4ParagraphFilter.3_paragraphs",
        "< 3 paragraphs",
    )


def test_a_filter_without_reasons_drops_with_a_reason_all_the_same():
    assert (
        judge(block("RegexFilter", regex_exp="spam"), row("spam")).reason
        == "datatrove.RegexFilter.dropped"
    )


def test_arguments_reach_the_filter():
    verdict = judge(block("GopherQualityFilter", min_doc_words=1000), row(PROSE))
    assert verdict.reason.endswith("gopher_short_doc")
    assert verdict.detail == "gopher_short_doc (min_doc_words 1000)"


def test_the_detail_has_what_the_filter_measured_where_it_tells(monkeypatch):
    measuring = block("LambdaFilter", filter_function="unused")

    def filter(document):
        document.metadata["score"] = 0.25
        return False, "low_score"

    monkeypatch.setattr(load(measuring), "filter", filter)
    verdict = judge(measuring, row(PROSE, url="kept"))
    assert verdict.detail == "low_score (score 0.25, filter_function unused)"


def test_a_filter_may_edit_the_text():
    lines = "\n".join(["This sentence stays where it is."] * 6)
    verdict = judge(block("C4QualityFilter"), row(lines + "\nno full stop here"))
    assert (verdict.reason, verdict.text) == ("", lines)


def test_columns_reach_the_filter_as_metadata():
    blocked = block("URLFilter", extra_urls=["https://a.example/"], use_integrated_lists=False)
    assert judge(blocked, row("x")).reason == "datatrove.URLFilter.url"


def test_a_document_on_which_the_filter_fails_is_a_failed_record():
    blocked = block("URLFilter", use_integrated_lists=False)
    verdict = judge(blocked, {"id": "a", "text": "x", "url": None})
    assert verdict.reason == "error_datatrove.URLFilter"
    assert "AssertionError" in verdict.detail


def test_a_sampling_filter_decides_by_document_and_not_by_reading_order():
    sampler = block("SamplerFilter", rate=0.5)
    documents = [row("x", identity=str(number)) for number in range(200)]
    forwards = [judge(sampler, document).reason == "" for document in documents]
    backwards = [judge(sampler, document).reason == "" for document in reversed(documents)]
    assert forwards == backwards[::-1]
    assert 70 < sum(forwards) < 130


def test_a_block_is_made_once_a_process():
    assert load(block("GopherQualityFilter")) is load(block("GopherQualityFilter"))


def test_a_filter_whose_package_is_missing_names_it():
    with pytest.raises(RecipeError, match=r"MissingPackage needs a package .*no_such_package"):
        load(parse({"class": f"{__name__}:MissingPackage"}))


def test_a_tokenizer_whose_package_is_missing_ends_the_run_and_names_it():
    # datatrove cuts Burmese with a package that corpusmill does not install.
    burmese = block("GopherQualityFilter", language="mya_Mymr")
    with pytest.raises(RecipeError, match=r"needs a package that is not installed .*pyidaungsu"):
        judge(burmese, row(PROSE))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"class": f"{FILTERS}:GopherQualtyFilter"}, "did you mean 'GopherQualityFilter'"),
        ({"class": f"{FILTERS}:BaseWriter"}, "no datatrove filter"),
        ({"class": "datatrove.pipeline.filter:GopherQualityFilter"}, "cannot be imported"),
        ({"class": f"{FILTERS}:GopherQualityFilter", "arguments": {"min_words": 3}}, "min_words"),
        ({"class": f"{FILTERS}.GopherQualityFilter"}, "write module:Class"),
        ({"arguments": {}}, "write module:Class"),
        ({"class": f"{FILTERS}:GopherQualityFilter", "argument": {}}, "did you mean 'arguments'"),
        ({"class": f"{FILTERS}:GopherQualityFilter", "arguments": [3]}, "name: value"),
        (
            {"class": f"{FILTERS}:GopherQualityFilter", "arguments": {"exclusion_writer": None}},
            "leave it out",
        ),
        (
            {"class": f"{FILTERS}:LambdaFilter", "arguments": {"filter_function": len}},
            "plain values",
        ),
    ],
)
def test_a_mistake_in_a_block_is_named_with_its_mend(recipe, message):
    with pytest.raises(RecipeError, match=message):
        load(parse(recipe))


class Broken(BaseFilter):
    """A filter of a user's own, with a mistake in it."""

    def filter(self, document):
        return document.metadata["scores"] > 1


class BrokenForSome(BaseFilter):
    def filter(self, document):
        return document.metadata["no such column"] if "bad" in document.text else True


def shard_of(folder, texts, class_name, monkeypatch):
    """Run the stage over these texts as one shard. Returns the account."""
    module = types.ModuleType("filters_of_a_user")
    vars(module).update(Broken=Broken, BrokenForSome=BrokenForSome)
    monkeypatch.setitem(sys.modules, "filters_of_a_user", module)
    path = folder / "texts.parquet"
    rows = {"id": [str(number) for number in range(len(texts))], "text": texts}
    pq.write_table(conform(pa.table(rows), DOCUMENT), path)
    stage = Filter(families=(), blocks=({"class": f"filters_of_a_user:{class_name}"},))
    job = Job(
        Fused(stages=(stage,)), ("filter",), {},
        Inputs(str(folder / "out"), (artifact_of(str(path)),)), (),
    )  # fmt: skip
    return execute(job, InlineRunner())


def test_a_filter_that_fails_on_every_document_stops_the_stage_and_says_why(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=r"Broken failed on all 2 documents .*KeyError: 'scores'"):
        shard_of(tmp_path, ["one", "two"], "Broken", monkeypatch)


def test_a_filter_that_fails_on_some_documents_excludes_these(tmp_path, monkeypatch):
    manifest = shard_of(tmp_path, ["good", "bad"], "BrokenForSome", monkeypatch)
    (counts,) = manifest.totals
    assert (counts.kept, counts.failures) == (1, {"error_datatrove.BrokenForSome": 1})
