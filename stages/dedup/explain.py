"""Why a document stayed or went: its cluster, its survivor, their similarity, and the passages
that they share.

Everything comes from the stage's own files, `documents/` and `excluded/`. A shared passage is a
maximal run of equal words, of at least the n-gram's length. Words are those of
`stages.columns.word_rule`: case and punctuation do not count. The longest come first, shown as
the document has them.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.stages.columns.word_rule import DROPPED, SPACE, UNSPACED_CHARACTER, word_tables
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED

SHOWN_MEMBERS, SHOWN_PASSAGES, SHOWN_CHARACTERS = 20, 5, 400
EARLIER_RUN = "kept by an earlier run"
_NARROW = (
    "id",
    "cluster_id",
    "cluster_size",
    "cluster_similarity",
    "reason",
    "url",
    "date",
    "source",
)


@dataclass(frozen=True)
class Member:
    """A document of the cluster. reason: why it was removed; None for the survivor."""

    id: str
    similarity: float
    reason: str | None
    shard: str
    url: str | None


@dataclass(frozen=True)
class Passage:
    """Words that both texts have in a row. The text is the document's."""

    words: int
    text: str


@dataclass(frozen=True)
class Explanation:
    """members: the survivor, then the others by falling similarity, at most `SHOWN_MEMBERS`.
    size: of the whole cluster. shared: the longest passages of document and survivor; empty
    for the survivor itself.
    """

    document: Member
    survivor: Member
    size: int
    members: list[Member]
    shared: list[Passage]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def explain(folder: str, document: str) -> Explanation:
    """What happened to a document in the dedup run in `folder`. document: its id, or a
    beginning that only it has.

    Raises InputError if no document, or more than one, has that beginning.
    """
    manifest = read_manifest(folder)
    if manifest.verbs[-1] != "dedup":
        raise InputError(
            f"{folder} is the output of {manifest.stages[-1]}, not of dedup", "name a dedup folder"
        )
    shards = [artifact.path for artifact in (*manifest.documents(), *manifest.documents(EXCLUDED))]
    document = _whole_id(folder, shards, document)
    own = next(row for path in shards for row in _rows(path, "id", document))
    rows = [row for path in shards for row in _rows(path, "cluster_id", own["cluster_id"])]
    rows.sort(key=lambda row: (row["reason"] is not None, -row["cluster_similarity"], row["id"]))
    own = next(row for row in rows if row["id"] == document)
    members = [_member(row) for row in rows[:SHOWN_MEMBERS]]
    if rows[0]["reason"] is not None:
        survivor, shared = Member(own["cluster_id"], 1.0, None, EARLIER_RUN, None), []
        members = [survivor, *members]
    else:
        survivor = members[0]
        shared = [] if own is rows[0] else shared_passages(_text(own), _text(rows[0]))
    return Explanation(
        _member(own), survivor, own["cluster_size"], members, shared[:SHOWN_PASSAGES]
    )


def explanation_text(found: Explanation) -> str:
    """The explanation as `corpusmill dedup --explain` prints it."""
    document, survivor = found.document, found.survivor
    if document.reason is None:
        lines = [f"{document.id} stays; {found.size - 1} documents were removed for it"]
    else:
        how = (
            "its text is the survivor's"
            if document.reason.endswith("exact")
            else f"Jaccard {document.similarity:.3f}"
        )
        lines = [
            f"{document.id} was removed ({document.reason}): {how}",
            f"survivor  {survivor.id}  "
            f"{f'({EARLIER_RUN})' if survivor.shard == EARLIER_RUN else survivor.url or ''}",
        ]
    lines += ["", f"cluster of {found.size}"]
    lines += [
        f"  {m.id}  {m.similarity:.3f}  {m.reason or 'stays':12}  {m.shard}" for m in found.members
    ]
    if found.size > len(found.members):
        lines.append(f"  and {found.size - len(found.members)} more")
    for passage in found.shared:
        text = " ".join(passage.text.split())
        cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
        lines += ["", f"shared, {passage.words} words in a row:", f"  {cut}"]
    return "\n".join(line.rstrip() for line in lines)


def shared_passages(left: str, right: str, ngram: int = 5) -> list[Passage]:
    """Maximal runs of words of `left` that `right` has in a row too, at least `ngram` long,
    longest first.

    Each place of `left` is in one passage only.
    """
    words, spans = _words(left)
    other, _ = _words(right)
    places: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(other) - ngram + 1):
        places.setdefault(tuple(other[i : i + ngram]), []).append(i)
    found, i = [], 0
    while i + ngram <= len(words):
        longest = 0
        for place in places.get(tuple(words[i : i + ngram]), ())[:SHOWN_MEMBERS]:
            length = ngram
            while (
                words[i + length : i + length + 1]
                == other[place + length : place + length + 1]
                != []
            ):
                length += 1
            longest = max(longest, length)
        if longest:
            found.append(Passage(longest, left[spans[i][0] : spans[i + longest - 1][1]]))
        i += max(1, longest)
    return sorted(found, key=lambda passage: -passage.words)


def _words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The words by the word rule, and where each lies in the text."""
    kinds, _ = word_tables()
    words, spans = [], []
    for piece in re.finditer(r"\S+", text):
        start, word = piece.start(), ""
        for i, character in enumerate(piece.group(), piece.start()):
            kind = kinds[ord(character)] if ord(character) < 0x10000 else 0
            if kind == UNSPACED_CHARACTER:
                words += [word, character] if word else [character]
                spans += [(start, i), (i, i + 1)] if word else [(i, i + 1)]
                start, word = i + 1, ""
            elif kind not in (DROPPED, SPACE):
                word += character.lower()
        if word:
            words.append(word)
            spans.append((start, piece.end()))
    return words, spans


def _whole_id(folder: str, shards: list[str], beginning: str) -> str:
    """The one id that begins so, or is equal."""
    found: set[str] = set()
    for path in shards:
        for table in read_parquet(path, columns=["id"]):
            found.update(table["id"].filter(pc.starts_with(table["id"], beginning)).to_pylist())
    if not found:
        raise InputError(
            f"{folder} has no document {beginning}", "ids are in the id column of its shards"
        )
    if beginning not in found and len(found) > 1:
        raise InputError(f"{beginning} is the beginning of {len(found)} ids", "give more of it")
    return beginning if beginning in found else found.pop()


def _rows(path: str, column: str, value: str) -> Iterator[dict[str, Any]]:
    """The narrow columns of a shard's rows whose `column` is `value`, and where they lie."""
    columns = [name for name in schema_of(path).names if name in _NARROW]
    begin = 0
    for table in read_parquet(path, columns=columns):
        for place in pc.indices_nonzero(pc.equal(table[column], value)).to_pylist():
            row = dict.fromkeys(_NARROW) | table.slice(place, 1).to_pylist()[0]
            yield {**row, "path": path, "row": begin + place}
        begin += table.num_rows


def _text(row: dict[str, Any]) -> str:
    begin = 0
    for table in read_parquet(row["path"], columns=["text"]):
        if row["row"] < begin + table.num_rows:
            return table["text"][row["row"] - begin].as_py() or ""
        begin += table.num_rows
    raise InputError(f"{row['path']} has fewer rows than before", "run corpusmill verify")


def _member(row: dict[str, Any]) -> Member:
    where = DOCUMENTS if row["reason"] is None else EXCLUDED
    shard = f"{where}/{row['path'].rsplit('/', 1)[-1]}"
    return Member(row["id"], row["cluster_similarity"], row["reason"], shard, row["url"])
