"""The names in a page that extraction knows: tags, attributes, and words of class attributes.

**Tags** carry flags. Flags say how a tag nests (HTML standard, 13.2.6: which end tags may be
missing, what closes an open paragraph, what an end tag may not reach across) and whether it ends a
block of text.

**Regions** are the kinds of places in which text can stand. A tag (`nav`) opens one, or a word of
`class`, `id`, `role`, `itemprop` or `aria-label` (`sidebar`). For each region a block of text knows
how many levels above it the nearest one begins. The words are those that recur across unrelated
sites. A region groups words of similar meaning; the model weighs the regions.
"""

import functools
from typing import Final

import numpy as np
from corpusmill.stages.extract.page.hashing import HashTable, hash_table
from numpy.typing import NDArray

# How a tag behaves.
VOID: Final = 1  # has no end tag
BLOCK: Final = 2  # begins and ends a block of text; an inline end tag does not reach across it
CLOSES_PARAGRAPH: Final = 4
RAW: Final = 8  # its content is plain characters, up to its end tag
SKIPPED: Final = 16  # its content is no text of the page
SCOPE: Final = 32  # a misplaced end tag does not reach across it
IGNORED: Final = 64  # the tag is neither opened nor closed
STRONG: Final = 128

_P = CLOSES_PARAGRAPH | BLOCK
_TAGS: Final = {
    _P: "address article aside blockquote center details dialog dir div dl dd dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hgroup li main menu nav ol p pre listing section search summary ul",
    _P | VOID: "hr",
    BLOCK: "button legend option optgroup tbody thead tfoot colgroup tr",
    BLOCK | SCOPE: "td th caption",
    _P | SCOPE: "table",
    BLOCK | SKIPPED: "select datalist video audio canvas map",
    BLOCK | SKIPPED | SCOPE: "template object",
    SKIPPED | SCOPE: "svg",
    SKIPPED: "mjx-math annotation-xml mphantom",
    RAW | SKIPPED: "script style textarea iframe noembed noframes plaintext",
    _P | RAW: "xmp",
    BLOCK | RAW: "title",
    VOID: "area base br col embed img input link meta param source track wbr frame",
    IGNORED: "html head body",
    STRONG: "b strong",
    SCOPE: "math noscript",
    0: "a abbr acronym annotation bdi bdo big cite code del dfn em font i ins kbd label mark nobr "
    "q rb rp rt ruby s samp small span strike sub sup "
    "time tt u var picture data output slot "
    "mfenced mfrac mi mn mo mover mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd "
    "mtext mtr munder munderover semantics",
}
TAG_NAMES: Final = tuple(name for names in _TAGS.values() for name in names.split())
UNKNOWN_TAG: Final = len(TAG_NAMES)


def tag_number(name: str) -> int:
    """The number of a tag, a constant that kernels compile in."""
    return TAG_NAMES.index(name)


_ATTRIBUTES: Final = (
    "class id role itemprop aria-label hidden aria-hidden style type alt alttext display encoding "
    "src open start value reversed colspan rowspan data-lang data-language"
)
ATTRIBUTES: Final = tuple(_ATTRIBUTES.split())
CLASS, ID, ROLE, ITEMPROP, ARIA_LABEL = range(5)


def attribute_number(name: str) -> int:
    """The number of an attribute, a constant that kernels compile in."""
    return ATTRIBUTES.index(name)


