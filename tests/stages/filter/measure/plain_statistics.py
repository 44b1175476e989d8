"""The statistics of a text in plain Python: slow, over strings, written from the definitions in
docs/filters.md.

Nothing here comes from the kernels that it checks. The tokenizer's exceptions are spaCy's own, as
`make_spacy_exceptions.py` recorded them.
"""

import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from tests.stages.filter.measure.plain_structure import View, words_in

_RECORDED = Path(__file__).with_name("spacy_exceptions.txt").read_text(encoding="utf-8")
EXCEPTIONS = {"".join(line.split(" ")): line.split(" ") for line in _RECORDED.split("\n") if line}
# spaCy's units (`spacy.lang.char_classes`), without those in Arabic script.
UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz "
    "m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм см мм "
    "нм кг г мг м/с км/ч кПа Па Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тб US$ C$ A$"
)
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
AFFIXES = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪" + QUOTES
CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
TERMINALS = ".!?։؟۔܀܁܂।॥၊။።፧፨᙮៕᠃᠉‼‽⁇⁈⁉⸮﹒﹖﹗！．？｡。"
LINE_ENDS = TERMINALS + "។៖៚⸼"
PUNCTUATION = (
    "/—”:％１〈&(、━【「」，】；《“„’∶´（–？！：～«〉》）。．…»►!\"#$%'*+,-.;<=>?@[\\]^_`{|}~)"
)
# What may stand behind the end of a sentence.
BEHIND = (set(QUOTES) - {","}) | set(")]}*_¹²³⁰⁴⁵⁶⁷⁸⁹†‡ \xa0\u202f")
UNSPACED = (
    *(
        (0x0E00, 0x0EFF),
        (0x1000, 0x109F),
        (0x1780, 0x17FF),
        (0x3005, 0x3007),
        (0x3040, 0x30FF),
        (0x31F0, 0x31FF),
    ),
    *(
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xA9E0, 0xA9FF),
        (0xAA60, 0xAA7F),
        (0xF900, 0xFAFF),
        (0xFF66, 0xFF9F),
    ),
    (0x20000, 0x10FFFF),
)
CITATIONS = r"\[[0-9]*\]|\[edit\]|\[citation needed\]"
POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


def category(c):
    return "Lo" if ord(c) >= 0x20000 else unicodedata.category(c)


def is_space(c):
    return c.isspace() or c <= " "


def is_letter(c):
    return category(c)[0] == "L"


def is_lower(c):
    return category(c)[0] in "LM" and category(c) not in ("Lu", "Lt")


def is_upper(c):
    return category(c)[0] in "LM" and category(c) != "Ll"


def is_alpha(c):
    return category(c)[0] in "LM"


def is_digit(c):
    return c in "0123456789"


def is_icon(c):
    return category(c) == "So"


def is_unspaced(c):
    return is_letter(c) and any(first <= ord(c) <= last for first, last in UNSPACED)


def split_parts(text):
    return "".join(" " if is_space(c) else c for c in text).split(" ")


def parts_of(text):
    return [part for part in split_parts(text) if part]


# --- tokens


def prefix(s):
    dots = re.match(r"\.\.+", s)
    if dots:
        return dots.end()
    if s[0] == "+":
        return 0 if is_digit(s[1:2] or "x") else 1
    if s[0] in AFFIXES + CURRENCIES + "—–§%=" or is_icon(s[0]):
        return 1
    return next((len(currency) for currency in ("US$", "A$", "C$") if s.startswith(currency)), 0)


def suffix(s):
    if not s:
        return 0
    last, before = s[-1], s[-2:-1]
    if last == ".":
        dots = re.search(r"\.\.+\Z", s)
        if dots:
            return len(dots.group())
        if not before:
            return 0
        if is_lower(before) or is_digit(before) or before in "%²-+|" + AFFIXES:
            return 1
        return int(len(s) > 2 and is_upper(before) and is_upper(s[-3]))
    if last in "sS" and before and before in "'’":
        return 2
    if last in AFFIXES + "—–" or is_icon(last):
        return 1
    if before and is_digit(before) and last in "+" + CURRENCIES:
        return 1
    unit = re.search(r"[0-9]([^0-9]+)\Z", s)
    return len(unit.group(1)) if unit and unit.group(1) in UNITS.split() else 0


