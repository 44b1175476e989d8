r"""LaTeX as matplotlib's mathtext reads it.

mathtext knows the core of LaTeX's maths, and is strict: `\frac12` and `\mathbb R` want braces, and
`\le` has to be `\leq`. This writes such things in mathtext's spelling, so that the picture is that
of LaTeX. What has no spelling there (`\R`, `\bigl`) goes through, and mathtext refuses it. What
leaves no trace in a picture (`\label`, `\phantom`, a comment) is refused: nobody could read it.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\s+|[^\\\s]|\\\Z", re.DOTALL)
DEEPEST = 12  # groups in groups: mathtext ends beyond about 18

# Commands whose arguments get braces. `\sqrt` may have one in brackets before.
ACCENT = {"hat", "widehat", "bar", "vec", "tilde", "widetilde", "dot", "ddot", "acute", "grave"}
ACCENT |= {"breve", "check", "mathring", "overrightarrow", "overleftarrow"}
FONT = {"mathbb", "mathcal", "mathfrak", "mathrm", "mathbf", "mathit", "mathsf", "mathtt"}
FONT |= {"mathscr", "boldsymbol", "operatorname"}
ONE = ACCENT | FONT | {"sqrt", "overline", "underline"}
TWO = {"frac", "dfrac", "binom", "overset", "underset"}
SAME = {
    r"\le": r"\leq", r"\ge": r"\geq", r"\lnot": r"\neg", r"\land": r"\wedge", r"\lor": r"\vee",
    r"\gets": r"\leftarrow", r"\iff": r"\Longleftrightarrow", r"\implies": r"\Longrightarrow",
    r"\impliedby": r"\Longleftarrow", r"\lvert": "|", r"\rvert": "|", r"\lVert": r"\|",
    r"\rVert": r"\|", r"\bm": r"\boldsymbol", r"\pmb": r"\boldsymbol", r"\Bbb": r"\mathbb",
    r"\mathds": r"\mathbb", r"\owns": r"\ni", r"\stackrel": r"\overset", r"\square": "□",
    r"\dotsc": r"\ldots", r"\dotsb": r"\cdots", r"\dbinom": r"\binom", r"\tbinom": r"\binom",
    r"\coloneqq": "≔", r"\&": "&", r"\operatorname*": r"\operatorname", r"\bmod": r"\ mod\ ",
    r"\lt": "<", r"\gt": ">", r"\cal": r"\mathcal",
}  # fmt: skip
TEXTS = {r"\text", r"\mbox", r"\hbox", r"\textrm", r"\textnormal", r"\textup"}
STYLED = {r"\textbf": "mathbf", r"\textit": "mathit", r"\emph": "mathit", r"\texttt": "mathtt"}
STYLED |= {r"\textsf": "mathsf"}
SWITCHES = {r"\rm": "mathrm", r"\bf": "mathbf", r"\it": "mathit", r"\cal": "mathcal"}
SWITCHES |= {r"\sf": "mathsf", r"\tt": "mathtt"}
INVISIBLE = {r"\label", r"\tag", r"\tag*", r"\nonumber", r"\notag", r"\ref", r"\eqref", "%"}
INVISIBLE |= {r"\phantom"}
PLAIN = {r"\mathop", r"\mathbin", r"\mathrel", r"\mathord", r"\mathopen", r"\mathclose"}
LARGE = {r"\sum", r"\prod", r"\coprod", r"\bigcap", r"\bigcup", r"\bigoplus", r"\bigotimes"}
LARGE |= {r"\bigvee", r"\bigwedge", r"\bigsqcup", r"\biguplus", r"\bigodot"}
LIMITS = {r"\lim", r"\limsup", r"\liminf", r"\sup", r"\max", r"\min"}
# What is as high as signs of these sizes.
BIG = {"big": r"\frac{X}{X}", "Big": r"\dfrac{x}{x}", "bigg": r"\dfrac{X^X}{X_X}"}
BIG |= {"Bigg": r"\dfrac{\dfrac{x}{x}}{X}"}
ARROWS = {r"\xrightarrow": r"\longrightarrow", r"\xleftarrow": r"\longleftarrow"}
NOT = {"=": r"\neq", r"\in": r"\notin", r"\subset": "⊄", r"\supset": "⊅", r"\subseteq": "⊈"}
NOT |= {r"\supseteq": "⊉", r"\equiv": "≢", r"\sim": "≁", r"\cong": "≇", r"\mid": "∤", "<": "≮"}
NOT |= {">": "≯", r"\leq": "≰", r"\geq": "≱", r"\exists": "∄", r"\approx": "≉", r"\ni": "∌"}
# Accents as MathML writes them: letters that combine, above another.
ACCENTS = {"̂": "hat", "̃": "tilde", "̄": "bar", "̅": "bar", "⃗": "vec", "̇": "dot", "̈": "ddot"}
ACCENTS |= {"^": "hat", "~": "tilde", "¯": "bar", "→": "vec", "ˆ": "hat", "˜": "tilde", "‾": "bar"}


class UnknownError(ValueError):
    """The formula cannot be written for mathtext."""


def dialect(source: str, display: bool) -> str:
    """The formula for mathtext, without dollars. Raises UnknownError.

    display: fractions are large and limits of sums stand above and below.
    """
    return _Reader(TOKEN.findall(source)).rest(display)


@dataclass
class _Reader:
    """Tokens of LaTeX, read from the front."""

    tokens: list[str]
    at: int = 0
    depth: int = field(default=0)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def skip_blanks(self) -> None:
        while self.peek().isspace():
            self.at += 1

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def rest(self, display: bool, closing: str = "") -> str:
        """Everything up to the closing token, which is read, too."""
        found: list[str] = []
        while (token := self.next()) != closing:
            if not token or token in INVISIBLE or token in ("$", "}", "\\"):
                raise UnknownError(f"{token or 'the end'} in a formula")
            if token in (r"\over", r"\choose") and closing in ("}", ""):
                name = "binom" if token == r"\choose" else "dfrac" if display else "frac"
                return rf"\{name}{{{_filled(found)}}}{{{_filled([self.rest(False, closing)])}}}"
            if token in SWITCHES and closing == "}":
                found.append(rf"\{SWITCHES[token]}{{{self.rest(display, closing)}}}")
                break
            if token in (r"\displaystyle", r"\textstyle"):
                display = token == r"\displaystyle"
                continue
            found.append(self.one(token, display))
        return "".join(found)

    def one(self, token: str, display: bool) -> str:
        """A token with its arguments."""
        token = SAME.get(token, token)
        name = token[1:]
        if token.isspace():
            return " "
        if token == "{":
            return f"{{{self.group(display)}}}"
        if token in ("^", "_"):
            return token + f"{{{self.argument(False)}}}"
        if token in TEXTS or token in STYLED:
            return self.text(token)
        if token in PLAIN:
            inner = f"{{{self.argument(display)}}}"
            return inner + self.limits(display, inner)
        if token in LARGE or token in LIMITS:
            return self.limits(display, token)
        if name.rstrip("lrm") in BIG and token.startswith("\\"):
            self.skip_blanks()
            sign = self.next()
            sign = SAME.get(sign, sign)
            if sign in ("|", r"\|", r"\vert", r"\Vert"):  # mathtext has thick ones
                raise UnknownError(f"{token}{sign}")
            high = BIG[name.rstrip("lrm")]
            return rf"\left{sign}\rlap{{\phantom{{{high}}}}}\right."
        if token in ARROWS:
            return rf"\overset{{{self.argument(False)}}}{{{ARROWS[token]}}}"
        if token == r"\not":
            self.skip_blanks()
            struck = self.next()
            if (struck := SAME.get(struck, struck)) not in NOT:
                raise UnknownError(f"{struck} struck out")
            return NOT[struck]
        if token == r"\pmod":
            return rf"\quad(\mathrm{{mod}}\ {self.argument(False)})"
        if name in TWO or name == "tfrac" or name == "cfrac":
            return self.pair(name, display)
        if name in ONE and token.startswith("\\"):
            return self.single(name, display)
        return token

    def group(self, display: bool) -> str:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnknownError("groups are nested too deeply")
        inner = self.rest(display, "}")
        self.depth -= 1
        return inner

    def argument(self, display: bool) -> str:
        """The next group without its braces, or the next token with its own arguments."""
        self.skip_blanks()
        token = self.next()
        if token == "{":
            return _filled([self.group(display)])
        if not token or token in ("}", "^", "_"):
            raise UnknownError("an argument is missing")
        return r"\prime" if token == "'" else self.one(token, display)

    def single(self, name: str, display: bool) -> str:
        self.skip_blanks()
        index = ""
        if name == "sqrt" and self.peek() == "[":
            self.next()
            index = f"[{self.rest(False, ']')}]"
        return rf"\{name}{index}{{{self.argument(display)}}}"

    def pair(self, name: str, display: bool) -> str:
        large = name in ("dfrac", "cfrac") or (display and name == "frac")
        first = self.argument(name == "cfrac")
        if name == "overset" and first in ACCENTS:
            return rf"\{ACCENTS[first]}{{{self.argument(display)}}}"
        second = self.argument(name in ("cfrac", "overset", "underset") and display)
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            name = "dfrac" if large else "frac"
        return rf"\{name}{{{first}}}{{{second}}}"

    def text(self, token: str) -> str:
        self.skip_blanks()
        if self.next() != "{":
            raise UnknownError(f"{token} without braces")
        inner = ""
        while (part := self.next()) != "}":
            if part in ("", "{", "$", "_", "^", "#") or (part[0] == "\\" and part != r"\ "):
                raise UnknownError(f"{part or 'the end'} in {token}")
            inner += part if token in TEXTS or not part.isspace() else r"\ "
        name = STYLED.get(token, "text")
        return rf"\{name}{{{inner}}}" if inner.strip() else r"\ " * len(inner)

    def limits(self, display: bool, operator: str) -> str:
        """The operator. In braces, if its limits stand beside it: mathtext has them above and
        below.
        """
        self.skip_blanks()
        stacked = display
        while self.peek() in (r"\limits", r"\nolimits"):
            stacked = self.next() == r"\limits"
        if operator.startswith("{"):
            return ""
        apart = " " if self.peek().isalpha() else ""
        return operator + apart if stacked else f"{{{operator}}}"


def _filled(parts: list[str]) -> str:
    """mathtext refuses empty groups."""
    return "".join(parts).strip() or r"\ "
