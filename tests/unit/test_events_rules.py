"""The rules of events: what a record says, where it is, what changed, and what has to be looked up."""

import json
import math
import random
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.airports import Airport, airports, distance_km
from jobs.rules.events import lookups as rules
from jobs.rules.events.changes import COMPARED, Change, Step, UpdateType, applied, place_of, step
from jobs.rules.events.event import CATEGORIES, Event, parse
from jobs.rules.events.geometry import point_of
from jobs.rules.events.lookups import Flight, Nearest, Needed, Trip, naive, needed
from jobs.rules.fields import RejectedError

HALL = [128.6270, 35.9068]  # Daegu's exhibition centre
TODAY = date(2026, 11, 26)
TRIP = Trip(home="ICN")
NEAREST = Nearest(airports())
# As the API writes one, cut down to what the documents show.
RAW: dict[str, Any] = {
    "id": "2fMXw4pTqQ5eHsUZoc",
    "title": "Daegu International Flower Fair",
    "description": "",
    "category": "expos",
    "labels": ["expo"],
    "rank": 86,
    "local_rank": 91,
    "phq_attendance": 40_000,
    "entities": [],
    "duration": 205_200,
    "start": "2026-12-03T01:00:00Z",
    "end": "2026-12-05T10:00:00Z",
    "updated": "2026-11-20T08:30:00Z",
    "first_seen": "2026-05-02T00:00:00Z",
    "timezone": "Asia/Seoul",
    "location": HALL,
    "geo": {"geometry": {"type": "Point", "coordinates": HALL}, "placekey": None},
    "scope": "locality",
    "country": "KR",
    "state": "active",
    "predicted_event_spend": 3_900_000,
    "private": False,
}


def read(**changes: Any) -> Event:
    record = {name: value for name, value in {**RAW, **changes}.items() if value is not ...}
    return parse(str(record.get("id")), json.dumps(record).encode(), 0)


EVENT = read()


# ----- what a record says


