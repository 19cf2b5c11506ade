"""Tickets: each bad record is one letter; what is late, cancelled, oversold, sold out is found, and nothing waits."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conf.settings import Settings
from control.cluster import Cluster
from control.reconcile import Report, await_agreement
from sinks import elasticsearch
from tests import slate, tickets
from tests.tickets import Sent

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

NOW = datetime.now(UTC).replace(second=30, microsecond=0) - timedelta(minutes=10)
GOOD = {
    "kind": "sale",
    "ticket_id": "good-1",
    "at": NOW.isoformat(),
    "show_id": "S1",
    "show_name": "오페라 '\"\\ 😀",
    "venue": "대구오페라하우스",
    "region": "27230",
    "seat": "A-01-01",
    "price": 99000,
    "buyer_id": "B1",
    "channel": "web",
}
SMALL = ("달성문화센터", 420)


def ticket(**changes: object) -> bytes:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


def sale(ticket_id: str, seconds: float = 0, **changes: object) -> Sent:
    """Written when it was sold, so many seconds after NOW."""
    at = NOW + timedelta(seconds=seconds)
    sold = {"ticket_id": ticket_id, "at": at.isoformat(), **changes}
    return Sent(ticket(**sold), ticket_id.encode(), at, 0)


def cancellation(ticket_id: str, seconds: float, **changes: object) -> Sent:
    return sale(ticket_id, seconds, kind="cancellation", **changes)


BAD: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "null-value"),
    "empty": (b"", "empty"),
    "not JSON": (b"ticket 17: two of them", "not-json"),
    "truncated": (ticket()[:-20], "not-json"),
    "JSON null": (b"null", "not-an-object"),
    "an array": (b"[" + ticket() + b"]", "not-an-object"),
    "a missing field": (ticket(channel=...), "missing-field"),
    "null in a required field": (ticket(seat=None), "missing-field"),
    "a string for a number": (ticket(price="99000"), "wrong-type"),
    "a fraction of a won": (ticket(price=99000.5), "wrong-type"),
    "a number for a string": (ticket(buyer_id=7), "wrong-type"),
    "money beyond an integer": (ticket(price=2**31), "out-of-range"),
    "a negative price": (ticket(price=-1), "out-of-range"),
    "NaN": (ticket(price=float("nan")), "not-json"),
    "infinity": (ticket(price=float("inf")), "not-json"),
    "a NUL byte": (ticket(show_name="op\0era"), "nul-byte"),
    "invalid UTF-8": (ticket().replace("오페라".encode(), b"\xec\x20\xff"), "invalid-utf8"),
    "a record of 1 MB": (ticket(show_name="x" * 1_000_000), "too-long"),
    "the year 9999": (ticket(at="9999-12-31T23:59:59.999Z"), "out-of-range"),
    "no time at all": (ticket(at="yesterday"), "wrong-type"),
    "a time without an offset": (ticket(at="2026-11-20T15:30:00"), "wrong-type"),
    "sold an hour from now": (ticket(at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()), "out-of-range"),
    "an id that is too long": (ticket(ticket_id="x" * 65), "too-long"),
    "an empty id": (ticket(ticket_id=""), "out-of-range"),
    "a show that is none": (ticket(show_id=""), "out-of-range"),
    "a show that is too long": (ticket(show_id="x" * 65), "too-long"),
    "no seat": (ticket(seat=""), "out-of-range"),
    "a seat that is too long": (ticket(seat="x" * 65), "too-long"),
    "a venue that is too long": (ticket(venue="x" * 101), "too-long"),
    "another kind": (ticket(kind="refund"), "out-of-range"),
    "a region that is none": (ticket(region="Daeg"), "out-of-range"),
    "a region of letters": (ticket(region="Daegu"), "out-of-range"),
    "a region of five digits and a line's end": (ticket(region="27260\n"), "out-of-range"),
    "other digits": (ticket(region="\uff12\uff17\uff12\uff16\uff10"), "out-of-range"),
}
SALES = [
    sale("good-1"),
    sale("good-1"),  # a double click
    sale("held-1", 1, seat="A-01-02"),
    sale("second", 2, seat="A-01-02"),  # of a seat that held-1 has
    sale("back-1", 1, seat="A-01-03"),
    cancellation("back-1", 3, seat="A-01-03"),
    sale("again", 4, seat="A-01-03"),  # of a seat that is free again
    sale("held-2", 1, seat="A-01-04"),
    sale("third", 5, seat="A-01-04"),
    cancellation("held-2", 6, seat="A-01-04"),  # too late to excuse it
    # Sold in the same minute, and written just before and just after that was too long ago.
    sale("punctual", 10, seat="A-02-01")._replace(written_at=NOW + timedelta(seconds=149)),
    sale("late", 11, seat="A-02-02")._replace(written_at=NOW + timedelta(seconds=150)),
    *(
        sale(f"full-{n}", 20 + n / 100, show_id="full", venue=SMALL[0], region="27710", seat=f"F-{n}")
        for n in range(SMALL[1])
    ),
    *(
        sale(f"near-{n}", 20 + n / 100, show_id="near", venue=SMALL[0], region="27710", seat=f"F-{max(n, 1)}")
        for n in range(SMALL[1])
    ),
    sale("nowhere", 30, show_id="elsewhere", venue="a venue of another city"),
]


def push() -> list[Sent]:
    """Sold now, after all others, in few partitions: the rest is idle, and the watermark goes on without it."""
    seconds = (datetime.now(UTC) - NOW).total_seconds()
    return [sale(f"push-{n}", seconds, show_id="push", seat=f"P-{n}") for n in range(3)]


OVERSOLD = {
    ("S1", "A-01-02", "held-1", "second"),
    ("S1", "A-01-04", "held-2", "third"),
    ("near", "F-1", "near-0", "near-1"),
}


@dataclass
class Outcome:
    """What became of them, while the job was still running."""

    settings: Settings
    restarted: bool
    letters: list[dict[str, Any]]
    report: Report
    pushed: list[Sent]


@pytest.fixture(scope="module")
def outcome(servers: None, _quick_checkpoints: None) -> Iterator[Outcome]:
    settings = tickets.settings()
    cluster = Cluster(settings.flink.url)
    with tickets.running(settings) as job:
        started = cluster.last_start(job)
        tickets.send(settings, *(Sent(value) for value, _ in BAD.values()), *SALES)
        slate.await_that(
            lambda: (
                len(tickets.dead_letters(settings)) >= len(BAD) and tickets.query(settings, "SELECT 1 FROM tickets")
            ),
            120,
            "the job has taken all",
        )
        pushed = push()
        tickets.send(settings, *pushed)
        report = await_agreement(settings, tickets.JOB, 90)
        slate.await_that(
            lambda: (
                len(tickets.query(settings, "SELECT 1 FROM oversells")) >= len(OVERSOLD)
                and tickets.query(settings, "SELECT 1 FROM sold_out_shows")
            ),
            90,
            "the alarms are there",
        )
        yield Outcome(settings, cluster.last_start(job) != started, tickets.dead_letters(settings), report, pushed)


@pytest.mark.parametrize("name", BAD)
def test_bad_record_is_one_dead_letter(outcome: Outcome, name: str) -> None:
    value, reason = BAD[name]
    letters = [letter for letter in outcome.letters if slate.raw(letter) == value]
    assert [letter["reason"] for letter in letters] == [reason]


def test_nothing_was_restarted_and_nothing_else_is_a_letter(outcome: Outcome) -> None:
    assert not outcome.restarted
    assert len({(letter["partition"], letter["offset"]) for letter in outcome.letters}) == len(BAD)


def test_ledger_totals_windows_and_documents_agree(outcome: Outcome) -> None:
    assert outcome.report.agrees, outcome.report.wrong + outcome.report.moving
    assert outcome.report.ledger == len(SALES) - 1 + len(outcome.pushed)
    assert outcome.report.repeats == 1
    assert outcome.report.documents == outcome.report.ledger


def test_minutes_are_those_of_the_records(outcome: Outcome) -> None:
    refused = {(letter["partition"], letter["offset"]) for letter in outcome.letters}
    sales = tickets.events(outcome.settings, refused)
    minutes = tickets.query(
        outcome.settings, "SELECT show_id, minute, sold, cancelled, revenue FROM ticket_sales_per_minute"
    )
    assert {(show, minute.astimezone(UTC), *sums) for show, minute, *sums in minutes} == tickets.per_minute(sales)
    assert len({minute for _, minute, *_ in minutes}) > 1
    assert tickets.oversold(sales) == {(show, seat, second) for show, seat, _, second in OVERSOLD}


def test_what_was_written_too_late_for_its_minute_is_kept(outcome: Outcome) -> None:
    late = tickets.query(outcome.settings, "SELECT ticket_id, kind, revenue FROM late_ticket_sales")
    assert late == [("late", "sale", 99000)]


def test_a_cancelled_ticket_leaves_the_sums(outcome: Outcome) -> None:
    found = tickets.query(
        outcome.settings,
        "SELECT sum(sold), sum(cancelled), sum(revenue) FROM ticket_sales_per_region WHERE region = '27230'",
    )
    mine = [json.loads(each.value or b"") for each in SALES if each.key != b"good-1"] + [GOOD]
    mine += [json.loads(each.value or b"") for each in outcome.pushed]
    kinds = Counter(each["kind"] for each in mine if each["region"] == "27230")
    assert found == [(kinds["sale"], 2, (kinds["sale"] - 2) * 99000)]


def test_each_oversell_is_one_alarm(outcome: Outcome) -> None:
    """In the table and in the topic; a seat that was given back in time is none."""
    found = tickets.query(outcome.settings, "SELECT show_id, seat, first_ticket_id, second_ticket_id FROM oversells")
    assert Counter(found) == Counter(OVERSOLD)
    alerts = [each for each in tickets.json_records(outcome.settings, tickets.ALERTS) if each["kind"] == "oversell"]
    told = [(each["show_id"], each["seat"], each["first_ticket_id"], each["second_ticket_id"]) for each in alerts]
    assert Counter(told) == Counter(OVERSOLD)
    assert all(datetime.fromisoformat(each["at"]).tzinfo for each in alerts)


def test_a_show_without_a_free_seat_is_sold_out_once(outcome: Outcome) -> None:
    """One with a free seat and another sold twice is not, nor is one at a venue that is not known."""
    assert tickets.query(outcome.settings, "SELECT show_id, venue, seats FROM sold_out_shows") == [("full", *SMALL)]
    alerts = [each for each in tickets.json_records(outcome.settings, tickets.ALERTS) if each["kind"] == "sold-out"]
    assert [(each["alert_id"], each["seats"]) for each in alerts] == [("sold-out|full", SMALL[1])]


def test_documents_have_the_position_of_their_venue(outcome: Outcome) -> None:
    with elasticsearch.client(outcome.settings) as client:
        client.indices.refresh(index=tickets.JOB)
        known = client.get(index=tickets.JOB, id="sale|good-1")["_source"]
        unknown = client.get(index=tickets.JOB, id="sale|nowhere")["_source"]
    assert known["location"] == [128.592, 35.8835]
    assert "location" not in unknown
