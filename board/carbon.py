"""Complexes and districts: `GET /complexes?q=범어`, `/complexes/A70200001`, `/regions/27260`.

The list of complexes is in memory, and looked at again in the background; what is told of one comes from PostgreSQL,
over a connection that stays open.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import psycopg2
from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from psycopg2.extras import RealDictCursor
from pydantic import BaseModel, Field

from board.app import Part, ProblemError, problems
from board.forecast import STARTING, nearest
from board.search import Entry, Index
from conf import factors
from conf.city.places import districts
from conf.settings import Settings
from forecast.history import COMPLEX, REGION
from sinks import postgres
from sinks.errors import NotReadyError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

ABOUT = (
    "Apartment complexes, found by name or address, Korean initial consonants too, and districts: energy and emission "
    "by month with where it is from, points, final and expected, and the forecast of the next days."
)
SOURCES = {
    "k-apt": "entered by the complex's office in K-apt (data.go.kr 15012964)",
    "buildings": "metered at its lots, from the building energy service (data.go.kr 15135963)",
    "estimate": "nobody entered it: estimated from the complex's own months near it and the weather",
}
_LIST = "SELECT complex_id, name, region, address, parcel, households FROM complexes ORDER BY complex_id"
_COMPLEX = "SELECT * FROM complexes WHERE complex_id = %s"
_ENERGY = "SELECT * FROM energy_usage WHERE complex_id = %s ORDER BY month"
_EMISSION = "SELECT * FROM emission_per_complex_month WHERE complex_id = %s ORDER BY month"
_POINTS = "SELECT * FROM carbon_points WHERE complex_id = %s ORDER BY half_year"
_EXPECTED = """SELECT e.* FROM carbon_points_expected e LEFT JOIN carbon_points USING (complex_id, half_year)
WHERE complex_id = %s AND carbon_points.points IS NULL ORDER BY half_year"""
_FORECAST = "SELECT * FROM emission_forecast WHERE scope = %s AND id = %s ORDER BY day"
_REGION_EMISSION = "SELECT * FROM emission_per_region_month WHERE region = %s ORDER BY month"
# As an array each of them is looked up: joined, the planner would rather read the whole table of a whole country.
_THERE = "complex_id = ANY (ARRAY(SELECT complex_id FROM complexes WHERE region = %s))"
_REGION_ENERGY = f"""SELECT month, sum(electricity_kwh) AS electricity_kwh, sum(gas_m3) AS gas_m3,
    sum(water_m3) AS water_m3, sum(heat_mcal) AS heat_mcal, count(*) AS complexes
FROM energy_usage
WHERE {_THERE} AND coalesce(electricity_kwh, gas_m3, water_m3, heat_mcal) IS NOT NULL GROUP BY month ORDER BY month"""  # noqa: S608 - of constants
_REGION_POINTS = """SELECT half_year, count(*) AS complexes, sum(points) AS points, sum(households) AS households,
    sum(saved_kg) AS saved_kg, sum(pine_trees) AS pine_trees
FROM {} p WHERE {} {} GROUP BY half_year ORDER BY half_year"""
_REGION_FINAL = _REGION_POINTS.format("carbon_points", _THERE, "")
_REGION_EXPECTED = _REGION_POINTS.format(
    "carbon_points_expected",
    _THERE,
    "AND NOT EXISTS (SELECT 1 FROM carbon_points f WHERE (f.complex_id, f.half_year) = (p.complex_id, p.half_year))",
)
log = logging.getLogger(__name__)


class Found(BaseModel):
    """A complex that was found."""

    complex_id: str
    name: str
    region: str
    address: str
    households: int


class Search(BaseModel):
    """What was found, the best first."""

    query: str
    complexes: list[Found]


class Energy(BaseModel):
    """What was used in a month; null: nobody knows. For a complex with where each is from, for a district summed up."""

    month: date
    electricity_kwh: float | None
    gas_m3: float | None
    water_m3: float | None
    heat_mcal: float | None
    electricity_source: str | None = None
    gas_source: str | None = None
    water_source: str | None = None
    heat_source: str | None = None
    complexes: int | None = Field(default=None, description="how many are in a district's sum")


class Emission(BaseModel):
    """A month's emission; `gap_kg` is the part that is estimated."""

    month: date
    kg_co2: float | None
    gap_kg: float | None
    electricity_kg: float | None = None
    gas_kg: float | None = None
    water_kg: float | None = None
    heat_kg: float | None = None
    electricity_source: str | None = None
    gas_source: str | None = None
    water_source: str | None = None
    heat_source: str | None = None
    complexes: int | None = None


