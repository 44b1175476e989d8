"""Redaction against datatrove's PIIFormatter: speed on one core, precision, recall on real pages.

    taskset -c 1 python benchmarks/redaction.py --data DATA

DATA is a folder with `web/crawl-*.warc.gz` and perhaps `labelled/enterprise_pii.jsonl.zst`. The
truth is `redaction_labels.jsonl` beside this file: 600 pages, read span by span. Each span is kept
as kind and digest, so the file holds nobody's address. The first 300 pages were read while the
rules were made, the others afterwards. Real pages hold no card numbers and hardly any IPv6 address
or IBAN. So those kinds have a second, generated test between real sentences. It has valid numbers
with and without groups, and similar ones with a broken check digit or in a range that is not
routed.

The benchmark prints tables, and last one line of JSON.
"""

import argparse
import hashlib
import io
import json
import random
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpusmill.manifests.storage import Artifact
from corpusmill.stages.extract.language import identify
from corpusmill.stages.readers import ReaderSettings, charset, read_records
from corpusmill.stages.redact.find import KINDS, Kind, find, find_in_column
from corpusmill.stages.redact.numbers import IBAN_LENGTHS
from corpusmill.stages.redact.stage import Redact

Counts: TypeAlias = tuple[Counter[str], Counter[str], Counter[str]]

LABELS = Path(__file__).with_name("redaction_labels.jsonl")


def digest(kind: str, spelled: str) -> str:
    """What the labels keep of a span.

    Telephone numbers are known by their digits, all else without case and spaces.
    """
    plain = re.sub(r"\D", "", spelled) if kind == "phone" else re.sub(r"\s", "", spelled).lower()
    return hashlib.blake2b(f"{kind} {plain}".encode(), digest_size=6).hexdigest()


def pages(data: Path) -> dict[str, tuple[str, str]]:
    """Id -> (whole text of the page, main text). Personal data is often in menus and footers."""
    from resiliparse.extract.html2text import extract_plain_text

    found = {}
    for path in sorted(data.glob("web/crawl-*.warc.gz")):
        for table in read_records(Artifact(str(path), "", 0), ReaderSettings()):
            for row in table.select(["id", "payload", "charset"]).to_pylist():
                html, _ = charset.decoded(row["payload"] or b"", row["charset"])
                whole, main = (
                    extract_plain_text(
                        html,
                        main_content=main,
                        alt_texts=False,
                        links=False,
                        form_fields=False,
                        noscript=False,
                    )
                    for main in (False, True)
                )
                found[row["id"]] = (_without_controls(whole), _without_controls(main))
    return found


def _without_controls(text: str) -> str:
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def measured_speed(texts: list[str], rounds: int = 5) -> dict[str, float]:
    """MB of UTF-8 a second of process time: of the whole stage, and of datatrove's formatter.

    The formatter has its defaults: e-mail and IP only.
    """
    from datatrove.pipeline.formatters.pii import PIIFormatter

    size = sum(len(text.encode()) for text in texts) / 1e6
    table = pa.table(
        {"id": [str(n) for n in range(len(texts))], "text": texts, "language": ["en"] * len(texts)}
    )
    stage, peer = Redact(), PIIFormatter()
    stage.apply(table.slice(0, 10))
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        started = time.process_time()
        stage.apply(table)
        seconds["corpusmill"].append(time.process_time() - started)
    started = time.process_time()
    for text in texts:
        peer.format(text)
    seconds["datatrove"].append(time.process_time() - started)
    return {name: size / statistics.median(times) for name, times in seconds.items()}


def _counters() -> Counts:
    return Counter(), Counter(), Counter()


def quality(texts: dict[str, tuple[str, str]], half: str) -> Counts:
    """(true spans, found spans, rightly found spans), each by kind."""
    from datatrove.pipeline.formatters.pii import PIIFormatter

    truth, found, right = _counters()
    peer = PIIFormatter(email_replacement="\x01e\x02", ip_replacement="\x01i\x02")
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    labels = [label for label in labels if label["half"] == half and label["id"] in texts]
    languages = [
        language.code for language in identify([texts[label["id"]][0] for label in labels])
    ]
    for label, language in zip(labels, languages, strict=True):
        text = texts[label["id"]][0]
        wanted = Counter((kind, spelled) for kind, spelled in label["spans"])
        data = text.encode()
        spans = find(text, language=language)
        got = Counter(
            (span.kind, digest(span.kind, data[span.begin : span.end].decode())) for span in spans
        )
        for (kind, _), times in wanted.items():
            truth[kind] += times
        for (kind, spelled), times in got.items():
            found[kind] += times
            right[kind] += min(times, wanted[kind, spelled])
        changed = peer.format(text)
        found["datatrove email"] += changed.count("\x01e\x02")
        found["datatrove ip"] += changed.count("\x01i\x02")
    return truth, found, right


