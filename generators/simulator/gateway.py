"""Keys, quotas, rate limit, deliberate trouble, and the account of every call."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Literal

from conf.settings import Simulator, Trouble

Operation = Literal["complexes", "basis", "detail", "energy", "average", "weather", "address"]
Outcome = Literal["fine", "timeout", "error", "malformed", "bomb", "html", "duplicate page"]


@dataclass
class Account:
    """Every call that arrived since the start, or since it was forgotten.

    Attributes:
        calls: By operation and key: how often each outcome was; a refusal is its code.
        asked: By operation and subject: how often it was asked.
        answered: By operation and subject: how often it was answered well.
    """

    calls: dict[str, dict[str, Counter[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Counter)))
    asked: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    answered: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def note(self, operation: Operation, key: str, outcome: str, subject: str | None = None) -> None:
        """Count a call; an answer with data, or without any because there are none, counts as answered."""
        self.calls[operation][key][outcome] += 1
        if subject is not None and outcome in ("00", "03"):
            self.answered[operation][subject] += 1


def shown(key: str) -> str:
    """A key as it may be shown: somebody may have sent a real one."""
    return f"{key[:4]}…" if len(key) > 4 else key


class Gateway:
    """What stands in front of the services.

    Args:
        chosen: Keys, quota and rate.
        today: The day that the services believe it is.
        clock: Seconds, for the rate limit.
    """

    def __init__(
        self, chosen: Simulator, today: Callable[[], date], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.trouble = chosen.trouble
        self.daily_quota = chosen.daily_quota
        self.rate_per_second = chosen.rate_per_second
        self.account = Account()
        self._chosen = chosen
        self._today = today
        self._clock = clock
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._spent: Counter[tuple[str, str, date]] = Counter()

    def refusal(self, operation: Operation, key: str | None, keys: tuple[str, ...]) -> str | None:
        """The code with which a call is refused before it reaches a service; None: let it through.

        A call that passes costs quota, whatever becomes of it.
        """
        if key is None or key not in keys:
            return "30"
        if self.rate_per_second and operation != "address":  # Kakao publishes no rate
            recent, now = self._recent[key], self._clock()
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= self.rate_per_second:
                return "23"
            recent.append(now)
        spent = (key, operation, self._today())
        if self._spent[spent] >= self.daily_quota:
            return "22"
        self._spent[spent] += 1
        return None

    def outcome(self, operation: Operation, subject: str) -> tuple[Outcome, Random]:
        """What becomes of this ask of a subject; the same for the same seed and the same number of asks."""
        self.account.asked[operation][subject] += 1
        draw = Random(f"{self._chosen.seed} trouble {operation} {subject} {self.account.asked[operation][subject]}")
        trouble = self.trouble
        if trouble.operations and operation not in trouble.operations:
            return "fine", draw
        shares: list[tuple[Outcome, float]] = [
            ("timeout", trouble.timeouts),
            ("error", trouble.errors),
            ("malformed", trouble.malformed),
            ("bomb", trouble.bombs),
            ("html", trouble.html),
        ]
        if operation == "complexes":
            shares.append(("duplicate page", trouble.duplicate_pages))
        for outcome, share in shares:
            if draw.random() < share:
                return outcome, draw
        return "fine", draw

    def set_trouble(self, trouble: Trouble) -> None:
        """From the next call on."""
        self.trouble = trouble
