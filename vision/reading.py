"""Read images with a trained model: an image file in, text out.

The encoder turns the tiles of an image into embeddings. The trainer's generator goes on from them
as from any prompt, many images at a time. Letters in tensor names: T tokens, D hidden.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.export import read_facts
from corpusmill.trainer.generation.generator import Answer, Generator, Prompt
from corpusmill.vision.build import load_export, load_model
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.pixels import open_image, tiles
from corpusmill.vision.tokens import BEGIN, END, PLACE, TOKENIZER, ImageTokens
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PageReader:
    """A model that reads up to `slots` images together."""

    def __init__(
        self,
        model: VisionLanguageModel,
        tokenizer_folder: Path,
        slots: int = 16,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        from tokenizers import Tokenizer

        file = tokenizer_folder / TOKENIZER
        if not file.exists():
            raise ModelError(
                f"{tokenizer_folder} holds no {TOKENIZER}", "name the tokenizer that pack wrote"
            )
        self.tokenizer = Tokenizer.from_file(str(file))
        self.tokenizer.encode_special_tokens = True
        ids = self.tokenizer.get_vocab(with_added_tokens=True)
        if ids.get(PLACE) != model.image_token:
            raise ModelError(
                f"{tokenizer_folder} has the image token {ids.get(PLACE)}, the model "
                f"{model.image_token}",
                "name the tokenizer that pack wrote",
            )
        self.marks = ImageTokens(ids[BEGIN], ids[END], ids[PLACE])
        self.model = model.to(device).eval()
        self.model.compute_dtype = dtype
        eos = read_facts(tokenizer_folder).eos
        stops = [] if eos is None else [eos]
        self.generator = Generator(model, slots, stops, self._decode, device, dtype)

    @classmethod
    def load(
        cls,
        folder: Path,
        tokenizer_folder: Path | None = None,
        slots: int = 16,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The model of an export, or of a checkpoint whose tokenizer is named."""
        if (folder / checkpoint.STATE).exists():
            model, _ = load_model(folder)
        else:
            model = load_export(folder)
        return cls(model, tokenizer_folder or folder, slots, device, dtype)

    def _encode(self, text: str) -> list[int]:
        """As packing does it: special tokens in the text are letters."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(token_ids))
        return text

    def read(
        self, images: Iterable[bytes], max_tokens: int, questions: Iterable[str] | None = None
    ) -> Iterator[tuple[int, str]]:
        """(index, text) of every image, in the order in which they end. Greedy.

        questions: one for each image, which the text then answers. Raises ImageError for a file
        that cannot be read.
        """
        asked = itertools.repeat("") if questions is None else questions
        both = zip(images, asked, strict=False)
        for index, answer, _ in self.answers((image, text, max_tokens) for image, text in both):
            yield index, answer.text

    def answers(
        self, asked: Iterable[tuple[bytes, str, int]], context: int | None = None
    ) -> Iterator[tuple[int, Answer, int]]:
        """The same with whole answers: (index, answer, tokens of the prompt). asked: images, each
        with its question ("" for none) and the most tokens of its answer. context: tokens of a
        prompt and its answer together, at most.
        """
        lengths: dict[int, int] = {}

        def prompts() -> Iterator[Prompt]:
            for index, (content, question, most) in enumerate(asked):
                prompt = self._prompt(content, question, most, context)
                lengths[index] = len(prompt.token_ids)
                yield prompt

        for index, answer in self.generator.generate(prompts()):
            yield index, answer, lengths.pop(index)

    def _prompt(
        self, content: bytes, question: str, max_tokens: int, context: int | None = None
    ) -> Prompt:
        vision = self.model.vision_config
        grid, pixels = tiles(open_image(content), vision)
        tokens = self.marks.around(grid, vision, self._encode) + self._encode(question)
        if context is not None:
            max_tokens = min(max_tokens, max(0, context - len(tokens)))
        return Prompt(tuple(tokens), max_tokens, embedded=self._embedded(tokens, pixels))

    @torch.inference_mode()
    def _embedded(self, tokens: list[int], pixels: "NDArray[np.uint8]") -> Tensor:
        """What enters the first layer, (T, D)."""
        device = self.model.lm_head.weight.device
        tokens_1T = torch.tensor([tokens], device=device)
        images_NXD = self.model.image_tokens(torch.from_numpy(pixels).to(device))
        return self.model.embed_images(tokens_1T, images_NXD)[0]
