"""From the tables to a served forecast, on a real PostgreSQL: train, serve, forecast."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from apis import calendar
from apis.client import milliseconds
from board import app
from board import forecast as forecast_part
from board.forecast import Known
from conf.settings import ROOT, Settings, load
from control.cluster import Cluster
from forecast import tables, train
from forecast.store import POINTER, Store
from sinks import postgres
from tests import carbon, pollers, slate
from tests.emission import City, city

pytestmark = pytest.mark.postgres
TABLES = (
    "complexes, weather_daily, weather_forecast, emission_per_complex_month, emission_per_complex_day,"
    " emission_per_region_day, emission_forecast"
)

KEPT = """
SELECT kind, to_char(issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), day::text, mean_celsius::float
FROM weather_forecast
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("CITYSTREAM__FORECAST__DIRECTORY", str(tmp_path / "models"))
    loaded = load()
    empty(loaded)
    yield loaded
    empty(loaded)


def empty(settings: Settings) -> None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")


def copy(settings: Settings, table: str, columns: str, rows: Iterator[tuple[object, ...]]) -> None:
    text = "".join("\t".join("\\N" if v is None or v != v else str(v) for v in row) + "\n" for row in rows)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({columns}, version) FROM STDIN", io.StringIO(text))


def fill(settings: Settings, town: City) -> None:
    """Put a synthetic city into the tables, as the job would."""
    each = list(zip(town.ids, town.regions, town.households, strict=True))
    copy(
        settings,
        "complexes",
        "complex_id, name, region, address, lat, lon, households, heating",
        ((own, own, region, "-", 35.8, 128.6, int(count), None, 1) for own, region, count in each),
    )
    parts = (town.weather.mean, town.weather.low, town.weather.high, town.weather.rain)
    copy(
        settings,
        "weather_daily",
        "station, day, mean_celsius, min_celsius, max_celsius, rain_mm, snow_cm, humidity_percent",
        (("143", day, *values, 0, None, 1) for day, *values in zip(town.weather.days, *parts, strict=True)),
    )
    copy(
        settings,
        "emission_per_complex_month",
        "complex_id, month, kg_co2, electricity_kg, gas_kg, water_kg",
        (
            (own, month, np.nansum(kg), *kg, 1)
            for row, own in enumerate(town.ids)
            for number, month in enumerate(town.months)
            if np.isfinite(kg := [town.kg[item][row, number] for item in ("electricity", "gas", "water")]).any()
        ),
    )
    copy(
        settings,
        "emission_per_complex_day",
        "complex_id, day, kg_co2, estimated",
        (
            (own, day, kg, True, 1)
            for own, values in zip(town.ids, town.daily, strict=True)
            for day, kg in zip(town.weather.days, values, strict=True)
            if np.isfinite(kg)
        ),
    )
    regions = np.array(town.regions)
    copy(
        settings,
        "emission_per_region_day",
        "region, day, kg_co2, complexes, estimated",
        (
            (region, day, np.nansum(kg), int(np.isfinite(kg).sum()), True, 1)
            for region in sorted(set(town.regions))
            for day, kg in zip(town.weather.days, town.daily[regions == region].T, strict=True)
            if np.isfinite(kg).any()
        ),
    )


