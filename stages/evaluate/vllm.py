"""vLLM as the model of an evaluation: one engine scores and answers.

vLLM gives the log-probability of every token of a prompt, and of the likeliest token there. So a
context with its continuation is one request. It batches requests itself, and is given many at a
time. A token that ties with the likeliest one counts as the likeliest, as in
lm-evaluation-harness with vLLM. (vLLM's own rank would not do: it gives both of them rank 2.)

An engine that dies is replaced once, and the batch is asked again.
"""

import functools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import model_folder
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.engines.stream import streamed
from corpusmill.stages.engines.vllm import VLLMEngine, discard, refusals
from corpusmill.stages.evaluate.folders import with_tokenizer
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer
from torch import Tensor

BATCH_TOKENS = 1 << 20  # padded tokens that are handed over at a time
Likelihoods = list[tuple[float, bool]]
_MEND = (
    "if memory is short, lower evaluate.context, evaluate.vllm.gpu_memory_utilization or "
    "evaluate.vllm.arguments.max_num_batched_tokens; then run the same command again"
)
_MORE = 2  # tokens of a request beyond those that a model must read: the last one, and an answer


class _Died(Exception):
    """The engine's process ended before it had answered."""


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
        requests = [Request(ids, (), 1, 0.0, 1.0, 0) for ids in prompts]
        found_N = torch.empty(len(targets))
        greedy_N = torch.empty(len(targets), dtype=torch.bool)
        for (start, end), scores in zip(parts, self._asked(requests), strict=True):
            values, likeliest = zip(*scores[start - end :], strict=True)
            found_N[start:end], greedy_N[start:end] = torch.tensor(values), torch.tensor(likeliest)
        return found_N, greedy_N

    def _asked(self, requests: Sequence[Request]) -> list[Likelihoods]:
        """Raises EngineError if vLLM cannot say."""
        model = self.engine.started()
        try:
            return self._answers(model, requests)
        except _Died:
            model = self.engine.started(dead=model)
        try:
            return self._answers(model, requests)
        except _Died as error:
            discard(model)
            raise EngineError(
                "vLLM's engine died twice while it scored", f"its own log above says why; {_MEND}"
            ) from error

    def _answers(self, model: Any, requests: Sequence[Request]) -> list[Likelihoods]:
        ask = functools.partial(_likelihoods, model)
        found = dict(streamed(ask, iter(requests), lambda: self.engine.in_flight))
        return [found[number] for number in range(len(requests))]

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


async def _likelihoods(model: Any, request: Request) -> Likelihoods:
    """Of each token of a prompt but the first: its log-probability, and whether it is the
    likeliest. Raises EngineError if vLLM cannot say, and _Died.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.exceptions import EngineDeadError

    sampling = SamplingParams(
        max_tokens=1,
        temperature=0.0,
        prompt_logprobs=1,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    prompt = {"prompt_token_ids": list(request.token_ids)}
    try:
        async for output in model.generate(prompt, sampling, uuid4().hex):
            found = output.prompt_logprobs
    except EngineDeadError as error:
        raise _Died from error
    except refusals() as error:
        raise EngineError(
            f"vLLM cannot score {len(request.token_ids)} tokens ({error})",
            f"its own log above says why; {_MEND}",
        ) from error
    steps = zip(found[1:], request.token_ids[1:], strict=True)
    return [_likelihood(step, token) for step, token in steps]


def _likelihood(step: Mapping[int, Any], token: int) -> tuple[float, bool]:
    """step: token -> what vLLM says of it. It holds the prompt's own token and a likeliest one."""
    found = step[token].logprob
    return found, found >= max(one.logprob for one in step.values())


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
