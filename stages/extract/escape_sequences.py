"""Terminal escape sequences in text: colours, cursor movements, links, choices of character sets.

A sequence goes as a whole. Taking away the escape character alone would leave `[31m` in the text.
Source: ECMA-48 (control sequences and strings), ISO/IEC 2022 (character sets), and the way in which
nroff prints bold and underlined text (a character, a backspace, a character).

The forms with one 8-bit control character count only where their parameters are numbers: the same
characters are also left by text that was decoded with a wrong charset.
"""

import re
from typing import Final

LONGEST_STRING: Final = 4000  # characters of a command, such as the address of a link
_SEQUENCE: Final = re.compile(
    rf"""
    (?: \x1b \[ [0-?]* [ -/]* [@-~]                             # control sequence
      | \x9b [0-9;:?]+ [@-~]
      | (?: \x1b \] | \x9d (?=[0-9]+;) )                        # operating system command
        [^\x07\x1b\x9c\n]{{0,{LONGEST_STRING}}} (?: \x07 | \x1b\\ | \x9c )
      | \x1b [PX^_] [^\x1b\x9c\n]{{0,{LONGEST_STRING}}} (?: \x1b\\ | \x9c )   # other strings
      | \x1b [ -/]+ [0-~]                                       # character set, and the like
      | \x1b [0-Z\\-~] )                                         # any other with two characters
    """,
    re.VERBOSE,
)
_OVERPRINTED: Final = re.compile("[^\n\x08]\x08")


def without_escape_sequences(text: str) -> str:
    """`text` without terminal escape sequences, and with overprinted characters once."""
    if "\x1b" in text or "\x9b" in text or "\x9d" in text:
        text = _SEQUENCE.sub("", text)
    return _OVERPRINTED.sub("", text) if "\x08" in text else text
