"""The parts of `proof.yaml` that are no stage: which sites are held out, and held-out texts.

    python benchmarks/proof_data.py sites OUT             after the step `extract`
    python benchmarks/proof_data.py texts OUT DATA        after the step `raw`
    python benchmarks/proof_data.py held-out OUT DATA     after the step `held-clean`

`sites` writes OUT/sites/held_out.txt and training.txt, block lists of hosts for `filter`. A site is
a registered domain (public suffix list, private part too, so that each NAME.github.io is a site). A
tenth of them is held out by a hash. A site whose name another corpus of DATA has is held out, too.

`texts` writes OUT/pages/pages.jsonl.zst: all the text of the pages of `raw`, menus and footers
included, as WET files have it; and sample.jsonl.zst beside it, three fifths of the pages by a hash.
It also writes OUT/code/code.jsonl.zst: code but for the held-out repositories.

`held-out` writes OUT/held_out/DOMAIN.jsonl: some 120 KB of each domain, documents of 0.5 to 6 KB,
then longer ones, in the order of a hash. No source of a domain's held-out text is in the blend.
"""

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import pyarrow.parquet as pq  # noqa: E402
import tldextract  # noqa: E402
import zstandard  # noqa: E402
from corpusmill.stages.extract.resiliparse import all_text  # noqa: E402
from fastwarc.warc import ArchiveIterator, WarcRecordType  # noqa: E402
from resiliparse.parse.encoding import detect_encoding  # noqa: E402

SHARE = 0.1  # of the sites
SAMPLED = 150  # of 256 pages
MOST_BYTES, SHORTEST, LONGEST = 120_000, 500, 6_000
split = tldextract.TLDExtract(suffix_list_urls=(), include_psl_private_domains=True)


def site_of(host: str) -> str:
    """The site that a host belongs to. Made-up hosts (`NAME.invalid`) are sites of their own."""
    found = split(host)
    return found.top_domain_under_public_suffix or host


def is_held_out(site: str) -> bool:
    digest = hashlib.sha256(site.encode()).digest()
    return int.from_bytes(digest[:8], "big") < SHARE * 2**64


def hosts_of(out: Path) -> set[str]:
    """The hosts of all documents of the step `extract`."""
    return {
        (urlsplit(url).hostname or "").removeprefix("www.")
        for path in (out / "extract" / "documents").glob("*.parquet")
        for url in pq.read_table(path, columns=["url"])["url"].to_pylist()
        if url
    } - {""}


def write_sites(out: Path) -> None:
    sides: dict[bool, list[str]] = {True: [], False: []}
    for host in sorted(hosts_of(out)):
        sides[is_held_out(site_of(host))].append(host)
    (out / "sites").mkdir(parents=True, exist_ok=True)
    for name, side in (("held_out", True), ("training", False)):
        (out / "sites" / f"{name}.txt").write_text("\n".join(sides[side]) + "\n")
        print(
            f"{name}: {len(sides[side]):,} hosts of {len(set(map(site_of, sides[side]))):,} sites"
        )


def write_pages(out: Path, data: Path) -> None:
    """All the text of every page whose main text is in the step `raw`."""
    wanted = {
        url
        for path in (out / "raw" / "documents").glob("*.parquet")
        for url in pq.read_table(path, columns=["url"])["url"].to_pylist()
    }
    (out / "pages").mkdir(parents=True, exist_ok=True)
    written = 0
    sample = zstandard.open(out / "pages" / "sample.jsonl.zst", "wt", encoding="utf-8")
    with zstandard.open(out / "pages" / "pages.jsonl.zst", "wt", encoding="utf-8") as file, sample:
        for path in sorted([*data.glob("web/crawl-*.warc.gz"), *data.glob("web2/crawl2-*.gz")]):
            with path.open("rb") as stream:
                for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                    url = record.headers["WARC-Target-URI"]
                    if url in wanted:
                        wanted.remove(url)
                        content = record.reader.read()
                        text = all_text(
                            content.decode(detect_encoding(content) or "utf-8", "replace")
                        )
                        line = json.dumps({"url": url, "text": text}) + "\n"
                        file.write(line)
                        if hashlib.sha256(url.encode()).digest()[0] < SAMPLED:
                            sample.write(line)
                        written += 1
    print(f"pages: {written:,} written, {len(wanted)} not found")


def write_code(out: Path, data: Path) -> None:
    (out / "code").mkdir(parents=True, exist_ok=True)
    with zstandard.open(out / "code" / "code.jsonl.zst", "wt", encoding="utf-8") as file:
        for row in rows_of(data / "code" / "code.jsonl.zst"):
            if not row["source"].startswith(HELD_OUT_CODE):
                file.write(json.dumps(row) + "\n")


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines, compressed by Zstandard."""
    with path.open("rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        yield from map(json.loads, text)


def documents_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The documents of a stage."""
    for path in sorted((folder / "documents").glob("**/*.parquet")):
        yield from pq.read_table(path, columns=["id", "text"]).to_pylist()


def chosen(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents in the order of a hash until there are enough bytes; long ones only if needed."""
    found, size = [], 0
    sizes = [(len((row["text"] or "").encode()), row) for row in rows]

    def place(sized: tuple[int, dict[str, Any]]) -> tuple[bool, bytes]:
        return sized[0] > LONGEST, hashlib.sha256(sized[1]["id"].encode()).digest()

    for length, row in sorted(sizes, key=place):
        if length >= SHORTEST and size < MOST_BYTES:
            found.append({"id": row["id"], "text": row["text"]})
            size += length
    return found


def write_held_out(out: Path, data: Path) -> None:
    seen = {site_of(host) for host in hosts_of(out)}
    articles = rows_of(data / "web_articles" / "articles.ground_truth.jsonl.zst")
    code = data / "code" / "code.jsonl.zst"
    domains = {
        "web_extracted": documents_of(out / "held-web"),
        "web_filtered": documents_of(out / "held-clean"),
        "web_by_hand": (r for r in articles if r["lang_guess"] == "en" and r["site"] not in seen),
        "wikipedia": rows_of(data / "evals" / "wikitext2_valid.jsonl.zst"),
        "textbook": rows_of(data / "reference" / "openstax_psychology.jsonl.zst"),
        "math": (
            row
            for name in ("hott_book", "basic_analysis")
            for row in rows_of(data / "math" / f"{name}.jsonl.zst")
        ),
        "code": (r for r in rows_of(code) if r["source"].startswith(HELD_OUT_CODE)),
        "academic": rows_of(data / "academic" / "plos_articles.jsonl.zst"),
    }
    (out / "held_out").mkdir(parents=True, exist_ok=True)
    for name, rows in domains.items():
        found = chosen(rows)
        path = out / "held_out" / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
        size = sum(len(row["text"].encode()) for row in found)
        print(f"{name}: {len(found)} documents, {size:,} bytes")


HELD_OUT_CODE = ("pytorch/ao", "netarchivesuite/solrwayback")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["sites", "texts", "held-out"])
    parser.add_argument("out", type=Path, help="the output folder of proof.yaml")
    parser.add_argument("data", type=Path, nargs="?", help="the folder of the corpora")
    arguments = parser.parse_args()
    if arguments.what == "sites":
        write_sites(arguments.out)
    elif arguments.data is None:
        sys.exit(f"{arguments.what} needs DATA")
    elif arguments.what == "texts":
        write_pages(arguments.out, arguments.data)
        write_code(arguments.out, arguments.data)
    else:
        write_held_out(arguments.out, arguments.data)


if __name__ == "__main__":
    main()
