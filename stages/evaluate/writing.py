"""Answers for generated tasks, by the engine that also writes synthetic documents, greedily."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from corpusmill.evaluation.models import STATE
from corpusmill.evaluation.run import Write
from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Request, in_order
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.tokenizer.loaded import files_of

Settings = Callable[[str], TransformersEngine]  # a model folder -> its engine


def writer(folder: Path, tokenizer: str, engine_of: Settings, work: Path) -> Write:
    """How the model in `folder` answers. work: a local folder for what must be made for it."""
    engine = engine_of(str(_complete(folder, tokenizer, work)))

    def write(prompts: Sequence[Sequence[int]], max_tokens: int, stop: Sequence[str]) -> list[str]:
        requests = [
            Request(tuple(prompt), (), max_tokens, 0.0, 1.0, 0, tuple(stop)) for prompt in prompts
        ]
        completions = in_order(engine, requests)
        failed = next((item for item in completions if item.finish_reason == "error"), None)
        if failed is not None:
            raise EngineError(f"the model gave no answer ({failed.error})", "check the model")
        return [completion.text for completion in completions]

    return write


def _complete(folder: Path, tokenizer: str, work: Path) -> Path:
    """A folder that transformers loads, with the tokenizer in it."""
    if (folder / STATE).exists():
        from corpusmill.trainer.export import export

        return export(folder, Path(tokenizer), work / "exported", "float32")
    if Path(tokenizer).resolve() == folder.resolve():
        return folder
    made = Path(tempfile.mkdtemp(dir=work))
    tokenizer_files = [Path(path) for path in files_of(tokenizer)]
    named = {path.name: path for path in [*folder.iterdir(), *tokenizer_files] if path.is_file()}
    for name, path in named.items():
        (made / name).symlink_to(path.resolve())
    return made
