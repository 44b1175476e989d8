"""The files that a shard's finished rows go to: kept rows by place, and one for excluded rows."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
from corpusmill.manifests.parquet_output import ROW_GROUP_BYTES, ParquetOutput
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, extended
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import EXCLUDED
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.synthesize.finished_rows import Finished

_WRITTEN_TOGETHER = 256  # rows; a fixed number, so that files do not depend on timing


class RowFiles:
    """schema: of the kept rows. places: the folders that they may go to, below the stage's. place:
    which of them a row goes to. counts: the account of the stage, which gets every row.
    """

    def __init__(
        self,
        shard: Shard,
        counts: Counts,
        schema: pa.Schema,
        places: Collection[str],
        place: Callable[[dict[str, Any]], str],
        stack: ExitStack,
    ) -> None:
        self._schema, self._excluded_schema = schema, extended(*EXCLUSION, of=schema)
        # All files together hold as much in memory as one file of another stage.
        limit = ROW_GROUP_BYTES // (len(places) + 1)

        def opened(where: str, schema: pa.Schema) -> ParquetOutput:
            return stack.enter_context(shard.parquet(where, schema, row_group_bytes=limit))

        self._kept = {where: opened(where, schema) for where in places}
        self._excluded = opened(EXCLUDED, self._excluded_schema)
        self._place = place
        self._counts = counts
        self._waiting: list[Finished] = []

    def write(self, row: Finished) -> None:
        """Write a row to its place, or as excluded, and count it."""
        self._waiting.append(row)
        if len(self._waiting) >= _WRITTEN_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        stage = self._counts.stage
        kept: dict[str, list[dict[str, Any]]] = {}
        excluded = []
        for item in self._waiting:
            row, rejection = item.row, item.rejection
            if rejection is None:
                kept.setdefault(self._place(row), []).append(row)
                self._counts.kept += 1
                self._counts.text_bytes += len(row["text"].encode())
                self._counts.tokens += item.text_tokens
                continue
            reason = rejection.code(stage)
            excluded.append({**row, "stage": stage, "reason": reason, "detail": rejection.detail})
            count_reasons(self._counts, [reason])
        for where, rows in kept.items():
            self._kept[where].write(pa.Table.from_pylist(rows, schema=self._schema))
        if excluded:
            self._excluded.write(pa.Table.from_pylist(excluded, schema=self._excluded_schema))
        self._waiting = []
