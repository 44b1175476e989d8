"""A stream read by lines and by exact lengths, with the position of each byte."""

from corpusmill.stages.readers.streams import Inflated, Plain

_STEP = 64 << 10
_READ = 1 << 20


class Cursor:
    """position: of the next byte in the decompressed stream."""

    def __init__(self, stream: Inflated | Plain) -> None:
        self.stream = stream
        self.position = stream.tell()
        self._held = b""
        self._at = 0  # of the next byte in `_held`

    def line(self, most: int) -> bytes:
        """The next line with its line feed. Empty at the end of the file.

        The line feed is missing at the end of the file, and beyond `most` bytes.
        """
        searched = self._at
        while (end := self._held.find(b"\n", searched)) < 0:
            held = len(self._held) - self._at
            if held > most or not self._more():
                return self.take(min(held, most))
            searched = held
        return self.take(min(end + 1 - self._at, most))

    def skip_blank(self) -> int:
        """Go to the next byte that is neither a carriage return nor a line feed. Returns how many
        bytes were skipped.
        """
        begin = self.position
        while True:
            rest = len(self._held[self._at :].lstrip(b"\r\n"))
            self._pass(len(self._held) - self._at - rest)
            if rest or not self._more():
                return self.position - begin

    def give_back(self, data: bytes) -> None:
        """Go back by the bytes that were read last."""
        self._held, self._at = data + self._held[self._at :], 0
        self.position -= len(data)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the file, without going on."""
        while len(self._held) - self._at < size and self._more():
            pass
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """`size` bytes, fewer at the end of the file."""
        parts = [self._held[self._at : self._at + size]]
        self._pass(len(parts[0]))
        left = size - len(parts[0])
        while left > 0 and (more := self.stream.read(min(left, _READ))):
            parts.append(more)
            left -= len(more)
            self.position += len(more)
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def skip(self, size: int) -> int:
        """Read over `size` bytes. Returns how many there were."""
        skipped = 0
        while skipped < size and (piece := self.take(min(_READ, size - skipped))):
            skipped += len(piece)
        return skipped

    def _pass(self, size: int) -> None:
        self._at += size
        self.position += size

    def _more(self) -> bool:
        piece = self.stream.read(_STEP)
        if piece:
            self._held, self._at = self._held[self._at :] + piece, 0
        return bool(piece)
