"""Every bad record becomes one dead letter with its reason and its bytes; none restarts the job, none is lost."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from control.cluster import Cluster
from tests import deliveries, slate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

GOOD = {
    "order_id": "good-1",
    "ordered_at": "2026-11-20T15:30:00.000Z",
    "store_id": 7,
    "store_name": "달구벌 치킨",
    "category": "치킨",
    "menu": "반반 '\"\\ 😀",
    "pay": 23000,
    "delivery_charge": 3000,
    "payment_method": "card",
    "complex_id": "A10027875",
    "region": "27260",
    "address": "대구광역시 수성구 달구벌대로 1",
    "lat": 35.8338,
    "lon": 128.6612,
}


def order(**changes: object) -> bytes:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


BAD: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "null-value"),
    "empty": (b"", "empty"),
    "not JSON": (b"order 17: two chickens", "not-json"),
    "truncated": (order()[:-20], "not-json"),
    "JSON null": (b"null", "not-an-object"),
    "an array": (b"[" + order() + b"]", "not-an-object"),
    "a missing field": (order(menu=...), "missing-field"),
    "null in a required field": (order(menu=None), "missing-field"),
    "a string for a number": (order(pay="23000"), "wrong-type"),
    "a fraction of a won": (order(pay=23000.5), "wrong-type"),
    "a number for a string": (order(store_name=7), "wrong-type"),
    "money beyond an integer": (order(pay=2**31), "out-of-range"),
    "negative pay": (order(pay=-1), "out-of-range"),
    "negative charge": (order(delivery_charge=-3000), "out-of-range"),
    "NaN": (order(lat=float("nan")), "not-json"),
    "infinity": (order(lon=float("inf")), "not-json"),
    "a NUL byte": (order(menu="chick\0en"), "nul-byte"),
    "invalid UTF-8": (order().replace("치킨".encode(), b"\xec\x20\xff"), "invalid-utf8"),
    "a record of 1 MB": (order(menu="x" * 1_000_000), "too-long"),
    "the year 9999": (order(ordered_at="9999-12-31T23:59:59.999Z"), "out-of-range"),
    "no time at all": (order(ordered_at="yesterday"), "wrong-type"),
    "lat and lon swapped": (order(lat=GOOD["lon"], lon=GOOD["lat"]), "out-of-range"),
    "lat out of range": (order(lat=95.0), "out-of-range"),
    "lon out of range": (order(lon=-200.0), "out-of-range"),
    "an id that is too long": (order(order_id="x" * 65), "too-long"),
    "an empty id": (order(order_id=""), "out-of-range"),
    "a region that is none": (order(region="Daegu"[:4]), "out-of-range"),
    "a region of letters": (order(region="Daegu"), "out-of-range"),
    "a region of five digits and a line's end": (order(region="27260\n"), "out-of-range"),
    "other digits": (order(region="\uff12\uff17\uff12\uff16\uff10"), "out-of-range"),
    "a time without an offset": (order(ordered_at="2026-11-20T15:30:00"), "wrong-type"),
}


@pytest.fixture(scope="module")
def outcome(servers: None) -> Iterator[dict[str, object]]:
    """Everything sent at once to a fresh job, and what became of it."""
    settings = deliveries.settings()
    cluster = Cluster(settings.flink.url)
    with deliveries.running(settings) as job:
        started = cluster.last_start(job)
        values = [value for value, _ in BAD.values()]
        deliveries.send(settings, order(), *values)
        deliveries.send(settings, order(), order(pay=1), key=b"another key")  # the id of the first again, twice
        deliveries.send(settings, order(order_id="good-2", extra={"nested": [1, {"deep": None}]}, complex_id=None))
        deliveries.send(settings, order(order_id="good-3", complex_id=..., ordered_at="2026-11-20T23:59:59.999+0900"))
        slate.await_that(
            lambda: len(deliveries.ledger_ids(settings)) >= 3 and len(deliveries.dead_letters(settings)) >= len(values),
            90,
            "all records are in the ledger or the dead letters",
        )
        report = deliveries.reconcile.await_agreement(settings, 60)
        yield {
            "restarted": cluster.last_start(job) != started,
            "letters": deliveries.dead_letters(settings),
            "report": report,
            "ids": deliveries.ledger_ids(settings),
        }


@pytest.mark.parametrize("name", BAD)
def test_bad_record_is_one_dead_letter(outcome: dict[str, object], name: str) -> None:
    value, reason = BAD[name]
    letters = [letter for letter in outcome["letters"] if deliveries.raw(letter) == value]
    assert [letter["reason"] for letter in letters] == [reason]
    assert letters[0]["topic"] == "deliveries"
    assert isinstance(letters[0]["offset"], int)
    assert letters[0]["seen_at"].endswith("Z")


def test_no_dead_letter_comes_twice_and_none_is_unexpected(outcome: dict[str, object]) -> None:
    places = Counter((letter["partition"], letter["offset"]) for letter in outcome["letters"])
    assert len(places) == len(BAD)
    assert set(places.values()) == {1}


def test_the_job_was_never_restarted(outcome: dict[str, object]) -> None:
    assert not outcome["restarted"]


def test_valid_orders_count_once(outcome: dict[str, object]) -> None:
    report = outcome["report"]
    assert sorted(outcome["ids"]) == ["good-1", "good-2", "good-3"]
    assert report.repeats == 2
    assert report.documents == 3
    assert not report.wrong, report.wrong


def test_an_order_counts_in_its_own_day_in_seoul(outcome: dict[str, object]) -> None:
    with deliveries.postgres.connect(deliveries.settings()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT day::text, orders, pay, charge FROM charge_per_day ORDER BY day")
        assert cursor.fetchall() == [("2026-11-20", 1, 23000, 3000), ("2026-11-21", 2, 46000, 6000)]
        cursor.execute("SELECT day::text, complex_id, orders FROM pay_per_complex")
        assert cursor.fetchall() == [("2026-11-21", "A10027875", 1)]