def test_an_event_is_read() -> None:
    assert EVENT._asdict() == {
        "event_id": "2fMXw4pTqQ5eHsUZoc",
        "updated": round(datetime(2026, 11, 20, 8, 30, tzinfo=UTC).timestamp() * 1000),
        "state": "active",
        "deleted_reason": None,
        "title": "Daegu International Flower Fair",
        "category": "expos",
        "country": "KR",
        "scope": "locality",
        "timezone": "Asia/Seoul",
        "lat": 35.9068,
        "lon": 128.627,
        "start_at": round(datetime(2026, 12, 3, 1, tzinfo=UTC).timestamp() * 1000),
        "end_at": round(datetime(2026, 12, 5, 10, tzinfo=UTC).timestamp() * 1000),
        "start_day": "2026-12-03",
        "end_day": "2026-12-05",
        "rank": 86,
        "local_rank": 91,
        "attendance": 40_000,
        "spend": 3_900_000,
        "flaws": (),
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ...}, "missing-field"),
        ({"id": ""}, "out-of-range"),
        ({"id": 5}, "wrong-type"),
        ({"id": "x" * 65}, "too-long"),
        ({"updated": None}, "missing-field"),
        ({"updated": 1_779_000_000}, "wrong-type"),
        ({"updated": "yesterday"}, "wrong-type"),
        ({"updated": "2026-02-30T00:00:00Z"}, "out-of-range"),
        ({"updated": "9999-12-31T23:59:59Z"}, "out-of-range"),
        ({"updated": "0001-01-01T00:00:00+14:00"}, "out-of-range"),
        ({"updated": "2026-11-20T08:30:00"}, "wrong-type"),
        ({"state": ...}, "missing-field"),
        ({"state": "asleep"}, "out-of-range"),
    ],
)
def test_what_cannot_be_told_apart_or_put_in_order_is_a_dead_letter(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        read(**changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("another", json.dumps(RAW).encode(), "key-mismatch"),
        (None, json.dumps(RAW).encode(), "key-mismatch"),
        (RAW["id"], None, "null-value"),
        (RAW["id"], b"{", "not-json"),
        (RAW["id"], b"[]", "not-an-object"),
        (RAW["id"], json.dumps(RAW).replace("Flower", "\\u0000").encode(), "nul-byte"),
        (RAW["id"], json.dumps(RAW).replace('"state"', '"updated": 1, "state"').encode(), "duplicate-field"),
    ],
)
def test_a_record_that_is_no_event_is_a_dead_letter(key: str | None, value: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        parse(key, value, 0)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "missing", "flaw"),
    [
        ({"category": "parades"}, {"category"}, "category out-of-range"),
        ({"category": 7}, {"category"}, "category wrong-type"),
        ({"country": "Korea"}, {"country"}, "country out-of-range"),
        ({"timezone": "Asia/Daegu"}, {"timezone"}, "timezone out-of-range"),
        ({"timezone": "../../etc/passwd"}, {"timezone"}, "timezone out-of-range"),
        ({"scope": "galaxy"}, {"scope"}, "scope out-of-range"),
        ({"title": "x" * 5_000}, {"title"}, "title too-long"),
        ({"rank": 101}, {"rank"}, "rank out-of-range"),
        ({"rank": 1.5}, {"rank"}, "rank wrong-type"),
        ({"rank": True}, {"rank"}, "rank wrong-type"),
        ({"local_rank": -1}, {"local_rank"}, "local_rank out-of-range"),
        ({"phq_attendance": "many"}, {"attendance"}, "phq_attendance wrong-type"),
        ({"predicted_event_spend": 10**400}, {"spend"}, "predicted_event_spend out-of-range"),
        ({"start": "soon"}, {"start_at", "start_day"}, "start wrong-type"),
        ({"end": "2026-12-01T00:00:00Z"}, {"end_at", "end_day"}, "end out-of-range"),
        ({"geo": ..., "location": "here"}, {"lat", "lon"}, "location wrong-type"),
        ({"geo": ..., "location": [128.6]}, {"lat", "lon"}, "location wrong-type"),
        ({"geo": ..., "location": [35.9, 128.6]}, {"lat", "lon"}, "location out-of-range"),
        ({"geo": ..., "location": [True, False]}, {"lat", "lon"}, "location wrong-type"),
        ({"geo": {"geometry": {"type": "LineString", "coordinates": [HALL]}}, "location": ...}, {"lat", "lon"},
         "geo out-of-range"),
        ({"geo": {"geometry": []}, "location": ...}, {"lat", "lon"}, "geo wrong-type"),
        ({"state": "deleted", "deleted_reason": "bored"}, set(), "deleted_reason out-of-range"),
    ],
)  # fmt: skip
def test_what_else_is_wrong_is_null_with_a_note(changes: dict[str, Any], missing: set[str], flaw: str) -> None:
    event = read(**changes)
    assert event.flaws == (flaw,)
    was = {name for name in COMPARED if getattr(EVENT, name) is not None}
    assert {name for name in was if getattr(event, name) is None} == missing


@pytest.mark.parametrize("name", ["country", "timezone", "title", "category", "scope"])
def test_what_the_api_may_leave_empty_is_null_without_a_note(name: str) -> None:
    for empty in ("", None, ...):
        event = read(**{name: empty})
        assert (getattr(event, name), event.flaws) == (None, ())


def test_a_geometry_that_cannot_be_used_leaves_the_older_location() -> None:
    event = read(geo={"geometry": {"type": "Curve"}})
    assert (event.lat, event.lon, event.flaws) == (35.9068, 128.627, ("geo out-of-range",))


def test_days_are_those_of_the_place() -> None:
    # 1 a.m. in Seoul; and a holiday, whose times without a zone are local already.
    assert read(start="2026-12-02T16:00:00Z").start_day == "2026-12-03"
    assert read(start="2026-12-02T16:00:00Z", timezone=None).start_day == "2026-12-02"
    assert read(end=None).end_day is None


def test_a_reason_counts_only_for_what_is_deleted() -> None:
    assert read(deleted_reason="postponed").deleted_reason is None
    assert read(state="deleted", deleted_reason="postponed").deleted_reason == "postponed"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted({*RAW, "deleted_reason"} - {"id"})), anything))
def test_whatever_a_field_holds_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        event = read(**changes)
    except RejectedError:
        return
    assert event.event_id == RAW["id"]
    assert (event.lat is None) == (event.lon is None)
    assert event.category is None or event.category in CATEGORIES


@given(anything)
def test_whatever_a_geometry_holds_is_a_point_or_refused(coordinates: Any) -> None:
    for kind in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        try:
            lat, lon = point_of({"type": kind, "coordinates": coordinates})
        except RejectedError:
            continue
        assert -90 <= lat <= 90
        assert -180 < lon <= 180


