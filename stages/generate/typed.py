"""An answer that appears while the model makes it."""

from collections.abc import Callable, Sequence

Say = Callable[[str], None]  # prints a text without a line end


class Typed:
    """Prints the text of tokens as they come.

    It waits with what may still change: a character of which a token brought only some bytes, and
    an end that may be the beginning of a stop string. A tokenizer joins tokens by the ones before
    them (a space, the bytes of a character). So each call decodes the newest tokens together with
    those of the call before.
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], stop: Sequence[str], say: Say
    ) -> None:
        self._decode, self._say = decode, say
        self._stop = [text for text in stop if text]
        self._held = max([len(text) - 1 for text in self._stop], default=0)
        self._before: list[int] = []  # the last tokens whose text is complete
        self._newest: list[int] = []
        self._waiting = ""
        self._printed = 0  # characters

    def hear(self, _index: int, tokens: Sequence[int]) -> None:
        """Newest tokens of the answer."""
        self._newest += tokens
        before = self._decode(self._before)
        text = self._decode(self._before + self._newest)
        if len(text) <= len(before) or text.endswith("\ufffd"):
            return
        self._waiting += text[len(before) :]
        self._before, self._newest = self._newest, []
        if not any(stop in self._waiting for stop in self._stop):
            self._print(self._waiting[: len(self._waiting) - self._held])

    def finish(self, text: str) -> None:
        """The whole text of the answer: print what is missing, and end the line."""
        self._say(text[self._printed :] + "\n")

    def _print(self, text: str) -> None:
        if text:
            self._say(text)
            self._printed += len(text)
            self._waiting = self._waiting[len(text) :]
