"""What the benchmark of carbon sends, and when it takes a table to be right: held against the job's operators."""

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

import numpy as np
import pytest

from bench.carbon import Country, _moved
from conf.settings import load
from generators.pollers.state import Message
from tests.unit.test_carbon_operators import PARSE, Job

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SETTINGS = load()
# As the operators of the test have it.
SETTINGS.carbon.stations["27720"] = "278"
MONTHS = 3


def applied(job: Job, sent: list[Message]) -> None:
    by_topic = defaultdict(list)
    for offset, message in enumerate(sent):
        by_topic[message.topic].append((message.topic, message.key, message.value, message.fetched_ms, offset))
    for topic in PARSE:
        if topic in by_topic:
            job.take(by_topic[topic])


def held(job: Job, only: Collection[str] | None = None) -> dict[str, tuple[int, int]]:
    """Rows of each table and the sum of their versions, a month's days as the rows that they become."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (table, name, _), row in job.tables.items():
        if only is not None and "_complex_" in table and name not in only:
            continue
        rows = len(row[2]) if table.endswith("_day") else 1
        found[table] = (found[table][0] + rows, found[table][1] + rows * row[-1])
    return {table: rows for table, rows in found.items() if table.startswith("emission_per")}


def wanted(country: Country, of: Collection[int] | None = None) -> dict[str, tuple[int, int]]:
    return {table: each[:2] for table, each in country.expected(of).items()}


@pytest.fixture(scope="module")
def job() -> tuple[Country, Job]:
    country, job = Country(SETTINGS, 300, MONTHS, NOW), Job()
    sent = list(country.backfill())
    assert Counter(message.topic for message in sent)["energy.usage"] == 300 * MONTHS
    applied(job, sent)
    return country, job


def test_tables_are_right_when_the_job_has_applied_all(job: tuple[Country, Job]) -> None:
    country, operators = job
    assert held(operators) == wanted(country)
    days = 1
    for months in (country.news(days=1), country.round(days=2)):
        assert months
        sent = [*country.recent_weather(days), *country.asked(months, days)]
        assert held(operators) != wanted(country)
        applied(operators, sent)
        assert held(operators) == wanted(country)
        places = country.concerned(months, days)
        assert places
        some = country.expected(places)["emission_per_complex_day"]
        assert some.complexes
        assert held(operators, some.complexes) == wanted(country, places) != wanted(country)
        days += 1


def test_weather_of_a_month_that_was_told_of_changes_all() -> None:
    country = Country(SETTINGS, 300, MONTHS, datetime(2026, 11, 2, tzinfo=UTC))
    assert country.concerned([(0, 0)], days=1) is None
    assert country.concerned([(0, 0)], days=3) == {0}


def test_messages_are_the_pollers(job: tuple[Country, Job]) -> None:
    country, _ = job
    for message in country.asked([(0, 0)], days=0):
        assert message.key == "A70200001|2026-08"
        assert message.url.endswith("getHsmpApHusUsgQtyInfoSearchV2?kaptCode=A70200001&reqDate=202608")
        assert message.value.startswith(b"<?xml")
    days = [message.key for message in country.recent_weather(days=0)]
    assert days == [f"{station}|2026-11-{day}" for station in ("143", "278") for day in (17, 18, 19)]


def test_a_day_brings_what_offices_enter_and_a_round_asks_for_more() -> None:
    country = Country(SETTINGS, 300, MONTHS, NOW)
    for _ in country.backfill():
        pass
    entered = sum(len(country.news(days)) for days in range(1, 11)) / 10
    assert 0.4 < entered / (300 / 30) < 1.2
    asked = country.round(days=1)
    assert len(asked) == len(set(asked)) > len(country.news(days=1))


def test_months_are_moved_to_the_place_of_those_that_they_tell_of() -> None:
    months = np.array([[1, 2, 3, 4]])
    assert _moved(months, 0).tolist() == [[1, 2, 3, 4]]
    assert _moved(months, 1).tolist() == [[2, 3, 4, 0]]
    assert _moved(months, -1).tolist() == [[0, 1, 2, 3]]
    assert _moved(months, 12).tolist() == [[0, 0, 0, 0]]
    assert _moved(months, -3).tolist() == [[0, 0, 0, 1]]