# ----- the point of a geometry


def square(lon: float, lat: float, size: float) -> list[list[float]]:
    return [[lon, lat], [lon + size, lat], [lon + size, lat + size], [lon, lat + size], [lon, lat]]


def test_a_point_is_itself_and_several_weigh_the_same() -> None:
    assert point_of({"type": "Point", "coordinates": [128.6, 35.9, 40]}) == (35.9, 128.6)
    assert point_of({"type": "MultiPoint", "coordinates": [[128.0, 0], [129.0, 0]]}) == (0.0, 128.5)


def test_the_point_of_an_area_is_its_centre_of_mass_not_that_of_its_vertices() -> None:
    crowded = square(128, 0, 0.1)
    # A thousand more vertices along the western side, as a coast has.
    crowded[4:4] = [[128, 0.1 - n / 10_000] for n in range(1, 1_000)]
    assert point_of({"type": "Polygon", "coordinates": [crowded]}) == pytest.approx((0.05, 128.05), abs=2e-6)


def test_areas_weigh_what_they_cover_and_holes_are_not_looked_at() -> None:
    large, small = square(128, 0, 0.2), square(129, 0, 0.1)
    found = point_of({"type": "MultiPolygon", "coordinates": [[large], [small, square(129.04, 0.04, 0.02)]]})
    assert found == pytest.approx(((0.1 * 4 + 0.05) / 5, (128.1 * 4 + 129.05) / 5), abs=1e-4)


def test_a_hall_of_a_few_metres_is_found_to_the_decimetre() -> None:
    found = point_of({"type": "Polygon", "coordinates": [square(128.6270, 35.9068, 0.0001)]})
    assert found == pytest.approx((35.90685, 128.62705), abs=2e-6)


def test_a_shape_may_lie_across_the_antimeridian() -> None:
    assert point_of({"type": "MultiPoint", "coordinates": [[179, 10], [-179, 10]]})[1] == 180.0
    ring = [[179, -1], [-179, -1], [-179, 1], [179, 1], [179, -1]]
    assert point_of({"type": "Polygon", "coordinates": [ring]}) == (0.0, 180.0)


def test_an_area_without_any_is_the_middle_of_its_vertices() -> None:
    assert point_of({"type": "Polygon", "coordinates": [[[128, 0], [129, 0], [130, 0]]]}) == (0.0, 129.0)


def test_what_lies_around_half_the_earth_has_no_point() -> None:
    with pytest.raises(RejectedError):
        point_of({"type": "MultiPoint", "coordinates": [[0, 0], [180, 0]]})
    with pytest.raises(RejectedError):
        point_of({"type": "Polygon", "coordinates": [[[0, 0], [120, 0], [-120, 0]]]})


positions = st.tuples(st.floats(-60, 60), st.floats(-60, 60)).map(list)


@given(st.lists(positions, min_size=1, max_size=8), st.randoms())
def test_the_order_of_points_is_no_matter(points: list[list[float]], shuffled: random.Random) -> None:
    try:
        before = point_of({"type": "MultiPoint", "coordinates": points})
    except RejectedError:
        return
    again = list(points)
    shuffled.shuffle(again)
    assert point_of({"type": "MultiPoint", "coordinates": again}) == before


@given(st.floats(-170, 170), st.floats(-80, 80), st.floats(0.0001, 2), st.integers(0, 3), st.booleans())
def test_nor_is_where_a_ring_begins_and_which_way_it_goes(
    lon: float, lat: float, size: float, turn: int, reverse: bool
) -> None:
    ring = square(lon, lat, size)
    again = [*ring[:-1][turn:], *ring[:-1][:turn]]
    if reverse:
        again.reverse()
    one, other = (point_of({"type": "Polygon", "coordinates": [each]}) for each in (ring, [*again, again[0]]))
    assert one == pytest.approx(other, abs=1.1e-6)


# ----- what changed


def version(updated: int, **changes: Any) -> Event:
    return EVENT._replace(updated=updated, **changes)


def kinds(*versions: Event) -> list[UpdateType]:
    return [each.update_type for each in walk(versions)]


def walk(versions: Any) -> list[Step]:
    known, steps = None, []
    for seen in versions:
        steps.append(step(known, seen))
        known = steps[-1].latest
    return steps


