"""Filters of your own, and what identifies the code of your own that a recipe names.

A recipe names a class of your own as `module:Class`: a stage or a filter in place of a verb, a
reader as `reader.own`, a scorer as `kind: own`. Its fields are its settings: typed, frozen, checked
with messages like ours. Its source is part of the plan, so changed code makes the stage's work
again. docs/python.md shows each.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa
from corpusmill.manifests.named_class import is_own
from corpusmill.manifests.schema import excluded
from corpusmill.manifests.settings import Settings
from corpusmill.manifests.source_code import source_digest
from corpusmill.stages.contract import MapStage, Outcome, Reads


class DocumentFilter(MapStage):
    """A filter that judges one document at a time."""

    name: ClassVar[str] = "own_filter"
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    @abstractmethod
    def judge(self, document: Mapping[str, Any]) -> str | None:
        """Why the document is dropped, as a short code such as `shouting`; None if it stays.

        document: all columns of its row.
        """

    def apply(self, table: pa.Table) -> Outcome:
        codes = [self.judge(row) for row in table.to_pylist()]
        stays = pa.array([code is None for code in codes], pa.bool_())
        drops = pa.array([code is not None for code in codes], pa.bool_())
        reasons = [f"{self.name}.{code}" for code in codes if code is not None]
        return Outcome(
            table.filter(stays),
            excluded(table.filter(drops), self.name, reasons, [None] * len(reasons)),
        )


def own_code(settings: Any) -> str:
    """Digests of the source files of your own that the settings need; empty if there are none."""
    found = {source_digest(thing) for thing in _own_classes(settings)}
    return "\n".join(sorted(found))


def _own_classes(value: Any) -> Iterator[type[Any]]:
    if isinstance(value, Settings):
        if is_own(type(value)):
            yield type(value)
        own_class = getattr(value, "own_class", None)
        if own_class is not None and (named := own_class()) is not None:
            yield named
        for name in type(value).model_fields:
            yield from _own_classes(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _own_classes(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _own_classes(item)
