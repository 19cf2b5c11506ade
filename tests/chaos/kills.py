"""SIGKILL for processes of the suite's own stack, and the wait until what was lost is back."""

import contextlib
import random
import signal
import time
from collections.abc import Iterable

import psutil
import psycopg2

from conf.settings import Settings
from control.cluster import Cluster
from sinks import postgres
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import slate

# How long a loss may take. It depends on how busy the machine is, so tests print it, and only what does not come back
# fails them.
SECONDS = 180


def lose(settings: Settings, job: str, what: str, dice: random.Random) -> None:
    """Kill one, and wait until the job has begun anew, or PostgreSQL answers again."""
    killed_at = kill(settings, job, what, dice)
    if what == "PostgreSQL":
        slate.await_that(lambda: _answers(settings), SECONDS, "PostgreSQL is back")
    else:
        await_restart(settings, job, killed_at)


def kill(settings: Settings, job: str, what: str, dice: random.Random) -> float:
    """Kill a TaskManager that runs tasks of the job, all Python workers of one, JobManager or PostgreSQL; when it was.

    All workers, since one that has nothing to do is not missed until it has.
    """
    chosen: list[psutil.Process] = []

    def found() -> bool:
        # A job that is just being restarted has none for a moment.
        there = _victims(settings, job, what)
        chosen[:] = dice.choice(there) if there else []
        return bool(chosen)

    slate.await_that(found, SECONDS, f"there is a {what}")
    killed_at = time.time()
    for process in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return killed_at


def await_restart(settings: Settings, job: str, killed_at: float) -> None:
    """Wait until the job has begun anew since then."""
    cluster = Cluster(settings.flink.url)

    def last_start() -> float:
        try:
            running = cluster.running(job)
            return cluster.last_start(running) if running else 0.0
        except NotReadyError:
            return 0.0

    slate.await_that(lambda: last_start() > killed_at, SECONDS, "the loss is noticed")


def descendants(root: psutil.Process, word: str) -> list[psutil.Process]:
    """The processes below `root` whose command line holds `word`."""
    found = []
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(word in part for part in process.cmdline()):
                found.append(process)
    return found


def _victims(settings: Settings, job: str, what: str) -> list[list[psutil.Process]]:
    if what in ("JobManager", "PostgreSQL"):
        return [_processes(settings, [{"JobManager": "jobmanager", "PostgreSQL": "postgres"}[what]])]
    cluster = Cluster(settings.flink.url)
    managers = _processes(settings, cluster.task_managers(cluster.running(job) or ""))
    if what == "TaskManager":
        return [[manager] for manager in managers]
    return [workers for manager in managers if (workers := descendants(manager, "pyflink.fn_execution"))]


def _processes(settings: Settings, names: Iterable[str]) -> list[psutil.Process]:
    return LocalStack.of(settings.stack).supervisor.processes(names)


def _answers(settings: Settings) -> bool:
    try:
        with postgres.connect(settings):
            return True
    except (NotReadyError, psycopg2.Error):
        return False
