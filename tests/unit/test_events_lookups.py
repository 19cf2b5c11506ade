"""What is near and what flies, as the services tell it: read, refused, asked once, and kept no longer than allowed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyflink.common import Row

from apis import duffel, google_places, overpass
from apis.answers import Reaction, RefusedError, Response, UnreadableError
from apis.client import GivenUpError, NotYetError
from apis.endpoints import ApiError
from apis.places import EAT_METRES, SLEEP_METRES, Found, Provider, Spot
from conf.settings import Settings, SettingsError, load
from generators.simulator.events import duffel as simulated_duffel
from generators.simulator.events import google as simulated_google
from generators.simulator.events import nearby
from generators.simulator.events import overpass as simulated_overpass
from jobs.flow.expiry import EVERY_MS, Expiry
from jobs.operators.events import lookups
from tests.keys import Keys

DAEGU = (35.8714, 128.6014)
SEED = 27


def settings(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    return load()


def simulated(provider: Provider) -> Found:
    """What the provider's calls bring from the simulator, without HTTP."""
    found: list[Spot] = []
    for call in provider.calls(provider.endpoint, *DAEGU):
        if provider.name == "overpass":
            body = simulated_overpass.answered(SEED, call.parameters["data"])
        else:
            headers = provider.endpoint.api.headers
            body = simulated_google.answered(SEED, json.dumps(call.json).encode(), headers["X-Goog-FieldMask"])
        found += provider.endpoint.api.read(Response(body.status, body.content))
    return tuple(found)


@pytest.mark.parametrize("name", lookups.PROVIDERS)
def test_a_provider_finds_what_is_near(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(monkeypatch, CITYSTREAM__EVENTS__PLACES__PROVIDER=name)
    found = simulated(lookups.provider_of(chosen))
    must = [
        spot
        for kinds, metres in ((("restaurant", "cafe"), EAT_METRES), (("hotel",), SLEEP_METRES))
        for spot in nearby.near(SEED, DAEGU, metres / 1000, kinds)[: 20 if name == "google" else None]
    ]
    assert {(spot.kind, spot.lat, spot.lon) for spot in found} == {(spot.kind, spot.lat, spot.lon) for spot in must}
    assert len({spot.place_id for spot in found}) == len(found) == len(must) > 20
    # Google's terms let nobody keep a name.
    assert {spot.name is None for spot in found} == {name == "google"}


OVERPASS: dict[str, tuple[Response, Reaction]] = {
    "too busy": (Response(504, b"<html>The server is probably too busy</html>"), Reaction.RETRY),
    "too many": (Response(429, b""), Reaction.RETRY),
    "out of time, with status 200": (
        Response(200, b'{"elements": [], "remark": "runtime error: Query timed out"}'),
        Reaction.RETRY,
    ),
    "a query that is none": (Response(400, b"<html>parse error</html>"), Reaction.CONFIGURATION),
}
INVALID = {"reason": "API_KEY_INVALID"}


def google(status: int, kind: str, message: str = "", *details: Any) -> Response:
    about = {"code": status, "status": kind, "message": message, "details": list(details)}
    return Response(status, json.dumps({"error": about}).encode())


GOOGLE: dict[str, tuple[Response, Reaction]] = {
    "a wrong key, with status 400": (google(400, "INVALID_ARGUMENT", "API key not valid.", INVALID), Reaction.OPERATOR),
    "switched off": (google(403, "PERMISSION_DENIED"), Reaction.OPERATOR),
    "too many in a minute": (google(429, "RESOURCE_EXHAUSTED", "limit 'x per minute'"), Reaction.RETRY),
    "too many on a day": (google(429, "RESOURCE_EXHAUSTED", "limit 'x per day'"), Reaction.SPENT),
    "a wrong call": (google(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), Reaction.CONFIGURATION),
    "away": (google(503, "UNAVAILABLE"), Reaction.RETRY),
    "a page of HTML": (Response(502, b"<html>"), Reaction.RETRY),
}


def refused(status: int, kind: str) -> Response:
    return Response(status, json.dumps({"errors": [{"type": kind, "code": "x", "message": "y"}]}).encode())


DUFFEL: dict[str, tuple[Response, Reaction]] = {
    "a wrong token": (refused(401, "authentication_error"), Reaction.OPERATOR),
    "too many": (refused(429, "rate_limit_error"), Reaction.RETRY),
    "a journey that nobody serves": (refused(422, "validation_error"), Reaction.NOT_YET),
    "airlines that answer nonsense": (refused(422, "airline_error"), Reaction.RETRY),
    "another version": (refused(400, "invalid_request_error"), Reaction.CONFIGURATION),
    "away": (Response(503, b""), Reaction.RETRY),
}
CASES = [
    *((overpass.read, *case) for case in OVERPASS.values()),
    *((google_places.read, *case) for case in GOOGLE.values()),
    *((duffel.read, *case) for case in DUFFEL.values()),
]


@pytest.mark.parametrize(
    ("read", "response", "reaction"), CASES, ids=[*OVERPASS, *(f"google {n}" for n in GOOGLE), *DUFFEL]
)
def test_a_refusal_says_what_to_do(read: Any, response: Response, reaction: Reaction) -> None:
    with pytest.raises(RefusedError) as error:
        read(response)
    assert error.value.reaction is reaction


@pytest.mark.parametrize("read", [overpass.read, google_places.read, duffel.read])
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"places": [{}]}', b'{"elements": 3}', b"{", b"\xff", b"7"])
def test_what_is_no_answer_cannot_be_read(read: Any, body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(Response(200, body))


def test_a_way_is_where_its_middle_is_and_what_is_nowhere_is_left_out() -> None:
    elements = [
        {"type": "way", "id": 7, "center": {"lat": 1.5, "lon": 2.5}, "tags": {"tourism": "hotel"}},
        {"type": "relation", "id": 8, "tags": {"tourism": "hotel", "name": "Nowhere"}},
    ]
    found = overpass.read(Response(200, json.dumps({"elements": elements}).encode()))
    assert found == (Spot("way/7", "hotel", None, 1.5, 2.5),)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"tags": {"tourism": "hotel", "amenity": "bar"}}, [("hotel", None)]),
        ({"tags": {"tourism": "museum"}}, []),
        ({"tags": {"amenity": "cafe", "name": "a\0b\ud800"}}, [("cafe", "ab?")]),
        ({"tags": {"amenity": "cafe", "name": " "}}, [("cafe", None)]),
        ({"tags": {"amenity": "cafe", "name": 7}}, [("cafe", None)]),
    ],
)
def test_only_what_the_table_takes_is_read_of_a_place(
    told: dict[str, Any], found: list[tuple[str, str | None]]
) -> None:
    elements = [{"type": "node", "id": 7, "lat": 1.5, "lon": 2.5, **told}]
    read = overpass.read(Response(200, json.dumps({"elements": elements}).encode()))
    assert [(spot.kind, spot.name) for spot in read] == found


