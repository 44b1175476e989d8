"""Guesses at the next tokens, read off the row's own text: prompt lookup.

Text that rephrases, corrects or quotes repeats much of its prompt. If the last three tokens stood
somewhere before, then what followed there is a guess at what comes. A decoding step can read
several tokens for little more than the time of one. So it reads the guesses too, and keeps them as
far as the model chooses the same tokens. Wrong guesses cost some time, but change no token.

Idea: speculative decoding (Leviathan et al. 2023, arXiv 2211.17192) with the prompt as the draft
model (prompt lookup decoding, Saxena 2023).
"""

GRAM = 3  # tokens that must have stood before


class Guesses:
    """The tokens of one row, prompt and answer, and where each three of them were followed by more.

    trust: how many guesses are worth checking. It doubles while they are right, and falls to as
    many as were right.
    """

    def __init__(self, tokens: list[int], most: int) -> None:
        self.tokens: list[int] = []
        self._followed: dict[tuple[int, ...], int] = {}
        self._most = most
        self._trust = min(4, most)
        self.extend(tokens)

    def extend(self, tokens: list[int]) -> None:
        """Go on with these tokens."""
        for token in tokens:
            place = len(self.tokens)
            if place >= GRAM:
                self._followed[tuple(self.tokens[place - GRAM :])] = place
            self.tokens.append(token)

    def next(self, most: int) -> list[int]:
        """Guesses at the next tokens, as many as are worth checking, and at most so many."""
        place = self._followed.get(tuple(self.tokens[-GRAM:]))
        return [] if place is None else self.tokens[place : place + min(self._trust, most)]

    def checked(self, guessed: int, right: int) -> None:
        """Learn how many guesses were right. At least one is tried again."""
        if guessed:
            more = 2 * self._trust if right >= guessed else right
            self._trust = max(1, min(more, self._most))
