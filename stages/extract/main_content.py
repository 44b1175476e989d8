"""The default extractor: a trained model judges a page's blocks of text and gives Markdown-light
text.

    bytes -> blocks (page.blocks) -> features (block_text, block_places) -> probabilities (trees)
          -> the set of blocks with the best expected F1 -> text (stages.extract.rendering)

The idea is jusText's (Pomikalek 2011): classify blocks by stop words, links, length and neighbours.
Instead of thresholds there is a small gradient-boosted forest. `tools/make_main_content.py` trained
it on half of the sites of WCXB; see `models/main_content/NOTICE`. A second forest that also saw the
first one's scores of neighbouring blocks (auto-context) gained nothing, so there is only one. The
page alone decides: no page before it, no address, no network.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from corpusmill.manifests.package_data import package_file
from corpusmill.stages.columns.word_rule import word_tables
from corpusmill.stages.extract.blog_notes import leave_notes
from corpusmill.stages.extract.headline import headline_of, said_once, with_headline
from corpusmill.stages.extract.linked_text import written
from corpusmill.stages.extract.links import Written
from corpusmill.stages.extract.page import block_places, block_text
from corpusmill.stages.extract.page import page as html_page
from corpusmill.stages.extract.page.blocks import walk
from corpusmill.stages.extract.page.character_kinds import character_table
from corpusmill.stages.extract.page.hashing import HashTable, hash_table
from corpusmill.stages.extract.page.names import REGIONS
from corpusmill.stages.extract.page.phrases import SORTS, phrase_table
from corpusmill.stages.extract.page.posts import members_of, take_posts
from corpusmill.stages.extract.page.repeated import groups_of
from corpusmill.stages.extract.page.shown import shown
from corpusmill.stages.extract.page.trees import Forest, probabilities
from corpusmill.stages.extract.page.whole import make_whole
from corpusmill.stages.extract.rendering import rendered
from corpusmill.stages.extract.stop_lists import stop_list
from numpy.typing import NDArray

FEATURES = (*block_text.MEASURES, *block_places.PLACES, *REGIONS)
# Share of stop words. Other languages share a few words, such as `in`, `was`, `he`.
SURELY_ENGLISH = 0.4
SURE = 0.9
SHARPER = 1.5  # exponent
MOSTLY = 0.5  # share of the words of the page's title
NEAR_COMMENTS = 8  # levels from an element that is named after comments
FEWEST_COMMENT_WORDS = 4
ABOUT_COMMENTS = SORTS.index("comments") + 1  # `You must be logged in to post a comment`
BREADCRUMB = REGIONS.index("breadcrumb")
NEAR_CRUMBS = 2  # levels from an element that is named after breadcrumbs
LONGEST_CRUMB = 12  # words
MOST_CRUMB_WORDS = 30  # of all breadcrumbs together
LINKED = 0.25  # share of the characters of breadcrumbs that are links, mostly
LANGUAGE_SAMPLE = 200  # bytes of text to identify the language from, longest blocks first

Floats = NDArray[np.float32]


class TooManyBlocks(ValueError):
    """The page has more blocks or elements than the walk has room for."""


class Blocks(NamedTuple):
    """A page after the walk. data, text: UTF-8. `page.page` names the columns of `blocks`,
    `elements` and `links`. base: the address of `<base>`. groups: `repeated.groups_of` the
    elements.
    """

    data: bytes
    text: bytes
    blocks: NDArray[np.int32]
    levels: NDArray[np.uint8]
    elements: NDArray[np.int32]
    links: NDArray[np.int32]
    base: str
    groups: tuple[NDArray[np.int64], int]


class Extracted(NamedTuple):
    """The main content of a page, its title (None if it has none) and its links."""

    text: str
    title: str | None
    links: Written


def main_content(html: str, language_of: Callable[[str], str], comments: bool = False) -> str:
    """The page's main content, empty if it has no text. Raises TooManyBlocks."""
    return extracted(html, language_of, comments).text


def extracted(html: str, language_of: Callable[[str], str], comments: bool = False) -> Extracted:
    """The page's main content, empty if it has no text. It begins with the headline, if that stands
    above it.

    language_of: text -> language code, for the language's stop words. comments: also the comments
    below an article. Raises TooManyBlocks.
    """
    page = blocks_of(html)
    if not len(page.blocks):
        return Extracted("", None, Written([]))
    sample = language_sample(page)
    features = features_of(page, "en" if looks_english(sample) else language_of(sample))
    main = chosen(page, features, forest())
    if comments:
        main |= comments_of(page, features)
    title, block = headline_of(html, page.text, page.blocks, page.levels)
    words = features[:, block_text.WORDS]
    main = with_headline(main, words, block)
    if block >= 0:
        page.blocks[block, html_page.HEADING] = 1
    main = said_once(main, page.text, page.blocks, words, block)
    links = Written(written(page.data, page.links, page.blocks, main), page.base)
    return Extracted(rendered(page.text, page.blocks, page.elements, main), title, links)


