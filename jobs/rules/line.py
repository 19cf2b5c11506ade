"""Who asks when, of many that wait for the answers of a service that answers only so many in a second.

Nobody's name is kept here but of those few whose question is out: the others are told when to come back, and wait
elsewhere. Times are in ms since 1970.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

# The shortest time to come back after: timers and what they bring go in bundles of about so long.
LOOK_MS = 500


class Answer(NamedTuple):
    """What was found, a plain value; or why there is nothing to find, and no use in asking again."""

    value: Any
    error: str | None = None


class Line:
    """A line of keys. Whoever comes is given its answer, or the time to come again; threads may share it.

    Args:
        ask: puts a key's question, without waiting for the answer; `answered` or `put_off` follows.
        rate_per_second: how many questions are answered in a second.
        concurrency: how many are under way at the same time.
        lead_seconds: how long before its turn a key is called up, so that there always is one to ask next.
    """

    def __init__(
        self, ask: Callable[[str], None], *, rate_per_second: float, concurrency: int, lead_seconds: float = 2
    ) -> None:
        self._ask = ask
        self._gap = 1000 / rate_per_second
        self._lead = lead_seconds * 1000
        self._room = concurrency + int(rate_per_second * lead_seconds)
        self._asking: set[str] = set()
        self._answers: dict[str, Answer] = {}
        self._put_off: dict[str, int] = {}
        self._closed_until = 0
        self._next_turn = 0.0
        self._lock = threading.Lock()

    def come(self, key: str, now: int, *, called: bool) -> Answer | int:
        """Take the answer, which is forgotten then; or ask, if it is the key's turn; or hear when to come again.

        Args:
            key: who comes.
            now: the time.
            called: whether it comes because it was told to; otherwise it is new, and those in line come before it.
        """
        with self._lock:
            if key in self._answers:
                return self._answers.pop(key)
            if key in self._asking:
                return now + LOOK_MS
            if self._put_off.get(key, 0) > now:
                return self._put_off[key]
            self._put_off.pop(key, None)
            is_turn = called or self._next_turn <= now + self._lead
            if not is_turn or now < self._closed_until or len(self._asking) >= self._room:
                return self._turn(now)
            if not called:
                self._next_turn = max(self._next_turn, now) + self._gap
            self._asking.add(key)
            backlog = len(self._asking) * self._gap
        self._ask(key)
        return now + max(LOOK_MS, int(backlog))

    def answered(self, key: str, answer: Answer) -> None:
        """A key's answer is there."""
        with self._lock:
            self._asking.discard(key)
            self._answers[key] = answer

    def put_off(self, key: str, until: int) -> None:
        """A key got no answer, and may ask again then."""
        with self._lock:
            self._asking.discard(key)
            self._put_off[key] = until

    def close(self, until: int) -> None:
        """Nobody asks before then."""
        with self._lock:
            self._closed_until = max(self._closed_until, until)

    def is_closed(self, now: int) -> bool:
        """Whether nobody may ask now."""
        return now < self._closed_until

    @property
    def asking(self) -> int:
        """How many questions are out."""
        return len(self._asking)

    def _turn(self, now: int) -> int:
        """When a key is to come again: a little before its turn, which is at the end of the line."""
        worked_off = now + len(self._asking) * self._gap
        self._next_turn = max(self._next_turn, self._closed_until, worked_off) + self._gap
        return max(now + LOOK_MS, self._closed_until, int(self._next_turn - self._lead))
