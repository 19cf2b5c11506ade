"""The pollers against the simulator over HTTP and against Kafka: what they bring, what it costs, and every trouble."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import pytest

from apis import calendar, legal_dongs
from conf.city import places
from conf.settings import load
from generators.brokers import client
from generators.pollers.carbon.plan import METERED, Period
from generators.pollers.carbon.poller import Poller
from generators.pollers.report import Report
from generators.pollers.state import State
from generators.simulator.carbon import energy, forecasts, metering, parcels, services
from generators.simulator.carbon.services import World
from generators.simulator.envelopes import Item
from jobs.rules.carbon import announced
from tests.pollers import (
    COMPLEXES,
    PLACES,
    TODAY,
    Polling,
    Simulation,
    assert_all_is_there,
    items,
    quantities,
    simulation,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

MONTH, TEXT = date(2025, 1, 1), "2025-01"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    with simulation(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def polling(simulated: Simulation, tmp_path: Path) -> Polling:
    simulated.put("trouble")
    simulated.put("limits", daily_quota=1_000_000, rate_per_second=200)
    simulated.put("today", today=TODAY.isoformat())
    simulated.forget()
    return Polling(tmp_path, simulated)


def test_a_backfill_brings_everything_once(polling: Polling) -> None:
    code, said = polling.run("backfill", "--from", "2025-01", "--to", "2025-02")
    assert code == 0, said
    assert_all_is_there(polling, date(2025, 1, 1), date(2025, 2, 1))
    records = polling.records()
    assert Counter(record.topic for record in records) == {
        "complexes": COMPLEXES,
        "energy.usage": 2 * COMPLEXES,
        "energy.buildings": len(pages(polling, date(2025, 1, 1), date(2025, 2, 1))),
        "weather.daily": 59,
    }
    assert_all_buildings_are_there(polling, date(2025, 1, 1), date(2025, 2, 1))
    world = World.of(polling.settings.simulator)
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.headers["fetched_at"])
        fetched = datetime.fromisoformat(record.headers["fetched_at"])
        assert record.timestamp == round(fetched.timestamp() * 1000)
        assert record.headers["url"].startswith(polling.simulation.url)
        assert "serviceKey" not in record.headers["url"]
        if record.topic == "weather.daily":
            station, day = record.key.split("|")
            (wanted,) = world.weather(date.fromisoformat(day), date.fromisoformat(day))
            assert items(record) == services.weather_item(wanted)
            assert station == "143"
        elif record.topic == "complexes":
            place, told = PLACES[record.key], items(record)
            about = world.traits(place)
            assert (told["name"], told["region"]) == (place.name, place.region)
            assert told["address"] == services.road_address(place)
            assert (told["households"], told["heating"]) == (place.households, about.heating)
            assert (told["lat"], told["lon"]) == ((place.lat, place.lon) if about.has_known_address else (None, None))
    minimum = 3 + COMPLEXES + COMPLEXES + 1 + 2 * COMPLEXES
    minimum += len(pages(polling, date(2025, 1, 1), date(2025, 2, 1)))
    assert polling.simulation.calls() == minimum
    assert polling.simulation.repeats() == {}

    again, said = polling.run("backfill", "--from", "2025-01", "--to", "2025-02")
    assert again == 0, said
    assert polling.simulation.calls() == minimum
    assert len(polling.records()) == len(records)

    code, said = polling.run("republish", "weather.daily")
    assert code == 0, said
    assert Counter(record.topic for record in polling.records())["weather.daily"] == 118
    assert polling.simulation.calls() == minimum

    code, said = polling.run("status")
    assert code == 0
    assert f"energy: {sum(bool(any(u)) for u in map(_used, _energy(polling)))} with values" in said


def pages(polling: Polling, first: date, last: date) -> dict[str, list[Item]]:
    """The rows of every page of every legal dong and month, by key."""
    world = World.of(polling.settings.simulator)
    found = {}
    for month in energy.months_between(first, last):
        for dong, item in itertools.product(parcels.dongs(), METERED):
            code = legal_dongs.at(dong, month)
            rows = world.metered(code, month, item, TODAY)
            for page in range(max(1, -(-len(rows) // 100))):
                found[f"{code}|{month:%Y-%m}|{item}|{page + 1}"] = rows[page * 100 : page * 100 + 100]
    return found


def quantities_by_lot(body: bytes) -> list[tuple[str, ...]]:
    """What the rows of a body say, read without the pollers' code."""
    tags = ("platGbCd", "bun", "ji", "useQty")
    return [tuple(row.findtext(tag) or "" for tag in tags) for row in ET.fromstring(body).iter("item")]  # noqa: S314


