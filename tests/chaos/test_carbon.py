"""Kill the TaskManager, a Python worker and PostgreSQL while a history is read: every table comes out the same."""

import os
import random
import signal
import time
from datetime import date

import psutil
import psycopg2
import pytest

from conf.settings import Settings
from control.cluster import Cluster
from sinks import postgres
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import carbon, slate
from tests.chaos.test_deliveries import descendants

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
COMPLEXES = 300 if LONG else 60
KILLS = 2 if LONG else 1
RECOVERY_SECONDS = 120
SECONDS = 600


def rows(settings: Settings) -> int:
    """How many complexes' days there are; -1 while PostgreSQL is away."""
    try:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM emission_per_complex_day")
            (count,) = cursor.fetchone() or (0,)
            return int(count)
    except (NotReadyError, psycopg2.Error):
        return -1


def kill(settings: Settings, what: str, dice: random.Random) -> None:
    """SIGKILL one of these processes of this suite's own stack, and wait until it is back or missed."""
    cluster, stack = Cluster(settings.flink.url), LocalStack.of(settings.stack)
    job = cluster.running(carbon.JOB) or ""
    if what == "PostgreSQL":
        os.kill(stack.require("postgres").pid, signal.SIGKILL)
        slate.await_that(lambda: rows(settings) >= 0, RECOVERY_SECONDS, "PostgreSQL is back")
        return

    def victims() -> list[psutil.Process]:
        busy = cluster.task_managers(job)
        managers = [psutil.Process(s.pid) for s in stack.supervisor.states() if s.name in busy and s.pid]
        if what == "TaskManager":
            return managers
        return [worker for manager in managers for worker in descendants(manager, "pyflink.fn_execution")]

    # A job that is just being restarted has none for a moment.
    slate.await_that(victims, RECOVERY_SECONDS, f"there is a {what}")
    victim = dice.choice(victims())
    killed_at = time.time()
    victim.send_signal(signal.SIGKILL)
    slate.await_that(lambda: cluster.last_start(job) > killed_at, RECOVERY_SECONDS, f"the loss of a {what} is noticed")


@pytest.mark.timeout(1800)
def test_a_history_read_under_kills_comes_out_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    settings = carbon.settings()
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    kills = ["TaskManager", "PostgreSQL", "Python worker"] * KILLS
    dice.shuffle(kills)
    history = carbon.synthetic(complexes=COMPLEXES, first=date(2024, 1, 1), count=30, seed=dice.randrange(2**31))
    parts = [history.records[at :: len(kills) + 1] for at in range(len(kills) + 1)]
    history.records = []
    with carbon.running(settings):
        for part, what in zip(parts, [*kills, None], strict=True):
            history.records = part
            history.send(settings)
            if what:
                time.sleep(dice.uniform(0, 6))  # some kills fall into a checkpoint, some into a restart
                kill(settings, what, dice)
        took = carbon.await_agreement(settings, history, SECONDS)
        # A correction afterwards finds the state whole.
        for complex_id, month in list(history.usage)[:: len(history.usage) // 50]:
            history.use(complex_id, month, electricity="31415.9", water="271.8")
        for (dong, month, item), pages in list(history.metered.items())[::9]:
            history.meter(dong, month, item, [(lot, "55555.5") for lot, _ in pages["1"][1:]], "1")
        for complex_id, month in list(history.usage)[7 :: len(history.usage) // 20]:
            history.use(complex_id, month)  # taken back: what was metered counts, or an estimate
        history.send(settings)
        carbon.await_agreement(settings, history, SECONDS)
    with capsys.disabled():
        print(f"\nEvery table was right {took:.0f} s after the last record, with the kills of {', '.join(kills)}")
