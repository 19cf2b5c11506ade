"""Events: each bad record is one letter, what else is wrong is null; days of changes come out as they must."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2 import sql

from apis.kept import KeptAnswers
from conf.settings import Settings
from control.cluster import Cluster
from generators.simulator.events.world import World, rendered
from jobs.events import build
from jobs.flow.expiry import Expiry
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError
from tests import events, slate
from tests.events import Sent, record
from tests.pollers import Simulation
from tests.unit.test_events_rules import RAW

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

NOW = datetime.now(UTC).replace(microsecond=0)
COUNT, DAYS = 2_000, 8
WORLD = World(seed=11, count=COUNT, first_day=NOW.date() - timedelta(days=DAYS))
PULLED = list(events.days_of(WORLD, days=DAYS))


def value(**changes: object) -> bytes:
    fields = {name: each for name, each in {**RAW, "id": "good", **changes}.items() if each is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


# What becomes a dead letter, each under the key `good`, unless another one is given.
BAD: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "a tombstone": (None, b"good", "null-value"),
    "empty": (b"", b"good", "empty"),
    "not JSON": (b"an event", b"good", "not-json"),
    "truncated": (value()[:-20], b"good", "not-json"),
    "an array": (b"[" + value() + b"]", b"good", "not-an-object"),
    "NaN": (value(rank=float("nan")), b"good", "not-json"),
    "a NUL byte": (value(title="ex\0po"), b"good", "nul-byte"),
    "invalid UTF-8": (value(title="대구").replace("대".encode(), b"\xec\x20\xff"), b"good", "invalid-utf8"),
    "no id": (value(id=...), b"good", "missing-field"),
    "a number for an id": (value(id=7), b"good", "wrong-type"),
    "an empty id": (value(id=""), b"", "out-of-range"),
    "an id that is too long": (value(id="x" * 65), b"x" * 65, "too-long"),
    "another key": (value(id="other"), b"good", "key-mismatch"),
    "no key": (value(), None, "key-mismatch"),
    "no update": (value(updated=None), b"good", "missing-field"),
    "an update at no time": (value(updated="today"), b"good", "wrong-type"),
    "an update on a day that is none": (value(updated="2026-02-30T00:00:00Z"), b"good", "out-of-range"),
    "an update in the year 9999": (value(updated="9999-12-31T23:59:59Z"), b"good", "out-of-range"),
    "an update before there were computers": (value(updated="1899-12-31T23:59:59Z"), b"good", "out-of-range"),
    "no state": (value(state=...), b"good", "missing-field"),
    "a state that is none": (value(state="perhaps", updated="2026-11-21T00:00:00Z"), b"good", "out-of-range"),
    "two ids": (value()[:-1] + b', "id": "good"}', b"good", "duplicate-field"),
}
# What is null, with the note of it.
FLAWED: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "a location of the wrong shape": (
        {"geo": {"geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}}, "location": {"lat": 1}},
        {"lat": None, "lon": None, "place": None, "airport": None},
        "geo out-of-range, location wrong-type",
    ),
    "a position beyond the earth": (
        {"geo": None, "location": [128.6, 95.0]},
        {"lat": None, "place": None},
        "location out-of-range",
    ),
    "an unknown category": ({"category": "seances"}, {"category": None, "rank": 86}, "category out-of-range"),
    "an empty country": ({"country": ""}, {"country": None, "airport": "TAE"}, ""),
    "a country of three letters": ({"country": "KOR"}, {"country": None}, "country out-of-range"),
    "a time zone that does not exist": (
        {"timezone": "Asia/Daegu"},
        {"timezone": None, "start_day": "2026-12-03"},
        "timezone out-of-range",
    ),
    "an end before the start": ({"end": "2026-12-01T00:00:00Z"}, {"end_at": None, "end_day": None}, "end out-of-range"),
    "a rank of words": ({"rank": "high"}, {"rank": None, "spend": 3_900_000}, "rank wrong-type"),
}


FLAWED_COUNT = "SELECT count(*) FROM events WHERE event_id LIKE 'flawed-%'"


@dataclass
class Outcome:
    """What became of them, while the job was still running."""

    settings: Settings
    restarted: bool
    letters: list[dict[str, Any]]
    differences: list[str]
    unanswered: list[str]
    unchanged: float
    questions: events.Questions
    calls: dict[str, int]
    made: dict[str, int]


def flawed(number: int) -> dict[str, object]:
    changes = list(FLAWED.values())[number][0]
    return {**RAW, "id": f"flawed-{number}", **changes}


def sent() -> Iterator[Sent]:
    """The bad ones first, each twice; then days of versions, each day's once more, the other way round."""
    for each, key, _ in BAD.values():
        yield from [Sent(each, key)] * 2
    for pulled in dict.fromkeys(at for at, _ in PULLED):
        today = [record(rendered(version), min(at, NOW)) for at, version in PULLED if at == pulled]
        yield from today
        yield from reversed(today)