def assert_all_buildings_are_there(polling: Polling, first: date, last: date) -> None:
    came = {key: quantities_by_lot(record.value) for key, record in polling.latest("energy.buildings").items()}
    wanted = pages(polling, first, last)
    assert came == {
        key: [tuple(row[tag] for tag in ("platGbCd", "bun", "ji", "useQty")) for row in rows]
        for key, rows in wanted.items()
    }
    assert any(key.endswith("|2") for key in wanted)


def test_months_by_lot_come_late_and_are_corrected(polling: Polling) -> None:
    """A watch asks again for the newest months, under the code of the month; what is the same is not sent again."""
    code, said = polling.backfill("complexes", TEXT, TEXT)
    assert code == 0, said
    code, said = polling.run("backfill", "buildings", "--from", "2023-06", "--to", "2023-07")
    assert code == 0, said
    assert_all_buildings_are_there(polling, date(2023, 6, 1), date(2023, 7, 1))
    assert {key[:5] for key in polling.latest("energy.buildings")} >= {"47720", "27720"}
    calls = polling.simulation.calls()
    code, said = polling.run("backfill", "buildings", "--from", "2023-06", "--to", "2023-07")
    assert (code, polling.simulation.calls()) == (0, calls), said

    chosen, july = polling.settings.simulator, date(2023, 7, 1)
    place = next(
        p for p in PLACES.values() if metering.metered(chosen.energy, chosen.seed, p, july, chosen.first_month, "gas")
    )
    body = {"complex_id": place.complex_id, "month": "2023-07-01", "factor": 2, "service": "buildings"}
    httpx.post(f"{polling.simulation.url}/simulator/corrections", json=body, timeout=60).raise_for_status()
    with contextlib.closing(State(polling.state_file)) as state:
        before = polling.latest("energy.buildings")
        state._db.execute("DELETE FROM answers WHERE operation LIKE 'buildings%' AND subject LIKE '%2023-07%'")
    code, said = polling.run("backfill", "buildings", "--from", "2023-07", "--to", "2023-07")
    assert code == 0, said
    after = polling.latest("energy.buildings")
    changed = {key for key in after if after[key].timestamp != before[key].timestamp}
    assert changed == {key for key in after if after[key].value != before[key].value} != set()
    assert all(key.startswith(f"{parcels.legal_dong(place)}|2023-07") for key in changed)


def test_a_service_that_refuses_whole_legal_dongs_is_asked_lot_by_lot(tmp_path: Path) -> None:
    with simulation(tmp_path, energy__whole_dongs="false", rate_per_second=200, daily_quota=100_000) as narrow:
        polling = Polling(tmp_path, narrow)
        code, said = polling.run("backfill", "complexes", "buildings", "--from", TEXT, "--to", TEXT)
        assert code == 0, said
        assert said.count("asked lot by lot from now on") == 1
        world = World.of(polling.settings.simulator)
        lots = {(dong, f"{lot.main:04}-{lot.sub:04}") for dong, there in parcels.dongs().items() for place in there
                for lot in parcels.lots(place)}  # fmt: skip
        came = polling.latest("energy.buildings")
        assert set(came) == {f"{dong}|{TEXT}|{item}|{number}" for dong, number in lots for item in METERED}
        for key, record in came.items():
            dong, _, item, number = key.split("|")
            rows = world.metered(dong, MONTH, item, TODAY)
            wanted = [row for row in rows if f"{row['bun']}-{row['ji']}" == number]
            assert len(quantities_by_lot(record.value)) == len(wanted)
        assert narrow.repeats() == {}


