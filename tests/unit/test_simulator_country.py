"""More complexes than the city's own: where they stand, and what the simulated services tell of them."""

import asyncio
import json
from collections import Counter
from datetime import date

import httpx

from apis import parcels as written
from conf.city import places
from conf.settings import load
from generators.pollers.carbon import messages
from generators.simulator import app
from generators.simulator.carbon import country, parcels, services
from generators.simulator.carbon.services import World
from geo.regions import regions

COUNT, TODAY, MONTH = 3_000, date(2026, 11, 21), date(2026, 1, 1)
CHOSEN = load().simulator.model_copy(update={"complexes": COUNT, "today": TODAY, "rate_per_second": 0})
WORLD = World.of(CHOSEN)
OUTSIDE = [place for place in WORLD.places if country.is_outside(place)]


def test_the_city_alone_is_the_default() -> None:
    assert World.of(load().simulator).places == places.complexes()


def test_more_leave_those_that_there_were_as_they_are() -> None:
    assert WORLD.places[: len(places.complexes())] == places.complexes()
    assert country.complexes(400) == WORLD.places[:400]
    assert len(WORLD.places) == COUNT


def test_each_stands_inside_its_legal_dong() -> None:
    found = regions().at([place.lon for place in OUTSIDE], [place.lat for place in OUTSIDE])
    for place, region in zip(OUTSIDE, found, strict=True):
        assert region is not None
        assert (region.code, region.district) == (parcels.legal_dong(place), place.region)
        assert place.address.startswith(f"{region.sido} {region.sigungu} ")
        assert parcels.areas(place)[:3] == region[1:4]
        assert 150 <= place.households <= 3_000


def test_they_are_all_over_the_country() -> None:
    provinces = Counter(parcels.areas(place)[0] for place in OUTSIDE)
    assert len(provinces) == 16
    assert provinces["서울특별시"] > COUNT / 20
    assert 0.08 < sum(" " in place.neighbourhood for place in OUTSIDE) / len(OUTSIDE) < 0.17


def test_no_id_name_address_or_lot_is_there_twice() -> None:
    for each in (
        [place.complex_id for place in WORLD.places],
        [(place.region, place.name) for place in WORLD.places],
        [services.road_address(place) for place in WORLD.places],
        [(parcels.legal_dong(place), lot) for place in WORLD.places for lot in parcels.lots(place)],
    ):
        assert len(each) == len(set(each))
    assert {len(place.complex_id) for place in WORLD.places} == {9}


def test_the_lots_stay_below_those_of_other_parcels_however_many_there_are() -> None:
    assert max(country._stand(number)[1] for number in range(30_000)) < 16


def test_the_services_list_describe_and_meter_them() -> None:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app.create(CHOSEN, "Asia/Seoul")), base_url="http://x")

    def items(path: str, **parameters: str) -> list[dict[str, str]]:
        asked = {"serviceKey": CHOSEN.service_keys[0], "_type": "json", "numOfRows": "5000", **parameters}
        answer = json.loads(asyncio.run(client.get(f"/1613000/{path}", params=asked)).content)["response"]["body"]
        found = answer.get("items") or [answer["item"]]
        found = found.get("item") if isinstance(found, dict) else found
        return [found] if isinstance(found, dict) else found

    assert {item["kaptCode"] for item in items("AptListService4/getTotalAptList4")} == WORLD.by_id.keys()
    assert len(items("AptListService4/getSidoAptList4", sidoCode="27")) == 300
    seoul = items("AptListService4/getSidoAptList4", sidoCode="11")
    assert {item["as1"] for item in seoul} == {"서울특별시"}
    place = next(WORLD.by_id[item["kaptCode"]] for item in seoul if WORLD.by_id[item["kaptCode"]].households > 300)
    (basis,) = items("AptBasisInfoServiceV5/getAphusBassInfoV5", kaptCode=place.complex_id)
    told = json.loads(messages.complex_value(basis, None, 0))
    assert (told["region"], told["legal_dong"]) == (place.region, parcels.legal_dong(place))
    assert (told["address"], told["households"]) == (place.address, place.households)
    (used,) = items(
        "ApHusEnergyUseInfoOfferServiceV2/getHsmpApHusUsgQtyInfoSearchV2", kaptCode=place.complex_id, reqDate="202601"
    )
    assert used == services.energy_item(place.complex_id, MONTH, WORLD.usage(place, MONTH, TODAY))
    dong = parcels.legal_dong(place)
    rows = items(
        "BldEngyHubService/getBeElctyUsgInfo",
        **{"sigunguCd": dong[:5], "bjdongCd": dong[5:], "bun": "", "ji": "", "useYm": "202601", "numOfRows": "100"},
    )
    assert {row["platPlc"].split()[0] for row in rows} == {"서울특별시"}


def test_their_addresses_are_found_and_name_their_lots() -> None:
    for place in OUTSIDE:
        wanted = {written.lot("1" if lot.mountain else "0", lot.main, lot.sub) for lot in parcels.lots(place)}
        assert set(written.lots(services.parcel_address(place))) == wanted
        documents = services.geocoded(WORLD, services.road_address(place))
        assert bool(documents) == WORLD.traits(place).has_known_address
        assert all(document["x"] == f"{place.lon}" for document in documents)
