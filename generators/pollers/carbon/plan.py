"""Which calls are wanted, given what is known. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from apis import calendar
from apis.client import Call, Operation
from conf.settings import Watch
from generators.pollers.carbon.messages import energy_key, weather_key
from generators.pollers.state import Known, milliseconds

LONGEST_WEATHER_DAYS = 366
_MOST_ROWS = 999


@dataclass(frozen=True)
class Period:
    """The months that a backfill is about, first days both; the weather goes on to yesterday when it ends now."""

    first: date
    last: date

    @classmethod
    def back(cls, months: int, now: datetime) -> "Period":
        """The last so many months that are over."""
        last = calendar.newest_month(now)
        return cls(calendar.months_back(last, months - 1), last)

    @property
    def months(self) -> Sequence[date]:
        """All of them, newest first."""
        return calendar.months(self.first, self.last)

    def days(self, now: datetime) -> Iterator[date]:
        """All days whose weather there may be."""
        newest = calendar.newest_weather(now)
        last = newest if self.last >= calendar.newest_month(now) else min(newest, calendar.last_day(self.last))
        return calendar.days(self.first, last)


def list_call(sido: str, page: int, rows: int, listing: int) -> Call:
    """A page of the list of complexes."""
    parameters = {"sidoCode": sido, "pageNo": str(page), "numOfRows": str(rows)}
    return Call("complexes", f"{sido}|{listing}|{rows}|{page}", parameters)


def basis_call(complex_id: str) -> Call:
    """What K-apt knows of a complex."""
    return Call("basis", complex_id, {"kaptCode": complex_id})


def address_call(address: str) -> Call:
    """Where an address is."""
    return Call("address", address, {"query": address})


def energy_call(complex_id: str, month: date) -> Call:
    """A complex's month."""
    return Call("energy", energy_key(complex_id, month), {"kaptCode": complex_id, "reqDate": f"{month:%Y%m}"})


def weather_call(station: str, first: date, last: date) -> Call:
    """A station's days; at most so many that one answer holds them all."""
    parameters = {
        "pageNo": "1",
        "numOfRows": str(_MOST_ROWS),
        "dataType": "JSON",
        "dataCd": "ASOS",
        "dateCd": "DAY",
        "startDt": f"{first:%Y%m%d}",
        "endDt": f"{last:%Y%m%d}",
        "stnIds": station,
    }
    return Call("weather", f"{station}|{first}|{last}", parameters)


def is_settled(known: Known | None, malformed_attempts: int) -> bool:
    """Whether a backfill asks no more: there was an answer, or it was unreadable as often as is allowed."""
    return known is not None and (known.outcome != "unreadable" or known.tries >= malformed_attempts)


def energy_backfill(
    complexes: Iterable[str], months: Sequence[date], known: Mapping[str, Known], malformed_attempts: int
) -> list[Call]:
    """Every month of every complex that was never answered: newest months first, as they are wanted first."""
    listed = list(complexes)
    calls = (energy_call(complex_id, month) for month in months for complex_id in listed)
    return [call for call in calls if not is_settled(known.get(call.subject), malformed_attempts)]


def weather_backfill(
    stations: Iterable[str], days: Iterable[date], known: Mapping[str, Known], malformed_attempts: int
) -> list[Call]:
    """Every day of every station that was never answered, in as few calls as hold them."""
    wanted = list(days)
    return [
        weather_call(station, first, last)
        for station in stations
        for first, last in calendar.ranges(
            (day for day in wanted if not is_settled(known.get(weather_key(station, day)), malformed_attempts)),
            LONGEST_WEATHER_DAYS,
        )
    ]


def corrections(complexes: Iterable[str], known: Mapping[str, Known], now: datetime, watch: Watch) -> list[Call]:
    """The newest months that were answered a while ago: they may have been corrected since."""
    if not watch.correction_months:
        return []
    last = calendar.newest_month(now)
    before = milliseconds(now - timedelta(days=watch.correction_days))
    listed = list(complexes)
    calls = [
        energy_call(complex_id, month)
        for month in calendar.months(calendar.months_back(last, watch.correction_months - 1), last)
        for complex_id in listed
    ]
    return [call for call in calls if (answer := known.get(call.subject)) and answer.fetched_ms <= before]


def walk_back(complex_id: str, now: datetime, watch: Watch) -> list[Call]:
    """A complex's months, newest first; whoever asks stops at the first that was entered."""
    last = calendar.newest_month(now)
    months = calendar.months(calendar.months_back(last, watch.walk_back_months - 1), last)
    return [energy_call(complex_id, month) for month in months]


def weather_watch(stations: Iterable[str], known: Mapping[str, Known], now: datetime, watch: Watch) -> list[Call]:
    """The last days of every station again, as they are corrected and filled, and what was missed since the first."""
    last = calendar.newest_weather(now)
    recent = set(calendar.days(last - timedelta(days=watch.weather_days - 1), last))
    calls = []
    for station in stations:
        seen = {
            date.fromisoformat(key.split("|")[1])
            for key in known
            if key.startswith(f"{station}|") and key.count("|") == 1
        }
        missed = set(calendar.days(min(seen), last)) - seen if seen else set()
        calls += [weather_call(station, *run) for run in calendar.ranges(recent | missed, LONGEST_WEATHER_DAYS)]
    return calls


@dataclass(frozen=True)
class Estimate:
    """How many calls a run would spend of an operation.

    Attributes:
        operation: The operation.
        calls: How many it would spend, where nothing fails.
        left: What is left of today's quota.
        quota: A whole day's.
        is_assumed: Whether it reckons with complexes that nobody has listed yet.
    """

    operation: Operation
    calls: int
    left: int
    quota: int
    is_assumed: bool = False

    @property
    def more_days(self) -> int:
        """How many days after today it takes."""
        return max(0, -((self.left - self.calls) // self.quota))
