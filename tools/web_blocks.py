"""Blocks that stand between the paragraphs of a page: headings, lists, code, tables.

`stages.extract` writes them as Markdown. The small rephrasing model must copy them and spoil
nothing: not a number of a ticket, not a line of code. A heading only loses its marks.

Lists of tickets and blocks of like lines are the hardest to copy. If two lines begin alike, a weak
model goes on with the wrong one, or repeats one for ever. So many blocks here are of that kind.
"""

import random
import re
from collections.abc import Callable, Sequence

from corpusmill.tools.paragraphs import PARAGRAPH

# Words that titles of tickets and change logs begin with.
_TITLES = (
    "Fix", "Update", "Add", "Remove", "Improve", "Support", "Upgrade to", "Wrong", "Missing",
    "Document", "Deprecate", "Possible", "Cannot", "Allow", "Make", "Do not", "Test for",
)  # fmt: skip
_HEADINGS = (
    "Bug", "Improvement", "New Feature", "Sub-task", "Release Notes", "Overview", "Installation",
    "Usage", "Example", "Binaries", "What's new", "Next steps", "Summary", "Getting started",
)  # fmt: skip
_LANGUAGES = ("java", "python", "scala", "xml", "yaml", "bash", "sql", "json", "go", "rust", "")
_WORD = re.compile(r"[A-Za-z]{3,}")
_FIRST_PLACE = 0xE000  # private use: a paragraph of one such sign is the place of a block

Block = tuple[str, str]  # as the page has it, as the answer has it


def with_places(
    clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random
) -> tuple[str, list[Block]]:
    """`clean` with paragraphs that are places of blocks, and the blocks. No noise touches them.

    words: to make lists and lines of. code: snippets of real source code.
    """
    paragraphs = clean.split(PARAGRAPH)
    if rng.random() < 0.25:  # a page of hardly anything else
        paragraphs = paragraphs[:1]
    blocks: list[Block] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        place = rng.randint(0, len(paragraphs))
        made = [rng.choice(_MAKERS)(clean, words, code, rng)]
        if rng.random() < 0.6:
            made.insert(0, _heading(clean, words, code, rng))
        for block in made:
            paragraphs.insert(place, chr(_FIRST_PLACE + len(blocks)))
            blocks.append(block)
            place += 1
    return PARAGRAPH.join(paragraphs), blocks


def filled(text: str, blocks: Sequence[Block], side: int) -> str:
    """`text` with the blocks at their places. side: 0 as on the page, 1 as in the answer."""
    for number, block in enumerate(blocks):
        text = text.replace(chr(_FIRST_PLACE + number), block[side])
    return text


