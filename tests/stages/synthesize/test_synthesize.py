"""The synthesize stage in the pipeline, against a real HTTP server that answers well and badly."""

import hashlib
import itertools
import json
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import EngineError, InputError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.schema import DOCUMENT, conform, extended
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.recipe import Step, build_stage
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.prompts import loader
from corpusmill.stages.contract import Inputs
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.synthesize.routed_documents import share_out
from corpusmill.stages.synthesize.stage import Synthesize

from tests.stages.engines import tiny_model
from tests.stages.engines.scripted_server import answer, serving

WORDS = re.findall(
    r"\w+",
    """river hill sea bridge market winter bread stone letter garden copper road village engine
    paper island forest harbour school tower library field mountain ship mill glass summer song
    lamp valley carries divides joins feeds covers names""",
)


def sentence(number: int) -> str:
    """A sentence unlike any other, because the repetition filter reads the answers."""
    return f"In place {number} the {' '.join(random.Random(number).choices(WORDS, k=11))}."


PROSE = " ".join(map(sentence, range(6)))


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    return str(tiny_model.save_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def write_shards(folder: Path, rows_by_file: dict[str, list[dict]]) -> tuple[storage.Artifact, ...]:
    """Document shards as a classifier writes them: one file for each level, at the given paths."""
    artifacts = []
    for path, rows in rows_by_file.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        schema = extended(pa.field("score_x", pa.float32()))
        pq.write_table(
            conform(pa.Table.from_pylist(rows) if rows else pa.table({}), schema), target
        )
        artifacts.append(storage.artifact_of(str(target)))
    return tuple(artifacts)


def document(name: str, text: str = PROSE, level: str | None = "low") -> dict:
    return {
        "id": hashlib.md5(name.encode()).hexdigest(),
        "text": text,
        "url": f"https://e.org/{name}",
        "source": "crawl",
        "language": "en",
        "quality": 3,
        "level": level,
        "kind": "actual",
        "origin": {"file": "a.warc.gz", "offset": 1, "length": 2, "row": None},
    }


def run(stage: Synthesize, documents: tuple[storage.Artifact, ...], folder: Path):
    return execute(
        Job(stage, (stage.name,), {"synthesize": {}}, Inputs(str(folder), documents), ()),
        InlineRunner(),
    )


def stage_at(server, tokenizer_folder, **settings) -> Synthesize:
    engine = OpenAIEngine(
        url=server.url,
        model="big",
        tokenizer_name=tokenizer_folder,
        api="chat",
        backoff_seconds=0.0,
        attempts=2,
    )
    return Synthesize(engine=engine, **settings)


def rows_of(folder: Path, below: str) -> list[dict]:
    """The rows below a folder, each with its file."""
    rows: list[dict] = []
    for path in sorted((folder / below).rglob("*.parquet")):
        rows += [
            {**row, "file": str(path.relative_to(folder))}
            for row in pq.ParquetFile(path).read().to_pylist()
        ]
    return rows


def echo(prompt, attempt):
    """Rephrase faithfully: the lead-in line, and the document unchanged."""
    return answer("Rewritten text:\n" + prompt.split("\n\n", 1)[1], chat=True)


# Layout, account, lineage


def test_every_routed_prompt_has_its_folder_and_empty_files_are_there(tmp_path, tokenizer_folder):
    documents = write_shards(tmp_path, {"in/00.parquet": [document("a")], "in/01.parquet": []})
    with serving(echo) as server:
        manifest = run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    files = {
        output.path.removeprefix(str(tmp_path / "out")): output.rows for output in manifest.outputs
    }
    high = ("rephrase", "diverse_qa", "distill", "extract_knowledge", "knowledge_list")
    expected = {
        f"/documents/level={level}/kind=synthetic/prompt={prompt}/{shard}.parquet"
        for level, prompts in (("low", ("rephrase",)), ("high", high))
        for prompt in prompts
        for shard in ("00", "01")
    } | {"/excluded/00.parquet", "/excluded/01.parquet"}
    assert set(files) == expected
    assert {path for path, rows in files.items() if rows} == {
        "/documents/level=low/kind=synthetic/prompt=rephrase/00.parquet"
    }
    assert manifest.conserved
    assert verify(str(tmp_path / "out")).problems == []


def test_a_row_says_everything_that_made_it(tmp_path, tokenizer_folder):
    parent = document("a")
    with serving(echo) as server:
        run(
            stage_at(server, tokenizer_folder, seed=5),
            write_shards(tmp_path, {"in/00.parquet": [parent]}),
            tmp_path / "out",
        )
        asked = [body for _, _, body in server.seen]
    (row,) = rows_of(tmp_path / "out", "documents")
    prompt = loader.load("rephrase")
    assert row["text"].split() == PROSE.split()
    assert {name: row[name] for name in ("url", "source", "language", "quality", "level")} == {
        name: parent[name] for name in ("url", "source", "language", "quality", "level")
    }
    assert (row["kind"], row["prompt"], row["origin"]) == ("synthetic", "rephrase", None)
    lineage = row["lineage"]
    assert (lineage["parent"], lineage["start"], lineage["end"]) == (parent["id"], 0, len(PROSE))
    assert (lineage["prompt_hash"], lineage["model"]) == (prompt.digest, "big")
    assert json.loads(lineage["sampling"]) == {
        "max_tokens": 512,
        "seed": 5,
        "temperature": 0.5,
        "top_p": 0.9,
    }
    assert lineage["finish_reason"] == "stop"
    assert [body["seed"] for body in asked] == [
        lineage["seed"] + number for number in range(len(asked))
    ]
    assert asked[0]["max_tokens"] == 512
    assert (row["segments"], row["segments_lost"], row["prompt_tokens"]) == (
        len(asked),
        0,
        7 * len(asked),
    )


def test_equal_input_gives_equal_bytes_whatever_the_folder_the_order_and_the_batch(
    tmp_path, tokenizer_folder
):
    rows = [
        document(f"d{number}", PROSE[number:], "low" if number % 2 else "high")
        for number in range(8)
    ]
    documents = write_shards(tmp_path, {"in/00.parquet": rows[:5], "in/01.parquet": rows[5:]})
    with serving(echo) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "one")
        run(stage_at(server, tokenizer_folder), documents[::-1], tmp_path / "two")
    one, two = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for below in ("documents", "excluded")
            for path in (tmp_path / name / below).rglob("*.parquet")
        }
        for name in ("one", "two")
    )
    assert one == two


