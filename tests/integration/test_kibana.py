"""What Kibana's panels ask, asked of the real Elasticsearch: each answers, whole and not empty."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from elasticsearch.helpers import bulk

from conf.settings import Settings, load
from sinks import elasticsearch
from tests import carbon
from tests.saved_objects import FILES, Search, joined_keys, read, searches, written_fields

pytestmark = [pytest.mark.elasticsearch]

ZONE = load().time_zone
SEARCHES = [search for file in FILES for search in searches(read(file), ZONE)]
# What the job of each stream with a page writes, put together by that stream's tests.
SHOWN = [import_module(f"tests.{file.stem}") for file in FILES]
Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents(servers: None) -> Iterator[Elasticsearch]:
    """The indices with documents as the jobs write them, and nothing else; forgotten at the end."""
    settings: Settings = load()
    now = datetime.now(UTC)
    written = {index: found for stream in SHOWN for index, found in stream.documents(now).items()}
    with elasticsearch.client(settings) as client:
        # The `day` of the templates' totals, the places of the districts: what `make prepare` leaves.
        elasticsearch.apply_templates(settings)
        assert elasticsearch.load_districts(settings) == 9
        for index, each in written.items():
            assert set(each[0]) == written_fields(index), index
            client.options(ignore_status=404).indices.delete(index=index)
            bulk(client, ({"_index": index, "_source": document} for document in each))
        client.indices.refresh(index=[*written, "districts"])
        yield client
        for index in written:
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
    assert per_household == pytest.approx(sum(carbon.KG_PER_HOUSEHOLD.values()))
    everyone = documents.search(index="carbon", size=0, aggs={"all": {"sum": {"field": "households"}}})
    assert everyone["aggregations"]["all"]["value"] > found["valueX1"]["filtered"]["value"]
