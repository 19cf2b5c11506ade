"""The way of every call: key, rate and quota, deliberate trouble, the service, and the account of all of them.

A service is a module of its own with `add(app, simulation)`, registered in `app.SERVICES`. It says as a `Provider` how
its gateway refuses and fails; `Simulation.answer` does the rest.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as time_of_day
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from fastapi import Response

from conf.settings import Simulator, Trouble
from generators.simulator import envelopes

Refusal = Literal["key", "rate", "quota"]
Outcome = Literal["fine", "timeout", "error", "malformed", "bomb", "html", "duplicate page"]
# What was answered, as the account counts it.
NO_DATA = "03"
FINE = "00"


@dataclass(frozen=True)
class Provider:
    """Whose services stand behind a gateway, and how it answers where they don't.

    Attributes:
        keys: The keys it knows, decoded.
        is_rated: Whether it counts calls per second.
        refuse: Its answer to a refused call, with the code it shows.
        fail: Its answer to a call that goes wrong, with the code; the last argument says whether JSON was asked for.
        per_minute: Calls per key, operation and minute of the clock; 0: it counts none.
    """

    keys: tuple[str, ...]
    is_rated: bool
    refuse: Callable[[Refusal], tuple[str, Response]]
    fail: Callable[[Outcome, Random, bool], tuple[str, Response]]
    per_minute: int = 0


@dataclass(frozen=True)
class Body:
    """What a service answers.

    Attributes:
        content: The body.
        code: How the account counts it.
        as_json: Its format.
        status: HTTP's.
    """

    content: bytes
    code: str = FINE
    as_json: bool = True
    status: int = 200

    @property
    def response(self) -> Response:
        """As HTTP sends it."""
        kind = "application/json" if self.as_json else "text/xml"
        return Response(self.content, self.status, media_type=f"{kind};charset=UTF-8")


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

    def note(self, operation: str, key: str, outcome: str, subject: str | None = None) -> None:
        """Count a call; an answer with data, or without any because there are none, counts as answered."""
        self.calls[operation][key][outcome] += 1
        if subject is not None and outcome in (FINE, NO_DATA):
            self.answered[operation][subject] += 1


def shown(key: str) -> str:
    """A key as it may be shown: somebody may have sent a real one."""
    return f"{key[:4]}…" if len(key) > 4 else key


class Gateway:
    """What stands in front of the services.

    Args:
        chosen: Quota, rate and trouble.
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
        self._seed = chosen.seed
        self._today = today
        self._clock = clock
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._spent: Counter[tuple[str, str, date]] = Counter()
        self._minute: Counter[tuple[str, str, int]] = Counter()

    def refusal(
        self, operation: str, key: str | None, keys: tuple[str, ...], *, is_rated: bool, per_minute: int = 0
    ) -> Refusal | None:
        """Why a call is refused before it reaches a service; None: let it through.

        A call that passes costs quota, whatever becomes of it.
        """
        if key is None or key not in keys:
            return "key"
        if self.rate_per_second and is_rated:
            recent, now = self._recent[key], self._clock()
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= self.rate_per_second:
                return "rate"
            recent.append(now)
        if per_minute:
            minute = (key, operation, int(time.time() // 60))
            if self._minute[minute] >= per_minute:
                return "rate"
            self._minute[minute] += 1
        spent = (key, operation, self._today())
        if self._spent[spent] >= self.daily_quota:
            return "quota"
        self._spent[spent] += 1
        return None

    def outcome(self, operation: str, subject: str) -> tuple[Outcome, Random]:
        """What becomes of this ask of a subject; the same for the same seed and the same number of asks."""
        self.account.asked[operation][subject] += 1
        draw = Random(f"{self._seed} trouble {operation} {subject} {self.account.asked[operation][subject]}")
        trouble = self.trouble
        if trouble.operations and operation not in trouble.operations:
            return "fine", draw
        shares: list[tuple[Outcome, float]] = [
            ("timeout", trouble.timeouts),
            ("error", trouble.errors),
            ("malformed", trouble.malformed),
            ("bomb", trouble.bombs),
            ("html", trouble.html),
            ("duplicate page", trouble.duplicate_pages),
        ]
        for outcome, share in shares:
            if draw.random() < share:
                return outcome, draw
        return "fine", draw

    def set_trouble(self, trouble: Trouble) -> None:
        """From the next call on."""
        self.trouble = trouble


@dataclass
class Simulation:
    """What the services share while they run."""

    chosen: Simulator
    zone: ZoneInfo
    today_is: date | None = None
    gateway: Gateway = field(init=False)

    def __post_init__(self) -> None:
        self.today_is = self.chosen.today
        self.gateway = Gateway(self.chosen, self.today)

    def today(self) -> date:
        """The day in Korea, unless another is set."""
        return self.today_is or datetime.now(self.zone).date()

    def now(self) -> datetime:
        """The time in Korea; of a day that is set, its last moment."""
        if self.today_is is None:
            return datetime.now(self.zone)
        return datetime.combine(self.today_is, time_of_day.max, self.zone)

    async def answer(
        self,
        provider: Provider,
        operation: str,
        key: str | None,
        subject: str,
        body: Callable[[], Body],
        repeated: Callable[[], Body] | None = None,
    ) -> Response:
        """A call's way: key and quota, then trouble, then the service.

        Args:
            provider: Whose gateway it passes.
            operation: Which operation is called.
            key: The key as it arrived, decoded once.
            subject: What is asked, to tell a repeated call.
            body: The service's answer.
            repeated: Another page's, for a service that has pages.
        """
        gateway, name = self.gateway, shown(key or "none")
        if refusal := gateway.refusal(
            operation, key, provider.keys, is_rated=provider.is_rated, per_minute=provider.per_minute
        ):
            code, refused = provider.refuse(refusal)
            gateway.account.note(operation, name, code)
            return refused
        if gateway.trouble.slow_seconds:
            await asyncio.sleep(gateway.trouble.slow_seconds)
        outcome, draw = gateway.outcome(operation, subject)
        if outcome == "timeout":
            gateway.account.note(operation, name, outcome)
            await asyncio.sleep(gateway.trouble.hang_seconds)
            return provider.fail(outcome, draw, body().as_json)[1]
        if outcome == "error":
            code, failed = provider.fail(outcome, draw, body().as_json)
            gateway.account.note(operation, name, code)
            return failed
        if outcome == "duplicate page" and repeated is not None:
            gateway.account.note(operation, name, outcome)
            return repeated().response
        answer = body()
        if outcome in ("fine", "duplicate page"):
            gateway.account.note(operation, name, answer.code, subject)
            return answer.response
        gateway.account.note(operation, name, outcome)
        if outcome == "bomb":
            return Body(envelopes.BOMB, as_json=False).response
        if outcome == "html":
            return Response(envelopes.HTML, media_type="text/html;charset=UTF-8")
        content = answer.content
        return Body(content[: draw.randint(len(content) // 4, len(content) - 8)], as_json=answer.as_json).response