def test_trouble_with_energy_by_lot_loses_nothing(polling: Polling) -> None:
    assert polling.backfill("complexes", TEXT, TEXT)[0] == 0
    trouble = {"timeouts": 0.1, "errors": 0.1, "malformed": 0.1, "bombs": 0.05, "html": 0.05, "hang_seconds": 30}
    polling.simulation.put("trouble", **trouble, operations=["buildings_electricity", "buildings_gas"])
    code, said = polling.backfill("buildings", TEXT, TEXT, timeout_seconds=2, malformed_attempts=12, attempts=12)
    assert code == 0, said
    readable = {key for key, record in polling.latest("energy.buildings").items() if b"</response>" in record.value}
    assert readable == set(pages(polling, MONTH, MONTH))
    assert {"timeout", "04", "05", "99", "html", "bomb"} <= {
        outcome for item in METERED for outcome in polling.simulation.outcomes(f"buildings_{item}")
    }
    assert polling.simulation.repeats() == {}


def test_each_issue_of_a_weather_forecast_comes_once_whatever_goes_wrong(polling: Polling) -> None:
    polling.simulation.put("today", today=None)  # issues are those of the machine's time
    operations = ["forecast_short", "forecast_temperature", "forecast_land"]
    polling.simulation.put("trouble", errors=0.3, malformed=0.1, html=0.5, operations=operations)
    for _ in range(2):
        code, said = polling.run(
            "backfill",
            "forecasts",
            watch__forecast_days=1,
            malformed_attempts=20,
            attempts=20,
            longest_pause_seconds=0.2,
        )
        assert code == 0, said
    assert {"04", "05", "99"} & {outcome for name in operations for outcome in polling.simulation.outcomes(name)}
    assert polling.simulation.repeats() == {}
    records = polling.latest("weather.forecast")
    days = {key: record for key, record in records.items() if key.count("|") == 3}
    # What could not be read is there, too, for the dead letters; of all, since the key of each is the same.
    assert any(b"<!DOCTYPE html" in each.value for each in polling.records() if each.topic == "weather.forecast")
    assert {key.split("|")[1] for key in days} == {"short-term", "mid-term"}
    for key, record in days.items():
        made = announced.parse(key, record.value, record.timestamp)
        issued = datetime.fromtimestamp(made.issued_at / 1000, calendar.KOREA)
        meant = forecasts.said(polling.settings.simulator.seed, issued, date.fromisoformat(made.day))
        within = 0.06 if made.kind == "short-term" else 0.5
        assert float(made.min_celsius) == pytest.approx(min(meant.low, meant.high), abs=within)
        assert float(made.mean_celsius) == pytest.approx(meant.mean, abs=1.5)
        assert made.rain_percent == meant.percent


def test_a_dry_run_shows_what_energy_by_lot_costs(polling: Polling) -> None:
    assert polling.backfill("complexes", TEXT, TEXT)[0] == 0
    calls = polling.simulation.calls()
    code, said = polling.run("backfill", "buildings", "--from", "2025-01", "--to", "2025-03", "--dry-run")
    assert code == 0, said
    for item in METERED:
        assert re.search(rf"^buildings_{item} +{3 * len(parcels.dongs())} ", said, re.MULTILINE)
    assert polling.simulation.calls() == calls


def _energy(polling: Polling) -> list[bytes]:
    return [record.value for record in polling.latest("energy.usage").values()]


def _used(body: bytes) -> tuple[int, ...]:
    return quantities(body) or ()


