"""The HTTP shell: the real services' paths, and `/simulator/...` to look in and to make trouble."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from conf.city.places import Complex
from conf.settings import Simulator, Trouble
from generators.simulator import envelopes
from generators.simulator.carbon import services
from generators.simulator.carbon.energy import NOT_ENTERED
from generators.simulator.carbon.services import World
from generators.simulator.gateway import Gateway, Operation, shown

_ENERGY = "/1613000/ApHusEnergyUseInfoOfferServiceV2"
_LIST = "/1613000/AptListService4"
_BASIS = "/1613000/AptBasisInfoServiceV5"
_WEATHER = "/1360000/AsosDalyInfoService"
_MOST_ROWS = 999
_ERRORS = ("04", "05", "99")


class Correction(BaseModel):
    """A month that the office enters anew: each quantity times the factor; 0 takes the entry back."""

    model_config = ConfigDict(extra="forbid")

    complex_id: str
    month: date
    factor: float = Field(ge=0, le=10)


class Limits(BaseModel):
    """Quota per key, operation and day; calls per second and key, 0 for no limit."""

    model_config = ConfigDict(extra="forbid")

    daily_quota: int = Field(ge=0)
    rate_per_second: float = Field(ge=0)


class Today(BaseModel):
    """The day that the services believe it is; null: the real one."""

    model_config = ConfigDict(extra="forbid")

    today: date | None


@dataclass
class Simulation:
    """What the services share while they run."""

    chosen: Simulator
    zone: ZoneInfo
    today_is: date | None = None
    world: World = field(init=False)
    gateway: Gateway = field(init=False)

    def __post_init__(self) -> None:
        self.today_is = self.chosen.today
        self.world = World(self.chosen.seed, self.chosen.first_month)
        self.gateway = Gateway(self.chosen, self.today)

    def today(self) -> date:
        """The day in Korea, unless another is set."""
        return self.today_is or datetime.now(self.zone).date()

    async def answer(
        self, operation: Operation, key: str | None, subject: str, body: Callable[[bool], bytes], *, as_json: bool
    ) -> Response:
        """A call's way: key and quota, then trouble, then the service.

        Args:
            operation: Which operation is called.
            key: The service key as it arrived, decoded once.
            subject: What is asked, to tell a repeated call.
            body: The service's answer; the argument says whether to repeat the list's first page.
            as_json: The format that was asked for.
        """
        gateway = self.gateway
        refusal = gateway.refusal(operation, key, self.chosen.service_keys)
        name = shown(key or "none")
        if refusal:
            gateway.account.note(operation, name, refusal)
            return _bytes(envelopes.gateway_error(refusal), as_json=False)
        if gateway.trouble.slow_seconds:
            await asyncio.sleep(gateway.trouble.slow_seconds)
        outcome, draw = gateway.outcome(operation, subject)
        if outcome == "timeout":
            gateway.account.note(operation, name, outcome)
            await asyncio.sleep(gateway.trouble.hang_seconds)
            return _bytes(envelopes.gateway_error("05"), as_json=False)
        if outcome == "error":
            code = draw.choice(_ERRORS)
            gateway.account.note(operation, name, code)
            if draw.random() < 0.5:
                return _bytes(envelopes.gateway_error(code), as_json=False)
            return _bytes(envelopes.error(code, as_json=as_json), as_json=as_json)
        content = body(outcome == "duplicate page")
        if outcome == "fine":
            gateway.account.note(operation, name, _code(content), subject)
            return _bytes(content, as_json=as_json)
        gateway.account.note(operation, name, outcome)
        if outcome == "malformed":
            return _bytes(content[: draw.randint(len(content) // 4, len(content) - 8)], as_json=as_json)
        if outcome == "bomb":
            return _bytes(envelopes.BOMB, as_json=False)
        if outcome == "html":
            return Response(envelopes.HTML, media_type="text/html;charset=UTF-8")
        return _bytes(content, as_json=as_json)


def _code(content: bytes) -> str:
    """The result code of a body of our own."""
    head = content[:200]
    for code in ("00", "03", "10", "11", "99"):
        if f"<resultCode>{code}".encode() in head or f'"resultCode": "{code}"'.encode() in head:
            return code
    return "99"


def _bytes(content: bytes, *, as_json: bool) -> Response:
    return Response(content, media_type="application/json;charset=UTF-8" if as_json else "text/xml;charset=UTF-8")


def _month(text: str | None) -> date | None:
    try:
        return datetime.strptime(text or "", "%Y%m").date() if text and len(text) == 6 else None  # noqa: DTZ007
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None  # noqa: DTZ007
    except ValueError:
        return None


ServiceKey = Annotated[str | None, Query(alias="serviceKey")]
Type = Annotated[str | None, Query(alias="_type")]
Page = Annotated[int, Query(alias="pageNo", ge=1)]
Rows = Annotated[int, Query(alias="numOfRows", ge=1)]


def create(chosen: Simulator, time_zone: str) -> FastAPI:
    """The application."""
    app = FastAPI(title="Citystream simulator: public APIs with synthetic data", docs_url="/simulator/docs")
    simulation = Simulation(chosen, ZoneInfo(time_zone))
    places = services.places()
    _add_kapt(app, simulation, places)
    _add_weather(app, simulation)
    _add_kakao(app, simulation)
    _add_simulator(app, simulation, places)
    return app


def _add_kapt(app: FastAPI, simulation: Simulation, places: dict[str, Complex]) -> None:
    world = simulation.world

    def add_list(name: str, parameter: str) -> None:
        @app.get(f"{_LIST}/{name}")
        async def complexes(
            request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10, _type: Type = None
        ) -> Response:
            """One page of the list of complexes."""
            as_json = request.query_params.get("_type") == "json"
            prefix = request.query_params.get(parameter, "") if parameter else "27"

            def body(first_again: bool) -> bytes:
                if not prefix:
                    return envelopes.error("11", as_json=as_json)
                items = services.listed(world, prefix, simulation.gateway.trouble.unlisted)
                shown_page = 1 if first_again else pageNo
                part = items[(shown_page - 1) * numOfRows : shown_page * numOfRows]
                return envelopes.page(part, pageNo, numOfRows, len(items), as_json=as_json, bare=True)

            subject = f"{prefix}|{pageNo}"
            return await simulation.answer("complexes", serviceKey, subject, body, as_json=as_json)

    for name, parameter in (
        ("getTotalAptList4", ""),
        ("getSidoAptList4", "sidoCode"),
        ("getSigunguAptList4", "sigunguCode"),
        ("getLegaldongAptList4", "bjdCode"),
    ):
        add_list(name, parameter)

    def add_single(path: str, operation: Operation, render: Callable[[str, Request], bytes | None]) -> None:
        @app.get(path)
        async def single(request: Request, serviceKey: ServiceKey = None) -> Response:
            """One item of one complex."""
            as_json = request.query_params.get("_type") == "json"
            complex_id = request.query_params.get("kaptCode", "")

            def body(_: bool) -> bytes:
                if not complex_id:
                    return envelopes.error("11", as_json=as_json)
                return render(complex_id, request) or envelopes.error("03", as_json=as_json)

            month = request.query_params.get("reqDate")
            subject = f"{complex_id}|{month}" if operation == "energy" else complex_id
            return await simulation.answer(operation, serviceKey, subject, body, as_json=as_json)

    def as_json(request: Request) -> bool:
        return request.query_params.get("_type") == "json"

    def basis(complex_id: str, request: Request) -> bytes | None:
        place = places.get(complex_id)
        return envelopes.single(services.basis_item(world, place), as_json=as_json(request)) if place else None

    def detail(complex_id: str, request: Request) -> bytes | None:
        place = places.get(complex_id)
        return envelopes.single(services.detail_item(world, place), as_json=as_json(request)) if place else None

    def energy(complex_id: str, request: Request) -> bytes | None:
        place = places.get(complex_id)
        month = _month(request.query_params.get("reqDate"))
        today = simulation.today()
        if place is None or (month and not world.first_month <= month <= today):
            return None
        usage = world.usage(place, month, today) if month else NOT_ENTERED
        return envelopes.single(services.energy_item(complex_id, month, usage), as_json=as_json(request))

    def average(complex_id: str, request: Request) -> bytes | None:
        place = places.get(complex_id)
        month = _month(request.query_params.get("reqDate"))
        if place is None or month is None:
            return None
        item = services.average_item(world, [place], month, simulation.today())
        return envelopes.single(item, as_json=as_json(request))

    add_single(f"{_BASIS}/getAphusBassInfoV5", "basis", basis)
    add_single(f"{_BASIS}/getAphusDtlInfoV5", "detail", detail)
    add_single(f"{_ENERGY}/getHsmpApHusUsgQtyInfoSearchV2", "energy", energy)
    add_single(f"{_ENERGY}/getHsmpAvrgEnergyUseAmountInfoSearchV2", "average", average)


def _add_weather(app: FastAPI, simulation: Simulation) -> None:
    @app.get(f"{_WEATHER}/getWthrDataList")
    async def weather(
        request: Request, serviceKey: ServiceKey = None, pageNo: Page = 1, numOfRows: Rows = 10
    ) -> Response:
        """Days of one station."""
        asked = request.query_params
        as_json = asked.get("dataType", "XML").upper() == "JSON"
        station, first, last = asked.get("stnIds", ""), asked.get("startDt", ""), asked.get("endDt", "")

        def body(_: bool) -> bytes:
            if not (station and first and last):
                return envelopes.error("11", as_json=as_json)
            begin, end = _day(first), _day(last)
            if begin is None or end is None or begin > end or numOfRows > _MOST_ROWS:
                return envelopes.error("10", as_json=as_json)
            return services.weather_page(
                simulation.world, station, begin, end, pageNo, numOfRows, as_json=as_json, today=simulation.today()
            )

        key = serviceKey or asked.get("ServiceKey")
        subject = f"{station}|{first}|{last}|{pageNo}"
        return await simulation.answer("weather", key, subject, body, as_json=as_json)


def _add_kakao(app: FastAPI, simulation: Simulation) -> None:
    gateway = simulation.gateway

    def error(status: int, number: int, message: str) -> Response:
        return Response(json.dumps({"code": number, "msg": message}), status, media_type="application/json")

    @app.get("/v2/local/search/address.json")
    async def address(query: str = "", authorization: Annotated[str, Header()] = "") -> Response:
        """The position of an address."""
        key = authorization.removeprefix("KakaoAK ").strip()
        match gateway.refusal("address", key, simulation.chosen.kakao_keys):
            case "30":
                gateway.account.note("address", shown(key), "-401")
                return error(401, -401, "cannot find Authorization : KakaoAK header or it is wrong")
            case "22":
                gateway.account.note("address", shown(key), "-10")
                return error(400, -10, "API limit has been exceeded.")
        if not query:
            gateway.account.note("address", shown(key), "-2")
            return error(400, -2, "query parameter required")
        outcome, _ = gateway.outcome("address", query)
        if outcome == "timeout":
            gateway.account.note("address", shown(key), outcome)
            await asyncio.sleep(gateway.trouble.hang_seconds)
        if outcome in ("timeout", "error"):
            gateway.account.note("address", shown(key), "-1")
            return error(400, -1, "temporary failure")
        documents = services.geocoded(simulation.world, query)
        count = {"total_count": len(documents), "pageable_count": len(documents), "is_end": True}
        content = json.dumps({"meta": count, "documents": documents}, ensure_ascii=False).encode()
        if outcome == "html":
            gateway.account.note("address", shown(key), outcome)
            return Response(envelopes.HTML, media_type="text/html;charset=UTF-8")
        if outcome == "malformed":
            gateway.account.note("address", shown(key), outcome)
            return _bytes(content[: len(content) // 2], as_json=True)
        gateway.account.note("address", shown(key), "00", query)
        return _bytes(content, as_json=True)


def _add_simulator(app: FastAPI, simulation: Simulation, places: dict[str, Complex]) -> None:
    gateway = simulation.gateway

    @app.get("/simulator/health")
    async def health() -> dict[str, str]:
        """Whether it answers."""
        return {"status": "up", "today": simulation.today().isoformat()}

    @app.get("/simulator/trouble")
    async def trouble() -> Trouble:
        """The trouble it makes now."""
        return gateway.trouble

    @app.put("/simulator/trouble")
    async def set_trouble(chosen: Trouble) -> Trouble:
        """Make this trouble from now on; what is left out is off."""
        gateway.set_trouble(chosen)
        return chosen

    @app.put("/simulator/limits")
    async def set_limits(limits: Limits) -> Limits:
        """Another quota and rate from now on; what was spent today stays spent."""
        gateway.daily_quota, gateway.rate_per_second = limits.daily_quota, limits.rate_per_second
        return limits

    @app.put("/simulator/today")
    async def set_today(chosen: Today) -> Today:
        """Another day from now on."""
        simulation.today_is = chosen.today
        return chosen

    @app.post("/simulator/corrections")
    async def correct(correction: Correction) -> Correction:
        """Change a month of a complex."""
        if correction.complex_id not in places or correction.month.day != 1:
            raise HTTPException(422, "complex_id has to be one that is listed, month the first day of a month")
        simulation.world.corrections[correction.complex_id, correction.month] = correction.factor
        return correction

    @app.get("/simulator/calls")
    async def calls() -> dict[str, dict[str, dict[str, int]]]:
        """Calls by operation, key (its first characters) and outcome; the sum over outcomes is what was spent."""
        return {
            operation: {key: dict(outcomes) for key, outcomes in keys.items()}
            for operation, keys in gateway.account.calls.items()
        }

    @app.get("/simulator/calls/repeats")
    async def repeats() -> dict[str, dict[str, int]]:
        """What was answered well more than once, and how often."""
        return {
            operation: {subject: count for subject, count in counts.items() if count > 1}
            for operation, counts in gateway.account.answered.items()
        }

    @app.delete("/simulator/calls")
    async def forget() -> None:
        """Begin a new account; quotas stay spent."""
        gateway.account = type(gateway.account)()
