"""URL rules: what a block list blocks, and what it leaves alone."""

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.stages.filter.url_rules import UrlRules, compiled, digests, judge, judge_all
from hypothesis import given, settings
from hypothesis import strategies as st

URL_PIECES = (
    *(
        "http://",
        "HTTPS://",
        "//",
        "www.",
        "bad.example",
        "Bad.",
        "x.",
        "a",
        ".",
        ":80",
        ":",
        "/",
        "?",
        "#",
        "@",
        "[",
        "%2e",
    ),
    *("casino", "-", "hot", "girls", "free", "games", "\\", "é", "page/1"),
)


@pytest.fixture
def written(tmp_path):
    """Writes a block list and returns its path."""

    def write(*entries, name="list.txt"):
        path = tmp_path / name
        path.write_text("\n".join(entries) + "\n", encoding="utf-8")
        return str(path)

    return write


def reason(url, **lists):
    """The verdict on one URL; the same one when a column of them is judged at once."""
    compiled_lists = compiled(UrlRules(**lists))
    verdict = judge(url, compiled_lists)
    assert judge_all(pa.chunked_array([[url, None]]), compiled_lists) == (
        {0: verdict} if verdict else {}
    )
    return verdict.reason if verdict else None


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://bad.example/page", True),
        ("http://BAD.example:8080/", True),
        ("https://www.bad.example", True),
        ("https://deep.below.bad.example/x", True),
        ("bad.example/no-scheme", True),
        ("https://bad.example./", True),
        ("https://notbad.example/", False),
        ("https://good.example/?from=bad.example", False),
        ("https://bad.example.org/", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_a_domain_blocks_its_host_and_those_below_it(written, url, blocked):
    assert (reason(url, domains=(written("bad.example"),)) == "url.blocked_domain") == blocked


@pytest.mark.parametrize("entry", ["почта.рф", "xn--80a1acny.xn--p1ai"])
def test_a_domain_blocks_both_spellings_of_an_international_name(written, entry):
    lists = {"domains": (written("other.example", entry),)}
    for host in ("почта.рф", "www.ПОЧТА.рф", "xn--80a1acny.xn--p1ai", "a.xn--80a1acny.xn--p1ai"):
        assert reason(f"https://{host}/x", **lists) == "url.blocked_domain"
    assert reason("https://xn--80a1acny.example/x", **lists) is None


def test_a_url_entry_blocks_both_spellings_of_its_host(written):
    lists = {"urls": (written("https://bücher.example/a"),)}
    assert reason("http://xn--bcher-kva.example/a", **lists) == "url.blocked_url"
    assert reason("http://bücher.example/a", **lists) == "url.blocked_url"
    assert reason("http://xn--bcher-kva.example/b", **lists) is None


def test_comments_blank_lines_and_case_of_a_list_do_not_matter(written):
    path = written("# bad.example", "", "  Worse.Example  ", "*.wild.example")
    assert reason("https://bad.example/", domains=(path,)) is None
    assert reason("https://worse.example/", domains=(path,)) == "url.blocked_domain"
    assert reason("https://x.wild.example/", domains=(path,)) == "url.blocked_domain"


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://www.site.example/a/b/", True),
        ("http://site.example/a/b#part", True),
        ("http://site.example/a/b?q=1", False),
        ("http://site.example/a/bc", False),
        ("http://site.example/a", False),
    ],
)
def test_a_url_entry_blocks_that_page_only(written, url, blocked):
    assert (reason(url, urls=(written("site.example/a/b"),)) == "url.blocked_url") == blocked


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://a.example/casino-online", True),
        ("https://CASINO.example/", True),
        ("https://a.example/casinos", False),
        ("https://a.example/monte_casino_abbey", True),
    ],
)
def test_a_word_blocks_urls_that_have_it_as_a_whole_word(written, url, blocked):
    assert (reason(url, words=(written("casino"),)) == "url.blocked_word") == blocked


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://hot.example/", False),
        ("https://hot.example/hot-hot", False),
        ("https://hot.example/girls", True),
    ],
)
def test_soft_words_block_only_when_two_different_ones_meet(written, url, blocked):
    assert (reason(url, soft_words=(written("hot", "girls"),)) == "url.soft_words") == blocked


def test_the_number_of_soft_words_is_a_setting(written):
    assert (
        reason("https://hot.example/", soft_words=(written("hot"),), soft_word_count=1)
        == "url.soft_words"
    )


def test_a_subword_blocks_across_punctuation(written):
    path = written("freegames")
    assert reason("https://my-free.games.example/", subwords=(path,)) == "url.blocked_subword"
    assert reason("https://free-my-games.example/", subwords=(path,)) is None


def test_the_detail_names_the_entry_that_matched(written):
    verdict = judge("https://x.bad.example/", compiled(UrlRules(domains=(written("bad.example"),))))
    assert verdict is not None
    assert verdict.detail == "domain=bad.example"


def test_several_lists_add_up(written):
    first, second = written("one.example", name="1.txt"), written("two.example", name="2.txt")
    assert reason("https://two.example/", domains=(first, second)) == "url.blocked_domain"


def test_no_list_blocks_nothing():
    assert reason("https://bad.example/") is None


def test_the_word_lists_of_the_datatrove_wheel_can_be_named():
    rules = UrlRules(words=("datatrove:banned_words",), subwords=("datatrove:banned_subwords",))
    lists = compiled(rules)
    assert len(lists.words) > 100
    assert judge("https://www.python.org/downloads/", lists) is None
    assert judge(f"https://{min(lists.words)}.example/", lists) == (
        "url.blocked_word",
        f"word={min(lists.words)}",
    )


@pytest.mark.slow
def test_the_ut1_domains_of_the_datatrove_wheel_can_be_named():
    lists = compiled(UrlRules(domains=("datatrove:domains",)))
    assert lists.domains.sorted.size > 4_000_000
    assert judge("https://www.wikipedia.org/wiki/Corpus", lists) is None
    assert judge("http://cdn.0-1sex.com/page", lists) == ("url.blocked_domain", "domain=0-1sex.com")


def test_digests_change_with_the_content_of_a_list(written):
    before = digests(UrlRules(domains=(written("a.example"),)))
    assert digests(UrlRules(domains=(written("b.example"),))) != before


@pytest.mark.parametrize(
    ("name", "mend"),
    [("/nowhere/list.txt", "check the path"), ("datatrove:domain", "did you mean 'domains'")],
)
def test_a_list_that_is_not_there_is_refused_before_any_shard(name, mend):
    with pytest.raises(RecipeError, match=mend):
        digests(UrlRules(domains=(name,)))


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        compiled(UrlRules(domains=(str(tmp_path / "list.bin"),)))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.lists(
                st.sampled_from([*URL_PIECES, " ", "\t"]),
                max_size=8,
            ).map("".join),
        ),
        max_size=8,
    )
)
def test_a_column_is_judged_as_its_urls_are_one_by_one(tmp_path_factory, urls):
    folder = tmp_path_factory.getbasetemp()
    lists = {
        "domains": "bad.example",
        "urls": "x.example/page/1\na/page",
        "words": "casino",
        "soft_words": "hot\ngirls",
        "subwords": "freegames",
    }
    for name, entries in lists.items():
        (folder / name).write_text(entries + "\n")
    rules = compiled(UrlRules(**{name: (str(folder / name),) for name in lists}))  # type: ignore[arg-type]
    verdicts = {row: verdict for row, url in enumerate(urls) if (verdict := judge(url, rules))}
    assert judge_all(pa.chunked_array([urls], pa.string()), rules) == verdicts
