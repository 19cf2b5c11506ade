"""Submit, stop and resume jobs on a Flink cluster: a thin wrapper over `flink run` that remembers where to resume."""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyflink
from rich.console import Console

from conf.settings import ROOT, Settings, SettingsError, load
from control.cluster import Cluster
from sinks.errors import NotReadyError

JAR = ROOT / "sinks" / "java" / "target" / "citystream-sinks.jar"
START_SECONDS = 120
SLOTS_SECONDS = 30
console = Console(highlight=False)


@dataclass(frozen=True)
class Run:
    """One submission of a job, or its end with a savepoint."""

    job: str
    at: str
    savepoint: str | None = None


class Journal:
    """What was submitted and stopped under a job's name, a JSON line each; where `resume` finds its way back."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._path = settings.stack.path / "jobs" / f"{name}.jsonl"

    def add(self, job: str, savepoint: str | None = None) -> None:
        """Note a submission, or with `savepoint` the end of one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(Run(job, datetime.now(UTC).isoformat(), savepoint))) + "\n")

    def runs(self) -> list[Run]:
        """All notes, oldest first."""
        if not self._path.is_file():
            return []
        return [Run(**json.loads(line)) for line in self._path.read_text(encoding="utf-8").splitlines()]


def flink_command(settings: Settings, program: str, *, parallelism: int, restore: str | None = None) -> list[str]:
    """The `flink run` command line that submits a program such as jobs/deliveries.py."""
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


def submit(settings: Settings, name: str, *, parallelism: int | None = None, restore: str | None = None) -> str:
    """Submit a job and wait until all its tasks run; return its id.

    Raises:
        NotReadyError: the job, the jar or the cluster is missing, the job runs already, or it refused to start.
    """
    if not (ROOT / "jobs" / f"{name}.py").is_file():
        message = f"There is no job jobs/{name}.py."
        raise NotReadyError(message)
    if not JAR.is_file():
        message = f"{JAR.relative_to(ROOT)} is missing: run `make install`."
        raise NotReadyError(message)
    cluster = Cluster(settings.flink.url)
    if running := cluster.running(name):
        message = f"The job {name} runs already ({running}): stop it first with `make stop JOB={name}`."
        raise NotReadyError(message)
    parallel = parallelism or settings.flink.parallelism
    _await_slots(cluster, parallel)
    with console.status(f"Submitting {name} ..."):
        run(flink_command(settings, f"jobs/{name}.py", parallelism=parallel, restore=restore))
    job = cluster.running(name)
    if job is None:
        message = f"The job {name} ended as soon as it was submitted: look at {settings.flink.url}."
        raise NotReadyError(message)
    Journal(settings, name).add(job)
    _await_tasks(cluster, job, "The job did not start")
    return job


def _await_slots(cluster: Cluster, wanted: int) -> None:
    """A TaskManager may be about to come back, or a job about to give up its slots."""
    deadline = time.monotonic() + SLOTS_SECONDS
    with console.status(f"Waiting for {wanted} free task slots ..."):
        while (free := cluster.overview()["slots-available"]) < wanted:
            if time.monotonic() > deadline:
                message = f"The job needs {wanted} task slots, {free} are free: stop another job or add a TaskManager."
                raise NotReadyError(message)
            time.sleep(0.5)


def run(command: list[str]) -> None:
    """Run a `flink run` command line.

    Raises:
        NotReadyError: it failed; the message is the reason it gave.
    """
    # The client runs the job's main in this very Python; the cluster brings its own.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"`flink run` failed.\n{refusal(done.stdout, done.stderr)}"
        raise NotReadyError(message)


def _await_tasks(cluster: Cluster, job: str, trouble: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    with console.status("Waiting for all tasks to run ..."):
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


def stop(settings: Settings, name: str) -> str:
    """Stop a job with a savepoint and return the savepoint's path."""
    cluster = Cluster(settings.flink.url)
    job = cluster.running(name)
    if job is None:
        message = f"No job {name} is running."
        raise NotReadyError(message)
    # Right after a failure some tasks are still starting, and Flink would refuse the savepoint.
    url = f"{settings.flink.url}/#/job/running/{job}"
    _await_tasks(cluster, job, f"No savepoint: cancel the job at {url}, then `make resume JOB={name}`. It does not run")
    path: str | None = None
    with console.status(f"Stopping {name} with a savepoint ..."):
        for step in cluster.stop(job):
            path = step
    if path is None:
        message = "The savepoint has no path."
        raise NotReadyError(message)
    Journal(settings, name).add(job, path)
    return path


def restore_path(settings: Settings, name: str) -> str | None:
    """Where the job `name` left off: its last savepoint, or the newest checkpoint that its last run kept."""
    runs = Journal(settings, name).runs()
    if not runs:
        return None
    last = runs[-1]
    if last.savepoint:
        return last.savepoint
    cluster = Cluster(settings.flink.url)
    try:
        return cluster.restore_path(last.job)
    except NotReadyError:
        pass  # the JobManager was restarted and has forgotten the job; its files may still be here
    return _newest_retained(cluster.checkpoint_directory(), last.job) or next(
        (run.savepoint for run in reversed(runs) if run.savepoint), None
    )


def _newest_retained(directory: str | None, job: str) -> str | None:
    if directory is None:
        return None
    kept = Path(unquote(urlsplit(directory).path), job).glob("chk-*/_metadata")
    newest = max(kept, key=lambda path: int(path.parent.name.removeprefix("chk-")), default=None)
    return str(newest.parent) if newest else None


def resume(settings: Settings, name: str, *, parallelism: int | None = None, restore: str | None = None) -> str:
    """Submit a job from `restore`, or from where it left off."""
    path = restore or restore_path(settings, name)
    if path is None:
        message = (
            f"Nothing to resume {name} from: no savepoint or checkpoint is known. `make submit JOB={name}` starts it."
        )
        raise NotReadyError(message)
    console.print(f"Resuming {name} from {path}")
    return submit(settings, name, parallelism=parallelism, restore=path)


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


def ensure(settings: Settings, name: str) -> str:
    """The job of this name: the running one, or one that goes on where the last left off, or a new one."""
    _await_leader(settings)
    if running := Cluster(settings.flink.url).running(name):
        console.print(f"The job {name} runs already.")
        return running
    if path := restore_path(settings, name):
        return resume(settings, name, restore=path)
    return submit(settings, name)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stack.control", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("submit", "start a job from the beginning of its topics"),
        ("stop", "stop a job with a savepoint"),
        ("resume", "start a job from its last savepoint or checkpoint"),
        ("ensure", "leave a running job alone, else resume it, else submit it"),
    ):
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("job", help="the job's name, such as deliveries")
        if command in ("submit", "resume"):
            sub.add_argument("--parallelism", type=int, help="default: flink.parallelism of conf/citystream.yaml")
        if command == "resume":
            sub.add_argument("--from", dest="restore", help="a savepoint's or checkpoint's path; default: the newest")
    options = parser.parse_args(arguments)
    try:
        settings = load()
        if options.command == "stop":
            console.print(f"Stopped. Savepoint: {stop(settings, options.job)}", soft_wrap=True)
            return 0
        if options.command == "ensure":
            job = ensure(settings, options.job)
        elif options.command == "submit":
            job = submit(settings, options.job, parallelism=options.parallelism)
        else:
            job = resume(settings, options.job, parallelism=options.parallelism, restore=options.restore)
        console.print(f"Running: {settings.flink.url}/#/job/running/{job}/overview", soft_wrap=True)
    except (SettingsError, NotReadyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
