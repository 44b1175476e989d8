"""`corpusmill generate --image`: what a model that reads images reads in files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from corpusmill.manifests.errors import InputError
from corpusmill.stages.generate import model as models


def read_images(
    model: str,
    tokenizer: str | None,
    files: Sequence[str],
    max_tokens: int,
    as_json: bool,
    device: str,
    say: Callable[[str], None],
) -> int:
    """Read all files. Returns how many could not be read.

    One file gives its text. Several, or `as_json`, give a JSON line each, in the order of the
    files. Raises CorpusmillError if there is no such model, device or file.
    """
    from corpusmill.trainer.ranks import compute_dtype, find_device
    from corpusmill.vision.pixels import ImageError, open_image
    from corpusmill.vision.reading import PageReader

    contents = [_content(file) for file in files]
    chosen = models.choose(model, tokenizer, reads_images=True)
    where = find_device(device)
    reader = PageReader.load(
        Path(chosen.folder),
        Path(chosen.tokenizer),
        min(16, len(files)),
        where.type,
        compute_dtype("auto", where),
    )
    lines: dict[int, dict[str, str]] = {}
    good: list[int] = []
    for place, content in enumerate(contents):
        try:
            open_image(content)
            good.append(place)
        except ImageError as error:
            lines[place] = {"image": files[place], "answer": "", "error": str(error)}
    failed = len(lines)
    for number, text in reader.read((contents[place] for place in good), max_tokens):
        lines[good[number]] = {"image": files[good[number]], "answer": text}
    if len(files) == 1 and not as_json and not failed:
        say(lines[0]["answer"] + "\n")
        return 0
    for _, line in sorted(lines.items()):
        say(json.dumps(line, ensure_ascii=False) + "\n")
    return failed


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error})", "name an image file") from error
