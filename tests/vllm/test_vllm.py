"""Real vLLM, over HTTP and embedded, compared with stock transformers.

The model is a hybrid that this project trained and exported.
"""

import asyncio
import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import EngineError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.prompts import loader
from corpusmill.stages.annotate.stage import Annotate
from corpusmill.stages.contract import Inputs
from corpusmill.stages.engines import model_folder, stream
from corpusmill.stages.engines.contract import Engine, Request, in_order
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.synthesize.stage import Synthesize

from tests.stages.engines import tiny_model
from tests.vllm.conftest import CONTEXT, SENTENCES

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def served(server, exported) -> OpenAIEngine:
    return OpenAIEngine(url=server, model="hybrid", tokenizer_name=str(exported), context=CONTEXT)


@pytest.fixture(scope="session")
def stock(exported) -> TransformersEngine:
    return TransformersEngine(model=str(exported), device="cpu", threads=2)


@pytest.fixture(params=["served", "embedded"])
def engine(request) -> Engine:
    return request.getfixturevalue(request.param)


def requests_of(engine: Engine, passages: list[str], **changes) -> list[Request]:
    prompt = loader.load("rephrase")
    chats = [prompt.messages(passage) for passage in passages]
    settings = {"max_tokens": 24, "temperature": 0.0, "top_p": 1.0, "seed": 3, **changes}
    return [
        Request(token_ids=tuple(ids), messages=tuple(chat), **settings)
        for ids, chat in zip(engine.tokenizer().prompt_ids(chats), chats, strict=True)
    ]


PASSAGES = [*tiny_model.CORPUS, " ".join(tiny_model.CORPUS * 3), "sea"]


def test_greedy_answers_equal_those_of_stock_transformers(engine, stock):
    requests = requests_of(engine, PASSAGES, max_tokens=90)
    expected = in_order(stock, requests)
    assert in_order(engine, requests) == expected
    assert {completion.finish_reason for completion in expected} <= {"stop", "length"}
    assert "stop" in {completion.finish_reason for completion in expected}


def test_a_cut_answer_says_so(engine):
    (completion,) = in_order(engine, requests_of(engine, PASSAGES[:1], max_tokens=5))
    assert (completion.finish_reason, completion.n_output_tokens) == ("length", 5)


def test_the_seed_decides_a_sampled_answer(engine):
    requests = requests_of(engine, PASSAGES, temperature=2.0)
    first = in_order(engine, requests)
    assert in_order(engine, requests[::-1])[::-1] == first
    others = in_order(
        engine, [dataclasses.replace(request, seed=request.seed + 1) for request in requests]
    )
    assert [completion.text for completion in others] != [completion.text for completion in first]


def test_a_request_beyond_the_context_fails_alone(engine):
    passages = ["sea", " ".join(tiny_model.CORPUS * 40), "bread"]
    completions = in_order(engine, requests_of(engine, passages))
    assert [completion.finish_reason == "error" for completion in completions] == [
        False,
        True,
        False,
    ]
    assert str(CONTEXT) in completions[1].error


def test_the_server_takes_chats_too(served, stock):
    requests = requests_of(served, PASSAGES)
    assert in_order(served.model_copy(update={"api": "chat"}), requests) == in_order(
        stock, requests
    )


def test_a_model_that_is_not_served_stops_at_once(served):
    with pytest.raises(EngineError, match=r"refuses every request.*engine\.model \(other\)"):
        in_order(served.model_copy(update={"model": "other"}), requests_of(served, ["sea"]))


def test_many_small_requests_are_in_flight_together(served):
    requests = [
        dataclasses.replace(request, seed=number)
        for number, request in enumerate(requests_of(served, PASSAGES * 20, temperature=1.0))
    ]
    completions = in_order(served, requests)
    assert len(completions) == len(requests) == 120
    assert all(completion.finish_reason != "error" for completion in completions)


