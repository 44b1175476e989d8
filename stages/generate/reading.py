"""The bytes that `corpusmill generate` is given, as text."""

import sys
from pathlib import Path

from corpusmill.manifests.errors import InputError


def read_lines(name: str) -> list[str]:
    """The lines of a file; `-` is standard input. Only a line feed ends a line: JSON may hold the
    other characters that Unicode counts as line ends.
    """
    if name == "-":
        return _text("standard input", sys.stdin.buffer.read()).split("\n")
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise InputError(
            f"{name} cannot be read ({error.strerror})", "give a file of JSON lines"
        ) from error
    return _text(name, content).split("\n")


def piped_prompt() -> str:
    """Standard input as a prompt, without the line end that `echo` adds."""
    mend = "give --prompt TEXT or --input FILE.jsonl, or pipe a text"
    if sys.stdin.isatty():
        raise InputError("there is no prompt", mend)
    text = _text("standard input", sys.stdin.buffer.read())
    if not text:
        raise InputError("standard input is empty, so there is no prompt", mend)
    return text.removesuffix("\n").removesuffix("\r")


def _text(name: str, content: bytes) -> str:
    """UTF-8, with or without a byte-order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name} is not UTF-8 (line {line}: {error.reason})", "save it as UTF-8"
        ) from error