class Points(BaseModel):
    """Carbon points of a half-year; savings are shares of the baseline, null where an item can't be judged."""

    half_year: str
    points: int = Field(description="of all households")
    points_per_household: int | None = None
    electricity_saving: float | None = None
    gas_saving: float | None = None
    water_saving: float | None = None
    electricity_saving_so_far: float | None = None
    gas_saving_so_far: float | None = None
    water_saving_so_far: float | None = None
    saved_kg: float = Field(description="kg CO2 less than in the baseline")
    pine_trees: float = Field(description="that take up as much in a year")
    months: int | None = Field(default=None, description="how many were entered, where it is expected")
    households: int
    complexes: int | None = None


class ForecastDay(BaseModel):
    """A day that is forecast, with the bounds of its interval, and by which weather."""

    day: date
    kg_co2: float
    lower: float
    upper: float
    weather: Literal["forecast", "mid-term", "normal"]
    model_version: str


class Factor(BaseModel):
    """kg CO2 per kWh, m3 or Mcal, from a month on."""

    item: str
    kg_per_unit: float
    valid_from: date
    source: str


class Sources(BaseModel):
    """What the words of `..._source` mean, the factors, and where they are from."""

    quantities: dict[str, str]
    factors: list[Factor]
    pine_tree_kg_per_year: float


class About(BaseModel):
    """What all of them tell."""

    energy: list[Energy]
    emission: list[Emission]
    points: list[Points] = Field(description="final: all months of the half-year were entered")
    expected_points: list[Points] = Field(description="of half-years that lack months: expected, and not final")
    forecast: list[ForecastDay]
    sources: Sources


class Complex(About):
    """An apartment complex."""

    complex_id: str
    name: str
    region: str
    address: str
    parcel: str | None
    lat: float | None
    lon: float | None
    households: int
    heating: str | None


class Region(About):
    """A district."""

    region: str
    name: str | None
    complexes: int
    households: int


@dataclass
class Places:
    """The complexes that requests look for, by id, and the connection that what is told of one comes over."""

    load: Callable[[], Settings]
    listed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    index: Index = field(default_factory=lambda: Index(()))
    trouble: str = STARTING
    _connection: "Connection | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: tuple[Any, ...] | None = None

    def refresh(self) -> None:
        """Look at the list again, where it has changed."""
        try:
            (newest,) = self.rows(("SELECT count(*) AS many, max(version) AS version FROM complexes", ()))
            if (seen := tuple(newest[0].values())) != self._seen:
                (listed,) = self.rows((_LIST, ()))
                self.index = Index(
                    Entry(row["complex_id"], (row["name"], row["address"], row["parcel"] or "")) for row in listed
                )
                self.listed, self._seen = {row["complex_id"]: row for row in listed}, seen
            self.trouble = "No complex is known yet: run `make backfill` while the job runs."
        except NotReadyError as error:
            self.trouble = str(error)

    def rows(self, *queries: tuple[str, Sequence[Any]]) -> list[list[dict[str, Any]]]:
        """What each of some queries gives; one that finds the connection broken is asked over a new one.

        Raises:
            NotReadyError: the server is away, or lacks a table.
        """
        with self._lock:
            try:
                return self._asked(queries)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._close()
                try:
                    return self._asked(queries)
                except psycopg2.Error as error:
                    self._close()
                    raise NotReadyError(_sentence(error)) from None
            except psycopg2.Error as error:
                self._close()
                raise NotReadyError(_sentence(error)) from None

    def _asked(self, queries: Sequence[tuple[str, Sequence[Any]]]) -> list[list[dict[str, Any]]]:
        if self._connection is None:
            self._connection = postgres.lasting(self.load())
        with self._connection.cursor(cursor_factory=RealDictCursor) as cursor:
            found = []
            for query, parameters in queries:
                cursor.execute(query, parameters)
                found.append([dict(row) for row in cursor.fetchall()])
        return found

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _sentence(error: psycopg2.Error) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"PostgreSQL can't answer: {reason}. Start it (`make up`), and run `make prepare`."


