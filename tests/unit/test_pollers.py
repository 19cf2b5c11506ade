"""The pollers without servers: which calls are wanted, what goes on to the job, and what a kill can't undo."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import InvalidTimestampError

from apis.client import SystemClock
from conf.city import places
from conf.settings import load
from generators.pollers.carbon import messages, plan
from generators.pollers.carbon.estimates import Estimate
from generators.pollers.carbon.plan import Period
from generators.pollers.engine import Engine
from generators.pollers.outbox import Outbox
from generators.pollers.report import Report
from generators.pollers.state import Known, Message, State, StateError
from generators.simulator.carbon import parcels, services
from generators.simulator.carbon.services import World
from jobs.rules.carbon import complexes
from jobs.rules.fields import RejectedError
from tests.pollers import RICH

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # noon in Korea
AT = int(NOW.timestamp() * 1000)
WORLD = World(27, date(2024, 5, 1), RICH)
PLACE = places.complexes()[0]


class TestMessages:
    def test_a_complex(self) -> None:
        item = dict(services.basis_item(WORLD, PLACE))
        value = json.loads(messages.complex_value(item, (35.5, 128.5), 1_763_000_000_123))
        assert value == {
            "complex_id": PLACE.complex_id,
            "name": PLACE.name,
            "region": PLACE.region,
            "address": PLACE.address,
            "legal_dong": parcels.legal_dong(PLACE),
            "parcel": item["kaptAddr"],
            "lat": 35.5,
            "lon": 128.5,
            "households": PLACE.households,
            "heating": WORLD.traits(PLACE).heating,
            "used_since": WORLD.traits(PLACE).used_since.isoformat(),
            "fetched_at": "2025-11-13T02:13:20.123Z",
        }

    def test_a_district_is_numbered_as_now(self) -> None:
        for code, region in (("2726010100", "27260"), ("4772025021", "27720"), ("2772025021", "27720")):
            item = {**services.basis_item(WORLD, PLACE), "bjdCode": code}
            told = json.loads(messages.complex_value(item, None, 0))
            assert (told["region"], told["legal_dong"]) == (region, region + code[5:])

    @pytest.mark.parametrize(
        ("name", "heating"),
        [
            ("개별난방", "individual"),
            ("지역난방", "district"),
            ("중앙난방", "central"),
            ("중앙+개별", "central"),
            ("", None),
        ],
    )
    def test_heating(self, name: str, heating: str | None) -> None:
        value = json.loads(messages.complex_value({"kaptCode": "A1", "codeHeatNm": name}, None, 0))
        assert value["heating"] == heating
        assert (value["lat"], value["lon"], value["households"], value["used_since"]) == (None, None, None, None)

    @pytest.mark.parametrize(
        ("field", "text", "told"),
        [
            ("kaptdaCnt", "1,234", {"households": 1234}),
            ("kaptdaCnt", "1234.0", {"households": 1234}),
            ("kaptdaCnt", "-", {"households": "-"}),
            ("kaptdaCnt", "1234.5", {"households": "1234.5"}),
            ("kaptdaCnt", "Infinity", {"households": "Infinity"}),
            ("kaptdaCnt", "", {"households": None}),
            ("codeHeatNm", "태양열", {"heating": "태양열"}),
            ("codeHeatNm", "기타", {"heating": None}),
            ("kaptUsedate", "1999-03-01", {"used_since": "1999-03-01"}),
            ("kaptUsedate", "19990301", {"used_since": "1999-03-01"}),
            ("kaptUsedate", "spring", {"used_since": "spring"}),
            ("bjdCode", "27", {"region": "27"}),
            ("bjdCode", "27260101001", {"region": "27260101001"}),
        ],
    )
    def test_what_can_be_read_is_and_the_rest_is_the_jobs_to_judge(
        self, field: str, text: str, told: dict[str, object]
    ) -> None:
        item = {**services.basis_item(WORLD, PLACE), field: text}
        value = messages.complex_value(item, None, 0)
        ((name, wanted),) = told.items()
        assert json.loads(value)[name] == wanted
        is_fine = field == "kaptUsedate" or ((isinstance(wanted, int) or name == "heating") and wanted != "태양열")
        if is_fine:
            assert complexes.parse(PLACE.complex_id, value, AT).name == PLACE.name
        else:
            with pytest.raises(RejectedError):
                complexes.parse(PLACE.complex_id, value, AT)

    @pytest.mark.parametrize(
        ("item", "entered"),
        [
            ({}, False),
            ({"helect": "0", "hgas": "0.0", "hwaterCool": ""}, False),
            ({"elect": "99"}, False),
            ({"helect": "0", "hgas": "0.5"}, True),
            ({"hwaterHot": "100"}, True),
        ],
    )
    def test_zeros_are_not_entered(self, item: dict[str, str], entered: bool) -> None:
        assert messages.was_entered(item) is entered


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "pollers.sqlite")
    yield opened
    opened.close()


def message(key: str = "k", value: bytes = b"v", at: int = 1) -> Message:
    return Message("t", key, value, "http://h", at)


class TestState:
    def test_what_is_not_acknowledged_is_sent_by_the_next_run(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        first = State(path)
        one, two = first.keep("energy", [("s", "values")], 1, [message("a"), message("b")])
        first.acknowledge([one])
        first.close()
        second = State(path)
        assert second.unacknowledged() == [two]
        assert second.answered("energy") == {"s": Known("values", 1, 0, None)}
        second.acknowledge([two])
        assert second.unacknowledged() == []
        second.close()

    def test_the_same_again_is_not_sent(self, state: State) -> None:
        state.acknowledge(state.keep("energy", [("s", "values")], 1, [message(at=1)]))
        assert state.keep("energy", [("s", "values")], 2, [message(at=2)]) == []
        changed = state.keep("energy", [("s", "values")], 3, [message(value=b"other", at=3)])
        assert [each.value for each in changed] == [b"other"]
        back = state.keep("energy", [("s", "values")], 4, [message(at=4)])
        assert [each.fetched_ms for each in back] == [4]

    def test_an_unreadable_body_is_sent_once_and_hides_nothing(self, state: State) -> None:
        state.acknowledge(state.keep("energy", [("s", "values")], 1, [message()]))
        bad = message(value=b"<", at=2)
        assert [len(state.keep_unreadable("energy", "s", bad, 2)[1]) for _ in range(3)] == [1, 0, 0]
        known = state.answer("energy", "s")
        assert known == Known("values", 2, 3, None)
        assert state.keep("energy", [("s", "values")], 3, [message(at=3)]) == []
        assert state.answer("energy", "s") == Known("values", 3, 0, None)

    def test_only_the_newest_of_a_key_is_kept_and_can_be_sent_again(self, state: State) -> None:
        for number in range(3):
            state.acknowledge(state.keep("energy", [("s", "values")], number, [message(value=b"%d" % number)]))
        state.acknowledge(state.keep("energy", [("o", "values")], 9, [message("other")]))
        assert state.send_again(["t"]) == 2
        assert {(each.key, each.value) for each in state.unacknowledged()} == {("k", b"2"), ("other", b"v")}

    def test_it_has_one_user(self, tmp_path: Path) -> None:
        first = State(tmp_path / "state")
        with pytest.raises(StateError, match="another poller is at work"):
            State(tmp_path / "state")
        State(tmp_path / "state", alone=False).close()
        first.close()
        State(tmp_path / "state").close()

    def test_another_version_is_named(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "state") as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(StateError, match="version 99"):
            State(tmp_path / "state")

    def test_a_file_of_the_version_before_goes_on(self, tmp_path: Path) -> None:
        first = State(tmp_path / "state")
        first.keep("energy", [("s", "values")], 1)
        first.close()
        with sqlite3.connect(tmp_path / "state") as db:
            db.executescript("DROP TABLE aside; PRAGMA user_version = 1;")
        second = State(tmp_path / "state")
        assert second.answered("energy") == {"s": Known("values", 1, 0, None)}
        assert second.aside() == []
        second.close()

    def test_a_failed_transaction_leaves_nothing(self, state: State) -> None:
        with pytest.raises(sqlite3.Error):
            state.keep("energy", [("s", "values")], 1, [message(), message(key=None)])  # type: ignore[arg-type]
        assert state.answered("energy") == {}
        assert state.unacknowledged() == []


class TestPlan:
    period = Period(date(2026, 8, 1), date(2026, 10, 1))

    def test_a_backfill_asks_newest_months_first_and_nothing_twice(self) -> None:
        known = {
            "A1|2026-10": Known("zeros", 0, 0, None),
            "A2|2026-09": Known("unreadable", 0, 2, None),
            "A1|2026-08": Known("unreadable", 0, 3, None),
        }
        calls = plan.energy_backfill(["A1", "A2"], self.period.months, known, 3)
        september, october = date(2026, 9, 1), date(2026, 10, 1)
        assert calls == [("A2", october), ("A1", september), ("A2", september), ("A2", date(2026, 8, 1))]

    def test_legal_dongs_are_those_whose_complexes_name_lots(self, state: State) -> None:
        for number, (code, address) in enumerate(
            [
                ("2726010100", "대구광역시 수성구 범어동 12-3, 14 이름"),
                ("2726010100", "대구광역시 수성구 범어동 산9 이름"),
                ("2726010200", "대구광역시 수성구 달구벌대로 12"),
                ("4772025021", "대구광역시 군위군 군위읍 동부리 5"),
                ("27", "대구광역시 수성구 범어동 1"),
            ]
        ):
            result = json.dumps({"url": "u", "item": {"bjdCode": code, "kaptAddr": address}})
            state.keep("basis", [(f"A{number}", "values")], 1, result=result)
        assert plan.dongs(state) == {
            "2726010100": {"0-0012-0003", "0-0014-0000", "1-0009-0000"},
            "2772025021": {"0-0005-0000"},
        }

    def test_months_of_a_legal_dong_are_asked_under_its_code_of_then_and_once(self) -> None:
        months = [date(2023, 7, 1), date(2023, 6, 1), date(2019, 12, 1)]
        known = {item: {"4772025021|2023-06|gas": Known("none", 1, 0, None)} for item in ("electricity", "gas")}
        wanted = plan.buildings_backfill(["2772025021"], months, known, 3)
        assert [messages.buildings_key(*each) for each in wanted] == [
            "2772025021|2023-07|electricity",
            "2772025021|2023-07|gas",
            "4772025021|2023-06|electricity",
        ]

    def test_newest_months_of_legal_dongs_are_asked_again_when_that_was_a_while_ago(self) -> None:
        watch = load().pollers.watch.model_copy(update={"buildings_months": 2, "buildings_days": 14})
        old, recent = AT - 15 * 86_400_000, AT - 13 * 86_400_000
        known = {
            "electricity": {"1234567890|2026-10|electricity": Known("values", old, 0, "1")},
            "gas": {"1234567890|2026-10|gas": Known("none", recent, 0, "1")},
        }
        wanted = plan.buildings_watch(["1234567890"], known, NOW, watch)
        ten, nine = date(2026, 10, 1), date(2026, 9, 1)
        assert [(month, item) for _, month, item in wanted] == [
            (ten, "electricity"),
            (nine, "electricity"),
            (nine, "gas"),
        ]

    def test_weather_ends_yesterday_or_with_the_period(self) -> None:
        assert max(self.period.days(NOW)) == date(2026, 11, 20)
        assert max(Period(date(2026, 1, 1), date(2026, 3, 1)).days(NOW)) == date(2026, 3, 31)

    def test_thirty_months_of_weather_are_three_calls(self) -> None:
        calls = plan.weather_backfill(["143"], Period.back(30, NOW).days(NOW), {}, 3)
        assert calls == [
            ("143", date(2024, 5, 1), date(2025, 5, 1)),
            ("143", date(2025, 5, 2), date(2026, 5, 2)),
            ("143", date(2026, 5, 3), date(2026, 11, 20)),
        ]

    def test_corrections_are_asked_for_when_they_are_old(self) -> None:
        watch = load().pollers.watch.model_copy(update={"correction_months": 2, "correction_days": 7})
        old, new = (int((NOW - timedelta(days=days)).timestamp() * 1000) for days in (8, 6))
        known = {
            "A1|2026-10": Known("values", new, 0, None),
            "A1|2026-09": Known("values", old, 0, None),
            "A1|2026-08": Known("values", old, 0, None),
        }
        assert plan.corrections(["A1"], known, NOW, watch) == [("A1", date(2026, 9, 1))]

    def test_weather_that_was_missed_is_asked_for(self) -> None:
        watch = load().pollers.watch.model_copy(update={"weather_days": 2})
        known = {f"143|2026-11-{day:02}": Known("values", 0, 0, None) for day in (10, 11, 12, 15, 16, 17, 18, 19, 20)}
        assert plan.weather_watch(["143"], known, NOW, watch) == [
            ("143", date(2026, 11, 13), date(2026, 11, 14)),
            ("143", date(2026, 11, 19), date(2026, 11, 20)),
        ]

    @pytest.mark.parametrize(
        ("calls", "left", "days"),
        [(10, 10, 0), (11, 10, 1), (20, 10, 1), (21, 10, 2), (0, 0, 0), (10, 0, 1), (11, 0, 2)],
    )
    def test_days_beyond_today(self, calls: int, left: int, days: int) -> None:
        assert Estimate("energy", calls, left, 10).more_days == days


@pytest.mark.parametrize("error", [OverflowError("too large"), KeyError("kaptCode"), RecursionError(), UnicodeError()])
def test_one_answer_cant_end_a_run(tmp_path: Path, error: Exception) -> None:
    """It is put aside with its reason, over all runs, until it can be made use of."""
    bad: set[str] = {"b"}
    done: list[str] = []

    async def do(item: str) -> None:
        if item in bad:
            raise error
        done.append(item)

    def run() -> list[tuple[str, str, str]]:
        async def work() -> None:
            engine = Engine(load().pollers, state, None, SystemClock(), Report())
            assert await engine.delivering(engine.work_off("things", ["a", "b", "c"], do))

        state = State(tmp_path / "state")
        try:
            asyncio.run(work())
            return state.aside()
        finally:
            state.close()

    ((part, subject, reason),) = run()
    assert (part, subject) == ("things", "b")
    assert reason.startswith(type(error).__name__)
    assert run() == [(part, subject, reason)]
    bad.clear()
    assert run() == []
    assert sorted(done) == ["a", "a", "a", "b", "c", "c", "c"]


def test_what_is_wrong_with_the_machine_ends_it(state: State) -> None:
    async def do(_: str) -> None:
        raise sqlite3.OperationalError

    async def work() -> None:
        engine = Engine(load().pollers, state, None, SystemClock(), Report())
        await engine.delivering(engine.work_off("things", ["a"], do))

    with pytest.raises(sqlite3.OperationalError):
        asyncio.run(work())
    assert state.aside() == []


def test_what_kafka_will_never_take_ends_the_run_and_stays_in_the_spool(state: State) -> None:
    failed: list[str] = []
    producer = _FailingProducer(9, InvalidTimestampError)

    async def deliver() -> int:
        outbox = Outbox(producer, state, print, failed.append)
        outbox.send(state.keep("energy", [("s", "values")], 7, [message()]))
        return await outbox.drain(5)

    assert asyncio.run(deliver()) == 1
    assert len(producer.sent) == len(failed) == len(state.unacknowledged()) == 1
    assert failed[0].startswith("Kafka refuses t k: ")


class _Future:
    def __init__(self, error: Exception | None) -> None:
        self.exception = error
        self.is_done = True

    def failed(self) -> bool:
        return self.exception is not None


class _FailingProducer:
    """Fails the first sends."""

    def __init__(self, failures: int, error: type[Exception] = TimeoutError) -> None:
        self.failures = failures
        self.error = error
        self.sent: list[tuple[Any, ...]] = []

    def send(self, *record: Any, **more: Any) -> _Future:
        self.sent.append((*record, more["timestamp_ms"]))
        self.failures -= 1
        return _Future(self.error() if self.failures >= 0 else None)


def test_what_kafka_does_not_take_is_sent_until_it_does(state: State) -> None:
    said: list[str] = []
    producer = _FailingProducer(3)

    async def deliver() -> int:
        outbox = Outbox(producer, state, said.append, pytest.fail)
        outbox.send(state.keep("energy", [("s", "values")], 7, [message(at=7), message("other", at=7)]))
        return await outbox.drain(5)

    assert asyncio.run(deliver()) == 0
    assert state.unacknowledged() == []
    assert len(producer.sent) == 5
    assert {record[-1] for record in producer.sent} == {7}
    assert said
    assert all(line.startswith("waits for Kafka") for line in said)
