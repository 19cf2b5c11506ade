"""What is looked up for events that are new or have moved: places near them, and flights there and back.

Each question is put once, whichever event needs it, and its answer is kept for some days.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from apis import google_places, overpass
from apis.client import GivenUpError, NotYetError, Patience
from apis.duffel import endpoint as flights_endpoint
from apis.duffel import flights_of_day
from apis.endpoints import Call, Endpoint
from apis.kept import KeptAnswers
from apis.places import Provider, Spot
from conf.airports import Airport, distance_km
from conf.settings import LookUps, Settings
from jobs.flow.datastreams import rows, sql_pairs
from jobs.flow.emitted import row, row_type
from jobs.flow.lookups import UNREADABLE_ATTEMPTS, Answered, Caller, Connect, Pace, look_up
from jobs.flow.totals import first_per_key
from jobs.rules.events.lookups import FLIGHTS, PLACES
from jobs.rules.events.rows import FlightOffer, NearbyPlace
from jobs.rules.line import Answer

PROVIDERS: dict[str, Callable[[Settings], Provider]] = {
    "overpass": overpass.provider,
    "google": google_places.provider,
}
QUESTION = Types.ROW_NAMED(["question"], [Types.STRING()])
# The calls that a question takes.
Calls = Callable[[Endpoint[Any], str], Sequence[Call[Any]]]
_DAY_MS = 86_400_000
# A day has begun everywhere on earth so many hours after it began in the first place.
_FIRST_DAY_AHEAD = timedelta(hours=14)


def provider_of(settings: Settings) -> Provider:
    """Of places, as the settings choose it.

    Raises:
        ApiError: its address and key don't go together.
    """
    return PROVIDERS[settings.events.places.provider](settings)


def places(tables: StreamTableEnvironment, provider: Provider, settings: Settings, *, name: str) -> DataStream:
    """Rows of `NearbyPlace` for what the view `asked` asks of places."""
    chosen = settings.events.places
    keep_days = getattr(chosen.keep_days, provider.name)
    # An answer is kept no longer than what it tells.
    holds_days, keep_ms = min(chosen.cached_days, keep_days), int(keep_days * _DAY_MS)
    calls = partial(_around, provider)
    connect = _connect(provider.endpoint, calls, chosen, timedelta(days=holds_days), settings)

    def answered(waiting: Row, answer: Answer) -> Iterator[Row]:
        fetched_at, spots = answer.value or (0, ())
        lat, lon = _position(waiting[0])
        for spot in map(Spot._make, spots):
            metres = round(distance_km((lat, lon), (spot.lat, spot.lon)) * 1000)
            about = (waiting[0], provider.name, *spot, metres, provider.attribution)
            yield row(NearbyPlace(*about, fetched_at, fetched_at + keep_ms))

    return _look_up(tables, PLACES, connect, answered, chosen, holds_days, NearbyPlace, name=name)


def flights(
    tables: StreamTableEnvironment, airports: Sequence[Airport], settings: Settings, *, name: str
) -> DataStream:
    """Rows of `FlightOffer` for what the view `asked` asks of flights."""
    chosen, home = settings.events.flights, settings.events.trip.home
    holds_days, keep_ms = min(chosen.cached_days, chosen.keep_days), int(chosen.keep_days * _DAY_MS)
    countries = {airport.code: airport.country for airport in airports}
    connect = _connect(flights_endpoint(settings), _of_day, chosen, timedelta(days=holds_days), settings)

    def answered(waiting: Row, answer: Answer) -> Iterator[Row]:
        fetched_at, offers = answer.value or (0, ())
        origin, destination, day = waiting[0].split("|")
        country = countries.get(destination if origin == home else origin)
        for offer in offers:
            told = (origin, destination, day, offer[0], country, *offer[1:], fetched_at, fetched_at + keep_ms)
            yield row(FlightOffer._make(told))

    return _look_up(tables, FLIGHTS, connect, answered, chosen, holds_days, FlightOffer, name=name)


class Asking(Caller):
    """An operation that questions are put to; see `jobs.flow.lookups.Service`.

    Args:
        calls: those that a question takes.
        holds: for how long an answer is kept.
        endpoint, patience, url, rate_per_second: as `Caller`; answers are kept in that database, too.
    """

    def __init__(
        self,
        calls: Calls,
        holds: timedelta,
        endpoint: Endpoint[Any],
        patience: Patience,
        url: str,
        rate_per_second: float,
    ) -> None:
        super().__init__(endpoint, patience, url, rate_per_second)
        self._calls = calls
        self._holds = holds
        self._kept = KeptAnswers(url, f"{endpoint.name} {endpoint.api.name}")

    async def ask(self, key: str) -> tuple[int, Sequence[Sequence[Any]]]:
        """When it was answered (ms), and all that the calls found, as plain values that JSON holds.

        Raises:
            GivenUpError: the service refuses this question, and would refuse it again.
        """
        now = datetime.now(UTC)
        if kept := self._kept.find(key, now):
            return kept[0], kept[1]
        answer = await self._answer(key)
        self._kept.keep(key, answer, now + self._holds)
        return answer

    async def _answer(self, key: str) -> tuple[int, Sequence[Sequence[Any]]]:
        found: list[Sequence[Any]] = []
        fetched_ms = 0
        for call in self._calls(self._endpoint, key):
            try:
                fetched, answer = await self._client.ask(call)
            except NotYetError as error:
                raise GivenUpError(str(error)) from None
            fetched_ms = max(fetched_ms, fetched.fetched_ms)
            found += map(list, answer)
        return fetched_ms, found

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        self._kept.close()


def _connect(endpoint: Endpoint[Any], calls: Calls, chosen: LookUps, holds: timedelta, settings: Settings) -> Connect:
    shared = settings.pollers
    patience = Patience(
        timeout_seconds=chosen.timeout_seconds,
        attempts=shared.attempts,
        longest_pause_seconds=shared.longest_pause_seconds,
        malformed_attempts=UNREADABLE_ATTEMPTS,
        concurrency=chosen.concurrency,
    )
    return partial(Asking, calls, holds, endpoint, patience, settings.postgres.url.get_secret_value())


def _look_up(
    tables: StreamTableEnvironment,
    operation: str,
    connect: Connect,
    answered: Answered,
    chosen: LookUps,
    holds_days: float,
    columns: type,
    *,
    name: str,
) -> DataStream:
    """Ask what is asked for the first time in `holds_days`; what is asked again never reaches Python."""
    uid = f"{name}.{operation}"
    asked = rows(tables, f"{name}/asked", name=f"{name}/{operation}_asked", operation=operation)
    first = first_per_key(asked, "question", ttl_hours=holds_days * 24, name=uid)
    tables.create_temporary_view(f"{operation}_asked", first)
    questions = f"{name}/{operation}_questions"
    waiting = sql_pairs(tables, f"{name}/questions", QUESTION, name=questions, operation=operation)
    pace = Pace(chosen.rate_per_second, chosen.concurrency, chosen.put_off_seconds, holds_days)
    return look_up(waiting, connect, answered, pace, row_type(columns), name=uid)


def _position(question: str) -> tuple[float, float]:
    lat, lon = question.split(",")
    return float(lat), float(lon)


def _around(provider: Provider, at: Endpoint[Any], question: str) -> Sequence[Call[Any]]:
    return provider.calls(at, *_position(question))


def _of_day(at: Endpoint[Any], question: str) -> Sequence[Call[Any]]:
    """No call for a day that may be over where one leaves: it waited for longer than that."""
    origin, destination, day = question.split("|")
    if date.fromisoformat(day) < (datetime.now(UTC) + _FIRST_DAY_AHEAD).date():
        return []
    return [flights_of_day(at, origin, destination, day)]
