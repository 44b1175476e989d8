"""Character error rate: insertions, deletions and changes for each character of the clean text.

The edit distance is computed a row at a time, on the bits of one long integer (Myers 1999; Hyyrö
2003, figure 9). That takes milliseconds for a page of text.
"""

from collections.abc import Iterable


def edit_distance(first: str, second: str) -> int:
    """Levenshtein distance between two strings."""
    if not first:
        return len(second)
    occurrences: dict[str, int] = {}
    for place, character in enumerate(first):
        occurrences[character] = occurrences.get(character, 0) | 1 << place
    every, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    rising, falling, distance = every, 0, len(first)
    for character in second:
        equal = occurrences.get(character, 0)
        diagonal = (((equal & rising) + rising) ^ rising) | equal | falling
        up = falling | ~(diagonal | rising) & every
        down = rising & diagonal
        distance += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & every
        rising = (down << 1 | ~(diagonal | up)) & every
        falling = up & diagonal
    return distance


def character_error_rate(texts: Iterable[tuple[str, str]]) -> float:
    """Edits for each character of the clean texts, over all (text, clean) pairs together."""
    edits = characters = 0
    for text, clean in texts:
        edits += edit_distance(text, clean)
        characters += len(clean)
    return edits / characters