def test_files_of_one_name_in_several_levels_are_one_shard(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path,
        {
            f"classify/documents/level={level}/kind=actual/00.parquet": [
                document(level, level=level)
            ]
            for level in ("low", "medium", "high")
        },
    )
    with serving(echo) as server:
        manifest = run(
            stage_at(
                server, tokenizer_folder, routes={"low": ("rephrase",), "high": ("rephrase",)}
            ),
            documents,
            tmp_path / "out",
        )
    assert manifest.shards == 1
    assert [row["file"].split("/")[1] for row in rows_of(tmp_path / "out", "documents")] == [
        "level=high",
        "level=low",
    ]


def test_documents_without_any_route_are_no_silent_success(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document("u", level=None), document("v", level=None)]}
    )
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, routes={"low": ("rephrase",)})
        with pytest.raises(InputError, match="2 are `unscored`; routes are `low`; run classify"):
            run(stage, documents, tmp_path / "out")
        assert not server.seen


def test_medium_levels_and_documents_without_a_level_can_be_routed(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path,
        {
            "in/00.parquet": [
                document("m", level="medium"),
                document("u", level=None),
                document("l"),
            ]
        },
    )
    routes = {"medium": ("rephrase",), "unscored": ("rephrase",)}
    with serving(echo) as server:
        manifest = run(
            stage_at(server, tokenizer_folder, routes=routes), documents, tmp_path / "out"
        )
    assert manifest.totals[0].rows_in == 3
    assert manifest.totals[0].unused == {"synthesize.not_routed": 1}
    assert {row["file"].split("/")[1] for row in rows_of(tmp_path / "out", "documents")} == {
        "level=medium",
        "level=unscored",
    }


def test_samples_differ_in_seed_and_id(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document("a", f"{sentence(1)} {sentence(2)}")]}
    )
    with serving(echo) as server:
        run(stage_at(server, tokenizer_folder, samples=3), documents, tmp_path / "out")
    rows = rows_of(tmp_path / "out", "documents")
    assert [row["lineage"]["sample"] for row in rows] == [0, 1, 2]
    assert len({row["lineage"]["seed"] for row in rows}) == len({row["id"] for row in rows}) == 3