def _heading(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    text = rng.choice(_HEADINGS) if rng.random() < 0.5 else _phrase(clean, words, rng, 1, 7)
    return f"{'#' * rng.randint(1, 4)} {text}", text


def _list(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    """A list of phrases. Some begin with a term in code marks or a name and a dash."""
    numbered = rng.random() < 0.2
    items = []
    for number in range(1, rng.randint(3, 10)):
        item = _phrase(clean, words, rng, 1, 12)
        if rng.random() < 0.2:
            item = f"{_name(words, rng)}: {item}"
        items.append(f"{number}. {item}" if numbered else f"- {item}")
    return _same("\n".join(items))


def _tickets(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    """Tickets with ascending numbers. Some titles begin alike."""
    project = rng.choice(words)[: rng.randint(2, 8)].upper()
    number = rng.randint(1, 33_000)
    form = rng.choice(("[{}-{}] - {}", "[{}-{}] - {}", "[{}-{}] {}", "{}-{}: {}", "{}-{} {}"))
    few = [rng.choice(_TITLES) for _ in range(3)]
    items = []
    for _ in range(rng.randint(4, 14)):
        number += rng.choice((1, 2, rng.randint(1, 40), rng.randint(1, 900)))
        title = _phrase(clean, words, rng, 2, 12)
        if rng.random() < 0.7:
            first = rng.choice(few if rng.random() < 0.7 else _TITLES)
            title = f"{first} {title[:1].lower()}{title[1:]}"
        items.append("- " + form.format(project, number, title))
    return _same("\n".join(items))


def _code(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    if not code or rng.random() < 0.3:
        return _like_lines(clean, words, code, rng)
    return _fenced(rng.choice(code), rng)


def _like_lines(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    """Lines of one form with other names: dependencies, settings, calls."""
    group = f"org.{_lower(words, rng)}.{_lower(words, rng)}"
    version = ".".join(str(rng.randint(0, 30)) for _ in range(3))
    first = _lower(words, rng)
    lines = []
    form = rng.choice(("xml", "equals", "colon", "call", "install"))
    for _ in range(rng.randint(2, 5 if form == "xml" else 9)):
        name = f"{first}-{_lower(words, rng)}" if rng.random() < 0.7 else _name(words, rng)
        value = rng.choice((str(rng.randint(0, 9999)), _name(words, rng), "true", f'"{first}"'))
        if form == "xml":
            lines += [
                "<dependency>",
                f"  <groupId>{group}</groupId>",
                f"  <artifactId>{name}</artifactId>",
                f"  <version>{version}</version>",
                "</dependency>",
            ]
        else:
            lines.append(
                {
                    "equals": f"{name} = {value}",
                    "colon": f"{name}: {value}",
                    "call": f"{first}.{_name(words, rng)}({value});",
                    "install": f"{first} install {name}=={version}",
                }[form]
            )
    return _fenced("\n".join(lines), rng)


def _table(clean: str, words: Sequence[str], code: Sequence[str], rng: random.Random) -> Block:
    width = rng.randint(2, 4)
    rows = [[_phrase(clean, words, rng, 1, 2) for _ in range(width)]]
    for _ in range(rng.randint(2, 6)):
        cells = [str(rng.randint(0, 99_999)) for _ in range(width)]
        rows.append([_phrase(clean, words, rng, 1, 3), *cells[1:]])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return _same("\n".join([lines[0], "|" + "---|" * width, *lines[1:]]))


def _fenced(text: str, rng: random.Random) -> Block:
    """Code with its fence. A segment may begin or end within it: then one fence is missing."""
    opening, closing = f"```{rng.choice(_LANGUAGES)}\n", "\n```"
    missing = rng.random()
    if missing < 0.1:
        return _same(opening + text)
    if missing < 0.2:
        return _same(text + closing)
    return _same(opening + text + closing)


def _same(text: str) -> Block:
    return text, text


def _phrase(text: str, words: Sequence[str], rng: random.Random, least: int, most: int) -> str:
    """A few words in a row of `text`, or of words that do not belong together."""
    count = rng.randint(least, most)
    found = text.split()
    if rng.random() < 0.5 and len(found) > count:
        first = rng.randrange(len(found) - count)
        taken = [word.strip("“”\"'()") for word in found[first : first + count]]
        phrase = " ".join(filter(None, taken)).rstrip(".,;:!?")
    else:
        phrase = " ".join(
            _name(words, rng) if rng.random() < 0.15 else _lower(words, rng) for _ in range(count)
        )
    return phrase[:1].upper() + phrase[1:] if phrase else "None"


def _lower(words: Sequence[str], rng: random.Random) -> str:
    return rng.choice(words).lower()


def _name(words: Sequence[str], rng: random.Random) -> str:
    """A name as in code: a class, a variable, a setting, a call."""
    one, two, three = (rng.choice(words) for _ in range(3))
    forms = (
        f"{one.capitalize()}{two.capitalize()}",
        f"{one.capitalize()}{two.capitalize()}{three.capitalize()}",
        f"{one.lower()}{two.capitalize()}",
        f"{one.lower()}_{two.lower()}",
        f"{one.lower()}.{two.lower()}.{three.lower()}",
        f"{one.lower()}-{two.lower()}",
        f"{one.lower()}()",
        f"{one.capitalize()}#{two.lower()}",
        one.upper(),
    )
    return rng.choice(forms)


Maker = Callable[[str, Sequence[str], Sequence[str], random.Random], Block]
_MAKERS: tuple[Maker, ...] = (_list, _list, _tickets, _tickets, _tickets, _code, _code, _table)


def snippets(text: str) -> list[str]:
    """Runs of 2 to 16 lines of source code without a blank line."""
    found = []
    for run in re.split(r"\n\s*\n", text):
        lines = [line.rstrip() for line in run.strip("\n").split("\n")][:16]
        made = "\n".join(lines)
        if len(lines) > 1 and 20 < len(made) <= 700 and made.isascii() and "```" not in made:
            found.append(made)
    return found
