"""Find pairs of documents of which one links to the other.

A link is an address in the column `links` of extraction. It makes a pair if a document with that
address (`addresses`) is among the documents that are read. The link may go one way. Pairs that
link to each other come first. A document leads a few pairs at most, and is the linked one in a few.

    keys    each shard: its addresses and links, sorted by address
    join    each partition of addresses: the pairs of its pages
    choose  each shard: the pairs that its documents lead
    send    each shard: the texts of its linked documents, sorted by the shard that they go to
    link    each shard: its documents with the linked ones beside them

Between passes, rows of many files are collected as in dedup and blend (`stages.shuffle.exchange`).
So no task opens the files of all shards. A task of the last pass holds the linked texts of its
shard.

Account: a document without a pair is not used (`link.no_pair`), and one in several is repeated.
"""

from functools import partial
from typing import ClassVar

import pyarrow as pa
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.schema import LEVELS, LINKED
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import (
    Account,
    GlobalStage,
    Inputs,
    MeasuredPasses,
    Pass,
    PassResult,
    Reads,
)
from corpusmill.stages.link.pairs import (
    CHOSEN,
    KEYS,
    LINKS_READ,
    MUTUAL,
    PAIRS,
    choose,
    find_keys,
    join,
)
from corpusmill.stages.link.texts import put_together, send
from corpusmill.stages.shuffle.exchange import exchange, refuse_loss
from corpusmill.stages.shuffle.row_groups import MOST_PARTITIONS, ROW_BITS, Sorted, home_of
from corpusmill.stages.shuffle.streams import StreamFiles
from corpusmill.stages.synthesize.routed_documents import UNSCORED, shards_of
from pydantic import Field, PositiveInt

LINKS_TO_A_PAGE = 256  # that are looked at
PARTITION_DOCUMENTS = 1 << 18  # with 20 links each, a join takes 1.1 GB


class Link(GlobalStage):
    """Find pairs of documents of which one links to the other."""

    name: ClassVar[str] = "link"
    version: ClassVar[int] = 3
    account: ClassVar[Account] = Account.ONE_TO_MANY
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    levels: tuple[str, ...] = ()
    """Levels of the documents that may be in a pair, `unscored` for those without one. Empty: all.
    """
    pairs_per_document: PositiveInt = 1
    """So many pairs may a document lead, and in so many may it be the linked one."""
    linked_characters: PositiveInt = 20_000
    """So much of the linked text goes along, from its beginning."""
    partitions: int | None = Field(default=None, ge=1, le=MOST_PARTITIONS)
    """Partitions of the addresses. Null: one for each 262,144 documents."""

    def adds(self) -> tuple[pa.Field, ...]:
        return (LINKED,)

    def passes(self, inputs: Inputs) -> MeasuredPasses:
        for level in self.levels:
            if level not in (*LEVELS, UNSCORED):
                raise RecipeError(
                    f"link.levels: there is no level {level!r}",
                    f"levels are {', '.join(LEVELS)} and {UNSCORED}",
                )
        shards = {
            f"{home:06d}-{name}": files
            for home, (name, files) in enumerate(shards_of(inputs.documents, self.name).items())
        }
        partitions = self.partitions or _partitions(inputs.documents)
        homes, files = len(shards), {name: len(found) for name, found in shards.items()}
        links = max(LINKS_TO_A_PAGE, self.pairs_per_document)
        work = partial(find_keys, self.levels, links, partitions)
        keys = yield Pass("keys", shards, work)
        if not _kept(keys, LINKS_READ):
            if any(count.unused for one in keys.receipts.values() for count in one.counts):
                raise InputError(
                    f"no document of a level in link.levels ({', '.join(self.levels)}) links to "
                    "another page, but others do",
                    "name their levels, or leave link.levels out; documents without a level are "
                    f"{UNSCORED}, and classify gives levels",
                )
            raise InputError(
                "no document links to another page",
                "give what extract made of pages, with extractor main_content or union; the "
                "others know no links",
            )
        reading = {name: shards[name] for name in keys.receipts}  # the others are in quarantine

        by_key = Sorted(KEYS, "partition", partitions)
        sent = yield from exchange("keys", keys.outputs("work/keys"), by_key)
        joining = {f"{number:06d}": sent(number) for number in range(partitions)}
        joined = yield Pass("join", joining, partial(join, self.pairs_per_document, links))
        refuse_loss(joined, joining, "join")

        by_node = Sorted(PAIRS, "node", homes, ROW_BITS)
        pairs = yield from exchange("join", joined.outputs(), by_node)
        choosing = {name: pairs(home_of(name)) for name in reading}
        chosen = yield Pass("choose", choosing, partial(choose, self.pairs_per_document))
        refuse_loss(chosen, choosing, "choose")

        by_linked = Sorted(CHOSEN, "linked", homes, ROW_BITS)
        wanted = yield from exchange("choose", chosen.outputs(), by_linked)
        sending = {name: (*reading[name], *wanted(home_of(name))) for name in reading}
        work = partial(send, homes, self.linked_characters, files)
        texts = yield Pass("send", sending, work)
        refuse_loss(texts, sending, "send")

        received = yield from exchange("send", texts.outputs(), StreamFiles(homes))
        writing = {name: (*reading[name], *received(home_of(name))) for name in reading}
        written = yield Pass(self.name, writing, partial(put_together, files), final=True)
        return {
            "pairs": _kept(written, self.name),
            "mutual": _kept(chosen, MUTUAL),
            "links": _kept(keys, LINKS_READ),
        }


def _kept(result: PassResult, name: str) -> int:
    """The kept rows of an account, over all shards."""
    counts = (count for receipt in result.receipts.values() for count in receipt.counts)
    return sum(count.kept for count in counts if count.stage == name)


def _partitions(documents: tuple[Artifact, ...]) -> int:
    rows = sum(document.rows for document in documents)
    return min(MOST_PARTITIONS, max(1, -(-rows // PARTITION_DOCUMENTS)))
