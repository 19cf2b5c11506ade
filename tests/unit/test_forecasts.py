"""The forecast inside a job, without a cluster: what it remembers, when it forecasts, what it says without a model."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyflink.common import Row

from apis.calendar import KOREA
from apis.client import milliseconds
from forecast.forecaster import Forecaster
from forecast.store import Store
from forecast.weather import Weather
from jobs.operators.carbon.forecasts import LOOK_MS, REMEMBERED_DAYS, ForecastAhead
from tests.emission import City, small_city, trained_on_small_city
from tests.keys import Value


class Clock:
    """Context, timers and states of one key."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: set[int] = set()
        self.maps: dict[str, dict[str, Any]] = defaultdict(dict)
        self.values: dict[str, Value] = {}

    # What an operator asks of its contexts.
    def timer_service(self) -> "Clock":
        return self

    def current_processing_time(self) -> int:
        return self.now

    def register_processing_time_timer(self, at: int) -> None:
        self.timers.add(at)

    def get_map_state(self, descriptor: Any) -> "Days":
        return Days(self.maps[descriptor.get_name()])

    @property
    def days(self) -> dict[str, Any]:
        return self.maps["weather"]

    def get_state(self, descriptor: Any) -> Value:
        return self.values.setdefault(descriptor.get_name(), Value())


class Days:
    def __init__(self, days: dict[str, Any]) -> None:
        self._days = days

    def get(self, day: str) -> Any:
        return self._days.get(day)

    def put(self, day: str, values: Any) -> None:
        self._days[day] = values

    def remove(self, day: str) -> None:
        del self._days[day]

    def items(self) -> Any:
        return list(self._days.items())


