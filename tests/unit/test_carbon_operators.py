"""The keyed operators without Flink: whatever order things come in, and however often, the tables are the same."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pyflink.datastream import OutputTag

from jobs.carbon import known_factors
from jobs.operators.carbon.emissions import PerComplex, PerMonth
from jobs.rules import newest
from jobs.rules.carbon import complexes, energy, weather
from tests.carbon import History

PARSE = {"complexes": complexes.parse, "energy.usage": energy.parse, "weather.daily": weather.parse}
FIRST, SECOND = date(2025, 2, 1), date(2026, 2, 1)
# What identifies a row among those of one output: how many of its first columns are its key.
KEY_COLUMNS = 2
Tables = dict[tuple[Any, ...], tuple[Any, ...]]


class State(dict[str, Any]):
    """A map state."""

    put = dict.__setitem__


class Value:
    """A value state."""

    held: Any = None

    def value(self) -> Any:
        return self.held

    def update(self, value: Any) -> None:
        self.held = value


class Counter:
    """A counter."""

    count = 0

    def inc(self, by: int = 1) -> None:
        self.count += by


@dataclass
class Job:
    """Both operators, one of each key, and the tables behind their versioned upsert."""

    tables: Tables = field(default_factory=dict)
    _complexes: dict[str, PerComplex] = field(default_factory=dict)
    _months: dict[str, PerMonth] = field(default_factory=dict)

    def replaced(self) -> int:
        return sum(operator._replaced.count for operator in (*self._complexes.values(), *self._months.values()))

    def _complex(self, key: str) -> PerComplex:
        if key not in self._complexes:
            operator = PerComplex(known_factors(heat=False), complexes.station_of("143", {"27720": "278"}))
            operator._usage, operator._complex, operator._replaced = State(), Value(), Counter()
            self._complexes[key] = operator
        return self._complexes[key]

    def _month(self, key: str) -> PerMonth:
        if key not in self._months:
            operator = PerMonth()
            operator._complexes, operator._weather, operator._replaced = State(), State(), Counter()
            self._months[key] = operator
        return self._months[key]

    def take(self, batch: list[tuple[str, str, bytes, int, int]]) -> None:
        """Some records of one topic, gathered by key as a window would."""
        by_key: dict[str, dict[str, tuple[Any, ...]]] = {}
        topic = batch[0][0]
        for _, key, value, at, offset in batch:
            decoded = (tuple(PARSE[topic](key, value, at)), at, offset)
            if topic == "complexes":
                self._emit(self._complex(key).process_element2(decoded, None))
                continue
            name, thing, seen = (energy.seen if topic == "energy.usage" else weather.seen)(decoded)
            newest.gather(by_key.setdefault(name, {}), thing, seen)
        for name, things in by_key.items():
            if topic == "energy.usage":
                self._emit(self._complex(name).process_element1((name, things), None))
            else:
                self._emit(self._month(name).process_element2((name, things), None))

    def _emit(self, outputs: Iterator[Any]) -> None:
        for output in outputs:
            if isinstance(output[0], OutputTag):
                self._upsert(output[0].tag_id, tuple(output[1]))
            else:
                name, thing, seen = output
                self._emit(self._month(name).process_element1((name, {thing: seen}), None))

    def _upsert(self, table: str, row: tuple[Any, ...]) -> None:
        key = (table, *row[:KEY_COLUMNS])
        if key not in self.tables or row[-1] >= self.tables[key][-1]:
            self.tables[key] = row


def history() -> History:
    """Two complexes, one of which moves to a region with another station; corrections of everything."""
    history = History()
    for year in (2025, 2026):
        for month in range(1, 7):
            history.use(
                "A1", date(year, month, 1), electricity=str(1000 - 60 * (year == 2026)), gas="300.5", water="70"
            )
    history.use("A2", SECOND, electricity="555.5", gas="10")
    history.describe("A1", name="하나", region="27110", address="x", lat=None, lon=None, households=10, heating=None)
    history.describe("A2", name="둘", region="27110", address="x", lat=35.8, lon=128.5, households=7, heating=None)
    for month in (FIRST, SECOND):
        for station in ("143", "278"):
            for day in (1, 2, 3, 20):
                history.measure(month.replace(day=day), station, avgTa=str(day), minTa="", maxTa="", **NO_RAIN)
    history.use("A1", SECOND, electricity="800")  # a correction, which takes gas and water back
    history.use("A2", SECOND)  # takes all of it back
    history.describe("A1", region="27720", households=12)
    history.measure(SECOND.replace(day=2), "278", avgTa="")
    history.describe("A2", name="둘둘")
    return history


NO_RAIN = {"sumRn": "", "ddMes": "", "avgRhm": ""}
RECORDS = [(topic, key, value or b"", at, at) for topic, key, value, at in history().records]


def run(records: list[tuple[str, str, bytes, int, int]], sizes: Iterator[int]) -> Job:
    job = Job()
    while records:
        size = next(sizes)
        batch, records = records[:size], records[size:]
        for topic in PARSE:
            if of_topic := [record for record in batch if record[0] == topic]:
                job.take(of_topic)
    return job


def ones() -> Iterator[int]:
    while True:
        yield 1


AS_IT_CAME = run(RECORDS, ones())


@settings(max_examples=25)
@given(st.permutations(range(len(RECORDS))), st.integers(1, 40), st.integers(0, len(RECORDS)))
def test_order_and_batches_do_not_matter(order: list[int], size: int, again: int) -> None:
    # Complexes come in their topic's order: they tell where a complex has been.
    described = iter(record for record in RECORDS if record[0] == "complexes")
    shuffled = [RECORDS[at] if RECORDS[at][0] != "complexes" else next(described) for at in order]
    job = run(shuffled, iter([size] * len(RECORDS)))
    assert job.tables == AS_IT_CAME.tables
    # A replay of the last of them, over the same tables, changes nothing for good.
    replayed = run(shuffled, iter([size] * len(RECORDS)))
    replayed.tables = dict(job.tables)
    for record in shuffled[again:]:
        replayed.take([record])
    assert replayed.tables == job.tables


def test_a_replay_never_shows_an_older_row() -> None:
    job = Job(tables=dict(AS_IT_CAME.tables))
    for record in RECORDS:
        job.take([record])
        assert job.tables == AS_IT_CAME.tables


def test_a_correction_replaces_and_taking_all_back_leaves_null_not_zero() -> None:
    rows = AS_IT_CAME.tables
    assert rows["emission_per_complex_month", "A1", "2026-02"][2:7] == (339_200, None, None, None, 339_200)
    assert rows["emission_per_complex_month", "A2", "2026-02"][2:7] == (None,) * 5
    assert rows["emission_per_complex_day", "A2", "2026-02"][2] == [None] * 28


def test_a_complex_that_moves_counts_where_it_is_and_no_more_where_it_was() -> None:
    rows = AS_IT_CAME.tables
    assert rows["emission_per_region_month", "27720", "2026-02"][2:4] == (339_200, 1)
    assert rows["emission_per_region_month", "27110", "2026-02"][2:4] == (0, 0)
    assert rows["emission_per_region_day", "27110", "2026-02"][2] == [0] * 28


def test_the_complexes_of_a_region_add_up_to_it_day_by_day() -> None:
    rows = AS_IT_CAME.tables
    days = rows["emission_per_complex_day", "A1", "2026-02"][2]
    assert rows["emission_per_region_day", "27720", "2026-02"][2] == days
    assert sum(days) == 339_200


def test_usage_waits_for_its_complex() -> None:
    job = run([record for record in RECORDS if record[0] == "energy.usage"], ones())
    assert {table for table, *_ in job.tables} == {"emission_per_complex_month"}
    job.take([record for record in RECORDS if record[0] == "complexes"])
    assert {table for table, *_ in job.tables} == {table for table, *_ in AS_IT_CAME.tables}


def test_points_are_per_household_and_follow_the_number_of_households() -> None:
    # February was corrected: 5 x 940 + 800 of 6,000 before is 8.3 % less electricity; water and gas are not all there.
    row = AS_IT_CAME.tables["carbon_points", "A1", "2026-H1"]
    assert row[2:9] == (5_000 * 12, 0, 0, "0.083333", None, None, 12)
    assert AS_IT_CAME.tables["carbon_points", "A1", "2025-H1"][2:9] == (0, 0, 0, None, None, None, 12)


def test_values_that_came_again_are_counted() -> None:
    assert AS_IT_CAME.replaced() == 3
