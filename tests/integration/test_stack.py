"""The local stack for real: up twice, servers killed, ports taken. It runs a stack of its own beside any other."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from conf.settings import ROOT, load, read_env_file
from conf.streams import STREAMS
from stack.lifecycle import LocalStack

DIRECTORY = ".stack-supervision-test"
OFFSET = 4000
BACK_SECONDS = 60

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(600)]


def run(*arguments: str, module: str = "stack", **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"CITYSTREAM__STACK__DIRECTORY": DIRECTORY, "CITYSTREAM__STACK__PORT_OFFSET": str(OFFSET)}
    # Two brokers' worth of TaskManagers prove nothing more here than one.
    own["CITYSTREAM__STACK__TASK_MANAGERS"] = "1"
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    up = run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    yield read_env_file(ROOT / DIRECTORY / "env")
    run("clean")


@pytest.fixture(scope="module")
def stack() -> LocalStack:
    return LocalStack.of(load().stack.model_copy(update={"directory": Path(DIRECTORY), "port_offset": OFFSET}))


def kill_and_wait(stack: LocalStack, name: str) -> None:
    pid = stack.require(name).pid
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + BACK_SECONDS
    while stack.require(name).pid in (0, pid) or not stack.require(name).running:
        assert time.monotonic() < deadline, f"{name} did not come back"
        time.sleep(0.2)
    restored = run("up")
    assert restored.returncode == 0, restored.stdout + restored.stderr


def pids(stack: LocalStack) -> dict[str, int]:
    return {state.name: state.pid for state in stack.supervisor.states()}


def test_the_env_file_says_all_and_only_to_its_owner(env: dict[str, str]) -> None:
    assert set(env) == {
        *["KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_URL", "ELASTICSEARCH_URL", "ELASTICSEARCH_API_KEY"],
        *["FLINK_URL", "BOARD_URL", "BOARD_TOKEN", "SIMULATOR_URL"],
    }
    assert all(env.values())
    assert (ROOT / DIRECTORY / "env").stat().st_mode & 0o077 == 0


def test_a_second_up_does_nothing(env: dict[str, str], stack: LocalStack) -> None:
    before = pids(stack)
    again = run("up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert pids(stack) == before
    assert read_env_file(ROOT / DIRECTORY / "env") == env


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("stack.control", ["submit", "deliveries"]),
        ("stack.reconcile", []),
        ("generators.deliveries", ["--count=1"]),
        ("forecast.train", []),
        ("forecast.backtest", []),
    ],
)
def test_before_prepare_each_command_says_to_run_it(env: dict[str, str], module: str, arguments: list[str]) -> None:
    refused = run(*arguments, module=module, CITYSTREAM__DELIVERIES__GENERATOR__DEADLINE_SECONDS="3")
    assert refused.returncode == 1, refused.stdout
    assert "Traceback" not in refused.stderr
    assert f"Acting on the stack in {DIRECTORY}." in refused.stderr
    assert "make prepare" in refused.stderr


@pytest.mark.parametrize("command", ["stop", "resume"])
def test_what_is_not_there_is_neither_stopped_nor_resumed(env: dict[str, str], command: str) -> None:
    refused = run(command, "deliveries", module="stack.control")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "deliveries" in refused.stderr


def test_doctor_finds_what_prepare_has_not_made(env: dict[str, str]) -> None:
    found = run("doctor")
    assert found.returncode == 1
    for sentence in ("Kafka has no topic deliveries: run `make prepare`", "PostgreSQL lacks 0001_deliveries"):
        assert sentence in found.stdout
    assert "Elasticsearch has no index template carbon: run `make prepare`" in found.stdout


def test_a_stack_that_is_down_acts_on_no_other(env: dict[str, str]) -> None:
    """Not even on one that has the very same ports."""
    other = f"{DIRECTORY}-b"
    for module, arguments in (
        ("sinks.prepare", []),
        ("generators.deliveries", ["--count=10", "--topic=kept"]),
        ("stack.control", ["submit", "deliveries"]),
        ("stack.control", ["stop", "deliveries"]),
        ("stack.reconcile", []),
    ):
        refused = run(*arguments, module=module, CITYSTREAM__STACK__DIRECTORY=other)
        assert refused.returncode == 1, module
        assert f"The stack in {other} is down: `make up` starts it." in refused.stderr, module
    assert not (ROOT / other).exists()


def test_a_killed_broker_comes_back_with_its_records(env: dict[str, str], stack: LocalStack) -> None:
    servers = env["KAFKA_BOOTSTRAP_SERVERS"].split(",")
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic("kept", 3, 3)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    for number in range(300):
        producer.send("kept", str(number).encode())
    producer.flush()
    producer.close()
    for name in ("kafka-1", "kafka-2", "kafka-3"):
        kill_and_wait(stack, name)
    consumer = KafkaConsumer(
        "kept", bootstrap_servers=servers, auto_offset_reset="earliest", group_id=None, consumer_timeout_ms=15_000
    )
    assert sorted(int(record.value) for record in consumer) == list(range(300))
    consumer.close()


def test_a_killed_postgres_comes_back_with_its_rows(env: dict[str, str], stack: LocalStack) -> None:
    def ask(statement: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(env["POSTGRES_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    ask("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    kill_and_wait(stack, "postgres")
    assert ask("SELECT count(*) FROM kept") == [(1000,)]


def test_a_killed_task_manager_comes_back(env: dict[str, str], stack: LocalStack) -> None:
    kill_and_wait(stack, "taskmanager-1")


def test_workers_come_and_go(env: dict[str, str]) -> None:
    more = run("workers", "2")
    assert more.returncode == 0, more.stdout + more.stderr
    assert "2 TaskManagers, before 1" in more.stdout
    again = run("up")
    assert again.returncode == 0, again.stderr
    status = json.loads(run("status", "--json").stdout)
    managers = {each["name"]: each["state"] for each in status["services"] if each["name"].startswith("taskmanager")}
    assert managers == {"taskmanager-1": "RUNNING", "taskmanager-2": "RUNNING"}
    assert status["slots"]["total"] == 2 * load().stack.slots_per_task_manager
    assert {job["job"] for job in status["jobs"]} == {*STREAMS}
    fewer = run("workers", "1")
    assert fewer.returncode == 0, fewer.stdout + fewer.stderr
    assert "taskmanager-2" not in run("status").stdout
    refused = run("workers", "0")
    assert refused.returncode == 1
    assert "0 TaskManagers can't be" in refused.stderr


def test_after_a_killed_supervisord_doctor_says_make_up_and_that_is_enough(stack: LocalStack) -> None:
    pid = int((stack.layout.run / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    found = run("doctor")
    assert found.returncode == 1
    assert "`make up` ends them and starts the stack" in found.stdout
    assert "already taken" not in found.stdout
    assert run("up").returncode == 0
    assert run("status").returncode == 0


def test_changed_settings_are_refused_while_up(env: dict[str, str]) -> None:
    refused = run("up", CITYSTREAM__STACK__TASK_MANAGERS="2")
    assert refused.returncode == 1
    assert "make down up" in refused.stderr


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run(
            "up",
            CITYSTREAM__STACK__DIRECTORY=f"{DIRECTORY}-taken",
            CITYSTREAM__STACK__PORT_OFFSET=str(OFFSET + 2000),
            CITYSTREAM__STACK__PORTS__POSTGRES=str(port - OFFSET - 2000),
        )
    run("clean", CITYSTREAM__STACK__DIRECTORY=f"{DIRECTORY}-taken")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    for part in (f"Port {port}", "postgres", f"pid {os.getpid()}", "stack.ports.postgres"):
        assert part in refused.stderr


def test_status_tells_up_from_down(env: dict[str, str]) -> None:
    shown = run("status")
    assert shown.returncode == 0
    assert re.search(r"^deliveries +not submitted ", shown.stdout, re.MULTILINE)
    assert run("status", CITYSTREAM__STACK__DIRECTORY=f"{DIRECTORY}-none").returncode == 3
