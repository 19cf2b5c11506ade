"""What `make submit` says when `flink run` fails, and what commands say while one waits."""

import io
import json
import os
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from conf.settings import ROOT
from control.cluster import Cluster
from control.jobs import refusal
from control.reading import REJECTED, Letters
from control.reconcile import Reconciliation, Report
from sinks.errors import NotReadyError
from stack import waiting
from stack.layout import Layout
from stack.servers import feed
from stack.supervision import State

ABORTED = """\
org.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:124)
Caused by: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:116)
\t... 14 more
"""


def test_what_the_job_said_is_not_lost_behind_the_clients_exit_code() -> None:
    said = "Wrong settings (conf/citystream.yaml or the environment):\n  time_zone: no such time zone: Nowhere"
    assert refusal(said + "\n", ABORTED) == said


def test_the_last_cause_is_the_reason() -> None:
    stderr = "The program finished with the following exception:\n\tat y\nCaused by: a\n\tat z\nCaused by: no slots\n"
    assert refusal("Job has been submitted with JobID 1\n", stderr) == "Caused by: no slots"


def test_what_answers_but_is_no_cluster_is_named() -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"<html>no such page</html>")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(NotReadyError, match=f"What answers at {url} is no Flink cluster: set FLINK_URL"):
            Cluster(url).overview()
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(NotReadyError, match="No Flink cluster answers at"):
        Cluster(url).overview()


def test_why_a_job_failed_that_was_never_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adaptive scheduler has no history, and no vertices, of one whose savepoint is missing."""
    trace = (
        "java.util.concurrent.CompletionException: x\n\tat a.B\nCaused by: java.io.FileNotFoundException: gone\n\tat c"
    )
    answers = {
        "/jobs/1/exceptions?maxExceptions=1": {"exceptionHistory": {"entries": [], "truncated": False}},
        "/jobs/1/execution-result": {"job-execution-result": {"failure-cause": {"stack-trace": trace}}},
        "/jobs/2/exceptions?maxExceptions=1": {"exceptionHistory": {"entries": [], "truncated": False}},
        "/jobs/2/execution-result": {"status": {"id": "IN_PROGRESS"}},
        "/jobs/1": {"vertices": []},
    }
    monkeypatch.setattr(Cluster, "_call", lambda _, __, path: answers[path])
    cluster = Cluster("http://nowhere")
    assert cluster.last_failure("1") == "java.io.FileNotFoundException: gone"
    assert cluster.last_failure("2") is None
    assert not cluster.all_tasks_running("1")


def letter(offset: int | None, reason: str = "not-json") -> SimpleNamespace:
    value = {
        "reason": reason,
        "topic": "t",
        "partition": None if offset is None else 0,
        "offset": offset,
        "raw_base64": "e30=",
    }
    return SimpleNamespace(value=json.dumps(value).encode(), partition=0, offset=7)


def test_a_letter_that_came_again_counts_once() -> None:
    letters = Letters()
    for each in (letter(1), letter(2), letter(1), letter(2, REJECTED), letter(2, REJECTED), letter(None, REJECTED)):
        letters.take(each)
    assert letters.reasons == {"not-json": 2, REJECTED: 2}
    assert letters.rejected == {("t", 0, 2): {}}


@pytest.mark.parametrize(
    ("state", "calls"), [("STARTING", ["stop", "start"]), ("RUNNING", ["stop", "start"]), ("STOPPED", [])]
)
def test_a_generator_that_is_just_starting_pauses_too(
    state: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    supervisor = SimpleNamespace(
        is_up=lambda: True,
        states=lambda: [State(next(iter(feed.FEEDS)), state, 1, 0.0, Path(), "")],
        stop_service=lambda _: made.append("stop"),
        start_service=lambda _: made.append("start"),
    )
    monkeypatch.setattr(feed, "Supervisor", lambda _: supervisor)
    with feed.paused(Layout(Path(), as_root=False)):
        made.append("compare")
    assert made == [*calls[:1], "compare", *calls[1:]]


def test_who_waits_without_a_terminal_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.01)
    said = io.StringIO()
    with waiting.waiting(Console(file=said), "Submitting the job"):
        while "Submitting the job ... 0 s\n" not in said.getvalue():
            time.sleep(0.001)


def test_make_hands_on_what_was_asked_for() -> None:
    def command(*arguments: str) -> str:
        # Not those of a make that runs the tests.
        environment = {name: value for name, value in os.environ.items() if name != "JOB" and "MAKE" not in name}
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return " ".join(done.stdout.splitlines()[-1].split()[1:])

    assert command("reconcile") == "-m stack.reconcile"
    assert command("reconcile", "JOB=deliveries", "ARGS=--repair") == "-m stack.reconcile deliveries --repair"
    assert command("scale", "JOB=tickets", "PARALLELISM=4") == "-m stack.control scale tickets 4"
    assert command("autoscale", "JOB=tickets", "ARGS=--dry-run") == "-m stack.autoscale tickets --dry-run"
    assert command("workers", "N=3") == "-m stack workers 3"
    assert command("redrive", "TOPIC=t.dead-letters", "ARGS=--dry-run") == "-m stack.redrive t.dead-letters --dry-run"
    assert command("backfill", "ARGS=--dry-run") == "-m generators.pollers.carbon backfill --dry-run"
    assert command("backfill", "JOB=tickets", "FROM=earliest") == "-m stack.control backfill tickets --from earliest"
    assert command("submit") == "-m stack.control submit deliveries"
    assert command("submit", "JOB=carbon", "FRESH=1") == "-m stack.control submit carbon --fresh"


class Seen(Reconciliation):
    """One that sees what it is told to, look after look."""

    def __init__(self, *seen: Report | NotReadyError) -> None:
        self._seen = iter(seen)

    def look(self) -> Report:
        seen = next(self._seen)
        if isinstance(seen, NotReadyError):
            raise seen
        return seen


def test_a_server_that_was_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    moves = Report("deliveries", 0, 0, 0, 0, Counter(), None, {}, moving=["it moves"])
    agrees = replace(moves, moving=[])
    away = NotReadyError("Kafka does not answer")
    assert Seen(moves, away, away, agrees).await_agreement(60) is agrees
    with pytest.raises(NotReadyError, match="does not answer"):
        Seen(away).await_agreement(60)
