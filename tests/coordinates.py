"""What tests of the coordinates job share: a clean slate, files of points, and what has come of a batch."""

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self

import openpyxl

from conf.settings import ROOT, Settings, load
from conf.streams import COORDINATES
from generators.coordinates import batches
from generators.coordinates.__main__ import main
from generators.coordinates.batches import Progress
from geo.systems import system
from sinks import postgres
from tests import slate

JOB = COORDINATES.name
(TOPIC,) = COORDINATES.topics
# The Python operators that set timers or have windows.
TIMERS = {"coordinates.addresses", "coordinates.positions"}
TABLES = ("coordinate_uploads", "coordinate_results", "address_cache", "api_answers", "api_quotas", "api_refusals")
HEADER = ["번호", "구", "x", "y"]
# In Daegu, on land.
WEST, EAST, SOUTH, NORTH = 128.55, 128.65, 35.83, 35.89


def clean_slate(settings: Settings) -> None:
    """No job, an empty topic, empty tables."""
    slate.without_job(settings, JOB)
    slate.with_empty_topics(settings, [TOPIC, *COORDINATES.borrows])
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(TABLES))


@contextlib.contextmanager
def running(settings: Settings, *, parallelism: int | None = None) -> Iterator[str]:
    """The job from a clean slate; cancelled at the end."""
    clean_slate(settings)
    with slate.running(settings, JOB, parallelism=parallelism) as job:
        yield job


def points(path: Path, count: int, distinct: int, seed: int, bad: Sequence[int] = ()) -> list[list[str]]:
    """Write a file of points in EPSG:5174, of so many distinct positions; the rows of these numbers have no x."""
    dice = Random(seed)
    places = [(dice.uniform(WEST, EAST), dice.uniform(SOUTH, NORTH)) for _ in range(distinct)]
    drawn = [*places, *(dice.choice(places) for _ in range(count - distinct))]
    x, y = system("EPSG:5174").from_wgs84(*zip(*drawn, strict=True))
    rows = [
        [f"{n:07}", f"구{n % 7}", "" if n in bad else f"{x[n - 1]:.4f}", f"{y[n - 1]:.4f}"] for n in range(1, count + 1)
    ]
    with path.open("w", encoding="cp949", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return rows


def upload(path: Path, capsys: Any) -> str:
    """Send a file; the batch's id."""
    capsys.readouterr()
    assert main(["upload", str(path), "--crs", "EPSG:5174", "--sheet-by", "구", "--anyway"]) == 0
    return str(capsys.readouterr().out.split()[-1])


def progress(settings: Settings, batch_id: str) -> Progress:
    """How far a batch is."""
    return batches.progress(settings, batch_id)


def await_end(settings: Settings, batch_id: str, seconds: float) -> float:
    """Wait until nothing more will come; return the seconds."""
    return slate.await_that(
        lambda: progress(settings, batch_id).is_complete, seconds, f"{batch_id} is complete: {_far(settings, batch_id)}"
    )


def _far(settings: Settings, batch_id: str) -> str:
    return str(progress(settings, batch_id))


def query(settings: Settings, text: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of PostgreSQL."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())


class Found(NamedTuple):
    """A row of a workbook."""

    cells: list[Any]
    lon: float | None
    lat: float | None
    address: str | None
    region: str | None
    legal_code: str | None
    status: str
    error: str | None


def exported(batch_id: str, path: Path) -> dict[str, list[Found]]:
    """The workbook of a batch, sheet after sheet."""
    assert main(["export", batch_id, str(path)]) == 0
    book = openpyxl.load_workbook(path, read_only=True)
    sheets = {}
    for sheet in book.worksheets[1:]:
        _, *lines = sheet.iter_rows(values_only=True)
        sheets[sheet.title] = [Found(list(line[: len(HEADER)]), *line[len(HEADER) :]) for line in lines]
    return sheets


def assert_every_row_once(rows: list[list[str]], sheets: dict[str, list[Found]]) -> list[Found]:
    """Each row of the file is in its sheet, once, in the file's order; return all of them in that order."""
    assert list(sheets) == list(dict.fromkeys(row[1] for row in rows))
    for key, found in sheets.items():
        assert [each.cells[0] for each in found] == [row[0] for row in rows if row[1] == key]
    return sorted((each for found in sheets.values() for each in found), key=lambda each: str(each.cells[0]))


class Unreliable:
    """The address service that fails, on a port of its own; it can be killed and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unreliable_kakao", str(self.port), str(self.folder)], cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def kill(self, seconds: float) -> None:
        """It is away for so long."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        time.sleep(seconds)
        self._start()

    def spend(self, seconds: float) -> None:
        """Its quota is spent for so long."""
        partial = self.folder / "partial"
        partial.write_text(str(time.time() + seconds))
        partial.replace(self.folder / "spent-until")

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    def answered(self) -> Counter[str]:
        """How often each position was answered well."""
        return Counter(self._lines("answered"))

    def arrived(self) -> int:
        """How many calls came in all."""
        return len(self._lines("arrived"))


def settings() -> Settings:
    """The suite's settings, with the addresses of the servers that are up now."""
    return load()


def environment(monkeypatch: Any, **addresses: object) -> None:
    """Set the job's look-ups."""
    for name, value in addresses.items():
        monkeypatch.setenv(f"CITYSTREAM__COORDINATES__ADDRESSES__{name.upper()}", str(value))


def ask(monkeypatch: Any, url: str) -> None:
    """Have addresses looked up there."""
    monkeypatch.setenv("KAKAO_URL", url)
    monkeypatch.setenv("KAKAO_REST_KEY", "simulator-open-key")


LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
