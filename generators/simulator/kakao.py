"""Kakao Local: the position of an address."""

import json
from typing import Annotated

from fastapi import FastAPI, Header, Response

from conf.city.places import complexes
from generators.simulator.carbon.services import World, areas, basis_item, road_address
from generators.simulator.gateway import Body, Provider, Refusal, Simulation

_REFUSALS: dict[Refusal, tuple[int, int, str]] = {
    "key": (401, -401, "cannot find Authorization : KakaoAK header or it is wrong"),
    "rate": (429, -10, "API limit has been exceeded."),
    "quota": (400, -10, "API limit has been exceeded."),
}


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    world = World(simulation.chosen.seed, simulation.chosen.first_month)
    # Kakao publishes no rate.
    provider = Provider(simulation.chosen.kakao_keys, is_rated=False, refuse=_refuse, fail=_fail)

    @app.get("/v2/local/search/address.json")
    async def address(query: str = "", authorization: Annotated[str, Header()] = "") -> Response:
        """The position of an address."""

        def body() -> Body:
            if not query:
                return _error(400, -2, "query parameter required")
            documents = geocoded(world, query)
            count = {"total_count": len(documents), "pageable_count": len(documents), "is_end": True}
            return Body(json.dumps({"meta": count, "documents": documents}, ensure_ascii=False).encode())

        key = authorization.removeprefix("KakaoAK ").strip()
        return await simulation.answer(provider, "address", key, query, body)


def _error(status: int, number: int, message: str) -> Body:
    return Body(json.dumps({"code": number, "msg": message}).encode(), str(number), status=status)


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    refused = _error(*_REFUSALS[refusal])
    return refused.code, refused.response


def _fail(*_: object) -> tuple[str, Response]:
    failed = _error(400, -1, "temporary failure")
    return failed.code, failed.response


def geocoded(world: World, query: str) -> list[dict[str, object]]:
    """Kakao's documents for an address: none or one."""
    found = next(
        (place for place in complexes() if query in (road_address(place), basis_item(world, place)["kaptAddr"])),
        None,
    )
    if found is None or not world.traits(found).has_known_address:
        return []
    lon, lat = f"{found.lon}", f"{found.lat}"
    code = found.region + world.traits(found).dong
    sido, sigungu, dong, _ = areas(found)
    region = {"region_1depth_name": sido, "region_2depth_name": sigungu, "region_3depth_name": dong}
    address = {"address_name": query, **region, "b_code": code, "h_code": code, "x": lon, "y": lat}
    return [
        {
            "address_name": query,
            "address_type": "ROAD_ADDR",
            "x": lon,
            "y": lat,
            "address": address,
            "road_address": None,
        }
    ]
