"""The simulated services of events, without a network: PredictHQ, Overpass, Google Places and Duffel."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from conf.airports import distance_km
from conf.settings import load
from generators.simulator import app
from generators.simulator.events import duffel, nearby
from generators.simulator.events.world import CITIES, HALLS, Version, World, hall_at, rendered
from jobs.rules.events.changes import UpdateType, step
from jobs.rules.events.event import Event, parse

FIRST = date(2026, 11, 1)
COUNT = 600
WORLD = World(27, COUNT, FIRST)
HISTORIES = [WORLD.history(number) for number in range(COUNT)]
TODAY = date(2026, 11, 20)


class Browser:
    """Calls of the application without a network."""

    def __init__(self, application: FastAPI) -> None:
        self._transport = httpx.ASGITransport(application)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://simulator") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def events(self, token: str = "simulator-events-1", **asked: Any) -> httpx.Response:  # noqa: S107 - the simulator's
        query = {name.replace("__", "."): str(value) for name, value in asked.items()}
        return self.ask("GET", "/v1/events/", params=query, headers={"Authorization": f"Bearer {token}"})

    def pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """Each page, by `next`."""
        page = self.events(**asked).raise_for_status().json()
        yield page
        while page["next"]:
            found = self.ask("GET", page["next"], headers={"Authorization": "Bearer simulator-events-1"})
            page = found.raise_for_status().json()
            yield page


def browser(today: date = TODAY, **changes: Any) -> Browser:
    chosen = load().simulator
    events = chosen.events.model_copy(update={"count": COUNT, "first_day": FIRST, **changes})
    return Browser(
        app.create(chosen.model_copy(update={"events": events, "today": today, "rate_per_second": 0}), "Asia/Seoul")
    )


@pytest.fixture(scope="module")
def client() -> Browser:
    return browser()


def known(today: date = TODAY) -> list[Version]:
    """The newest version of each, recomputed the long way."""
    until = datetime.combine(today, time.max, UTC)
    newest = [[each for each in history if each.updated <= until][-1:] for history in HISTORIES]
    return [version for versions in newest for version in versions]


def parsed(version: Version) -> Event:
    return parse(version.event.event_id, json.dumps(rendered(version)).encode(), 0)


# ----- the world


def test_the_same_seed_gives_the_same_histories_and_another_one_others() -> None:
    assert World(27, 5, FIRST).history(3) == HISTORIES[3]
    assert World(28, 5, FIRST).history(3) != HISTORIES[3]


def test_each_version_is_newer_than_the_one_before() -> None:
    assert all(one.updated < other.updated for history in HISTORIES for one, other in pairwise(history))


def test_every_kind_of_change_comes_about_and_every_version_keeps_the_rules() -> None:
    kinds = set()
    for history in HISTORIES:
        latest = None
        for version in history:
            event = parsed(version)
            assert event.flaws == ()
            taken = step(latest, event)
            kinds.add(taken.update_type)
            latest = taken.latest
    assert kinds == set(UpdateType)


def test_what_was_postponed_comes_back_later_with_another_date_and_the_rest_does_not() -> None:
    back = 0
    for history in HISTORIES:
        for one, other in pairwise(history):
            if one.state == "deleted":
                assert one.deleted_reason == "postponed"
                assert (other.state, other.deleted_reason, other.marked) == ("active", None, None)
                assert other.start > one.start
                back += 1
    assert back > 5
    reasons = {version.deleted_reason for history in HISTORIES for version in history}
    assert reasons == {None, "cancelled", "duplicate", "invalid", "postponed"}


def test_most_events_are_known_on_the_first_day_and_some_come_every_day() -> None:
    assert 0.75 < len(known(FIRST)) / COUNT < 0.85
    counts = [len(known(FIRST + timedelta(days=day))) for day in (0, 20, 40, 60)]
    assert counts == sorted(set(counts))
    assert counts[-1] == COUNT


def test_two_events_may_be_in_one_hall() -> None:
    halls = {hall_at(city, hall) for city in CITIES for hall in range(HALLS)}
    assert len(halls) == len(CITIES) * HALLS
    assert all(distance_km((city.lat, city.lon), hall_at(city, 3)) < 8 for city in CITIES)


# ----- PredictHQ


def test_pages_bring_everything_once(client: Browser) -> None:
    pages = list(client.pages(limit=100, state="active,deleted", sort="updated"))
    found = [event for page in pages for event in page["results"]]
    assert sorted(event["id"] for event in found) == sorted(each.event.event_id for each in known())
    assert [event["updated"] for event in found] == sorted(event["updated"] for event in found)
    assert {page["count"] for page in pages} == {len(found)}
    assert not any(page["overflow"] for page in pages)
    assert pages[0]["previous"] is None
    assert pages[1]["previous"] is not None


def test_only_active_ones_are_shown_unless_others_are_asked_for(client: Browser) -> None:
    assert {event["state"] for event in client.events(limit=500).json()["results"]} == {"active"}
    gone = client.events(limit=500, state="deleted").json()["results"]
    assert len(gone) == sum(each.state == "deleted" for each in known())
    cancelled = client.events(limit=500, state="deleted", deleted_reason="cancelled").json()["results"]
    assert {event["deleted_reason"] for event in cancelled} == {"cancelled"}
    assert all(event["cancelled"] == event["updated"] for event in cancelled)


def test_what_was_updated_since_is_what_changed(client: Browser) -> None:
    since = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
    found = client.events(updated__gte="2026-11-18T06:00:00", state="active,deleted", limit=500).json()["results"]
    assert {event["id"] for event in found} == {each.event.event_id for each in known() if each.updated >= since}


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        ({"country": "KR,JP"}, lambda event: event["country"] in ("KR", "JP")),
        ({"category": "expos,sports"}, lambda event: event["category"] in ("expos", "sports")),
        ({"rank__gte": 85}, lambda event: event["rank"] >= 85),
        ({"rank_level": "5"}, lambda event: event["rank"] > 80),
        ({"phq_attendance__lt": 1000}, lambda event: event["phq_attendance"] and event["phq_attendance"] < 1000),
        ({"start__gte": "2026-12-01"}, lambda event: event["start"] >= "2026-12-01"),
        ({"start__lte": "2026-12-01"}, lambda event: event["start"] < "2026-12-02"),
        (
            {"active__gte": "2026-12-01", "active__lte": "2026-12-05"},
            lambda event: event["end"] >= "2026-12-01" and event["start"] < "2026-12-06",
        ),
        ({"start__gte": "2026-12-01", "start__tz": "Asia/Seoul"}, lambda event: event["start"] >= "2026-11-30T15"),
        ({"q": "expos 1"}, lambda event: "Expos 1" in event["title"]),
    ],
)
def test_filters(client: Browser, asked: dict[str, str], keeps: Any) -> None:
    every = [event for page in client.pages(limit=500) for event in page["results"]]
    found = [event for page in client.pages(limit=500, **asked) for event in page["results"]]
    assert 0 < len(found) < len(every)
    assert sorted(event["id"] for event in found) == sorted(event["id"] for event in every if keeps(event))


def test_a_radius_keeps_what_is_near(client: Browser) -> None:
    found = client.events(within="15km@35.87,128.60", limit=500).json()["results"]
    assert {event["title"].split()[0] for event in found} == {"Daegu"}
    assert client.events(within="9.32mi@35.87,128.60", limit=500).json()["count"] == len(found)


def test_a_plan_caps_what_can_be_reached_and_says_so() -> None:
    pages = list(browser(most_rows=70).pages(limit=50))
    assert [len(page["results"]) for page in pages] == [50, 20]
    assert all(page["overflow"] and page["count"] > 70 for page in pages)


def test_a_plan_leaves_out_silently_what_starts_too_late() -> None:
    page = browser(days_ahead=30).events(limit=500, state="active,deleted").json()
    late = TODAY + timedelta(days=30)
    assert page["count"] == sum(each.start.date() <= late for each in known()) > 0
    assert page["overflow"] is False


@pytest.mark.parametrize(
    ("token", "status", "error"),
    [
        ("nobody", 401, "Authorization required"),
        ("simulator-events-expired", 402, "Your subscription has expired."),
        ("simulator-events-unscoped", 403, "Bearer token scope insufficient"),
    ],
)
def test_keys_that_do_not_serve(client: Browser, token: str, status: int, error: str) -> None:
    answer = client.events(token)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize(
    "asked",
    [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"offset": -1}, {"sort": "shoe-size"}, {"updated__gte": "today"},
     {"updated__gte": "2026-11-01T00:00:00Z"}, {"rank__gte": "high"}, {"within": "3parsec@1,2"},
     {"start__gte": "2026-11-01", "start__tz": "Asia/Daegu"}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client: Browser, asked: dict[str, Any]) -> None:
    answer = client.events(**asked)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)


def test_too_many_calls_are_refused() -> None:
    chosen = load().simulator
    busy = Browser(app.create(chosen.model_copy(update={"rate_per_second": 2}), "Asia/Seoul"))
    assert 429 in {busy.events(limit=1).status_code for _ in range(4)}
    spent = Browser(app.create(chosen.model_copy(update={"rate_per_second": 0, "daily_quota": 1}), "Asia/Seoul"))
    assert [spent.events(limit=1).status_code for _ in range(2)] == [200, 429]
    assert spent.events("simulator-events-2", limit=1).status_code == 200, "each key has a quota of its own"


# ----- places

DAEGU = (35.9068, 128.627)


def overpass(client: Browser, *statements: str) -> httpx.Response:
    return client.ask(
        "GET", "/api/interpreter", params={"data": f"[out:json][timeout:25];({''.join(statements)});out;"}
    )


def test_overpass_tells_what_is_around(client: Browser) -> None:
    answer = overpass(
        client,
        'node["amenity"~"^(restaurant|cafe)$"](around:3000,35.9068,128.627);',
        'node["tourism"="hotel"](around:5000,35.9068,128.627);',
    ).json()
    spots = [*nearby.near(27, DAEGU, 3, ["restaurant", "cafe"]), *nearby.near(27, DAEGU, 5, ["hotel"])]
    assert sorted(element["id"] for element in answer["elements"]) == sorted(spot.number for spot in spots)
    assert len(spots) > 50
    assert "ODbL" in answer["osm3s"]["copyright"]
    assert overpass(client, "node(1);").status_code == 400


def test_what_is_near_is_within_the_radius_and_the_same_from_everywhere() -> None:
    spots = nearby.near(27, DAEGU, 3, nearby.KINDS)
    away = [distance_km(DAEGU, (spot.lat, spot.lon)) for spot in spots]
    assert away == sorted(away)
    assert away[-1] <= 3
    beside = nearby.near(27, (35.91, 128.63), 5, nearby.KINDS)
    assert set(spots) <= set(beside)
    assert len({spot.number for spot in beside}) == len(beside)


def places(client: Browser, mask: str = "places.id,places.location", key: str = "simulator-places", **more: Any) -> Any:
    circle = {"center": {"latitude": DAEGU[0], "longitude": DAEGU[1]}, "radius": 3000.0}
    asked = {"locationRestriction": {"circle": circle}, "includedTypes": ["restaurant"], **more}
    headers = {"X-Goog-Api-Key": key, "X-Goog-FieldMask": mask}
    return client.ask(
        "POST", "/v1/places:searchNearby", json=asked, headers={name: each for name, each in headers.items() if each}
    )


def test_google_tells_twenty_at_most_and_only_what_the_mask_names(client: Browser) -> None:
    found = places(client, rankPreference="DISTANCE").json()["places"]
    assert len(found) == 20
    assert all(set(place) == {"id", "location"} for place in found)
    nearest = nearby.near(27, DAEGU, 3, ["restaurant"])[0]
    assert found[0]["location"] == {"latitude": nearest.lat, "longitude": nearest.lon}
    assert len(places(client, maxResultCount=3).json()["places"]) == 3
    assert places(client, includedTypes=["zoo"]).json() == {}


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"mask": ""}, 400, "INVALID_ARGUMENT"),
        ({"key": "wrong"}, 400, "INVALID_ARGUMENT"),
        ({"key": ""}, 403, "PERMISSION_DENIED"),
        ({"maxResultCount": 21}, 400, "INVALID_ARGUMENT"),
        ({"excludedTypes": ["restaurant"]}, 400, "INVALID_ARGUMENT"),
        ({"locationRestriction": {}}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_google_refuses(client: Browser, changes: dict[str, Any], status: int, kind: str) -> None:
    answer = places(client, **changes)
    assert (answer.status_code, answer.json()["error"]["status"]) == (status, kind)


def test_google_counts_by_the_minute() -> None:
    few = browser(places_per_minute=2)
    statuses = [places(few).status_code for _ in range(5)]
    # A minute may end between two of them.
    assert statuses[:2] == [200, 200]
    assert 429 in statuses


# ----- flights


def flight(client: Browser, day: str = "2026-12-01", token: str = "duffel_test_simulator", **changes: Any) -> Any:  # noqa: S107
    slices = [{"origin": "ICN", "destination": "HND", "departure_date": day, **changes}]
    return client.ask(
        "POST",
        "/air/offer_requests?return_offers=true",
        json={"data": {"slices": slices, "passengers": [{"type": "adult"}], "cabin_class": "economy"}},
        headers={"Authorization": f"Bearer {token}", "Duffel-Version": "v2"},
    )


def test_offers_have_amounts_as_texts_and_local_times(client: Browser) -> None:
    days = [f"2026-12-{day:02}" for day in range(1, 15)]
    offers = [offer for day in days for offer in flight(client, day).json()["data"]["offers"]]
    assert flight(client).status_code == 201
    assert 10 < len(offers) < 60
    for offer in offers:
        assert isinstance(offer["total_amount"], str)
        assert 50 < float(offer["total_amount"]) < 300
        (segment,) = offer["slices"][0]["segments"]
        departs, arrives = (datetime.fromisoformat(segment[name]) for name in ("departing_at", "arriving_at"))
        assert departs.tzinfo is None
        assert timedelta(hours=1.5) < arrives - departs < timedelta(hours=3)


def test_nobody_flies_around_the_world_without_a_stop() -> None:
    assert duffel.offers(27, "ICN", "GRU", date(2026, 12, 1)) == []


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"token": "wrong"}, 401, "authentication_error"),
        ({"day": "2026-11-19"}, 422, "validation_error"),
        ({"day": "soon"}, 422, "validation_error"),
        ({"origin": "XXX1"}, 422, "validation_error"),
    ],
)
def test_duffel_refuses(client: Browser, changes: dict[str, Any], status: int, kind: str) -> None:
    answer = flight(client, **changes)
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (status, kind)


def test_duffel_tells_when_the_minute_is_over_as_a_date() -> None:
    few = browser(flights_per_minute=2)
    answers = [flight(few) for _ in range(5)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["errors"][0]["code"] == "rate_limit_exceeded"
    reset = parsedate_to_datetime(refused.headers["ratelimit-reset"])
    assert timedelta(seconds=-2) < reset - datetime.now(UTC) <= timedelta(minutes=1)
    assert reset.second == 0
