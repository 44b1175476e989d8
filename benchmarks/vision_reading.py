"""What a trained reader of pages gets right, for `benchmarks/vision.py`."""

import io
import json
import math
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from corpusmill.benchmarks.vision_pages import HeldOutPage
from corpusmill.tools.error_rate import edit_distance
from corpusmill.trainer.model import HybridModel
from corpusmill.vision.letters import letter_accuracy, letter_loss, patch_labels
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.pixels import open_image, tiles
from corpusmill.vision.reading import PageReader
from PIL import Image
from tokenizers import Tokenizer

GREY = 200  # of a blank page
KEPT = 150  # images of a set


class Seen(Protocol):
    """A held-out page, or a chart, which has a question, too."""

    @property
    def image(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def font(self) -> str: ...
    @property
    def source(self) -> str: ...


def squeezed(text: str) -> str:
    """Every run of blanks and line ends as one blank: the layout is not scored."""
    return " ".join(text.split())


def score(read: Sequence[str], pages: Sequence[HeldOutPage]) -> dict[str, float]:
    """cer: edits for each character of all pages; more than a page has count as all of it. median:
    of the pages' rates. exact: share of pages without an error.
    """
    rates, edits, size = [], 0, 0
    for text, page in zip(read, pages, strict=True):
        clean = squeezed(page.text)
        distance = min(edit_distance(squeezed(text), clean), len(clean))
        rates.append(distance / len(clean))
        edits += distance
        size += len(clean)
    return {
        "pages": len(pages),
        "characters": size,
        "cer": round(edits / size, 5),
        "median": round(sorted(rates)[len(rates) // 2], 5),
        "exact": round(sum(rate == 0 for rate in rates) / len(rates), 4),
    }


def blank_like(image: bytes) -> bytes:
    """An image of the same size with nothing on it."""
    size = Image.open(io.BytesIO(image)).size
    file = io.BytesIO()
    Image.new("L", size, GREY).save(file, "PNG")
    return file.getvalue()


def read_all(
    reader: PageReader,
    images: Sequence[bytes],
    most: int,
    questions: Sequence[str] | None = None,
) -> list[str]:
    return [text for _, text in sorted(reader.read(images, most, questions))]


def controls(
    reader: PageReader, pages: Sequence[HeldOutPage], read: Sequence[str], most: int
) -> dict[str, Any]:
    """The text of pages against what is read from a blank one, and from the next page."""
    nothing = read_all(reader, [blank_like(pages[0].image)], most)
    return {
        "blank": score(nothing * len(pages), pages),
        "other page": score([*read[1:], *read[:1]], pages),
    }


@torch.no_grad()
def letters_known(
    model: VisionLanguageModel, pages: Sequence[Mapping[str, Any]], batch: int = 64
) -> dict[str, float]:
    """share: of the letters that the encoder names at their places. nats: the loss of all slots
    over the number of letters; 0.3 is a good encoder, 3 knows none.
    """
    config, right, count, nats = model.vision_config, 0, 0, 0.0
    device = model.lm_head.weight.device
    for start in range(0, len(pages), batch):
        pixels, labels = [], []
        for page in pages[start : start + batch]:
            picture = open_image(page["image"])
            grid, found = tiles(picture, config)
            places = page["letters"], page["letter_x"], page["letter_y"]
            pixels.append(torch.from_numpy(found))
            labels.append(torch.from_numpy(patch_labels(*places, picture.size, grid, config)))
        logits = model.letter_logits(torch.cat(pixels).to(device))
        labels_NLS = torch.cat(labels).to(device)
        nats += letter_loss(logits, labels_NLS).item()
        named, letters = letter_accuracy(logits, labels_NLS)
        right, count = right + named, count + letters
    return {"share": round(right / count, 4), "nats": round(nats / count, 4), "letters": count}


@torch.no_grad()
def bits_per_byte(
    model: HybridModel, texts: Sequence[str], tokenizer: Tokenizer, length: int, batch: int = 64
) -> float:
    """Of the texts end to end, in windows of `length` tokens that begin without context."""
    ids = [token for text in texts for token in tokenizer.encode(text).ids]
    windows = torch.tensor(ids[: len(ids) // length * length]).view(-1, length)
    size = sum(len(text.encode()) for text in texts) * (length - 1) / length
    size *= windows.numel() / len(ids)
    device = model.lm_head.weight.device
    nats = 0.0
    for part in windows.split(batch):
        part = part.to(device)
        logits = model(part)[:, :-1].float()
        nats += F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
    return nats / math.log(2) / size


def keep(
    sets: Mapping[str, Sequence[Seen]], texts: Mapping[str, Sequence[str]], path: Path
) -> None:
    """A tar of the first `KEPT` images of each set that was read, and lines of what stands there
    and was read. It replaces an earlier one.
    """
    with tarfile.open(path, "w") as tar:
        lines = []
        for name, read in texts.items():
            for number, (page, text) in enumerate(zip(sets[name][:KEPT], read, strict=False)):
                file = f"{name.replace(' ', '-')}-{number:03d}.jpg"
                _add(tar, file, page.image)
                lines.append(json.dumps({"file": file, "set": name, **_record(page, text)}))
        _add(tar, "pages.jsonl", "\n".join(lines).encode())


def keep_pictures(seen: Sequence[tuple[Seen, str]], path: Path) -> None:
    """A tar of pages and charts as PNG files, and what was read, unedited."""
    with tarfile.open(path, "w") as tar:
        lines = []
        for number, (page, text) in enumerate(seen):
            file = io.BytesIO()
            Image.open(io.BytesIO(page.image)).save(file, "PNG")
            _add(tar, f"{number:02d}.png", file.getvalue())
            lines.append(json.dumps({"file": f"{number:02d}.png", **_record(page, text)}))
        _add(tar, "read.jsonl", "\n".join(lines).encode())


def _record(page: Seen, read: str) -> dict[str, str]:
    question = getattr(page, "question", None)
    asked = {} if question is None else {"question": question}
    return {"font": page.font, "source": page.source, **asked, "text": page.text, "read": read}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