def generated(sentences: list[str], count: int = 400) -> Counts:
    """The same three counts for generated cards, IBANs and IPv6 addresses.

    Each is made by formula and put between two real sentences.
    """
    chosen = random.Random(7)
    truth, found, right = _counters()
    makers: tuple[tuple[Kind, Callable[[random.Random, bool], str]], ...]
    makers = ("card", _card), ("iban", _iban), ("ip", _ipv6)
    for kind, make in makers:
        for number in range(count):
            valid = number % 2 == 0
            spelled = make(chosen, valid)
            before, after = chosen.choice(sentences), chosen.choice(sentences)
            text = f"{before} {spelled}{chosen.choice(('.', ',', ' ', ')', chr(10)))} {after}"
            at = len(before.encode()) + 1
            hits = [
                span
                for span in find(text, kinds=[kind])
                if span.begin < at + len(spelled) and at < span.end
            ]
            truth[kind] += valid
            found[kind] += len(hits)
            right[kind] += valid and [(span.begin, span.end) for span in hits] == [
                (at, at + len(spelled))
            ]
    return truth, found, right


def _card(chosen: random.Random, valid: bool) -> str:
    prefix, length = chosen.choice(
        (("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3528", 16), ("36", 14))
    )
    digits = prefix + "".join(chosen.choices("0123456789", k=length - len(prefix) - 1))
    checks = [check for check in "0123456789" if _luhn(digits + check) == valid]
    digits += chosen.choice(checks)
    groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    ends = [sum(groups[: n + 1]) for n in range(len(groups))]
    return chosen.choice(("", " ", "-")).join(
        digits[end - size : end] for size, end in zip(groups, ends, strict=True)
    )


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _iban(chosen: random.Random, valid: bool) -> str:
    country, length = chosen.choice(sorted(IBAN_LENGTHS.items()))
    account = "".join(chosen.choices("0123456789", k=length - 4))
    rest = "".join(str(int(sign, 36)) for sign in account + country.decode() + "00")
    check = 98 - int(rest) % 97
    check = check if valid else (check + chosen.randint(1, 90)) % 97
    spelled = f"{country.decode()}{check:02}{account}"
    return " ".join(re.findall(".{1,4}", spelled)) if chosen.random() < 0.5 else spelled


def _ipv6(chosen: random.Random, valid: bool) -> str:
    first = (
        chosen.choice(("2a00", "2600", "2409"))
        if valid
        else chosen.choice(("fe80", "fd12", "2001:db8"))
    )
    groups = [f"{chosen.randint(0, 0xFFFF):x}" for _ in range(7 if ":" not in first else 6)]
    return (
        f"{first}:{':'.join(groups)}"
        if chosen.random() < 0.5
        else f"{first}:{groups[0]}::{groups[1]}"
    )


def false_alarms(data: Path) -> dict[str, int]:
    """The spans found in enterprise_pii.

    Its labels are of whole passages (sensitive or not), and not of spans.
    """
    path = data / "labelled" / "enterprise_pii.jsonl.zst"
    if not path.exists():
        return {}
    lines = io.TextIOWrapper(
        zstandard.ZstdDecompressor().stream_reader(path.open("rb")), encoding="utf-8"
    )
    texts = pa.chunked_array([pa.array([json.loads(line)["text"] for line in lines])])
    spans = [
        span for chunk in find_in_column(texts) for items in chunk.spans.values() for span in items
    ]
    return dict(Counter(span.kind for span in spans))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    texts = pages(data)
    result: dict[str, object] = {}
    speed = measured_speed([main for _, main in texts.values()])
    print(
        f"main text of {len(texts)} pages: "
        + ", ".join(f"{name} {value:.1f} MB/s" for name, value in speed.items())
    )
    speed_whole = measured_speed([whole for whole, _ in texts.values()])
    print(
        "whole text of the same: "
        + ", ".join(f"{name} {value:.1f} MB/s" for name, value in speed_whole.items())
    )
    sentences = [
        line
        for _, text in list(texts.values())[:300]
        for line in text.split("\n")
        if 30 < len(line) < 200
    ]
    rows = [(half, quality(texts, half)) for half in ("read while tuning", "held out")]
    rows.append(("generated", generated([s for s in sentences if not find(s)])))
    print(f"{'set':18} {'kind':6} {'true':>5} {'found':>5} {'precision':>9} {'recall':>7}")
    precision: dict[str, float] = {}
    recall: dict[str, float] = {}
    for name, (truth, found, right) in rows:
        for kind in KINDS:
            if truth[kind]:
                p, r = right[kind] / max(1, found[kind]), right[kind] / truth[kind]
                print(f"{name:18} {kind:6} {truth[kind]:5} {found[kind]:5} {p:9.3f} {r:7.3f}")
                if name != "read while tuning":
                    precision.setdefault(kind, round(p, 4))
                    recall.setdefault(kind, round(r, 4))
        if found["datatrove email"]:
            print(
                f"{name:18} datatrove finds {found['datatrove email']} e-mail and "
                f"{found['datatrove ip']} IP addresses"
            )
    print(f"enterprise_pii: found {false_alarms(data)}")
    result["pii_mb_s"] = {name: round(value, 1) for name, value in speed.items()}
    result["precision"], result["recall"] = precision, recall
    print(json.dumps(result))


if __name__ == "__main__":
    main()
