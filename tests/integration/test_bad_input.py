"""Every bad record becomes one dead letter with its reason and its bytes; none restarts the job, none is lost."""

from collections import Counter

import pytest

from tests import slate
from tests.integration.conftest import Outcome
from tests.integration.orders import BAD

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]


@pytest.mark.parametrize("name", BAD)
def test_bad_record_is_one_dead_letter(outcome: Outcome, name: str) -> None:
    value, reason = BAD[name]
    letters = [letter for letter in outcome.letters if slate.raw(letter) == value]
    assert [letter["reason"] for letter in letters] == [reason]
    assert letters[0]["topic"] == "deliveries"
    assert isinstance(letters[0]["offset"], int)
    assert letters[0]["seen_at"].endswith("Z")


def test_no_dead_letter_comes_twice_and_none_is_unexpected(outcome: Outcome) -> None:
    places = Counter((letter["partition"], letter["offset"]) for letter in outcome.letters)
    assert len(places) == len(BAD)
    assert set(places.values()) == {1}


def test_the_job_was_never_restarted(outcome: Outcome) -> None:
    assert not outcome.restarted


def test_valid_orders_count_once(outcome: Outcome) -> None:
    report = outcome.report
    assert sorted(outcome.ids) == ["good-1", "good-2", "good-3"]
    assert report.repeats == 2
    assert report.documents == 3
    assert not report.wrong, report.wrong


def test_an_order_counts_in_its_own_day_in_seoul(outcome: Outcome) -> None:
    assert outcome.per_day == [("2026-11-20", 1, 23000, 3000), ("2026-11-21", 2, 46000, 6000)]
    assert outcome.per_complex == [("2026-11-21", "A10027875", 1)]
