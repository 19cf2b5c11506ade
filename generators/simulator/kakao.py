"""Kakao Local: its gateway, and the address of a position. The position of an address is of who knows addresses."""

import json
from random import Random
from typing import Annotated

from fastapi import FastAPI, Header, Response

from conf.settings import Simulator
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
Authorization = Annotated[str, Header()]


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    gateway = provider(simulation.chosen)

    @app.get("/v2/local/geo/coord2address.json")
    async def coord2address(x: str = "", y: str = "", authorization: Authorization = "") -> Response:
        """The address of a position, in WGS84 degrees."""

        def body() -> Body:
            try:
                lon, lat = float(x), float(y)
            except ValueError:
                return error(400, -2, "x and y parameters required")
            if not (-180 <= lon <= 180 and -90 <= lat <= 90):
                return error(400, -2, "x or y out of range")
            documents = addressed(lon, lat)
            found = {"meta": {"total_count": len(documents)}, "documents": documents}
            return Body(json.dumps(found, ensure_ascii=False).encode())

        return await simulation.answer(gateway, "coord2address", key(authorization), f"{x},{y}", body)


def provider(chosen: Simulator) -> Provider:
    """The gateway, with its keys; Kakao publishes no rate."""
    return Provider(chosen.kakao_keys, is_rated=False, refuse=_refuse, fail=_fail)


def key(authorization: str) -> str:
    """The key in a header."""
    return authorization.removeprefix("KakaoAK ").strip()


def error(status: int, number: int, message: str) -> Body:
    """An error, as the service writes it."""
    return Body(json.dumps({"code": number, "msg": message}).encode(), str(number), status=status)


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    refused = error(*_REFUSALS[refusal])
    return refused.code, refused.response


def _fail(*_: object) -> tuple[str, Response]:
    failed = error(400, -1, "temporary failure")
    return failed.code, failed.response


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
