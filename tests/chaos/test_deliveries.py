"""Kill TaskManagers, Python workers and the JobManager at random moments, rescale: every order is there, once."""

import os
import random
import time
from pathlib import Path

import pytest

from conf.settings import Settings
from control import jobs
from tests import deliveries, slate
from tests.chaos import kills

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
RATE = 5_000
KILLS = 3 if LONG else 1
# Seconds between one kill and the next, so that some fall into a recovery, some into a checkpoint, some into neither.
BETWEEN = (8, 25) if LONG else (6, 10)


def counted(settings: Settings) -> int:
    """How many orders the totals have counted so far; it never goes back, and stands still during a replay."""
    with deliveries.postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(orders), 0) FROM charge_per_day")
        (orders,) = cursor.fetchone() or (0,)
        return int(orders)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("python_mode", ["process", "thread"] if LONG else ["process"])
def test_nothing_is_lost_or_doubled_whatever_is_killed(
    python_mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYSTREAM__DELIVERIES__PYTHON_MODE", python_mode)
    settings = deliveries.settings()
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    # In threads, Python ends with its TaskManager.
    losses = [
        *(["TaskManager"] if python_mode == "thread" else ["TaskManager", "Python workers"]) * KILLS,
        "JobManager",
    ]
    dice.shuffle(losses)
    recovered: list[str] = []

    with (
        deliveries.running(settings, parallelism=2),
        deliveries.generator(
            tmp_path / "manifest",
            rate=RATE,
            seed=dice.randrange(2**31),
            malformed_share=0.01,
            late_share=0.02,
            duplicate_share=0.01,
        ) as generator,
    ):
        slate.await_that(lambda: counted(settings) > 0, 60, "the job counts orders")
        for number, what in enumerate(losses):
            time.sleep(dice.uniform(*BETWEEN))
            began = time.monotonic()
            kills.lose(settings, deliveries.TOPIC, what, dice)
            before = counted(settings)
            slate.await_that(
                lambda before=before: counted(settings) > before,
                kills.SECONDS,
                f"counting goes on after the loss of {what}",
            )
            recovered.append(f"{what}: {time.monotonic() - began:.1f} s")
            if number == len(losses) // 2:
                jobs.stop(settings, deliveries.TOPIC)
                jobs.resume(settings, deliveries.TOPIC, parallelism=3)
        generator.stop(60)
        deliveries.assert_every_promise(settings, generator, seconds=180)

    with capsys.disabled():
        print(f"\nPython by {python_mode}: new orders were counted again after the kill of " + ", ".join(recovered))
