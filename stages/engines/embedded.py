"""The default engine: a Nemotron-H hybrid in our own generator, inside the worker, on CPU or GPU.

On a CPU it is many times as fast as stock transformers (`benchmarks/generation.py`). Models of
other architectures run in the transformers engine.
"""

import functools
import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import chat, model_folder
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.engines.local_model import OneDevice, TextModel

if TYPE_CHECKING:
    from corpusmill.trainer.generation.generator import Generator, Prompt

ARCHITECTURE = "nemotron_h"
Numbered = tuple[int, Request]


class EmbeddedEngine(OneDevice, TextModel):
    """Our generator inside the worker, for models of architecture nemotron_h."""

    kind: Literal["embedded"] = "embedded"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the weights. auto: bfloat16 on CUDA, float32 on the CPU."""

    def identity(self) -> str:
        refuse_other_architectures(self.model)
        return super().identity()

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        refuse_other_architectures(self.model)
        waiting: Iterator[Numbered] = enumerate(requests)
        slots = self.batch_size
        while True:
            open_ones: list[Numbered] = []
            yield from self._answered(waiting, slots, open_ones)
            if not open_ones:
                return
            # The GPU has no memory for so many rows, or not for one of them.
            slots = len(open_ones) // 2
            if not slots:
                yield open_ones.pop()[0], failed("the GPU has not enough memory for this request")
                slots = self.batch_size
            waiting = itertools.chain(open_ones, waiting)

    def _answered(
        self, waiting: Iterator[Numbered], slots: int, open_ones: list[Numbered]
    ) -> Iterator[tuple[int, Completion]]:
        """Answers to all that wait. If memory runs out, `open_ones` gets what was at work."""
        import torch

        tokenizer, context = self.tokenizer(), self.context_length()
        with self.loading():
            generator = load_generator(
                model_folder.local_folder(self.model),
                tokenizer,
                frozenset(model_folder.end_tokens(self.model)),
                slots,
                self.device,
                self.dtype,
                self.threads,
            )
        unfit: deque[tuple[int, Completion]] = deque()
        asked: dict[int, Numbered] = {}  # a prompt's number -> its request

        def prompts() -> Iterator["Prompt"]:
            number = 0
            for index, request in waiting:
                if problem := request.unfit(context):
                    unfit.append((index, failed(problem)))
                    continue
                asked[number] = (index, request)
                number += 1
                yield _prompt(request)

        try:
            for number, answer in generator.generate(prompts()):
                index, request = asked.pop(number)
                yield (
                    index,
                    Completion(
                        answer.text,
                        answer.finish_reason,
                        len(request.token_ids),
                        len(answer.token_ids),
                    ),
                )
                while unfit:
                    yield unfit.popleft()
        except torch.OutOfMemoryError:
            open_ones += asked.values()
            del generator  # a smaller one takes its place
            load_generator.cache_clear()
            torch.cuda.empty_cache()
        yield from unfit


def _prompt(request: Request) -> "Prompt":
    from corpusmill.trainer.generation.generator import Prompt, Sampling

    return Prompt(
        request.token_ids,
        request.max_tokens,
        Sampling(request.temperature, request.top_p, seed=request.seed),
        tuple(stop for stop in request.stop if stop),
    )


def refuse_other_architectures(model: str) -> None:
    """Raises ModelError if the generator cannot run the model."""
    found = model_folder.declared(model).get("model_type")
    if found != ARCHITECTURE:
        raise ModelError(
            f"{model} is a model of type {found!r}; the embedded engine runs {ARCHITECTURE}",
            "write `kind: transformers` (or vllm, or openai) in `engine`",
        )


@functools.lru_cache(maxsize=1)
def load_generator(
    folder: str,
    tokenizer: chat.ChatTokenizer,
    end_tokens: frozenset[int],
    slots: int,
    device: str,
    dtype: str,
    threads: int,
) -> "Generator":
    """The model of a local folder, an export or a checkpoint, once per process.

    device, dtype: as the engine's settings. end_tokens: that end an answer, beside the tokenizer's
    own. Raises EngineError if there is no such device, and CorpusmillError if the folder holds no
    model of this kind.
    """
    import torch
    from corpusmill.trainer.generation.generator import Generator
    from corpusmill.trainer.ranks import compute_dtype

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineError("there is no GPU here", "set the device to cpu or auto")
    if device == "cpu":
        torch.set_num_threads(threads)
    stops = end_tokens if tokenizer.eos is None else end_tokens | {tokenizer.eos}
    number = compute_dtype(dtype, torch.device(device))
    return Generator.load(Path(folder), slots, stops, tokenizer.decode, device, number)