def infix(s, at):
    c, before, after = s[at], s[at - 1 : at] if at else "", s[at + 1 : at + 2]
    dots = re.compile(r"\.\.+").match(s, at)
    if dots:
        return dots.end() - at
    if c == "…" or is_icon(c):
        return 1
    if not before or not after:
        return 0
    if c in "+-*^" and is_digit(before) and (is_digit(after) or after == "-"):
        return 1
    if c == ".":
        return int((is_lower(before) or before in QUOTES) and (is_upper(after) or after in QUOTES))
    if c == ",":
        return int(is_alpha(before) and is_alpha(after))
    if not (is_alpha(before) or is_digit(before)):
        return 0
    if c in ":<>=/":
        return int(is_alpha(after))
    if c in "-–—~":
        for hyphen in ("-", "–", "—", "--", "---", "——", "~"):
            end = at + len(hyphen)
            if s.startswith(hyphen, at) and end < len(s) and is_alpha(s[end]):
                return len(hyphen)
    return 0


def is_url(s):
    inner = r"[A-Za-z0-9\u0080-\U0010ffff]"
    label = rf"{inner}(?:[-_A-Za-z0-9\u0080-\U0010ffff]*{inner})?"
    host = (
        rf"(?:{label}\.)+(?P<top>[A-Za-z\u0080-\U0010ffff]{{2,63}})|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"
    )
    found = re.compile(rf"(?:{host})(?::[0-9]{{2,5}}(?=[/?#]|\Z))?(?:[/?#].*)?\Z", re.DOTALL)
    scheme = re.match(r"[-+._A-Za-z0-9\u0080-\U0010ffff]{2,}://", s)
    start = scheme.end() if scheme and scheme.end() < len(s) else 0
    for at in [start, *(index + 1 for index in range(start + 1, len(s)) if s[index] == "@")]:
        match = found.match(s, at)
        if match and all(map(is_lower, match["top"] or "")):
            return True
    return False


def cut(s):
    """The tokens of a part."""
    front: list[str] = []
    back: list[str] = []
    while s and s not in EXCEPTIONS:
        p = prefix(s)
        if p and s[p:] in EXCEPTIONS:
            front.append(s[:p])
            s = s[p:]
            break
        q = suffix(s[p:])
        if q:
            back.insert(0, s[len(s) - q :])
            if s[: len(s) - q] in EXCEPTIONS:
                s = s[: len(s) - q]
                break
        elif not p:
            break
        if p:
            front.append(s[:p])
        s = s[p : len(s) - q]
    middle = []
    if s in EXCEPTIONS:
        middle = list(EXCEPTIONS[s])
    elif s and is_url(s):
        middle = [s]
    elif s:
        start = at = 0
        while at < len(s):
            size = infix(s, at)
            if size and at:
                middle += [s[start:at], s[at : at + size]]
                start = at + size
            at += max(size, 1)
        middle.append(s[start:])
    return front + [token for token in middle if token] + back


def cut_by_character(part):
    pieces: list[Any] = [""]
    for c in part:
        if is_unspaced(c):
            pieces += [("one", c), ""]
        elif (
            pieces[-1] == "" and len(pieces) > 1 and (category(c)[0] == "M" or category(c) == "Cf")
        ):
            pieces[-2] = ("one", pieces[-2][1] + c)
        else:
            pieces[-1] += c
    return [
        token
        for piece in pieces
        if piece
        for token in ([piece[1]] if isinstance(piece, tuple) else cut(piece))
    ]


# --- counting


def repeats(items):
    seen, count, length = set(), 0, 0
    for item, size in items:
        if item in seen:
            count, length = count + 1, length + size
        seen.add(item)
    return count, length


