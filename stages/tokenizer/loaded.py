"""Any Hugging Face tokenizer as plain functions from text to token ids. A digest identifies it.

A tokenizer is named by a folder (any fsspec URL), or by its name on the Hugging Face hub. Corpus
text is never trusted. A document that spells `</s>` must not end the document. So special tokens
found in text are encoded as the ordinary characters that they are. A truncation or padding rule
saved with a tokenizer is switched off: nothing may be cut silently.
"""

import functools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import ModelError

TOKENIZER = model_files.Kind(
    noun="tokenizer",
    patterns=(*model_files.TOKENIZER_FILES, "config.json"),
    mend="name a folder with tokenizer.json, or make one with `corpusmill tokenizer`",
)
BESIDE_A_TOKENIZER = (  # files that make none alone
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)
# The library keeps each token's text for a whole batch: about 100 bytes a token.
BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class LoadedTokenizer:
    """name: as the recipe names it. folder: local. digest: SHA-256 over its files.

    vocabulary_size: one more than the largest id. _backend: the Rust tokenizer, or None if the
    tokenizer only exists in Python.
    """

    name: str
    folder: str
    digest: str
    vocabulary_size: int
    bos: int | None
    eos: int | None
    pad: int | None
    _hugging_face: Any = field(repr=False, compare=False)
    _backend: Any = field(repr=False, compare=False)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. No special tokens are added, and none are recognised in the text.

        Several threads may call it at once.
        """
        if self._backend is not None:
            return [
                encoding.ids
                for encoding in self._backend.encode_batch_fast(
                    list(texts), add_special_tokens=False
                )
            ]
        return list(
            self._hugging_face(list(texts), add_special_tokens=False, split_special_tokens=True)[
                "input_ids"
            ]
        )

    def begins_with(self) -> tuple[int, ...]:
        """The ids that the tokenizer itself puts in front of a text, as bos. Often none."""
        whole = list(self._hugging_face("a")["input_ids"])
        bare = list(self._hugging_face("a", add_special_tokens=False)["input_ids"])
        places = (place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)
        return tuple(whole[: next(places, 0)])

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, without bos and eos."""
        counts: list[int] = []
        for start, end in batches([len(text) for text in texts]):
            counts += [len(ids) for ids in self.encode(texts[start:end])]
        return counts

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, with special tokens spelled out."""
        return str(
            self._hugging_face.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


def batches(
    sizes: Sequence[int], limit: int = BATCH_BYTES, rows: int = 1024
) -> list[tuple[int, int]]:
    """Consecutive ranges [start, end) of at most `rows` items and about `limit` size.

    An item is never divided.
    """
    ranges: list[tuple[int, int]] = []
    start = held = 0
    for index, size in enumerate(sizes):
        if index > start and (held + size > limit or index - start == rows):
            ranges.append((start, index))
            start, held = index, 0
        held += size
    if start < len(sizes):
        ranges.append((start, len(sizes)))
    return ranges


def load(name: str) -> LoadedTokenizer:
    """The tokenizer in the folder `name`, or on the hub under `name`. A process loads it once.

    Raises ModelError if there is none or it cannot be used. The error says what to do.
    """
    folder = model_files.folder(name, TOKENIZER)
    return _loaded(name, folder, digest_of(folder))


def digest_of(folder: str) -> str:
    """SHA-256 over the names and bytes of a local folder's tokenizer files."""
    return model_files.folder_digest(folder, map(os.path.basename, files_of(folder)))


def files_of(folder: str) -> list[str]:
    """Paths of the tokenizer files in a local folder. Raises ModelError if there are none."""
    found = [
        path
        for path in (os.path.join(folder, file) for file in model_files.TOKENIZER_FILES)
        if os.path.isfile(path)
    ]
    if not any(os.path.basename(path) not in BESIDE_A_TOKENIZER for path in found):
        raise ModelError(
            f"{folder} holds no tokenizer",
            TOKENIZER.mend,
        )
    return found


def portable_files(tokenizer: LoadedTokenizer) -> dict[str, bytes]:
    """File name -> bytes of a self-contained copy.

    These are the tokenizer's own files. tokenizer.json is made if the tokenizer came without it.
    """
    files = {
        os.path.basename(path): storage.read_bytes(path) for path in files_of(tokenizer.folder)
    }
    if "tokenizer.json" in files and "tokenizer_config.json" in files:
        return files
    with tempfile.TemporaryDirectory() as folder:
        tokenizer._hugging_face.save_pretrained(folder)
        made = {os.path.basename(path): storage.read_bytes(path) for path in files_of(folder)}
    return {**made, **files}


@functools.lru_cache(maxsize=4)
def _loaded(name: str, folder: str, digest: str) -> LoadedTokenizer:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    # Every core already has a worker. Threads inside each worker would only slow them down.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        hugging_face = AutoTokenizer.from_pretrained(folder)
    except Exception as error:
        raise ModelError(
            f"the tokenizer {name} cannot be loaded "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]})",
            "check its files; a tokenizer that needs code of its own is not supported",
        ) from error
    backend = getattr(hugging_face, "backend_tokenizer", None)
    if backend is not None:
        # Our own copy: the switches below must not change the caller's tokenizer.
        backend = Tokenizer.from_str(backend.to_str())
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
    return LoadedTokenizer(
        name=name,
        folder=folder,
        digest=digest,
        vocabulary_size=max(hugging_face.get_vocab().values(), default=-1) + 1,
        bos=hugging_face.bos_token_id,
        eos=hugging_face.eos_token_id,
        pad=hugging_face.pad_token_id,
        _hugging_face=hugging_face,
        _backend=backend,
    )