class Service:
    """The forecast service as a process of its own, on a free port."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / "board.log"
        environment = {
            **os.environ,
            "BOARD_URL": self.url,
            "CITYSTREAM__BOARD__REFRESH_SECONDS": "0.5",
            "CITYSTREAM__FORECAST__DIRECTORY": str(settings.models),
        }
        with self._log.open("w") as log:
            command = [sys.executable, "-m", "board"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30)

    def await_health(self, says: str) -> None:
        deadline = time.monotonic() + 120
        answer = ""
        while says not in answer:
            assert time.monotonic() < deadline, (answer, self._log.read_text())
            time.sleep(0.2)
            try:
                answer = self.get("/health").text
            except httpx.TransportError as error:
                answer = str(error)


def test_train_serve_forecast(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    town = city(21, complexes=60)
    with Service(settings, tmp_path) as service:
        service.await_health("make train")
        assert service.get("/forecast?region=27260").status_code == 503

        assert train.main([]) == 1
        assert "make backfill" in capsys.readouterr().err

        fill(settings, town)
        assert train.main([]) == 0
        printed = capsys.readouterr().out
        assert "coverage, %" in printed
        assert "month's mean a year before: MAE" in printed

        service.await_health('"ok"')
        answer = service.get("/forecast?region=27260&days=14").json()
        assert answer["days"][0]["day"] == "2026-11-21"
        described = service.get("/models/current").json()
        assert described["version"] == answer["model_version"] == Store(settings.models).current()
        assert described["data"]["weather_until"] == "2026-11-20"
        assert described["complexes"] == len(town.ids)
        ways = described["metrics"]["region"]
        assert ways["forecast: expected weather"][0]["mae"] < ways["month's mean a year before"][0]["mae"]

        # What is read from the tables is what the city was made of: complexes of the region add up to its figure.
        own = [name for name, region in zip(town.ids, town.regions, strict=True) if region == "27260"]
        parts = [service.get(f"/forecast?complex={name}&days=1").json()["days"][0]["kg_co2"] for name in own]
        assert sum(parts) == pytest.approx(answer["days"][0]["kg_co2"], rel=1e-5)

        # New weather is taken up without a restart.
        copy(
            settings,
            "weather_daily",
            "station, day, mean_celsius, min_celsius, max_celsius, rain_mm, snow_cm",
            iter([("143", "2026-11-21", -9.0, -15.0, -4.0, 0, 0, 2)]),
        )
        service.await_health("2026-11-21")
        colder = service.get("/forecast?region=27260&days=1").json()["days"][0]
        assert colder["day"] == "2026-11-22"
        assert colder["kg_co2"] > answer["days"][1]["kg_co2"]
        past = service.get("/forecast?region=27260&days=1&start=2026-11-21").json()["days"][0]
        assert past["weather"] == "observed"


def test_too_short_a_history_says_how_short(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    fill(settings, city(22, complexes=10, first=date(2025, 10, 1)))
    assert train.main([]) == 1
    assert "15 are needed" in capsys.readouterr().err
    assert not settings.models.exists()


@pytest.mark.kafka
@pytest.mark.elasticsearch
@pytest.mark.flink
@pytest.mark.timeout(600)
def test_the_job_forecasts_when_a_model_appears_and_when_weather_arrives(settings: Settings) -> None:
    town = city(23, complexes=20)
    fill(settings, town)
    assert train.main([]) == 0
    model = Store(settings.models).load()
    pointer = settings.models / POINTER
    pointer.rename(settings.models / "later")
    history = carbon.History()
    for day, mean, low, high, rain in zip(*vars(town.weather).values(), strict=True):
        values = {"avgTa": mean, "minTa": low, "maxTa": high, "sumRn": rain}
        history.measure(day.astype(object), **{name: str(value) for name, value in values.items()}, ddMes="", avgRhm="")

    def forecast() -> dict[tuple[object, ...], float]:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT scope, id, day, kg_co2 FROM emission_forecast")
            return {tuple(key): float(kg) for *key, kg in cursor.fetchall()}

    expected = {(row.scope, row.id, row.day): row.kg_co2 for row in model.rows(town.weather, settings.forecast.days)}
    with carbon.running(settings, lambda: history.send(settings)):
        carbon.settle(settings, 180)
        time.sleep(settings.forecast.quiet_seconds)  # by now the weather was to be applied, and there was no model
        assert forecast() == {}
        (settings.models / "later").rename(pointer)
        slate.await_that(lambda: set(forecast()) >= set(expected), 60, "all days ahead are forecast")
        assert {key: kg for key, kg in forecast().items() if key in expected} == pytest.approx(expected, abs=0.0011)
        history.measure(date(2026, 11, 21), avgTa="-9.0", minTa="-15.0", maxTa="-4.0", sumRn="", ddMes="", avgRhm="")
        history.send(settings)
        eighth = ("region", "27260", date(2026, 11, 28))
        slate.await_that(lambda: eighth in forecast(), 60, "the new day moves the forecast on")
        following = ("region", "27260", date(2026, 11, 22))
        assert forecast()[following] > expected[following]


@pytest.mark.kafka
@pytest.mark.elasticsearch
@pytest.mark.flink
@pytest.mark.timeout(900)
def test_what_kma_forecasts_is_kept_by_issue_and_reaches_the_forecast_of_emission(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the simulated services through poller, topic and job into both tables and the service."""
    monkeypatch.setenv("CITYSTREAM__FORECAST__DAYS", "14")
    settings = load()
    now = datetime.now(UTC)
    today = calendar.day_of(now)
    town = city(24, complexes=20, first=date(today.year - 2, today.month, 1), today=today)
    fill(settings, town)
    assert train.main([]) == 0
    model = Store(settings.models).load()
    history = carbon.History(clock=milliseconds(now))
    for day, mean, low, high, rain in zip(*vars(town.weather).values(), strict=True):
        values = {"avgTa": mean, "minTa": low, "maxTa": high, "sumRn": rain}
        told = {name: str(value) for name, value in values.items()}
        history.measure(day.astype(object), **told, ddMes="", avgRhm="")

    def poll(run: str) -> dict[tuple[str, ...], float]:
        """Fetch with a state of its own; what came, by key."""
        (tmp_path / run).mkdir()
        polling = pollers.Polling(tmp_path / run, simulation)
        code, said = polling.run("backfill", "forecasts", watch__forecast_days=3)
        assert code == 0, said
        records = [json.loads(record.value) for record in polling.latest("weather.forecast").values()]
        return {
            tuple(record[name] for name in ("kind", "issued_at", "day")): record["mean_celsius"] for record in records
        }

    def kept() -> dict[tuple[str, ...], float]:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(KEPT)
            return {tuple(key): mean for *key, mean in cursor.fetchall()}

    def forecast() -> dict[tuple[object, ...], tuple[float, str]]:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT scope, id, day, kg_co2::float, weather FROM emission_forecast")
            return {tuple(key): (kg, weather) for *key, kg, weather in cursor.fetchall()}

    def expected() -> dict[tuple[object, ...], tuple[float, str]]:
        with postgres.connect(settings) as connection:
            announced = tables.read_announced(connection, "143")
        made = model.rows(town.weather, settings.forecast.days, announced)
        return {(row.scope, row.id, row.day): (row.kg_co2, row.weather) for row in made}

    def agrees() -> bool:
        want, have = expected(), forecast()
        return want.keys() <= have.keys() and all(
            (have[key][1], round(have[key][0] - kg, 2)) == (weather, 0) for key, (kg, weather) in want.items()
        )

    def words() -> list[str]:
        days = [today + timedelta(days=number) for number in range(14)]
        return [forecast()["region", "27260", day][1] for day in days]

    # Two days ago at midnight as the services have it, then now.
    before = (today - timedelta(days=2)).isoformat()
    with (
        pollers.Simulation(tmp_path / "simulator.log", today=before) as simulation,
        carbon.running(settings, lambda: history.send(settings)) as job,
    ):
        cluster = Cluster(settings.flink.url)
        started = cluster.last_start(job)
        first = poll("first")
        assert {kind for kind, *_ in first} == {"short-term", "mid-term"}
        slate.await_that(lambda: kept() == first, 180, "what each issue said is in the table")
        slate.await_that(agrees, 60, "emission is forecast by it")
        assert words() == ["forecast"] * 3 + ["mid-term"] * 6 + ["normal"] * 5
        earlier = forecast()

        simulation.put("today", today=None)
        second = poll("second")
        newest = max(issued for kind, issued, _ in second if kind == "short-term")
        assert newest > max(issued for kind, issued, _ in first if kind == "short-term")
        slate.await_that(lambda: kept() == first | second, 180, "issues are kept beside each other")
        slate.await_that(agrees, 60, "the newest issue counts")
        tomorrow = ("region", "27260", today + timedelta(days=1))
        assert forecast()[tomorrow][0] != earlier[tomorrow][0]
        assert words()[:4] == ["forecast"] * 4

        known = Known()
        known.refresh(settings)
        answer = TestClient(app.create(forecast_part.answering(known))).get("/forecast?region=27260&days=14").json()
        assert [day["weather"] for day in answer["days"]] == words()

        kind, issued, day = next(key for key in second if key[0] == "mid-term")
        bad = {"station": "143", "kind": kind, "issued_at": issued, "day": issued[:10], "mean_celsius": 5}
        history.raw("weather.forecast", f"143|{kind}|{issued}|{day}", json.dumps(bad).encode())
        history.send(settings)
        slate.await_that(lambda: carbon.dead_letters(settings, "weather.forecast"), 90, "its dead letter is there")
        assert [letter["reason"] for letter in carbon.dead_letters(settings, "weather.forecast")] == ["out-of-range"]
        assert kept() == first | second
        assert cluster.last_start(job) == started