def test_pandas_and_arrow_read_the_folder(tmp_path, tokenizer_folder):
    import pandas

    documents = write_shards(
        tmp_path, {"in/00.parquet": [document("a"), document("b", level="high")]}
    )
    with serving(echo) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    for table in (
        pandas.read_parquet(tmp_path / "out" / "documents"),
        pq.read_table(tmp_path / "out" / "documents").to_pandas(),
    ):
        kept = table[table["prompt"] == "rephrase"]
        assert sorted(kept["level"]) == ["high", "low"]
        assert set(kept["kind"]) == {"synthetic"}
        assert kept["lineage"].iloc[0]["parent"]


# Segments


def test_no_prompt_exceeds_its_limit_and_no_text_is_left_unasked(tmp_path, tokenizer_folder):
    from corpusmill.stages.engines import chat

    text = (
        "\n".join(map(sentence, range(150)))
        + "\n"
        + " ".join(random.Random(0).choices(WORDS, k=900))
    )
    documents = write_shards(tmp_path, {"in/00.parquet": [document("long", text)]})
    with serving(echo) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
        asked = [body["messages"] for _, _, body in server.seen]
    sizes = [len(ids) for ids in chat.load(tokenizer_folder).prompt_ids(asked)]
    assert len(sizes) > 5
    assert max(sizes) <= 512
    (row,) = rows_of(tmp_path / "out", "documents")
    assert row["text"].split() == text.split()
    assert row["segments"] == len(sizes)


def test_unjoined_prompts_make_a_row_of_each_segment_with_its_span(tmp_path, tokenizer_folder):
    text = "\n".join(map(sentence, range(60)))
    documents = write_shards(tmp_path, {"in/00.parquet": [document("long", text, "high")]})

    def condense(prompt, attempt):
        words = prompt.rpartition("Text:\n")[2].split()  # a copy would be too close
        return answer("Condensed text: " + " ".join(reversed(words)), chat=True)

    with serving(condense) as server:
        run(
            stage_at(server, tokenizer_folder, routes={"high": ("distill",)}),
            documents,
            tmp_path / "out",
        )
    rows = rows_of(tmp_path / "out", "documents")
    assert len(rows) > 1
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        asked = text[row["lineage"]["start"] : row["lineage"]["end"]]
        assert row["text"].split() == list(reversed(asked.split()))
    assert sum(len(row["text"]) for row in rows) + len(rows) - 1 == len(text)


def test_a_document_that_comes_first_is_the_common_begin_of_all_its_requests(
    tmp_path, tokenizer_folder
):
    """So an engine reads each segment once for five prompts."""
    long = " ".join(sentence(number) for number in range(100))
    names = Synthesize().routes["high"]
    with serving(lambda prompt, attempt: answer(PROSE, chat=True)) as server:
        stage = stage_at(server, tokenizer_folder, order="document_first")
        engine = stage.engine.model_copy(update={"in_flight": 1})
        source = document("a", long, level="high")
        documents = write_shards(tmp_path, {"in/00.parquet": [source]})
        run(stage.model_copy(update={"engine": engine}), documents, tmp_path / "out")
    sent = [body["messages"][-1]["content"] for _, _, body in server.seen]
    pieces = [text.split("(End of the text.)")[0] for text in sent]
    assert len(set(pieces)) > 1
    assert [len(list(group)) for _, group in itertools.groupby(pieces)] == [
        len(names) for _ in set(pieces)
    ]
    assert "".join(re.findall(r"\w+", long)) == "".join(
        word for piece in dict.fromkeys(pieces) for word in re.findall(r"\w+", piece[10:])
    )
    rows = rows_of(tmp_path / "out", "documents") + rows_of(tmp_path / "out", "excluded")
    assert all(json.loads(row["lineage"]["sampling"])["order"] == "document_first" for row in rows)


def test_a_joined_document_survives_the_loss_of_a_minor_part(tmp_path, tokenizer_folder):
    text = "\n".join(map(sentence, range(60)))
    documents = write_shards(tmp_path, {"in/00.parquet": [document("long", text)]})

    def refuse_some(share):
        def behave(prompt, attempt):
            refused = int(prompt.split("In place ")[1].split()[0]) < 60 * share
            return (
                answer("I'm sorry, I can't do it.", "length", chat=True)
                if refused
                else echo(prompt, attempt)
            )

        return behave

    with serving(refuse_some(0.1)) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "some")
    (row,) = rows_of(tmp_path / "some", "documents")
    assert 0 < row["segments_lost"] < row["segments"] / 2
    assert row["text"].endswith(sentence(59))
    assert row["lineage"]["finish_reason"] == "stop"
    with serving(refuse_some(0.8)) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "most")
    (row,) = rows_of(tmp_path / "most", "excluded")
    assert (row["reason"], row["lineage"]["finish_reason"]) == ("synthesize.cut_off", "length")


