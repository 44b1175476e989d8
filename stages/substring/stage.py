"""Cut passages that occurred before: boilerplate, licences, quotations and templates, which
near-duplicate removal cannot see.

A suffix array of a part of the corpus shows every window of `min_bytes` bytes that occurs more than
once. Documents are then read in a fixed order. Passages that were read before are cut, so one copy
stays: the one that was read first. What is cut is recorded, and where it still stands.

    measure    per document shard: text bytes in each range of keys; a document's key is the hash
               of its URL's host, or of its id
    plan       once: ranges of keys are joined or split into parts of bounded size
    shuffle    per document shard: its rows, sent to their parts
    substring  per part: suffix array, windows that repeat, cuts; kept and excluded documents

If there are many stream files, a pass `collect-shuffle` comes between, so that no part opens them
all (`stages.shuffle.exchange`).

Only repeats within a part are seen. What is cut depends on the documents and the settings alone,
not on shards or workers.

Sources: Lee et al. 2022, "Deduplicating training data makes language models better"
(arXiv:2107.06499), section 4.1 (exact substrings by suffix array); Nemotron-CC (arXiv:2412.02595),
section 2.1; Dolma 3 (one copy stays, short gaps are bridged).
"""

import unicodedata
from functools import partial
from typing import ClassVar

import pyarrow as pa
from corpusmill.stages.columns.ranking import refuse_rule_without_column
from corpusmill.stages.contract import GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.readers.documents import input_shards
from corpusmill.stages.shuffle.exchange import exchange
from corpusmill.stages.shuffle.streams import StreamFiles
from corpusmill.stages.substring.cut import cut_part
from corpusmill.stages.substring.parts import key_ranges, measure, parts_in, plan_parts, send
from corpusmill.stages.substring.settings import SUBSTRING_COLUMNS, SubstringSettings


class Substring(SubstringSettings, GlobalStage):
    """Cut passages that other documents have."""

    version: ClassVar[int] = 2
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    def edits_texts(self) -> bool:
        return True

    def adds(self) -> tuple[pa.Field, ...]:
        return SUBSTRING_COLUMNS

    def depends_on(self) -> str:
        return f"unicode {unicodedata.unidata_version}"  # decides what white space is

    def passes(self, inputs: Inputs) -> Passes:
        documents = input_shards(inputs.documents, self.name)
        refuse_rule_without_column(inputs.documents, "keeper", self.keeper)
        ranges = key_ranges(inputs.documents, self.part_bytes)
        measured = yield Pass(
            name="measure",
            shards={name: (document,) for name, document in documents.items()},
            work=partial(measure, self, ranges),
            depends_on=f"ranges={ranges}",
        )
        # A shard that could not be read is in quarantine and goes no further.
        names = sorted(measured.receipts)
        planned = yield Pass(
            name="plan",
            shards={"plan": (*measured.outputs(), *(documents[name] for name in names))},
            work=partial(plan_parts, self, len(names)),
        )
        plan, schema = planned.outputs()
        parts = parts_in(plan)
        shuffled = yield Pass(
            name="shuffle",
            shards={name: (documents[name], plan) for name in names},
            work=partial(send, self, ranges, parts),
            depends_on=f"parts={parts}",
        )
        sent = yield from exchange("shuffle", shuffled.outputs(), StreamFiles(parts))
        yield Pass(
            name=self.name,
            shards={f"{part:05d}": (schema, *sent(part)) for part in range(parts)},
            work=partial(cut_part, self),
            depends_on=f"parts={parts}",
            final=True,
        )
