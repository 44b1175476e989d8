"""Clean prose for the small rephrasing model: paragraphs of openly licensed corpora.

    python -m corpusmill.tools.make_tiny text COLLECTION --output out/tiny/text.parquet

A paragraph is kept only if it looks finished. It begins with a capital and ends with a full stop.
It holds no markup, no doubled word and no stray sign. An unclean paragraph would be a wrong lesson,
because the model learns to write exactly this text.

One document in twenty is held out, by a hash of the work that it belongs to. A held-out paragraph
is dropped if it shares thirteen words in a row with any other document. So the evaluation text was
never seen in training.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from corpusmill.tools.paragraphs import PARAGRAPH

Record = dict[str, Any]

CLEAN_TEXT = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),  # corpus
        ("held_out", pa.bool_()),
        ("text", pa.string()),  # paragraphs separated by empty lines
    ]
)

HELD_OUT_ONE_IN = 20
SHINGLE_WORDS = 13
SHORTEST_PARAGRAPH = 40  # characters
LONGEST_PARAGRAPH = 4000

_REFERENCES = re.compile(r"\s?\[\d+(?:\s?[,–-]\s?\d+)*\]")
_LINK = re.compile(r"\[([^\]\[]*)\]\([^()\s]*\)")
_EMPHASIS = re.compile(r"(?<![\w*])(\*\*|\*|__|_|`)(?=\S)([^*_`\n]+?)(?<=\S)\1(?![\w*])")
_LIST_MARK = re.compile(r"^(?:[-*+•]|\d{1,2}[.)])\s+")
_BEGIN = re.compile(r"[\"“‘'(]?[A-Z0-9]")
_END = re.compile(r"[.!?][\"”’')]{0,2}$")
_MARKS = re.compile(
    r"[<>{}|\\^~#`\[\]•¶»©\u00a0-\u00a6\u200b-\u200f\u2028\u2029\ufeff\ufffd]"
    r"|(?<!\d)\*|\*(?!\d)|(?<!\w)_|_(?!\w)|\$[^\d\s]|://"
)
_SPACING = re.compile(
    r"\s[,.;:!?](?!\w)|[,;:]{2}|(?<!\.)\.\.(?!\.)|[!?]{2}|\(\s|\s\)|\w- "
    r"|[a-z]{3}\.[A-Z][a-z]|[,;](?=[A-Za-z])|[a-z]{3}\("
)
_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)


def _everything(record: Record) -> str | None:
    return record["text"]


def _own_document(record: Record) -> str:
    return str(record["id"])


@dataclass(frozen=True)
class Corpus:
    """A corpus of the collection.

    text: what is read of a record; None: nothing. work: records of one work are held out together.
    """

    name: str
    file: str
    text: Callable[[Record], str | None] = field(default=_everything)
    work: Callable[[Record], str] = field(default=_own_document)


def _from_repository(*prefixes: str) -> Callable[[Record], str | None]:
    return lambda record: record["text"] if record["source"].startswith(prefixes) else None


CORPORA = (
    Corpus(
        "standardebooks", "reference/standardebooks", work=lambda r: f"{r['book']}/{r['title']}"
    ),
    Corpus("openstax_economics", "reference/openstax_economics", work=lambda r: r["title"]),
    Corpus("kubernetes_keps", "reference/kubernetes_keps"),
    Corpus("rust_book", "reference/reference", _from_repository("rust-lang/book:src/")),
    Corpus("18f", "reference/reference", _from_repository("18F/18f.gsa.gov:")),
    Corpus(
        "documentation",
        "reference/reference",
        _from_repository("Eventual-Inc/Daft:", "NVIDIA/TransformerEngine:"),
    ),
    Corpus(
        "acl_abstracts",
        "academic/acl_abstracts",
        lambda r: r["text"] if r["licence_mark"] == "v" else None,
    ),
    Corpus("plos_articles", "academic/plos_articles"),
    Corpus(
        "gsm8k", "math/math", lambda r: r["question"] if r["source"].startswith("openai/") else None
    ),
    Corpus(
        "aqua",
        "math/math",
        lambda r: r["question"] if r["source"].startswith("google-deepmind/") else None,
    ),
)


def clean_paragraphs(text: str) -> list[list[str]]:
    """The clean paragraphs of a Markdown or plain text, grouped into runs.

    A run has nothing unclean between its paragraphs.
    """
    runs: list[list[str]] = [[]]
    for block in re.split(r"\n\s*\n", text):
        for paragraph in _paragraphs_of_block(block):
            if is_clean(paragraph):
                runs[-1].append(paragraph)
            elif paragraph and runs[-1]:
                runs.append([])
    return [run for run in runs if run]


def is_clean(paragraph: str) -> bool:
    """Whether a paragraph on one line reads as finished prose. The file's first lines define it."""
    if not SHORTEST_PARAGRAPH <= len(paragraph) <= LONGEST_PARAGRAPH:
        return False
    if not _BEGIN.match(paragraph) or not _END.search(paragraph) or not paragraph.isprintable():
        return False
    if _MARKS.search(paragraph) or _SPACING.search(paragraph) or _DOUBLED.search(paragraph):
        return False
    letters = sum(character.isalpha() or character == " " for character in paragraph)
    plain = sum(character.isascii() for character in paragraph)
    capitals = sum(character.isupper() for character in paragraph)
    return (
        letters > 0.85 * len(paragraph)
        and plain > 0.95 * len(paragraph)
        and capitals < 0.15 * len(paragraph)
    )


