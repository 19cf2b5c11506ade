"""K-apt's complexes and their energy use, energy use by lot, positions, weather and its forecasts: the real paths."""

import json
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import Literal

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from apis import kma
from conf.city.places import Complex
from generators.simulator import data_go_kr, envelopes, kakao
from generators.simulator.carbon import forecasts, services
from generators.simulator.carbon.energy import NOT_ENTERED
from generators.simulator.carbon.metering import Metered
from generators.simulator.carbon.services import World
from generators.simulator.data_go_kr import Page, Rows, ServiceKey, Type, error
from generators.simulator.envelopes import Item
from generators.simulator.gateway import Body, Provider, Simulation

_ENERGY = "/1613000/ApHusEnergyUseInfoOfferServiceV2"
_LIST = "/1613000/AptListService4"
_BASIS = "/1613000/AptBasisInfoServiceV5"
_WEATHER = "/1360000/AsosDalyInfoService"
_SHORT_TERM = "/1360000/VilageFcstInfoService_2.0"
_MID_TERM = "/1360000/MidFcstInfoService"
_BUILDINGS = "/1613000/BldEngyHubService"
_MOST_ROWS = 999
# Forecasts are readable so long after their issue.
_READABLE_AFTER = timedelta(minutes=10)
_MOST_BUILDINGS = 100


