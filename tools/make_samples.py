"""Make the files in `samples/`: excerpts of openly licensed corpora, with source and licence.

    python -m corpusmill.tools.make_samples COLLECTION [--output samples]

COLLECTION is a folder of Zstandard JSON-lines files and WARC files: `reference/`, `math/`,
`academic/`, `code/`, `web/crawl-*.warc.gz`. Each record names the file of a public repository that
it was taken from. WARC records are copied with their compressed bytes untouched. Text records are
chosen by a hash of their id, so the same collection always gives the same samples. Long ones are
cut at the end of a paragraph.
"""

import argparse
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

Record = dict[str, Any]

WEB_SOURCE = "apache-flink-web"
WEB_FILES = ("flink-000.warc.gz", "flink-001.warc.gz")
WARC_DATE = "2024-10-17T16:03:47Z"  # of the commit that the pages come from

# Fields that are kept as they are, if a record has them.
CARRIED = ("authors", "author", "book", "chapter", "year", "venue", "path")

# Commits of the repositories, as the collection's own notes give them.
COMMITS = {
    "Eventual-Inc/Daft": "HEAD",
    "NVIDIA/TransformerEngine": "d0067d0da6cb",
    "archivesunleashed/aut": "HEAD",
    "helgeho/ArchiveSpark": "c24549b04d5a",
    "netarchivesuite/solrwayback": "86ec23ba4685",
    "OpenLogicProject/OpenLogic": "9620cc73f9c8",
    "PLOS/allofplos": "07fdeed848b2",
    "arkilpatel/SVAMP": "689d7ccac74b",
    "google-deepmind/AQuA": "26b64ed1f222",
    "kubernetes/enhancements": "64765b4b0238",
    "openai/grade-school-math": "3101c7d50724",
    "openstax/osbooks-principles-economics-bundle": "cd31beb103ff",
    "rust-lang/book": "917544888a55",
    "standardebooks/arthur-conan-doyle_the-adventures-of-sherlock-holmes": "23b2b6e0aa13",
    "standardebooks/samuel-pepys_the-diary": "a3031890b10b",
}

CREDITS = {
    "Eventual-Inc/Daft": "The Daft authors (Eventual Inc.)",
    "NVIDIA/TransformerEngine": "NVIDIA Corporation and affiliates",
    "archivesunleashed/aut": "The Archives Unleashed Project",
    "helgeho/ArchiveSpark": "Helge Holzmann and contributors",
    "netarchivesuite/solrwayback": "The NetarchiveSuite and SolrWayback developers "
    "(Royal Danish Library)",
    "arkilpatel/SVAMP": "MAWPS (Koncel-Kedziorski et al., 2016), in the form published by "
    "Arkil Patel et al. with SVAMP",
    "google-deepmind/AQuA": "DeepMind: Ling et al., "
    "Program Induction by Rationale Generation (2017)",
    "kubernetes/enhancements": "The Kubernetes Authors",
    "openai/grade-school-math": "OpenAI: Cobbe et al., "
    "Training Verifiers to Solve Math Word Problems (2021)",
    "rust-lang/book": "The Rust Project Developers: The Rust Programming Language",
    "standardebooks/arthur-conan-doyle_the-adventures-of-sherlock-holmes": "Arthur Conan Doyle; "
    "produced by Standard Ebooks",
    "standardebooks/samuel-pepys_the-diary": "Samuel Pepys; produced by Standard Ebooks",
}


@dataclass(frozen=True)
class Excerpt:
    """Some records of one collection file: which, how many, and how many characters at most."""

    file: str
    records: int
    longest: int
    genre: str
    wanted: Callable[[Record], bool] = field(default=lambda record: True)


def _repository(record: Record) -> str:
    return str(record["source"]).split(":", 1)[0]


def _is_code(record: Record, licence: str, *languages: str) -> bool:
    return (
        record["licence"] == licence and record["lang"] in languages and len(record["text"]) > 400
    )


SAMPLES: dict[str, tuple[Excerpt, ...]] = {
    "reference/textbooks.jsonl.zst": (
        Excerpt("reference/openstax_economics", 110, 7000, "textbook"),
        Excerpt(
            "reference/reference",
            90,
            7000,
            "textbook",
            lambda r: r["source"].startswith("rust-lang/book:src/"),
        ),
    ),
    "reference/books.jsonl.zst": (Excerpt("reference/standardebooks", 107, 9000, "book"),),
    "reference/documentation.jsonl.zst": (
        Excerpt("reference/kubernetes_keps", 140, 7000, "documentation"),
    ),
    "math/word_problems.jsonl.zst": (
        Excerpt(
            "math/math",
            900,
            4000,
            "word_problem",
            lambda r: _repository(r) == "openai/grade-school-math",
        ),
        Excerpt(
            "math/math",
            100,
            4000,
            "word_problem",
            lambda r: _repository(r) == "google-deepmind/AQuA",
        ),
        Excerpt(
            "math/math", 100, 4000, "word_problem", lambda r: _repository(r) == "arkilpatel/SVAMP"
        ),
    ),
    "math/open_logic.jsonl.zst": (Excerpt("math/open_logic", 40, 6000, "textbook"),),
    "code/permissive.jsonl.zst": (
        Excerpt("code/code", 90, 8000, "code", lambda r: _is_code(r, "Apache-2.0", "Python")),
        Excerpt("code/code", 60, 8000, "code", lambda r: _is_code(r, "Apache-2.0", "Rust")),
        Excerpt(
            "code/code",
            30,
            8000,
            "code",
            lambda r: _is_code(r, "Apache-2.0", "Java", "Scala", "TypeScript"),
        ),
        Excerpt("code/code", 30, 8000, "code", lambda r: _is_code(r, "Apache-2.0", "CUDA", "C++")),
        Excerpt("code/code", 25, 8000, "code", lambda r: _is_code(r, "MIT", "Scala")),
        Excerpt("code/code", 25, 8000, "code", lambda r: _is_code(r, "MIT OR Apache-2.0", "Rust")),
    ),
    "academic/abstracts.jsonl.zst": (
        Excerpt(
            "academic/acl_abstracts",
            500,
            4000,
            "abstract",
            lambda r: r["licence_mark"] == "v" and "url" in r and bool(r["authors"]),
        ),
    ),
    "academic/articles.jsonl.zst": (
        Excerpt("academic/plos_articles", 60, 8000, "article", lambda r: bool(r.get("authors"))),
    ),
}


