"""Calls of public APIs: rate limit, quota, time-outs, tries; what comes back is an answer or a reason to wait.

The client knows no API: `apis.endpoints` says what it needs, as data. Pollers use it, and so may jobs.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar, cast

import httpx
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, wait_asked
from apis.endpoints import Api, ApiError, Call, Endpoint, WrongCallError
from apis.quota import Quotas, Window

# More than Kafka takes in one record is no answer of these services.
_MOST_BYTES = 900_000
_FIRST_PAUSE_SECONDS = 0.25
T = TypeVar("T")


class QuotaSpentError(Exception):
    """No more calls of this operation until then."""

    def __init__(self, operation: str, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.operation = operation
        self.until = until


class PutOffError(Exception):
    """Every try of a call failed; it may do better later.

    Attributes:
        last: what the last try failed of.
    """

    def __init__(self, last: Exception) -> None:
        super().__init__(str(last))
        self.last = last


class NotYetError(Exception):
    """The service has no data for that day yet."""


class GivenUpError(Exception):
    """The answer was unreadable as often as is allowed."""


class _TransientError(Exception):
    """A failure that the next try may not have, at the earliest after so many seconds."""

    def __init__(self, text: str, cause: Exception | None = None, seconds: float = 0) -> None:
        super().__init__(text)
        self.cause = cause or self
        self.seconds = seconds


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
class Fetched:
    """A good answer: the body as it came, when, and from which address (without the key)."""

    body: bytes
    fetched_ms: int
    url: str


@dataclass(frozen=True)
class Patience:
    """How a call is tried.

    Attributes:
        timeout_seconds: of a whole call.
        attempts: tries of a call, with growing random pauses.
        longest_pause_seconds: between two tries; whoever asks for a longer one is asked again when it is over.
        malformed_attempts: tries of a call that gets nothing but bodies that can't be read; where that is more than
            `attempts`, it is put off in between.
        concurrency: calls at the same time.
    """

    timeout_seconds: float
    attempts: int
    longest_pause_seconds: float
    malformed_attempts: int
    concurrency: int


Unreadable = Callable[[Call[Any], Fetched, UnreadableError], int]
"""Called with a body that can't be read and why; returns how often that was so for this call."""


def milliseconds(moment: datetime) -> int:
    """A moment as it is kept."""
    return round(moment.timestamp() * 1000)


def _anything(_: object) -> None:
    """The check of whoever checks nothing."""


