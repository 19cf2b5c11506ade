"""Each alert fires when what it is about happens to the real stack, before a real Prometheus, and clears when it ends.

The rules are those of conf/prometheus/alerts.yaml, with all their times shortened alike.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from kafka import KafkaProducer

from conf.settings import Settings
from control import jobs
from control.cluster import Cluster
from control.facts import facts
from sinks import elasticsearch, postgres
from stack import artifacts, preflight
from stack.layout import PortPlan
from stack.lifecycle import LocalStack
from stack.servers.flink import task_manager
from tests import deliveries, exporters, monitoring, slate

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.elasticsearch,
    pytest.mark.flink,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is missing: apt install prometheus"),
    pytest.mark.skipif(os.environ.get("CITYSTREAM_CHAOS") != "long", reason="of the long form: make chaos"),
]

FACTOR = 12
JOB = deliveries.TOPIC
RATE = 2_500
FIRES_SECONDS, CLEARS_SECONDS = 180, 240
# A disk for what is there and this much more.
ROOM = 16 * 2**20
seen: set[str] = set()


class Prometheus:
    """A Prometheus with the shortened rules."""

    def __init__(self, url: str) -> None:
        self._url = url

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        alerts = httpx.get(f"{self._url}/api/v1/alerts", timeout=10).raise_for_status().json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def expect(self, *alerts: str) -> None:
        """Wait until all of them fire."""
        fired: set[str] = set()

        def all_fired() -> bool:
            fired.update(self.firing())
            return fired.issuperset(alerts)

        try:
            slate.await_that(all_fired, FIRES_SECONDS, f"{', '.join(alerts)} fire")
        except AssertionError as error:
            message = f"{error}; of them did not fire: {', '.join(set(alerts) - fired)}"
            raise AssertionError(message) from None
        seen.update(alerts)

    def clears(self, *alerts: str) -> None:
        """Wait until none of them fires, or with no names until none at all does."""
        slate.await_that(
            lambda: not self.firing() & set(alerts or ALL), CLEARS_SECONDS, f"{', '.join(alerts or ['all'])} clear"
        )


ALL = {rule["alert"] for rule in monitoring.alerts()}


@pytest.fixture(scope="module")
def settings(servers: None) -> Iterator[Settings]:
    """The deliveries job into PostgreSQL, with orders that keep coming."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CITYSTREAM__FLINK__CHECKPOINT_INTERVAL_SECONDS", "1.5")
        patch.setenv("CITYSTREAM__DELIVERIES__DOCUMENTS", "false")
        settings = deliveries.settings()
        with deliveries.running(settings, parallelism=2):
            yield settings


