"""Engines that take an image in a request: our own reader, and servers of the OpenAI protocol."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import kind_of, model_folder
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.local_model import OneDevice
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.pictures import picture_of
from pydantic import Discriminator, PositiveInt, Tag

if TYPE_CHECKING:
    from corpusmill.vision.reading import PageReader

READER = "internvl"  # the architecture that `export` writes


class EmbeddedReader(OneDevice):
    """A model that corpusmill trained to read, inside the worker. It sees the image alone."""

    kind: Literal["embedded"] = "embedded"
    model: str
    """A folder that `export` wrote."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the weights. auto: bfloat16 on CUDA, float32 on the CPU."""

    def identity(self) -> str:
        """Name and digest. Raises ModelError if the model reads no images."""
        found = model_folder.declared(self.model).get("model_type")
        if found != READER:
            raise ModelError(
                f"{self.model} is a model of type {found!r}, which reads no images here",
                "name an export of a model that reads (docs/vision.md), or write `kind: openai`",
            )
        return super().identity()

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        """As `Engine.answers`. The likeliest text is taken, whatever the sampling says."""
        import torch

        folder = model_folder.local_folder(self.model)
        with self.loading():
            reader = _load(folder, self.batch_size, self.device, self.dtype, self.threads)
        asked = ((picture_of(request), "", request.max_tokens) for request in requests)
        try:
            for index, answer, n_prompt in reader.answers(asked):
                n_output = len(answer.token_ids)
                yield index, Completion(answer.text, answer.finish_reason, n_prompt, n_output)
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"the GPU has too little memory for {self.batch_size} images at a time",
                "lower ocr.engine.batch_size, then run the same command again",
            ) from error


@functools.lru_cache(maxsize=1)
def _load(folder: str, slots: int, device: str, dtype: str, threads: int) -> "PageReader":
    """The reader, once per process."""
    import torch
    from corpusmill.trainer.ranks import compute_dtype, find_device
    from corpusmill.vision.reading import PageReader

    found = find_device(device)
    if found.type == "cpu":
        torch.set_num_threads(threads)
    number = compute_dtype(dtype, found)
    return PageReader.load(Path(folder), None, slots, found.type, number)


class PageServer(OpenAIEngine):
    """A server that speaks the OpenAI protocol and serves a model that takes images."""

    api: Literal["chat"] = "chat"
    """Images come in messages, as `data:` addresses."""
    in_flight: PositiveInt = 64
    """Requests at a time and server, at most. A busy or slow server gets fewer."""


PageEngine = Annotated[
    Annotated[EmbeddedReader, Tag("embedded")] | Annotated[PageServer, Tag("openai")],
    Discriminator(kind_of),
]
