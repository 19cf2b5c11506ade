import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conf.city import places
from conf.city.places import districts
from generators.deliveries import malformed, orders
from generators.deliveries.orders import DAY_CURVE, Plan
from generators.malformed import HUGE_BYTES
from generators.plans import Record

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
FIELDS = [
    "order_id",
    "ordered_at",
    "store_id",
    "store_name",
    "category",
    "menu",
    "pay",
    "delivery_charge",
    "payment_method",
    "complex_id",
    "region",
    "address",
    "lat",
    "lon",
]
MIXED = Plan(seed=7, start=START, rate=500, malformed_share=0.05, late_share=0.1, duplicate_share=0.05)

seeds = st.integers(0, 2**64 - 1)
shares = st.floats(0, 1 / 3)


def take(plan: Plan, count: int, process: int = 0) -> list[Record]:
    return list(islice(plan.records(process), count))


def broken_rule(value: bytes | None) -> str | None:
    """The rule of the wire contract that a record breaks, by a reader of its own; None when it keeps all."""
    if value is None:
        return "null"

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    try:
        order = json.loads(value.decode(), parse_constant=refuse)
    except (UnicodeDecodeError, ValueError):
        return "json"
    if not isinstance(order, dict):
        return "object"
    if set(order) != set(FIELDS):
        return "fields"
    texts = ["order_id", "ordered_at", "store_name", "category", "menu", "payment_method", "region", "address"]
    if not all(isinstance(order[name], str) and order[name] and "\0" not in order[name] for name in texts):
        return "text"
    if len(order["order_id"]) > 64:
        return "length"
    if not all(type(order[name]) is int and order[name] >= 0 for name in ("store_id", "pay", "delivery_charge")):
        return "whole number"
    if not all(type(order[name]) is float for name in ("lat", "lon")):
        return "number"
    if not (-90 <= order["lat"] <= 90 and -180 <= order["lon"] <= 180):
        return "position"
    try:
        moment = datetime.strptime(order["ordered_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return "time"
    if moment > START + timedelta(days=2):
        return "future"
    return None


@given(seed=seeds, malformed_share=shares, late_share=shares, duplicate_share=shares)
@hypothesis_settings(max_examples=40)
def test_the_same_plan_gives_the_same_bytes(
    seed: int, malformed_share: float, late_share: float, duplicate_share: float
) -> None:
    plan = Plan(
        seed=seed,
        start=START,
        rate=100,
        day_curve=True,
        malformed_share=malformed_share,
        late_share=late_share,
        duplicate_share=duplicate_share,
    )
    assert take(plan, 200) == take(plan, 200)


@given(seed=seeds)
@hypothesis_settings(max_examples=40)
def test_valid_orders_keep_the_wire_contract(seed: int) -> None:
    by_code = {district.code: district for district in districts()}
    complexes = {place.complex_id: place for place in places.complexes()}
    for record in take(Plan(seed=seed, start=START, late_share=0.2, duplicate_share=0.1), 100):
        assert record.value is not None
        assert broken_rule(record.value) is None
        order = json.loads(record.value)
        assert list(order) == FIELDS
        assert record.value == json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()
        assert record.key == order["order_id"].encode()
        assert by_code[order["region"]].covers(order["lat"], order["lon"])
        assert order["ordered_at"][-5] == "."
        if order["complex_id"] is not None:
            place = complexes[order["complex_id"]]
            assert place.region == order["region"]
            assert abs(place.lat - order["lat"]) < places.SPREAD
            assert abs(place.lon - order["lon"]) < places.SPREAD


def test_one_order_in_ten_goes_to_no_complex() -> None:
    records = take(Plan(seed=1, start=START), 20_000)
    without = sum(b'"complex_id":null' in (record.value or b"") for record in records)
    assert without / len(records) == pytest.approx(0.1, abs=0.02)


def test_records_are_small() -> None:
    sizes = [len(record.value or b"") for record in take(Plan(seed=1, start=START), 5_000)]
    assert sum(sizes) / len(sizes) < 360
    assert max(sizes) < 450


def test_stores_are_the_same_whatever_the_seed() -> None:
    names: dict[int, set[str]] = {}
    for seed in (1, 2, 3):
        for record in take(Plan(seed=seed, start=START), 5_000):
            order = json.loads(record.value or b"")
            names.setdefault(order["store_id"], set()).add(order["store_name"])
    assert len(names) > 300
    assert all(len(known) == 1 for known in names.values())


def test_shares_are_kept() -> None:
    records = take(MIXED, 40_000)
    kinds = Counter(record.kind for record in records)
    late = sum(record.reason == "late" and record.kind == "valid" for record in records)
    assert kinds["malformed"] / len(records) == pytest.approx(0.05, abs=0.005)
    assert kinds["repeat"] / len(records) == pytest.approx(0.05, abs=0.005)
    assert late / len(records) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("share", ["malformed_share", "late_share", "duplicate_share"])
def test_a_share_of_one_leaves_nothing_else(share: str) -> None:
    records = take(Plan(seed=5, start=START, **{share: 1.0}), 100)
    if share == "duplicate_share":
        assert [record.kind for record in records] == ["valid", "repeat"] * 50
    elif share == "late_share":
        assert all(record.reason == "late" for record in records)
    else:
        assert all(record.kind == "malformed" for record in records)


def test_late_orders_are_late_by_minutes_to_a_day_and_a_half() -> None:
    delays = []
    for record in take(Plan(seed=3, start=START, rate=100, late_share=1.0), 5_000):
        ordered_at = datetime.fromisoformat(json.loads(record.value or b"")["ordered_at"])
        delays.append((START + timedelta(seconds=record.at) - ordered_at).total_seconds())
    least, most = orders.LATE_SECONDS
    assert least <= min(delays) < 1.1 * least
    assert 0.9 * most < max(delays) <= most + 0.001


def test_orders_are_placed_when_they_are_due() -> None:
    records = take(Plan(seed=3, start=START, rate=100), 5_000)
    for record in records:
        ordered_at = datetime.fromisoformat(json.loads(record.value or b"")["ordered_at"])
        assert abs((START + timedelta(seconds=record.at) - ordered_at).total_seconds()) <= 0.001
    assert [record.at for record in records] == sorted(record.at for record in records)
    assert records[-1].at == pytest.approx(50, rel=0.05)


def test_repeats_are_copies_of_an_earlier_order_near_by() -> None:
    seen: dict[bytes, tuple[int, Record]] = {}
    repeated: set[bytes] = set()
    for number, record in enumerate(take(MIXED, 20_000)):
        if record.kind == "repeat":
            place, original = seen[record.key]
            assert (record.value, record.reason) == (original.value, original.reason)
            assert original.kind == "valid"
            assert number - place < 1_000
            assert record.key not in repeated
            repeated.add(record.key)
        else:
            assert record.key not in seen
            seen[record.key] = (number, record)
    assert repeated


@given(seed=seeds)
@hypothesis_settings(max_examples=25)
def test_malformed_records_break_the_contract(seed: int) -> None:
    for record in take(Plan(seed=seed, start=START, malformed_share=1.0), 100):
        assert broken_rule(record.value) is not None, record.reason


def test_each_kind_of_malformed_record_comes() -> None:
    found = {record.reason: record.value for record in take(Plan(seed=1, start=START, malformed_share=1.0), 2_000)}
    assert set(found) == set(malformed.USUAL)
    assert found["null"] is None
    assert found["empty"] == b""
    assert "huge" not in found


def test_a_huge_record_comes_only_when_asked_for() -> None:
    plan = Plan(seed=1, start=START, malformed_share=1.0, malformed_kinds=("huge",))
    (record,) = take(plan, 1)
    assert record.value is not None
    assert len(record.value) == HUGE_BYTES
    assert broken_rule(record.value) == "length"


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("not_json", "json"),
        ("truncated", "json"),
        ("empty", "json"),
        ("null", "null"),
        ("array", "object"),
        ("missing_field", "fields"),
        ("negative_pay", "whole number"),
        ("nan", "json"),
        ("nul", "text"),
        ("invalid_utf8", "json"),
        ("year_9999", "future"),
        ("swapped_position", "position"),
        ("position_out_of_range", "position"),
        ("long_id", "length"),
        ("huge", "length"),
    ],
)
def test_a_malformed_record_breaks_the_rule_it_is_named_after(kind: str, rule: str) -> None:
    plan = Plan(seed=11, start=START, malformed_share=1.0, malformed_kinds=(kind,))
    for record in take(plan, 5 if kind == "huge" else 200):
        assert broken_rule(record.value) == rule


