"""Look-ups without a cluster: rows wait in state, each gets its answer once, and no failure costs a second call."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyflink.common import Row

from apis.answers import Flaw, UnreadableError
from apis.client import GivenUpError, PutOffError, QuotaSpentError
from apis.database import DatabaseError
from apis.endpoints import ApiError, WrongCallError
from jobs.flow.lookups import LookUp, Pace
from jobs.operators.coordinates import Positions, located
from jobs.rules.line import Answer
from tests import monitoring
from tests.keys import Keys

PACE = Pace(rate_per_second=1_000, concurrency=8, put_off_seconds=0.2, ttl_days=30)


class Service:
    """Answers with the key in capitals, after raising what it is told to."""

    def __init__(self, *troubles: Exception) -> None:
        self.asked: Counter[str] = Counter()
        self.troubles = list(troubles)
        self.rates: list[float] = []
        self.closed = 0

    def connect(self, rate: float) -> "Service":
        self.rates.append(rate)
        return self

    async def ask(self, key: str) -> str | None:
        self.asked[key] += 1
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        return None if key == "nowhere" else key.upper()

    async def close(self) -> None:
        self.closed += 1


def told(row: Row, answer: Answer) -> list[Row]:
    return [Row(row, answer.value, answer.error)]


@contextlib.contextmanager
def running(service: Service, keys: Keys, pace: Pace = PACE) -> Iterator[LookUp]:
    function = LookUp(service.connect, told, pace)
    function.open(keys)
    try:
        yield function
    finally:
        function.close()


def until_quiet(function: LookUp, keys: Keys) -> list[Row]:
    """All that comes until nothing waits; the calls' thread is given time between timers."""
    made: list[Row] = []
    deadline = time.monotonic() + 30
    while any(states["waiting"].held for states in keys.values.values()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
        made += keys.fire(function)
    return made


def plain(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, rows))


def test_one_call_serves_all_who_wait_and_those_who_come_later() -> None:
    service, keys = Service(), Keys()
    with running(service, keys) as function:
        assert keys.take(function, [("seoul", 1), ("busan", 2), ("seoul", 3)]) == []
        assert plain(until_quiet(function, keys)) == [(1, "SEOUL", None), (2, "BUSAN", None), (3, "SEOUL", None)]
        assert plain(keys.take(function, [("seoul", 4)])) == [(4, "SEOUL", None)]
    assert service.asked == {"seoul": 1, "busan": 1}
    assert keys.counted == {"answered": 2, "spared": 2, "put_off": 0}
    assert service.closed == 1


def test_an_answer_is_forgotten_when_it_is_too_old() -> None:
    service, keys = Service(), Keys()
    with running(service, keys) as function:
        keys.take(function, [("seoul", 1)])
        until_quiet(function, keys)
        keys.now += 29 * 86_400_000
        assert plain(keys.take(function, [("seoul", 2)])) == [(2, "SEOUL", None)]
        assert keys.fire(function) == []
        assert keys.timers == set()
        assert [states["known"].held for states in keys.values.values()] == [None]
        keys.take(function, [("seoul", 3)])
        assert plain(until_quiet(function, keys)) == [(3, "SEOUL", None)]
    assert service.asked == {"seoul": 2}


def test_that_there_is_nothing_is_an_answer_too() -> None:
    service, keys = Service(), Keys()
    with running(service, keys) as function:
        keys.take(function, [("nowhere", 1)])
        assert plain(until_quiet(function, keys)) == [(1, None, None)]
        assert plain(keys.take(function, [("nowhere", 2)])) == [(2, None, None)]
    assert service.asked == {"nowhere": 1}


