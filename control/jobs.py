"""Submit, stop and resume jobs on a Flink cluster: over `flink run`, with a memory of where to resume."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyflink
from psycopg2.sql import SQL, Identifier

from conf.settings import ROOT, Settings, load
from conf.streams import STREAMS
from control import reading
from control.cluster import RUNNING, Cluster
from control.journal import Journal, Run
from sinks import postgres
from sinks.errors import NotReadyError
from sinks.jar import JAR

START_SECONDS = 120
SLOTS_SECONDS = 30

Say = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


def flink_command(settings: Settings, program: str, *, parallelism: int, restore: str | None = None) -> list[str]:
    """The `flink run` command line that submits a program such as jobs/NAME.py."""
    address = urlsplit(settings.flink.url)
    return [
        str(Path(pyflink.__path__[0]) / "bin" / "flink"),
        "run",
        "--detached",
        *("--jobmanager", f"{address.hostname}:{address.port or 80}"),
        *("--parallelism", str(parallelism)),
        *(("--fromSavepoint", restore) if restore else ()),
        *("--jarfile", str(JAR.relative_to(ROOT))),
        *("--python", program),
    ]


def names() -> list[str]:
    """The jobs there are: the modules of jobs/."""
    return sorted(path.stem for path in (ROOT / "jobs").glob("[!_]*.py"))


def _check(name: str) -> None:
    if name not in names():
        message = f"There is no job {name}; there are: {', '.join(names())}."
        raise NotReadyError(message)


def submit(
    settings: Settings,
    name: str,
    *,
    parallelism: int | None = None,
    restore: str | None = None,
    fresh: bool = False,
    read_from: str | None = None,
    say: Say = _silent,
) -> str:
    """Submit a job and wait until all its tasks run; return its id.

    Args:
        settings: the cluster, and the servers that the job works on.
        name: the job's.
        parallelism: `flink.parallelism` when None.
        restore: the savepoint or checkpoint to go on from; None: from the beginning of its topics.
        fresh: from the beginning although there is something to go on from (docs/decisions/0023).
        read_from: a backfill's `flink.read_from`: nothing will go on from this run.
        say: is told what is being done or waited for.

    Raises:
        NotReadyError: the job, the jar or the cluster is missing, the job runs already, it left off somewhere and
            should be resumed, or it refused to start.
    """
    _check(name)
    if not JAR.is_file():
        message = f"{JAR.relative_to(ROOT)} is missing: run `make install`."
        raise NotReadyError(message)
    cluster = Cluster(settings.flink.url)
    if running := cluster.running(name):
        message = f"The job {name} runs already ({running}): stop it first with `make stop JOB={name}`."
        raise NotReadyError(message)
    if restore is None and read_from is None:
        _begin(settings, name, fresh=fresh, say=say)
    parallel = parallelism or settings.flink.parallelism
    _await_slots(cluster, parallel, say)
    before = {job.id for job in cluster.named(name)}
    say(f"Submitting {name} ...")
    try:
        read = {"CITYSTREAM__FLINK__READ_FROM": read_from} if read_from else {}
        run(flink_command(settings, f"jobs/{name}.py", parallelism=parallel, restore=restore), read)
        job = next((job.id for job in cluster.named(name) if job.id not in before), None)
        if job is None:
            message = f"`flink run` submitted no job {name} to {settings.flink.url}."
            raise NotReadyError(message)
        if read_from:
            Journal(settings, name).add(job, backfill=True)
        try:
            _await_tasks(cluster, job, "The job did not start", say)
        finally:
            # One that failed at its start is nothing to go on from.
            if cluster.state(job) in RUNNING and not read_from:
                Journal(settings, name).add(job, restored=restore)
    except NotReadyError as error:
        raise _explained(name, restore, error) from error
    return job


def _begin(settings: Settings, name: str, *, fresh: bool, say: Say) -> None:
    """A start without state: refuse it where the job left off somewhere, or where the totals would stay wrong."""
    if fresh:
        say(f"A fresh start: {name} reads its topics from the beginning.")
        return
    if path := restore_path(settings, name):
        message = (
            f"The job {name} left off at {path}: `make resume JOB={name}` goes on from there. To read its topics again "
            f"from the beginning instead, `make submit JOB={name} FRESH=1`."
        )
        raise NotReadyError(message)
    stream = STREAMS.get(name)
    if stream is None or stream.ledger is None or not _filled(settings, stream.ledger.table):
        return
    if deleted := reading.deleted(settings, stream.topics):
        message = (
            f"Nothing is known of where {name} left off, {stream.ledger.table} holds rows, and retention has deleted "
            f"{deleted:,} records of its topics: counted anew, totals would stay below what they are. Pass the "
            f"savepoint or checkpoint (`python -m stack.control resume {name} --from PATH`), or start anew all the "
            f"same: `make submit JOB={name} FRESH=1`."
        )
        raise NotReadyError(message)
    say(
        f"Nothing is known of where {name} left off: it reads its topics from the beginning. Its ledger and documents "
        "absorb what they hold, and a total stands still until its new count has reached the old one."
    )


def _filled(settings: Settings, table: str) -> bool:
    postgres.check(settings, table, ())
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table)))
        return bool((cursor.fetchone() or (False,))[0])


def _explained(name: str, restore: str | None, error: NotReadyError) -> NotReadyError:
    """The error that a start ended with, and what to do where Flink's words don't say it."""
    said = str(error)
    again = f"or read the topics again from the beginning: `make submit JOB={name} FRESH=1`. Flink says: {said}"
    if restore and "Cannot map checkpoint/savepoint state" in said:
        return NotReadyError(
            f"{restore} doesn't fit the job {name} as it is set now: a setting that changes the job's parts, "
            "such as ledger, documents or python_mode, has changed since. Set it back and "
            f"`make resume JOB={name}`, {again}"
        )
    if restore and any(words in said for words in ("Cannot find", "FileNotFoundException", "does not exist")):
        return NotReadyError(
            f"There is nothing to go on from at {restore}: pass another savepoint or checkpoint (`python -m "
            f"stack.control resume {name} --from PATH`), {again}"
        )
    return error


def _await_slots(cluster: Cluster, wanted: int, say: Say) -> None:
    """A TaskManager may be about to come back, or a job about to give up its slots."""
    deadline = time.monotonic() + SLOTS_SECONDS
    say(f"Waiting for {wanted} free task slots ...")
    while (free := cluster.overview()["slots-available"]) < wanted:
        if time.monotonic() > deadline:
            message = f"The job needs {wanted} task slots, {free} are free: stop another job or add a TaskManager."
            raise NotReadyError(message)
        time.sleep(0.5)


def run(command: list[str], more: Mapping[str, str] | None = None) -> None:
    """Run a `flink run` command line, with more settings in its environment.

    Raises:
        NotReadyError: it failed; the message is the reason it gave.
    """
    # PyFlink's client works in a folder of a fixed name, which in /tmp belongs to whoever came first.
    temporary = load().stack.temporary
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {
        **os.environ,
        # The client runs the job's main in this very Python; the cluster brings its own.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "JVM_ARGS": f"-Djava.io.tmpdir={temporary}",
        **(more or {}),
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"`flink run` failed.\n{refusal(done.stdout, done.stderr)}"
        raise NotReadyError(message)


def _await_tasks(cluster: Cluster, job: str, trouble: str, say: Say) -> None:
    deadline = time.monotonic() + START_SECONDS
    say("Waiting for all tasks to run ...")
    while not cluster.all_tasks_running(job):
        failure = cluster.last_failure(job)
        if time.monotonic() > deadline or cluster.state(job) in ("FAILED", "CANCELED"):
            message = f"{trouble}: {failure or f'not all its tasks ran within {START_SECONDS} s'}"
            raise NotReadyError(message)
        time.sleep(0.5)


def refusal(stdout: str, stderr: str) -> str:
    """What went wrong, from the end of what the client printed, without the JVM's stack.

    Where the job's `main` ended by itself, the client only says so, and what `main` said stands before it.
    """
    noise = (
        "at ",
        "... ",
        "org.apache.flink.client.program.ProgramAbortException",
        "The program finished",
        "Job has been",
    )
    ended = "Caused by: java.lang.RuntimeException: Python process exits with code"
    lines = [
        line
        for line in (stdout + stderr).splitlines()
        if line.strip() and not line.lstrip().startswith((*noise, ended))
    ]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return "\n".join(causes[-1:] or lines[-15:])


def stop(settings: Settings, name: str, *, say: Say = _silent) -> str:
    """Stop a job with a savepoint and return the savepoint's path.

    Raises:
        NotReadyError: there is no such job, it does not run, or the savepoint failed.
    """
    _check(name)
    cluster = Cluster(settings.flink.url)
    job = cluster.running(name)
    if job is None:
        others = sorted({each.name for each in cluster.jobs() if each.unfinished})
        message = f"No job {name} is running at {settings.flink.url}; " + (
            f"running there: {', '.join(others)}." if others else "no other job is either."
        )
        raise NotReadyError(message)
    if job in Journal(settings, name).backfills():
        cluster.cancel(job)
        if left_off := restore_path(settings, name):
            return left_off
        message = f"A backfill of {name} ran and is cancelled; there is nothing that the job could be resumed from."
        raise NotReadyError(message)
    # Right after a failure some tasks are still starting, and Flink would refuse the savepoint.
    url = f"{settings.flink.url}/#/job/running/{job}"
    trouble = f"No savepoint: cancel the job at {url}, then `make resume JOB={name}`. It does not run"
    _await_tasks(cluster, job, trouble, say)
    path: str | None = None
    say(f"Stopping {name} with a savepoint ...")
    for step in cluster.stop(job):
        path = step
    if path is None:
        message = "The savepoint has no path."
        raise NotReadyError(message)
    Journal(settings, name).add(job, savepoint=path)
    return path


def restore_path(settings: Settings, name: str) -> str | None:
    """Where the job `name` left off: its last savepoint, or the newest checkpoint that a run of it kept.

    A run that kept nothing, because it ended before its first checkpoint, left off where it was resumed from; and where
    it began without state, the run before it is the one to go on from.
    """
    cluster = Cluster(settings.flink.url)
    directory = cluster.configured("execution.checkpointing.dir")
    known = {job.id for job in cluster.jobs()}
    for run in _backwards(settings, cluster, name):
        kept = run.savepoint
        if run.job in known and not kept:
            with contextlib.suppress(NotReadyError):  # it failed before it had checkpoints at all
                kept = cluster.restore_path(run.job)
        # A restarted JobManager has forgotten the job; its files may still be here.
        if path := kept or _newest_retained(directory, run.job) or run.restored:
            return path
    return None


def _backwards(settings: Settings, cluster: Cluster, name: str) -> Iterator[Run]:
    """All runs of a job, the newest first: those of the journal, and those that the plain `flink run` started."""
    runs = Journal(settings, name).runs()
    noted = {run.job for run in runs} | Journal(settings, name).backfills()
    runs += [
        Run(job.id, datetime.fromtimestamp(job.started, UTC).isoformat())
        for job in cluster.named(name)
        if job.id not in noted
    ]
    yield from sorted(runs, key=lambda run: run.at, reverse=True)


def _newest_retained(directory: str | None, job: str) -> str | None:
    if directory is None:
        return None
    kept = Path(unquote(urlsplit(directory).path), job).glob("chk-*/_metadata")
    newest = max(kept, key=lambda path: int(path.parent.name.removeprefix("chk-")), default=None)
    return str(newest.parent) if newest else None


def resume(
    settings: Settings, name: str, *, parallelism: int | None = None, restore: str | None = None, say: Say = _silent
) -> str:
    """Submit a job from `restore`, or from where it left off; return its id.

    Raises:
        NotReadyError: as `submit` does, or nothing is known that it could go on from.
    """
    _check(name)
    path = restore or restore_path(settings, name)
    if path is None:
        message = (
            f"Nothing to resume {name} from: no savepoint or checkpoint is known. `make submit JOB={name}` starts it."
        )
        raise NotReadyError(message)
    say(f"Resuming {name} from {path}")
    return submit(settings, name, parallelism=parallelism, restore=path, say=say)


def _await_leader(settings: Settings) -> None:
    """A JobManager that has just come up, or come back, takes requests once it is elected."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            Cluster(settings.flink.url).overview()
        except NotReadyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def ensure(settings: Settings, name: str, *, say: Say = _silent) -> str:
    """The job of this name: the running one, or one that goes on where the last left off, or a new one.

    Raises:
        NotReadyError: as `submit` does.
    """
    _check(name)
    _await_leader(settings)
    if running := Cluster(settings.flink.url).running(name):
        say(f"The job {name} runs already.")
        return running
    if path := restore_path(settings, name):
        return resume(settings, name, restore=path, say=say)
    return submit(settings, name, say=say)
