"""What the service refuses of a file before any server is asked."""

import contextlib
import io
from datetime import UTC, datetime
from typing import NoReturn, cast

import openpyxl
import pytest
from fastapi.testclient import TestClient

from board import app, coordinates
from conf.settings import Settings
from generators.coordinates.batches import Progress
from generators.coordinates.reading import FileError
from sinks.errors import NotReadyError
from tests.unit.test_coordinate_exports import batch

ROWS = b"x,y,address\n" + "344556.52,264651.13,대구광역시 중구 동인동1가 2\n".encode() * 5


def nowhere() -> NoReturn:
    message = "PostgreSQL is away."
    raise NotReadyError(message)


@pytest.fixture
def client() -> TestClient:
    return TestClient(app.create(coordinates.part(nowhere)))


@pytest.mark.parametrize(
    ("query", "content", "status", "sentence"),
    [
        ("crs=EPSG:5174", b"", 422, "points is empty"),
        ("crs=EPSG:5174&name=a/../b.csv", b"a,b\n1,2\n", 422, "b.csv, no column looks like x"),
        ("crs=nonsense", ROWS, 422, "PROJ knows no coordinate system"),
        ("crs=EPSG:5174&name=..", ROWS, 503, "PostgreSQL is away."),
        (f"crs=EPSG:5174&name={'점' * 200}", ROWS, 503, "PostgreSQL is away."),
        ("", ROWS, 422, "crs: Field required"),
    ],
)
def test_refusals_are_problems(client: TestClient, query: str, content: bytes, status: int, sentence: str) -> None:
    answer = client.post(f"/coordinates?{query}", content=content)
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]


def test_systems_are_proposed(client: TestClient) -> None:
    for query, system, is_swapped in (("crs=auto", "EPSG:5174", False), ("crs=EPSG:5174&x=y&y=x", "EPSG:5174", True)):
        answer = client.post(f"/coordinates?{query}", content=ROWS)
        assert answer.status_code == 422
        best = answer.json()["proposals"][0]
        assert (best["system"], best["is_swapped"]) == (system, is_swapped)
        assert best["sureness"] > 0.9


def test_a_file_that_is_too_large(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinates, "MOST_BYTES", 1 << 20)
    assert client.post("/coordinates?crs=EPSG:5174", content=io.BytesIO(b"1" * (1 << 21))).status_code == 413


def test_batches_without_a_database(client: TestClient) -> None:
    assert client.get("/coordinates/b1").status_code == client.get("/coordinates/b1.xlsx").status_code == 503
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 200


def test_a_batch_comes_back_in_each_format(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Progress(20, 18, 0, 2, 0, datetime(2026, 11, 26, tzinfo=UTC))
    monkeypatch.setattr(coordinates.batches, "progress", lambda *_: far)
    monkeypatch.setattr(coordinates.batches, "opened", lambda *_: contextlib.nullcontext(batch()))
    client = TestClient(app.create(coordinates.part(lambda: cast("Settings", None))))
    assert client.get("/coordinates/b1").json() == {
        "batch_id": "b1", "rows": 20, "done": 18, "waiting": 0, "failed": 2, "unseen": 0,
        "estimated_end": "2026-11-26T00:00:00+00:00",
    }  # fmt: skip
    for ending, begins in ((".xlsx", b"PK"), (".csv", b"\xef\xbb\xbf"), (".geojson", b"{"), (".parquet", b"PAR1")):
        result = client.get(f"/coordinates/b1{ending}")
        assert result.status_code == 200
        assert result.content.startswith(begins)
        assert f'filename="b1{ending}"' in result.headers["content-disposition"]
    book = openpyxl.load_workbook(io.BytesIO(client.get("/coordinates/b1.xlsx").content))
    assert book.sheetnames[:2] == ["Summary", "중구"]


def test_a_batch_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> NoReturn:
        message = "There is no batch 'b2'"
        raise FileError(message)

    monkeypatch.setattr(coordinates.batches, "progress", missing)
    client = TestClient(app.create(coordinates.part(lambda: cast("Settings", None))))
    for path in ("/coordinates/b2", "/coordinates/b2.xlsx"):
        assert client.get(path).status_code == 404
        assert client.get(path).json()["detail"] == "There is no batch 'b2'"