def test_a_dry_run_reckons_and_calls_nothing(polling: Polling) -> None:
    code, said = polling.run("backfill", "--from", "2024-05", "--to", "2026-10", "--dry-run")
    assert code == 0, said
    assert re.search(r"energy +9,000 +10,000 +10,000 +fits today, if there are 300 complexes", said)
    assert re.search(r"weather +3 ", said)
    assert polling.simulation.calls() == 0

    assert polling.backfill("energy", TEXT, TEXT)[0] == 0
    code, said = polling.run("backfill", "energy", "--from", "2024-12", "--to", "2025-02", "--dry-run",
                             operations__energy__daily_quota=400)  # fmt: skip
    assert re.search(r"energy +600 +100 +400 +takes 2 days more", said), said


@pytest.mark.parametrize("form", ["decoded", "encoded"])
def test_both_forms_of_a_key_are_taken(polling: Polling, form: str) -> None:
    key = polling.settings.simulator.service_keys[0]
    polling.environment["DATA_GO_KR_SERVICE_KEY"] = quote(key, safe="") if form == "encoded" else key
    code, said = polling.backfill("weather", TEXT, TEXT)
    assert code == 0, said
    assert key not in said
    assert quote(key, safe="") not in said


def test_an_unknown_key_stops_at_once_and_is_named(polling: Polling) -> None:
    polling.environment["DATA_GO_KR_URL"] = polling.simulation.url
    polling.environment["DATA_GO_KR_SERVICE_KEY"] = "somebody+elses=="
    code, said = polling.run("backfill")
    assert code == 1
    *acting, line = said.strip().splitlines()
    assert all(each.startswith("Acting on ") for each in acting)
    assert "30 SERVICE_KEY_IS_NOT_REGISTERED_ERROR" in line
    assert "check DATA_GO_KR_SERVICE_KEY" in line
    assert "somebody" not in said
    assert polling.simulation.calls() == 1
    assert polling.records() == []


def test_a_quota_used_up_mid_run_is_waited_for(polling: Polling) -> None:
    polling.simulation.put("limits", daily_quota=200, rate_per_second=200)
    polling.simulation.put("today", today="2030-01-01")  # a day on which nothing was spent yet
    clock = Clock(polling.simulation)
    until = calendar.next_day(clock.now()).astimezone(calendar.KOREA)
    (line,) = go_on(polling, clock)
    wait = rf"energy: waits until {until:%Y-%m-%d} 00:00:00 KST, 100 to go: energy: .*quota is spent"
    assert re.match(wait, line)
    outcomes = polling.simulation.outcomes("energy")
    assert outcomes["00"] == COMPLEXES
    assert 1 <= outcomes["22"] <= polling.settings.pollers.concurrency
    assert polling.simulation.repeats() == {}
    assert_all_is_there(polling, MONTH, MONTH)


def test_a_quota_used_up_elsewhere_ends_a_run_that_may_not_wait(polling: Polling) -> None:
    polling.simulation.put("limits", daily_quota=20, rate_per_second=200)
    polling.simulation.put("today", today="2030-02-01")
    code, said = polling.backfill("energy", TEXT, TEXT, "--no-wait")
    assert code == 3, said
    until = calendar.next_day(datetime.now(UTC)).astimezone(calendar.KOREA)
    assert f"run it again after {until:%Y-%m-%d} 00:00:00 KST" in said
    spent = polling.simulation.calls("energy")
    assert 20 < spent <= 20 + polling.settings.pollers.concurrency

    # The same day: not one call more.
    code, said = polling.backfill("energy", TEXT, TEXT, "--no-wait")
    assert code == 3, said
    assert polling.simulation.calls("energy") == spent


def test_the_own_count_stops_before_the_service_does(polling: Polling) -> None:
    code, said = polling.backfill("energy", TEXT, TEXT, "--no-wait", operations__energy__daily_quota=50)
    assert code == 3, said
    assert "all 50 calls of today are spent" in said
    assert polling.simulation.outcomes("energy") == {"00": 50}