def test_each_kind_of_change() -> None:
    assert kinds(
        version(1),
        version(2, rank=90),
        version(3, rank=90),
        version(4, lat=35.8, rank=90),
        version(5, lat=35.8, start_day="2026-12-02"),
        version(6, state="deleted", deleted_reason="postponed"),
        version(7, state="deleted", deleted_reason="cancelled"),
        version(8, state="deleted", deleted_reason="cancelled"),
        version(9),
    ) == [3, 1, 0, 2, 2, 4, 1, 0, 3]


def test_what_is_seen_first_when_it_is_gone_is_deleted() -> None:
    assert kinds(version(1, state="deleted")) == [UpdateType.DELETED]


def test_a_few_metres_are_no_move_but_a_change() -> None:
    assert kinds(version(1), version(2, lat=35.906801)) == [UpdateType.NEW, UpdateType.CHANGED]


def test_a_place_that_is_known_at_last_is_a_move_and_so_is_one_that_is_lost() -> None:
    nowhere = {"lat": None, "lon": None}
    assert kinds(version(1, **nowhere), version(2), version(3, **nowhere)) == [3, 2, 2]


def test_a_time_of_day_is_no_move() -> None:
    assert EVENT.start_at is not None
    assert kinds(version(1), version(2, start_at=EVENT.start_at + 3_600_000)) == [UpdateType.NEW, UpdateType.CHANGED]


def test_a_change_names_the_fields_with_old_and_new() -> None:
    changes = step(version(1), version(2, rank=90, lat=None, lon=None)).changes
    assert changes == (
        Change("lat", 35.9068, None),
        Change("lon", 128.627, None),
        Change("rank", 86, 90),
    )


def test_the_same_time_of_update_does_not_count() -> None:
    assert step(version(5), version(5, rank=1)) == Step(version(5), UpdateType.UNCHANGED, (), counted=False)


versions = st.lists(
    st.builds(
        lambda **changes: changes,
        state=st.sampled_from(["active", "deleted", "predicted"]),
        rank=st.integers(80, 82),
        lat=st.sampled_from([35.9068, 35.8, None]),
        start_day=st.sampled_from(["2026-12-03", "2026-12-04"]),
    ),
    min_size=1,
    max_size=7,
).map(lambda each: [version(number, **changes) for number, changes in enumerate(each)])


def said(steps: list[Step]) -> list[tuple[int, UpdateType, tuple[Change, ...]]]:
    """What becomes a row of event_changes."""
    return [(each.latest.updated, each.update_type, each.changes) for each in steps if each.changes]


@given(versions, st.data())
def test_repeats_change_nothing(known: list[Event], data: st.DataObject) -> None:
    sent: list[Event] = []
    for seen in known:
        sent.append(seen)
        sent += data.draw(st.lists(st.sampled_from(sent), max_size=3))
    assert said(walk(sent)) == said(walk(known))
    assert walk(sent)[-1].latest == known[-1]


@given(versions, st.data())
def test_in_any_order_the_latest_is_the_same_and_changes_lead_to_it(known: list[Event], data: st.DataObject) -> None:
    sent = data.draw(st.permutations(known))
    sent += data.draw(st.lists(st.sampled_from(sent), max_size=4))
    steps = walk(sent)
    assert steps[-1].latest == known[-1]
    rows = said(steps)
    assert len({updated for updated, _, _ in rows}) == len(rows)
    # Chained: what is old in each is what was there, and all together lead to the latest.
    fields: dict[str, Any] = dict.fromkeys(COMPARED)
    for _, _, changes in rows:
        assert all(fields[change.name] == change.old for change in changes)
        fields = applied(changes, fields)
    assert fields == {name: getattr(known[-1], name) for name in COMPARED}
    # The same as if what came too late had never been sent.
    counted = [each.latest for each in steps if each.counted]
    assert rows == said(walk(counted))
    assert [each.updated for each in counted] == sorted({each.updated for each in counted})


@given(versions)
def test_a_version_is_a_change_exactly_where_it_differs(known: list[Event]) -> None:
    for each in walk(known):
        assert (each.update_type is UpdateType.UNCHANGED) == (not each.changes)


# ----- what is looked up


def test_only_passenger_airports_are_known() -> None:
    found = airports()
    codes = {each.code for each in found}
    assert len(codes) == len(found)
    assert {"TAE", "ICN", "LHR", "OSL"} <= codes
    assert not {"OSN", "SWU"} & codes, "air bases"
    assert {each.country for each in found if each.code in ("OSL", "TRD")} == {"NO"}


