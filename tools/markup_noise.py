"""Noise from machines: markup, HTML entities, stray and invisible characters.

`tools.denoise` uses it.
"""

import html.entities
import random

from corpusmill.tools.paragraphs import per_paragraph

TAGS = ("b", "i", "em", "strong", "span", "u", "small", "mark", "font", "sup", "code")
CLASSES = (
    "post-body",
    "content",
    "entry",
    "text-muted",
    "wp-block",
    "article__p",
    "intro",
    "lead",
    "col-md-8",
    "MsoNormal",
    "clearfix",
)
BLOCKS = ("p", "div", "section", "td", "li", "blockquote", "article")
TEMPLATES = (
    "{{{{ {0} }}}}", "{{% {0} %}}", "{{{{< {0} >}}}}",
    "[{0}]", "<% {0} %>", "${{{0}}}", "[/{0}]", "<!-- {0} -->", "<?php {0}(); ?>",
    "{{{{% {0} %}}}}",
)  # fmt: skip
TEMPLATE_NAMES = (
    "page.title", "include header", "content", "ad_slot", "toc", "endif", "caption", "gallery",
    "more", "widget", "site.url", "br", "endfor", "the_content", "shortcode", "if user", "banner",
    "begin content", "end of post", "sidebar",
)  # fmt: skip
STRAY_WORDS = (
    "[edit]",
    "[1]",
    "[2]",
    "[14]",
    "[citation needed]",
    "¶",
    "†",
    "^",
    "»",
    "•",
    "|",
    "~",
    "_",
    "\\",
    "//",
    "[...]",
    "*",
    "►",
    "¤",
    "#",
)
INVISIBLE = ("\u200b", "\u00ad", "\ufeff", "\u200e", "\u2060")
PLAIN_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
EMPTY_ENTITIES = ("&nbsp;", "&#160;", "&ensp;", "&#8203;", "&shy;", "&nbsp;&nbsp;")


def entities(text: str, severity: float, rng: random.Random) -> str:
    """Characters as HTML entities: named, decimal, hexadecimal, escaped twice.

    Some spaces become empty entities.
    """
    chance = 0.2 + 0.8 * severity

    def entity(character: str) -> str:
        if character == " ":
            return (
                rng.choice(EMPTY_ENTITIES) if rng.random() < 0.004 + 0.04 * severity else character
            )
        if character not in PLAIN_ENTITIES and (character.isascii() or not character.isprintable()):
            return character
        if rng.random() >= chance:
            return character
        number = ord(character)
        names = [f"&#{number};", f"&#x{number:x};"]
        if number in html.entities.codepoint2name:
            names += [f"&{html.entities.codepoint2name[number]};"] * 4
        if character in PLAIN_ENTITIES:
            names += [PLAIN_ENTITIES[character]] * 4
        name = rng.choice(names)
        return name.replace("&", "&amp;") if rng.random() < 0.1 else name

    return "".join(map(entity, text))


def markup(text: str, severity: float, rng: random.Random) -> str:
    """Remains of HTML, Markdown and page templates.

    These are tags around words and paragraphs, emphasis, links and placeholders.
    """
    chance = 0.01 + 0.1 * severity

    def spoil(paragraph: str) -> str:
        words = paragraph.split(" ")
        made = []
        for word in words:
            if rng.random() < chance:
                word = _marked_up(word, rng)
            if rng.random() < chance / 4:
                word = (
                    f"{rng.choice(('<br>', '<br/>', '<br />', '<wbr>', '</span>', _template(rng)))}"
                    f" {word}"
                )
            made.append(word)
        paragraph = " ".join(made)
        if rng.random() < 0.5 * severity + 0.1:
            block = rng.choice(BLOCKS)
            start, end = f"<{block}{_attributes(rng)}>", f"</{block}>"
            paragraph = rng.choice((start + paragraph + end, start + paragraph, paragraph + end))
        if rng.random() < 0.3 * severity:
            # No list mark: real lists keep theirs.
            paragraph = rng.choice(("> ", "## ", "### ")) + paragraph
        return paragraph

    return per_paragraph(text, spoil)


def stray_characters(text: str, severity: float, rng: random.Random) -> str:
    """Footnote marks, bullets, edit links and invisible characters between and inside words."""
    chance = 0.005 + 0.05 * severity

    def spoil(paragraph: str) -> str:
        made = []
        for word in paragraph.split(" "):
            if rng.random() < chance:
                if rng.random() < 0.4:
                    place = rng.randint(0, len(word))
                    word = word[:place] + rng.choice(INVISIBLE) + word[place:]
                else:
                    glue = "" if word.endswith((".", ",")) and rng.random() < 0.5 else " "
                    word = f"{word}{glue}{rng.choice(STRAY_WORDS)}"
            made.append(word)
        return " ".join(made)

    return per_paragraph(text, spoil)


def _attributes(rng: random.Random) -> str:
    forms = (
        "",
        "",
        f' class="{rng.choice(CLASSES)}"',
        f' id="p{rng.randint(1, 99)}"',
        f" class={rng.choice(CLASSES)}",
        ' style="color:#333"',
    )
    return rng.choice(forms)


def _template(rng: random.Random) -> str:
    return rng.choice(TEMPLATES).format(rng.choice(TEMPLATE_NAMES))


def _address(rng: random.Random) -> str:
    parts = [rng.choice(CLASSES + TAGS).lower() for _ in range(rng.randint(1, 2))]
    return rng.choice(
        ("https://example.org/", "/", "http://www.example.com/", "../", "#")
    ) + "/".join(parts)


def _marked_up(word: str, rng: random.Random) -> str:
    """A word in a tag, a link or Markdown emphasis. Punctuation at its end stays outside."""
    core = word.rstrip(".,;:!?")
    tail = word[len(core) :]
    if not core:
        return word
    tag = rng.choice(TAGS)
    forms = (
        f"<{tag}{_attributes(rng)}>{core}</{tag}>",
        f'<a href="{_address(rng)}">{core}</a>',
        f"<{tag}>{core}",
        f"**{core}**",
        f"*{core}*",
        f"__{core}__",
        f"_{core}_",
        f"[{core}]({_address(rng)})",
        f"[[{core}]]",
        f"`{core}`",
        f"<{tag}>{core}</{tag}>",
    )
    return rng.choice(forms) + tail
