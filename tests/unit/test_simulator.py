"""The simulated services without HTTP: the data, the envelopes, and what the gateway does to a call."""

import asyncio
import json
import statistics
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import httpx
import pytest
from defusedxml import EntitiesForbidden
from defusedxml.ElementTree import fromstring
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from apis import legal_dongs
from conf.city import places
from conf.settings import Simulator, Trouble, load
from generators.simulator import app, envelopes
from generators.simulator.carbon import energy, metering, parcels, services, weather
from generators.simulator.carbon.metering import Metered
from generators.simulator.carbon.parcels import Lot
from generators.simulator.carbon.services import World
from generators.simulator.gateway import Gateway
from tests.pollers import RICH

SEED = 27
FIRST = date(2024, 5, 1)
TODAY = date(2026, 11, 21)
WORLD = World(SEED, FIRST, RICH)
DAYS = list(weather.between(SEED, date(2023, 1, 1), date(2025, 12, 31)))
PLACES = places.complexes()


def water(place: places.Complex, month: date) -> int:
    return energy.usage(SEED, place, month, FIRST).water_m3


class Browser:
    """Calls of the application without a network."""

    def __init__(self, application: FastAPI) -> None:
        self.transport = httpx.ASGITransport(application)

    def get(self, path: str, params: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
        async def get() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://simulator") as client:
                return await client.get(path, params=params, headers=headers)

        return asyncio.run(get())


@pytest.fixture(scope="module")
def client() -> Browser:
    return Browser(app.create(chosen(rate_per_second=0), "Asia/Seoul"))


@pytest.fixture(scope="module")
def key() -> str:
    return chosen().service_keys[0]


def chosen(**changes: object) -> Simulator:
    return load().simulator.model_copy(update={"today": TODAY, "energy": RICH, **changes})


class TestWeather:
    def test_follows_the_season_of_daegu(self) -> None:
        mean = {m: statistics.mean(d.mean_celsius for d in DAYS if d.day.month == m) for m in range(1, 13)}
        assert -3 < mean[1] < 5
        assert 24 < mean[8] < 30
        assert all(d.min_celsius < d.mean_celsius < d.max_celsius for d in DAYS)

    def test_resembles_the_day_before(self) -> None:
        season = {d.day: d.mean_celsius for d in DAYS}
        near = [season[d.day] - season[d.day - timedelta(days=1)] for d in DAYS[1:]]
        far = [season[d.day] - season[d.day - timedelta(days=10)] for d in DAYS[10:]]
        assert statistics.pstdev(near) < 0.7 * statistics.pstdev(far)

    def test_it_rains_on_two_days_in_five_and_more_in_summer(self) -> None:
        assert 0.5 < sum(d.rain_mm is None for d in DAYS) / len(DAYS) < 0.65
        summer = sum(d.rain_mm or 0 for d in DAYS if d.day.month in (6, 7, 8))
        assert summer > 0.4 * sum(d.rain_mm or 0 for d in DAYS)
        assert all(d.mean_celsius <= 0.5 for d in DAYS if d.snow_cm)

    @given(st.dates(date(1950, 1, 1), date(2090, 1, 1)))
    def test_is_a_function_of_seed_and_day(self, day: date) -> None:
        first = weather.on(SEED, day)
        weather.on.cache_clear()
        weather._noise.cache_clear()
        assert weather.on(SEED, day) == first
        assert weather.on(SEED + 1, day) != first

    def test_an_item_is_all_text_and_empty_where_there_is_nothing(self) -> None:
        for day in DAYS:
            item = services.weather_item(day)
            assert all(isinstance(value, str) for value in item.values())
            assert (item["sumRn"] == "") == (day.rain_mm is None)
            assert (item["avgTa"] == "") == (not day.is_observed)
        assert 0 < sum(not day.is_observed for day in DAYS) < 30


class TestEnergy:
    def test_gas_and_heat_follow_the_heating(self) -> None:
        seen = set()
        for place in PLACES:
            heating = WORLD.traits(place).heating
            used = energy.usage(SEED, place, date(2025, 1, 1), FIRST)
            seen.add(heating)
            assert (used.heat_mcal > 0) == (heating == "district")
            assert heating != "district" or used.gas_m3 == 0
        assert seen == {"individual", "district", "central"}

    def test_is_plausible_per_household(self) -> None:
        for month, low, high in ((date(2025, 1, 1), 55, 110), (date(2025, 8, 1), 7, 16)):
            gas = [energy.usage(SEED, p, month, FIRST).gas_m3 / p.households for p in PLACES]
            assert low < statistics.median(value for value in gas if value) < high
        power = {
            m: statistics.median(
                energy.usage(SEED, p, date(2025, m, 1), FIRST).electricity_kwh / p.households for p in PLACES
            )
            for m in (4, 8)
        }
        assert 200 < power[4] < 280
        assert 1.25 < power[8] / power[4] < 1.8

    def test_savers_save(self) -> None:
        savers = [place for place in PLACES if WORLD.traits(place).saves]
        assert 45 < len(savers) < 105
        assert {WORLD.traits(place).saves for place in savers} == {0.07, 0.12, 0.18}
        for place in savers:
            about = WORLD.traits(place)
            months = [energy.month_after(about.saves_from, number) for number in range(12)]
            pairs = [(water(place, month), water(place, energy.month_after(month, -12))) for month in months]
            entered = [(now, before) for now, before in pairs if now and before]
            kept = sum(now for now, _ in entered) / sum(before for _, before in entered)
            assert kept == pytest.approx(1 - about.saves, abs=0.04)

    def test_a_month_appears_when_it_is_entered(self) -> None:
        place = next(p for p in PLACES if not WORLD.office(p).silent)
        month = date(2026, 3, 1)
        entered = WORLD.entered_on(place, month)
        assert entered is not None
        assert entered > energy.last_day(month)
        assert not any(WORLD.usage(place, month, entered - timedelta(days=1)))
        assert WORLD.usage(place, month, entered) == energy.usage(SEED, place, month, FIRST)

    def test_the_newest_month_differs(self) -> None:
        newest = {WORLD.newest_month(place, TODAY) for place in PLACES}
        assert newest >= {date(2026, 10, 1), date(2026, 9, 1)}

    def test_some_months_are_never_entered(self) -> None:
        silent = [(place, month) for place in PLACES for month in WORLD.office(place).silent]
        assert silent
        assert all(not any(WORLD.usage(place, month, date(2099, 1, 1))) for place, month in silent)

    def test_a_correction_changes_one_month(self) -> None:
        world = World(SEED, FIRST, RICH)
        place, month = PLACES[0], date(2025, 2, 1)
        before = world.usage(place, month, TODAY)
        world.corrections[place.complex_id, month] = 1.1
        assert world.usage(place, month, TODAY) == before.times(1.1) != before
        assert world.usage(place, date(2025, 4, 1), TODAY) == WORLD.usage(place, date(2025, 4, 1), TODAY)


POOR = World(SEED, FIRST, load().simulator.energy)
YEAR = energy.months_between(date(2025, 4, 1), date(2026, 3, 1))


class TestAPoorCity:
    """The default: as little becomes known as was found of the real services."""

    @pytest.mark.parametrize(
        ("item", "low", "high"),
        [("electricity_kwh", 0.9, 1), ("water_m3", 0.75, 0.95), ("gas_m3", 0.003, 0.05), ("heat_mcal", 0.02, 0.12)],
    )
    def test_nearly_all_enter_electricity_and_hardly_any_gas(self, item: str, low: float, high: float) -> None:
        entered = [any(getattr(POOR.usage(place, month, TODAY), item) for month in YEAR) for place in PLACES]
        assert low < sum(entered) / len(PLACES) < high

    def test_some_months_come_much_later_than_others(self) -> None:
        lags = [
            [(entered - energy.last_day(month)).days for month in YEAR if (entered := POOR.entered_on(place, month))]
            for place in PLACES
        ]
        late = [max(of_one) - min(of_one) > 50 for of_one in lags if of_one]
        assert 0.15 < sum(late) / len(late) < 0.5

    def test_some_of_gunwi_are_known_by_the_old_code(self) -> None:
        codes = {place.complex_id: POOR.basis_code(place) for place in PLACES}
        gunwi = {codes[place.complex_id][:5] for place in PLACES if place.region == "27720"}
        assert gunwi == {"27720", "47720"}
        assert all(codes[p.complex_id] == parcels.legal_dong(p) for p in PLACES if p.region != "27720")
        # The list has the new one, or it would not be listed under Daegu.
        assert {services.list_item(place)["bjdCode"][:2] for place in services.listed(POOR, "27")} == {"27"}


def metered(place: places.Complex, month: date, item: Metered, world: World = POOR) -> list[envelopes.Item]:
    lots = parcels.lots(place)
    return [
        row
        for row in world.metered(legal_dongs.at(parcels.legal_dong(place), month), month, item, TODAY)
        if Lot(row["platGbCd"] == "1", int(row["bun"]), int(row["ji"])) in lots
    ]


class TestBuildings:
    def test_most_complexes_of_200_households_have_rows_and_no_smaller_one(self) -> None:
        month = date(2025, 5, 1)
        assert not any(metered(p, month, "electricity") for p in PLACES if p.households < 200)
        large = [bool(metered(p, month, "electricity")) for p in PLACES if p.households >= 200]
        assert 0.7 < sum(large) / len(large) < 0.95

    def test_a_complex_has_several_lots_on_the_mountain_and_lots_with_two_rows(self) -> None:
        lots = [parcels.lots(place) for place in PLACES]
        assert any(len(each) > 1 for each in lots)
        assert any(lot.mountain for each in lots for lot in each)
        rows = [len(metered(place, date(2025, 5, 1), "electricity")) - len(parcels.lots(place)) for place in PLACES]
        assert 1 in rows

    def test_no_two_complexes_share_a_lot_and_others_have_none_of_theirs(self) -> None:
        for dong, there in parcels.dongs().items():
            lots = [lot for place in there for lot in parcels.lots(place)]
            assert len(set(lots)) == len(lots), dong

    def test_it_is_what_was_used_but_for_shops_and_meters(self) -> None:
        month, near, more = date(2025, 5, 1), 0, 0
        for place in PLACES:
            used = energy.usage(SEED, place, month, FIRST).electricity_kwh
            told = sum(float(row["useQty"]) for row in metered(place, month, "electricity"))
            if told:
                near += told == pytest.approx(used, rel=0.06)
                more += told == pytest.approx(used * 1.15, rel=0.06)
        assert near > 5 * more > 0

    def test_gas_is_in_kwh_and_some_have_july_with_august(self) -> None:
        january = [sum(float(row["useQty"]) for row in metered(p, date(2025, 1, 1), "gas")) for p in PLACES]
        per_household = [kwh / place.households for kwh, place in zip(january, PLACES, strict=True) if kwh]
        assert 600 < statistics.median(per_household) < 1300
        july, august = (
            {p.complex_id for p in PLACES if metered(p, month, "gas")} for month in (date(2025, 7, 1), date(2025, 8, 1))
        )
        assert len(august - july) > 8

    def test_gunwi_answers_to_the_code_of_the_month(self) -> None:
        place = next(p for p in PLACES if p.region == "27720" and p.households >= 200)
        dong = parcels.legal_dong(place)
        old = "47720" + dong[5:]
        june, july = date(2023, 6, 1), date(2023, 7, 1)
        assert not POOR.metered(dong, june, "gas", TODAY)
        assert {row["sigunguCd"] for row in POOR.metered(old, june, "gas", TODAY)} == {"47720"}
        assert not POOR.metered(old, july, "gas", TODAY)
        assert {row["sigunguCd"] for row in POOR.metered(dong, july, "gas", TODAY)} == {"27720"}

    def test_months_come_late_and_nothing_is_older_than_2020(self) -> None:
        dong = next(iter(parcels.dongs()))
        assert not POOR.metered(dong, date(2026, 9, 1), "gas", TODAY)
        assert POOR.metered(dong, date(2026, 3, 1), "gas", TODAY)
        place = parcels.dongs()[dong][0]
        assert metering.metered(POOR.chosen, SEED, place, date(2019, 12, 1), FIRST, "gas") is None

    def test_shapes(self, client: Browser, key: str) -> None:
        crowded = next(d for d in parcels.dongs() if len(POOR.metered(d, date(2025, 5, 1), "gas", TODAY)) > 100)
        paths = {item: f"/1613000/BldEngyHubService/get{item}UsgInfo" for item in ("BeElcty", "BeGas")}
        asked = {"serviceKey": key, "sigunguCd": crowded[:5], "bjdongCd": crowded[5:], "useYm": "202505"}

        def ask(item: str, **more: str) -> ET.Element:
            return ET.fromstring(client.get(paths[item], {**asked, **more}).content)  # noqa: S314

        whole = ask("BeElcty", numOfRows="100", bun="", ji="")
        assert len(whole.findall("body/items/item")) == 100
        assert int(whole.findtext("body/totalCount") or 0) > 100
        assert whole.findtext("header/resultMsg") == "NORMAL SERVICE"
        # The figures of gas stand behind the body.
        gas = ask("BeGas", numOfRows="100", pageNo="2")
        assert gas.findtext("totalCount") == str(100 + len(gas.findall("body/items/item")))
        row = whole.find("body/items/item")
        assert row is not None
        lot = {"bun": row.findtext("bun") or "", "ji": row.findtext("ji") or ""}
        found = client.get(paths["BeElcty"], {**asked, **lot, "_type": "json"}).json()["response"]["body"]
        one = found["items"]["item"]
        assert (one if isinstance(one, dict) else one[0])["bun"] == lot["bun"]
        nothing = client.get(paths["BeElcty"], {**asked, "bun": "9999", "ji": "0000", "_type": "json"}).json()
        assert nothing["response"]["body"]["items"] == ""
        assert ask("BeElcty", numOfRows="101").findtext("header/resultCode") == "10"
        assert ask("BeElcty", useYm="").findtext("header/resultCode") == "11"

    def test_it_may_refuse_a_call_without_a_lot(self, key: str) -> None:
        narrow = chosen(rate_per_second=0, energy=RICH.model_copy(update={"whole_dongs": False}))
        dong = next(iter(parcels.dongs()))
        asked = {"serviceKey": key, "sigunguCd": dong[:5], "bjdongCd": dong[5:], "useYm": "202505"}
        browser = Browser(app.create(narrow, "Asia/Seoul"))
        path = "/1613000/BldEngyHubService/getBeGasUsgInfo"
        assert b"<resultCode>11<" in browser.get(path, asked).content
        assert b"<resultCode>00<" in browser.get(path, {**asked, "bun": "0012", "ji": "0000"}).content


def refusal(gateway: Gateway, operation: str = "energy", key: str | None = "k") -> str | None:
    return gateway.refusal(operation, key, ("k",), is_rated=True)


class TestGateway:
    def gateway(self, **changes: object) -> tuple[Gateway, list[float], list[date]]:
        time, day = [0.0], [TODAY]
        simulator = chosen(service_keys=("k",), **changes)
        return Gateway(simulator, lambda: day[0], lambda: time[0]), time, day

    def test_quota_is_per_operation_and_day(self) -> None:
        gateway, _, day = self.gateway(daily_quota=2, rate_per_second=0)
        assert [refusal(gateway) for _ in range(3)] == [None, None, "quota"]
        assert refusal(gateway, "basis") is None
        day[0] += timedelta(days=1)
        assert refusal(gateway) is None

    def test_rate_is_per_second(self) -> None:
        gateway, time, _ = self.gateway(daily_quota=99, rate_per_second=2)
        assert [refusal(gateway) for _ in range(3)] == [None, None, "rate"]
        time[0] += 1
        assert refusal(gateway) is None

    def test_an_unknown_key_costs_nothing(self) -> None:
        gateway, _, _ = self.gateway(daily_quota=1, rate_per_second=0)
        assert refusal(gateway, key="other") == "key"
        assert refusal(gateway, key=None) == "key"
        assert refusal(gateway) is None

    def test_trouble_depends_on_what_is_asked_and_not_on_the_order(self) -> None:
        trouble = Trouble(timeouts=0.43, malformed=0.1)
        first, _, _ = self.gateway(trouble=trouble)
        second, _, _ = self.gateway(trouble=trouble)
        subjects = [f"s{number}" for number in range(500)]
        came = {subject: first.outcome("energy", subject)[0] for subject in subjects}
        assert {subject: second.outcome("energy", subject)[0] for subject in reversed(subjects)} == came
        share = sum(outcome == "timeout" for outcome in came.values()) / len(came)
        assert 0.36 < share < 0.5

    def test_trouble_may_be_of_one_operation(self) -> None:
        gateway, _, _ = self.gateway(trouble=Trouble(html=1, operations=("weather",)))
        assert gateway.outcome("energy", "s")[0] == "fine"
        assert gateway.outcome("weather", "s")[0] == "html"


class TestShapes:
    def test_the_list_is_paged(self, client: Browser, key: str) -> None:
        path = "/1613000/AptListService4/getSigunguAptList4"
        asked = {"serviceKey": key, "sigunguCode": "27260", "numOfRows": "7", "_type": "json"}
        ids: list[str] = []
        total, page = 1, 1
        while len(ids) < total:
            body = client.get(path, params={**asked, "pageNo": str(page)}).json()["response"]["body"]
            total = body["totalCount"]
            ids += [item["kaptCode"] for item in body["items"]]
            page += 1
        assert ids == [place.complex_id for place in PLACES if place.region == "27260"]

    def test_energy_is_xml_unless_json_is_asked(self, client: Browser, key: str) -> None:
        path = "/1613000/ApHusEnergyUseInfoOfferServiceV2/getHsmpApHusUsgQtyInfoSearchV2"
        asked = {"serviceKey": key, "kaptCode": PLACES[0].complex_id, "reqDate": "202501"}
        item = ET.fromstring(client.get(path, params=asked).content).find("body/item")  # noqa: S314
        assert item is not None
        used = energy.usage(SEED, PLACES[0], date(2025, 1, 1), FIRST)
        assert item.findtext("helect") == str(used.electricity_kwh)
        same = client.get(path, params={**asked, "_type": "json"}).json()["response"]["body"]["item"]
        assert same == {part.tag: part.text or "" for part in item}

    def test_a_gateway_error_is_xml_with_status_200(self, client: Browser) -> None:
        answer = client.get("/1360000/AsosDalyInfoService/getWthrDataList", params={"dataType": "JSON"})
        assert answer.status_code == 200
        assert ET.fromstring(answer.content).findtext("cmmMsgHeader/returnReasonCode") == "30"  # noqa: S314

    @pytest.mark.parametrize(("last", "code"), [("20261120", "00"), ("20261121", "99"), ("20270101", "99")])
    def test_weather_is_there_until_yesterday(self, client: Browser, key: str, last: str, code: str) -> None:
        asked = {"serviceKey": key, "stnIds": "143", "startDt": "20261101", "endDt": last, "dataType": "JSON"}
        answer = client.get("/1360000/AsosDalyInfoService/getWthrDataList", params={**asked, "numOfRows": "999"})
        header = answer.json()["response"]["header"]
        assert header["resultCode"] == code
        assert ("전날" in header["resultMsg"]) == (code == "99")

    @pytest.mark.parametrize(
        ("asked", "code", "count"),
        [
            ({}, "00", 1052),
            ({"numOfRows": "10"}, "00", 1052),
            ({"base_time": "1800"}, "03", 0),
            ({"base_date": "20261122"}, "03", 0),  # not issued yet
            ({"base_date": "20261117"}, "03", 0),  # no longer there
            ({"nx": "0"}, "10", 0),
            ({"ny": "254"}, "10", 0),
            ({"base_date": "2026"}, "10", 0),
            ({"nx": ""}, "11", 0),
        ],
    )
    def test_short_term_forecasts(
        self, client: Browser, key: str, asked: dict[str, str], code: str, count: int
    ) -> None:
        usual = {"serviceKey": key, "base_date": "20261121", "base_time": "1700", "nx": "90", "ny": "91"}
        usual |= {"dataType": "JSON", "numOfRows": "1500"}
        path = "/1360000/VilageFcstInfoService_2.0/getVilageFcst"
        answer = client.get(path, params={**usual, **asked}).json()["response"]
        assert answer["header"]["resultCode"] == code
        assert answer["header"]["resultMsg"] == {"00": "NORMAL_SERVICE", "03": "NO_DATA"}.get(
            code, envelopes.NAMES[code]
        )
        if count:
            assert answer["body"]["totalCount"] == count
            items = answer["body"]["items"]["item"]
            assert len(items) == min(count, int({**usual, **asked}["numOfRows"]))
            assert items[0] == {
                **{"baseDate": "20261121", "baseTime": "1700", "category": "TMP", "fcstDate": "20261121"},
                **{"fcstTime": "1800", "fcstValue": items[0]["fcstValue"], "nx": 90, "ny": 91},
            }
            assert [item["category"] for item in items[:4]] == ["TMP", "UUU", "VVV", "VEC"]

    @pytest.mark.parametrize(
        ("asked", "code"),
        [
            ({}, "00"),
            ({"tmFc": "202611210600"}, "00"),
            ({"tmFc": "202611210700"}, "03"),
            ({"tmFc": "202611191800"}, "03"),  # only about the last day's
            ({"regId": "11B00000"}, "03"),
            ({"tmFc": "2026"}, "10"),
            ({"regId": ""}, "11"),
        ],
    )
    def test_mid_term_forecasts(self, client: Browser, key: str, asked: dict[str, str], code: str) -> None:
        for path, region, fields in (("getMidTa", "11H10701", 43), ("getMidLandFcst", "11H10000", 23)):
            usual = {"serviceKey": key, "regId": region, "tmFc": "202611211800", "dataType": "JSON"}
            answer = client.get(f"/1360000/MidFcstInfoService/{path}", params={**usual, **asked}).json()["response"]
            assert answer["header"]["resultCode"] == code
            if code == "00":
                (item,) = answer["body"]["items"]["item"]
                morning = "tmFc" in asked
                assert len(item) == fields - (not morning) * (6 if path == "getMidTa" else 4)
                assert item["regId"] == region

    def test_kakao_refuses_a_wrong_key(self, client: Browser) -> None:
        answer = client.get("/v2/local/search/address.json", params={"query": "x"})
        assert (answer.status_code, answer.json()["code"]) == (401, -401)

    def test_kakao_knows_most_addresses(self) -> None:
        for place in PLACES:
            documents = services.geocoded(WORLD, services.road_address(place))
            assert bool(documents) == WORLD.traits(place).has_known_address
            assert not documents or (documents[0]["x"], documents[0]["y"]) == (f"{place.lon}", f"{place.lat}")
        assert 0 < sum(not WORLD.traits(place).has_known_address for place in PLACES) < 15

    def test_kakao_knows_the_address_of_a_position(self, client: Browser) -> None:
        headers = {"Authorization": "KakaoAK simulator-open-key"}

        def ask(**asked: str) -> httpx.Response:
            return client.get("/v2/local/geo/coord2address.json", params=asked, headers=headers)

        streets = 0
        for place in PLACES[:100:3]:
            (document,) = ask(x=f"{place.lon}", y=f"{place.lat}").json()["documents"]
            assert document["address"]["region_1depth_name"] == "대구"
            assert document["address"]["region_2depth_name"] in place.address
            streets += document["road_address"] is not None
        assert 15 < streets < 34
        assert ask(x="128.6", y="35.87").json() == ask(x="128.6", y="35.87").json()
        assert ask(x="131.0", y="38.5").json() == {"meta": {"total_count": 0}, "documents": []}
        for wrong in ({}, {"x": "a", "y": "1"}, {"x": "nan", "y": "1"}, {"x": "300000", "y": "400000"}):
            assert (ask(**wrong).status_code, ask(**wrong).json()["code"]) == (400, -2)

    def test_the_bomb_is_one(self) -> None:
        with pytest.raises(EntitiesForbidden):
            fromstring(envelopes.BOMB)

    def test_text_is_escaped(self) -> None:
        body = envelopes.single({"name": "<&>"}, as_json=False)
        assert ET.fromstring(body).findtext("body/item/name") == "<&>"  # noqa: S314
        assert json.loads(envelopes.single({"name": "<&>"}, as_json=True))["response"]["body"]["item"]["name"] == "<&>"
