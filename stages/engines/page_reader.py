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
    from corpusmill.vision.config import VisionConfig
    from corpusmill.vision.reading import PageReader
    from tokenizers import Tokenizer

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
        self._refuse_other()
        return super().identity()

    def _refuse_other(self) -> None:
        found = model_folder.declared(self.model).get("model_type")
        if found != READER:
            raise ModelError(
                f"{self.model} is a model of type {found!r}, which reads no images here",
                "name an export of a model that reads (docs/vision.md), or write `kind: openai`",
            )

    def room(self, request: Request) -> tuple[int, int] | None:
        """(tokens of the prompt, tokens that an answer may then have)."""
        self._refuse_other()
        prompt = _prompt_tokens(model_folder.local_folder(self.model), picture_of(request))
        context = model_folder.declared_context(self.model)
        if context is None:
            return prompt, request.max_tokens
        return prompt, min(request.max_tokens, max(0, context - prompt))

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        """As `Engine.answers`. The likeliest text is taken, whatever the sampling says.

        An answer ends where the model's positions end: it never learnt to read further.
        """
        import torch

        folder = model_folder.local_folder(self.model)
        with self.loading():
            reader = _load(folder, self.batch_size, self.device, self.dtype, self.threads)
        asked = ((picture_of(request), "", request.max_tokens) for request in requests)
        try:
            context = model_folder.declared_context(self.model)
            for index, answer, n_prompt in reader.answers(asked, context):
                n_output = len(answer.token_ids)
                yield index, Completion(answer.text, answer.finish_reason, n_prompt, n_output)
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"the GPU has too little memory for {self.batch_size} images at a time",
                "lower ocr.engine.batch_size, then run the same command again",
            ) from error


def _prompt_tokens(folder: str, picture: bytes) -> int:
    """How many tokens an image takes, by the export's configuration and tokenizer."""
    from corpusmill.vision.pixels import open_image
    from corpusmill.vision.tiling import choose_grid
    from corpusmill.vision.tokens import ImageTokens

    tiling, tokenizer = _reading(folder)
    image = open_image(picture)
    grid = choose_grid(image.width, image.height, tiling.tile_size, tiling.max_tiles)

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return len(ImageTokens(0, 0, 0).around(grid, tiling, encode))


@functools.lru_cache(maxsize=1)
def _reading(folder: str) -> "tuple[VisionConfig, Tokenizer]":
    """How an export tiles its images, and its tokenizer, once per process."""
    from corpusmill.trainer.importing import read_config
    from corpusmill.vision.layout import read_vision
    from corpusmill.vision.tokens import TOKENIZER
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / TOKENIZER))
    tokenizer.encode_special_tokens = True
    return read_vision(read_config(Path(folder)), Path(folder)), tokenizer


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

    def room(self, request: Request) -> tuple[int, int] | None:
        """None: only the server knows how many tokens an image takes."""
        return None


PageEngine = Annotated[
    Annotated[EmbeddedReader, Tag("embedded")] | Annotated[PageServer, Tag("openai")],
    Discriminator(kind_of),
]
