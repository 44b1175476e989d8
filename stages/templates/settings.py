"""The settings of templates, and the columns that it adds."""

from typing import ClassVar, Literal

import pyarrow as pa
from corpusmill.manifests.settings import PositiveShare, Settings
from corpusmill.stages.columns.cuts import cuts_field
from pydantic import NonNegativeInt, PositiveInt

CUTS = cuts_field(
    "template_cuts",
    pa.field("start", pa.int32()),
    pa.field("text", pa.string()),
    pa.field("documents", pa.int64()),  # in which the rarest of its lines stands
)
REMOVED_BYTES = pa.field("template_removed_bytes", pa.int32())
TEMPLATE_COLUMNS = (CUTS, REMOVED_BYTES)


class TemplateSettings(Settings):
    """Settings of the templates stage.

    A line is part of a site's template if it stands in at least `min_pages` documents of the host,
    and in at least `min_share` of them. Only hosts with at least `host_pages` documents have one.
    With `across: corpus` a line goes if it stands in at least `corpus_documents` documents,
    wherever they are from.
    """

    name: ClassVar[str] = "templates"

    across: Literal["site", "corpus"] = "site"
    """Where lines are counted: among the documents of one host, or among all documents."""
    corpus_documents: PositiveInt = 7
    """With `across: corpus`: a line goes if it stands in at least so many documents.

    Llama 3 removes lines that stand in more than 6 of 30 million documents (arXiv 2407.21783,
    section 3.1.1).
    """
    allow: list[str] = []
    """Text files of lines that stay, one a line. White space at their ends does not count."""
    host_pages: PositiveInt = 10
    """A host with fewer documents is left alone."""
    min_pages: PositiveInt = 5
    """A line of the template stands in at least so many documents of the host."""
    min_share: PositiveShare = 0.3
    """A line of the template stands in at least this share of the host's documents."""
    min_words: PositiveInt = 3
    """A run of template lines with fewer words stays: it may be a heading such as `Example`."""
    headings: bool = False
    """Whether headings (lines that begin with `#`) may be removed by themselves.

    If not, a heading goes only between lines of the template, or at the end with them.
    """
    min_text_chars: NonNegativeInt = 1
    """A document with fewer characters left is dropped (`templates.nothing_left`)."""
    partitions: PositiveInt | None = None
    """Partitions of the hosts. Null: one for each GiB of text. More need less memory each."""
