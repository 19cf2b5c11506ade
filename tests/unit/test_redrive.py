"""Which dead letters are chosen, and what a command line says of them."""

import argparse
import base64
import json
from datetime import UTC, datetime

import pytest

from control.reading import REJECTED
from control.redrive import Choice, Letter, _letter
from stack.redrive import moment, span

SEEN = datetime(2026, 11, 26, 5, tzinfo=UTC)


def letter(**changes: object) -> Letter:
    fields = {"reason": "wrong-type", "detail": "", "topic": "t", "partition": 1, "offset": 7, "seen_at": SEEN}
    return Letter(**{**fields, "value": b"{}", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice(reasons=frozenset({"wrong-type", "empty"})), True),
        (Choice(reasons=frozenset({"empty"})), False),
        (Choice(first=3, last=3), True),
        (Choice(first=4), False),
        (Choice(last=2), False),
        (Choice(since=SEEN), True),
        (Choice(until=SEEN), False),
        (Choice(since=SEEN, until=SEEN.replace(hour=6), reasons=frozenset({"empty"})), False),
    ],
)
def test_a_letter_is_chosen_by_all_that_is_said(choice: Choice, taken: bool) -> None:
    assert choice.takes(letter(), 3) is taken


def test_a_choice_of_nothing_is_known_as_such() -> None:
    assert Choice().all
    assert not Choice(last=2).all
    assert not Choice(mend=lambda each: each.value).all


def said(**changes: object) -> bytes:
    fields = {
        "reason": "not-json",
        "detail": "d",
        "topic": "t",
        "partition": 1,
        "offset": 7,
        "raw_base64": base64.b64encode(b"\xff{").decode(),
        "seen_at": "2026-11-26T05:00:00.123Z",
    }
    return json.dumps({**fields, **changes}).encode()


def test_a_letter_is_its_record() -> None:
    found = _letter(said())
    assert found is not None
    assert (found.value, found.place, found.seen_at) == (b"\xff{", "t|1|7", SEEN.replace(microsecond=123_000))
    tombstone = _letter(said(raw_base64=None))
    assert tombstone is not None
    assert tombstone.value is None


@pytest.mark.parametrize("changes", [{"reason": REJECTED}, {"topic": None, "partition": None, "offset": None}])
def test_what_is_of_no_record_stays(changes: dict[str, object]) -> None:
    """A refused document's record is valid, and in the ledger; one of a total is of many."""
    assert _letter(said(**changes)) is None


@pytest.mark.parametrize(("text", "found"), [("5-20", (5, 20)), ("5-", (5, None)), ("-20", (None, 20)), ("5", (5, 5))])
def test_a_span_of_offsets(text: str, found: tuple[int | None, int | None]) -> None:
    assert span(text) == found


@pytest.mark.parametrize("text", ["", "-", "a-b", "1-2-3"])
def test_no_span(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        span(text)


def test_a_time_without_a_zone_is_the_suites() -> None:
    assert moment("2026-11-26T14:00").astimezone(UTC) == SEEN
    assert moment("2026-11-26T05:00:00Z") == SEEN
    with pytest.raises(argparse.ArgumentTypeError):
        moment("noon")
