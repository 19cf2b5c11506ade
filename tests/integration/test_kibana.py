"""What Kibana's panels ask, asked of the real Elasticsearch: each answers, whole and not empty."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from elasticsearch.helpers import bulk

from conf.city import places
from conf.settings import Settings, load
from generators.orders import Plan, stream
from sinks import elasticsearch
from tests.saved_objects import FILES, Search, joined_keys, read, searches, written_fields

pytestmark = [pytest.mark.elasticsearch]

ZONE = load().time_zone
SEARCHES = [search for file in FILES for search in searches(read(file), ZONE)]
INDICES = ("deliveries", "pay_per_destination", "pay_per_category", "pay_per_complex", "charge_per_day", "carbon")
Document = dict[str, Any]


def orders(now: datetime, count: int) -> list[Document]:
    """Documents of orders of the last half hour, out of the generator's records, as the job writes them."""
    plan = Plan(seed=11, start=now - timedelta(minutes=30), rate=count / 1800)
    found = []
    for record in islice(stream(plan), count):
        assert record.value is not None
        order = json.loads(record.value)
        at = datetime.fromisoformat(order["ordered_at"]).astimezone(ZoneInfo(ZONE))
        found.append({**order, "day": at.date().isoformat(), "location": [order.pop("lon"), order.pop("lat")]})
        found[-1] = {name: value for name, value in found[-1].items() if name not in ("lat", "lon")}
    return found


def totals(documents: list[Document], key: str | None) -> list[Document]:
    """The running totals of these orders, per day and key."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for order in documents:
        if key is None or order[key] is not None:
            total = sums[(order["day"],) if key is None else (order["day"], order[key])]
            for place, value in enumerate((1, order["pay"], order["delivery_charge"])):
                total[place] += value
    return [
        {
            "day": day,
            **({key: rest[0]} if key else {}),
            **{"orders": orders, "pay": pay, "charge": charge, "version": orders},
            "updated_at": datetime.now(UTC).isoformat(),
        }
        for (day, *rest), (orders, pay, charge) in sums.items()
    ]


def emission(today: date) -> list[Document]:
    """Documents of the last months, of every third complex of the city; the newest month is not entered by all."""
    found = []
    for number, place in enumerate(places.complexes()[::3]):
        for back in range(2, 8):
            index = today.year * 12 + today.month - 1 - back
            entered = back > 2 or number % 2 == 0
            kilograms = {name: place.households * share for name, share in _SHARES.items()} if entered else {}
            found.append(
                {
                    "complex_id": place.complex_id,
                    "month": date(index // 12, index % 12 + 1, 1).isoformat(),
                    **{"name": place.name, "region": place.region, "households": place.households},
                    "heating": ("individual", "district", None)[number % 3],
                    "position": [place.lon, place.lat] if number % 10 else None,
                    **{name: kilograms.get(name) for name in _SHARES},
                    "kg_co2": sum(kilograms.values()) if entered else None,
                }
            )
    return found


_SHARES = {"electricity_kg": 127.0, "gas_kg": 101.0, "water_kg": 5.0, "heat_kg": 9.5}


@pytest.fixture(scope="module")
def documents() -> Iterator[Elasticsearch]:
    """The indices with documents as the jobs write them, and nothing else; forgotten at the end."""
    settings: Settings = load()
    now = datetime.now(UTC)
    placed = orders(now, 400)
    written = {
        "deliveries": placed,
        "pay_per_destination": totals(placed, "region"),
        "pay_per_category": totals(placed, "category"),
        "pay_per_complex": totals(placed, "complex_id"),
        "charge_per_day": totals(placed, None),
        "carbon": emission(now.astimezone(ZoneInfo(ZONE)).date()),
    }
    assert tuple(written) == INDICES
    with elasticsearch.client(settings) as client:
        # The `day` of the templates' totals, the places of the districts: what `make prepare` leaves.
        elasticsearch.apply_templates(settings)
        assert elasticsearch.load_districts(settings) == 9
        for index, each in written.items():
            assert set(each[0]) == written_fields(index), index
            client.options(ignore_status=404).indices.delete(index=index)
            bulk(client, ({"_index": index, "_source": document} for document in each))
        client.indices.refresh(index=[*INDICES, "districts"])
        yield client
        for index in INDICES:
            client.options(ignore_status=404).indices.delete(index=index)


def answered(client: Elasticsearch, search: Search) -> Document:
    answer: Document = client.search(index=search.index, body=search.body).body
    assert answer["_shards"]["failed"] == 0, answer["_shards"]
    assert answer["_shards"]["successful"] >= 1
    assert not answer["timed_out"]
    return answer


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.what)
def test_a_panel_is_answered(documents: Elasticsearch, search: Search) -> None:
    search.check(answered(documents, search))


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Auckland"])
def test_the_citys_today_is_in_sight_of_any_browser(documents: Elasticsearch, zone: str) -> None:
    for file in FILES:
        for search in searches(read(file), zone):
            search.check(answered(documents, search))


@pytest.mark.parametrize(
    "search", [search for search in SEARCHES if search.what.endswith(", join")], ids=lambda search: search.what
)
def test_a_join_finds_the_districts(documents: Elasticsearch, search: Search) -> None:
    districts = documents.search(index="districts", size=20)["hits"]["hits"]
    assert joined_keys(answered(documents, search)) <= {hit["_source"]["region"] for hit in districts}


def test_without_documents_a_panel_is_empty(documents: Elasticsearch) -> None:
    """The checks fail where they should: outside the time range there is nothing."""
    for search in SEARCHES:
        if search.index != "districts":
            nothing = {"bool": {"must_not": {"match_all": {}}}}
            with pytest.raises(AssertionError):
                search.check(
                    answered(
                        documents, Search(search.what, search.index, {**search.body, "query": nothing}, search.check)
                    )
                )


def test_a_wrong_field_is_refused(documents: Elasticsearch) -> None:
    """What the check of the objects says of types is what Elasticsearch says."""
    for aggregation in (
        {"sum": {"field": "category"}},
        {"terms": {"field": "address"}},
        {"geotile_grid": {"field": "pay"}},
        {"date_histogram": {"field": "category", "fixed_interval": "1m"}},
    ):
        with pytest.raises(BadRequestError):
            documents.search(index="deliveries", size=0, aggs={"x": aggregation})


def test_districts_are_written_again_without_a_trace(documents: Elasticsearch) -> None:
    assert elasticsearch.load_districts(load()) == 9
    documents.indices.refresh(index="districts")
    assert documents.count(index="districts")["count"] == 9


def test_emission_per_household_leaves_out_what_was_not_entered(documents: Elasticsearch) -> None:
    search = next(each for each in SEARCHES if each.what.endswith("citystream-carbon-per-household"))
    found = answered(documents, search)["aggregations"]
    per_household = found["valueX0"]["value"] / found["valueX1"]["filtered"]["value"]
    assert per_household == pytest.approx(sum(_SHARES.values()))
    everyone = documents.search(index="carbon", size=0, aggs={"all": {"sum": {"field": "households"}}})
    assert everyone["aggregations"]["all"]["value"] > found["valueX1"]["filtered"]["value"]