@pytest.mark.parametrize("lat", [float("nan"), float("inf"), 91, "x", None])
def test_a_position_that_is_none_is_no_answer(lat: Any) -> None:
    elements = [{"type": "node", "id": 7, "lat": lat, "lon": 2.5, "tags": {"amenity": "cafe"}}]
    with pytest.raises(UnreadableError):
        overpass.read(Response(200, json.dumps({"elements": elements}).encode()))
    place = {"id": "x", "types": ["cafe"], "location": {"latitude": lat, "longitude": 2.5}}
    with pytest.raises(UnreadableError):
        google_places.read(Response(200, json.dumps({"places": [place]}).encode()))


@pytest.mark.parametrize("place_id", ["", "a b", "a\0b", "x" * 301, None, 7, "대구"])
def test_an_id_that_nothing_can_store_is_no_answer(place_id: Any) -> None:
    place = {"id": place_id, "types": ["cafe"], "location": {"latitude": 1, "longitude": 2}}
    with pytest.raises(UnreadableError):
        google_places.read(Response(200, json.dumps({"places": [place]}).encode()))


def test_another_kind_of_place_is_left_out_and_those_behind_it_are_not() -> None:
    places = [
        {"id": f"x{n}", "types": [kind], "location": {"latitude": 1, "longitude": 2}} for n, kind in enumerate("ab")
    ]
    places.append({"id": "y", "types": ["lodging", "hotel"], "location": {"latitude": 1, "longitude": 2}})
    read = google_places.read(Response(200, json.dumps({"places": places}).encode()))
    assert [spot.place_id for spot in read] == ["y"]


def test_nothing_near_is_an_empty_object() -> None:
    assert google_places.read(Response(200, b"{}")) == ()


def offer(amount: str, number: str = "0007", segments: int = 1, stops: int = 0) -> dict[str, Any]:
    segment = {
        "marketing_carrier": {"iata_code": "ZZ"},
        "marketing_carrier_flight_number": number,
        "departing_at": "2026-12-01T09:00:00",
        "arriving_at": "2026-12-01T11:30:00",
        "stops": [{}] * stops,
    }
    return {"total_amount": amount, "total_currency": "USD", "slices": [{"segments": [segment] * segments}]}


def test_of_a_flight_the_lowest_fare_counts_and_only_where_it_goes_without_a_stop() -> None:
    offers = [offer("120.50"), offer("99.90"), offer("100"), offer("50", "1", 2), offer("40", "2", stops=1)]
    found = duffel.read(Response(201, json.dumps({"data": {"offers": offers}}).encode()))
    assert found == (duffel.Offer("ZZ0007", "2026-12-01T09:00:00", "2026-12-01T11:30:00", "99.90", "USD"),)


