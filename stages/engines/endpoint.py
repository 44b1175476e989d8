"""One address of a server: how many requests it gets at a time, and when it is left alone.

- The limit halves when the server is busy or slow, and then grows by one a round of answers
  (additive increase, multiplicative decrease; Chiu and Jain 1989). After an absence it starts at
  one and doubles every round, up to where it was ("slow start"; Jacobson 1988).
- An address that takes no connection is left alone for a while. Then one request tries it.
"""

import time

_LONGEST_REST = 30.0


class Endpoint:
    """url: up to and including /v1. in_flight: requests at a time, at most. slow_seconds: an answer
    that takes longer shows that the server has too many.
    """

    def __init__(self, url: str, in_flight: int, slow_seconds: float) -> None:
        self.url = url
        self.flying = 0
        self.last = -float("inf")  # when it last answered
        self.refused = False  # whether it took no connection when last asked
        self._most = in_flight
        self._slow_seconds = slow_seconds
        self._limit = self._known_good = float(in_flight)
        self._limited = -float("inf")  # when the limit was last lowered
        self._rested_at = 0.0  # when its rest ends
        self._rests = 0

    @property
    def never_there(self) -> bool:
        """Whether it takes no connection, and never answered."""
        return self.refused and self.last == -float("inf")

    @property
    def limit(self) -> int:
        return max(1, min(self._most, int(self._limit)))

    @property
    def rests(self) -> bool:
        return time.monotonic() < self._rested_at

    @property
    def preference(self) -> tuple[bool, float, float]:
        """The smallest is asked next: no rest, a share of free places, an early end of the rest."""
        return self.rests, self.flying / self.limit, self._rested_at

    def answered(self, sent: float) -> None:
        """An answer came to a request that was sent at this time."""
        self._rests = 0
        self.last = time.monotonic()
        if self.last - sent > self._slow_seconds:
            self.busy(sent)
        else:
            self._limit += 1 if self._limit < self._known_good else 1 / self._limit
            self._limit = min(self._most, self._limit)

    def busy(self, sent: float) -> None:
        """Halve the limit, once for all requests that were sent under the old one."""
        if sent >= self._limited:
            self._limited = time.monotonic()
            self._limit = self._known_good = max(1.0, self._limit / 2)

    def away(self, sent: float) -> None:
        """Leave it alone, longer each time that it takes no connection."""
        if sent < self._limited:
            return
        self._rests += 1
        self._limited = time.monotonic()
        self._rested_at = self._limited + min(_LONGEST_REST, 0.5 * 2.0 ** min(self._rests, 10))
        self._known_good = max(self._known_good, self._limit)
        self._limit = 1.0
