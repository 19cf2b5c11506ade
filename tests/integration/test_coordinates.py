"""Coordinates on real servers: files to workbooks, with the simulator as the address service."""

import json
import time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from kafka import KafkaProducer

from conf.city import places
from conf.settings import Settings
from control import jobs, reading
from control.cluster import Cluster
from generators.coordinates.__main__ import main
from generators.simulator.carbon.services import World, geocoded, road_address
from generators.simulator.kakao import addressed
from geo.systems import system
from jobs.coordinates import build
from jobs.rules.carbon.complexes import parse
from sinks import kafka, postgres
from sinks.errors import NotReadyError
from tests import coordinates, monitoring, slate
from tests.integration.conftest import scrape

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.flink]
ROWS, POSITIONS = 30_000, 300
REQUEST = {
    "batch_id": "b1", "sheet": "중구", "row_number": 7, "x": 344556.52, "y": "264,651.13", "source_crs": "EPSG:5174",
    "payload": ["0012", {"number": 1, "format": "0.0"}, "=1+1", None, 1e308],
}  # fmt: skip


def request(**changes: object) -> bytes:
    fields = {name: value for name, value in {**REQUEST, **changes}.items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


BAD: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "null-value"),
    "empty": (b"", "empty"),
    "not JSON": (b"344556.52,264651.13", "not-json"),
    "an array": (b"[" + request() + b"]", "not-an-object"),
    "no batch": (request(batch_id=...), "missing-field"),
    "an empty batch": (request(batch_id=""), "out-of-range"),
    "a batch that is too long": (request(batch_id="b" * 65), "too-long"),
    "a sheet that is too long": (request(sheet="a" * 101), "too-long"),
    "a sheet that is a number": (request(sheet=7), "wrong-type"),
    "row 0": (request(row_number=0), "out-of-range"),
    "a row beyond what a double holds": (request(row_number=2**60), "out-of-range"),
    "a row in quotes": (request(row_number="7"), "wrong-type"),
    "no system": (request(source_crs=None), "missing-field"),
    "a system that is too long": (request(source_crs="x" * 5_000), "too-long"),
    "no payload": (request(payload=...), "missing-field"),
    "a payload that is an object": (request(payload={}), "wrong-type"),
    "a NUL byte": (request(payload=["a\0"]), "nul-byte"),
    "half a character": (request(payload=["half"]).replace(b"half", b"\\ud800"), "invalid-utf8"),
    "invalid UTF-8": (request().replace("중구".encode(), b"\xec\x20\xff"), "invalid-utf8"),
}
GOOD = [
    request(),
    request(row_number=8, x=None),
    request(row_number=9, x=[1], sheet=""),
    request(row_number=10, payload=[]).replace(b'"payload": []', b'"payload": [1e999999, -0, "\\u00e9"]'),
    request(row_number=11, source_crs="no system at all"),
    request(row_number=12, x=128.6014, y=35.8714, source_crs="WGS84", fault="said before"),
]


@pytest.fixture(scope="module")
def settings(servers: None) -> Settings:
    return coordinates.settings()


