"""A burst of sales, and in it two rescales and the kill of a TaskManager: every sale once, every oversell once."""

import os
import random
import time
from pathlib import Path

import pytest

from conf.settings import Settings
from control.cluster import Cluster
from control.reading import unread
from control.scaling import scale
from tests import slate, tickets
from tests.chaos import kills

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

# 100 times the base rate when a show goes on sale.
RATE, FACTOR, EVERY = 30, 100, 40


def counted(settings: Settings) -> int:
    """How many sales and cancellations the totals have counted so far."""
    ((found,),) = tickets.query(settings, "SELECT coalesce(sum(sold + cancelled), 0) FROM ticket_sales_per_region")
    return int(found)


@pytest.mark.timeout(1500)
def test_a_burst_is_counted_once_through_two_rescales_and_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tickets.settings()
    cluster = Cluster(settings.flink.url)
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))

    def counts_on(what: str) -> None:
        before = counted(settings)
        slate.await_that(lambda: counted(settings) > before, kills.SECONDS, f"counting goes on after {what}")

    with (
        tickets.running(settings, parallelism=2) as job,
        tickets.generator(
            tmp_path / "manifest",
            rate=RATE,
            seed=dice.randrange(2**31),
            burst_every_seconds=EVERY,
            burst_factor=FACTOR,
            burst_seconds=5,
            malformed_share=0.01,
            late_share=0.02,
            duplicate_share=0.01,
            cancelled_share=0.05,
            oversold_share=0.005,
        ) as generator,
    ):
        slate.await_that(lambda: counted(settings) > 0, 120, "the job counts sales")
        time.sleep(dice.uniform(0, 4))
        scale(settings, tickets.JOB, 4)
        time.sleep(dice.uniform(0, 4))
        kills.lose(settings, tickets.JOB, "TaskManager", dice)
        scale(settings, tickets.JOB, 3)
        counts_on("the kill and the second rescale")
        assert cluster.running(tickets.JOB) == job, "it was never resubmitted"
        generator.stop(120)
        began = time.monotonic()
        behind = unread(settings, tickets.JOB, [tickets.JOB])
        slate.await_that(lambda: unread(settings, tickets.JOB, [tickets.JOB]) == 0, 300, "the lag is back to zero")
        caught_up = time.monotonic() - began
        # Alarms wait until all that was written before has come: what comes next says so.
        calm = {"rate": 10, "seed": 1, "count": 200, "burst_every_seconds": 0, "oversold_share": 0}
        with tickets.generator(tmp_path / "manifest", **calm) as more:
            more.finish(120)
        found = tickets.assert_every_promise(settings, generator, seconds=300)
    with capsys.disabled():
        print(f"\n{dict(found)}; caught up with {behind:,} records {caught_up:.1f} s after the last sale of the burst")
