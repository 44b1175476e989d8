"""Language identification by fastText's lid.176 (176 languages).

Source: Joulin et al., arXiv:1607.01759 and arXiv:1612.03651. Nemotron-CC keeps English from a score
of 0.3 (arXiv:2412.02595, 2.1), FineWeb from 0.65 (arXiv:2406.17557). The model ships in
`models/lid.176` under its own licence (see the NOTICE there).
"""

import functools
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from corpusmill.manifests import storage
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.package_data import package_file

# A longer text is judged by its beginning. Prediction costs 0.2 ms a kilobyte, and more text gains
# nothing.
SAMPLE_CHARACTERS = 5_000
_LETTERS = 1_000  # that tell whether a text is in capitals
_LABEL = "__label__"
_CODE = re.compile(r"^(`{3,})[^`\n]*\n.*?(?:^\1`*$|\Z)", re.DOTALL | re.MULTILINE)
ENOUGH = 200  # bytes of prose beside code
_LINE_BREAKS = re.compile(r"[\s\0]+")


class Language(NamedTuple):
    """code: ISO 639-1 if it has one, else 639-3. score: probability in [0, 1]."""

    code: str
    score: float


def shipped_model() -> str:
    """The path of the model that ships with corpusmill."""
    return str(package_file("models", "lid.176", "lid.176.ftz"))


def identify(texts: Sequence[str], model_path: str = "") -> list[Language]:
    """The most probable language of each text. Raises ModelError if the model cannot be loaded."""
    if not texts:
        return []
    labels, scores = load_model(model_path or shipped_model()).predict(
        [hygienic(text) for text in texts], k=1
    )
    return [
        Language(label[0].removeprefix(_LABEL), min(1.0, float(score[0])))
        if label
        else Language("und", 0.0)
        for label, score in zip(labels, scores, strict=True)
    ]


def codes(model_path: str = "") -> list[str]:
    """The languages that the model tells apart, sorted. Raises ModelError if it cannot be
    loaded.
    """
    labels = load_model(model_path or shipped_model()).get_labels()
    return sorted(label.removeprefix(_LABEL) for label in labels)


def hygienic(text: str) -> str:
    """The part of a text that fastText gets: one line of limited length, without anything that
    looks like a label. If most of its letters are capitals, it is in small letters.

    Fenced code is left out if there is enough prose: its words are English, whatever the prose is.
    """
    sample = text[:SAMPLE_CHARACTERS]
    if "```" in sample and len((prose := _CODE.sub("", sample)).encode()) >= ENOUGH:
        sample = prose
    part = _LINE_BREAKS.sub(" ", sample).replace(_LABEL, " label ").strip()
    if not _is_in_capitals(part):
        return part
    if "İ" in part:  # Turkish and Azerbaijani have a small letter of their own for I
        part = part.replace("I", "ı").replace("İ", "i")
    return part.lower()


def _is_in_capitals(text: str) -> bool:
    """Whether more letters are capitals than small ones. The model has seen few such texts.

    Letters of scripts without capitals do not count. Of a long text, some letters are looked at.
    """
    some = text[:: 1 + len(text) // _LETTERS]
    capitals = sum(map(str.isupper, some))
    return capitals > 0 and capitals > sum(map(str.islower, some))


def model_digest(model_path: str = "") -> str:
    """SHA-256 of the model file. Raises ModelError if it is not there."""
    path = _existing(model_path or shipped_model())
    return _digest(path, storage.size_of(path))


@functools.lru_cache(maxsize=4)
def load_model(path: str) -> Any:
    """The model, loaded once per process. Raises ModelError, which says what to do."""
    import fasttext

    try:
        return fasttext.load_model(storage.local(_existing(path)))
    except ValueError as error:
        raise ModelError(
            f"{path} is no fastText model ({error})",
            "leave `language_model` empty or name a .bin or .ftz file",
        ) from error


@functools.lru_cache(maxsize=4)
def _digest(path: str, size: int) -> str:
    return hashlib.sha256(storage.read_bytes(path)).hexdigest()


def _existing(path: str) -> str:
    if storage.is_remote(path):
        raise ModelError(
            f"{path} is not on this machine",
            "copy the language model to a local path that every worker sees",
        )
    if not storage.exists(path):
        raise ModelError(
            f"the language model {path} does not exist",
            "leave `language_model` empty to use the one that ships",
        )
    return path
