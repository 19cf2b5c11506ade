"""The pollers without servers: what an answer means, which calls are wanted, and what a kill can't undo."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import InvalidTimestampError
from pydantic import SecretStr

from apis import calendar
from apis import data_go_kr as answers
from apis.client import PollerError, data_go_kr, decoded, kakao
from apis.data_go_kr import Reaction, RefusedError, UnreadableError
from conf.city import places
from conf.settings import Settings, load
from generators.pollers.carbon import messages, plan
from generators.pollers.carbon.messages import Message
from generators.pollers.carbon.plan import Estimate, Period
from generators.pollers.outbox import Outbox
from generators.pollers.state import Known, State, StateError
from generators.simulator import envelopes
from generators.simulator.carbon import services
from generators.simulator.carbon.services import World

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # noon in Korea
WORLD = World(27, date(2024, 5, 1))
PLACE = places.complexes()[0]
moments = st.integers(1_577_836_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


class TestCalendar:
    def test_the_day_is_koreas(self) -> None:
        assert calendar.day_of(datetime(2026, 11, 21, 14, 59, 59, tzinfo=UTC)) == date(2026, 11, 21)
        assert calendar.day_of(datetime(2026, 11, 21, 15, 0, tzinfo=UTC)) == date(2026, 11, 22)

    @given(moments)
    def test_the_next_day_begins_within_a_day(self, moment: datetime) -> None:
        begins = calendar.next_day(moment)
        assert timedelta() < begins - moment <= timedelta(days=1)
        assert calendar.day_of(begins) == calendar.day_of(moment) + timedelta(days=1)
        assert calendar.day_of(begins - timedelta(microseconds=1)) == calendar.day_of(moment)

    @given(moments, st.times().map(lambda t: t.replace(microsecond=0)))
    def test_next_at_is_within_a_day_and_at_that_time(self, moment: datetime, at: time) -> None:
        found = calendar.next_at(moment, at)
        assert timedelta() < found - moment <= timedelta(days=1)
        assert found.astimezone(calendar.KOREA).time() == at

    @given(st.sets(st.dates(date(2020, 1, 1), date(2021, 12, 31))), st.integers(1, 366))
    def test_ranges_hold_each_wanted_day_once(self, wanted: set[date], longest: int) -> None:
        runs = list(calendar.ranges(wanted, longest))
        assert [day for run in runs for day in calendar.days(*run)] == sorted(wanted)
        assert all((last - first).days < longest for first, last in runs)

    def test_months_go_back_over_the_year(self) -> None:
        assert calendar.months(date(2025, 11, 1), date(2026, 2, 1)) == [
            *[date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)]
        ]
        assert calendar.newest_month(datetime(2026, 1, 1, 1, tzinfo=UTC)) == date(2025, 12, 1)
        # In Korea the month has changed already.
        assert calendar.newest_month(datetime(2026, 1, 31, 15, tzinfo=UTC)) == date(2026, 1, 1)


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_NAMES = st.sampled_from(
    [
        *["response", "header", "body", "items", "item", "resultCode", "totalCount", "documents", "x", "y", "code"],
        *["OpenAPI_ServiceResponse", "cmmMsgHeader", "returnReasonCode"],
    ]
)


def _nested(inside: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inside, max_size=2) | st.dictionaries(_NAMES, inside, max_size=4)


class TestAnswers:
    @pytest.mark.parametrize("as_json", [False, True])
    def test_one_item_under_the_body(self, as_json: bool) -> None:
        item = services.energy_item("A1", date(2026, 1, 1), WORLD.usage(PLACE, date(2026, 1, 1), date(2026, 11, 1)))
        answer = answers.read(200, envelopes.single(item, as_json=as_json))
        assert answer.items == [item]

    @pytest.mark.parametrize("as_json", [False, True])
    @pytest.mark.parametrize("bare", [False, True])
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_pages_in_every_shape(self, as_json: bool, bare: bool, count: int) -> None:
        items = [{"kaptCode": f"A{number}", "as4": ""} for number in range(count)]
        answer = answers.read(200, envelopes.page(items, 1, 3, 17, as_json=as_json, bare=bare))
        assert answer.items == items
        assert answer.total == 17

    def test_a_single_item_may_be_no_array(self) -> None:
        body = b'{"response":{"header":{"resultCode":"00"},"body":{"items":{"item":{"a":1,"b":null}},"totalCount":1}}}'
        assert answers.read(200, body).items == [{"a": "1", "b": ""}]

    @pytest.mark.parametrize(
        ("code", "reaction"),
        [
            *[(code, Reaction.RETRY) for code in ("01", "02", "04", "05", "23", "99", "77")],
            *[(code, Reaction.CONFIGURATION) for code in ("10", "11", "12")],
            *[(code, Reaction.OPERATOR) for code in ("20", "21", "30", "31", "32", "33")],
            ("22", Reaction.NEXT_DAY),
        ],
    )
    def test_each_code_has_its_reaction_in_every_envelope(self, code: str, reaction: Reaction) -> None:
        reason = f"<cmmMsgHeader><returnReasonCode>{code}</returnReasonCode></cmmMsgHeader>"
        gateway = f"<OpenAPI_ServiceResponse>{reason}</OpenAPI_ServiceResponse>"
        as_json = json.dumps({"OpenAPI_ServiceResponse": {"cmmMsgHeader": {"returnReasonCode": code}}})
        header = f"<response><header><resultCode>{code}</resultCode></header></response>"
        number = json.dumps({"response": {"header": {"resultCode": int(code)}}})
        for status in (200, 400, 500):
            for body in (gateway, as_json, header, number):
                with pytest.raises(RefusedError) as refused:
                    answers.read(status, body.encode())
                assert refused.value.reaction is reaction
                assert bool(refused.value.remedy) == (reaction in (Reaction.OPERATOR, Reaction.CONFIGURATION))

    @pytest.mark.parametrize("as_json", [False, True])
    def test_no_data_is_an_answer(self, as_json: bool) -> None:
        assert answers.read(200, envelopes.error("03", as_json=as_json)).items == ()

    def test_only_up_to_yesterday_is_not_retried(self) -> None:
        body = envelopes.error("99", as_json=True, message=envelopes.NOT_BEFORE_TOMORROW)
        with pytest.raises(RefusedError) as refused:
            answers.read(200, body)
        assert refused.value.reaction is Reaction.NOT_YET

    @pytest.mark.parametrize(
        ("status", "body", "reaction"),
        [
            (200, b"API limit exceeded", Reaction.NEXT_DAY),
            (429, b"API rate quota exceeded", Reaction.NEXT_DAY),
            (200, b"Unauthorized", Reaction.OPERATOR),
            (403, b"", Reaction.OPERATOR),
            (429, b"", Reaction.RETRY),
            (502, envelopes.HTML, Reaction.RETRY),
            (404, envelopes.HTML, Reaction.CONFIGURATION),
        ],
    )
    def test_refusals_without_an_envelope(self, status: int, body: bytes, reaction: Reaction) -> None:
        with pytest.raises(RefusedError) as refused:
            answers.read(status, body)
        assert refused.value.reaction is reaction

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"   ",
            b"<",
            b"<response></response>",
            b"<response><header><resultCode>00</resultCode></header></response>",
            b'{"response":',
            b'{"response": []}',
            b'{"a":' * 200_000,
            b'{"response":{"header":{"resultCode":"00"},"body":{"items":[1]}}}',
            b'<?xml version="1.0" encoding="klingon"?><a/>',
            envelopes.BOMB,
            envelopes.HTML,
        ],
    )
    def test_what_nobody_can_read(self, body: bytes) -> None:
        with pytest.raises(UnreadableError):
            answers.read(200, body)

    @given(st.data())
    def test_a_cut_body_is_never_an_answer(self, data: st.DataObject) -> None:
        as_json = data.draw(st.booleans())
        body = envelopes.single(services.basis_item(WORLD, PLACE), as_json=as_json)
        with pytest.raises(UnreadableError):
            answers.read(200, body[: data.draw(st.integers(0, len(body) - 1))])

    @given(
        st.binary(max_size=200) | st.recursive(_SCALARS, _nested).map(lambda value: json.dumps(value).encode()),
        st.sampled_from([200, 400, 500]),
    )
    def test_any_bytes_end_in_one_of_three_ways(self, body: bytes, status: int) -> None:
        for read in (answers.read, answers.read_address):
            with contextlib.suppress(RefusedError, UnreadableError):
                read(status, body)

    @pytest.mark.parametrize(
        ("status", "code", "reaction"),
        [
            (400, -1, Reaction.RETRY),
            (503, -9798, Reaction.RETRY),
            (400, -10, Reaction.NEXT_DAY),
            (429, 0, Reaction.NEXT_DAY),
            (401, -401, Reaction.OPERATOR),
            (403, -3, Reaction.OPERATOR),
            (400, -2, Reaction.CONFIGURATION),
        ],
    )
    def test_kakaos_errors(self, status: int, code: int, reaction: Reaction) -> None:
        with pytest.raises(RefusedError) as refused:
            answers.read_address(status, json.dumps({"code": code, "msg": "m"}).encode())
        assert refused.value.reaction is reaction

    @pytest.mark.parametrize(
        "body", [b"[" * 200_000, b'{"code": Infinity}', b"[]", b"{}", b'{"documents": {}, "code": "x"}']
    )
    def test_what_nobody_can_read_of_kakao(self, body: bytes) -> None:
        with pytest.raises(UnreadableError):
            answers.read_address(200, body)

    def test_kakaos_positions(self) -> None:
        assert answers.read_address(200, b'{"documents":[{"x":"128.5","y":"35.8"}]}') == (35.8, 128.5)
        assert answers.read_address(200, b'{"documents":[]}') is None


class TestMessages:
    def test_a_complex(self) -> None:
        item = dict(services.basis_item(WORLD, PLACE))
        value = json.loads(messages.complex_value(item, (35.5, 128.5), 1_763_000_000_123))
        assert value == {
            "complex_id": PLACE.complex_id,
            "name": PLACE.name,
            "region": PLACE.region,
            "address": PLACE.address,
            "lat": 35.5,
            "lon": 128.5,
            "households": PLACE.households,
            "heating": WORLD.traits(PLACE).heating,
            "used_since": WORLD.traits(PLACE).used_since.isoformat(),
            "fetched_at": "2025-11-13T02:13:20.123Z",
        }

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
    @given(st.lists(st.integers(0, 3)), st.integers(1, 5))
    def test_a_quota_is_spent_once(self, days: list[int], quota: int) -> None:
        state = State(Path(":memory:"), alone=False)
        granted = [state.spend(date(2026, 1, 1) + timedelta(days=day), "a", "energy", quota) for day in days]
        for day in set(days):
            came = [ok for asked, ok in zip(days, granted, strict=True) if asked == day]
            assert came == [number < quota for number in range(len(came))]
            assert state.spent(date(2026, 1, 1) + timedelta(days=day), "a", "energy") == min(quota, len(came))

    def test_quotas_are_apart(self, state: State) -> None:
        day = date(2026, 1, 1)
        assert state.spend(day, "a", "energy", 1)
        assert not state.spend(day, "a", "energy", 1)
        assert state.spend(day, "b", "energy", 1)
        assert state.spend(day, "a", "basis", 1)
        state.refund(day, "a", "energy")
        assert state.spend(day, "a", "energy", 1)

    def test_a_lowered_quota_counts_at_once(self, state: State) -> None:
        for _ in range(3):
            assert state.spend(date(2026, 1, 1), "a", "energy", 10)
        assert not state.spend(date(2026, 1, 1), "a", "energy", 2)
        assert state.spent(date(2026, 1, 1), "a", "energy") == 3

    def test_a_refusal_ends_with_the_day(self, state: State) -> None:
        until = calendar.next_day(NOW)
        state.refuse("a", "energy", until)
        assert state.refused_until("a", "energy", NOW) == until
        assert state.refused_until("a", "basis", NOW) is None
        assert state.refused_until("a", "energy", until) is None

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
        assert [call.subject for call in calls] == ["A2|2026-10", "A1|2026-09", "A2|2026-09", "A2|2026-08"]
        assert calls[0].parameters == {"kaptCode": "A2", "reqDate": "202610"}

    def test_weather_ends_yesterday_or_with_the_period(self) -> None:
        assert max(self.period.days(NOW)) == date(2026, 11, 20)
        assert max(Period(date(2026, 1, 1), date(2026, 3, 1)).days(NOW)) == date(2026, 3, 31)

    def test_thirty_months_of_weather_are_three_calls(self) -> None:
        calls = plan.weather_backfill(["143"], Period.back(30, NOW).days(NOW), {}, 3)
        assert [call.subject for call in calls] == [
            "143|2024-05-01|2025-05-01",
            "143|2025-05-02|2026-05-02",
            "143|2026-05-03|2026-11-20",
        ]

    def test_corrections_are_asked_for_when_they_are_old(self) -> None:
        watch = load().pollers.watch.model_copy(update={"correction_months": 2, "correction_days": 7})
        old, new = (int((NOW - timedelta(days=days)).timestamp() * 1000) for days in (8, 6))
        known = {
            "A1|2026-10": Known("values", new, 0, None),
            "A1|2026-09": Known("values", old, 0, None),
            "A1|2026-08": Known("values", old, 0, None),
        }
        assert [call.subject for call in plan.corrections(["A1"], known, NOW, watch)] == ["A1|2026-09"]

    def test_weather_that_was_missed_is_asked_for(self) -> None:
        watch = load().pollers.watch.model_copy(update={"weather_days": 2})
        known = {f"143|2026-11-{day:02}": Known("values", 0, 0, None) for day in (10, 11, 12, 15, 16, 17, 18, 19, 20)}
        subjects = [call.subject for call in plan.weather_watch(["143"], known, NOW, watch)]
        assert subjects == ["143|2026-11-13|2026-11-14", "143|2026-11-19|2026-11-20"]

    @pytest.mark.parametrize(
        ("calls", "left", "days"),
        [(10, 10, 0), (11, 10, 1), (20, 10, 1), (21, 10, 2), (0, 0, 0), (10, 0, 1), (11, 0, 2)],
    )
    def test_days_beyond_today(self, calls: int, left: int, days: int) -> None:
        assert Estimate("energy", calls, left, 10).more_days == days


class TestKeys:
    def settings(self, **changes: object) -> Settings:
        chosen = load()
        return chosen.model_copy(update={"pollers": chosen.pollers.model_copy(update=changes)})

    def test_both_forms_are_one_key(self) -> None:
        assert decoded("a%2Bb%2Fc%3D%3D") == decoded("a+b/c==") == "a+b/c=="

    def test_the_simulator_needs_none(self) -> None:
        assert data_go_kr(self.settings()).key == load().simulator.service_keys[0]
        assert kakao(self.settings()) is not None

    def test_the_real_one_does(self) -> None:
        real = self.settings(data_go_kr_url="https://apis.data.go.kr/", kakao_url="https://dapi.kakao.com")
        with pytest.raises(PollerError, match="DATA_GO_KR_SERVICE_KEY"):
            data_go_kr(real)
        assert kakao(real) is None

    def test_a_simulators_key_is_never_sent_to_the_real_one(self) -> None:
        assert kakao(self.settings(data_go_kr_url="https://apis.data.go.kr")) is None

    def test_a_key_is_not_shown(self) -> None:
        settings = self.settings(service_key=SecretStr("hunter2"))
        assert "hunter2" not in repr(settings)
        assert "hunter2" not in data_go_kr(settings).holder


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
