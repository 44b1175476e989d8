"""Record spaCy's English exceptions for `plain_statistics`.

Run `python tests/stages/filter/measure/make_spacy_exceptions.py`. It needs spaCy. Two emoticons are
left out: spaCy keeps them whole, but the kernels cut them by the rules (docs/filters.md).
"""

from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("spacy_exceptions.txt")
CUT_BY_RULES = ("(ಠ_ಠ)", "(╯°□°）╯︵┻━┻")


def recorded() -> str:
    """A line for each part that spaCy's tokenizer knows by name: its tokens, with spaces
    between.
    """
    import spacy

    tokenizer: Any = spacy.blank("en").tokenizer
    return "".join(
        " ".join(token.text for token in tokenizer(part)) + "\n"
        for part in sorted(tokenizer.rules)
        if part not in CUT_BY_RULES and not part.isspace()
    )


if __name__ == "__main__":
    PATH.write_text(recorded(), encoding="utf-8")
