"""Nobody gets in: where the stack's processes listen, who may read what they keep, and what they show of secrets."""

import contextlib
import ipaddress
import json
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from conf.settings import ROOT, Settings, load
from conf.streams import STREAMS
from control.cluster import Cluster
from stack import supervision
from stack.layout import Layout
from tests import slate

pytestmark = [
    *(pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink),
    pytest.mark.timeout(600),
]

Opened = set[tuple[str, str]]


def opened(processes: list[psutil.Process]) -> Opened:
    """The addresses that these processes listen on, each with a word about whose it is."""
    found: Opened = set()
    for process in processes:
        try:
            name = process.name()
            for socket in process.net_connections("inet"):
                if socket.laddr and (
                    socket.status == psutil.CONN_LISTEN or not (socket.raddr or socket.status != "NONE")
                ):
                    found.add((socket.laddr.ip, f"{name} {process.pid} port {socket.laddr.port}"))
        except psutil.NoSuchProcess:
            continue
    return found


def outside(found: Opened) -> Opened:
    """Those that are not on the loopback interface."""
    away = set()
    for host, whose in found:
        address = ipaddress.ip_address(host)
        if not (getattr(address, "ipv4_mapped", None) or address).is_loopback:
            away.add((host, whose))
    return away


class Running:
    """All jobs on the suite's stack, and what the client opened while it submitted them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout.of(settings.stack)
        self.client: Opened = set()
        self.temporary = settings.stack.temporary
        shutil.rmtree(self.temporary / "pyflink", ignore_errors=True)  # what earlier submissions left proves nothing
        for name in STREAMS:
            slate.without_job(settings, name)
            # One slot each, so that the stack has room for all; what earlier tests left is nothing to go on from.
            command = [sys.executable, "-m", "stack.control", "submit", name, "--fresh", "--parallelism", "1"]
            submission = subprocess.Popen(command, cwd=ROOT)
            client = psutil.Process(submission.pid)
            while submission.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.client |= opened([client, *client.children(recursive=True)])
                time.sleep(0.2)
            assert submission.returncode == 0

    @property
    def processes(self) -> list[psutil.Process]:
        """All of the stack."""
        return supervision.leftovers(self.layout)

    @property
    def secrets(self) -> list[bytes]:
        """What was generated for this stack, in the forms that it may stand in."""
        known = json.loads(self.layout.credentials.read_text())
        return [value.encode() for name, value in known.items() if name != "kafka_cluster"]


@pytest.fixture(scope="module")
def running(servers: None) -> Iterator[Running]:
    settings = load()
    yield Running(settings)
    for name in STREAMS:
        slate.without_job(settings, name)


def test_everything_listens_on_the_loopback_interface_only(running: Running) -> None:
    processes = running.processes
    commands = [" ".join(process.cmdline()) for process in processes]
    for part in (
        "kafka.Kafka",
        "postgres",
        "elasticsearch",
        "taskmanager.arguments",
        "pyflink.fn_execution",
        "simulator",
    ):
        assert any(part in command for command in commands), f"no process of {part} was looked at"
    found = opened(processes)
    # PyFlink's servers are among them: it opens four per Python operator.
    assert len(found) > 40
    assert outside(found) == set()
    assert outside(running.client) == set()


def readable_by_others(path: Path) -> bool:
    """Whether an account that is neither the owner nor in the group reaches this file."""
    return bool(path.stat().st_mode & stat.S_IROTH) and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in path.parents
    )


def files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


def holds(path: Path, secrets: list[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # Kafka's and RocksDB's files come and go
        return False
    return any(secret in content for secret in secrets)


def test_secrets_are_in_no_file_that_others_may_read(running: Running) -> None:
    kept = [path for folder in (running.layout.directory, running.layout.data) for path in files(folder)]
    holders = [
        path for path in kept if path.suffix != ".log" and "kafka-" not in str(path) and holds(path, running.secrets)
    ]
    # The plan that Flink keeps of a job, so that a JobManager can take over, cannot do without them.
    assert any("high-availability" in path.parts for path in holders)
    assert [path for path in holders if readable_by_others(path)] == []
    for folder in (running.layout.directory, running.layout.data / "flink", running.temporary):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_secrets_are_in_no_log(running: Running) -> None:
    logs = [*files(running.layout.logs), *files(running.layout.data / "flink" / "log")]
    assert logs
    assert [log for log in logs if holds(log, running.secrets)] == []


def test_secrets_are_in_no_command_line(running: Running) -> None:
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()).encode())
        except psutil.Error:
            continue
    assert len(lines) > 10
    assert [line for line in lines if any(secret in line for secret in running.secrets)] == []


def test_secrets_are_in_no_answer_of_flink(running: Running) -> None:
    url = running.settings.flink.url

    def ask(path: str) -> bytes:
        answer = httpx.get(url + path, timeout=30)
        # The log is the supervisor's; Flink knows of no file.
        assert answer.is_success or path.endswith("/log"), path
        return answer.content

    paths = ["/config", "/jobmanager/config", "/jobmanager/environment", "/jobmanager/log", "/jobs/overview"]
    managers: list[dict[str, Any]] = json.loads(ask("/taskmanagers"))["taskmanagers"]
    paths += [f"/taskmanagers/{manager['id']}{part}" for manager in managers for part in ("", "/log", "/thread-dump")]
    cluster = Cluster(url)
    for name in STREAMS:
        job = cluster.running(name)
        assert job
        own = ("", "/config", "/plan", "/exceptions", "/checkpoints", "/checkpoints/config", "/accumulators")
        paths += [f"/jobs/{job}{part}" for part in (*own, "/jobmanager/config", "/jobmanager/environment")]
        paths += [f"/jobs/{job}/vertices/{vertex}" for vertex in cluster.vertices(job).values()]
    assert [path for path in paths if any(secret in ask(path) for secret in running.secrets)] == []


def test_the_client_works_in_a_folder_of_the_stacks_own(running: Running) -> None:
    """Whoever is first on a machine owns /tmp/pyflink, and nobody else could submit."""
    assert (running.temporary / "pyflink").is_dir()
    assert stat.S_IMODE(running.temporary.stat().st_mode) == 0o700
