"""From the tables to a served forecast, on a real PostgreSQL: train, serve, forecast."""

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest

from conf.settings import ROOT, Settings, load
from forecast import train
from forecast.store import POINTER, Store
from sinks import postgres
from tests import carbon, slate
from tests.emission import City, city

pytestmark = pytest.mark.postgres
TABLES = (
    "complexes, weather_daily, emission_per_complex_month, emission_per_complex_day, emission_per_region_day,"
    " emission_forecast"
)


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
