"""Which calls are wanted, given what is known."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from apis import calendar
from apis.client import milliseconds
from apis.data_go_kr import Answer
from apis.endpoints import Api, Call, Endpoint
from apis.kakao import Position
from apis.kma import SHORT, TERMS, Term
from apis.quota import Quota
from conf.settings import Operations, Pollers, Watch
from generators.pollers.carbon.messages import buildings_key, energy_key, issue_key, stands, weather_key
from generators.pollers.state import Known, State

LONGEST_WEATHER_DAYS = 366
_MOST_ROWS = 999
# An issue of the short-term forecast has a thousand and some.
_MOST_ITEMS = 1500
# One that is not there so long after it was to be is not waited for.
_ISSUED_LATE = timedelta(hours=1)
# A page of the building energy service, which has data since then, and of these.
BUILDINGS_ROWS = 100
BUILDINGS_FIRST = date(2020, 1, 1)
METERED = ("electricity", "gas")


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


@dataclass(frozen=True)
class Calls:
    """The calls of the carbon stream's operations.

    Attributes:
        complexes: K-apt's list.
        basis: What K-apt knows of a complex.
        energy: A complex's month.
        buildings: By item, what was metered in a legal dong in a month.
        weather: A station's days.
        forecast_short, forecast_temperature, forecast_land: An issue of a weather forecast.
        address: Where an address is; None: nobody is asked.
    """

    complexes: Endpoint[Answer]
    basis: Endpoint[Answer]
    energy: Endpoint[Answer]
    buildings: Mapping[str, Endpoint[Answer]]
    weather: Endpoint[Answer]
    forecast_short: Endpoint[Answer]
    forecast_temperature: Endpoint[Answer]
    forecast_land: Endpoint[Answer]
    address: Endpoint[Position | None] | None

    @classmethod
    def of(cls, operations: Operations, data_go_kr: Api[Answer], kakao: Api[Position | None] | None) -> "Calls":
        """The operations as the settings name them."""

        def endpoint(name: str) -> Endpoint[Answer]:
            chosen = getattr(operations, name)
            return Endpoint(data_go_kr, name, chosen.path, Quota(chosen.daily_quota))

        address = operations.address
        return cls(
            complexes=endpoint("complexes"),
            basis=endpoint("basis"),
            energy=endpoint("energy"),
            buildings={item: endpoint(f"buildings_{item}") for item in METERED},
            weather=endpoint("weather"),
            forecast_short=endpoint("forecast_short"),
            forecast_temperature=endpoint("forecast_temperature"),
            forecast_land=endpoint("forecast_land"),
            address=Endpoint(kakao, "address", address.path, Quota(address.daily_quota)) if kakao else None,
        )

    @property
    def endpoints(self) -> Sequence[Endpoint[Any]]:
        """All that may be asked."""
        found = (self.complexes, self.basis, self.address, self.energy, *self.buildings.values(), self.weather)
        return [each for each in (*found, *self.forecasts) if each]

    @property
    def forecasts(self) -> Sequence[Endpoint[Answer]]:
        """Those of weather forecasts."""
        return self.forecast_short, self.forecast_temperature, self.forecast_land

    def page(self, sido: str, page: int, rows: int, listing: int) -> Call[Answer]:
        """A page of the list of complexes."""
        parameters = {"sidoCode": sido, "pageNo": str(page), "numOfRows": str(rows)}
        return Call(self.complexes, f"{sido}|{listing}|{rows}|{page}", parameters)

    def basis_of(self, complex_id: str) -> Call[Answer]:
        """What K-apt knows of a complex."""
        return Call(self.basis, complex_id, {"kaptCode": complex_id})

    def month(self, complex_id: str, month: date) -> Call[Answer]:
        """A complex's month."""
        parameters = {"kaptCode": complex_id, "reqDate": f"{month:%Y%m}"}
        return Call(self.energy, energy_key(complex_id, month), parameters)

    def lots(self, asked: "Lots", page: int = 1, number: str | None = None) -> Call[Answer]:
        """A page of what was metered in a legal dong; with a number, of that lot."""
        dong, month, item = asked
        key, (main, _, sub) = buildings_key(dong, month, item), (number or "").partition("-")
        parameters = {
            **{"sigunguCd": key[:5], "bjdongCd": key[5:10], "bun": main, "ji": sub, "useYm": f"{month:%Y%m}"},
            **{"numOfRows": str(BUILDINGS_ROWS), "pageNo": str(page)},
        }
        return Call(self.buildings[item], f"{key}|{number or page}", parameters)

    def days(self, station: str, first: date, last: date) -> Call[Answer]:
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
        return Call(self.weather, f"{station}|{first}|{last}", parameters)

    def short_term(self, station: str, issued: datetime, cell: tuple[int, int]) -> Call[Answer]:
        """An issue of the short-term forecast for a cell of its grid; one answer holds it all."""
        parameters = {
            **{"pageNo": "1", "numOfRows": str(_MOST_ITEMS), "dataType": "JSON"},
            **{"base_date": f"{issued:%Y%m%d}", "base_time": f"{issued:%H%M}"},
            **{"nx": str(cell[0]), "ny": str(cell[1])},
        }
        return Call(self.forecast_short, issue_key(station, issued), parameters)

    def mid_term(self, endpoint: Endpoint[Answer], station: str, issued: datetime, region: str) -> Call[Answer]:
        """An issue of one of the mid-term forecasts for a region."""
        parameters = {"pageNo": "1", "numOfRows": "10", "dataType": "JSON"}
        parameters |= {"regId": region, "tmFc": f"{issued:%Y%m%d%H%M}"}
        return Call(endpoint, issue_key(station, issued), parameters)