class Clock:
    """A clock that doesn't wait: it jumps, and takes the simulator's day along. Brokers take no times to come."""

    def __init__(self, simulation: Simulation, passed: timedelta = timedelta(days=-3)) -> None:
        self.simulation = simulation
        self.passed = passed

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed

    async def sleep(self, seconds: float) -> None:
        before = calendar.day_of(self.now())
        self.passed += timedelta(seconds=seconds)
        if calendar.day_of(self.now()) != before:
            self.simulation.put("today", today="2030-01-02")
        await asyncio.sleep(0)


class Lines(Report):
    """A report that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def go_on(polling: Polling, clock: Clock) -> list[str]:
    """Backfill the month in this process, with that clock; return what it said it waits for."""
    chosen = load()
    simulator = chosen.simulator.model_copy(update={"url": polling.simulation.url})
    settings = chosen.model_copy(update={"simulator": simulator})
    report = Lines()

    async def run() -> bool:
        with client(settings.kafka.bootstrap_servers) as producer:
            return await Poller(settings, state, producer, clock, report).backfill(["energy"], Period(MONTH, MONTH))

    with contextlib.closing(State(polling.state_file)) as state:
        assert asyncio.run(run())
    return [line for line in report.lines if "waits" in line]


def test_of_43_per_cent_time_outs_nothing_is_lost(polling: Polling) -> None:
    polling.simulation.put("trouble", timeouts=0.43, hang_seconds=30)
    code, said = polling.backfill("energy", TEXT, TEXT, timeout_seconds=3, concurrency=32)
    assert code == 0, said
    assert_all_is_there(polling, MONTH, MONTH)
    outcomes = polling.simulation.outcomes("energy")
    assert outcomes["00"] == COMPLEXES
    assert outcomes["timeout"] > COMPLEXES / 3
    assert polling.simulation.repeats() == {}
    with contextlib.closing(State(polling.state_file)) as state:
        counted = state._db.execute("SELECT sum(calls) FROM calls").fetchone()[0]
    assert counted == polling.simulation.calls()


def test_errors_are_tried_again(polling: Polling) -> None:
    polling.simulation.put("trouble", errors=0.3)
    code, said = polling.run("backfill", "--from", TEXT, "--to", TEXT)
    assert code == 0, said
    assert_all_is_there(polling, MONTH, MONTH)
    assert {"04", "05", "99"} <= set(polling.simulation.outcomes("energy"))
    assert polling.simulation.repeats() == {}


def test_bad_bodies_are_published_once_and_asked_for_again(polling: Polling) -> None:
    polling.simulation.put("trouble", malformed=0.15, bombs=0.1, html=0.1, operations=["energy"])
    code, said = polling.backfill("energy", TEXT, TEXT, malformed_attempts=12, attempts=12)
    assert code == 0, said
    assert_all_is_there(polling, MONTH, MONTH)
    bad = [record for record in polling.records() if quantities(record.value) is None]
    assert max(Counter(record.key for record in bad).values()) == 1
    assert any(b"<!DOCTYPE html" in record.value for record in bad)
    assert any(b"<!ENTITY" in record.value for record in bad)
    assert any(record.value.startswith(b"<?xml") and b"<!" not in record.value for record in bad)
    assert polling.simulation.repeats() == {}


def test_what_stays_bad_is_left_after_a_few_tries(polling: Polling) -> None:
    assert polling.backfill("complexes", TEXT, TEXT)[0] == 0
    before = polling.simulation.calls()
    polling.simulation.put("trouble", html=1, operations=["energy", "weather"])
    code, said = polling.run("backfill", "energy", "weather", "--from", TEXT, "--to", TEXT)
    assert code == 0, said
    assert f"energy {next(iter(PLACES))}|{TEXT}: unreadable 3 times" in said
    assert polling.simulation.calls("energy") == 3 * COMPLEXES
    assert polling.simulation.calls("weather") == 3
    bad = Counter(record.topic for record in polling.records() if b"<!DOCTYPE html" in record.value)
    assert bad == {"energy.usage": COMPLEXES, "weather.daily": 1}

    code, said = polling.run("backfill", "energy", "weather", "--from", TEXT, "--to", TEXT)
    assert code == 0, said
    assert polling.simulation.calls() == 3 * COMPLEXES + 3 + before


def test_one_answer_ends_no_poller(polling: Polling) -> None:
    """What can't be read of a complex reaches the job as it came; what nothing can be made of is put aside."""
    told = {"A1": "Infinity", "A2": "1,234"}
    basis = {each: {"kaptCode": each, "kaptdaCnt": households} for each, households in told.items()} | {"A3": {}}
    with contextlib.closing(State(polling.state_file)) as state:
        state.list_complexes(basis, 1)
        state.finish_round("complexes", datetime.now(UTC))
        for complex_id, item in basis.items():
            kept = json.dumps({"url": "http://kept", "item": item})
            state.keep("basis", [(complex_id, "values")], 1_780_000_000_000, result=kept)
    for _ in range(2):
        code, said = polling.backfill("complexes", TEXT, TEXT)
        assert code == 0, said
        assert "1 put aside" in said
    households = {record.key: items(record)["households"] for record in polling.records()}
    assert households == {"A1": "Infinity", "A2": 1234}
    code, said = polling.run("status")
    assert code == 0, said
    assert "put aside: complexes A3: KeyError: 'kaptCode'" in said


