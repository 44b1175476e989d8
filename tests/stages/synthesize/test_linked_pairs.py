"""Prompts about two documents that link: what is asked, what is kept, and both parents of a row."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.looking.trace import PARENTS, origin_of, sources, trace
from corpusmill.manifests.looking.trace_text import sequence_text, trace_text
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import LINKED, conform, extended
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.prompts import loader
from corpusmill.report.reading.run import Run
from corpusmill.report.sections.examples import rewritten
from corpusmill.stages.engines import chat
from corpusmill.stages.synthesize import prompt_trial
from corpusmill.stages.synthesize.judging import Judge
from corpusmill.stages.synthesize.pair_segments import pair_segments
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.postfilters import Context, Rejection
from corpusmill.stages.synthesize.postfilters.pairs import needs_both

from tests.stages.engines.scripted_server import answer, serving
from tests.stages.link import test_link
from tests.stages.synthesize.test_hostile_pages import HOSTILE, PLAIN
from tests.stages.synthesize.test_synthesize import (
    document,
    rows_of,
    run,
    sentence,
    stage_at,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)

# Words that only one of the two has.
FIRST = "The copper road leads past the mill. " + " ".join(map(sentence, range(8)))
SECOND = "A glass lamp stands in the harbour. " + " ".join(map(sentence, range(20, 28)))
BOTH = (
    "Question: Where does the copper road lead?\n"
    "Answer: Past the mill, where a glass lamp stands in the harbour."
)
ONE = "Question: What leads past the mill?\nAnswer: The copper road leads past the mill."
ROUTES = {"high": ("linked_pair",)}


def pair(name: str, other: str, first: str = FIRST, second: str = SECOND, **columns) -> dict:
    linked = document(other)
    held = {"id": linked["id"], "url": linked["url"], "text": second, "mutual": False}
    return {**document(name, first, "high"), LINKED.name: held, **columns}


def shard(folder, rows, name="00"):
    path = folder / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(conform(pa.Table.from_pylist(rows), extended(LINKED)), path)
    return storage.artifact_of(str(path))


def asking(text):
    return lambda prompt, attempt: answer(text, chat=True)


def test_a_row_about_two_documents_names_both_and_holds_both(
    tmp_path,
    tokenizer_folder,  # noqa: F811
):
    documents = (shard(tmp_path / "in", [pair("a", "b"), pair("a", "c")]),)
    with serving(asking(f"{ONE}\n\n{BOTH}")) as server:
        manifest = run(
            stage_at(server, tokenizer_folder, routes=ROUTES), documents, tmp_path / "out"
        )
        asked = [body["messages"][-1]["content"] for _, _, body in server.seen]
    first, second = rows_of(tmp_path / "out", "documents")
    assert first["text"] == f"{FIRST}\n\n{SECOND}\n\n{BOTH}"
    assert len(asked) == 2
    assert asked[0].count(FIRST) == asked[0].count(SECOND) == 1
    assert asked[0].index(FIRST) < asked[0].index(SECOND)
    lineage = first["lineage"]
    ids = {name: document(name)["id"] for name in "abc"}
    assert (lineage["parent"], lineage["start"], lineage["end"]) == (ids["a"], 0, len(FIRST))
    assert first["linked_parent"] == {"parent": ids["b"], "start": 0, "end": len(SECOND)}
    assert second["linked_parent"]["parent"] == ids["c"]
    assert first["id"] != second["id"]
    assert lineage["seed"] != second["lineage"]["seed"]
    assert first["url"] == "https://e.org/a"
    (account,) = manifest.totals
    assert (account.rows_in, account.kept, account.repeats) == (2, 2, 0)
    assert verify(str(tmp_path / "out")).problems == []


def test_pairs_and_documents_get_the_prompts_that_are_for_them(tmp_path, tokenizer_folder):  # noqa: F811
    documents = (
        shard(tmp_path / "pairs", [pair("a", "b"), pair("c", "d", level="low")]),
        shard(tmp_path / "documents", [document("a", FIRST, "high"), document("c", FIRST)]),
    )
    routes = {"high": ("distill", "linked_pair"), "low": ("rephrase",)}
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder, routes=routes, samples=2)
        lines, _, _ = stage.estimated(documents, 100, {})
        manifest = run(stage, documents, tmp_path / "out")
        asked = [body["messages"][-1]["content"] for _, _, body in server.seen]
    estimated = {line.prompt: line.requests for line in lines}
    assert {line.prompt: line.documents for line in lines} == dict.fromkeys(estimated, 1)
    assert set(estimated) == {"distill", "linked_pair", "rephrase"}
    assert sum(SECOND in text for text in asked) == estimated["linked_pair"] == 2
    assert len(asked) == sum(estimated.values())
    (account,) = manifest.totals
    assert (account.rows_in, account.repeats) == (4, 3)
    assert account.unused == {"synthesize.not_routed": 1}
    assert verify(str(tmp_path / "out")).problems == []


def test_the_estimate_counts_pairs_by_themselves(tmp_path, tokenizer_folder):  # noqa: F811
    many = [document(f"d{number}", FIRST, "high") for number in range(90)]
    pairs = shard(tmp_path / "pairs", [pair("a", other) for other in "bcd"])
    documents = (*write_shards(tmp_path, {"many.parquet": many}), pairs)
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder, routes=ROUTES)
        (line,), asked, sampled = stage.estimated(documents, 10, {})
    assert (line.prompt, line.documents, line.requests) == ("linked_pair", 3, 3)
    assert (asked, sampled) == (3, 3)


@pytest.mark.parametrize(("prompt", "there"), [("linked_pair", 2), ("rephrase", 6)])
def test_only_documents_that_a_prompt_is_for_are_drawn(
    tmp_path,
    tokenizer_folder,  # noqa: F811
    prompt,
    there,
):
    pairs = [pair("a", other, level=None) for other in "bc"]
    rows = [*pairs, *(document(f"d{number}", FIRST, None) for number in range(6))]
    documents = (shard(tmp_path / "in", rows),)
    with serving(asking(BOTH)) as server:
        routes = {"unscored": (prompt,)}
        stage = stage_at(server, tokenizer_folder, routes=routes, max_documents=2)
        (line,), asked, _ = stage.estimated(documents, 10, {})
        manifest = run(stage, documents, tmp_path / "out")
        assert line.documents == asked == 2
        assert len(server.seen) == line.requests
    unused = {"synthesize.not_routed": 8 - there}
    if there > 2:
        unused["synthesize.not_drawn"] = there - 2
    assert manifest.totals[0].unused == unused


def test_an_estimate_without_pairs_says_that_pairs_are_wanted(tmp_path, tokenizer_folder):  # noqa: F811
    documents = (shard(tmp_path / "in", [document("a", FIRST, "high")]),)
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder, routes=ROUTES)
        with pytest.raises(InputError, match="1 are `high`; routes are `high` pairs"):
            stage.estimated(documents, 10, {})


def test_so_many_pairs_are_drawn(tmp_path, tokenizer_folder):  # noqa: F811
    rows = [pair(name, other) for name in "abcd" for other in "xyz"]
    documents = (shard(tmp_path / "1", rows[:7]), shard(tmp_path / "2", rows[7:], "01"))
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder, routes=ROUTES, max_documents=5)
        manifest = run(stage, documents, tmp_path / "out")
    assert manifest.totals[0].kept == 5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (ONE, "one_sided"),
        (BOTH.replace("mill", "mill of Gundula"), "new_name"),
        (BOTH.replace("stands", "of 1873 stands"), "new_number"),
        ("NOTHING JOINS THEM", "no_answered_question"),
        (BOTH, None),
    ],
)
def test_an_answer_is_held_against_both_documents(
    tmp_path,
    tokenizer_folder,  # noqa: F811
    given,
    reason,
):
    # Each has a number and a name that the other one lacks.
    first = FIRST.replace("mill.", "mill of Ostermann, built in 1822.")
    second = SECOND.replace("harbour.", "harbour of Lundquist since 1904.")
    text = given.replace("?\n", " of Ostermann in 1822?\n").replace("lamp", "lamp of 1904")
    documents = (shard(tmp_path / "in", [pair("a", "b", first, second)]),)
    with serving(asking(text)) as server:
        run(stage_at(server, tokenizer_folder, routes=ROUTES), documents, tmp_path / "out")
    if reason is None:
        (row,) = rows_of(tmp_path / "out", "documents")
        assert row["text"].endswith(text)
        return
    (row,) = rows_of(tmp_path / "out", "excluded")
    assert row["reason"] == f"synthesize.{reason}"
    assert row["linked_parent"]["parent"] == document("b")["id"]


def test_needs_both_wants_words_of_each_document_that_the_other_lacks():
    parts = ("Copper roads and mills of the valley.", "Glass lamps in the harbour of the valley.")
    context = Context("\n\n".join(parts), 20, "", 0, parts=parts)

    def kept(question, answer, **words):
        text = f"Question: {question}\nAnswer: {answer}"
        return not isinstance(needs_both(text, context, **words), Rejection)

    assert kept("Are there copper mills?", "Yes, and glass lamps.")
    assert not kept("Are there copper mills?", "Yes, in the valley.")
    assert not kept("Are there copper mills?", "Yes, of glass.")
    assert not kept("What is in the valley?", "Glass lamps.")
    assert not kept("What is there beside copper mills?", "Glass lamps.", answer_words=1)
    assert kept("What is there?", "Mills, and lamps of glass on roads.", answer_words=1)


# The prompt


@pytest.fixture(scope="module")
def planner() -> Planner:
    from corpusmill.manifests.package_data import package_file

    return Planner(chat.load(str(package_file("models", "tiny"))), 4096, 1, 0)


def planned(planner, first, second, prompt=None):
    asked = prompt or loader.load("linked_pair")
    (row,) = planner.plan(pair("a", "b", first, second), [asked])
    return row


@pytest.mark.parametrize("order", ["instruction_first", "document_first"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pages_stay_in_their_places(planner, kind, order):
    planner = Planner(planner.tokenizer, 4096, 1, 0, order)
    calm = PLAIN[: len(PLAIN) // 2].strip()
    hostile = f"{calm} {HOSTILE[kind]} {{linked}} {{document}} {calm}"
    plain = planned(planner, calm, f"And more. {calm}").asked[0]
    before, rest = plain.messages[-1]["content"].split(calm, 1)
    between, after = rest.split(f"And more. {calm}")
    special = set(planner.tokenizer._hugging_face.all_special_ids)
    marks = [token for token in plain.token_ids if token in special]
    for first, second in ((hostile, calm), (calm, hostile), (hostile, hostile)):
        asked = planned(planner, first, second).asked[0]
        first, second = (planner.tokenizer.defuse(text) for text in (first, second))
        assert asked.messages[-1]["content"] == f"{before}{first}{between}{second}{after}"
        assert asked.messages[:-1] == plain.messages[:-1]
        assert [token for token in asked.token_ids if token in special] == marks


@pytest.mark.parametrize("context", [800, 1000, 4096])
@pytest.mark.parametrize(("first", "second"), [(9, 9), (300, 9), (9, 300), (300, 300)])
def test_both_segments_fit_the_prompt_and_use_its_room(planner, context, first, second):
    planner = Planner(planner.tokenizer, context, 1, 0)
    prompt = loader.load("linked_pair")
    texts = [
        "\n".join(map(sentence, range(begin, begin + count)))
        for begin, count in ((0, first), (500, second))
    ]
    row = planned(planner, *texts)
    (request,) = row.asked
    limit = planner.input_limit(prompt)
    assert len(request.token_ids) <= limit
    assert len(request.token_ids) + request.max_tokens <= context
    pieces = [row.segments[0], row.linked]
    for text, piece in zip(texts, pieces, strict=True):
        assert text.startswith(text[piece.start : piece.end])
        assert planner.tokenizer.count([text[piece.start : piece.end]]) == [piece.n_tokens]
        assert piece.end == len(text) or text[piece.end] == "\n"
    half = planner.room(prompt) // 2
    if first == second == 300:
        assert all(half * 0.6 < piece.n_tokens <= half + 1 for piece in pieces)
    elif first + second > 300:  # the long one has what the short one leaves
        short, long = sorted(piece.n_tokens for piece in pieces)
        assert short + long > planner.room(prompt) * 0.6


def test_segments_shrink_until_the_finished_prompt_fits(planner):
    texts = ["\n".join(map(sentence, range(100)))] * 2
    pieces = pair_segments(
        texts, 400, planner.tokenizer, lambda a, b: len(a.split()) + len(b.split()) - 60
    )
    assert sum(len(texts[0][p.start : p.end].split()) for p in pieces) <= 60
    assert all(piece.n_tokens for piece in pieces)
    (one, two) = pair_segments(["", "x"], 10, planner.tokenizer, lambda a, b: 1)
    assert (one.n_tokens, two.end) == (0, 1)


def test_a_pair_with_a_short_document_is_not_asked_about(planner):
    row = planned(planner, FIRST, "Short.")
    assert row.asked == []
    assert row.rejection.reason == "document_too_short"


@pytest.mark.parametrize("texts", [(FIRST, "Short."), ("Short.", SECOND)])
def test_a_short_document_of_a_pair_is_excluded_by_the_limit_of_segments(
    tmp_path,
    tokenizer_folder,  # noqa: F811
    texts,
):
    prompt = tmp_path / "mine.md"
    shown = prompt_trial.shown("linked_pair")
    prompt.write_text(re.sub(r"min_document_tokens: \d+", "min_document_tokens: 0", shown))
    assert "min_segment_tokens: 60" in shown
    documents = (shard(tmp_path / "in", [pair("a", "b", *texts)]),)
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder, routes={"high": (str(prompt),)})
        manifest = run(stage, documents, tmp_path / "out")
        assert server.seen == []
    assert manifest.totals[0].excluded == {"synthesize.document_too_short": 1}


def test_a_prompt_that_leaves_no_room_for_two_is_refused(planner):
    with pytest.raises(RecipeError, match="leaves no room for text"):
        Planner(planner.tokenizer, 500, 1, 0).room(loader.load("linked_pair"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{linked}", "{linked} {linked}"), "has 2 {linked} placeholders"),
        (("{linked}", ""), "give every example a `linked` passage"),
        (("join_segments: false", "join_segments: true"), "asks about two documents, and joins"),
        (("  - needs_both:\n      words: 2", "  - needs_both:\n      words: 0"), "needs_both"),
    ],
)
def test_a_wrong_prompt_about_two_is_refused(tmp_path, change, message):
    path = tmp_path / "mine.md"
    path.write_text(prompt_trial.shown("linked_pair").replace(*change))
    with pytest.raises(RecipeError, match=re.escape(message)):
        prompt_trial.shown(str(path))


def test_a_filter_for_two_documents_is_refused_in_a_prompt_about_one(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text(prompt_trial.shown("faq").replace("  - prompt_copy", "  - needs_both"))
    with pytest.raises(RecipeError, match="needs_both is for prompts about two documents"):
        prompt_trial.shown(str(path))


def test_prompts_test_takes_two_texts(tmp_path, tokenizer_folder):  # noqa: F811
    first, second = (tmp_path / name for name in ("first.txt", "second.txt"))
    first.write_text(FIRST)
    second.write_text(SECOND)
    with serving(asking(BOTH)) as server:
        stage = stage_at(server, tokenizer_folder)
        lines = list(prompt_trial.tried(stage, "linked_pair", str(first), True, str(second)))
        for name, linked in (("linked_pair", None), ("faq", str(second))):
            with pytest.raises(RecipeError, match=r"asks about (two documents|one document)"):
                list(prompt_trial.tried(stage, name, str(first), False, linked))
    assert [text for text in (FIRST, SECOND) if text in lines[1]] == [FIRST, SECOND]
    assert lines[-1] == f"kept: {FIRST}\n\n{SECOND}\n\n{BOTH}"


def test_a_judge_sees_both_documents(tmp_path, tokenizer_folder):  # noqa: F811
    documents = (shard(tmp_path / "in", [pair("a", "b")]),)

    judged = []

    def behave(prompt, attempt):
        if "Text made from it:" in prompt:
            judged.append(prompt.partition("Text made from it:")[0])
            return answer("faithfulness: 5\nfluency: 5\nusefulness: 4", chat=True)
        return answer(BOTH, chat=True)

    with serving(behave) as server:
        stage = stage_at(server, tokenizer_folder, routes=ROUTES, judge=Judge())
        run(stage, documents, tmp_path / "out")
    (row,) = rows_of(tmp_path / "out", "documents")
    assert row["judge_usefulness"] == 4
    assert f"{FIRST}\n\n{SECOND}" in judged[0]


# From pages to a row, and back


def test_trace_follows_a_row_to_both_parents(tmp_path, tokenizer_folder):  # noqa: F811
    rows = [
        test_link.page("a", "b", text=FIRST, origin={"file": "x.warc.gz", "offset": 1}),
        test_link.page("b", text=SECOND, origin={"file": "x.warc.gz", "offset": 7}),
    ]
    (documents,) = test_link.files(tmp_path / "in", {"00": rows})
    work = tmp_path / "work"
    with serving(asking(BOTH)) as server:
        engine = stage_at(server, tokenizer_folder).engine.model_dump(exclude_defaults=True)
        settings = {"routes": {"high": ["linked_pair"]}, "engine": {"kind": "openai", **engine}}
        source = documents.path
        for verb, chosen in (("dedup", {}), ("link", {}), ("synthesize", settings)):
            run_step(Step(verb, verb, (), chosen), (source,), str(work / verb), InlineRunner())
            source = str(work / verb)
    (row,) = rows_of(work / "synthesize", "documents")
    found = trace(str(work), row["id"])
    assert found.parent
    assert found.linked_parent
    assert (found.parent.id, found.linked_parent.id) == ("a" * 32, "b" * 32)
    assert [found.as_json()[name]["id"][0] for name in ("parent", "linked_parent")] == ["a", "b"]
    shown = trace_text(found)
    assert f"and from parent {'b' * 32}, start 0, end {len(SECOND)}" in shown
    assert "linked=https://www.e.org/b/" in shown
    assert "links=[1]" in shown
    assert [origin_of(one)["offset"] for one in (found, found.linked_parent)] == [1, 7]
    made = sources(str(work), [row["id"]])[row["id"]]
    assert (made["parent"], made["linked_parent"]) == ("a" * 32, "b" * 32)
    parents = {kind: {"id": made[kind], "origin": {"offset": 7}} for kind in PARENTS}
    part = {"id": row["id"], "start": 0, "end": 9, **parents}
    lines = sequence_text({"sequence": 0, "tokens": 9, "documents": [part]}).split("\n")
    assert [line.split()[-1][0] for line in lines if "made from" in line] == ["a", "b"]


def test_the_report_shows_a_row_beside_its_own_passages(tmp_path, tokenizer_folder):  # noqa: F811
    """A document stands in two pairs and alone, and each of its rows has other passages."""
    beginnings = {
        "a": "The copper road leads past the mill. ",
        "b": "A glass lamp stands in the harbour. ",
        "c": "A brass bell hangs in the tower. ",
    }
    texts = {
        name: beginning + " ".join(map(sentence, range(10 * place, 10 * place + 4)))
        for place, (name, beginning) in enumerate(beginnings.items())
    }
    pages = [
        test_link.page(name, "bc" if name == "a" else "", text=text) for name, text in texts.items()
    ]
    (documents,) = test_link.files(tmp_path / "in", {"00": pages})
    work = tmp_path / "work"
    pairs = Step("link", "link", (), {"pairs_per_document": 2})
    run_step(Step("dedup", "dedup"), (documents.path,), str(work / "dedup"), InlineRunner())
    run_step(pairs, (str(work / "dedup"),), str(work / "link"), InlineRunner())
    of_bell = BOTH.replace("a glass lamp stands in the harbour", "a brass bell hangs in the tower")

    def behave(prompt, attempt):
        return answer(of_bell if "brass bell" in prompt else BOTH, chat=True)

    with serving(behave) as server:
        engine = stage_at(server, tokenizer_folder).engine.model_dump(exclude_defaults=True)
        settings = {"routes": {"high": ["linked_pair"]}, "engine": {"kind": "openai", **engine}}
        step = Step("synthesize", "synthesize", (), settings)
        sources = (str(work / "dedup"), str(work / "link"))
        run_step(step, sources, str(work / "synthesize"), InlineRunner())
    rows = {row["id"]: row for row in rows_of(work / "synthesize", "documents")}
    found = rewritten(Run(str(work)))
    assert len(found) == 2
    for item in found:
        shown = "".join(piece.text for piece in item.pair.before)
        linked = rows[item.id]["linked_parent"]["parent"][0]
        held = [name for name, beginning in beginnings.items() if beginning.strip() in shown]
        assert held == ["a", linked]
