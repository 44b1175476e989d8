"""A hostile page gets no path, no template, no shell and no network.

Three watches look, because each sees what the others cannot. An audit hook sees what Python opens,
starts or connects to. inotify sees who opens the file that the pages ask for, C libraries and other
processes too. A listening socket sees who connects to the address in the pages.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import get_args

import pyarrow as pa
import pytest
from corpusmill.stages.extract import html
from corpusmill.stages.extract.stage import Extract
from corpusmill.stages.readers import RECORD

from tests.stages.readers.warc_bytes import PROSE, page

SECRET = "the-secret-that-no-page-may-read"
EXTRACTORS = get_args(html.Extractor)
_IN_OPEN_OR_ACCESS = 0x20 | 0x01
_watching: list[tuple[str, str]] | None = None
_ACTS = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "socket.getaddrinfo",
    "urllib.Request",
    "ctypes.dlopen",
)


def _audit(event: str, arguments: tuple) -> None:
    if _watching is not None and (event == "open" or event.startswith(_ACTS)):
        _watching.append((event, repr(arguments)))


# A hook stays for the life of the process. So it does nothing unless a test watches.
sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    global _watching
    events: list[tuple[str, str]] = []
    _watching = events
    try:
        yield events
    finally:
        _watching = None


@contextmanager
def opens_of(path) -> Iterator[list[bytes]]:
    """inotify events on a file, whoever opens it."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(handle, str(path).encode(), _IN_OPEN_OR_ACCESS) > 0
    seen: list[bytes] = []
    try:
        yield seen
        with suppress(BlockingIOError):
            seen.append(os.read(handle, 4096))
    finally:
        os.close(handle)


def hostile(path, port):
    """Pages that ask for the file or the address, in every way that a document language has."""
    file, address = f"file://{path}", f"http://127.0.0.1:{port}/x"
    body = f"<p>{PROSE * 3}</p>"
    rest = f"<html><body>{body}</body></html>"
    laughs = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghi"))
    return {
        "entity": f'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "{file}"><!ENTITY y '
        f'SYSTEM "{address}">]>'
        f"<html>&x;&y;{body}</html>",
        "parameter entity": f'<!DOCTYPE html [<!ENTITY % x SYSTEM "{file}"> %x;]>{rest}',
        "external subset": f'<!DOCTYPE html SYSTEM "{file}">{rest}',
        "billion laughs": f'<!DOCTYPE html [<!ENTITY a "lol">{laughs}]><html><body>&i;{body}</body>'
        "</html>",
        "xinclude": '<html xmlns:xi="http://www.w3.org/2001/XInclude"><body>'
        f'<xi:include href="{file}" parse="text"/><xi:include href="{address}"/>{body}</body>'
        "</html>",
        "head": f'<head><base href="{file}"><link rel=stylesheet href="{address}">'
        f'<meta http-equiv=refresh content="0;url={file}"></head>{rest}',
        "embedded": f'<iframe src="{file}"></iframe><object data="{address}"></object>'
        f'<img src="{file}"><script src="{address}"></script>{rest}',
        "stylesheet": f'<?xml-stylesheet type="text/xsl" href="{file}"?>{rest}',
        "templates": f"<p>{{{{7*7}}}} ${{7*7}} <%= 7*7 %> {{% include '{path}' %}} "
        f"${{jndi:ldap://127.0.0.1/x}} `id` $(id) %(x)s</p>{rest}",
        "path": f"{path}",
        "traversal": f"<html><head><title>../../../..{path}</title></head><body><a "
        f"href='../../../..{path}'>x</a>{body}</body></html>",
        "include": f"<!--#include virtual='{path}' --><!--#exec cmd='cat {path}' --><?php "
        f"readfile('{path}'); ?>{rest}",
    }


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_no_page_makes_an_extractor_open_start_or_connect(tmp_path, extractor):
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    pages = hostile(secret, listener.getsockname()[1])
    rows = [
        {"id": name, "status": 200, "mime": "text/html", "payload": text.encode()}
        for name, text in pages.items()
    ]
    table = pa.Table.from_pylist(rows, schema=RECORD)
    settings = Extract(extractor=extractor, languages=(), language_threshold=0, page_seconds=0)
    settings.apply(
        pa.Table.from_pylist(
            [{"id": "warm", "status": 200, "mime": "text/html", "payload": page()}], schema=RECORD
        )
    )
    settings.apply(table)  # a library may load its own data on first use
    with opens_of(secret) as opened, watched() as events:
        kept, excluded = settings.apply(table)
    assert not events
    assert not opened
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    texts = " ".join([*kept["text"].to_pylist(), *filter(None, excluded["text"].to_pylist())])
    assert SECRET not in texts
    assert kept.num_rows + excluded.num_rows == len(pages)
    assert "lol" * 100 not in texts


def test_templates_stay_the_text_that_they_are():
    text = (
        "<html><body><p>{{7*7}} and ${7*7} are marks of templates. " + PROSE + "</p></body></html>"
    )
    rows = [{"id": "0", "status": 200, "mime": "text/html", "payload": text.encode()}]
    (row,) = Extract().apply(pa.Table.from_pylist(rows, schema=RECORD)).kept.to_pylist()
    assert row["text"].startswith("{{7*7}} and ${7*7} are marks")


def test_the_watches_see_what_they_watch_for(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    with opens_of(secret) as opened, watched() as events:
        secret.read_text()
    assert events[0][0] == "open"
    assert opened
