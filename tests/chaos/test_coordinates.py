"""30,000 rows with an address service that fails, and everything killed on the way: complete, and no call too many."""

import os
import random
import time
from pathlib import Path

import pytest

from geo.systems import system
from tests import coordinates, slate
from tests.chaos import kills
from tests.coordinates import LONG
from tests.unreliable_kakao import address

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.flink]

ROWS = 30_000
POSITIONS = 30_000 if LONG else 8_000
RATE = 100


@pytest.mark.timeout(1800)
def test_a_service_that_fails_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    with coordinates.Unreliable(tmp_path / "kakao") as service:
        coordinates.ask(monkeypatch, service.url)
        coordinates.environment(monkeypatch, rate_per_second=RATE, put_off_seconds=5)
        monkeypatch.setenv("CITYSTREAM__POLLERS__TIMEOUT_SECONDS", "5")
        settings = coordinates.settings()
        rows = coordinates.points(tmp_path / "points.csv", ROWS, POSITIONS, seed=dice.randrange(2**31), bad=[99, 4_711])
        with coordinates.running(settings, parallelism=2):
            batch_id = coordinates.upload(tmp_path / "points.csv", capsys)
            began = time.monotonic()

            def done() -> int:
                return coordinates.progress(settings, batch_id).done

            def goes_on(why: str) -> None:
                before = done()
                slate.await_that(lambda: done() > before, kills.SECONDS, f"addresses come after {why}")

            slate.await_that(lambda: done() > ROWS // 50, kills.SECONDS, "addresses come")
            for what in ("TaskManager", "Python workers"):
                time.sleep(dice.uniform(0, 6))
                kills.lose(settings, coordinates.JOB, what, dice)
                goes_on(f"the loss of {what}")
            service.kill(seconds=5)
            goes_on("the service was away")
            service.spend(seconds=20)
            time.sleep(12)
            while_spent = service.arrived()
            time.sleep(4)
            # Refused once, nobody asks again before the time it named; the first refusals are far behind.
            assert service.arrived() == while_spent
            goes_on("the quota is back")
            coordinates.await_end(settings, batch_id, 900)
            took = time.monotonic() - began
            found = coordinates.assert_every_row_once(rows, coordinates.exported(batch_id, tmp_path / "points.xlsx"))
        answered, arrived = service.answered(), service.arrived()
    assert [each.cells[0] for each in found if each.status == "failed"] == ["0000099", "0004711"]
    good = [row for row, each in zip(rows, found, strict=True) if each.status == "done"]
    assert len(good) == ROWS - 2
    lon, lat = system("EPSG:5174").to_wgs84([float(row[2]) for row in good], [float(row[3]) for row in good])
    positions = [(f"{x:.6f}", f"{y:.6f}") for x, y in zip(lon, lat, strict=True)]
    assert [each.address for each in found if each.status == "done"] == [address(*place) for place in positions]
    distinct = len(set(positions))
    assert set(answered) == {",".join(place) for place in positions}
    assert answered.total() <= 1.02 * distinct
    with capsys.disabled():
        print(
            f"\n{ROWS:,} rows, {distinct:,} positions: {answered.total():,} of {arrived:,} calls were answered; "
            f"{took:.0f} s, of which {distinct / RATE:.0f} s are the rate's"
        )