def stations(chosen: Pollers) -> Sequence[str]:
    """Every weather station once."""
    return sorted(set(chosen.stations.values()))


def is_settled(known: Known | None, malformed_attempts: int) -> bool:
    """Whether a backfill asks no more: there was an answer, or it was unreadable as often as is allowed."""
    return known is not None and (known.outcome != "unreadable" or known.tries >= malformed_attempts)


# What is wanted: keys of `energy_key` as (complex, month), and (station, first day, last day).
Month = tuple[str, date]
Days = tuple[str, date, date]
# And legal dong, month and item.
Lots = tuple[str, date, str]
# Station, kind of weather forecast, and the time of an issue.
Issue = tuple[str, Term, datetime]


def energy_backfill(
    complexes: Iterable[str], months: Sequence[date], known: Mapping[str, Known], malformed_attempts: int
) -> list[Month]:
    """Every month of every complex that was never answered: newest months first, as they are wanted first."""
    listed = list(complexes)
    wanted = ((complex_id, month) for month in months for complex_id in listed)
    return [each for each in wanted if not is_settled(known.get(energy_key(*each)), malformed_attempts)]


def dongs(state: State) -> dict[str, set[str]]:
    """The legal dongs of the complexes that are known, and in each the lots that their addresses name."""
    found: dict[str, set[str]] = defaultdict(set)
    for known in state.answered("basis").values():
        if known.result and (place := stands(json.loads(known.result)["item"])):
            found[place[0]].update(place[1])
    return dict(found)


def buildings_backfill(
    dongs: Iterable[str], months: Sequence[date], known: Mapping[str, Mapping[str, Known]], malformed_attempts: int
) -> list[Lots]:
    """Every month of every legal dong that was never answered; `known` is by item."""
    listed = sorted(dongs)
    return [
        (dong, month, item)
        for month in months
        if month >= BUILDINGS_FIRST
        for dong in listed
        for item in METERED
        if not is_settled(known[item].get(buildings_key(dong, month, item)), malformed_attempts)
    ]