@pytest.fixture(scope="module")
def simulated(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """Services without limits, which the job is told of."""
    log = tmp_path_factory.mktemp("simulator") / "simulator.log"
    with Simulation(log, **events.UNLIMITED) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMULATOR_URL", running.url)
        for name, value in events.QUICK.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def outcome(simulated: Simulation, _quick_checkpoints: None) -> Iterator[Outcome]:
    settings = events.settings()
    cluster = Cluster(settings.flink.url)
    must = events.expected(version for _, version in PULLED)
    questions = events.questions(settings, [(min(at, NOW), version) for at, version in PULLED])
    with events.running(settings) as job:
        started = cluster.last_start(job)
        events.send(settings, sent())
        slate.await_that(lambda: len(events.dead_letters(settings)) >= 2 * len(BAD), 180, "all letters are there")
        with contextlib.suppress(AssertionError):
            events.await_agreement(settings, must, 120)
        differences = events.differences(settings, must)
        with contextlib.suppress(AssertionError):
            slate.await_that(lambda: not events.unanswered(settings, questions), 300, "all is looked up")
        unanswered = events.unanswered(settings, questions)
        calls = {"places": simulated.calls("overpass"), "flights": simulated.calls("offers")}
        made = dict(events.query(settings, "SELECT api, sum(calls)::int FROM api_calls GROUP BY api"))
        slate.await_that(lambda: (cluster.metric(job, ".unchanged") or 0) >= len(PULLED), 60, "repeats are counted")
        unchanged = cluster.metric(job, ".unchanged") or 0
        events.send(settings, [record(flawed(number)) for number in range(len(FLAWED))])
        slate.await_that(
            lambda: events.query(settings, FLAWED_COUNT) == [(len(FLAWED),)], 60, "events with flaws are there, too"
        )
        restarted = cluster.last_start(job) != started
        letters = events.dead_letters(settings)
        yield Outcome(settings, restarted, letters, differences, unanswered, unchanged, questions, calls, made)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_a_dead_letter_each_time(outcome: Outcome, name: str) -> None:
    each, _, reason = BAD[name]
    letters = [letter for letter in outcome.letters if slate.raw(letter) == each]
    assert {letter["reason"] for letter in letters} == {reason}
    assert len(letters) == 2 * sum(other == each for other, *_ in BAD.values())


def test_nothing_was_restarted_and_nothing_else_is_a_letter(outcome: Outcome) -> None:
    assert not outcome.restarted
    assert len({(letter["partition"], letter["offset"]) for letter in outcome.letters}) == 2 * len(BAD)


@pytest.mark.parametrize("name", FLAWED)
def test_what_else_is_wrong_is_null_with_a_note(outcome: Outcome, name: str) -> None:
    _, missing, note = FLAWED[name]
    columns = sql.SQL(", ").join(map(sql.Identifier, [*missing, "flaws"]))
    with postgres.connect(outcome.settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM events WHERE event_id = %s").format(columns),
            (f"flawed-{list(FLAWED).index(name)}",),
        )
        (*found, flaws) = cursor.fetchone() or ()
    shown = [each.isoformat() if hasattr(each, "isoformat") else each for each in found]
    assert shown == list(missing.values())
    assert (flaws or "") == note


def test_days_of_changes_come_out_as_they_must(outcome: Outcome) -> None:
    """Each change once, with its kind and fields; the latest of each; what is spent, recomputed; documents."""
    assert outcome.differences == []
    kinds = events.query(outcome.settings, "SELECT update_type, count(*) FROM event_changes GROUP BY 1 ORDER BY 1")
    assert [kind for kind, _ in kinds] == [1, 2, 3, 4]


def test_what_is_new_or_moved_is_looked_up_once(outcome: Outcome) -> None:
    """A call per place and per airport and day, whichever events need it; the view tells the same number."""
    assert outcome.unanswered == []
    assert outcome.calls["places"] == len(outcome.questions.places)
    assert 0 < outcome.calls["flights"] <= len(outcome.questions.flights)
    assert outcome.made == outcome.calls


def test_repeats_never_reach_python(outcome: Outcome) -> None:
    assert outcome.unchanged == len(PULLED)


def test_documents_have_the_position_and_what_is_deleted_takes_place_at_no_time(outcome: Outcome) -> None:
    with elasticsearch.client(outcome.settings) as client:
        client.indices.refresh(index=events.JOB)
        for pulled, version in reversed(PULLED):
            del pulled
            source = client.get(index=events.JOB, id=version.event.event_id)["_source"]
            if source["updated"] == version.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"):
                lat, lon = events.position(rendered(version)["geo"]["geometry"])
                assert source["position"] == pytest.approx([lon, lat], abs=0.05)
                assert ("takes_place_at" in source) == (version.state != "deleted")
        assert client.get(index=events.JOB, id="flawed-0")["_source"]["flaws"] == next(iter(FLAWED.values()))[2]


def test_views_tell_what_is_in_the_tables(outcome: Outcome) -> None:
    per_country = events.query(outcome.settings, "SELECT sum(events), sum(spend) FROM events_per_country")
    assert per_country == events.query(outcome.settings, "SELECT sum(events), sum(spend) FROM event_spend")
    top = events.query(outcome.settings, "SELECT rank FROM top_events LIMIT 10")
    assert [rank for (rank,) in top] == sorted((rank for (rank,) in top), reverse=True)
    saved = dict(events.query(outcome.settings, "SELECT api, sum(saved)::int FROM api_calls GROUP BY api"))
    assert saved["places"] > len(outcome.questions.places) < COUNT
    assert saved["flights"] > 0
    hotels = events.query(
        outcome.settings, "SELECT count(*), max(metres), count(DISTINCT attribution) FROM events_near_hotels"
    )
    assert (hotels[0][0] > 0, hotels[0][1] <= 5_000, hotels[0][2]) == (True, True, 1)
    ((weeks, wrong),) = events.query(
        outcome.settings, "SELECT count(*), count(*) FILTER (WHERE mean_fare < lowest_fare) FROM fares_per_country_week"
    )
    assert (weeks > 10, wrong) == (True, 0)


def test_what_has_expired_is_deleted_and_an_answer_that_holds_is_not_asked_for_again(outcome: Outcome) -> None:
    url = outcome.settings.postgres.url.get_secret_value()
    now = datetime.now(UTC)
    kept = KeptAnswers(url, "tests")
    kept.keep("over", [1], now - timedelta(seconds=1))
    kept.keep("holds", [1], now + timedelta(hours=1))
    kept.keep("holds", [2, [["x", None]]], now + timedelta(hours=1))
    assert [kept.find(question, now) for question in ("over", "holds", "never asked")] == [
        None,
        [2, [["x", None]]],
        None,
    ]
    kept.close()
    expiry = Expiry(["api_answers"], url)
    assert expiry._delete("api_answers") == 1
    found = events.query(outcome.settings, "SELECT question FROM api_answers WHERE operation = 'tests'")
    assert found == [("holds",)]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("event_changes RENAME TO {}", "PostgreSQL has no table event_changes: run `make prepare`."),
        ("events RENAME COLUMN airport TO {}", "Table events has no column airport: run `make prepare`."),
    ],
)
def test_what_is_missing_is_named(outcome: Outcome, named: str, said: str) -> None:
    there = named.replace("TO {}", "").split()
    back = {"event_changes": "elsewhere RENAME TO event_changes", "events": "events RENAME COLUMN elsewhere TO airport"}
    alter(outcome.settings, named.format("elsewhere"))
    try:
        with pytest.raises(NotReadyError) as refused:
            build(outcome.settings)
        assert str(refused.value) == said
    finally:
        alter(outcome.settings, back[there[0]])


def alter(settings: Settings, what: str) -> None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {what}")
