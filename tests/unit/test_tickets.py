import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyflink.common import Row

from conf.city.places import districts
from conf.city.venues import venues
from generators.malformed import HUGE_BYTES
from generators.plans import Record
from generators.tickets import malformed
from generators.tickets.sales import Plan
from generators.tickets.shows import show
from jobs.operators.tickets import SoldOut, location
from jobs.rules.fields import MAX_KEY
from tests import tickets
from tests.tickets import Event

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MIXED = Plan(
    seed=7,
    start=START,
    rate=200,
    malformed_share=0.03,
    late_share=0.05,
    duplicate_share=0.03,
    cancelled_share=0.1,
    oversold_share=0.02,
)
seeds = st.integers(0, 2**64 - 1)


def take(plan: Plan, count: int, process: int = 0) -> list[Record]:
    return list(islice(plan.records(process), count))


def fields_of(record: Record) -> dict[str, Any]:
    assert record.value is not None
    fields: dict[str, Any] = json.loads(record.value)
    return fields


@given(seed=seeds, process=st.integers(0, 3))
@hypothesis_settings(max_examples=15)
def test_equal_plans_give_equal_bytes(seed: int, process: int) -> None:
    plan = Plan(seed=seed, start=START, rate=50, processes=4, cancelled_share=0.2, oversold_share=0.1, late_share=0.1)
    assert take(plan, 200, process) == take(plan, 200, process)


def test_sales_keep_the_contract_and_ids_are_never_used_twice() -> None:
    by_venue = {venue.name: venue for venue in venues()}
    sold: dict[str, dict[str, Any]] = {}
    for record in take(MIXED, 8_000):
        if record.kind == "malformed":
            continue
        fields = fields_of(record)
        assert set(fields) == set(malformed.FIELDS)
        assert record.key.decode() == fields["ticket_id"]
        assert by_venue[fields["venue"]].region == fields["region"]
        assert fields["price"] > 0
        assert len(fields["ticket_id"]) <= MAX_KEY
        if record.kind == "valid":
            assert fields["ticket_id"] not in sold
            assert int(record.key.rpartition(b"-")[2]) > 0
            sold[fields["ticket_id"]] = fields
        if record.kind == "cancellation":
            was = sold[fields["ticket_id"]]
            assert {**fields, "kind": "sale", "at": was["at"]} == was
            assert fields["at"] > was["at"]


def test_shares_are_kept() -> None:
    records = take(MIXED, 20_000)
    count: dict[str, int] = defaultdict(int)
    for record in records:
        count[record.reason if record.reason == "late" else record.kind] += 1
    assert count["malformed"] / len(records) == pytest.approx(0.03, abs=0.005)
    assert count["cancellation"] / len(records) == pytest.approx(0.1, abs=0.01)
    assert count["repeat"] / len(records) == pytest.approx(0.03, abs=0.005)
    assert count["late"] / len(records) == pytest.approx(0.05, abs=0.01)


def test_oversells_are_those_that_were_planned() -> None:
    """Recomputed by brute force; without that share no seat is sold twice, whatever else goes on."""

    def oversold(share: float) -> int:
        plan = Plan(seed=7, start=START, rate=200, late_share=0.05, cancelled_share=0.1, oversold_share=share)
        found = [
            Event(fields, datetime.fromisoformat(fields["at"]), False) for fields in map(fields_of, take(plan, 20_000))
        ]
        return len(tickets.oversold(found))

    assert oversold(0.0) == 0
    assert oversold(0.02) / 20_000 == pytest.approx(0.02, abs=0.004)


def test_processes_sell_different_seats() -> None:
    seats = [
        {(fields["show_id"], fields["seat"]) for fields in map(fields_of, take(plan, 3_000, process))}
        for process in range(3)
        for plan in [Plan(seed=5, start=START, rate=50, processes=3)]
    ]
    assert not seats[0] & seats[1]
    assert not seats[1] & seats[2]


def test_the_rate_leaps_when_a_show_goes_on_sale() -> None:
    plan = Plan(seed=1, start=START, rate=10, burst_every_seconds=60, burst_factor=100, burst_seconds=5)
    assert plan.rate_at(60) == pytest.approx(1000)
    assert plan.rate_at(65) == pytest.approx(10 + 990 / 2)
    records = list(takewhile(lambda record: record.at < 70, plan.records()))
    assert sum(60 <= record.at < 61 for record in records) > 30 * sum(58 <= record.at < 59 for record in records)
    new = [fields_of(record)["show_id"] for record in records if 60 <= record.at < 61]
    assert new.count(show(1, 1).show_id) > 0.9 * len(new)


def test_late_sales_are_five_minutes_to_three_hours_old() -> None:
    for record in take(Plan(seed=1, start=START, rate=10, late_share=1.0), 500):
        late_by = START + timedelta(seconds=record.at) - datetime.fromisoformat(fields_of(record)["at"])
        assert timedelta(minutes=5) - timedelta(seconds=1) <= late_by <= timedelta(hours=3, seconds=1)


def test_each_seat_of_a_show_is_one_place() -> None:
    for number in range(20):
        each = show(3, number)
        count = min(each.venue.seats, 5_000)
        assert len({each.seat(n)[0] for n in range(count)}) == count


def test_every_kind_of_damage_comes_and_a_huge_one_when_asked_for() -> None:
    found = {record.reason for record in take(Plan(seed=1, start=START, malformed_share=1.0), 2_000)}
    assert found == set(malformed.USUAL)
    (huge,) = take(Plan(seed=1, start=START, malformed_share=1.0, malformed_kinds=("huge",)), 1)
    assert len(huge.value or b"") == HUGE_BYTES


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"burst_factor": 0.5}, "a burst must be"),
        ({"burst_seconds": 0}, "take some time"),
        ({"burst_every_seconds": -1}, "between bursts"),
        ({"cancelled_share": -0.1}, "must not be negative"),
        ({"cancelled_share": 0.6, "late_share": 0.6}, "add up"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Plan(seed=1, start=START, **values)  # type: ignore[arg-type]


def test_venues_are_in_districts_of_the_city_and_have_names_that_sql_takes() -> None:
    assert {venue.region for venue in venues()} <= {district.code for district in districts()}
    assert len({venue.name for venue in venues()}) == len(venues())
    for venue in venues():
        assert not set(venue.name) & set("|'$")
        assert 35.5 < venue.lat < 36.5
        assert 128 < venue.lon < 129.5
    assert location().count("WHEN") == len(venues())


class State:
    """What Flink keeps per show."""

    def __init__(self) -> None:
        self._value: Any = None

    def value(self) -> Any:
        return self._value

    def update(self, value: Any) -> None:
        self._value = value


class Context:
    def __init__(self, key: str) -> None:
        self._key = key

    def get_current_key(self) -> str:
        return self._key


def sold_out(venue: str, *changes: int) -> Iterator[list[Row]]:
    operator = SoldOut({"hall": 10}, 90)
    operator._taken = State()
    for change in changes:
        yield list(operator.process_element(Row(1, change), Context(f"taken|0|{venue}|S|1")))  # type: ignore[arg-type]


def test_a_show_is_sold_out_once() -> None:
    told = list(sold_out("hall", 9, 1, -1, 1, -5, 5))
    assert told == [[], [Row("S|1", "hall", 10)], [], [], [], []]


def test_a_show_with_a_free_seat_or_of_an_unknown_venue_is_not_sold_out() -> None:
    assert list(sold_out("hall", 9, -1, 1)) == [[], [], []]
    assert list(sold_out("elsewhere", 100)) == [[]]
