"""Guesses at the next tokens, read off the row's own text: prompt lookup.

Text that rephrases, corrects or quotes repeats much of its prompt. If the last three or two tokens
stood somewhere before, then what followed there is a guess at what comes. A decoding step can read
several tokens for little more than the time of one. So it reads the guesses too, and keeps them as
far as the model chooses the same tokens. Wrong guesses cost some time, but change no token.

Idea: speculative decoding (Leviathan et al. 2023, arXiv 2211.17192) with the prompt as the draft
model (prompt lookup decoding, Saxena 2023).
"""

GRAMS = (3, 2)  # tokens that must have stood before: first look for the longer run


class Guesses:
    """The tokens of one row, prompt and answer, and what followed each run of three or two.

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
            for length in GRAMS:
                if place >= length:
                    self._followed[tuple(self.tokens[place - length :])] = place
            self.tokens.append(token)

    def next(self, most: int) -> list[int]:
        """Guesses at the next tokens, as many as are worth checking, and at most so many."""
        for length in GRAMS:
            place = self._followed.get(tuple(self.tokens[-length:]))
            if place is not None:
                return self.tokens[place : place + min(self._trust, most)]
        return []

    def checked(self, guessed: int, right: int) -> None:
        """Learn how many guesses were right. At least one is tried again."""
        if guessed:
            more = 2 * self._trust if right >= guessed else right
            self._trust = max(1, min(more, self._most))