# Region -> (tags that open it, words that open it).
_REGIONS: Final = {
    "navigation": ("nav", "nav navigation navbar topnav subnav navi sitenav menubar navbox"),
    "menu": (
        "menu",
        "menu menus submenu dropdown megamenu mainmenu menuitem flyout offcanvas drawer hamburger",
    ),
    "header": ("header", "header masthead banner topbar siteheader pageheader head top"),
    "footer": ("footer", "footer colophon bottom sitefooter pagefooter contentinfo footnav foot"),
    "aside": ("aside", "aside complementary rail sidecolumn"),
    "sidebar": (
        "",
        "sidebar sidebars side sidenav leftbar rightbar leftcol rightcol leftcolumn rightcolumn "
        "leftnav rightnav",
    ),
    "widget": ("", "widget widgets module panel portlet gadget"),
    "main": ("main", "main maincontent primary maincontainer"),
    "article": ("article", "article articles blogposting newsarticle hentry"),
    "content": (
        "",
        "content contents contentarea pagecontent bodycontent richtext wysiwyg prose rte",
    ),
    "body": (
        "",
        "articlebody postbody entrycontent postcontent articlecontent storybody bodytext "
        "articletext storytext articlecopy body story",
    ),
    "post": ("", "post posts entry entries blog blogpost singlepost single"),
    "text": (
        "",
        "text copy description desc paragraph excerpt summary intro lead lede standfirst teaser "
        "abstract",
    ),
    "comment": (
        "",
        "comment comments commentlist disqus respond commentform reply replies discussion "
        "commenter",
    ),
    "message": (
        "",
        "message messages messagetext thread topic question answer answers postcell votes mod qa",
    ),
    "share": (
        "",
        "share sharing social socials sharebar addtoany addthis sharethis sharedaddy facebook "
        "twitter whatsapp pinterest follow",
    ),
    "related": (
        "",
        "related recommended recommendations recommendation recommend similar more morefrom "
        "readmore popular trending latest recent "
        "mostread next previous prev also suggested upsell crosssell outbrain taboola yarpp jp",
    ),
    "promotion": (
        "",
        "promo promotion ad ads advert advertisement adverts sponsor sponsored adsense "
        "advertising banner cta campaign offer offers deals",
    ),
    "newsletter": (
        "",
        "newsletter subscribe subscription signup optin mailchimp mailing register registration "
        "join",
    ),
    "consent": (
        "",
        "cookie cookies consent gdpr privacy ccpa onetrust notice disclaimer cookiebar",
    ),
    "overlay": (
        "dialog",
        "modal popup overlay lightbox dialog tooltip toast popover popups alertdialog",
    ),
    "breadcrumb": ("", "breadcrumb breadcrumbs crumbs crumb bread breadcrumblist path"),
    "pagination": ("", "pagination pager paging pagenav paginator pages nextprev postnav"),
    "author": ("", "author authors byline bio vcard writer contributor avatar profile signature"),
    "metadata": (
        "",
        "meta metadata date time published timestamp dateline posted info infos pubdate updated "
        "datetime stats views",
    ),
    "tags": ("", "tag tags tagcloud taglist keywords category categories cat topics labels label"),
    "title": ("", "title headline heading header subtitle pagetitle entrytitle name"),
    "caption": (
        "figure figcaption caption",
        "caption wpcaption credit figure photo imagecaption image thumb thumbnail img picture",
    ),
    "contents_table": ("", "toc tableofcontents outline jump anchors"),
    "search": (
        "search",
        "search searchbox searchform searchbar filter filters sort sorting facet facets",
    ),
    "form": (
        "form fieldset label",
        "form forms input field fields contact contactform login signin account password",
    ),
    "button": (
        "button",
        "button buttons btn btns action actions toolbar tools controls toggle click",
    ),
    "product": (
        "",
        "product products price prices cart shop item sku woocommerce buy basket checkout offer "
        "variant stock",
    ),
    "review": (
        "",
        "review reviews rating ratings testimonial testimonials stars feedback quote quotes",
    ),
    "card": (
        "",
        "card cards tile tiles box boxes block blocks feature features grid column columns",
    ),
    "list": ("", "list listing listings items results result feed archive archives directory loop"),
    "slide": ("", "slider slide slides carousel gallery swiper slick hero jumbotron splash cover"),
    "accordion": (
        "details",
        "accordion faq faqs collapse collapsible tab tabs tabpanel panel toggle expander",
    ),
    "section": ("section", "section sections region container wrapper row inner"),
    "documentation": (
        "",
        "doc docs documentation document markdown rst sphinx manual guide reference api wiki mw "
        "parser",
    ),
    "code": ("pre code", "code highlight sourcecode snippet syntax codehilite prettyprint hljs"),
    "quotation": ("blockquote", "blockquote pullquote pull"),
    "hidden": (
        "",
        "hidden invisible hide sr only screenreader visuallyhidden offscreen skip skiplink "
        "noprint print assistive",
    ),
    "legal": ("", "copyright legal terms copyrights imprint credits licence license"),
    "user": ("", "user users username member members userinfo postprofile online rank joined"),
    "event": (
        "",
        "event events calendar schedule job jobs career careers team staff location locations "
        "map address hours",
    ),
    "ticker": ("", "live ticker breaking news weather stock score scores poll quiz"),
    "edit": (
        "",
        "edit editsection permalink headerlink anchor tooltip print email download pdf report "
        "flag hnt lang languages language",
    ),
    "table": ("table", "table infobox datatable specs specification specifications"),
    "references": (
        "",
        "reference references footnote footnotes reflist citation citations cite bibliography "
        "notes note",
    ),
    "item": ("li dd dt", ""),
    "address": ("address", ""),
    "no_script": ("noscript", "noscript"),
    "not_shown": ("", ""),  # `hidden` or `display: none`
    "not_spoken": ("", ""),  # `aria-hidden`
}
REGIONS: Final = tuple(_REGIONS)
FAR: Final = 30  # levels; also where there is no such region


def region(name: str) -> int:
    return REGIONS.index(name)


@functools.lru_cache(maxsize=1)
def tag_table() -> HashTable:
    return hash_table({name: number for number, name in enumerate(TAG_NAMES)})


@functools.lru_cache(maxsize=1)
def tag_flags() -> NDArray[np.int32]:
    flags = [flag for flag, names in _TAGS.items() for _ in names.split()]
    return np.array([*flags, 0], np.int32)


@functools.lru_cache(maxsize=1)
def attribute_table() -> HashTable:
    return hash_table({name: number for number, name in enumerate(ATTRIBUTES)})


@functools.lru_cache(maxsize=1)
def tag_regions() -> NDArray[np.int32]:
    """The region that each tag opens, or -1."""
    opened = np.full(len(TAG_NAMES) + 1, -1, np.int32)
    for number, (tags, _) in enumerate(_REGIONS.values()):
        for name in tags.split():
            opened[tag_number(name)] = number
    return opened


@functools.lru_cache(maxsize=1)
def region_words() -> HashTable:
    """Word of a class attribute -> its region. A word that two regions list belongs to the
    first.
    """
    words: dict[str, int] = {}
    for number, (_, listed) in enumerate(_REGIONS.values()):
        for word in listed.split():
            words.setdefault(word, number)
    return hash_table(words)
