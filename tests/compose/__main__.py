"""`make test-compose`: docker-compose.yml, brought up whole, against stand-ins of the images that it would pull.

It needs root, and minutes. Images, containers, networks and volumes are those of an engine of its own, and are gone at
the end.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2

from conf.settings import ROOT
from conf.streams import STREAMS
from control.cluster import Cluster
from sinks.errors import NotReadyError
from stack.errors import StackError
from tests.compose import stand_ins
from tests.compose.engine import Engine, TestFailedError, compose, require

PROJECT = "citystream-test"
ONE_SHOTS = ("accounts", "prepare", "kibana-import", *(f"submit-{name}" for name in STREAMS))
OWN_JOB = Path(__file__).with_name("own_job.py")
OWN_JOB_INSIDE = "/opt/flink/tmp/own_job.py"
JOBS = tuple(STREAMS)
began = time.monotonic()


def say(line: str) -> None:
    """One line of progress, with the minutes since the start."""
    print(f"{(time.monotonic() - began) / 60:5.1f} min  {line}", flush=True)


class System:
    """The project in the engine, with settings of its own in place of .env."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        for name in re.findall(r"^(\w+_PASSWORD|\w+_KEY)=.+", text, re.MULTILINE):
            text = re.sub(rf"^{name}=.*", f"{name}={secrets.token_urlsafe(30)}", text, flags=re.MULTILINE)
        for name in re.findall(r"^(\w+_PORT)=", text, re.MULTILINE):
            text = re.sub(rf"^{name}=.*", f"{name}={free_port()}", text, flags=re.MULTILINE)
        text = re.sub(r"^COMPOSE_PROJECT_NAME=.*", f"COMPOSE_PROJECT_NAME={PROJECT}", text, flags=re.MULTILINE)
        self._file = engine.data / "env"
        self._file.write_text(text, encoding="utf-8")
        self.env = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    def compose(self, *arguments: str, check: bool = True, env_file: Path | None = None) -> str:
        """Run a command of Compose and return what it printed.

        Raises:
            TestFailedError: it failed.
        """
        command = [*compose(), "--env-file", str(env_file or self._file), "--project-name", PROJECT]
        done = subprocess.run(
            [*command, "--file", str(ROOT / "docker-compose.yml"), *arguments],
            env=self._engine.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            msg = f"docker compose {' '.join(arguments)} failed:\n{done.stdout[-4000:]}"
            raise TestFailedError(msg)
        return done.stdout

    def states(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each service's container."""
        ids = self._engine.docker(
            "ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={PROJECT}"
        ).stdout.split()  # fmt: skip
        if not ids:
            return {}
        containers = json.loads(self._engine.docker("inspect", *ids).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in containers}

    def port(self, service: str) -> int:
        """Where a service is published."""
        return int(self.env[f"{service.upper().replace('-', '_')}_PORT"])

    def counts(self) -> dict[str, int]:
        """How far the streams have come, in both databases."""
        queries = {
            "orders": "SELECT count(*) FROM delivery_information",
            "counted": "SELECT coalesce(sum(orders), 0) FROM charge_per_day",
            "emissions": "SELECT count(*) FROM emission_per_complex_month",
        }
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port("postgres"),
            user="citystream",
            dbname="citystream",
            password=self.env["POSTGRES_PASSWORD"],
            connect_timeout=5,
        )
        found = {}
        with contextlib.closing(connection), connection.cursor() as cursor:
            for name, query in queries.items():
                cursor.execute(query)
                found[name] = int((cursor.fetchone() or (0,))[0])
        for name, index in (("order documents", "deliveries"), ("emission documents", "carbon*")):
            self.get("elasticsearch", f"/{index}/_refresh", login=True)
            found[name] = int(self.get("elasticsearch", f"/{index}/_count", login=True)["count"])
        return found

    def get(self, service: str, path: str, *, login: bool = False) -> Any:
        """The JSON that a published service answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port(service)}{path}")
        if login:
            pair = base64.b64encode(f"elastic:{self.env['ELASTIC_PASSWORD']}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own address
            return json.load(answer)

    def kill(self, service: str) -> None:
        """End a container as a crash would: the engine then restarts it."""
        os.kill(self.states()[service]["State"]["Pid"], signal.SIGKILL)

    def logs(self, service: str, lines: int = 40) -> str:
        """The end of a service's log."""
        return self.compose("logs", f"--tail={lines}", "--no-color", service, check=False)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait(what: str, seconds: float, done: Callable[[], bool]) -> None:
    """Ask again and again until it is so; a server that is away is asked again.

    Raises:
        TestFailedError: it never was.
    """
    deadline, trouble = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if done():
                say(what)
                return
            trouble = "not yet"
        except (OSError, psycopg2.Error, LookupError, ValueError, NotReadyError) as error:
            trouble = str(error)
        time.sleep(3)
    msg = f"Not within {seconds:.0f} s: {what} ({trouble.strip()})"
    raise TestFailedError(msg)


def well(system: System) -> bool:
    """Whether every one-shot has ended well, and every server runs and is healthy."""
    bad = {}
    for service, container in system.states().items():
        state = container["State"]
        health = state.get("Health", {}).get("Status", "healthy")
        if service in ONE_SHOTS:
            if state["Status"] == "exited" and state["ExitCode"] != 0:
                msg = f"{service} failed:\n{system.logs(service)}"
                raise TestFailedError(msg)
            fine = state["Status"] == "exited"
        else:
            fine = state["Status"] == "running" and health == "healthy"
        if not fine:
            bad[service] = f"{state['Status']} {health}"
    if bad:
        raise LookupError(str(bad))
    return True


def grows(system: System, *names: str) -> Callable[[], bool]:
    """Whether these counts are above what they were when first asked."""
    before: dict[str, int] = {}

    def above() -> bool:
        now = system.counts()
        # Asked here for the first time, too, since `wait` asks a server that is slow again.
        if not before:
            before.update(now)
        return all(now[name] > before[name] for name in names)

    return above


def reconcile(system: System) -> None:
    """Hold topics, dead letters, ledgers, totals and documents against each other, while nothing new comes."""
    generators = "generator", "generator-tickets"
    system.compose("stop", *generators)
    print(system.compose("exec", "-T", "jobmanager", "python", "-m", "stack.reconcile", "--wait", "180"))
    system.compose("start", *generators)
    say("reconciliation: all agrees")


def running(system: System) -> dict[str, str | None]:
    """The ids of the jobs that run."""
    cluster = Cluster(f"http://127.0.0.1:{system.port('flink')}")
    return {job: cluster.running(job) for job in JOBS}


def missing_env(system: System) -> None:
    """Without .env there is one error, and it says what to do."""
    with tempfile.NamedTemporaryFile() as empty:
        said = system.compose("config", "--quiet", check=False, env_file=Path(empty.name))
    errors = [line for line in said.splitlines() if "cp .env.example .env" in line]
    if len(errors) != 1:
        msg = f"Without .env, docker compose says:\n{said}"
        raise TestFailedError(msg)
    say("without .env, one error names `cp .env.example .env`")


def check(system: System, engine: Engine) -> None:
    """Everything that a user relies on."""
    started = time.monotonic()
    system.compose("up", "--detach")
    wait("every one-shot has ended well, every server is healthy", 900, lambda: well(system))
    say(f"up took {(time.monotonic() - started) / 60:.1f} min")
    wait("orders and emissions are in both databases", 600, lambda: all(system.counts().values()))
    wait("orders keep coming", 120, grows(system, "orders", "counted", "order documents"))
    say(f"now {system.counts()}")
    wait("the board lists orders", 60, lambda: bool(system.get("board", "/api/lists/orders?size=1")["rows"]))

    objects = system.get("kibana", "/imported")["files"]
    say(f"Kibana's stand-in took {', '.join(objects)}")
    if not objects:
        msg = "Nothing was imported into Kibana."
        raise TestFailedError(msg)
    wait(
        "Prometheus scrapes every target",
        120,
        lambda: all(
            each["health"] == "up" for each in system.get("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        ),
    )
    for metric in (
        "kafka_brokers == 3",
        "pg_up == 1",
        "elasticsearch_cluster_health_up == 1",
        f"flink_jobmanager_numRunningJobs == {len(JOBS)}",
    ):
        query = f"/api/v1/query?query={urllib.request.quote(metric)}"
        wait(metric, 90, lambda query=query: bool(system.get("prometheus", query)["data"]["result"]))
    say(f"Grafana's stand-in found {', '.join(system.get('grafana', '/api/health')['dashboards'])}")

    container = system.states()["jobmanager"]["Id"]
    engine.docker("cp", str(OWN_JOB), f"{container}:{OWN_JOB_INSIDE}")
    said = system.compose("exec", "-T", "jobmanager", "flink", "run", "--python", OWN_JOB_INSIDE)
    if "has finished" not in said:
        msg = f"`flink run` of one's own job says:\n{said}"
        raise TestFailedError(msg)
    say("a job of one's own ran")

    for victim in ("kafka-2", "taskmanager-1"):
        ids = running(system)
        system.kill(victim)
        say(f"killed {victim}")
        wait("orders go on", 240, grows(system, "orders", "counted", "order documents"))
        wait(f"{victim} is back", 240, lambda: well(system))
        if running(system) != ids:
            msg = f"The jobs were {ids}, now {running(system)}."
            raise TestFailedError(msg)
    reconcile(system)

    ids, before = running(system), system.counts()
    system.compose("down")
    system.compose("up", "--detach")
    wait("down and up: all is well again", 900, lambda: well(system))
    wait("the same jobs went on", 120, lambda: running(system) == ids)
    wait("and nothing was lost", 120, lambda: all(system.counts()[name] >= count for name, count in before.items()))
    wait("orders keep coming", 240, grows(system, "orders", "counted", "order documents"))
    reconcile(system)


@contextlib.contextmanager
def brought_down(system: System, engine: Engine) -> Iterator[None]:
    """Take everything down at the end, and see that nothing is left."""
    try:
        yield
    finally:
        system.compose("down", "--volumes", "--remove-orphans", check=False)
    left = {
        "containers": [*system.states()],
        "volumes": engine.docker("volume", "ls", "--quiet", f"--filter=name={PROJECT}").stdout.split(),
        "networks": engine.docker("network", "ls", "--quiet", "--filter=type=custom").stdout.split(),
    }
    if any(left.values()):
        msg = f"`docker compose down --volumes` left {left}"
        raise TestFailedError(msg)
    say("down: no container, volume or network is left")


def main() -> int:
    """Run it; 0 when all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the images in .stack-compose for the next run")
    options = parser.parse_args()
    # Nothing is left behind by one that is told to end, either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        require()
        with Engine(ROOT / ".stack-compose", keep=options.keep) as engine:
            version = engine.docker("version", "--format={{.Server.Version}}").stdout.strip()
            say(f"Docker engine {version}, {' '.join(compose())}")
            stand_ins.build(engine, say)
            system = System(engine)
            missing_env(system)
            say("Building our own image from deploy/Dockerfile")
            system.compose("build")
            say(f"images take {engine.disk():.1f} GiB")
            with brought_down(system, engine):
                try:
                    check(system, engine)
                except TestFailedError:
                    for service, container in system.states().items():
                        if container["State"]["Status"] != "running":
                            print(f"--- {service}: {container['State']['Status']}\n{system.logs(service)}")
                    raise
                finally:
                    say(f"with data {engine.disk():.1f} GiB")
    except (TestFailedError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