def title_of(html: str) -> str | None:
    """The title of a page; None if it has none, or more blocks than there is room for."""
    try:
        page = blocks_of(html)
    except TooManyBlocks:
        return None
    return headline_of(html, page.text, page.blocks, page.levels).title


def blocks_of(html: str) -> Blocks:
    """Walk through a page. Raises TooManyBlocks."""
    data = html.encode("utf-8", "replace")
    page = html_page.new_page(data)
    walk(page)
    count, elements = int(page.state[html_page.BLOCKS]), int(page.state[html_page.ELEMENTS])
    if html_page.TOO_MANY in (count, elements):
        raise TooManyBlocks(
            f"more than {html_page.MAX_BLOCKS} blocks or {html_page.MAX_ELEMENTS} elements"
        )
    written = int(page.blocks[count - 1, html_page.END]) if count else 0
    blocks, levels, text = page.blocks[:count], page.levels[:count], page.text[:written]
    page_elements = page.elements[:elements]
    kept = shown(text, blocks, levels, page_elements)
    if not kept.all():
        blocks, levels = blocks[kept], levels[kept]
    links = page.links[: page.state[html_page.LINKS_READ]]
    base = data[page.state[html_page.BASE_BEGIN] : page.state[html_page.BASE_END]]
    return Blocks(
        data,
        text.tobytes(),
        blocks,
        levels,
        page_elements,
        links,
        base.decode("utf-8", "replace"),
        groups_of(page_elements),
    )


def language_sample(page: Blocks) -> str:
    """Text to identify the language from: the blocks with most characters outside links."""
    free = page.blocks[:, html_page.CHARACTERS] - page.blocks[:, html_page.LINK_CHARACTERS]
    sample: list[bytes] = []
    size = 0
    for number in np.argsort(-free, kind="stable")[:20]:
        begin, end = page.blocks[number, html_page.BEGIN], page.blocks[number, html_page.END]
        sample.append(page.text[begin : min(end, begin + LANGUAGE_SAMPLE)])
        size += len(sample[-1])
        if size >= LANGUAGE_SAMPLE:
            break
    return b" ".join(sample).decode("utf-8", "replace")


def looks_english(sample: str) -> bool:
    """Whether English stop words are as frequent as they are in English only. Then no language
    model is needed; this holds for most pages.
    """
    words = sample.lower().split()
    known = stop_list("en")
    return len(words) >= 10 and sum(map(known.__contains__, words)) >= SURELY_ENGLISH * len(words)


def features_of(page: Blocks, language: str) -> Floats:
    """FEATURES of every block."""
    count = len(page.blocks)
    measures = np.zeros((count, len(block_text.MEASURES)), np.float32)
    places = np.zeros((count, len(block_places.PLACES)), np.float32)
    text = np.frombuffer(page.text, np.uint8)
    hashes = np.zeros(count, np.uint64)
    block_text.measure_blocks(
        text, page.blocks, _character_tables(), _stop_words(language), measures, hashes
    )
    block_text.count_repeats(hashes, measures)
    block_places.describe_places(
        page.blocks,
        page.levels,
        page.elements,
        *page.groups,
        measures,
        places,
    )
    return np.hstack((measures, places, page.levels), dtype=np.float32)


def chosen(page: Blocks, features: Floats, forest: Forest) -> NDArray[np.bool_]:
    """Which blocks are main content. The page's `<title>` is not part of the page."""
    scores = probabilities(forest, features)
    scores[page.blocks[:, html_page.TITLE] != 0] = 0
    words = features[:, block_text.WORDS].astype(np.float64)
    taken = best_set(sharpened(scores, words), words)
    named = np.flatnonzero(taken & (features[:, block_text.OF_TITLE] > MOSTLY))[:1]
    take_posts(
        page.blocks,
        page.levels,
        page.elements,
        *page.groups,
        words,
        features[:, block_text.LINK_DENSITY],
        taken,
    )
    taken[named] = True  # the title of a thread, which is short, and often no heading
    last_characters = features[:, block_text.LAST_CHARACTER]
    make_whole(page.blocks, page.elements, words, last_characters, scores, taken)
    taken &= ~crumbs_of(page, words, taken) | (page.blocks[:, html_page.HEADING] > 0)
    leave_notes(page.text, page.blocks, words, taken)
    return taken