class Client:
    """Any number of APIs, called as their terms allow; made where the event loop runs.

    Args:
        patience: How often and how long a call is tried.
        quotas: Where calls are counted; a call of it is short, and holds the event loop.
        clock: The time.
        unreadable: Keeps bodies that can't be read; None: they are counted here, over all asks of a call.
        stop: Once set, no call is tried again.
    """

    def __init__(
        self,
        patience: Patience,
        quotas: Quotas,
        *,
        clock: Clock | None = None,
        unreadable: Unreadable | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._patience = patience
        self._quotas = quotas
        self._clock = clock or SystemClock()
        self._unreadable = unreadable or self._count
        self._unread: Counter[tuple[str, str]] = Counter()
        self._stop = stop or asyncio.Event()
        self._limiters: dict[str, AsyncLimiter] = {}
        most = patience.concurrency * 2
        self._http = httpx.AsyncClient(
            timeout=patience.timeout_seconds,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def quota_left(self, endpoint: Endpoint[Any]) -> int:
        """How many calls of an operation its quota leaves now, by the count kept here."""
        now, holder = self._clock.now(), endpoint.api.access.holder
        if self._quotas.refused_until(holder, endpoint.name, now):
            return 0
        window = endpoint.quota.window(now, endpoint.api.zone)
        return max(0, endpoint.quota.calls - self._quotas.spent(window, holder, endpoint.name))

    async def ask(self, call: Call[T], check: Callable[[T], None] = _anything) -> tuple[Fetched, T]:
        """Make a call until it is answered.

        Args:
            call: The call.
            check: Raises UnreadableError where an answer is about something else than the call, RefusedError where
                it is worth another try.

        Raises:
            QuotaSpentError: the quota is spent, or the service asked to wait.
            PutOffError: every try failed.
            NotYetError: there is no data yet.
            GivenUpError: the answer was unreadable too often.
            ApiError: it makes no sense to go on; WrongCallError, with this call.
        """
        growing = wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=self._patience.longest_pause_seconds)

        def pause(tried: RetryCallState) -> float:
            error = tried.outcome.exception() if tried.outcome else None
            return max(growing(tried), error.seconds if isinstance(error, _TransientError) else 0)

        tries = AsyncRetrying(
            retry=retry_if_exception_type(_TransientError),
            stop=lambda tried: self._stop.is_set() or tried.attempt_number >= self._patience.attempts,
            wait=pause,
            sleep=self._sleep,
            reraise=True,
        )
        once = cast("Callable[..., Awaitable[tuple[Fetched, T]]]", self._once)
        try:
            return await tries(once, call, check)
        except _TransientError as error:
            raise PutOffError(error.cause) from None

    async def _once(self, call: Call[T], check: Callable[[T], None]) -> tuple[Fetched, T]:
        api = call.endpoint.api
        await self._limiter(api).acquire()
        window = self._spend(call.endpoint)
        url = call.url
        try:
            async with asyncio.timeout(self._patience.timeout_seconds):
                response = await self._send(call, url)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._quotas.refund(window, api.access.holder, call.endpoint.name)
            msg = f"{api.access.url} can't be reached ({type(error).__name__})"
            raise _TransientError(msg) from None
        except (httpx.TimeoutException, TimeoutError):
            msg = f"no answer within {self._patience.timeout_seconds:g} s"
            raise _TransientError(msg) from None
        except httpx.RequestError as error:
            msg = f"the connection broke ({type(error).__name__})"
            raise _TransientError(msg) from None
        fetched = Fetched(response.body[:_MOST_BYTES], milliseconds(self._clock.now()), str(url))
        try:
            answer = _read(api, response, check)
        except UnreadableError as error:
            if self._unreadable(call, fetched, error) >= self._patience.malformed_attempts:
                self._unread.pop(_name(call), None)
                raise GivenUpError(str(error)) from None
            raise _TransientError(str(error), error) from None
        except RefusedError as error:
            raise self._reaction(call.endpoint, window, response, error) from None
        self._unread.pop(_name(call), None)
        return fetched, answer

    def _count(self, call: Call[Any], _fetched: Fetched, _error: UnreadableError) -> int:
        self._unread[_name(call)] += 1
        return self._unread[_name(call)]

    async def _send(self, call: Call[Any], url: httpx.URL) -> Response:
        """The answer; of a body that is too long, enough to know it."""
        api, body = call.endpoint.api, bytearray()
        async with self._http.stream(
            call.endpoint.method,
            url.copy_merge_params(dict(api.parameters)),
            headers={**api.headers, **call.endpoint.headers},
            json=call.json,
        ) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    break
        headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, bytes(body), headers)

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless it is time to stop."""
        asleep = asyncio.ensure_future(self._clock.sleep(seconds))
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({asleep, stopped}, return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        stopped.cancel()

    def _limiter(self, api: Api[Any]) -> AsyncLimiter:
        """A tenth of a second's worth at once: nothing like a burst reaches the service."""
        if api.name not in self._limiters:
            self._limiters[api.name] = AsyncLimiter(
                max(1.0, api.rate_per_second / 10), max(0.1, 1 / api.rate_per_second)
            )
        return self._limiters[api.name]

    def _spend(self, endpoint: Endpoint[Any]) -> Window:
        """Count the call that follows; return the window it counts for.

        Raises:
            QuotaSpentError: it would be one too many, or the service said that it will not answer.
        """
        now, holder, quota = self._clock.now(), endpoint.api.access.holder, endpoint.quota
        if until := self._quotas.refused_until(holder, endpoint.name, now):
            raise QuotaSpentError(endpoint.name, until, "the service says that its quota is spent")
        window = quota.window(now, endpoint.api.zone)
        if not self._quotas.spend(window, holder, endpoint.name, quota.calls):
            when = "today" if quota.per == "day" else "this minute"
            raise QuotaSpentError(endpoint.name, window.ends, f"all {quota.calls:,} calls of {when} are spent")
        return window

    def _reaction(self, endpoint: Endpoint[Any], window: Window, response: Response, error: RefusedError) -> Exception:
        now = self._clock.now()
        asked = wait_asked(response.headers, now)
        match error.reaction:
            case Reaction.RETRY if asked is None or asked <= self._patience.longest_pause_seconds:
                return _TransientError(str(error), error, asked or 0)
            case Reaction.RETRY | Reaction.SPENT:
                until = window.ends if asked is None else now + timedelta(seconds=asked)
                self._quotas.refuse(endpoint.api.access.holder, endpoint.name, until)
                said = "its quota is spent" if error.reaction is Reaction.SPENT else "it will not answer before"
                return QuotaSpentError(endpoint.name, until, f"the service says that {said} ({error})")
            case Reaction.NOT_YET:
                return NotYetError(str(error))
            case _:
                refused = WrongCallError if error.reaction is Reaction.CONFIGURATION else ApiError
                return refused(f"{endpoint.api.access.url} refused {endpoint.name} ({error}): {error.remedy}")


def _name(call: Call[Any]) -> tuple[str, str]:
    return call.endpoint.name, call.subject


def _read(api: Api[T], response: Response, check: Callable[[T], None]) -> T:
    """What an answer says; whatever else its reader stumbles over is an answer that can't be read, too."""
    if len(response.body) > _MOST_BYTES:
        raise UnreadableError(Flaw.TOO_LONG, f"more than {_MOST_BYTES:,} bytes")
    try:
        answer = api.read(response)
        check(answer)
    except (RefusedError, UnreadableError):
        raise
    except Exception as error:
        raise UnreadableError(Flaw.NOT_AN_ANSWER, f"{type(error).__name__}: {error}") from error
    return answer
