"""The items of evaluation sets in texts. This loads the compiled kernels: import it late."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.stages.columns.strings import Strings, chunks_of
from corpusmill.stages.decontaminate.index import Index, build_index
from corpusmill.stages.decontaminate.items import files_of, read_items
from corpusmill.stages.decontaminate.judge import Hit, hits_of
from corpusmill.stages.decontaminate.scan import find_matches
from corpusmill.stages.decontaminate.settings import DecontaminateSettings


def find_hits(settings: DecontaminateSettings, texts: pa.ChunkedArray) -> list[list[Hit]]:
    """The items in each text."""
    chosen = settings.model_dump_json(include=set(DecontaminateSettings.model_fields))
    marks = (
        storage.mark(path) for name, one in settings.sets.items() for path in files_of(name, one)
    )
    index = _index(chosen, tuple(marks))
    return [found for chunk in chunks_of(texts) for found in _in_chunk(settings, index, chunk)]


@functools.lru_cache(maxsize=2)
def _index(settings: str, marks: tuple[str, ...]) -> Index:
    """The index of the sets of these settings, made once in a process. marks: of the sets' files,
    so that a changed file is read again.
    """
    chosen = DecontaminateSettings.model_validate_json(settings)
    items = (item for name, one in sorted(chosen.sets.items()) for item in read_items(name, one))
    return build_index(items, chosen.ngram, chosen.rare_bits, chosen.sure_bits)


def _in_chunk(settings: DecontaminateSettings, index: Index, texts: Strings) -> Iterator[list[Hit]]:
    matches = find_matches(index, texts)
    bounds = np.searchsorted(matches.document, np.arange(len(texts.offsets)))
    for document, (first, end) in enumerate(itertools.pairwise(bounds)):
        if first == end:
            yield []
            continue
        text = texts.data[texts.offsets[document] : texts.offsets[document + 1]].tobytes()
        yield list(hits_of(settings, index, matches, range(first, end), text))
