"""What there is to say about each job: what `make status` shows, and `make doctor` judges."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from psycopg2 import errors

from conf.settings import Settings
from conf.streams import STREAMS
from control.cluster import Cluster
from control.journal import Journal
from sinks import postgres
from sinks.errors import NotReadyError
from sinks.jar import PARAMETER

T = TypeVar("T")
GATHERING_SECONDS = 3


@dataclass(frozen=True)
class Facts:
    """A job as it is now. What can't be known, because the job does not run or a server is away, is None.

    Attributes:
        job: its name.
        id: of the run that is there now; of the last one where none runs.
        others: further unfinished jobs of the same name, which should not be there.
        state: in Flink's words, such as RUNNING or FAILED; None where the cluster knows no job of this name.
        wanted: it was submitted, and not stopped since.
        since: when it was submitted, in Unix seconds.
        restarts: how often it began anew since then.
        failure: the cause of its last failure, in one line.
        checkpoint_failure: why its newest checkpoint failed, where none has been completed since.
        jar: the fingerprint of the jar that it was submitted with.
        parallelism: that of its widest task.
        checkpoint_age: seconds since its last completed checkpoint was begun.
        lag: records in its topics that it has not read.
        rate: records that it reads per second, over the last minute.
        dead_letters: since its last start.
        staged: epochs of its ledger that wait for their checkpoint; None, too, for a job without a ledger.
    """

    job: str
    id: str | None
    others: tuple[str, ...]
    state: str | None
    wanted: bool
    since: float | None
    restarts: int | None
    failure: str | None
    checkpoint_failure: str | None
    jar: str | None
    parallelism: int | None
    checkpoint_age: float | None
    lag: int | None
    rate: float | None
    dead_letters: int | None
    staged: int | None

    @property
    def runs(self) -> bool:
        """Whether it is neither ended nor in trouble."""
        return self.state == "RUNNING"


def facts(settings: Settings) -> list[Facts]:
    """The facts of each stream's job.

    Raises:
        NotReadyError: the Flink cluster does not answer.
    """
    cluster = Cluster(settings.flink.url)
    return [_facts(settings, cluster, name) for name in STREAMS]


def _facts(settings: Settings, cluster: Cluster, name: str) -> Facts:
    runs = cluster.named(name)
    unfinished = [run for run in runs if run.unfinished]
    newest = next(reversed(unfinished or runs), None)
    job = newest.id if newest else ""
    going = job if newest and newest.unfinished else ""
    history = Journal(settings, name).runs()
    lag = _asked(going, cluster.metric, ".pendingRecords")
    # Flink gathers metrics when it is asked for them, and answers with what it had before.
    deadline = time.monotonic() + GATHERING_SECONDS
    while lag is None and newest and newest.state == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.2)
        lag = _asked(going, cluster.metric, ".pendingRecords")
    return Facts(
        job=name,
        id=newest.id if newest else None,
        others=tuple(run.id for run in unfinished[:-1]),
        state=newest.state if newest else None,
        wanted=bool(history) and history[-1].savepoint is None,
        since=newest.started if newest else None,
        restarts=_whole(_asked(going, cluster.job_metric, "numRestarts")),
        failure=_asked(job, cluster.last_failure),
        checkpoint_failure=_asked(going, cluster.checkpoint_failure),
        jar=_asked(going, cluster.parameter, PARAMETER),
        parallelism=_asked(going, cluster.parallelism),
        checkpoint_age=_asked(job, cluster.checkpoint_age),
        lag=_whole(lag),
        # A source's operator; only it has a name that begins so.
        rate=_asked(going, lambda job: cluster.metric(job, ".numRecordsInPerSecond", operator="Source__")),
        dead_letters=_whole(_asked(going, cluster.metric, ".dead_lettered")),
        staged=_staged(settings, name) if STREAMS[name].ledger else None,
    )


def _asked(job: str, ask: Callable[..., T | None], *arguments: str) -> T | None:
    """What the cluster says of a job; None where there is none, or where it is still or no longer able to say it."""
    if not job:
        return None
    try:
        return ask(job, *arguments)
    except NotReadyError:
        return None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _staged(settings: Settings, name: str) -> int | None:
    try:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM staging.epochs WHERE ledger = %s AND committed_at IS NULL", (f"{name}.ledger",)
            )
            return int((cursor.fetchone() or (0,))[0])
    except (NotReadyError, errors.UndefinedTable):
        return None
