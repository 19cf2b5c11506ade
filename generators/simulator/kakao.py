"""Kakao Local: the position of an address, and the address of a position."""

import json
from random import Random
from typing import Annotated

from fastapi import FastAPI, Header, Response

from conf.city.places import complexes
from generators.simulator.carbon import parcels
from generators.simulator.carbon.services import World, areas, basis_item, road_address
from generators.simulator.gateway import Body, Provider, Refusal, Simulation
from geo.regions import regions

# As Kakao cuts them in this service; of the others the first two letters stay.
_SHORT = {
    "충청북도": "충북", "충청남도": "충남", "전라남도": "전남", "경상북도": "경북", "경상남도": "경남",
    "강원특별자치도": "강원특별자치도", "전북특별자치도": "전북특별자치도", "제주특별자치도": "제주특별자치도",
    "세종특별자치시": "세종특별자치시",
}  # fmt: skip
_REFUSALS: dict[Refusal, tuple[int, int, str]] = {
    "key": (401, -401, "cannot find Authorization : KakaoAK header or it is wrong"),
    "rate": (429, -10, "API limit has been exceeded."),
    "quota": (400, -10, "API limit has been exceeded."),
}


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    world = World.of(simulation.chosen)
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

    @app.get("/v2/local/geo/coord2address.json")
    async def coord2address(x: str = "", y: str = "", authorization: Annotated[str, Header()] = "") -> Response:
        """The address of a position, in WGS84 degrees."""

        def body() -> Body:
            try:
                lon, lat = float(x), float(y)
            except ValueError:
                return _error(400, -2, "x and y parameters required")
            if not (-180 <= lon <= 180 and -90 <= lat <= 90):
                return _error(400, -2, "x or y out of range")
            documents = addressed(lon, lat)
            found = {"meta": {"total_count": len(documents)}, "documents": documents}
            return Body(json.dumps(found, ensure_ascii=False).encode())

        key = authorization.removeprefix("KakaoAK ").strip()
        return await simulation.answer(provider, "coord2address", key, f"{x},{y}", body)


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
    code = parcels.legal_dong(found)
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


def addressed(lon: float, lat: float) -> list[dict[str, object]]:
    """Kakao's documents for a position: none or one, in its true region; parcel and street are made up."""
    (region,) = regions().at([lon], [lat])
    if region is None:
        return []
    draw = Random(f"{lon:.6f} {lat:.6f}")
    sido = _SHORT.get(region.sido, region.sido[:2])
    areas = {"region_1depth_name": sido, "region_2depth_name": region.sigungu, "region_3depth_name": region.emd}
    place = " ".join(filter(None, (sido, *region[2:])))
    main, sub, building = draw.randint(1, 999), draw.choice(("", f"{draw.randint(1, 30)}")), f"{draw.randint(1, 480)}"
    parcel = {
        "address_name": f"{place} {main}{sub and '-'}{sub}",
        **areas,
        "mountain_yn": "N",
        "main_address_no": str(main),
        "sub_address_no": sub,
        "zip_code": "",
    }
    street = {
        "address_name": f"{sido} {region.sigungu} {(region.ri or region.emd).rstrip('0123456789가')}길 {building}",
        **areas,
        "road_name": f"{(region.ri or region.emd).rstrip('0123456789가')}길",
        "underground_yn": "N",
        "main_building_no": building,
        "sub_building_no": "",
        "building_name": "",
        "zone_no": f"{draw.randint(1000, 63999):05}",
    }
    # Fields and mountains have no street.
    return [{"road_address": street if draw.random() < 0.8 else None, "address": parcel}]
