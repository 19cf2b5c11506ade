"""Fetching energy by lot: whole legal dongs, page by page, or lot by lot where the service refuses that."""

from collections.abc import Callable, Collection, Sequence

from apis import parcels
from apis.client import Client, Clock, Fetched, GivenUpError, milliseconds
from apis.data_go_kr import Answer
from apis.endpoints import Call, WrongCallError
from generators.pollers.carbon import checks, messages
from generators.pollers.carbon.messages import BUILDINGS
from generators.pollers.carbon.plan import BUILDINGS_ROWS, Calls, Lots
from generators.pollers.state import Message, Outcome, State

# What came, and the page or the lot's number that goes behind the key.
_Part = tuple[Fetched, Answer, str]


class Buildings:
    """One run's calls of the building energy service.

    Args:
        calls: The operations.
        client: Makes them.
        state: What is known, and the spool.
        clock: The time.
        malformed_attempts: After so many answers that can't be read a legal dong's month is left as it is.
        say: Tells people.
        send: Takes messages from the spool.
    """

    def __init__(
        self,
        calls: Calls,
        client: Client,
        state: State,
        clock: Clock,
        malformed_attempts: int,
        say: Callable[[str], None],
        send: Callable[[Sequence[Message]], None],
    ) -> None:
        self._calls = calls
        self._client = client
        self._state = state
        self._clock = clock
        self._malformed_attempts = malformed_attempts
        self._say = say
        self._send = send
        # Whether the service has refused a call without a lot.
        self._by_lot = False
        # What came before another part of the same month was put off.
        self._came: dict[str, tuple[Fetched, Answer]] = {}

    async def fetch(self, asked: Lots, lots: Collection[str]) -> None:
        """Fetch a legal dong's month: each part goes on as it came, all at once.

        Args:
            asked: legal dong, month and item.
            lots: those that the addresses of its complexes name, asked for one by one where a whole dong is refused.
        """
        operation, key = f"buildings_{asked[2]}", messages.buildings_key(*asked)
        known = self._state.answer(operation, key)
        try:
            parts = await self._parts(asked, int(known.result) if known and known.result else 1, lots)
        except GivenUpError:
            self._state.give_up(operation, [key], milliseconds(self._clock.now()), self._malformed_attempts)
            return
        sent = [
            Message(BUILDINGS, f"{key}|{part}", fetched.body, fetched.url, fetched.fetched_ms)
            for fetched, _, part in parts
        ]
        outcome: Outcome = "values" if any(answer.items for _, answer, _ in parts) else "none"
        at = max((fetched.fetched_ms for fetched, _, _ in parts), default=milliseconds(self._clock.now()))
        pages = sum(part.isdecimal() for _, _, part in parts)
        # Those that were unreadable before are readable now.
        read = [f"{key}|{part}" for _, _, part in parts if self._state.answer(operation, f"{key}|{part}")]
        kept = [(each, outcome) for each in (key, *read)]
        self._send(self._state.keep(operation, kept, at, sent, str(pages) if pages else None))
        for _, _, part in parts:
            self._came.pop(f"{key}|{part}", None)

    async def _parts(self, asked: Lots, known: int, lots: Collection[str]) -> list[_Part]:
        if not self._by_lot:
            try:
                return await self._pages(asked, known)
            except WrongCallError as error:
                if not self._by_lot:
                    self._say(f"buildings: asked lot by lot from now on: {error}")
                self._by_lot = True
        numbers = sorted(set(map(parcels.number, lots)))
        return [(*await self._ask(self._calls.lots(asked, number=number), asked), number) for number in numbers]

    async def _pages(self, asked: Lots, known: int) -> list[_Part]:
        """All pages of a legal dong's month, and those that there were before: they may be empty now."""
        parts: list[_Part] = []
        page, total = 1, 0
        while page == 1 or page <= known or (page - 1) * BUILDINGS_ROWS < total:
            fetched, answer = await self._ask(self._calls.lots(asked, page), asked)
            parts.append((fetched, answer, str(page)))
            total, page = answer.total, page + 1
        return parts

    async def _ask(self, call: Call[Answer], asked: Lots) -> tuple[Fetched, Answer]:
        if call.subject not in self._came:
            self._came[call.subject] = await self._client.ask(call, _is_of(asked, call.subject))
        return self._came[call.subject]


def _is_of(asked: Lots, key: str) -> checks.Check:
    """Each row is of this legal dong and month."""

    def check(answer: Answer) -> None:
        checks.one_of("useYm", {f"{asked[1]:%Y%m}"})(answer)
        checks.one_of("sigunguCd", {key[:5]})(answer)
        checks.one_of("bjdongCd", {key[5:10]})(answer)

    return check
