"""Remove the template of each site: lines that many of its pages have.

One page cannot tell its menu from its article, but the pages of a site can: their menus, notices,
calls to subscribe and addresses are the same line in page after page.

    count      each shard: for each host, in how many documents each line stands
    judge      each partition of the hosts: lines that stand in enough of a host's documents
    templates  each shard: runs of such lines are removed and recorded; kept and excluded documents

Lines in code fences and formulas stay. What is removed is recorded in `template_cuts` and can be
put back (`cut.restore`). What is removed depends on the documents and the settings alone, not on
shards or workers, if equal texts of a site are in one shard, or dedup ran before.

Sources: Bar-Yossef and Rajagopalan 2002, "Template detection via data mining and its applications"
(WWW); Yi, Liu and Li 2003, "Eliminating noisy information in web pages for data mining" (KDD).
"""

from functools import partial
from typing import ClassVar

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.readers import charset
from corpusmill.stages.readers.documents import input_shards
from corpusmill.stages.shuffle.exchange import exchange, refuse_loss
from corpusmill.stages.shuffle.row_groups import Sorted
from corpusmill.stages.templates.cut import cut
from corpusmill.stages.templates.settings import TEMPLATE_COLUMNS, TemplateSettings
from corpusmill.stages.templates.sites import COUNTED, TEMPLATES, count, judge

PARTITION_BYTES = 1 << 30


class Templates(TemplateSettings, GlobalStage):
    """Remove lines that many pages of a site have."""

    version: ClassVar[int] = 3
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    def depends_on(self) -> str:
        """The digests of the files of lines that stay, and what decides how they are decoded."""
        detectors = charset.detector_versions() if self.allow else ()
        return " ".join([*(storage.digest_of(path) for path in self.allow), *detectors])

    def edits_texts(self) -> bool:
        return True

    def adds(self) -> tuple[pa.Field, ...]:
        return TEMPLATE_COLUMNS

    def passes(self, inputs: Inputs) -> Passes:
        documents = {
            f"{home:06d}-{name}": artifact
            for home, (name, artifact) in enumerate(
                input_shards(inputs.documents, self.name).items()
            )
        }
        partitions = self.partitions or default_partitions(inputs.documents)
        cut_by = f"partitions={partitions}"
        counted = yield Pass(
            "count",
            {name: (document,) for name, document in documents.items()},
            partial(count, self, partitions),
            depends_on=cut_by,
        )
        by_host = Sorted(COUNTED, "partition", partitions)
        of_hosts = yield from exchange("count", counted.outputs(), by_host)
        judging = {f"{number:06d}": of_hosts(number) for number in range(partitions)}
        judged = yield Pass(
            "judge", judging, partial(judge, self, len(documents)), depends_on=cut_by
        )
        refuse_loss(judged, judging, "judge")
        by_home = Sorted(TEMPLATES, "partition", len(documents))
        of_shard = yield from exchange("judge", judged.outputs(), by_home)
        homes = {name: int(name.split("-", 1)[0]) for name in documents}
        yield Pass(
            self.name,
            # A shard that could not be read is in quarantine and goes no further.
            {name: (documents[name], *of_shard(homes[name])) for name in counted.receipts},
            partial(cut, self),
            final=True,
        )


def default_partitions(documents: tuple[Artifact, ...]) -> int:
    """One for each GiB of text. If nobody counted the text, a compressed byte counts as four."""
    size = sum(document.text_bytes or 4 * document.size for document in documents)
    return max(1, -(-size // PARTITION_BYTES))