def read_records(path: Path) -> Iterator[Record]:
    """The objects of a Zstandard JSON-lines file, one after the other."""
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def chosen(records: Iterable[Record], count: int) -> list[Record]:
    """`count` records with the smallest hashes of their ids, in their original order."""
    listed = list(records)
    ranked = sorted(listed, key=lambda record: hashlib.sha256(record["id"].encode()).digest())
    taken = {record["id"] for record in ranked[:count]}
    return [record for record in listed if record["id"] in taken]


def cut(text: str, longest: int) -> str:
    """`text` if it fits into `longest` characters, else its whole paragraphs or lines."""
    if len(text) <= longest:
        return text
    for separator in ("\n\n", "\n"):
        end = text.rfind(separator, longest // 2, longest)
        if end > 0:
            return text[:end].rstrip()
    return text[:longest].rstrip()


def sample_record(record: Record, excerpt: Excerpt) -> Record:
    """A record as it is shipped: text, source, credit, licence, and what was changed."""
    repository, path = str(record["source"]).split(":", 1)
    url = record.get("url") or f"https://github.com/{repository}/blob/{COMMITS[repository]}/{path}"
    text = cut(record["text"], excerpt.longest)
    made: Record = {"id": record["id"], "title": record.get("title"), "text": text, "url": url}
    made |= {"source": record["source"], "licence": record["licence"], "genre": excerpt.genre}
    made |= {key: record[key] for key in CARRIED if record.get(key)}
    made |= {"programming_language": record["lang"]} if excerpt.genre == "code" else {}
    if "authors" not in made:
        made["attribution"] = record.get("attribution") or CREDITS[repository]
    made["changes"] = "markup turned into plain text where there was any" + (
        "; cut" if text != record["text"] else ""
    )
    return {key: value for key, value in made.items() if value is not None}


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write Zstandard JSON lines. Returns how many."""
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress("".join(lines).encode()))
    return len(lines)


def warc_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(X-Corpus-Source, compressed bytes) of each response record of a WARC file.

    The file must be compressed record by record.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    data = path.read_bytes()
    with path.open("rb") as stream:
        found = [
            (record.stream_pos, record.record_type == WarcRecordType.response, record.http_headers)
            for record in ArchiveIterator(stream, parse_http=True)
        ]
    ends = [start for start, _, _ in found[1:]] + [len(data)]
    for (start, is_response, headers), end in zip(found, ends, strict=True):
        if is_response and headers is not None:
            yield headers.get("X-Corpus-Source") or "", data[start:end]


def warcinfo(file_name: str) -> bytes:
    """The compressed first record of a sample WARC file. It does not depend on time or place."""
    body = (
        b"format: WARC File Format 1.0\r\n"
        b"description: pages of the Apache Flink website (Apache-2.0) from its repository; "
        b"records copied unchanged; "
        b"their HTTP headers and dates were made when the collection was put together\r\n"
    )
    head = (
        "WARC/1.0\r\nWARC-Type: warcinfo\r\n"
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, file_name)}>\r\n"
        f"WARC-Filename: {file_name}\r\nWARC-Date: {WARC_DATE}\r\n"
        f"Content-Type: application/warc-fields\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    return gzip.compress(head + body + b"\r\n\r\n", mtime=0)


def make_crawl(collection: Path, output: Path) -> list[int]:
    """Write the pages of the Flink website to the sample WARC files, in their order.

    Returns the pages of each file.
    """
    members = [
        member
        for path in sorted((collection / "web").glob("crawl-*.warc.gz"))
        for source, member in warc_members(path)
        if source == WEB_SOURCE
    ]
    output.mkdir(parents=True, exist_ok=True)
    half = -(-len(members) // len(WEB_FILES))
    counts = []
    for number, name in enumerate(WEB_FILES):
        part = members[number * half : (number + 1) * half]
        (output / name).write_bytes(warcinfo(name) + b"".join(part))
        counts.append(len(part))
    return counts


def make_samples(collection: Path, output: Path) -> dict[str, int]:
    """Make every sample file below `output`. Returns the records of each file."""
    made = dict(
        zip(
            (f"crawl/{name}" for name in WEB_FILES),
            make_crawl(collection, output / "crawl"),
            strict=True,
        )
    )
    for name, excerpts in SAMPLES.items():
        records: list[Record] = []
        for excerpt in excerpts:
            readable = read_records(collection / f"{excerpt.file}.jsonl.zst")
            records += [
                sample_record(r, excerpt)
                for r in chosen(filter(excerpt.wanted, readable), excerpt.records)
            ]
        made[name] = write_records(output / name, records)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make the sample corpora from a collection of openly licensed text."
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    for name, count in make_samples(arguments.collection, arguments.output).items():
        print(f"{name:36} {count:5} records {(arguments.output / name).stat().st_size:9} bytes")


if __name__ == "__main__":
    main()