@pytest.fixture(scope="module")
def generator(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    manifest = tmp_path_factory.mktemp("alerts") / "manifest"
    with deliveries.generator(manifest, rate=RATE, malformed_share=0.001):
        yield


@pytest.fixture(scope="module")
def disk(settings: Settings) -> exporters.Disk:
    return exporters.Disk(settings, ROOM)


@pytest.fixture(scope="module")
def prometheus(
    settings: Settings, disk: exporters.Disk, generator: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It runs beside the stack, and nothing fires yet."""
    folder = tmp_path_factory.mktemp("prometheus")
    ports = PortPlan(settings.stack)
    named = {"jobmanager": 0} | {task_manager(number): number for number in range(1, settings.stack.task_managers + 1)}
    with exporters.all_of(settings, disk, job=JOB) as exporting:
        flink = [
            {"targets": [f"127.0.0.1:{ports.metrics(number).number}"], "labels": {"instance": f"{name}:9249"}}
            for name, number in named.items()
        ]
        scraping = [{"job_name": "flink", "static_configs": flink}] + [
            {"job_name": name, "scrape_interval": "2s", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in exporting.items()
        ]
        times = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        (folder / "alerts.yaml").write_text(yaml.safe_dump(monitoring.quickened(FACTOR)))
        configuration = {"global": times, "rule_files": ["alerts.yaml"], "scrape_configs": scraping}
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        address = f"127.0.0.1:{ports.metrics(50).number}"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address={address}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            slate.await_that(lambda: ready(address, process), 30, f"Prometheus answers: {folder}/log")
            found = Prometheus(f"http://{address}")
            slate.await_that(
                lambda: Cluster(settings.flink.url).checkpoint_age(Cluster(settings.flink.url).running(JOB) or ""),
                90,
                "the job has a checkpoint",
            )
            time.sleep(10)
            found.clears()
            yield found
        finally:
            process.terminate()
            process.wait(30)


def ready(address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Prometheus has ended"
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{address}/-/ready", timeout=2).is_success
    return False


@contextlib.contextmanager
def stopped(stack: LocalStack, *services: str) -> Iterator[None]:
    """Without these servers of the suite's own stack."""
    for name in services:
        stack.supervisor.stop_service(name)
    try:
        yield
    finally:
        for name in services:
            stack.restart(name, lambda *_: None)


@contextlib.contextmanager
def full_heap(stack: LocalStack, folder: Path) -> Iterator[None]:
    """The JobManager's heap nearly full."""
    agent, marker = folder / "agent.jar", folder / "marker"
    java = preflight.java().home
    source = Path(__file__).with_name("HeapFilled.java")
    artifacts.compiled(source, agent, java, manifest={"Agent-Class": source.stem})
    marker.touch()
    pid = str(stack.require("jobmanager").pid)
    done = subprocess.run(
        [str(java / "bin" / "jcmd"), pid, "JVMTI.agent_load", str(agent), str(marker)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        yield
    finally:
        marker.unlink()


@contextlib.contextmanager
def full_disk(settings: Settings, disk: exporters.Disk) -> Iterator[None]:
    """Documents that take nearly all of it, until their index is deleted."""
    with elasticsearch.client(settings) as client:
        client.options(ignore_status=404).indices.delete(index="tickets")
        while disk.size - disk.taken() > 0.1 * disk.size:
            lines: list[dict[str, object]] = []
            for _ in range(200):
                lines += [{"index": {}}, {"show_name": secrets.token_hex(4_000)}]
            assert not client.bulk(index="tickets", operations=lines, refresh=True)["errors"]
            client.indices.flush(index="tickets")
        try:
            yield
        finally:
            client.indices.delete(index="tickets")


@contextlib.contextmanager
def poisoned(settings: Settings) -> Iterator[None]:
    """Half of what comes is no order."""
    over = threading.Event()

    def poison() -> None:
        with closing(KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","))) as producer:
            while not over.wait(0.1):
                for _ in range(RATE // 10):
                    producer.send(JOB, b"poison")

    thread = threading.Thread(target=poison)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def without_checkpoint_folder(settings: Settings) -> Iterator[None]:
    """Nothing can be written where the job's checkpoints go."""
    cluster = Cluster(settings.flink.url)
    base = Path(urlsplit(cluster.configured("execution.checkpointing.dir") or "").path)
    folder = base / (cluster.running(JOB) or "")
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("a file where a folder should be")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextlib.contextmanager
def renamed(settings: Settings, table: str) -> Iterator[None]:
    """A table that the job writes to is not there."""

    def rename(old: str, new: str) -> None:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename(table, "elsewhere")
    try:
        yield
    finally:
        rename("elsewhere", table)


@contextlib.contextmanager
def locked(settings: Settings, table: str) -> Iterator[None]:
    """Somebody has locked a table that the job writes to, and thinks."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table}")
        yield


@contextlib.contextmanager
def without_job(settings: Settings) -> Iterator[None]:
    """The job is cancelled, and resumed afterwards."""
    cluster = Cluster(settings.flink.url)
    cluster.cancel(cluster.running(JOB) or "")
    try:
        yield
    finally:
        slate.await_that(lambda: cluster.running(JOB) is None, 60, "the job has ended")
        jobs.resume(settings, JOB)


def timed(what: Callable[[], None]) -> str:
    began = time.monotonic()
    what()
    return f"{time.monotonic() - began:.0f} s"


def test_every_alert_fires_and_clears(
    settings: Settings,
    prometheus: Prometheus,
    disk: exporters.Disk,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack = LocalStack.of(settings.stack)
    said: list[str] = []

    def through(cause: contextlib.AbstractContextManager[None], *alerts: str, clears: bool = True) -> None:
        with cause:
            fired = timed(lambda: prometheus.expect(*alerts))
        cleared = timed(lambda: prometheus.clears(*alerts)) if clears else "later"
        said.append(f"{', '.join(alerts)}: fired after {fired}, cleared after {cleared}")

    with full_heap(stack, tmp_path), full_disk(settings, disk):
        through(stopped(stack, "postgres"), "HeapFull", "DiskFull", "SinkRetries", clears=False)
    prometheus.clears()
    through(locked(settings, "pay_per_complex"), "NoCheckpointCompleted", "LagGrows", "Backpressure")
    with without_checkpoint_folder(settings):
        through(contextlib.nullcontext(), "CheckpointsFail", clears=False)
        (job,) = (each for each in facts(settings) if each.job == JOB)
        assert job.checkpoint_failure, "and `make doctor` says why"
    with poisoned(settings):
        through(
            stopped(stack, "kafka-3", "taskmanager-2"),
            "UnderReplicated",
            "TargetDown",
            "TaskManagerMissing",
            clears=False,
        )
        through(contextlib.nullcontext(), "DeadLetters", clears=False)
    prometheus.clears()
    through(renamed(settings, "pay_per_complex"), "JobKeepsRestarting")
    through(without_job(settings), "NoJobRunning")
    prometheus.clears()
    with capsys.disabled():
        print("\n" + "\n".join(said))
    assert seen == ALL, "every rule has a cause here"