class Operator:
    """The operator with its clock."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.function = ForecastAhead(str(folder), 7, 2_000)
        self.function.open(self.clock)

    def take(self, *rows: Row) -> None:
        for row in rows:
            assert list(self.function.process_element1(row, self.clock)) == []

    def hear(self, rows: Iterable[Row]) -> None:
        for row in rows:
            assert list(self.function.process_element2(row, self.clock)) == []

    def until(self, now: int) -> list[Row]:
        made: list[Row] = []
        while due := [at for at in self.clock.timers if at <= now]:
            self.clock.now = min(due)
            self.clock.timers.remove(self.clock.now)
            made += self.function.on_timer(self.clock.now, self.clock)
        self.clock.now = now
        return made


@pytest.fixture(scope="module")
def town() -> City:
    return small_city()


@pytest.fixture(scope="module")
def model(town: City) -> Forecaster:
    return trained_on_small_city()


def rows(weather: Weather, version: int = 1) -> list[Row]:
    parts = weather.mean, weather.low, weather.high, weather.rain
    return [
        Row("143", str(day), *map(float, values), 0.0, None, version)
        for day, *values in zip(weather.days, *parts, strict=True)
    ]


def test_a_backfill_is_forecast_once_from_its_newest_day(tmp_path: Path, town: City, model: Forecaster) -> None:
    Store(tmp_path).save(model, {}, {})
    operator = Operator(tmp_path)
    backfill = rows(town.weather)
    made = []
    for number in range(0, len(backfill), 100):  # in any order, a second apart
        operator.take(*reversed(backfill[number : number + 100]))
        made += operator.until(operator.clock.now + 1_000)
    assert made == []
    made = operator.until(operator.clock.now + 2_000)
    assert len(made) == 7 * len(model.ids)
    assert {row[2] for row in made} == {f"2026-11-{day}" for day in range(21, 28)}
    expected = {(row.scope, row.id, row.day.isoformat()): row for row in model.rows(town.weather, 7)}
    for scope, own, day, kg, lower, upper, weather, version, guard in made:
        assert weather == "normal"
        row = expected[scope, own, day]
        assert (kg, lower, upper) == pytest.approx(row[3:6], abs=0.002)
        assert (version, guard) == (row.model_version, row.version)
    assert len(operator.clock.days) == REMEMBERED_DAYS + 1
    assert operator.until(operator.clock.now + 60_000) == []


def test_each_new_day_is_forecast_and_an_older_version_is_left(tmp_path: Path, town: City, model: Forecaster) -> None:
    Store(tmp_path).save(model, {}, {})
    operator = Operator(tmp_path)
    *before, last = rows(town.weather, version=5)[-20:]
    operator.take(*before)
    first = operator.until(2_000)
    operator.take(last)
    second = operator.until(10_000)
    assert max(row[8] for row in first) < min(row[8] for row in second)
    older = Row(*last[:2], -40.0, *last[3:-1], 4)
    operator.take(older)
    assert operator.until(20_000) == []
    corrected = Row(*last[:2], -10.0, *last[3:-1], 6)
    operator.take(corrected)
    third = operator.until(30_000)
    assert third[0][8] == second[0][8]
    assert third[0][3] > second[0][3]


def said(hour: int, days: Iterable[int], celsius: float, kind: str = "short-term", version: int = 1) -> list[Row]:
    """What the issue of an hour on 2026-11-21 says of days of November; as rows have it, some numbers are text."""
    issued = milliseconds(datetime(2026, 11, 21, hour, tzinfo=KOREA))
    bounds = f"{celsius}", f"{celsius - 4}", f"{celsius + 5}"
    return [Row("143", kind, issued, f"2026-11-{day}", *bounds, None, 30, version) for day in days]


def test_weather_forecasts_are_used_for_the_days_they_reach_and_the_newest_issue_counts(
    tmp_path: Path, town: City, model: Forecaster
) -> None:
    Store(tmp_path).save(model, {}, {})
    operator = Operator(tmp_path)
    operator.take(*rows(town.weather)[-20:])
    usual = {tuple(row)[:3]: row for row in operator.until(5_000)}
    operator.hear([*said(5, range(21, 24), -8.0), *said(6, range(23, 26), -8.0, "mid-term")])
    cold = {tuple(row)[:3]: row for row in operator.until(10_000)}
    assert cold.keys() == usual.keys()
    words = {row[2]: row[6] for row in cold.values()}
    assert [words[day] for day in sorted(words)] == ["forecast"] * 3 + ["mid-term"] * 2 + ["normal"] * 2
    for key, row in cold.items():
        assert row[8] > usual[key][8]
        if row[6] != "normal":
            assert row[3] > usual[key][3]
    # A newer issue replaces the older one; the older one, come late, replaces nothing.
    operator.hear(said(8, range(21, 24), 6.0))
    mild = {tuple(row)[:3]: row for row in operator.until(15_000)}
    assert all(row[3] < cold[key][3] and row[8] > cold[key][8] for key, row in mild.items() if row[6] == "forecast")
    operator.hear(said(5, range(21, 24), -20.0, version=9))
    assert operator.until(20_000) == []
    # A correction of the issue counts, and one that was fetched before it does not.
    operator.hear(said(8, range(21, 24), -8.0, version=3))
    operator.hear(said(8, range(21, 24), 20.0, version=2))
    again = {tuple(row)[:3]: row for row in operator.until(25_000)}
    assert again[("region", "27260", "2026-11-21")][3] > mild[("region", "27260", "2026-11-21")][3]


def test_weather_forecasts_alone_are_no_forecast_and_old_ones_are_forgotten_but_for_the_newest(
    tmp_path: Path, town: City, model: Forecaster
) -> None:
    Store(tmp_path).save(model, {}, {})
    operator = Operator(tmp_path)
    operator.hear([*said(5, range(21, 24), -8.0), *said(8, range(22, 25), -8.0)])
    assert operator.until(5_000) == []
    operator.take(*rows(town.weather)[-20:])
    first = operator.until(10_000)
    operator.take(*(Row("143", f"2027-03-{day:02}", 5.0, 1.0, 9.0, 0.0, 0.0, None, 2) for day in range(1, 20)))
    later = operator.until(15_000)
    assert set(operator.clock.maps["announced"]) == {f"short-term|2026-11-{day}" for day in (22, 23, 24)}
    assert {row[6] for row in later} == {"normal"}
    assert min(row[8] for row in later) > max(row[8] for row in first)


def test_a_day_without_a_temperature_is_no_new_weather(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    operator.take(Row("143", "2026-11-20", None, None, None, 0.0, 0.0, None, 1))
    assert operator.clock.timers == set()


def test_without_a_model_it_says_so_once_and_takes_one_up_later(
    tmp_path: Path, town: City, model: Forecaster, caplog: pytest.LogCaptureFixture
) -> None:
    operator = Operator(tmp_path / "models")
    with caplog.at_level(logging.WARNING):
        for row in rows(town.weather)[-20:-1]:
            operator.take(row)
            assert operator.until(operator.clock.now + 5_000) == []
    assert len(caplog.records) == 1
    assert "run `make train`" in caplog.text
    Store(tmp_path / "models").save(model, {}, {})
    operator.take(rows(town.weather)[-1])
    assert len(operator.until(operator.clock.now + 5_000)) == 7 * len(model.ids)


def test_a_new_model_is_applied_to_the_weather_that_is_known(tmp_path: Path, town: City, model: Forecaster) -> None:
    operator = Operator(tmp_path)
    operator.take(*rows(town.weather)[-20:])
    assert operator.until(3_600_000) == []
    Store(tmp_path).save(model, {}, {})
    made = operator.until(operator.clock.now + LOOK_MS)
    assert {row[7] for row in made} == {model.version}
    assert {row[2] for row in made} == {f"2026-11-{day}" for day in range(21, 28)}
    # Once, and with one timer however long it takes; also after a restart, from the states.
    restarted = Operator(tmp_path, operator.clock)
    assert restarted.until(operator.clock.now + 3_600_000) == []
    assert len(operator.clock.timers) == 1
    newer = replace(model, version="20261122T000000Z", trained_at=model.trained_at + timedelta(days=1))
    Store(tmp_path).save(newer, {}, {})
    again = restarted.until(operator.clock.now + LOOK_MS)
    assert len(again) == len(made)
    assert min(row[8] for row in again) > max(row[8] for row in made)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (slice(-7, None), None),  # under 8 days
        (slice(-60, -41), slice(-1, None)),  # 40 days away, then one day
        (slice(-60, -41), "2099-01-01"),  # all real days are too old
    ],
)
def test_too_little_weather_is_no_forecast_and_no_crash(
    tmp_path: Path, town: City, model: Forecaster, caplog: pytest.LogCaptureFixture, first: slice, then: Any
) -> None:
    Store(tmp_path).save(model, {}, {})
    operator = Operator(tmp_path)
    operator.take(*rows(town.weather)[first])
    operator.until(5_000)
    if isinstance(then, slice):
        operator.take(*rows(town.weather)[then])
    elif then:
        operator.take(Row("143", then, 5.0, 1.0, 9.0, 0.0, 0.0, None, 1))
    assert operator.until(10_000) == []
    assert operator.until(3_600_000) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "days of weather" in caplog.text
    # Eight days are enough.
    operator.take(*(Row("143", f"2099-01-0{day}", 5.0, 1.0, 9.0, 0.0, 0.0, None, 2) for day in range(1, 9)))
    assert len(operator.until(operator.clock.now + 5_000)) == 7 * len(model.ids)


def test_a_model_that_fails_or_says_what_can_not_be_makes_no_forecast_and_no_crash(
    tmp_path: Path, town: City, model: Forecaster, caplog: pytest.LogCaptureFixture
) -> None:
    operator = Operator(tmp_path)
    operator.take(*rows(town.weather)[-20:])
    broken = (replace(model, intervals={}), replace(model, households=np.full_like(model.households, np.nan)))
    for number, each in enumerate(broken):
        Store(tmp_path).save(replace(each, version=f"2026112{number}T000000Z"), {}, {})
        assert operator.until(operator.clock.now + LOOK_MS) == []
    assert "can't forecast" in caplog.text
    assert "what can't be" in caplog.text


@pytest.mark.parametrize("pointer", ["a folder", b"\xff\xfe"])
def test_models_that_can_not_be_read_are_no_crash(
    tmp_path: Path, town: City, caplog: pytest.LogCaptureFixture, pointer: str | bytes
) -> None:
    if isinstance(pointer, bytes):
        (tmp_path / "current").write_bytes(pointer)
    else:
        (tmp_path / "current").mkdir()
    operator = Operator(tmp_path)
    operator.take(*rows(town.weather)[-20:])
    assert operator.until(60_000) == []
    assert "can't be read" in caplog.text
