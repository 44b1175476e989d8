"""ARC files made byte by byte from the format's description."""

from tests.stages.readers.warc_bytes import PROSE, answer, page

VERSION = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"


def record(url, block, mime="text/html", date="20050614070159", claims=None):
    length = len(block) if claims is None else claims
    return f"{url} 207.241.229.39 {date} {mime} {length}\n".encode() + block + b"\n"


FILEDESC = record("filedesc://crawl.arc", VERSION, "text/plain")


def pages(count):
    return [
        FILEDESC,
        *(
            record(f"http://example.org/{n}", answer(page(f"Page {n}. {PROSE}")))
            for n in range(count)
        ),
    ]