# What is dropped, and why


def test_each_bad_answer_costs_its_row_and_says_why(tmp_path, tokenizer_folder):
    replies = {
        "good": answer(f"Rewritten text:\n{PROSE}", chat=True),
        "cut": answer(f"Rewritten text:\n{PROSE} and the riv", "length", chat=True),
        "bare": answer(PROSE, chat=True),
        "sorry": answer("I'm sorry, I can't help with that.", chat=True),
        "nothing": answer("", chat=True),
        "only": answer("Rewritten text:", chat=True),
        "loop": answer("Rewritten text:\n" + "the river is long and " * 60, chat=True),
        "brief": answer("Rewritten text:\nPlaces 0, 1, 2, 3, 4, 5.", chat=True),
        "refused": (400, {}, b"prompt is too long"),
        "garbage": (200, {}, b"<html>"),
        "filtered": answer("x", "content_filter", chat=True),
        "thought": answer(f"<think>\nNo.\n</think>\nRewritten text:\n{PROSE}", chat=True),
        "thinks": answer("<think>\nOkay. Let me see", chat=True),
    }
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document(name, f"{name} {PROSE}") for name in replies]}
    )

    def behave(prompt, attempt):
        return replies.get(prompt.split("\n\n", 1)[-1].split()[0], answer("Hello!", chat=True))

    with serving(behave) as server:
        manifest = run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    names = {document(name)["id"]: name for name in replies}
    assert [names[row["lineage"]["parent"]] for row in rows_of(tmp_path / "out", "documents")] == [
        "good",
        "thought",
    ]
    reasons = {
        names[row["lineage"]["parent"]]: (row["reason"], row["detail"])
        for row in rows_of(tmp_path / "out", "excluded")
    }
    assert {name: reason for name, (reason, _) in reasons.items()} == {
        "cut": "synthesize.cut_off",
        "bare": "synthesize.lead_in_missing",
        "sorry": "synthesize.refusal",
        "nothing": "synthesize.empty",
        "only": "synthesize.empty",
        "loop": "synthesize.repetition",
        "brief": "synthesize.output_too_short",
        "refused": "error_synthesize.request",
        "garbage": "error_synthesize.request",
        "filtered": "error_synthesize.request",
        "thinks": "synthesize.reasoning",
    }
    assert reasons["bare"][1].startswith("In place 0 the")
    assert reasons["cut"][1].startswith("output_tokens=3: Rewritten text: In place 0 the")
    assert "too long" in reasons["refused"][1]
    counts = manifest.totals[0]
    assert (counts.rows_in, counts.kept, counts.failed, sum(counts.excluded.values())) == (
        13,
        2,
        3,
        8,
    )
    assert verify(str(tmp_path / "out")).problems == []


def test_a_document_that_the_chat_template_cuts_is_dropped_before_it_is_asked_about(tmp_path):
    template = (
        "{% for m in messages %}{{ m.content.split('-----')[0] }}{% endfor %}"
        "{% if add_generation_prompt %}<SPECIAL_5>{% endif %}"
    )
    folder = str(tiny_model.save_tokenizer(tmp_path / "cuts", chat_template=template))
    texts = {"whole": PROSE, "cut": f"{PROSE}\n-----\n{PROSE}"}
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document(name, text) for name, text in texts.items()]}
    )
    with serving(echo) as server:
        run(stage_at(server, folder), documents, tmp_path / "out")
    (kept,) = rows_of(tmp_path / "out", "documents")
    (dropped,) = rows_of(tmp_path / "out", "excluded")
    assert kept["lineage"]["parent"] == document("whole")["id"]
    assert dropped["reason"] == "synthesize.not_in_prompt"
    assert len(server.seen) == kept["segments"]


def test_the_excluded_row_keeps_the_raw_answer_and_the_lineage(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document("a", f"{sentence(1)} {sentence(2)}")]}
    )
    with serving(lambda prompt, attempt: answer("raw\nanswer", chat=True)) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    (row,) = rows_of(tmp_path / "out", "excluded")
    assert row["text"] == "raw\nanswer"
    assert (row["stage"], row["lineage"]["parent"]) == ("synthesize", document("a")["id"])