@pytest.mark.parametrize(
    "trouble",
    [
        PutOffError(TimeoutError("no answer")),
        QuotaSpentError("address", datetime.now(UTC) + timedelta(milliseconds=1), "spent"),
        ApiError("the key is refused"),
        DatabaseError("PostgreSQL is away"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_passes_costs_a_row_nothing_but_time(trouble: Exception) -> None:
    service, keys = Service(trouble), Keys()
    keys.now = round(time.time() * 1000)
    with running(service, keys) as function:
        keys.take(function, [("seoul", 1)])
        made = []
        while not made:
            time.sleep(0.05)
            keys.now = round(time.time() * 1000)
            if any(at <= keys.now for at, _ in keys.timers):
                made = keys.fire(function)
    assert plain(made) == [(1, "SEOUL", None)]
    assert service.asked == {"seoul": 2}


def test_what_is_given_up_is_said_and_not_remembered() -> None:
    service, keys = Service(GivenUpError("no JSON")), Keys()
    with running(service, keys) as function:
        keys.take(function, [("seoul", 1), ("seoul", 2)])
        assert plain(until_quiet(function, keys)) == [(1, None, "no JSON"), (2, None, "no JSON")]
        keys.take(function, [("seoul", 3)])
        assert plain(until_quiet(function, keys)) == [(3, "SEOUL", None)]
    assert keys.counted["given_up"] == 1


def test_rows_that_waited_in_a_checkpoint_are_asked_for_again() -> None:
    service, keys = Service(), Keys()
    with running(service, keys) as function:
        keys.take(function, [("seoul", 1), ("busan", 2)])
    # Another worker has the states and timers, and nothing else.
    with running(service, keys) as function:
        keys.take(function, [("seoul", 3)])
        assert plain(until_quiet(function, keys)) == [(1, "SEOUL", None), (2, "BUSAN", None), (3, "SEOUL", None)]


def test_a_fault_of_ours_fails_the_job_instead_of_waiting_for_ever() -> None:
    service, keys = Service(UnreadableError(Flaw.EMPTY, "a service must not raise this")), Keys()
    with running(service, keys) as function:
        keys.take(function, [("seoul", 1)])
        with pytest.raises(RuntimeError, match="a look-up broke: UnreadableError"):
            until_quiet(function, keys)


def test_all_that_is_counted_is_on_the_dashboard() -> None:
    with running(Service(), Keys()) as function:
        counted = set(function._counters)
    assert {f"flink_taskmanager_job_task_operator_citystream_{name}" for name in counted} == monitoring.LOOK_UPS
    assert monitoring.used().keys() >= monitoring.LOOK_UPS


# ----- positions of addresses


class Kakao:
    """A client that knows some addresses, and refuses one."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, call: Any) -> Any:
        self.asked.append(call.subject)
        if call.parameters["query"] == "?":
            msg = "query parameter required"
            raise WrongCallError(msg)
        return None, {"old": (35.8, 128.6)}.get(call.parameters["query"])

    async def close(self) -> None:
        pass


class Kept(dict[str, Any]):
    """The table of answers."""

    def find(self, question: str, _: datetime) -> Any:
        return self.get(question)

    def keep(self, question: str, answer: Any, until: datetime) -> None:
        assert until > datetime.now(UTC)
        self[question] = json.loads(json.dumps(answer))

    def close(self) -> None:
        pass


def positions(kakao: Kakao, kept: Kept) -> Positions:
    asking = Positions.__new__(Positions)
    asking._endpoint, asking._client, asking._kept, asking._keep = None, kakao, kept, timedelta(days=1)
    asking._quotas = kept
    return asking


def test_the_parcel_is_asked_for_where_the_address_is_not_known_and_nothing_is_asked_twice() -> None:
    kakao, kept = Kakao(), Kept()
    for _ in range(2):
        assert asyncio.run(positions(kakao, kept).ask("new\nold")) == (35.8, 128.6)
        assert asyncio.run(positions(kakao, kept).ask("nowhere")) is None
    assert kakao.asked == ["new", "old", "nowhere"]


def test_an_address_that_is_refused_stops_nobody() -> None:
    with pytest.raises(GivenUpError, match="query parameter required"):
        asyncio.run(positions(Kakao(), Kept()).ask("?"))


def test_a_complex_that_nobody_knows_is_asked_for_once_until_its_address_changes() -> None:
    def record(address: str, at: int) -> tuple[str, Row]:
        content = {
            **{"complex_id": "A1", "name": "x", "region": "27260", "address": address, "lat": None, "lon": None},
            **{"households": 3, "heating": None},
        }
        return address, Row("A1", json.dumps(content), at)

    kakao, keys, at = Kakao(), Keys(), 1_795_200_000_000
    asking = positions(kakao, Kept())
    function = LookUp(lambda _: asking, located, PACE)
    function.open(keys)
    try:
        made = [*keys.take(function, [record("nowhere", at)]), *until_quiet(function, keys)]
        made += [*keys.take(function, [record("nowhere", at + 10)]), *until_quiet(function, keys)]
        assert (made, kakao.asked) == ([], ["nowhere"])
        made += [*keys.take(function, [record("old", at + 20)]), *until_quiet(function, keys)]
        (found,) = made
    finally:
        function.close()
    assert (found[0], json.loads(found[1])["lat"], found[2]) == ("A1", 35.8, at + 21)
    assert kakao.asked == ["nowhere", "old"]
