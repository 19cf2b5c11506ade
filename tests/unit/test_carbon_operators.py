"""The keyed operators without Flink: whatever order things come in, and however often, the tables are the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyflink.datastream import OutputTag

from jobs.carbon import known_conversions, known_factors
from jobs.operators.carbon.buildings import PerDong
from jobs.operators.carbon.emissions import PerComplex, PerMonth
from jobs.operators.carbon.seasons import PerStation
from jobs.rules import newest
from jobs.rules.carbon import buildings, complexes, energy, weather
from tests.carbon import ITEMS, TAGS, History, expected, synthetic

PARSE = {
    "complexes": complexes.parse,
    "energy.usage": energy.parse,
    "energy.buildings": buildings.parse,
    "weather.daily": weather.parse,
}
STATION_OF = complexes.station_of("143", {"27720": "278"})
SEEN = {"energy.usage": energy.seen, "energy.buildings": buildings.seen, "weather.daily": weather.seen}
FIRST, SECOND = date(2025, 2, 1), date(2026, 2, 1)
# What identifies a row among those of one output: how many of its first columns are its key.
KEY_COLUMNS = 2
Tables = dict[tuple[Any, ...], tuple[Any, ...]]


class State(dict[str, Any]):
    """A map state."""

    put = dict.__setitem__
    contains = dict.__contains__


class Value:
    """A value state."""

    held: Any = None

    def value(self) -> Any:
        return self.held

    def update(self, value: Any) -> None:
        self.held = value


@dataclass
class Context:
    """What an operator is told of a record."""

    key: str

    def get_current_key(self) -> str:
        return self.key


class Counter:
    """A counter."""

    count = 0

    def inc(self, by: int = 1) -> None:
        self.count += by


@dataclass
class Job:
    """The operators, one of each key, and the tables behind their versioned upsert."""

    tables: Tables = field(default_factory=dict)
    _dongs: dict[str, PerDong] = field(default_factory=dict)
    _stations: dict[str, PerStation] = field(default_factory=dict)
    _complexes: dict[str, PerComplex] = field(default_factory=dict)
    _months: dict[str, PerMonth] = field(default_factory=dict)

    def replaced(self) -> int:
        return sum(operator._replaced.count for operator in (*self._complexes.values(), *self._months.values()))

    def _complex(self, key: str) -> PerComplex:
        if key not in self._complexes:
            operator = PerComplex(known_factors(heat=False), known_conversions(), Decimal("6.6"), STATION_OF)
            operator._facts, operator._complex, operator._replaced = State(), Value(), Counter()
            self._complexes[key] = operator
        return self._complexes[key]

    def _dong(self, key: str) -> PerDong:
        if key not in self._dongs:
            operator = PerDong()
            operator._pages, operator._lots, operator._replaced = State(), State(), Counter()
            self._dongs[key] = operator
        return self._dongs[key]

    def _station(self, key: str) -> PerStation:
        if key not in self._stations:
            operator = PerStation()
            operator._months, operator._complexes = State(), State()
            self._stations[key] = operator
        return self._stations[key]

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
            decoded = (PARSE[topic](key, value, at), at, offset)
            if topic == "complexes":
                self._emit(self._complex(key).process_element2(decoded, None))
                self._facts(self._dong(decoded[0].legal_dong or "").process_element2(decoded, None))
                station = STATION_OF(decoded[0].region)
                self._facts(self._station(station).process_element2(decoded, Context(station)))
                continue
            name, thing, seen = SEEN[topic](decoded)
            newest.gather(by_key.setdefault(name, {}), thing, seen)
        for name, things in by_key.items():
            if topic == "energy.usage":
                self._emit(self._complex(name).process_element1((name, things), None))
            elif topic == "energy.buildings":
                self._facts(self._dong(name).process_element1((name, things), None))
            else:
                self._emit(self._month(name).process_element2((name, things), None))
                self._facts(self._station(name.split("|")[0]).process_element1((name, things), None))

    def _facts(self, facts: Iterator[Any]) -> None:
        """Facts of complexes, gathered by complex as a window would."""
        by_complex: dict[str, dict[str, tuple[Any, ...]]] = {}
        for complex_id, name, seen in facts:
            newest.gather(by_complex.setdefault(complex_id, {}), name, seen)
        for complex_id, things in by_complex.items():
            self._emit(self._complex(complex_id).process_element1((complex_id, things), None))

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
    meters(history)
    history.use("A1", SECOND, electricity="800")  # a correction, which takes gas and water back
    history.use("A2", SECOND)  # takes all of it back
    history.describe("A1", region="27720", households=12)
    history.measure(SECOND.replace(day=2), "278", avgTa="")
    history.describe("A2", name="둘둘")
    return history


def meters(history: History) -> None:
    """A3 enters electricity alone, in one month; its lots, one of them on the mountain, have what it lacks."""
    lots = [(False, 12, 0), (True, 12, 3)]
    about = {
        "name": "셋",
        "region": "27720",
        "address": "x",
        "lat": None,
        "lon": None,
        "households": 5,
        "heating": None,
    }
    history.meter(OLD_DONG, FIRST, "electricity", [(lots[0], "900"), (lots[1], "100.5"), (lots[0], "10")])
    history.stand("A3", DONG, lots, **about)
    history.meter(DONG, SECOND, "gas", [(lots[0], "1000"), ((True, 12, 0), "7777")])
    history.meter(DONG, SECOND, "gas", [(lots[1], "186.1"), (lots[1], "0.0")], "2")
    history.use("A3", SECOND, electricity="500")
    history.meter(DONG, SECOND, "electricity", [(lots[0], "9")])
    history.meter(DONG, FIRST, "electricity", [(lots[0], "900"), (lots[1], "100.5"), (lots[0], "20")])


DONG, OLD_DONG = "2772025021", "4772025021"
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
    assert rows["emission_per_region_month", "27720", "2026-02"][2:4] == (339_200 + 436_000, 2)
    assert rows["emission_per_region_month", "27110", "2026-02"][2:4] == (0, 0)
    assert rows["emission_per_region_day", "27110", "2026-02"][2] == [0] * 28


def test_the_complexes_of_a_region_add_up_to_it_day_by_day() -> None:
    rows = AS_IT_CAME.tables
    days = rows["emission_per_complex_day", "A1", "2026-02"][2]
    others = rows["emission_per_complex_day", "A3", "2026-02"][2]
    both = [one + other for one, other in zip(days, others, strict=True)]
    assert rows["emission_per_region_day", "27720", "2026-02"][2] == both
    assert sum(days) == 339_200


def test_what_an_office_lacks_comes_from_its_lots_and_what_it_entered_wins() -> None:
    rows = AS_IT_CAME.tables
    assert rows["energy_usage", "A3", "2025-02"][2:10] == ("1020.500", *[None] * 3, "buildings", *[None] * 3)
    # 1,186.1 kWh over 11.861.
    assert rows["energy_usage", "A3", "2026-02"][2:10] == (
        "500",
        "100.000",
        None,
        None,
        "k-apt",
        "buildings",
        None,
        None,
    )
    month = rows["emission_per_complex_month", "A3", "2026-02"]
    assert month[2:11] == (212_000, 224_000, None, None, 436_000, "k-apt", "buildings", None, None)
    assert rows["carbon", "A3", "2026-02"][13:17] == ("k-apt", "buildings", None, None)
    assert rows["emission_per_region_month", "27720", "2026-02"][2:4] == (339_200 + 436_000, 2)


def after(*changes: Callable[[History], None]) -> Tables:
    """The tables after changes of the history."""
    changed = history()
    for change in changes:
        change(changed)
    return run([(topic, key, value or b"", at, at) for topic, key, value, at in changed.records], ones()).tables


def test_a_correction_of_either_source_replaces_the_value_everywhere() -> None:
    emission = ("emission_per_complex_month", "A3", "2026-02")
    entered = after(lambda history: history.use("A3", SECOND, electricity="500", gas="3"))
    assert entered[emission][2:4] == (212_000, 6_720)
    assert entered[emission][7:9] == ("k-apt", "k-apt")
    taken_back = after(
        lambda history: history.use("A3", SECOND, electricity="500", gas="3"),
        lambda history: history.use("A3", SECOND),
    )
    assert taken_back[emission][2:4] == (3_816, 224_000)
    assert sum(taken_back["emission_per_complex_day", "A3", "2026-02"][2]) == 227_816
    gone = after(lambda history: history.meter(DONG, SECOND, "gas", []))
    assert gone[emission][3] == 35_146  # of the second page
    gone = after(*(lambda history, page=page: history.meter(DONG, SECOND, "gas", [], page) for page in "12"))
    assert gone[emission][2:4] == (212_000, None)


def test_a_lot_that_two_complexes_name_is_neithers() -> None:
    about = {
        "name": "넷",
        "region": "27720",
        "address": "x",
        "lat": None,
        "lon": None,
        "households": 5,
        "heating": None,
    }
    rows = after(lambda history: history.stand("A4", DONG, [(False, 12, 0)], **about))
    assert rows["emission_per_complex_month", "A3", "2026-02"][2:4] == (212_000, None)
    assert ("emission_per_complex_month", "A4", "2026-02") not in rows
    again = after(
        lambda history: history.stand("A4", DONG, [(False, 12, 0)], **about),
        lambda history: history.stand("A4", DONG, [(False, 13, 0)]),
    )
    assert again["emission_per_complex_month", "A3", "2026-02"][2:4] == (212_000, 224_000)


def test_a_complex_in_another_dong_has_nothing_of_the_old_one() -> None:
    rows = after(lambda history: history.describe("A3", legal_dong="2726010100"))
    assert rows["emission_per_complex_month", "A3", "2026-02"][2:4] == (212_000, None)
    assert rows["emission_per_complex_month", "A3", "2025-02"][2:4] == (None, None)


def test_the_same_said_later_of_a_complex_makes_its_rows_newer() -> None:
    rows = after(lambda history: history.describe("A2"))
    for table in ("emission_per_complex_month", "carbon", "emission_per_complex_day"):
        assert rows[table, "A2", "2026-02"][-1] > AS_IT_CAME.tables[table, "A2", "2026-02"][-1]


def test_usage_waits_for_its_complex() -> None:
    job = run([record for record in RECORDS if record[0] == "energy.usage"], ones())
    assert {table for table, *_ in job.tables} == {"energy_usage", "emission_per_complex_month"}
    job.take([record for record in RECORDS if record[0] == "complexes"])
    assert {table for table, *_ in job.tables} == {table for table, *_ in AS_IT_CAME.tables}


def test_points_are_per_household_and_follow_the_number_of_households() -> None:
    # February was corrected: 5 x 940 + 800 of 6,000 before is 8.3 % less electricity; water and gas are not all there.
    row = AS_IT_CAME.tables["carbon_points", "A1", "2026-H1"]
    assert row[2:9] == (5_000 * 12, 0, 0, "0.083333", None, None, 12)
    assert AS_IT_CAME.tables["carbon_points", "A1", "2025-H1"][2:9] == (0, 0, 0, None, None, None, 12)


def test_values_that_came_again_are_counted() -> None:
    assert AS_IT_CAME.replaced() == 3


def test_every_row_of_a_poor_history_equals_its_recomputation() -> None:
    """All months of two years, from both sources, with gaps and months to come, corrected and with changed lots."""
    told = synthetic(complexes=7, first=date(2024, 7, 1), count=27, seed=5)
    for complex_id, month in list(told.usage)[5::17]:
        told.use(complex_id, month, electricity="4321.5")
    for complex_id, month in list(told.usage)[9::23]:
        told.use(complex_id, month)
    for complex_id, month in [key for key in told.usage if key[1] >= date(2026, 5, 1)][::2]:
        told.use(complex_id, month)
    told.measure(date(2026, 1, 15), avgTa="-9.9")
    job = run([(topic, key or "", value or b"", at, at) for topic, key, value, at in told.records], tens())
    want = expected(told)
    rows: dict[str, dict[tuple[str, ...], tuple[Any, ...]]] = {}
    for (table, *key), row in job.tables.items():
        rows.setdefault(table, {})[tuple(key)] = row[KEY_COLUMNS:-1]

    def number(value: Any) -> Any:
        return float(value) if isinstance(value, str) and value.replace(".", "").replace("-", "").isdigit() else value

    months = {
        (row["complex_id"], f"{row['month']:%Y-%m}"): row for row in want["emission_per_complex_month"].to_dicts()
    }
    columns = [*ITEMS, "kg_co2", *(f"{item}_source" for item in TAGS), "gap_kg"]
    assert {key: (*row[:3], *row[4:]) for key, row in rows["emission_per_complex_month"].items()} == {
        key: tuple(row[column] for column in columns) for key, row in months.items()
    }
    assert any("estimate" in row for row in rows["emission_per_complex_month"].values())
    for table, more in (("carbon_points", ()), ("carbon_points_expected", ("months",))):
        so_far = [f"{item}_saving_so_far" for item in ITEMS] if more else []
        columns = [*more, *(f"{i}_points" for i in ITEMS), *(f"{i}_saving" for i in ITEMS), *so_far]
        columns += ["households", "saved_kg", "pine_trees"]
        wanted = {
            (row["complex_id"], row["half_year"]): tuple(row[column] for column in columns)
            for row in want[table].to_dicts()
        }
        came = {key: tuple(map(number, row)) for key, row in rows[table].items()}
        assert came.keys() == wanted.keys()
        for key, row in wanted.items():
            assert came[key] == pytest.approx(row, abs=2e-6), (table, key)
    assert any(row[0] < 6 for row in rows["carbon_points_expected"].values())
    regions = {(row["region"], f"{row['month']:%Y-%m}"): row for row in want["emission_per_region_month"].to_dicts()}
    assert {key: row for key, row in rows["emission_per_region_month"].items() if row[1]} == {
        key: (row["kg_co2"], row["complexes"], row["gap_kg"]) for key, row in regions.items() if row["complexes"]
    }
    of_days: dict[tuple[str, str], list[Any]] = {}
    for row in want["emission_per_complex_day"].sort("day").iter_rows(named=True):
        of_days.setdefault((row["complex_id"], f"{row['day']:%Y-%m}"), []).append((row["kg_co2"], row["gap_kg"]))
    assert {key: list(zip(*row, strict=True)) for key, row in rows["emission_per_complex_day"].items()} == of_days


def tens() -> Iterator[int]:
    while True:
        yield 37