def buildings_watch(
    dongs: Iterable[str], known: Mapping[str, Mapping[str, Known]], now: datetime, watch: Watch
) -> list[Lots]:
    """The newest months, where they were never asked for or a while ago: they come late, and are corrected."""
    if not watch.buildings_months:
        return []
    last, before = calendar.newest_month(now), milliseconds(now - timedelta(days=watch.buildings_days))
    months = calendar.months(calendar.months_back(last, watch.buildings_months - 1), last)
    return [
        (dong, month, item)
        for month in months
        for dong in sorted(dongs)
        for item in METERED
        if not (answer := known[item].get(buildings_key(dong, month, item))) or answer.fetched_ms <= before
    ]


def weather_backfill(
    stations: Iterable[str], days: Iterable[date], known: Mapping[str, Known], malformed_attempts: int
) -> list[Days]:
    """Every day of every station that was never answered, in as few calls as hold them."""
    wanted = list(days)
    return [
        (station, first, last)
        for station in stations
        for first, last in calendar.ranges(
            (day for day in wanted if not is_settled(known.get(weather_key(station, day)), malformed_attempts)),
            LONGEST_WEATHER_DAYS,
        )
    ]


def issues(
    stations: Iterable[str],
    known: Mapping[str, Mapping[str, Known]],
    now: datetime,
    watch: Watch,
    malformed_attempts: int,
) -> list[Issue]:
    """The issues that can be read and were not answered, newest first; `known` is by operation.

    What has no data a while after it was to be there never will.
    """
    since = now - timedelta(days=watch.forecast_days)

    def is_known(station: str, term: Term, issued: datetime) -> bool:
        operation = "forecast_short" if term is SHORT else "forecast_land"
        answer = known[operation].get(issue_key(station, issued))
        settled = milliseconds(issued + term.delay + _ISSUED_LATE)
        if answer and answer.outcome == "none":
            return answer.fetched_ms >= settled
        return is_settled(answer, malformed_attempts)

    wanted = [
        (station, term, issued)
        for term in TERMS.values()
        for issued in term.issues(since, now)
        for station in stations
        if not is_known(station, term, issued)
    ]
    return sorted(wanted, key=lambda issue: issue[2], reverse=True)


def corrections(complexes: Iterable[str], known: Mapping[str, Known], now: datetime, watch: Watch) -> list[Month]:
    """The newest months that were answered a while ago: they may have been corrected since."""
    if not watch.correction_months:
        return []
    last = calendar.newest_month(now)
    before = milliseconds(now - timedelta(days=watch.correction_days))
    listed = list(complexes)
    months = calendar.months(calendar.months_back(last, watch.correction_months - 1), last)
    asked = [(complex_id, month) for month in months for complex_id in listed]
    return [each for each in asked if (answer := known.get(energy_key(*each))) and answer.fetched_ms <= before]


def walk_back(now: datetime, watch: Watch) -> Sequence[date]:
    """The months that a complex is asked for, newest first; whoever asks stops at the first that was entered."""
    last = calendar.newest_month(now)
    return calendar.months(calendar.months_back(last, watch.walk_back_months - 1), last)


def weather_watch(stations: Iterable[str], known: Mapping[str, Known], now: datetime, watch: Watch) -> list[Days]:
    """The last days of every station again, as they are corrected and filled, and what was missed since the first."""
    last = calendar.newest_weather(now)
    recent = set(calendar.days(last - timedelta(days=watch.weather_days - 1), last))
    wanted: list[Days] = []
    for station in stations:
        seen = {
            date.fromisoformat(key.split("|")[1])
            for key in known
            if key.startswith(f"{station}|") and key.count("|") == 1
        }
        missed = set(calendar.days(min(seen), last)) - seen if seen else set()
        wanted += [(station, *run) for run in calendar.ranges(recent | missed, LONGEST_WEATHER_DAYS)]
    return wanted
