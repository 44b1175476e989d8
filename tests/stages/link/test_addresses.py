"""Addresses that mean the same page have one key."""

import pyarrow as pa
import pytest
from corpusmill.stages.link.addresses import keys_of, normalised


@pytest.mark.parametrize(
    ("same", "page"),
    [
        ("https://e.org/a", "e.org/a"),
        ("http://www.E.org:80/a/", "e.org/a"),
        ("HTTPS://WWW.e.org:443/a//#part", "e.org/a"),
        ("https://e.org", "e.org"),
        ("https://e.org/#top", "e.org"),
        ("https://e.org/a?utm_source=x&utm_medium=y", "e.org/a"),
        ("https://e.org/a/?b=1&utm_source=x&c=2&fbclid=3", "e.org/a?b=1&c=2"),
        ("https://e.org/a?gclid=1&utm_id=2&mc_eid=3&b=1", "e.org/a?b=1"),
        ("https://e.org/?id=3&utm_a=1&utm_b=2&utm_c=3&utm_d=4&k=1", "e.org?id=3&k=1"),
        ("https://e.org/a?utm_a=1&_ga=2&utm_b&utm_c=3&gclid=4", "e.org/a"),
        ("https://e.org/A?b=/", "e.org/A?b=/"),
        ("https://e.org:8080/a", "e.org:8080/a"),
        ("http://e.org:443/a", "e.org:443/a"),
        ("https://e.org:80/a", "e.org:80/a"),
        ("https://e.org:/a", "e.org/a"),
        ("http://e.org:80", "e.org"),
        ("https://www.e.org:443?b=:80/", "e.org?b=:80/"),
        ("https://user:pass@www.e.org:443/a@b:80/", "e.org/a@b:80"),
        ("http://user@e.org:8080?c=d@f", "e.org:8080?c=d@f"),
        ("https://wwwest.org/a", "wwwest.org/a"),
        ("https://e.org/a?my_utm_source=x", "e.org/a?my_utm_source=x"),
        ("https://e.org/Stra\u00dfe", "e.org/Stra%C3%9Fe"),
        ("https://e.org/caf%c3%a9?q=\u00e9%2f", "e.org/caf%C3%A9?q=%C3%A9%2F"),
        ("https://e.org/caf%C3%A9?q=%c3%a9/%2F", "e.org/caf%C3%A9?q=%C3%A9/%2F"),
        ("https://e.org/100%ab%", "e.org/100%AB%"),
        ("https://M\u00dcNCHEN.de/a", "xn--mnchen-3ya.de/a"),
        ("https://www.xn--mnchen-3ya.de:443/a", "xn--mnchen-3ya.de/a"),
        ("https://\u00e9..de/a", "\u00e9..de/a"),
    ],
)
def test_scheme_www_port_fragment_tracking_and_last_slashes_do_not_count(same, page):
    assert normalised(pa.array([same])).to_pylist() == [page]


def test_other_letters_and_their_codes_are_one_key_in_any_chunks():
    raw, coded = "http://m\u00fc.de/caf\u00e9", "http://xn--m-eha.de/caf%c3%a9"
    urls = pa.chunked_array([["https://e.org/a", raw], [], [None, coded, raw]], pa.string())
    first, second, none, third, fourth = keys_of(urls).tolist()
    assert second == third == fourth
    assert len({first, second, none}) == 3
    assert none == 0
    assert len(keys_of(urls.slice(1, 2))) == 2


def test_what_is_no_web_address_has_no_key():
    urls = pa.chunked_array([[None, "", "a.html"], ["mailto:a@e.org", "https://", "ftp://e.org"]])
    assert normalised(urls).to_pylist() == [None] * 6
    assert keys_of(urls).tolist() == [0] * 6


def test_a_front_page_has_no_key():
    urls = ["https://e.org", "https://e.org/?utm_source=x", "https://e.org/#a", "https://e.org/a"]
    assert [key > 0 for key in keys_of(pa.array(urls)).tolist()] == [False, False, False, True]


def test_keys_are_equal_for_one_page_only():
    urls = ["https://e.org/a", "http://www.e.org/a/", "https://e.org/A", "https://e.org/a?b=1"]
    first, second, *others = keys_of(pa.array(urls)).tolist()
    assert first == second
    assert len({first, *others}) == 3