def send(settings: Settings, values: list[bytes | None]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all")
    for future in [producer.send(coordinates.TOPIC, value, b"b1|") for value in values]:
        future.get(30)
    producer.close()


def letters(settings: Settings) -> list[dict[str, Any]]:
    return slate.by_key(settings, kafka.dead_letter_topic(coordinates.TOPIC))


@pytest.mark.timeout(900)
def test_from_files_to_workbooks(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with coordinates.running(settings) as job:
        _every_bad_record_is_one_letter(settings)
        _a_small_file(settings, tmp_path, capsys)
        _complexes_without_a_position(settings)
        _many_rows(settings, tmp_path, capsys)
        _what_is_counted_of_look_ups_is_shown(settings)
        assert Cluster(settings.flink.url).last_failure(job) is None


def _every_bad_record_is_one_letter(settings: Settings) -> None:
    send(settings, [value for value, _ in BAD.values()])
    send(settings, list(GOOD))
    slate.await_that(lambda: len(letters(settings)) >= len(BAD), 180, "every bad record is a letter")
    found = letters(settings)
    assert sorted(letter["reason"] for letter in found) == sorted(reason for _, reason in BAD.values())
    slate.await_that(
        lambda: (
            coordinates.query(settings, "SELECT count(*) FROM coordinate_results WHERE status <> 'waiting'")
            == [(len(GOOD),)]
        ),
        120,
        "every good record has a result",
    )
    results = coordinates.query(
        settings, "SELECT row_number, status, error, payload::text FROM coordinate_results ORDER BY row_number"
    )
    assert [(number, status) for number, status, *_ in results] == [
        (7, "done"), (8, "failed"), (9, "failed"), (10, "done"), (11, "failed"), (12, "failed"),
    ]  # fmt: skip
    assert [error for _, _, error, _ in results if error][:2] == ["x is empty", "x is not a number: '[1]'"]
    assert results[3][3] == '[1e999999, -0, "\\u00e9"]'
    assert results[5][2] == "said before"


def _a_small_file(settings: Settings, folder: Path, capsys: Any) -> None:
    """Its workbook is its results, in the file's order, with the addresses of the simulator."""
    rows = coordinates.points(folder / "small.csv", 60, 40, seed=1, bad=[5, 17])
    batch_id = coordinates.upload(folder / "small.csv", capsys)
    coordinates.await_end(settings, batch_id, 120)
    found = coordinates.assert_every_row_once(rows, coordinates.exported(batch_id, folder / "small.xlsx"))
    assert "not complete" not in capsys.readouterr().err
    assert [each.cells[0] for each in found if each.status == "failed"] == ["0000005", "0000017"]
    assert {each.error for each in found if each.status == "failed"} == {"x is empty"}
    for row, each in zip(rows, found, strict=True):
        if each.status == "failed":
            continue
        lon, lat = system("EPSG:5174").to_wgs84([float(row[2])], [float(row[3])])
        assert (each.lon, each.lat) == (pytest.approx(lon[0], abs=1e-9), pytest.approx(lat[0], abs=1e-9))
        (place,) = addressed(float(f"{lon[0]:.6f}"), float(f"{lat[0]:.6f}"))
        expected: Any = place["road_address"] or place["address"]
        assert each.address == expected["address_name"]
        assert str(each.legal_code).startswith(str(each.region))


def _complexes_without_a_position(settings: Settings) -> None:
    """Those whose address is known are described again, with their position; nobody is asked for twice."""
    world = World.of(settings.simulator)
    place = next(each for each in places.complexes() if geocoded(world, road_address(each)))
    described = {
        "complex_id": place.complex_id, "name": place.name, "region": place.region, "address": road_address(place),
        "lat": None, "lon": None, "households": 300, "heating": None, "legal_dong": None, "parcel": None,
    }  # fmt: skip
    nowhere = {**described, "complex_id": "A0", "address": "아무도 모르는 길 1", "parcel": "아무도 모르는 동 1"}
    placed = {**described, "complex_id": "A1", "lat": 35.8, "lon": 128.6}
    known = (place.complex_id, json.dumps(described).encode())
    unknown = ("A0", json.dumps(nowhere).encode())
    bad = [("A2", None), ("A3", b"no JSON"), ("A4", json.dumps({**described, "address": " "}).encode())]
    first = [known, known, unknown, ("A1", json.dumps(placed).encode()), *bad]
    _describe(settings, first, at=1_795_200_000_000)
    slate.await_that(lambda: len(_located(settings)) >= 2, 120, "complexes are located")
    _describe(settings, [unknown, known], at=1_795_200_001_000)
    slate.await_that(lambda: len(_located(settings)) >= 3, 120, "the one that is known is located again")
    found = _located(settings)
    assert [at for *_, at in found] == [1_795_200_000_001, 1_795_200_000_001, 1_795_200_001_001]
    for key, value, at in found:
        assert (key, json.loads(value)) == (place.complex_id, {**described, "lat": place.lat, "lon": place.lon})
        assert parse(key, value, at).lat == place.lat
    # One call for the address that is known, one each for the other address and its parcel.
    assert coordinates.query(settings, "SELECT sum(calls) FROM api_quotas WHERE operation = 'address'") == [(3,)]


def _describe(settings: Settings, values: list[tuple[str, bytes | None]], at: int) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all")
    for key, value in values:
        producer.send("complexes", value, key.encode(), timestamp_ms=at).get(30)
    producer.close()


def _located(settings: Settings) -> list[tuple[str, bytes, int]]:
    """What the job has written: its timestamps are odd ones here, as those that a test sends are even."""
    found: list[tuple[str, bytes, int]] = []
    with reading.Reader(settings, ["complexes"]) as reader:
        reader.read(lambda each: found.append((each.key.decode(), each.value, each.timestamp)))
    return sorted((each for each in found if each[2] % 2), key=lambda each: each[2])


def _many_rows(settings: Settings, folder: Path, capsys: Any) -> None:
    """30,000 rows, once warm; while addresses are awaited an export gives what is there, and says so."""
    rows = coordinates.points(folder / "many.csv", ROWS, ROWS - POSITIONS, seed=2)
    batch_id = coordinates.upload(folder / "many.csv", capsys)
    sent = time.monotonic()
    slate.await_that(lambda: coordinates.progress(settings, batch_id).unseen == 0, 300, "all rows are converted")
    converted = time.monotonic() - sent
    far = coordinates.progress(settings, batch_id)
    assert far.waiting > 0
    assert far.estimated_end is not None
    assert main(["export", batch_id, str(folder / "partly.xlsx")]) == 0
    assert "not complete yet, export it again later" in capsys.readouterr().err
    assert "NOT COMPLETE" in str(openpyxl.load_workbook(folder / "partly.xlsx", read_only=True)["Summary"]["B2"].value)
    before, began = coordinates.progress(settings, batch_id).done, time.monotonic()
    time.sleep(30)
    rate = (coordinates.progress(settings, batch_id).done - before) / (time.monotonic() - began)
    allowed = settings.coordinates.addresses.rate_per_second
    with capsys.disabled():
        print(
            f"\n{ROWS:,} rows converted {converted:.1f} s after the last was sent, "
            f"{rate:.0f} addresses a second of {allowed:g}"
        )
    assert len(rows) == far.rows


def _what_is_counted_of_look_ups_is_shown(settings: Settings) -> None:
    """A counter of Python is told of once it has counted; given up and put off is nothing here."""
    samples, used = scrape(settings), monitoring.used()
    counted = {metric for metric in monitoring.LOOK_UPS if metric.endswith(("_answered", "_spared"))}
    for metric in counted:
        asking = {labels["operator_name"] for labels in samples[metric]}
        assert all(any(operator in name for name in asking) for operator in ("addresses", "positions")), asking
        assert all(used[metric] <= labels.keys() for labels in samples[metric])


@pytest.mark.timeout(600)
def test_threads(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups inside the TaskManager; stopped with a savepoint while rows wait, and resumed, it goes on."""
    monkeypatch.setenv("CITYSTREAM__COORDINATES__PYTHON_MODE", "thread")
    coordinates.environment(monkeypatch, rate_per_second=20)
    chosen = coordinates.settings()
    with coordinates.running(chosen):
        rows = coordinates.points(tmp_path / "points.csv", 600, 600, seed=3)
        batch_id = coordinates.upload(tmp_path / "points.csv", capsys)
        slate.await_that(lambda: coordinates.progress(chosen, batch_id).done > 20, 180, "addresses come")
        jobs.stop(chosen, coordinates.JOB)
        left = coordinates.progress(chosen, batch_id)
        assert left.waiting > 0
        assert left.unseen == 0
        jobs.resume(chosen, coordinates.JOB)
        coordinates.await_end(chosen, batch_id, 180)
        found = coordinates.assert_every_row_once(rows, coordinates.exported(batch_id, tmp_path / "points.xlsx"))
        assert {each.status for each in found} == {"done"}


def test_what_is_missing_is_named(settings: Settings) -> None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE address_cache RENAME TO address_cash")
    try:
        with pytest.raises(NotReadyError, match="no table address_cache: run `make prepare`"):
            build(settings)
    finally:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER TABLE address_cash RENAME TO address_cache")