def test_a_key_without_an_address_says_what_is_missing(polling: Polling) -> None:
    polling.environment["DATA_GO_KR_SERVICE_KEY"] = "somebody+elses=="
    code, said = polling.run("backfill")
    assert code == 1
    *acting, line = said.strip().splitlines()
    assert all(each.startswith("Acting on ") for each in acting)
    assert "set DATA_GO_KR_URL=https://apis.data.go.kr" in line
    assert "somebody" not in said
    assert polling.simulation.calls() == 0


def test_pages_that_repeat_are_seen_and_asked_for_again(polling: Polling) -> None:
    polling.simulation.put("trouble", duplicate_pages=1)
    code, said = polling.backfill("energy", TEXT, TEXT)
    assert code == 0, said
    assert "the list tells of 300, but 100 came; the next run asks again" in said
    assert len(polling.latest("energy.usage")) == 100

    polling.simulation.put("trouble")
    code, said = polling.backfill("energy", TEXT, TEXT)
    assert code == 0, said
    assert_all_is_there(polling, MONTH, MONTH)
    assert polling.simulation.outcomes("energy") == {"00": COMPLEXES}


def test_the_schedule(polling: Polling) -> None:
    """New months, corrections, yesterday's weather, and a complex that is no longer listed."""
    polling.simulation.put("today", today=None)
    newest = calendar.newest_month(datetime.now(UTC))
    months = {"watch__walk_back_months": 3, "watch__correction_months": 2}
    code, said = polling.run("watch", "--once", **months)
    assert code == 0, said
    world = World.of(polling.settings.simulator)
    today = calendar.day_of(datetime.now(UTC))
    window = calendar.months(calendar.months_back(newest, 2), newest)
    came = {key: quantities(record.value) for key, record in polling.latest("energy.usage").items()}
    for place in places.complexes():
        entered = [month for month in window if any(world.usage(place, month, today))]
        # It walks back to the newest month that was entered, and no further.
        asked = [month for month in window if f"{place.complex_id}|{month:%Y-%m}" in came]
        assert asked == [month for month in window if not entered or month >= entered[0]]
    days = calendar.days(today - timedelta(days=polling.settings.pollers.watch.weather_days), today - timedelta(days=1))
    assert set(polling.latest("weather.daily")) == {f"143|{day}" for day in days}
    assert len(polling.latest("complexes")) == COMPLEXES

    # It was all done today: nothing is due.
    before = polling.simulation.calls()
    code, said = polling.run("watch", "--once", **months)
    assert code == 0, said
    assert polling.simulation.calls() == before

    key, usage = next((key, usage) for key, usage in came.items() if usage and any(usage))
    complex_id, _, month = key.partition("|")
    polling.simulation.correct(complex_id, date.fromisoformat(f"{month}-01"), 1.25)
    gone = next(each for each in PLACES if each != complex_id)
    polling.simulation.put("trouble", unlisted=[gone])
    said_then = len(polling.records())
    old = polling.latest("energy.usage")[key]
    forget_rounds(polling)
    code, said = polling.run(
        "watch", "--once", **months, watch__correction_days=0.000001, watch__complexes_days=0.000001
    )
    assert code == 0, said
    assert f"no longer listed, but still asked for: {gone}" in said
    new = polling.latest("energy.usage")[key]
    assert quantities(new.value) == usage.times(1.25)
    assert new.timestamp > old.timestamp
    # What has not changed is not published again.
    assert len(polling.records()) == said_then + 1


