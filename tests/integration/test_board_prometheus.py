"""What the board reads of a real Prometheus, whose series are made by rules, and what it says where none answers."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest
import yaml

from board import prometheus
from board.database import MissingError
from conf.settings import load
from sinks.errors import NotReadyError
from tests import slate

PROGRAM = shutil.which("prometheus")
PENDING = "flink_taskmanager_job_task_operator_pendingRecords"
DECODED = "flink_taskmanager_job_task_operator_citystream_decoded"
LABELS = {"job_name": "tickets", "task_name": "a task"}
RULES = [
    {"record": PENDING, "expr": "vector(7)", "labels": LABELS},
    {"record": PENDING, "expr": "vector(5)", "labels": {**LABELS, "task_name": "another"}},
    {"record": DECODED, "expr": "vector(time())", "labels": LABELS},  # one more each second
    {
        "alert": "Sevens",
        "expr": f"sum by (job_name) ({PENDING}) > 11",
        "labels": {"severity": "warning"},
        "annotations": {"summary": "{{ $labels.job_name }} is behind", "description": "Wait."},
    },
    {"alert": "Soon", "expr": "vector(1)", "for": "1h", "annotations": {"summary": "not yet"}},
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAM is None:
        pytest.skip("prometheus is missing: apt install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "made", "interval": "1s", "rules": RULES}]}))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"]}))
    command = [PROGRAM, f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        slate.await_that(lambda: ready(address), 60, f"Prometheus answers: {folder}/log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def ready(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{address}/-/ready", timeout=2).is_success
    return False


def test_alerts_that_fire_come_first(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", url)
    alerts = prometheus.sections(load)["alerts"]
    slate.await_that(lambda: len(alerts.read(0)) == 2 and alerts.read(0)[0]["firing"], 60, "an alert fires")
    fires, waits = alerts.read(0)
    assert (fires["alert"], fires["severity"], fires["summary"]) == ("Sevens", "warning", "tickets is behind")
    assert (waits["alert"], waits["firing"], waits["description"]) == ("Soon", False, "")


def test_the_last_hour_of_each_job(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", url)
    # A step that has begun just now is one that there is something of.
    monkeypatch.setattr(prometheus, "STEP_SECONDS", 1)
    hour = prometheus.sections(load)["job_hour"]

    def told() -> bool:
        return bool(rows := hour.read(0)) and rows[-1]["rate"] is not None and rows[-1]["lag"] is not None

    slate.await_that(told, 90, "rate and lag are there")
    newest = hour.read(0)[-1]
    assert (newest["job"], newest["lag"]) == ("tickets", 12)
    assert 0 < newest["rate"] < 1.5  # of a minute that is not over


def test_one_that_is_away_is_said_and_none_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = prometheus.sections(load)
    for section in sections.values():
        with pytest.raises(MissingError, match="PROMETHEUS_URL"):
            section.read(0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setitem(os.environ, "PROMETHEUS_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        for section in sections.values():
            with pytest.raises(NotReadyError, match="does not answer") as refusal:
                section.read(0)
            assert not isinstance(refusal.value, MissingError)