def test_logprobs_of_an_exported_hybrid_equal_those_of_transformers_and_of_the_trainer(
    embedded, stock, exported
):
    """Prompts of several lengths, not multiples of the chunk size.

    transformers and the trainer's model get the whole sequence at once.
    """
    import torch
    from corpusmill.stages.engines import transformers as transformers_engine
    from corpusmill.trainer.importing import load_folder
    from vllm import SamplingParams

    model = embedded.started()
    reference = transformers_engine._load(model_folder.local_folder(stock.model), "cpu", "auto", 2)
    ours = load_folder(exported)
    generator = torch.Generator().manual_seed(0)
    sequences = [
        torch.randint(3, 512, (length,), generator=generator).tolist()
        for length in (5, 63, 100, 257, 600)
    ]

    async def scored(sequence):
        sampling = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0)
        prompt = {"prompt_token_ids": sequence}
        return [output async for output in model.generate(prompt, sampling, str(len(sequence)))][-1]

    outputs = [
        asyncio.run_coroutine_threadsafe(scored(sequence), stream._loop()).result()
        for sequence in sequences
    ]
    for sequence, output in zip(sequences, outputs, strict=True):
        tokens = torch.tensor([sequence])
        with torch.inference_mode():
            both = reference(tokens).logits[0], ours(tokens)[0]
        found = torch.tensor(
            [
                entry[token].logprob
                for entry, token in zip(output.prompt_logprobs[1:], sequence[1:], strict=True)
            ]
        )
        for logits in both:
            expected = logits[:-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]
            assert (found - expected).abs().max() < 1e-4
            assert output.outputs[0].token_ids[0] == int(logits[-1].argmax())


def test_a_stage_runs_on_it_and_runs_again_without_asking(engine, tmp_path):
    facts = tiny_model.CORPUS[2]  # those of the answer: a filter drops numbers of no passage
    passages = [f"{number} {tiny_model.CORPUS[number % 4]} {facts}" for number in range(12)]
    rows = [
        {
            "id": f"{number:032x}",
            "text": passage,
            "level": "low",
            "source": "crawl",
            "kind": "actual",
        }
        for number, passage in enumerate(passages)
    ]
    source = tmp_path / "in" / "00.parquet"
    source.parent.mkdir()
    pq.write_table(conform(pa.Table.from_pylist(rows), DOCUMENT), source)
    stage = Synthesize(engine=engine, routes={"low": ("rephrase",)})
    job = Job(
        stage,
        ("synthesize",),
        {"synthesize": {}},
        Inputs(str(tmp_path / "out"), (storage.artifact_of(str(source)),)),
        (),
    )
    manifest = execute(job, InlineRunner())
    assert (manifest.totals[0].rows_in, manifest.totals[0].failed) == (12, 0)
    assert verify(str(tmp_path / "out")).problems == []
    kept = [
        row
        for path in sorted(Path(tmp_path / "out" / "documents").rglob("*.parquet"))
        for row in pq.ParquetFile(path).read().to_pylist()
    ]
    assert len(kept) >= 8
    assert {row["text"] for row in kept} >= {" ".join(SENTENCES)}
    assert {row["lineage"]["model"] for row in kept} == {engine.identity()}
    assert execute(job, InlineRunner()).digest == manifest.digest


RUBRIC = """---
name: short
limits: {max_input_tokens: 400, max_output_tokens: 60}
sampling: {temperature: 0, top_p: 1}
properties:
  depth: {least: 0, most: 3}
  genre: {one_of: [prose, verse]}
postfilters: [json_object]
---
Grade the page as JSON.

{document}
"""


def test_structured_outputs_make_a_model_grade_that_never_learnt_to(engine, tmp_path):
    """The model answers everything with its four sentences, if it may."""
    (tmp_path / "short.md").write_text(RUBRIC)
    rows = [{"id": f"{number:032x}", "text": text} for number, text in enumerate(PASSAGES)]
    pq.write_table(conform(pa.Table.from_pylist(rows), DOCUMENT), tmp_path / "00.parquet")
    documents = (storage.artifact_of(str(tmp_path / "00.parquet")),)
    kept = {}
    for forced in (True, False):
        stage = Annotate(
            engine=engine, prompt=str(tmp_path / "short.md"), structured_outputs=forced
        )
        inputs = Inputs(str(tmp_path / str(forced)), documents)
        manifest = execute(Job(stage, ("annotate",), {"annotate": {}}, inputs), InlineRunner())
        kept[forced] = manifest.totals[0].kept
    assert kept == {True: len(PASSAGES), False: 0}