def top_gram(tokens, n):
    grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]  # the first of equals
    return count * len(" ".join(gram))


def duplicate_grams(tokens, n):
    seen, length, i = set(), 0, 0
    while i + n <= len(tokens):
        gram = tuple(tokens[i : i + n])
        if gram in seen:
            length += len("".join(gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return length


def sentences_of(tokens):
    count, ended = int(bool(tokens)), False
    for token in tokens:
        if len(token) == 1 and token in TERMINALS:
            ended = True
        elif ended and not all(category(c)[0] == "P" for c in token):
            count, ended = count + 1, False
        elif not all(category(c)[0] == "P" for c in token):
            ended = False
    return count


def lowered(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def inner(line):
    """A line without the white space around it."""
    begin, end = 0, len(line)
    while begin < end and is_space(line[begin]):
        begin += 1
    while end > begin and is_space(line[end - 1]):
        end -= 1
    return line[begin:end]


def furniture(line, parts):
    if 2 * sum("A" <= c <= "Z" for c in line) > len(line):
        return "uppercase"
    if re.fullmatch("[0-9]+", line):
        return "numeric"
    counted = (
        "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views"
        "|followers"
    )
    counter = rf"[^0-9A-Za-z]*[0-9][0-9.,]*[kmb]?[\x00-\x20]+(?:{counted})[^0-9A-Za-z]*"
    if re.fullmatch(counter, lowered(line)):
        return "counter"
    return "single_word" if len(parts) == 1 else ""


def without_call(line):
    """The line without a call to act, and how many words that had."""
    low = lowered(line)
    at = low.find("items in cart")
    if at >= 0:
        return line[: at - (at > 0 and line[at - 1] <= " ")] + line[at + 13 :], 3
    if low.endswith("read more..."):
        at = len(line) - 12
        return line[: at - (at > 0 and line[at - 1] <= " ")], 2
    if low.startswith("sign-in"):
        return line[7 + (line[7:8] != "" and line[7] <= " ") :], 1
    return line, 0


def cited(mark, line, edits):
    """What is left of a mark: nothing, or all of it, if it is code."""
    after = mark.string[mark.end() :]
    is_code = re.fullmatch(r"\[(?:0[0-9]*|[0-9]{4,}|)\]", mark[0]) or (
        mark[0][1].isdigit()
        and (
            "=" in line
            or mark.string[: mark.start()].endswith("(")
            or re.match(r"\(|\.[a-z]", after)
            or (after[:1] == ";" and all(sign <= " " for sign in after[1:]))
        )
    )
    return mark[0] if is_code and not edits.brackets_in_code else ""


NOTICE = re.compile(
    r"(?<![a-z])(?:activat|blocked|browser|disabl|enabl|is off|must|need|please|requir"
    r"|switch(?:ed o| on)|turn(?:ed o| on)|without)"
)


def look(line, parts, longest, edits, refinedweb):
    """The fate of a line with a part: the reason for its removal, the text that is left, and C4's
    counts.
    """
    low = lowered(inner(line))
    counts: Counter[str] = Counter()
    if edits and edits.longest_word and longest > edits.longest_word:
        return "long_word", line, counts
    core = inner(line)
    bare = re.sub(CITATIONS, "", core) if edits and edits.citations else core
    end = re.sub(rf"(?:{CITATIONS})+\Z", "", core) if edits and edits.citations else core
    if (
        edits
        and edits.terminal_punctuation
        and (end[-1:] not in tuple(".?!\"'") or end.endswith(("...", "…")))
    ):
        return "unpunctuated", line, counts
    if edits and (len(parts) < edits.minimum_words or not bare.strip("".join(map(chr, range(33))))):
        return "few_words", line, counts
    counts["lorem_ipsum"] = int("lorem ipsum" in low)
    if edits and edits.javascript and "javascript" in low:
        return "javascript", line, counts
    counts["curly_brackets"] = int("{" in line)
    if edits and edits.policy and any(phrase in low for phrase in POLICY):
        return "policy", line, counts
    left = line
    if refinedweb:
        reason = furniture(core, parts)
        if reason:
            counts["removed_parts"] = len(parts)
            return reason, line, counts
        if len(parts) <= 10:
            shorter, words = without_call(core)
            if words:
                if not any(c > " " for c in shorter):
                    counts["removed_parts"] = len(parts)
                    return "emptied", line, counts
                counts["removed_parts"] = words
                left = line.replace(core, shorter, 1)
    if edits and edits.citations:
        left = re.sub(CITATIONS, lambda mark: cited(mark, line, edits), left)
    return "", left, counts


def ending(core):
    """How a line ends as a sentence: `whole`, `cut off` or `open`."""
    core = re.sub(rf"(?:{CITATIONS})*\Z", "", core)
    end = len(core)
    while end and len(core) - end < 8 and core[end - 1] in BEHIND:
        end -= 1
    if len(core) - end == 8:
        return "open"
    if core[:end].endswith(("...", "…")):
        return "cut off"
    return "whole" if end and core[end - 1] in LINE_ENDS + ":：" else "open"


def prose_parts(view, parts_by_line):
    """Parts in lines of prose."""
    return sum(
        len(parts) for i, parts in enumerate(parts_by_line) if is_prose(view, parts_by_line, i)
    )


def is_prose(view, parts_by_line, i):
    parts = len(parts_by_line[i])
    if parts < 3 or view.titles[i]:
        return False
    ends = ending(inner(view.lines[i]))
    in_sentence = any(goes_on(view, parts_by_line, each) for each in (i, i + 1))
    if parts >= 5 and in_sentence:
        return True
    if ends == "cut off":
        return False
    if ends == "whole" or view.listed[i]:
        return parts >= 5
    return i in view.verse or parts >= 20


def goes_on(view, parts_by_line, i):
    """Whether line i goes on in the middle of a sentence of the line above it."""
    if not 0 < i < len(parts_by_line) or view.listed[i] or view.titles[i - 1]:
        return False
    above, here = parts_by_line[i - 1], parts_by_line[i]
    return bool(above and here and re.match(r"[a-z$\\]", here[0]))


def code_statistics(lines):
    """Statistics of the lines of fenced code."""
    lines = [re.findall(r"[^\x00-\x20]+", line) for line in lines]
    lines = [parts for parts in lines if parts]
    signs = "".join(part for parts in lines for part in parts)
    timed = sum(bool(re.search("[0-9]{2}:[0-9]{2}:[0-9]{2}", " ".join(line))) for line in lines)
    return {
        "code_line_length": len(signs) / max(len(lines), 1),
        "code_part_length": len(signs) / max(sum(map(len, lines)), 1),
        "code_digit_ratio": sum(map(is_digit, signs)) / max(len(signs), 1),
        "timed_code_line_ratio": timed / max(len(lines), 1),
    }


def edited_text(text, view, fates, edits, refinedweb):
    """The text without the lines and pieces that went. fates: by line of the view; None for lines
    without a part.
    """
    lines = text.split("\n")
    if not edits and not refinedweb:
        return text
    kept, drop_blanks, last_was_blank, went = [], False, True, False
    for index, (line, place) in enumerate(zip(lines, view.places, strict=True)):
        feed = "\n" if index < len(lines) - 1 else ""
        fate = (
            (None if view.kinds[index] == "blank" else ("", line))
            if place is None
            else ("", line)
            if fates[place] and view.spared[place]
            else fates[place]
        )
        if fate is None:
            if place is None or not (drop_blanks and last_was_blank):
                kept.append(("blank", line, feed))
                last_was_blank = True
        elif fate[0]:
            drop_blanks = went = True
        else:
            kept.append(("text", fate[1], feed))
            last_was_blank = drop_blanks = False
    if went:
        while kept and kept[-1][0] == "blank":
            kept.pop()
        if kept:
            kept[-1] = (*kept[-1][:2], "")
    return "".join(line + feed for _, line, feed in kept)


def plain(text, edits=None, refinedweb=False, stop_words=(), by_character=False, apart=False):
    """Every statistic, and the edited text."""
    whole, view = text, View(text, apart)
    text, lines = view.text, view.lines
    parts_by_line = [parts_of(line) for line in lines]
    view.spare_verse(parts_by_line)
    view.spare_formulas()
    apart_words = sum(map(words_in, view.apart))
    parts = [part for each in parts_by_line for part in each]
    tokens_by_line = [
        [t for part in each for t in (cut_by_character if by_character else cut)(part)]
        for each in parts_by_line
    ]
    tokens = [token for each in tokens_by_line for token in each]
    words = [
        token
        for token in tokens
        if any(c not in PUNCTUATION and category(c) != "Cc" for c in token)
    ]
    characters, part_characters = len(text), sum(map(len, parts))
    full = [
        (lines[i], (tuple(parts_by_line[i]), len(lines[i].encode())))
        for i in range(len(lines))
        if lines[i]
    ]
    paragraphs, paragraph = [], []
    for line in [*lines, ""]:
        if line:
            paragraph.append(line)
        elif paragraph:
            paragraphs.append(paragraph)
            paragraph = []
    again, again_characters = repeats((key, len(line)) for line, key in full)
    again_paragraphs, again_paragraph_characters = repeats(
        (
            tuple((tuple(parts_of(line)), len(line.encode())) for line in each),
            sum(map(len, each)) + len(each) - 1,
        )
        for each in paragraphs
    )
    written = [i for i in range(len(lines)) if parts_by_line[i]]
    cores = [inner(lines[i]) for i in written]
    lows = [lowered(core) for core in cores]
    fates: list[Any] = [
        look(lines[i], parts_by_line[i], max(map(len, parts_by_line[i])), edits, refinedweb)
        if parts_by_line[i]
        else None
        for i in range(len(lines))
    ]
    kept = [i for i in written if not fates[i][0]]
    for i in written:
        core, parts_here = inner(lines[i]), len(parts_by_line[i])
        if edits and fates[i][0] == "few_words" and not edits.short_sentences:
            view.spared[i] |= core[-1] in LINE_ENDS or core[-1] in ":,\"'’”…"
        if edits and fates[i][0] in ("javascript", "policy"):
            view.spared[i] |= 0 < edits.longest_notice < parts_here
        if edits and edits.longest_notice and fates[i][0] == "javascript":
            view.spared[i] |= not NOTICE.search(lowered(core))
    removed = Counter(fates[i][0] for i in written if fates[i][0] and not view.spared[i])
    for i in written:
        if view.spared[i]:
            del fates[i][2]["removed_parts"]
    counted: Counter[str] = sum((fates[i][2] for i in written), Counter())
    strips = bool(edits or refinedweb)  # unedited lines are not stripped
    outer = {i: strips * (len(lines[i]) - len(inner(lines[i]))) for i in kept}
    kept_lengths = {i: len(fates[i][1]) - outer[i] for i in kept}
    kept_tokens = sum(len(tokens_by_line[i]) for i in kept)
    _, kept_again = repeats(
        ((tuple(parts_by_line[i]), len(lines[i].encode())), kept_lengths[i]) for i in kept
    )
    line_count = len(lines) - (lines[-1] == "")
    feeds = max(len(kept) - 1, 0) if (edits or refinedweb) and kept else len(lines) - 1

    def ratio(part, whole):
        return part / whole if whole else 0.0

    def ends(i):
        line, after = (
            fates[i][1],
            len(lines[i])
            - len(lines[i].rstrip("".join(c for c in lines[i] if is_space(c)) or " ")),
        )
        line = line[: len(line) - after] if after and strips else line
        return bool(line) and line[-1] in LINE_ENDS

    letters = (
        part_characters
        - sum(category(c)[0] == "N" for c in text)
        - sum(not is_space(c) and category(c)[0] not in "LN" for c in text)
    )
    statistics = {
        "characters": characters,
        "parts": len(parts) + apart_words,
        "tokens": len(tokens),
        "words": len(words) + apart_words,
        "apart_words": apart_words,
        "apart_lines": len(view.apart),
        "prose_parts": prose_parts(view, parts_by_line) + apart_words,
        "prose_part_ratio": ratio(
            prose_parts(view, parts_by_line) + apart_words, len(parts) + apart_words
        ),
        **code_statistics(view.code),
        "mean_word_length": ratio(sum(map(len, words)), len(words)),
        "mean_part_length": ratio(part_characters, len(parts)),
        "longest_part": max(map(len, parts), default=0),
        "alphabetic_token_ratio": ratio(
            sum(any(map(is_letter, token)) for token in tokens), len(tokens)
        ),
        "alphabetic_part_ratio": ratio(
            sum(any(map(is_letter, part)) for part in parts), len(parts)
        ),
        "hash_ratio": ratio(text.count("#"), len(tokens)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(tokens)),
        "stop_words": len(set(tokens) & set(stop_words)),
        "lines": line_count,
        "bullet_line_ratio": ratio(
            sum(lines[i] and (view.bullets[i] or inner(lines[i])[0] in "-•") for i in written),
            line_count,
        ),
        "ellipsis_line_ratio": ratio(
            sum(core.endswith(("...", "…")) for core in cores), line_count
        ),
        "duplicate_line_ratio": ratio(again, len(full)),
        "duplicate_line_character_ratio": ratio(again_characters, characters),
        "duplicate_paragraph_ratio": ratio(again_paragraphs, len(paragraphs)),
        "duplicate_paragraph_character_ratio": ratio(again_paragraph_characters, characters),
        **{f"top_{n}_gram_ratio": ratio(top_gram(tokens, n), characters) for n in (2, 3, 4)},
        **{
            f"duplicate_{n}_gram_ratio": ratio(duplicate_grams(tokens, n), characters)
            for n in range(5, 11)
        },
        "whitespace_ratio": ratio(sum(map(is_space, text)), characters),
        "digit_ratio": ratio(sum(category(c)[0] == "N" for c in text), characters),
        "symbol_character_ratio": ratio(
            sum(not is_space(c) and category(c)[0] not in "LN" for c in text), characters
        ),
        "uppercase_ratio": ratio(sum(category(c) in ("Lu", "Lt") for c in text), letters),
        "parenthesis_ratio": ratio(text.count("(") + text.count(")"), characters),
        "url_ratio": ratio(
            sum(len(part) for part in parts if part.startswith(("http://", "https://"))), characters
        ),
        "boilerplate_line_ratio": ratio(
            sum(any(phrase in low for phrase in (*POLICY, "lorem ipsum")) for low in lows),
            len(cores),
        ),
        "kept_lines": len(kept),
        "sentences": sum(sentences_of(tokens_by_line[i]) for i in kept),
        "punctuation_line_ratio": ratio(sum(map(ends, kept)), len(kept)),
        "short_line_ratio": ratio(sum(kept_lengths[i] <= 30 for i in kept), len(kept)),
        "kept_duplicate_line_character_ratio": ratio(kept_again, sum(kept_lengths.values())),
        "newline_ratio": ratio(feeds, kept_tokens) if kept_tokens else float(feeds),
        "lorem_ipsum": counted["lorem_ipsum"],
        "curly_brackets": counted["curly_brackets"],
        "removed_lines": sum(removed.values()),
        "removed_part_ratio": ratio(counted["removed_parts"], len(parts)),
        **{
            f"removed_{reason}": removed[reason]
            for reason in (
                *("long_word", "unpunctuated", "few_words", "javascript", "policy"),
                *("uppercase", "numeric", "counter", "single_word", "emptied"),
            )
        },
    }
    return statistics, edited_text(whole, view, fates, edits, refinedweb)