def crumbs_of(
    page: Blocks, words: NDArray[np.float64], taken: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which blocks are breadcrumbs: a short run of short blocks near an element with such a name.

    Names such as `path` also stand at code, tables and lists. So the run is mostly links, or it
    stands before the first paragraph, and holds no code.
    """
    near = page.levels[:, BREADCRUMB] <= NEAR_CRUMBS
    edges = np.flatnonzero(np.diff(np.concatenate(([False], near, [False]))))
    paragraphs = np.flatnonzero(taken & ~near & (words > LONGEST_CRUMB))
    first_paragraph = paragraphs[0] if len(paragraphs) else len(words)
    crumbs = np.zeros(len(words), bool)
    for start, end in edges.reshape(-1, 2):
        run, lengths = page.blocks[start:end], words[start:end]
        characters = run[:, html_page.CHARACTERS].sum()
        linked = run[:, html_page.LINK_CHARACTERS].sum() >= LINKED * characters
        crumbs[start:end] = (
            lengths.max() <= LONGEST_CRUMB
            and lengths.sum() <= MOST_CRUMB_WORDS
            and not run[:, html_page.PREFORMATTED].any()
            and (linked or end <= first_paragraph)
        )
    return crumbs


def sharpened(scores: Floats, words: NDArray[np.float64]) -> Floats:
    """Lower scores for the doubtful blocks of a page of prose. If paragraphs that are surely main
    content make up most of what is expected, the page is an article, and the rest mostly stands
    beside it. Pages of cards, lists or short posts keep their scores.
    """
    expected = scores * words
    sure = expected[(scores > SURE) & (words >= block_places.LONG_WORDS)].sum()
    return scores**SHARPER if sure >= expected.sum() / 2 else scores


def comments_of(page: Blocks, features: Floats) -> NDArray[np.bool_]:
    """Which blocks are comments: prose in an element that is named after comments, outside the
    form for a new one. Names, dates, headings and `Reply` are no prose.
    """
    in_form = members_of(page.elements, page.elements[:, html_page.ROLE] == html_page.IS_FORM)
    levels = dict(zip(REGIONS, features[:, -len(REGIONS) :].T, strict=True))
    named = (levels["comment"] <= NEAR_COMMENTS) & (levels["form"] > levels["comment"])
    return (
        named
        & (in_form[page.blocks[:, html_page.ELEMENT]] == 0)
        & (page.blocks[:, html_page.HEADING] == 0)
        & (features[:, block_text.PHRASE] != ABOUT_COMMENTS)
        & (levels["button"] > 1)
        & (features[:, block_text.WORDS] >= FEWEST_COMMENT_WORDS)
        & (features[:, block_text.LINK_DENSITY] < 0.5)
    )


def best_set(scores: Floats, words: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The blocks with the best expected F1, measured in words. Blocks are taken by falling
    probability as long as they raise it (Ye et al., ICML 2012, section 3).
    """
    order = np.argsort(-scores, kind="stable")
    expected, taken = (scores * words)[order], words[order]
    total = expected.sum()
    chosen = np.zeros(len(scores), np.bool_)
    if total > 0:
        best = int(np.argmax(2 * np.cumsum(expected) / (np.cumsum(taken) + total)))
        chosen[order[: best + 1]] = True
    return chosen & (scores > 0)


def version() -> str:
    """All that decides the text besides the page: the digest of the model. The model is trained
    anew whenever features change.
    """
    return f"main_content {hashlib.sha256(_model_bytes()).hexdigest()[:16]}"


@functools.lru_cache(maxsize=1)
def forest() -> Forest:
    """The forest that ships with corpusmill."""
    from safetensors.numpy import load

    arrays = load(_model_bytes())
    *tables, bias = (arrays[field] for field in Forest._fields)
    return Forest._make([*tables, float(bias[0])])


def _model_bytes() -> bytes:
    return package_file("models", "main_content", "forest.safetensors").read_bytes()


@functools.lru_cache(maxsize=1)
def _character_tables() -> block_text.CharacterTables:
    return block_text.CharacterTables(character_table(), word_tables()[1], phrase_table())


@functools.lru_cache(maxsize=64)
def _stop_words(language: str) -> HashTable:
    return hash_table({word.lower(): 1 for word in stop_list(language)})