def part(load: Callable[[], Settings]) -> Part:
    """The part; settings are read at each look, since the stack's addresses may come after the service."""
    places = Places(load)

    async def keep() -> None:
        while True:
            try:
                await asyncio.to_thread(places.refresh)
            except Exception:
                log.exception("The look at the list of complexes failed")
            await asyncio.sleep(load().board.refresh_seconds)

    return Part("Complexes and districts", ABOUT, routes(places), keep)


def routes(places: Places) -> APIRouter:
    """What is answered."""
    router = APIRouter()
    known = factors.load()
    sources = Sources(
        quantities=SOURCES,
        factors=[Factor(**factor.model_dump()) for factor in known],
        pine_tree_kg_per_year=float(factors.pine_tree()),
    )
    described = problems(
        {
            404: "it is unknown; `nearest` names some that are known",
            422: "a value that can't be",
            503: "PostgreSQL is away, or nothing is known yet",
        }
    )

    async def asked(*queries: tuple[str, Sequence[Any]]) -> list[list[dict[str, Any]]]:
        try:
            return await run_in_threadpool(places.rows, *queries)
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from None

    @router.get("/complexes", summary="Complexes by name or address", responses=described)
    async def search(
        q: Annotated[
            str,
            Query(
                min_length=1, max_length=64, description="part of a name or address; initial consonants, ㅂㅇㄷ, too"
            ),
        ],
        limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20,
    ) -> Search:
        if not places.listed:
            raise ProblemError(503, places.trouble)
        listed = places.listed
        found = (listed[each] for each in places.index.find(q, limit) if each in listed)
        return Search(query=q, complexes=[Found(**each) for each in found])

    @router.get("/complexes/{complex_id}", summary="All that is known of a complex", responses=described)
    async def complex_(complex_id: Annotated[str, InPath(min_length=1, max_length=64)]) -> Complex:
        own = (complex_id,)
        about, energy, emission, points, expected, forecast = await asked(
            *((query, own) for query in (_COMPLEX, _ENERGY, _EMISSION, _POINTS, _EXPECTED)),
            (_FORECAST, (COMPLEX, complex_id)),
        )
        if not about:
            raise _unknown(COMPLEX, complex_id, list(places.listed))
        told = {"energy": energy, "emission": emission, "points": points, "expected_points": expected}
        return Complex.model_validate({**about[0], **told, "forecast": forecast, "sources": sources})

    @router.get("/regions/{code}", summary="All that is known of a district", responses=described)
    async def region(code: Annotated[str, InPath(pattern=r"^[0-9]{5}$")]) -> Region:
        own = (code,)
        emission, energy, points, expected, forecast = await asked(
            *((query, own) for query in (_REGION_EMISSION, _REGION_ENERGY, _REGION_FINAL, _REGION_EXPECTED)),
            (_FORECAST, (REGION, code)),
        )
        there = [each for each in places.listed.values() if each["region"] == code]
        if not there and not emission:
            raise _unknown(REGION, code, sorted({each["region"] for each in places.listed.values()}))
        names = {district.code: district.name for district in districts()}
        return Region.model_validate(
            {
                **{"region": code, "name": names.get(code), "complexes": len(there)},
                "households": sum(each["households"] for each in there),
                **{"energy": energy, "emission": emission, "points": points, "expected_points": expected},
                **{"forecast": forecast, "sources": sources},
            }
        )

    return router


def _unknown(what: str, own: str, known: list[str]) -> ProblemError:
    near = nearest(known, own)
    hint = f"; nearest are {', '.join(near)}" if near else ""
    return ProblemError(404, f"there is no {what} {own}{hint}", nearest=near)