def test_ids_are_unique_over_processes_and_seeds_and_rise_within_one() -> None:
    seen: set[bytes] = set()
    for seed in (0, 1, 0x10, 2**64 - 1):
        for process in range(3):
            keys = [record.key for record in take(Plan(seed=seed, start=START, processes=3), 1_000, process)]
            assert keys == sorted(keys)
            assert max(map(len, keys)) <= 64
            assert seen.isdisjoint(keys)
            seen.update(keys)


def test_processes_share_the_rate() -> None:
    records = take(Plan(seed=1, start=START, rate=100, processes=4), 1_000)
    assert records[-1].at == pytest.approx(40, rel=0.05)


def test_the_day_curve_keeps_the_days_mean() -> None:
    assert len(DAY_CURVE) == 1440
    assert sum(DAY_CURVE) / 1440 == pytest.approx(1)
    assert min(DAY_CURVE) > 0


def test_a_day_has_peaks_at_lunch_and_dinner_in_seoul() -> None:
    plan = Plan(seed=1, start=datetime(2026, 11, 20, 15, 0, tzinfo=UTC), rate=0.2, day_curve=True)
    hours: Counter[int] = Counter()
    for record in plan.records():
        if record.at >= 86_400:
            break
        hours[(plan.start + timedelta(seconds=record.at)).astimezone(ZoneInfo("Asia/Seoul")).hour] += 1
    assert hours.total() == pytest.approx(0.2 * 86_400, rel=0.02)
    assert max(hours, key=lambda hour: hours[hour]) == 18
    assert hours[12] > 1.5 * hours[15]
    assert hours[12] > 5 * hours[4]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seed": -1}, "seed"),
        ({"start": datetime(2026, 11, 21)}, "time zone"),  # noqa: DTZ001 - that is what is refused
        ({"rate": -1.0}, "rate"),
        ({"processes": 0}, "process"),
        ({"late_share": -0.1}, "negative"),
        ({"late_share": 0.6, "malformed_share": 0.6}, "add up"),
        ({"malformed_kinds": ("boring",)}, "not_json"),
        ({"malformed_kinds": ()}, "not_json"),
    ],
)
def test_a_plan_says_what_is_wrong_with_it(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Plan(**{"seed": 1, "start": START, **wrong})  # type: ignore[arg-type]
