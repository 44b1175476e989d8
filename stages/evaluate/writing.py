"""Answers for generated tasks: greedily, by our generator, by transformers or by vLLM."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.run import Write
from corpusmill.evaluation.scoring import Model
from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Engine, Request, in_order
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.evaluate.folders import with_tokenizer
from corpusmill.stages.evaluate.vllm import VLLMScorer
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer

EngineOf = Callable[[str], TransformersEngine]  # a model folder -> its engine


def writer(
    model: Model, folder: Path, tokenizer: LoadedTokenizer, engine_of: EngineOf, rows: int
) -> Write:
    """How a model answers. folder: of the model. rows: answers that are written together."""
    if isinstance(model, HybridScorer):
        hybrid, ends = model, [] if tokenizer.eos is None else [tokenizer.eos]
        return lambda prompts, most, stop: hybrid.write(
            prompts, most, stop, tokenizer.decode, ends, rows
        )
    if isinstance(model, VLLMScorer):
        engine = model.engine
        return lambda prompts, most, stop: _answers(engine, prompts, most, stop)

    def write(prompts: Sequence[Sequence[int]], most: int, stop: Sequence[str]) -> list[str]:
        with tempfile.TemporaryDirectory() as work:
            engine = engine_of(str(with_tokenizer(folder, tokenizer, Path(work))))
            return _answers(engine, prompts, most, stop)

    return write


def _answers(
    engine: Engine, prompts: Sequence[Sequence[int]], most: int, stop: Sequence[str]
) -> list[str]:
    """The likeliest answers. Raises EngineError if one is missing."""
    requests = [Request(tuple(prompt), (), most, 0.0, 1.0, 0, tuple(stop)) for prompt in prompts]
    completions = in_order(engine, requests)
    failed = next((item for item in completions if item.finish_reason == "error"), None)
    if failed is not None:
        raise EngineError(f"the model gave no answer ({failed.error})", "check the model")
    return [completion.text for completion in completions]
