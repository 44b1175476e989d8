"""`corpusmill generate --image`: what a model that reads images reads in files."""

from pathlib import Path

from corpusmill.manifests.errors import InputError
from corpusmill.stages.generate import model as models
from corpusmill.stages.generate.lines import as_line
from corpusmill.stages.generate.options import Options
from corpusmill.stages.generate.typed import Say


def read_images(options: Options, say: Say) -> int:
    """Read all files, or answer the prompt about each. Returns how many could not be read.

    One file gives its text. Several files, or `as_json`, give a JSON line each, in the order of the
    files. Raises CorpusmillError if there is no such model, device or file.
    """
    import torch
    from corpusmill.trainer.ranks import compute_dtype, find_device
    from corpusmill.vision.pixels import ImageError, open_image
    from corpusmill.vision.reading import PageReader

    files = options.images
    contents = [_content(file) for file in files]
    lines: dict[int, dict[str, str]] = {}
    good: list[int] = []
    for place, content in enumerate(contents):
        try:
            open_image(content)
            good.append(place)
        except ImageError as error:
            lines[place] = {"image": files[place], "answer": "", "error": str(error)}
    failed = len(lines)
    chosen = models.choose(options.model, options.tokenizer, reads_images=True)
    device = find_device(options.device)
    torch.set_num_threads(options.threads)
    reader = PageReader.load(
        Path(chosen.folder),
        Path(chosen.tokenizer),
        options.slots_for(len(files)),
        device.type,
        compute_dtype(options.dtype, device),
    )
    pages = [contents[place] for place in good]
    questions = [options.prompt or ""] * len(pages)
    for number, text in reader.read(pages, options.defaults.max_tokens, questions):
        lines[good[number]] = {"image": files[good[number]], "answer": text}
    if len(files) == 1 and not options.as_json and not failed:
        say(lines[0]["answer"] + "\n")
        return 0
    for _, line in sorted(lines.items()):
        say(as_line(line))
    return failed


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror})", "name an image file"
        ) from error
