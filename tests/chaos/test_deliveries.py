"""Kill TaskManagers, Python workers and the JobManager at random moments, rescale: every order is there, once."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from conf.settings import Settings
from control import jobs
from control.cluster import Cluster
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import deliveries, slate

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
RATE = 5_000
KILLS = 3 if LONG else 1
# Seconds between one kill and the next, so that some fall into a recovery, some into a checkpoint, some into neither.
BETWEEN = (8, 25) if LONG else (6, 10)
# The goal is 15 s. How long it takes depends on how busy the machine is, so it is printed, and only a job that does not
# come back fails the test.
RECOVERY_SECONDS = 120


def descendants(root: psutil.Process, word: str) -> list[psutil.Process]:
    """The processes below `root` whose command line holds `word`."""
    found = []
    for process in root.children(recursive=True):
        try:
            if any(word in part for part in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def task_managers(settings: Settings) -> list[psutil.Process]:
    """The TaskManagers of this suite's own stack that run tasks of the job."""
    cluster = Cluster(settings.flink.url)
    busy = cluster.task_managers(cluster.running(deliveries.TOPIC) or "")
    states = LocalStack.of(settings.stack).supervisor.states()
    return [psutil.Process(state.pid) for state in states if state.name in busy and state.pid]


def python_workers(settings: Settings) -> list[psutil.Process]:
    """The Python workers of this suite's own TaskManagers."""
    return [worker for manager in task_managers(settings) for worker in descendants(manager, "pyflink.fn_execution")]


def job_manager(settings: Settings) -> list[psutil.Process]:
    """The JobManager of this suite's own stack."""
    states = LocalStack.of(settings.stack).supervisor.states()
    return [psutil.Process(state.pid) for state in states if state.name == "jobmanager"]


VICTIMS = {"TaskManager": task_managers, "Python worker": python_workers, "JobManager": job_manager}


def counted(settings: Settings) -> int:
    """How many orders the totals have counted so far; it never goes back, and stands still during a replay."""
    with deliveries.postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(orders), 0) FROM charge_per_day")
        (orders,) = cursor.fetchone() or (0,)
        return int(orders)


def restarted(cluster: Cluster) -> float:
    """When the job last began anew; 0 while there is no JobManager to say so."""
    try:
        job = cluster.running(deliveries.TOPIC)
        return cluster.last_start(job) if job else 0.0
    except NotReadyError:
        return 0.0


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("python_mode", ["process", "thread"] if LONG else ["process"])
def test_nothing_is_lost_or_doubled_whatever_is_killed(
    python_mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYSTREAM__DELIVERIES__PYTHON_MODE", python_mode)
    settings = deliveries.settings()
    cluster = Cluster(settings.flink.url)
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    # In threads, Python ends with its TaskManager.
    kills = [*(["TaskManager"] if python_mode == "thread" else ["TaskManager", "Python worker"]) * KILLS, "JobManager"]
    dice.shuffle(kills)
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
        for number, kill in enumerate(kills):
            time.sleep(dice.uniform(*BETWEEN))
            victim = dice.choice(VICTIMS[kill](settings))
            victim.send_signal(signal.SIGKILL)
            began, killed_at = time.monotonic(), time.time()
            slate.await_that(
                lambda killed_at=killed_at: restarted(cluster) > killed_at,
                RECOVERY_SECONDS,
                f"the loss of a {kill} is noticed",
            )
            before = counted(settings)
            slate.await_that(
                lambda before=before: counted(settings) > before,
                RECOVERY_SECONDS,
                f"counting goes on after the loss of a {kill}",
            )
            recovered.append(f"{kill}: {time.monotonic() - began:.1f} s")
            if number == len(kills) // 2:
                jobs.stop(settings, deliveries.TOPIC)
                jobs.resume(settings, deliveries.TOPIC, parallelism=3)
        generator.stop(60)
        deliveries.assert_every_promise(settings, generator, seconds=180)

    with capsys.disabled():
        print(f"\nPython by {python_mode}: new orders were counted again after the kill of a " + ", ".join(recovered))