def test_short_documents_are_never_asked_about(tmp_path, tokenizer_folder):
    texts = {"empty": "", "blank": " \n ", "few": "river and sea"}
    documents = write_shards(
        tmp_path, {"in/00.parquet": [document(name, text, "high") for name, text in texts.items()]}
    )
    with serving(echo) as server:
        run(
            stage_at(server, tokenizer_folder, routes={"high": ("distill",)}),
            documents,
            tmp_path / "out",
        )
        assert server.seen == []
    assert [
        (row["reason"], row["detail"].split(" < ")[1])
        for row in rows_of(tmp_path / "out", "excluded")
    ] == [("synthesize.document_too_short", "30")] * 3


def test_a_server_that_is_away_stops_the_stage_and_a_second_run_goes_on(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path, {f"in/0{number}.parquet": [document(f"d{number}")] for number in range(3)}
    )
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder)
        run(stage, documents[:1], tmp_path / "out")
    with pytest.raises(EngineError, match="stays away"):
        run(stage, documents, tmp_path / "out")
    with serving(echo) as server:
        manifest = run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
        asked = "".join(body["messages"][-1]["content"] for _, _, body in server.seen)
    assert manifest.totals[0].kept == 3
    assert asked.count("In place 0") == 2  # d0 was finished before


# Choosing documents


def test_max_documents_is_exact_over_all_shards_and_spread_over_them(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path,
        {
            "in/00.parquet": [document(f"a{number}") for number in range(12)],
            "in/01.parquet": [document(f"b{number}") for number in range(4)],
            "in/02.parquet": [document(f"c{number}", level="medium") for number in range(9)],
        },
    )
    with serving(echo) as server:
        manifest = run(
            stage_at(server, tokenizer_folder, max_documents=8), documents, tmp_path / "out"
        )
    assert (manifest.totals[0].rows_in, manifest.totals[0].kept) == (25, 8)
    assert manifest.totals[0].unused == {"synthesize.not_drawn": 8, "synthesize.not_routed": 9}
    files = [row["file"].rsplit("/", 1)[1] for row in rows_of(tmp_path / "out", "documents")]
    assert (files.count("00.parquet"), files.count("01.parquet")) == (6, 2)


def test_another_shard_makes_none_anew_whose_share_stays(tmp_path, tokenizer_folder):
    documents = write_shards(
        tmp_path,
        {
            "in/00.parquet": [document(f"a{number}") for number in range(6)],
            "in/01.parquet": [document(f"b{number}") for number in range(6)],
            "in/02.parquet": [document("c", level="medium")],
        },
    )
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, max_documents=4)
        run(stage, documents[:2], tmp_path / "out")
        asked = len(server.seen)
        manifest = run(stage, documents, tmp_path / "out")
        assert len(server.seen) == asked > 0
        assert (manifest.shards, manifest.totals[0].kept) == (3, 4)
        run(stage_at(server, tokenizer_folder, max_documents=5), documents, tmp_path / "more")
        assert len(server.seen) > asked


def test_shares_are_exact_and_proportional():
    assert share_out({"a": 12, "b": 4, "c": 0}, 8) == {"a": 6, "b": 2, "c": 0}
    assert share_out({"a": 1, "b": 1, "c": 1}, 2) == {"a": 1, "b": 1, "c": 0}
    assert share_out({"a": 3}, 10) == {"a": 3}
    shares = share_out({str(number): number for number in range(100)}, 777)
    assert sum(shares.values()) == 777
    assert all(shares[str(number)] <= number for number in range(100))


# Settings


