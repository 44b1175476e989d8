"""vLLM as the model of an evaluation: one engine scores and answers.

vLLM gives the log-probability of every token of a prompt, and its rank. So a context with its
continuation is one request. It batches requests itself, and is given many at a time.
"""

import functools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import model_folder
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.engines.stream import streamed
from corpusmill.stages.engines.vllm import VLLMEngine
from corpusmill.stages.evaluate.folders import with_tokenizer
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer
from torch import Tensor

BATCH_TOKENS = 1 << 20  # padded tokens that are handed over at a time
_MORE = 2  # tokens of a request beyond those that a model must read: the last one, and an answer


class VLLMScorer:
    """A model in vLLM. Scores come back to the CPU. work: a folder to keep as long as this."""

    def __init__(self, engine: VLLMEngine, work: object = None) -> None:
        self.engine = engine
        self.device = torch.device("cpu")
        limit = engine.context_length()
        self.context = None if limit is None else limit - _MORE
        self.positions = self.context
        settings = model_folder.declared(engine.model)
        self.vocabulary = int(settings.get("text_config", settings)["vocab_size"])
        self._work = work

    def token_scores(
        self, tokens_BT: Tensor, rows_N: Tensor, places_N: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows, places, targets = rows_N.tolist(), places_N.tolist(), targets_N.tolist()
        parts = list(_continuations(rows, places))
        prompts = (
            (*tokens_BT[rows[start], : places[start] + 1].tolist(), *targets[start:end])
            for start, end in parts
        )
        requests = (Request(ids, (), 1, 0.0, 1.0, 0) for ids in prompts)
        found_N = torch.empty(len(targets))
        greedy_N = torch.empty(len(targets), dtype=torch.bool)
        ask = functools.partial(_likelihoods, self.engine.started())
        for number, scores in streamed(ask, requests, lambda: self.engine.in_flight):
            start, end = parts[number]
            values, likeliest = zip(*scores[start - end :], strict=True)
            found_N[start:end], greedy_N[start:end] = torch.tensor(values), torch.tensor(likeliest)
        return found_N, greedy_N

    def shared_scores(
        self,
        contexts: Sequence[tuple[int, ...]],
        continuations: Sequence[Sequence[tuple[int, ...]]],
    ) -> None:
        """vLLM keeps nothing of a prompt that it scores."""
        return


def _continuations(rows: Sequence[int], places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, end) of each continuation: targets of one row at consecutive places."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (rows[end], places[end]) != (rows[start], places[end - 1] + 1):
            yield start, end
            start = end


async def _likelihoods(model: Any, request: Request) -> list[tuple[float, bool]]:
    """Of each token of a prompt but the first: its log-probability, and whether it is the
    likeliest. Raises EngineError if vLLM cannot say.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    sampling = SamplingParams(
        max_tokens=1,
        temperature=0.0,
        prompt_logprobs=0,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    prompt = {"prompt_token_ids": list(request.token_ids)}
    try:
        async for output in model.generate(prompt, sampling, uuid4().hex):
            found = output.prompt_logprobs
    except (EngineDeadError, EngineGenerateError, ValueError) as error:
        raise EngineError(
            f"vLLM cannot score {len(request.token_ids)} tokens ({error})",
            "its own log above says why; then run the same command again",
        ) from error
    steps = zip(found[1:], request.token_ids[1:], strict=True)
    return [(step[token].logprob, step[token].rank == 1) for step, token in steps]


@functools.lru_cache(maxsize=1)
def load(folder: Path, tokenizer: LoadedTokenizer, settings: str) -> VLLMScorer:
    """The model in a folder. A process holds one.

    settings: of `VLLMEngine` as JSON, but for the model; `context` is that of the evaluation.
    Raises ModelError if the folder holds no model for vLLM.
    """
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} is no model for vLLM", "name the output of `corpusmill export`")
    work = tempfile.TemporaryDirectory()
    model = with_tokenizer(folder, tokenizer, Path(work.name))
    engine = VLLMEngine(model=str(model), **json.loads(settings))
    declared = model_folder.declared_context(engine.model)
    if engine.context is not None:
        room = engine.context + _MORE  # vLLM refuses more than the model declares
        engine = engine.model_copy(update={"context": min(room, declared or room)})
    return VLLMScorer(engine, work)
