"""Answers for generated tasks: greedily, by our generator or by the transformers engine."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.run import Write
from corpusmill.evaluation.scoring import Model
from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Request, in_order
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer, files_of

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

    def write(prompts: Sequence[Sequence[int]], most: int, stop: Sequence[str]) -> list[str]:
        requests = [
            Request(tuple(prompt), (), most, 0.0, 1.0, 0, tuple(stop)) for prompt in prompts
        ]
        with tempfile.TemporaryDirectory() as work:
            engine = engine_of(str(_with_tokenizer(folder, tokenizer, Path(work))))
            completions = in_order(engine, requests)
        failed = next((item for item in completions if item.finish_reason == "error"), None)
        if failed is not None:
            raise EngineError(f"the model gave no answer ({failed.error})", "check the model")
        return [completion.text for completion in completions]

    return write


def _with_tokenizer(folder: Path, tokenizer: LoadedTokenizer, work: Path) -> Path:
    """A folder with the model and the tokenizer, which transformers loads together."""
    if Path(tokenizer.folder).resolve() == folder.resolve():
        return folder
    files = [*folder.iterdir(), *map(Path, files_of(tokenizer.folder))]
    for name, path in {path.name: path for path in files if path.is_file()}.items():
        (work / name).symlink_to(path.resolve())
    return work
