"""Decontaminate: what is an item's text is found however it is written, and nothing else is."""

import json

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, LINKED, extended
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.decontaminate.masking import CUTS
from corpusmill.stages.decontaminate.settings import EvaluationSet
from corpusmill.stages.decontaminate.stage import Decontaminate

from tests.stages.decontaminate.items import CODE, FILLER, PASSAGES, QUESTIONS, SETS, TEXTS
from tests.stages.small_corpus import rows_of, run, write_shard

LAMPS, BRANDVOLD, CARILLON, CAPITAL = QUESTIONS
ASKED = BRANDVOLD["question"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evals")
    found = {}
    for name, rows in SETS.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found[name] = EvaluationSet(input=str(path))
    return found


def table_of(*texts, **columns):
    rows = [{"id": str(number), "text": text, **columns} for number, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


@pytest.fixture(scope="module")
def verdict_of(sets):
    """A text -> (verdict, item) of its only hit, or None."""
    stage = Decontaminate(sets=sets, action="report")

    def found(text):
        hits = stage.apply(table_of(text)).kept["contamination"][0].as_py()
        assert len(hits) < 2
        return (hits[0]["verdict"], hits[0]["item"]) if hits else None

    return found


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda text: text, id="verbatim"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(str.title, id="title case"),
        pytest.param(lambda text: text.replace(",", "").replace("?", " -- "), id="re-punctuated"),
        pytest.param(lambda text: "\n".join(text.split()), id="a word on each line"),
        pytest.param(lambda text: f"{FILLER * 200}{text}{FILLER * 200}", id="in a long document"),
        pytest.param(
            lambda text: text.replace("keeper", "guard").replace("every storm", "each storm"),
            id="words changed",
        ),
        pytest.param(
            lambda text: text.replace("more after", "more of them after"), id="words put in"
        ),
        pytest.param(lambda text: text.replace("in one week, ", ""), id="words left out"),
    ],
)
def test_a_question_with_its_answer_is_found_however_it_is_written(verdict_of, write):
    text = f"{LAMPS['question']}\nAnswer: {LAMPS['answer'].split('####')[0]}"
    text = text.replace("<<14*7=98>>", "").replace("<<9*3=27>>", "")
    assert verdict_of(write(text)) == ("question_and_answer", "ships-0")


def test_a_question_alone_is_told_from_one_with_its_answer(verdict_of):
    assert verdict_of(f"{FILLER}{ASKED} {FILLER}") == ("question", "ships-1")
    assert verdict_of(f"{FILLER}{ASKED} It was Kvalsund. {FILLER}") == (
        "question_and_answer",
        "ships-1",
    )


def test_a_short_question_counts_only_with_its_answer(verdict_of):
    assert verdict_of(f"{FILLER}{CARILLON['question']} {FILLER}") is None
    assert verdict_of(f"{CARILLON['question']} Oswin Pettifer.")[1] == "ships-2"
    assert verdict_of("A lantern wick draws whale oil upward through braided cotton fibres.") == (
        "question_and_answer",
        "reef-1",
    )


@pytest.mark.parametrize(
    "text",
    [
        CAPITAL["question"],
        "Paris is the capital of France.",
        "Which harbour did they survey? It was closed. Who tuned the organ?",
        "He trims 14 lamps each evening, and more after every storm.",
        "Coral reefs are home to parrotfish, and why they sleep is not known.",
    ],
)
def test_what_anyone_might_write_is_no_item(verdict_of, text):
    assert verdict_of(f"{FILLER}{text} {FILLER}") is None


def test_a_short_answer_alone_says_nothing(verdict_of):
    assert verdict_of(f"{FILLER}The boat reached Kvalsund. Oswin Pettifer was there.") is None


def test_a_long_answer_alone_is_found(verdict_of):
    solution = LAMPS["answer"].replace("<<14*7=98>>", "").replace("<<9*3=27>>", "")
    assert verdict_of(f"{FILLER}{solution}{FILLER}") == ("answer", "ships-0")
    assert verdict_of(f"# notes\n{CODE[0]['canonical_solution']}")[0] == "answer"


def test_a_problem_with_other_numbers_is_another_problem(verdict_of):
    other = LAMPS["question"].replace("14", "32").replace("9 more", "5 more")
    assert verdict_of(other) is None


def test_an_answer_that_a_prompt_gives_by_letter_is_the_choice_of_that_letter(verdict_of):
    asked = "Why do parrotfish sleep inside a cocoon of mucus on coral reefs?"
    assert verdict_of(f"{asked} It hides their scent from moray eels.")[0] == "question_and_answer"
    assert verdict_of(f"{asked} It keeps the water out.")[0] == "question"


def test_a_passage_alone_is_reported_and_stays(sets):
    passage = FILLER + PASSAGES[0]["passage"]
    outcome = Decontaminate(sets=sets).apply(table_of(passage))
    assert outcome.kept["contamination"][0].as_py()[0]["verdict"] == "passage"
    asked = f"{passage} {PASSAGES[0]['question']}"
    outcome = Decontaminate(sets=sets).apply(table_of(asked))
    assert outcome.excluded["reason"].to_pylist() == ["decontaminate.question"]


def test_a_part_of_a_text_for_perplexity_is_found(verdict_of):
    assert verdict_of(FILLER + TEXTS[0]["text"])[0] == "text"


