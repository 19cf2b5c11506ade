"""Calls of the public APIs: rate limit, quota, time-outs, tries; what comes back is an answer or a reason to wait."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol, TypeVar, cast
from urllib.parse import unquote

import httpx
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from apis import calendar
from apis import data_go_kr as answers
from apis.data_go_kr import Answer, Reaction, RefusedError, UnreadableError
from conf.errors import CitystreamError
from conf.settings import Settings
from generators.pollers.state import State, account, milliseconds

Operation = Literal["complexes", "basis", "energy", "weather", "address"]
OPERATIONS: tuple[Operation, ...] = ("complexes", "basis", "address", "energy", "weather")

# More than Kafka takes in one record is no answer of these services.
_MOST_BYTES = 900_000
_FIRST_PAUSE_SECONDS = 0.25
T = TypeVar("T")


class PollerError(CitystreamError):
    """The run can't go on; the message says why and what to do."""


class QuotaSpentError(Exception):
    """No more calls of this operation until then."""

    def __init__(self, operation: Operation, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.operation = operation
        self.until = until


class PutOffError(Exception):
    """Every try of a call failed; it may do better later."""


class NotYetError(Exception):
    """The service has no data for that day yet."""


class GivenUpError(Exception):
    """The answer was unreadable as often as is allowed."""


class _TransientError(Exception):
    """A failure that the next try may not have."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        operation: What is called.
        subject: What it is about; with the operation it names the call over all runs.
        parameters: Of the query, without the key.
    """

    operation: Operation
    subject: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Fetched:
    """A good answer: the body as it came, when, and from which address (without the key)."""

    body: bytes
    fetched_ms: int
    url: str


Unreadable = Callable[[Call, Fetched, str], int]
"""Called with a body that can't be read and why; returns how often that was so for this call."""


@dataclass(frozen=True)
class Access:
    """How a host is reached: its address, and the key with a name for it that doesn't tell it."""

    url: str
    key: str
    holder: str


def decoded(key: str) -> str:
    """A service key in its decoded form; data.go.kr hands out both, and only an encoded one has a per cent sign."""
    return unquote(key) if "%" in key else key


def data_go_kr(settings: Settings) -> Access:
    """Where data.go.kr is, or the simulator, and the key for it.

    Raises:
        PollerError: there is no key.
    """
    pollers, simulator = settings.pollers, settings.simulator
    key = pollers.service_key.get_secret_value() if pollers.service_key else ""
    if not key and pollers.data_go_kr_url is None:
        key = simulator.service_keys[0]
    if not key:
        msg = "there is no key for data.go.kr: set DATA_GO_KR_SERVICE_KEY to the one of your account there"
        raise PollerError(msg)
    key = decoded(key.strip())
    return Access((pollers.data_go_kr_url or simulator.url).rstrip("/"), key, account(key))


def kakao(settings: Settings) -> Access | None:
    """Where Kakao Local is, or the simulator, and the key; None: no key, so no addresses are looked up."""
    pollers, simulator = settings.pollers, settings.simulator
    key = pollers.kakao_key.get_secret_value().strip() if pollers.kakao_key else ""
    if not key and pollers.kakao_url is None and pollers.data_go_kr_url is None:
        key = simulator.kakao_keys[0]
    if not key:
        return None
    return Access((pollers.kakao_url or simulator.url).rstrip("/"), key, account(key))


class Client:
    """The public APIs, as their terms allow to call them.

    Args:
        settings: Addresses, keys, quotas, rate and tries.
        state: Where calls are counted.
        clock: The time.
        unreadable: Keeps bodies that can't be read.
        stop: Once set, no call is tried again.

    Raises:
        PollerError: there is no key.
    """

    def __init__(
        self, settings: Settings, state: State, clock: Clock, unreadable: Unreadable, stop: asyncio.Event
    ) -> None:
        chosen = settings.pollers
        self._chosen = chosen
        self._state = state
        self._clock = clock
        self._unreadable = unreadable
        self._stop = stop
        self._data_go_kr = data_go_kr(settings)
        self._kakao = kakao(settings)
        # A tenth of a second's worth at once: nothing like a burst reaches the service.
        self._limiters = {
            name: AsyncLimiter(max(1.0, chosen.rate_per_second / 10), max(0.1, 1 / chosen.rate_per_second))
            for name in ("data.go.kr", "kakao")
        }
        self._http = httpx.AsyncClient(
            timeout=chosen.timeout_seconds,
            limits=httpx.Limits(
                max_connections=chosen.concurrency * 2, max_keepalive_connections=chosen.concurrency * 2
            ),
            follow_redirects=False,
        )

    @property
    def geocodes(self) -> bool:
        """Whether addresses are looked up."""
        return self._kakao is not None

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def quota_left(self, operation: Operation) -> int:
        """How many calls of an operation today's quota leaves, by the count kept here."""
        access, now = self._access(operation), self._clock.now()
        if self._state.refused_until(access.holder, operation, now):
            return 0
        return max(0, self.quota(operation) - self._state.spent(calendar.day_of(now), access.holder, operation))

    def quota(self, operation: Operation) -> int:
        """How many calls of an operation a whole day allows."""
        return int(getattr(self._chosen.daily_quota, operation))

    def _access(self, operation: Operation) -> Access:
        if operation != "address":
            return self._data_go_kr
        if self._kakao is None:
            msg = "there is no key for Kakao: set KAKAO_REST_KEY"
            raise PollerError(msg)
        return self._kakao

    async def items(self, call: Call, check: Callable[[Answer], None]) -> tuple[Fetched, Answer]:
        """Make a call of data.go.kr until it is answered.

        Args:
            call: The call.
            check: Raises UnreadableError where an answer is about something else than the call.

        Raises:
            QuotaSpentError: the day's quota is spent.
            PutOffError: every try failed.
            NotYetError: there is no data yet.
            GivenUpError: the answer was unreadable too often.
            PollerError: it makes no sense to go on.
        """

        def read(status: int, body: bytes) -> Answer:
            answer = answers.read(status, body)
            check(answer)
            return answer

        return await self._tried(call, read)

    async def position(self, call: Call) -> tuple[Fetched, tuple[float, float] | None]:
        """Look an address up, (lat, lon); raises what `items` does."""
        return await self._tried(call, answers.read_address)

    async def _tried(self, call: Call, read: Callable[[int, bytes], T]) -> tuple[Fetched, T]:
        tries = AsyncRetrying(
            retry=retry_if_exception_type(_TransientError),
            stop=lambda tried: self._stop.is_set() or tried.attempt_number >= self._chosen.attempts,
            wait=wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=self._chosen.longest_pause_seconds),
            sleep=self._sleep,
            reraise=True,
        )
        once = cast("Callable[..., Awaitable[tuple[Fetched, T]]]", self._once)
        try:
            return await tries(once, call, read)
        except _TransientError as error:
            raise PutOffError(str(error)) from None

    async def _once(self, call: Call, read: Callable[[int, bytes], T]) -> tuple[Fetched, T]:
        access = self._access(call.operation)
        await self._limiters["kakao" if call.operation == "address" else "data.go.kr"].acquire()
        today = self._spend(call.operation, access)
        url = httpx.URL(access.url + getattr(self._chosen.operations, call.operation), params=dict(call.parameters))
        headers = {}
        if call.operation == "address":
            asked, headers["Authorization"] = url, f"KakaoAK {access.key}"
        else:
            asked = url.copy_merge_params({"serviceKey": access.key})
        try:
            async with asyncio.timeout(self._chosen.timeout_seconds):
                status, body = await self._get(asked, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._state.refund(today, access.holder, call.operation)
            msg = f"{access.url} can't be reached ({type(error).__name__})"
            raise _TransientError(msg) from None
        except (httpx.TimeoutException, TimeoutError):
            msg = f"no answer within {self._chosen.timeout_seconds:g} s"
            raise _TransientError(msg) from None
        except httpx.RequestError as error:
            msg = f"the connection broke ({type(error).__name__})"
            raise _TransientError(msg) from None
        fetched = Fetched(body[:_MOST_BYTES], milliseconds(self._clock.now()), str(url))
        try:
            if len(body) > _MOST_BYTES:
                msg = f"more than {_MOST_BYTES:,} bytes"
                raise UnreadableError(msg)
            return fetched, read(status, body)
        except UnreadableError as error:
            if self._unreadable(call, fetched, str(error)) >= self._chosen.malformed_attempts:
                raise GivenUpError(str(error)) from None
            raise _TransientError(str(error)) from None
        except RefusedError as error:
            raise self._reaction(call, access, error) from None

    async def _get(self, url: httpx.URL, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body; of a body that is too long, enough to know it."""
        body = bytearray()
        async with self._http.stream("GET", url, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    break
        return response.status_code, bytes(body)

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless it is time to stop."""
        asleep = asyncio.ensure_future(self._clock.sleep(seconds))
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({asleep, stopped}, return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        stopped.cancel()

    def _spend(self, operation: Operation, access: Access) -> date:
        """Count the call that follows; return the day it counts for.

        Raises:
            QuotaSpentError: it would be one too many, or the service said so today.
        """
        now = self._clock.now()
        today = calendar.day_of(now)
        if until := self._state.refused_until(access.holder, operation, now):
            raise QuotaSpentError(operation, until, "the service says that today's quota is spent")
        quota = self.quota(operation)
        if not self._state.spend(today, access.holder, operation, quota):
            raise QuotaSpentError(operation, calendar.next_day(now), f"all {quota:,} calls of today are spent")
        return today

    def _reaction(self, call: Call, access: Access, error: RefusedError) -> Exception:
        match error.reaction:
            case Reaction.RETRY:
                return _TransientError(str(error))
            case Reaction.NEXT_DAY:
                until = calendar.next_day(self._clock.now())
                self._state.refuse(access.holder, call.operation, until)
                return QuotaSpentError(call.operation, until, f"the service says that today's quota is spent ({error})")
            case Reaction.NOT_YET:
                return NotYetError(str(error))
            case _:
                return PollerError(f"{access.url} refused {call.operation} ({error}): {error.remedy}")