@pytest.mark.parametrize("amount", ["", "1e3", "-5", "NaN", "12,50"])
def test_an_amount_is_digits(amount: str) -> None:
    with pytest.raises(UnreadableError):
        duffel.read(Response(201, json.dumps({"data": {"offers": [offer(amount)]}}).encode()))


@pytest.mark.parametrize(
    "wrong",
    [{"departing_at": "2026-02-30T09:00:00"}, {"marketing_carrier": {"iata_code": "Z\0"}}, {"arriving_at": None}],
)
def test_an_offer_that_the_table_does_not_take_is_no_answer(wrong: dict[str, Any]) -> None:
    made = offer("99")
    made["slices"][0]["segments"][0].update(wrong)
    with pytest.raises(UnreadableError):
        duffel.read(Response(201, json.dumps({"data": {"offers": [made]}}).encode()))


def test_offers_of_the_simulator_are_read() -> None:
    day = datetime.now(UTC).date() + timedelta(days=30)
    found = [simulated_duffel.offers(SEED, "ICN", "NRT", day + timedelta(days=n)) for n in range(5)]
    read = [duffel.read(Response(201, json.dumps({"data": {"offers": offers}}).encode())) for offers in found]
    assert [len(offers) for offers in read] == [len(offers) for offers in found]
    assert any(read)


# ----- asking


class Service:
    """A client that answers, or raises what is next."""

    def __init__(self, *told: Any) -> None:
        self.told = list(told)
        self.asked: list[Any] = []

    async def ask(self, call: Any) -> Any:
        self.asked.append(call)
        found = self.told.pop(0)
        if isinstance(found, Exception):
            raise found
        return type("Fetched", (), {"fetched_ms": 7 + len(self.asked)})(), found


class Kept(dict[str, Any]):
    """The table of answers, all of which hold."""

    def find(self, question: str, now: datetime) -> Any:
        return self.get(question)

    def keep(self, question: str, answer: Any, until: datetime) -> None:
        self[question] = json.loads(json.dumps(answer))


def asking(service: Service, calls: Any, kept: Kept | None = None) -> lookups.Asking:
    found = lookups.Asking.__new__(lookups.Asking)
    found._endpoint, found._calls, found._client = None, calls, service
    found._kept, found._holds = Kept() if kept is None else kept, timedelta(days=1)
    return found


def test_several_calls_are_one_answer_which_is_kept_for_whoever_asks_after_a_kill() -> None:
    service, kept = Service((Spot("1", "cafe", None, 1.0, 2.0),), (Spot("2", "hotel", None, 1.0, 2.0),)), Kept()
    must = (9, [["1", "cafe", None, 1.0, 2.0], ["2", "hotel", None, 1.0, 2.0]])
    for _ in range(2):
        found = asyncio.run(asking(service, lambda at, question: [f"{question} a", f"{question} b"], kept).ask("x"))
        assert found == must
    assert service.asked == ["x a", "x b"]


def test_a_journey_that_is_refused_is_given_up_and_holds_up_nobody() -> None:
    with pytest.raises(GivenUpError):
        asyncio.run(asking(Service(NotYetError("no such airport")), lambda at, question: [question]).ask("x"))


def test_a_day_that_may_be_over_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be refused, and has waited for longer than it was of use."""
    endpoint = duffel.endpoint(settings(monkeypatch))
    today = (datetime.now(UTC) + timedelta(hours=14)).date()
    for days, calls in ((-1, 0), (0, 1)):
        question = f"ICN|NRT|{today + timedelta(days=days)}"
        assert len(lookups._of_day(endpoint, question)) == calls


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DUFFEL_TOKEN": "duffel_live_mine"}, "DUFFEL_URL=https://api.duffel.com"),
        ({"DUFFEL_URL": "https://api.duffel.com"}, "DUFFEL_TOKEN"),
    ],
)
def test_a_token_of_ones_own_does_not_go_to_the_simulator(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ApiError, match=said):
        duffel.endpoint(settings(monkeypatch, **variables))


def test_googles_terms_bound_how_long_its_places_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="less than or equal to 30"):
        settings(monkeypatch, CITYSTREAM__EVENTS__PLACES__KEEP_DAYS__GOOGLE="31")


def test_what_is_over_is_deleted_every_hour_and_a_database_that_is_away_is_no_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, expiry = Keys(), Expiry(["nearby_places"], "postgresql://nobody@127.0.0.1:1/none")
    expiry.open(keys)
    keys.take(expiry, [("nearby_places", Row()), ("nearby_places", Row())])
    assert {at - keys.now for at, _ in keys.timers} == {EVERY_MS}
    assert keys.fire(expiry) == [0]
    monkeypatch.setattr(expiry, "_delete", lambda _: 5)
    assert keys.fire(expiry) == [5]
    assert keys.counted["expired"] == 5
    assert {at - keys.now for at, _ in keys.timers} == {EVERY_MS}