def test_a_removed_document_names_the_item_and_where_it_stands(sets):
    text = f"{FILLER}{ASKED} {FILLER}"
    outcome = Decontaminate(sets=sets).apply(table_of(text, FILLER))
    assert outcome.kept["id"].to_pylist() == ["1"]
    assert outcome.kept.schema == extended(*Decontaminate(sets=sets).adds())
    assert outcome.excluded.schema == extended(*EXCLUSION, of=outcome.kept.schema)
    row = outcome.excluded.to_pylist()[0]
    assert row["reason"] == "decontaminate.question"
    begin = len(FILLER)
    end = begin + len(ASKED) - 1  # the question mark is no word
    assert row["detail"] == f"set=ships item=ships-1 share=1.00 bytes={begin}:{end}"
    (hit,) = row["contamination"]
    assert hit["spans"] == [{"start": begin, "length": end - begin}]


def test_a_mask_cuts_the_spans_and_can_be_undone(sets):
    text = f"Ünter {FILLER}{ASKED} The answer: Kvalsund. {FILLER}{ASKED}"
    stage = Decontaminate(sets=sets, action="mask", max_masked_share=0.9)
    outcome = stage.apply(table_of(text, FILLER, n_tokens=7))
    masked, clean = outcome.kept.to_pylist()
    assert masked["text"] == f"Ünter {FILLER}? The answer: . {FILLER}?"
    assert restore(masked["text"], masked[CUTS.name]) == text
    assert masked["decontaminate_removed_bytes"] == 2 * len(ASKED[:-1]) + len("Kvalsund")
    assert masked["n_tokens"] is None
    assert (clean["text"], clean[CUTS.name], clean["n_tokens"]) == (FILLER, None, 7)
    again = stage.apply(outcome.kept)
    assert again.kept.to_pylist()[0][CUTS.name] == masked[CUTS.name]


@pytest.mark.parametrize("action", ["mask", "remove"])
def test_a_linked_document_is_refused_because_its_text_is_not_searched(sets, action):
    linked = pa.array([{"id": "b", "text": ASKED}], LINKED.type)
    table = table_of(FILLER).append_column(LINKED, linked)
    with pytest.raises(InputError, match="run decontaminate before link"):
        Decontaminate(sets=sets, action=action).apply(table)
    assert Decontaminate(sets=sets, action="report").apply(table).kept.num_rows == 1


def test_a_document_that_is_mostly_items_is_dropped_whole(sets):
    outcome = Decontaminate(sets=sets, action="mask").apply(table_of(f"Quiz: {ASKED}"))
    assert outcome.excluded["reason"].to_pylist() == ["decontaminate.mostly_masked"]
    assert outcome.excluded["text"].to_pylist() == [f"Quiz: {ASKED}"]


def test_the_user_says_on_which_verdicts_to_act(sets):
    stage = Decontaminate(sets=sets, act_on=("question_and_answer",))
    outcome = stage.apply(table_of(ASKED, f"{ASKED} Kvalsund"))
    assert outcome.kept["id"].to_pylist() == ["0"]
    assert outcome.excluded["id"].to_pylist() == ["1"]


def test_empty_and_missing_texts_stay(sets):
    outcome = Decontaminate(sets=sets).apply(table_of(None, "", "..."))
    assert outcome.kept["contamination"].to_pylist() == [[], [], []]
    assert outcome.excluded.num_rows == 0


def test_batches_do_not_change_the_verdicts(sets):
    texts = [ASKED, FILLER, f"{ASKED} Kvalsund", LAMPS["question"], TEXTS[0]["text"]] * 3
    stage = Decontaminate(sets=sets, action="report")
    whole = stage.apply(table_of(*texts)).kept["contamination"].to_pylist()
    alone = [stage.apply(table_of(text)).kept["contamination"][0].as_py() for text in texts]
    assert whole == alone


def test_more_matches_than_the_first_buffer_holds(sets):
    """Each copy of the question is a match; there is room for 1,024 at first."""
    stage = Decontaminate(sets=sets, action="report")
    found = stage.apply(table_of(FILLER, f"{ASKED} " * 1500)).kept["contamination"].to_pylist()
    assert found[0] == []
    assert len(found[1][0]["spans"]) == 1500


def test_a_run_reports_what_went(tmp_path, sets):
    texts = [ASKED, FILLER, f"{ASKED} Kvalsund", LAMPS["question"]]
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    shard = write_shard(tmp_path / "in/00000.parquet", rows)
    settings = {"sets": {name: {"input": one.input} for name, one in sets.items()}}
    manifest = run("decontaminate", settings, tmp_path / "out", shard)
    assert manifest.totals[0].excluded == {
        "decontaminate.question": 2,
        "decontaminate.question_and_answer": 1,
    }
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["1"]


def test_another_evaluation_set_is_another_plan(tmp_path, sets):
    before = Decontaminate(sets={"ships": sets["ships"]}).depends_on()
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"question": "Why?", "answer": "Because."}) + "\n")
    assert Decontaminate(sets={"ships": EvaluationSet(input=str(other))}).depends_on() != before


def test_a_set_that_changes_is_read_again(tmp_path):
    path = tmp_path / "set.jsonl"
    stage = Decontaminate(sets={"one": EvaluationSet(input=str(path))})
    for question, kept in ((ASKED, 0), (LAMPS["question"], 1)):
        path.write_text(json.dumps({"question": question, "answer": "7"}))
        assert stage.apply(table_of(ASKED)).kept.num_rows == kept


def test_a_set_without_files_is_refused(tmp_path):
    with pytest.raises(InputError, match="matches no file"):
        Decontaminate(sets={"x": EvaluationSet(input=str(tmp_path / "*.jsonl"))}).depends_on()
    (tmp_path / "README.md").write_text("about the sets")
    with pytest.raises(InputError, match="the evaluation set x has no files of data"):
        Decontaminate(sets={"x": EvaluationSet(input=str(tmp_path))}).depends_on()