def forget_rounds(polling: Polling) -> None:
    """As if the rounds of the schedule were due again."""
    with contextlib.closing(State(polling.state_file)) as state:
        state._db.execute("DELETE FROM rounds WHERE name IN ('energy', 'weather')")


def test_it_says_what_it_waits_for_and_until_when(polling: Polling) -> None:
    polling.simulation.put("today", today=None)
    process = polling.start("watch", watch__walk_back_months=1, watch__correction_months=0)
    said = ""
    assert process.stderr is not None
    names = ("energy", "weather")
    while not all(f"{name}: all that is there is fetched; waits until" in said for name in names):
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    at = {name: getattr(polling.settings.pollers.watch, f"{name}_at") for name in names}
    for name, moment in at.items():
        due = calendar.next_at(datetime.now(UTC), moment).astimezone(calendar.KOREA)
        assert f"{name}: all that is there is fetched; waits until {due:%Y-%m-%d %H:%M:%S} KST" in said


def test_an_orderly_end_costs_no_call(polling: Polling) -> None:
    process = polling.start("backfill", "energy", "--from", TEXT, "--to", TEXT)
    await_calls(polling, process, 60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "the next run goes on from here" in said
    code, said = polling.backfill("energy", TEXT, TEXT)
    assert code == 0, said
    assert polling.simulation.outcomes("energy") == {"00": COMPLEXES}
    assert polling.simulation.repeats() == {}
    assert len([record for record in polling.records() if record.topic == "energy.usage"]) == COMPLEXES


def await_calls(polling: Polling, process: object, count: int) -> None:
    """Wait until so many calls have arrived, or the process has ended."""
    deadline = time.monotonic() + 300
    while polling.simulation.calls() < count and process.poll() is None:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_kills_cost_only_the_calls_in_flight(polling: Polling) -> None:
    seed = int(os.environ.get("CITYSTREAM_CHAOS_SEED", random.randrange(10**6)))
    print(f"CITYSTREAM_CHAOS_SEED={seed}")
    draw = random.Random(seed)
    first, last = date(2025, 1, 1), date(2025, 4, 1)
    command = ("backfill", "complexes", "energy", "weather", "--from", "2025-01", "--to", "2025-04")
    minimum = 3 + COMPLEXES + COMPLEXES + 1 + 4 * COMPLEXES
    kills = 6
    for number in range(kills):
        process = polling.start(*command, concurrency=4)
        await_calls(polling, process, draw.randint(minimum * number // kills, minimum * (number + 1) // kills - 100))
        time.sleep(draw.random() / 10)
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
    code, said = polling.run(*command, concurrency=4)
    assert code == 0, said

    assert_all_is_there(polling, first, last)
    assert set(polling.latest("complexes")) == set(PLACES)
    assert len(polling.latest("weather.daily")) == 120
    spent = polling.simulation.calls()
    assert minimum <= spent <= 1.02 * minimum, f"{spent} calls instead of {minimum}"
    # Each call that was made again was in flight when its poller was killed.
    repeated = sum(count - 1 for subjects in polling.simulation.repeats().values() for count in subjects.values())
    assert repeated <= 4 * 3 * kills