def _paragraphs_of_block(block: str) -> Iterator[str]:
    """The paragraphs in a block without empty lines.

    Wrapped lines are joined. List items stand alone. Inline marks are removed.
    """
    waiting = ""
    for line in block.split("\n"):
        line = line.strip()
        item = _LIST_MARK.match(line)
        if item or line.startswith("#"):
            yield _without_marks(waiting)
            waiting = line[item.end() :] if item else line
        else:
            waiting = f"{waiting} {line}"
    yield _without_marks(waiting)


def _without_marks(paragraph: str) -> str:
    paragraph = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", paragraph))
    return re.sub(r"\s+", " ", _REFERENCES.sub("", paragraph)).strip()


def flink_pages(crawl: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """(work, text) of the web pages in the sample WARC files.

    Pages of one address in several languages are one work.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    for path in crawl:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                html = record.reader.read().decode("utf-8", "replace")
                address = str(record.headers["WARC-Target-URI"]).replace("/zh/", "/")
                yield address, extract_plain_text(html, main_content=True, list_bullets=True)


def read_records(path: Path) -> Iterator[Record]:
    """The objects of a Zstandard JSON-lines file."""
    import zstandard

    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def documents(collection: Path, crawl: Sequence[Path], code: Path) -> Iterator[Record]:
    """All clean documents: id, source, held_out, text. Each run of clean text is a document.

    code: a file of source code. Its files are documents of the source `code`, as they are.
    """
    for corpus in CORPORA:
        for record in read_records(collection / f"{corpus.file}.jsonl.zst"):
            text = corpus.text(record)
            if text:
                yield from _documents_of_work(
                    corpus.name, corpus.work(record), str(record["id"]), text
                )
    for number, (work, text) in enumerate(flink_pages(crawl)):
        yield from _documents_of_work("flink_pages", work, f"page-{number}", text)
    for record in read_records(code):
        yield {
            "id": f"code/{record['id']}",
            "source": "code",
            "held_out": is_held_out("code", record["source"]),
            "text": record["text"],
        }


def _documents_of_work(source: str, work: str, name: str, text: str) -> Iterator[Record]:
    held_out = is_held_out(source, work)
    for number, run in enumerate(clean_paragraphs(text)):
        yield {
            "id": f"{source}/{name}/{number}",
            "source": source,
            "held_out": held_out,
            "text": PARAGRAPH.join(run),
        }


def is_held_out(source: str, work: str) -> bool:
    """Whether the documents of a work are for evaluation only."""
    hashed = hashlib.blake2b(f"{source}/{work}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % HELD_OUT_ONE_IN == 0


def shingles(text: str) -> set[int]:
    """Hashes of every thirteen words in a row, without case and punctuation.

    A shorter text has one hash, of all its words.
    """
    words = re.findall(r"\w+", text.lower())
    last = max(1, len(words) - SHINGLE_WORDS + 1)
    return {hash(" ".join(words[start : start + SHINGLE_WORDS])) for start in range(last)}


def without_leaks(found: Sequence[Record]) -> list[Record]:
    """`found` without repeated paragraphs, and without held-out ones that overlap with training."""
    training: set[int] = set()
    for document in found:
        if not document["held_out"]:
            for paragraph in document["text"].split(PARAGRAPH):
                training |= shingles(paragraph)
    kept, seen = [], set()
    for document in found:
        paragraphs = []
        for paragraph in document["text"].split(PARAGRAPH):
            if paragraph in seen or (
                document["held_out"] and not training.isdisjoint(shingles(paragraph))
            ):
                continue
            seen.add(paragraph)
            paragraphs.append(paragraph)
        if paragraphs:
            kept.append(document | {"text": PARAGRAPH.join(paragraphs)})
    return kept


def write_clean_text(collection: Path, crawl: Sequence[Path], code: Path, output: Path) -> pa.Table:
    """Gather all corpora into one Parquet file of `CLEAN_TEXT` rows, and return it."""
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(
        without_leaks(list(documents(collection, crawl, code))), schema=CLEAN_TEXT
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, output, compression="zstd", compression_level=19, row_group_size=1 << 16)
    return table
