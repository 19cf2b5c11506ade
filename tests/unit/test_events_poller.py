"""The poller of events against the simulator over HTTP, with a Kafka that takes everything."""

import asyncio
import json
import threading
import time as clock_time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from apis import predicthq
from apis.answers import Reaction, RefusedError, Response, UnreadableError
from apis.endpoints import ApiError
from apis.predicthq import Page
from conf.settings import Settings, load
from generators.pollers.engine import PollerError
from generators.pollers.events import plan
from generators.pollers.events.plan import TOPIC, Search
from generators.pollers.events.poller import Poller
from generators.pollers.report import Report
from generators.pollers.state import State
from generators.simulator import app
from generators.simulator.events import world
from generators.simulator.events.world import Version, World, rendered

FIRST = date(2026, 11, 1)
COUNT = 400
WORLD = World(27, COUNT, FIRST)
EVERYTHING = ("KR", "JP", "TW", "HK", "SG", "TH", "VN", "PH", "US", "CA", "GB", "FR", "DE", "ES", "IT", "AU")
CATEGORIES = tuple({**world.ATTENDED, **world.UNATTENDED})


class Clock:
    """Stands at a time of a day, and jumps instead of waiting."""

    def __init__(self, day: date) -> None:
        self.time = datetime.combine(day, time(23, 59, 59), UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Taken:
    """What Kafka says of a record it has."""

    is_done = True
    exception = None

    def failed(self) -> bool:
        return False


class Kafka:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []

    def send(self, topic: str, value: bytes, key: bytes, headers: object, timestamp_ms: int) -> Taken:
        assert topic == TOPIC
        self.records.append((key.decode(), json.loads(value)))
        return Taken()

    @property
    def by_event(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key, event in self.records:
            found[key].append(event)
        return found


class Simulator:
    """The simulator on a port of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, path: str, **what: Any) -> None:
        httpx.put(f"{self.url}/simulator/{path}", json=what).raise_for_status()

    def calls(self, key: str | None = None) -> int:
        told: dict[str, dict[str, int]] = httpx.get(f"{self.url}/simulator/calls").json().get("events", {})
        return sum(sum(outcomes.values()) for name, outcomes in told.items() if key in (None, name))

    def forget(self) -> None:
        httpx.delete(f"{self.url}/simulator/calls").raise_for_status()


@contextmanager
def running(**changes: Any) -> Iterator[Simulator]:
    chosen = load().simulator
    events = chosen.events.model_copy(update={"count": COUNT, "first_day": FIRST, **changes})
    served = app.create(
        chosen.model_copy(update={"events": events, "rate_per_second": 0, "daily_quota": 10**6, "today": FIRST}),
        "Asia/Seoul",
    )
    server = uvicorn.Server(uvicorn.Config(served, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        clock_time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Simulator(f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: Simulator) -> Simulator:
    shared.put("trouble")
    shared.put("limits", daily_quota=10**6, rate_per_second=0)
    shared.forget()
    return shared


class Pulls:
    """Pulls with one state file and one Kafka, each a run of its own."""

    def __init__(self, simulator: Simulator, folder: Path, **changes: Any) -> None:
        self.simulator = simulator
        self.kafka = Kafka()
        self.said: list[str] = []
        self._folder = folder
        self._changes = changes

    @property
    def settings(self) -> Settings:
        known = load()
        chosen = {"countries": EVERYTHING, "categories": CATEGORIES, "least_rank": 0, "page_size": 20} | self._changes
        tokens = chosen.pop("tokens", None)
        quick = {"rate_per_second": 10_000, "overlap_minutes": 0, **chosen}
        events = known.pollers.events.model_copy(update=quick)
        pollers = known.pollers.model_copy(
            update={
                "events": events,
                "predicthq_url": self.simulator.url,
                "predicthq_tokens": SecretStr(tokens or "simulator-events-1"),
                "put_off_seconds": 1,
                "longest_pause_seconds": 0.05,
                "timeout_seconds": 10,
                "concurrency": 4,
            }
        )
        return known.model_copy(update={"pollers": pollers})

    def pull(self, day: date, *, after: int = -1, then: Callable[[Poller], None] = lambda _: None) -> bool:
        """Pull on a day; do something in the middle, after so many records."""
        self.simulator.put("today", today=day.isoformat())
        state = State(self._folder / "events.sqlite")
        report = Report()
        report.say = self.said.append  # type: ignore[method-assign]

        async def run() -> bool:
            poller = Poller(self.settings, state, self.kafka, Clock(day), report, waits=False)  # type: ignore[arg-type]
            send = self.kafka.send
            middle = len(self.kafka.records) + after

            def sent(*given: Any, **named: Any) -> Taken:
                if len(self.kafka.records) == middle:
                    then(poller)
                return send(*given, **named)

            self.kafka.send = sent  # type: ignore[method-assign]
            try:
                return await poller.watch(once=True)
            finally:
                self.kafka.send = send  # type: ignore[method-assign]

        try:
            return asyncio.run(run())
        finally:
            state.close()


def seen(history: Sequence[Version], days: Sequence[date]) -> list[dict[str, Any]]:
    """The versions of an event that are there at the end of one of these days, each once."""
    found: list[dict[str, Any]] = []
    for day in days:
        until = datetime.combine(day, time.max, UTC)
        newest = [rendered(version) for version in history if version.updated <= until][-1:]
        found += [version for version in newest if version not in found[-1:]]
    return found


def expected(days: Sequence[date], keeps: Any = lambda _: True) -> dict[str, list[dict[str, Any]]]:
    histories = (WORLD.history(number) for number in range(COUNT))
    found = {history[0].event.event_id: seen(history, days) for history in histories}
    return {event_id: versions for event_id, versions in found.items() if versions and keeps(versions)}


def days(*numbers: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in numbers]


# ----- pulls


def test_every_version_of_every_day_comes_once_and_in_order(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, page_size=5)
    every = days(*range(6))
    calls = []
    for day in every:
        before = simulator.calls()
        assert pulls.pull(day)
        calls.append(simulator.calls() - before)
    assert pulls.kafka.by_event == expected(every)
    # The first pull reads every page; a later one asks each country, and has a page more here and there.
    assert calls[0] > 4 * len(EVERYTHING)
    assert all(count <= 2 * len(EVERYTHING) for count in calls[1:])


def test_days_that_were_missed_are_caught_up(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path)
    some = days(0, 1, 9, 25)
    assert all(pulls.pull(day) for day in some)
    assert pulls.kafka.by_event == expected(some)


def test_a_second_pull_on_the_same_day_costs_nothing(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path)
    assert pulls.pull(FIRST)
    calls, records = simulator.calls(), len(pulls.kafka.records)
    assert pulls.pull(FIRST)
    assert (simulator.calls(), len(pulls.kafka.records)) == (calls, records)


def test_a_run_that_ends_in_the_middle_is_gone_on_with(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path)
    ended = [pulls.pull(FIRST, after=40, then=Poller.stop) for _ in range(5)]
    assert not any(ended[:3])
    assert pulls.pull(FIRST)
    assert pulls.kafka.by_event == expected([FIRST])
    assert len(pulls.kafka.records) == len(expected([FIRST]))


def test_nothing_falls_between_two_pages_while_events_are_updated(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, page_size=3)
    later = FIRST + timedelta(days=20)
    assert pulls.pull(FIRST, after=150, then=lambda _: simulator.put("today", today=later.isoformat()))
    assert pulls.pull(later)
    latest = {event_id: versions[-1] for event_id, versions in pulls.kafka.by_event.items()}
    assert latest == {event_id: versions[-1] for event_id, versions in expected([later]).items()}


def test_what_shows_up_late_is_found_by_the_overlap_and_sent_once(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, overlap_minutes=60 * 24 * 400)
    assert all(pulls.pull(day) for day in days(0, 1))
    assert pulls.kafka.by_event == expected(days(0, 1))


def test_an_event_that_was_sent_goes_on_though_it_ranks_lower_now(simulator: Simulator, tmp_path: Path) -> None:
    every = days(0, 10, 20, 30, 40)
    pulls = Pulls(simulator, tmp_path, least_rank=85)
    assert all(pulls.pull(day) for day in every)
    known = expected(every)
    ranked = {}
    for event_id, versions in known.items():
        while versions and versions[0]["rank"] < 85:
            versions = versions[1:]
        if versions:
            ranked[event_id] = versions
    assert any(version["rank"] < 85 for versions in ranked.values() for version in versions)
    assert pulls.kafka.by_event == ranked


def test_only_what_is_set_is_pulled(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, countries=("KR",), categories=("expos", "concerts"))
    assert pulls.pull(FIRST)
    wanted = expected([FIRST], lambda v: v[0]["country"] == "KR" and v[0]["category"] in ("expos", "concerts"))
    assert 0 < len(wanted) == len(pulls.kafka.records)
    assert pulls.kafka.by_event == wanted


def test_a_plan_that_caps_the_rows_caps_nothing(tmp_path: Path) -> None:
    with running(most_rows=7) as capped:
        pulls = Pulls(capped, tmp_path)
        assert all(pulls.pull(day) for day in days(0, 5))
        assert pulls.kafka.by_event == expected(days(0, 5))


def test_more_events_in_one_second_than_a_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_noon(monkeypatch)
    with running() as simulator:
        pulls = Pulls(simulator, tmp_path, page_size=3)
        assert pulls.pull(FIRST)
        assert len(pulls.kafka.by_event) == len(expected([FIRST]))
        assert len(pulls.kafka.records) == len(pulls.kafka.by_event)


def test_more_in_one_second_than_the_plan_reaches_is_split_by_category(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    with running(most_rows=12) as simulator:
        pulls = Pulls(simulator, tmp_path, countries=("KR",))
        assert pulls.pull(FIRST)
        wanted = expected([FIRST], lambda versions: versions[0]["country"] == "KR")
        assert len(wanted) > 3 * 12
        assert pulls.kafka.by_event.keys() == wanted.keys()


def test_and_where_even_that_is_too_much_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_noon(monkeypatch)
    with running(most_rows=2) as simulator:
        pulls = Pulls(simulator, tmp_path, countries=("KR",), categories=("concerts",))
        with pytest.raises(PollerError, match="takes another plan"):
            pulls.pull(FIRST)


def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a world's events are updated in the same second of the first day."""
    noon = datetime.combine(FIRST, time(12), UTC)
    world._histories.cache_clear()
    world._at.cache_clear()
    monkeypatch.setattr(world, "_moment", lambda day, _: noon if day <= FIRST else datetime.combine(day, time(), UTC))


@pytest.fixture(autouse=True)
def _forget_worlds() -> Iterator[None]:
    yield
    world._histories.cache_clear()
    world._at.cache_clear()


# ----- keys and troubles


def test_a_key_whose_quota_is_spent_gives_way_to_another(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, tokens="simulator-events-1,simulator-events-2", daily_quota=20)
    assert pulls.pull(FIRST)
    assert pulls.kafka.by_event == expected([FIRST])
    assert 0 < simulator.calls() <= 40


def test_where_all_are_spent_the_next_day_goes_on(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, tokens="simulator-events-1,simulator-events-2", daily_quota=10, page_size=10)
    assert not pulls.pull(FIRST)
    assert simulator.calls() == 20
    day = next(day for day in days(*range(1, 9)) if pulls.pull(day))
    assert {key: versions[-1] for key, versions in pulls.kafka.by_event.items()} == {
        key: versions[-1] for key, versions in expected([day]).items()
    }


def test_a_small_quota_starves_no_country(simulator: Simulator, tmp_path: Path) -> None:
    pulls = Pulls(simulator, tmp_path, daily_quota=6)
    assert not any(pulls.pull(day) for day in days(0, 1, 2, 3, 4))
    assert {event["country"] for _, event in pulls.kafka.records} == set(EVERYTHING)


def test_a_key_that_does_not_serve_is_left_alone_and_said(simulator: Simulator, tmp_path: Path) -> None:
    tokens = "nobody,simulator-events-expired,simulator-events-unscoped,simulator-events-1"
    pulls = Pulls(simulator, tmp_path, tokens=tokens)
    assert pulls.pull(FIRST)
    assert pulls.kafka.by_event == expected([FIRST])
    assert sum("left alone" in line for line in pulls.said) == 3
    assert any("renew the subscription" in line for line in pulls.said)


def test_where_no_key_serves_the_run_ends_with_a_sentence(simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="check PREDICTHQ_TOKENS"):
        Pulls(simulator, tmp_path, tokens="nobody,nobody-else").pull(FIRST)


def test_troubles_lose_nothing_and_double_nothing(simulator: Simulator, tmp_path: Path) -> None:
    simulator.put("trouble", errors=0.2, malformed=0.2, html=0.1)
    pulls = Pulls(simulator, tmp_path)
    assert all(pulls.pull(day) for day in days(0, 3))
    assert pulls.kafka.by_event == expected(days(0, 3))


# ----- what is asked, and what an answer means


def page(*events: dict[str, Any], overflow: bool = False, has_next: bool = False) -> Page:
    return Page(events, len(events), overflow, has_next)


SEARCH = Search("KR", ("expos",), datetime(2026, 11, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "answer",
    [
        page({"updated": "2026-10-31T23:59:59Z"}),
        page({"updated": "2026-11-02T00:00:00Z"}, {"updated": "2026-11-01T00:00:00Z"}),
        page(has_next=True),
        page(overflow=True),
        page({"updated": "soon"}, has_next=True),
    ],
)
def test_a_page_that_was_not_asked_for_is_not_believed(answer: Page) -> None:
    with pytest.raises(UnreadableError):
        SEARCH.check(answer)


def test_an_event_that_says_nothing_of_itself_goes_on_to_be_judged() -> None:
    SEARCH.check(page({"updated": "2026-11-01T00:00:00.25Z"}, {"updated": None}, {}))
    for odd in ({"id": 5}, {"id": "\ud800"}, {}, {"id": None}):
        assert plan.message(odd, "u", 1).key == ""
        assert plan.wanted({**odd, "rank": 1}, 85, lambda _: False)
    assert plan.wanted({"id": "a", "rank": "high"}, 85, lambda _: False)
    assert not plan.wanted({"id": "a", "rank": 84}, 85, lambda _: False)


@given(
    st.binary(max_size=40) | st.from_regex(r'\{"(results|error|count)": ?.{0,20}\}').map(str.encode),
    st.sampled_from([200, 400, 401, 402, 403, 404, 429, 500, 503]),
)
def test_whatever_comes_is_a_page_a_refusal_or_unreadable(body: bytes, status: int) -> None:
    try:
        found = predicthq.read(Response(status, body))
    except (RefusedError, UnreadableError):
        return
    assert isinstance(found, Page)


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (400, Reaction.CONFIGURATION),
        (401, Reaction.OPERATOR),
        (402, Reaction.OPERATOR),
        (403, Reaction.OPERATOR),
        (429, Reaction.RETRY),
        (503, Reaction.RETRY),
    ],
)
def test_what_a_refusal_asks_for(status: int, reaction: Reaction) -> None:
    with pytest.raises(RefusedError) as refused:
        predicthq.read(Response(status, b'{"error": "no"}'))
    assert refused.value.reaction is reaction


def test_a_key_of_ones_own_needs_the_address_and_the_other_way_round(tmp_path: Path) -> None:
    known = load()

    def with_keys(url: str | None, tokens: str | None) -> Settings:
        secret = SecretStr(tokens) if tokens else None
        return known.model_copy(
            update={"pollers": known.pollers.model_copy(update={"predicthq_url": url, "predicthq_tokens": secret})}
        )

    assert len(predicthq.apis(with_keys(None, None))) == len(known.simulator.events.tokens)
    assert [each.access.url for each in predicthq.apis(with_keys("https://e.example/", "a, b,"))] == [
        "https://e.example"
    ] * 2
    with pytest.raises(ApiError, match="PREDICTHQ_URL"):
        predicthq.apis(with_keys(None, "mine"))
    with pytest.raises(ApiError, match="PREDICTHQ_TOKENS"):
        predicthq.apis(with_keys("https://e.example", None))