def test_the_nearest_airport_is_in_the_events_country() -> None:
    daegu = NEAREST(EVENT)
    assert daegu is not None
    assert daegu.code == "TAE"
    assert distance_km((35.9068, 128.627), (daegu.lat, daegu.lon)) == pytest.approx(3.2, abs=0.2)
    strasbourg = EVENT._replace(lat=48.573, lon=7.752)
    codes = [
        found.code if (found := NEAREST(strasbourg._replace(country=country))) else None
        for country in ("FR", "DE", None, "VA")
    ]
    assert codes == ["SXB", "FKB", "SXB", None]


def test_for_all_events_in_a_hall_airports_are_compared_once_and_only_those_of_the_country(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[object] = []
    counted = partial(distance_km)
    monkeypatch.setattr(rules, "distance_km", lambda one, other: measured.append(other) or counted(one, other))
    nearest, korean = Nearest(airports()), [each for each in airports() if each.country == "KR"]
    for number in range(3):
        event = EVENT._replace(event_id=f"e{number}")
        assert needed(UpdateType.NEW, event, nearest, TRIP, TODAY).airport == "TAE"
        assert naive(event, nearest, TRIP, 1, TODAY)
    assert len(measured) == len(korean)


def test_distance_agrees_with_a_quarter_of_the_earth() -> None:
    assert distance_km((0, 0), (0, 90)) == pytest.approx(6371.0088 * math.pi / 2)
    assert distance_km((0, 0), (0, 180)) == pytest.approx(6371.0088 * math.pi)


def lookups(kind: UpdateType, event: Event, today: date = TODAY) -> Needed:
    return needed(kind, event, NEAREST, TRIP, today)


def test_a_new_event_needs_its_place_and_flights_around_its_days() -> None:
    out = [Flight("ICN", "TAE", f"2026-{day}") for day in ("11-30", *(f"12-0{n}" for n in range(1, 7)))]
    back = [Flight("TAE", "ICN", f"2026-12-0{day}") for day in range(3, 10)]
    assert lookups(UpdateType.NEW, EVENT) == Needed((35.9068, 128.627), "TAE", (*out, *back))
    assert lookups(UpdateType.MOVED, EVENT) == lookups(UpdateType.NEW, EVENT)


@pytest.mark.parametrize("kind", [UpdateType.UNCHANGED, UpdateType.CHANGED, UpdateType.DELETED])
def test_whatever_did_not_move_needs_nothing(kind: UpdateType) -> None:
    assert lookups(kind, EVENT) == Needed(None, None, ())


def test_what_is_everywhere_or_nowhere_needs_nothing() -> None:
    for event in (EVENT._replace(scope="country"), EVENT._replace(lat=None, lon=None)):
        assert lookups(UpdateType.NEW, event) == Needed(None, None, ())


def test_nobody_flies_before_today_or_beyond_what_is_offered_or_from_home_to_home() -> None:
    days = [flight.day for flight in lookups(UpdateType.NEW, EVENT, date(2026, 12, 5)).flights]
    assert days == ["2026-12-05", "2026-12-06", *(f"2026-12-0{day}" for day in range(5, 10))]
    assert lookups(UpdateType.NEW, EVENT, date(2025, 12, 1)).flights == ()
    assert lookups(UpdateType.NEW, EVENT._replace(lat=37.46, lon=126.44)).flights == ()
    assert lookups(UpdateType.NEW, EVENT._replace(start_day=None, start_at=None)).flights == ()


def test_a_long_event_needs_its_first_days_out_and_its_last_days_back() -> None:
    flights = lookups(UpdateType.NEW, EVENT._replace(end_day="2027-03-01")).flights
    out = [flight.day for flight in flights if flight.origin == "ICN"]
    back = [flight.day for flight in flights if flight.destination == "ICN"]
    assert (out[0], len(out), back[-1], len(back)) == ("2026-11-30", 14, "2027-03-05", 14)


def test_events_in_one_hall_need_one_look_up() -> None:
    other = read(id="other", geo={"geometry": {"type": "Point", "coordinates": [128.62703, 35.90681]}})
    assert place_of(other) == place_of(EVENT)
    assert lookups(UpdateType.NEW, other) == lookups(UpdateType.NEW, EVENT)


def test_every_airport_is_a_plain_tuple_that_travels() -> None:
    assert airports()[0] == Airport(*tuple(airports()[0]))