def test_a_recipe_picks_the_engine_by_its_kind():
    def stage(settings):
        return build_stage(Step("synthesize", "synthesize", (), settings), lambda name: name)

    assert isinstance(stage({}).engine, EmbeddedEngine)
    assert isinstance(stage({"engine": {"model": "./m", "batch_size": 4}}).engine, EmbeddedEngine)
    assert isinstance(
        stage({"engine": {"kind": "transformers", "model": "./m"}}).engine, TransformersEngine
    )
    assert stage({"engine": {"kind": "openai", "model": "m", "in_flight": 7}}).engine.in_flight == 7
    assert (
        stage(
            {"engine": {"kind": "vllm", "model": "m", "arguments": {"max_num_seqs": 4}}}
        ).engine.kind
        == "vllm"
    )
    assert stage({"routes": {"medium": ["distill"]}}).routes == {"medium": ("distill",)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": {"kind": "openai", "model": "m", "in_flght": 7}}, "in_flght"),
        ({"engine": {"kind": "vlm", "model": "m"}}, "vllm"),
        ({"rotes": {}}, "did you mean 'routes'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings, message):
    with pytest.raises(RecipeError, match=message):
        build_stage(Step("synthesize", "synthesize", (), settings), lambda name: name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"routes": {"hihg": ("rephrase",)}}, "no level 'hihg'"),
        ({"routes": {"high": ("rephrsae",)}}, "did you mean 'rephrase'"),
        ({"routes": {"high": ()}}, "route at least one level"),
    ],
)
def test_wrong_routes_are_refused_before_the_first_request(tokenizer_folder, settings, message):
    stage = Synthesize(engine=OpenAIEngine(model="m", tokenizer_name=tokenizer_folder), **settings)
    with pytest.raises(RecipeError, match=message):
        stage.depends_on()


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(tokenizer_folder):
    engine = OpenAIEngine(model="m", tokenizer_name=tokenizer_folder, context=256)
    with pytest.raises(
        RecipeError, match=r"prompt diverse_qa leaves no room for text: it takes \d+ of 160"
    ):
        Synthesize(engine=engine, routes={"high": ("diverse_qa",)}).depends_on()


def test_two_prompts_of_one_name_are_refused(tokenizer_folder, tmp_path):
    other = tmp_path / "other.md"
    other.write_text(
        "---\nname: rephrase\nlimits: {max_input_tokens: 100, max_output_tokens: 50}\n---\n"
        "{document}\n"
    )
    stage = Synthesize(
        engine=OpenAIEngine(model="m", tokenizer_name=tokenizer_folder),
        routes={"low": ("rephrase",), "high": (str(other),)},
    )
    with pytest.raises(RecipeError, match="two routed prompts are named 'rephrase'"):
        stage.depends_on()


def test_prompt_engine_and_tokenizer_decide_the_plan(tokenizer_folder):
    def plan(**changes):
        settings = {"model": "m", "tokenizer_name": tokenizer_folder, **changes}
        return Synthesize(
            engine=OpenAIEngine(**settings), routes={"low": ("rephrase",)}
        ).depends_on()

    assert plan() == plan(in_flight=3)
    assert len({plan(), plan(model="n"), plan(revision="2")}) == 3


def test_nothing_to_read_is_refused(tmp_path, tokenizer_folder):
    stage = Synthesize(engine=OpenAIEngine(model="m", tokenizer_name=tokenizer_folder))
    with pytest.raises(RecipeError, match="nothing to read"):
        run(stage, (), tmp_path / "out")


# The embedded engine


def test_the_embedded_engine_gives_equal_bytes_however_requests_are_batched(tmp_path):
    model = tiny_model.save_model(tmp_path / "tiny-random")
    prompt = tmp_path / "short.md"
    prompt.write_text(
        "---\nname: short\nlimits: {max_input_tokens: 120, max_output_tokens: 10, "
        "min_output_tokens: 0}\n---\nSay: {document}\n"
    )
    rows = [
        document(f"d{number}", " ".join(map(sentence, range(number, 2 * number + 1))))
        for number in range(6)
    ]
    documents = write_shards(tmp_path, {"in/00.parquet": rows})
    texts = []
    for name, batch_size in (("one", 1), ("four", 4)):
        stage = Synthesize(
            engine=EmbeddedEngine(model=str(model), device="cpu", batch_size=batch_size),
            routes={"low": (str(prompt),)},
        )
        run(stage, documents, tmp_path / name)
        texts.append([(row["id"], row["text"]) for row in rows_of(tmp_path / name, "excluded")])
    assert texts[0] == texts[1]
    assert len({text for _, text in texts[0]}) >= 6
    manifest = read_manifest(str(tmp_path / "one"))
    assert manifest.totals[0].excluded == {"synthesize.cut_off": len(texts[0])}


def test_the_schema_begins_with_the_document_schema():
    from corpusmill.stages.synthesize.finished_rows import SCHEMA

    assert SCHEMA.names[: len(DOCUMENT)] == DOCUMENT.names