class Correction(BaseModel):
    """A month that a service tells of anew: each quantity times the factor; 0 takes an entry back."""

    model_config = ConfigDict(extra="forbid")

    complex_id: str
    month: date
    factor: float = Field(ge=0, le=10)
    service: Literal["k-apt", "buildings"] = "k-apt"


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the services to the application."""
    world = World.of(simulation.chosen)
    provider = data_go_kr.provider(simulation.chosen)
    _add_list(app, simulation, provider, world)
    _add_items(app, simulation, provider, world)
    _add_weather(app, simulation, provider, world)
    _add_short_term(app, simulation, provider, world)
    _add_mid_term(app, simulation, provider, world)
    _add_buildings(app, simulation, provider, world)
    _add_positions(app, simulation, world)

    @app.post("/simulator/corrections")
    async def correct(correction: Correction) -> Correction:
        """Change a month of a complex."""
        if correction.complex_id not in world.by_id or correction.month.day != 1:
            raise HTTPException(422, "complex_id has to be one that is listed, month the first day of a month")
        corrections = world.corrections if correction.service == "k-apt" else world.metered_corrections
        corrections[correction.complex_id, correction.month] = correction.factor
        return correction


def _add_list(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    def add_one(name: str, parameter: str) -> None:
        @app.get(f"{_LIST}/{name}")
        async def complexes(
            request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10, _type: Type = None
        ) -> Response:
            """One page of the list of complexes."""
            as_json = _is_json(request)
            prefix = request.query_params.get(parameter, "") if parameter else ""

            def page(number: int) -> Body:
                if parameter and not prefix:
                    return error("11", as_json=as_json)
                found = services.listed(world, prefix, simulation.gateway.trouble.unlisted)
                part = [services.list_item(place) for place in found[(number - 1) * numOfRows : number * numOfRows]]
                content = envelopes.page(part, pageNo, numOfRows, len(found), as_json=as_json, bare=True)
                return Body(content, as_json=as_json)

            return await simulation.answer(
                provider, "complexes", serviceKey, f"{prefix}|{pageNo}", lambda: page(pageNo), lambda: page(1)
            )

    for name, parameter in (
        ("getTotalAptList4", ""),
        ("getSidoAptList4", "sidoCode"),
        ("getSigunguAptList4", "sigunguCode"),
        ("getLegaldongAptList4", "bjdCode"),
    ):
        add_one(name, parameter)


def _add_items(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    """What answers with one item about one complex."""

    def add_one(path: str, operation: str, item: Callable[[Complex, str | None], Item | None]) -> None:
        @app.get(path)
        async def single(request: Request, serviceKey: ServiceKey = None) -> Response:
            """One item of one complex."""
            as_json = _is_json(request)
            complex_id = request.query_params.get("kaptCode", "")
            asked = request.query_params.get("reqDate")

            def body() -> Body:
                if not complex_id:
                    return error("11", as_json=as_json)
                place = world.by_id.get(complex_id)
                found = item(place, asked) if place else None
                if found is None:
                    return error("03", as_json=as_json)
                return Body(envelopes.single(found, as_json=as_json), as_json=as_json)

            subject = f"{complex_id}|{asked}" if operation == "energy" else complex_id
            return await simulation.answer(provider, operation, serviceKey, subject, body)

    def energy(place: Complex, asked: str | None) -> Item | None:
        month, today = data_go_kr.month(asked), simulation.today()
        if month and not world.first_month <= month <= today:
            return None
        usage = world.usage(place, month, today) if month else NOT_ENTERED
        return services.energy_item(place.complex_id, month, usage)

    def average(place: Complex, asked: str | None) -> Item | None:
        month = data_go_kr.month(asked)
        return services.average_item(world, [place], month, simulation.today()) if month else None

    add_one(f"{_BASIS}/getAphusBassInfoV5", "basis", lambda place, _: services.basis_item(world, place))
    add_one(f"{_BASIS}/getAphusDtlInfoV5", "detail", lambda place, _: services.detail_item(world, place))
    add_one(f"{_ENERGY}/getHsmpApHusUsgQtyInfoSearchV2", "energy", energy)
    add_one(f"{_ENERGY}/getHsmpAvrgEnergyUseAmountInfoSearchV2", "average", average)


def _add_weather(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    @app.get(f"{_WEATHER}/getWthrDataList")
    async def weather(
        request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10
    ) -> Response:
        """Days of one station."""
        asked = request.query_params
        as_json = asked.get("dataType", "XML").upper() == "JSON"
        station, first, last = asked.get("stnIds", ""), asked.get("startDt", ""), asked.get("endDt", "")

        def body() -> Body:
            if not (station and first and last):
                return error("11", as_json=as_json)
            begin, end = data_go_kr.day(first), data_go_kr.day(last)
            if begin is None or end is None or begin > end or numOfRows > _MOST_ROWS:
                return error("10", as_json=as_json)
            if end >= simulation.today():
                return error("99", as_json=as_json, message=envelopes.NOT_BEFORE_TOMORROW)
            content = services.weather_page(world, station, begin, end, pageNo, numOfRows, as_json=as_json)
            return Body(content, as_json=as_json) if content else error("03", as_json=as_json)

        subject = f"{station}|{first}|{last}|{pageNo}"
        return await simulation.answer(provider, "weather", serviceKey or asked.get("ServiceKey"), subject, body)


def _add_short_term(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    @app.get(f"{_SHORT_TERM}/getVilageFcst")
    async def short_term(
        request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10
    ) -> Response:
        """What an issue says of a cell of the grid."""
        asked = request.query_params
        as_json = asked.get("dataType", "XML").upper() == "JSON"
        names = ("base_date", "base_time", "nx", "ny")
        base_date, base_time, nx, ny = (asked.get(name, "") for name in names)

        def body() -> Body:
            if not all((base_date, base_time, nx, ny)):
                return error("11", as_json=as_json)
            issued = data_go_kr.moment(base_date + base_time)
            x, y = (int(each) if each.isascii() and each.isdigit() else 0 for each in (nx, ny))
            if issued is None or not (1 <= x <= kma.CELLS[0] and 1 <= y <= kma.CELLS[1]):
                return error("10", as_json=as_json)
            if not _is_there(simulation, kma.SHORT, issued, simulation.chosen.forecasts.short_days):
                return error("03", as_json=as_json, message=envelopes.NO_DATA)
            items = forecasts.short_term(world.seed, issued, x, y, simulation.chosen.forecasts.masked_share)
            part = items[(pageNo - 1) * numOfRows : pageNo * numOfRows]
            message = envelopes.NORMAL_SERVICE
            content = envelopes.page(part, pageNo, numOfRows, len(items), as_json=as_json, bare=False, message=message)
            return Body(content, as_json=as_json)

        subject = f"{nx},{ny}|{base_date}{base_time}|{pageNo}"
        return await simulation.answer(provider, "forecast_short", serviceKey, subject, body)


def _add_mid_term(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    def add_one(
        path: str, operation: str, regions: Collection[str], item: Callable[[int, datetime, str], dict[str, object]]
    ) -> None:
        @app.get(f"{_MID_TERM}/{path}")
        async def mid_term(request: Request, serviceKey: ServiceKey = None) -> Response:
            """What an issue says of a region: one item."""
            asked = request.query_params
            as_json = asked.get("dataType", "XML").upper() == "JSON"
            region, told = asked.get("regId", ""), asked.get("tmFc", "")

            def body() -> Body:
                if not region or not told:
                    return error("11", as_json=as_json)
                if (issued := data_go_kr.moment(told)) is None:
                    return error("10", as_json=as_json)
                there = _is_there(simulation, kma.MID, issued, simulation.chosen.forecasts.mid_days)
                if region not in regions or not there:
                    return error("03", as_json=as_json, message=envelopes.NO_DATA)
                message, items = envelopes.NORMAL_SERVICE, [item(world.seed, issued, region)]
                return Body(
                    envelopes.page(items, 1, 10, 1, as_json=as_json, bare=False, message=message), as_json=as_json
                )

            return await simulation.answer(provider, operation, serviceKey, f"{region}|{told}", body)

    add_one("getMidTa", "forecast_temperature", ("11H10701", "11H10603"), forecasts.temperatures)
    add_one("getMidLandFcst", "forecast_land", ("11H10000",), forecasts.lands)


def _is_there(simulation: Simulation, term: kma.Term, issued: datetime, days: float) -> bool:
    """Whether there was such an issue, and it can be read now: neither too early nor too late."""
    age = simulation.now() - issued
    return term.is_issued(issued) and _READABLE_AFTER <= age <= timedelta(days=days)


def _add_buildings(app: FastAPI, simulation: Simulation, provider: Provider, world: World) -> None:
    def add_one(path: str, item: Metered) -> None:
        @app.get(f"{_BUILDINGS}/{path}")
        async def buildings(
            request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10
        ) -> Response:
            """The lots of a legal dong, or one lot, and a month."""
            asked, as_json = request.query_params, _is_json(request)
            dong = asked.get("sigunguCd", "") + asked.get("bjdongCd", "")
            main, sub, used_in = asked.get("bun", ""), asked.get("ji", ""), asked.get("useYm", "")

            def body() -> Body:
                month = data_go_kr.month(used_in)
                if len(dong) != 10 or not used_in or not ((main and sub) or world.chosen.whole_dongs):
                    return error("11", as_json=as_json)
                if month is None or numOfRows > _MOST_BUILDINGS:
                    return error("10", as_json=as_json)
                rows = world.metered(dong, month, item, simulation.today())
                if main and sub:
                    rows = [row for row in rows if (row["bun"], row["ji"]) == (main, sub)]
                page = rows[(pageNo - 1) * numOfRows : pageNo * numOfRows]
                content = envelopes.metered(page, pageNo, numOfRows, len(rows), as_json=as_json, outside=item == "gas")
                return Body(content, as_json=as_json)

            subject = f"{dong}|{used_in}|{main}-{sub}|{pageNo}"
            return await simulation.answer(provider, f"buildings_{item}", serviceKey, subject, body)

    add_one("getBeElctyUsgInfo", "electricity")
    add_one("getBeGasUsgInfo", "gas")


def _add_positions(app: FastAPI, simulation: Simulation, world: World) -> None:
    provider = kakao.provider(simulation.chosen)

    @app.get("/v2/local/search/address.json")
    async def address(query: str = "", authorization: kakao.Authorization = "") -> Response:
        """The position of an address."""

        def body() -> Body:
            if not query:
                return kakao.error(400, -2, "query parameter required")
            documents = services.geocoded(world, query)
            count = {"total_count": len(documents), "pageable_count": len(documents), "is_end": True}
            return Body(json.dumps({"meta": count, "documents": documents}, ensure_ascii=False).encode())

        return await simulation.answer(provider, "address", kakao.key(authorization), query, body)


def _is_json(request: Request) -> bool:
    return request.query_params.get("_type") == "json"
