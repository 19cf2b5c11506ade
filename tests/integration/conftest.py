"""What integration tests share: quick checkpoints, and one run of the deliveries job that several modules look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from conf.settings import Settings
from control.cluster import Cluster
from stack.layout import PortPlan
from tests import deliveries, slate
from tests.integration.orders import BAD, order


@pytest.fixture(scope="package", autouse=True)
def _quick_checkpoints() -> Iterator[None]:
    """Rows and dead letters are visible with their checkpoint: a shorter interval proves the same, sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CITYSTREAM__FLINK__CHECKPOINT_INTERVAL_SECONDS", "1.5")
        yield


@dataclass
class Outcome:
    """What became of good and bad orders that were sent to a fresh job, while it was still running.

    Attributes:
        restarted: whether the job began anew meanwhile.
        samples: the labels of every sample of the Flink processes, by metric, as Prometheus gets them.
        per_day, per_complex: rows of these totals.
    """

    restarted: bool
    letters: list[dict[str, Any]]
    report: Any
    ids: list[str]
    samples: dict[str, list[dict[str, str]]]
    per_day: list[tuple[Any, ...]]
    per_complex: list[tuple[Any, ...]]


@pytest.fixture(scope="package")
def outcome(servers: None, _quick_checkpoints: None) -> Outcome:
    """Good orders and every kind of bad one, sent at once to a fresh job; it is cancelled when all is known."""
    settings = deliveries.settings()
    cluster = Cluster(settings.flink.url)
    with deliveries.running(settings) as job:
        started = cluster.last_start(job)
        values = [value for value, _ in BAD.values()]
        deliveries.send(settings, order(), *values)
        deliveries.send(settings, order(), order(pay=1), key=b"another key")  # the id of the first again, twice
        deliveries.send(settings, order(order_id="good-2", extra={"nested": [1, {"deep": None}]}, complex_id=None))
        deliveries.send(settings, order(order_id="good-3", complex_id=..., ordered_at="2026-11-20T23:59:59.999+0900"))
        slate.await_that(
            lambda: len(deliveries.ledger_ids(settings)) >= 3 and len(deliveries.dead_letters(settings)) >= len(values),
            90,
            "all records are in the ledger or the dead letters",
        )
        report = deliveries.await_agreement(settings, deliveries.TOPIC, 60)
        return Outcome(
            restarted=cluster.last_start(job) != started,
            letters=deliveries.dead_letters(settings),
            report=report,
            ids=deliveries.ledger_ids(settings),
            samples=scrape(settings),
            per_day=rows(settings, "SELECT day::text, orders, pay, charge FROM charge_per_day ORDER BY day"),
            per_complex=rows(settings, "SELECT day::text, complex_id, orders FROM pay_per_complex"),
        )


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with deliveries.postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def scrape(settings: Settings) -> dict[str, list[dict[str, str]]]:
    """Ask the JobManager and all TaskManagers, as Prometheus does."""
    ports = PortPlan(settings.stack)
    samples: dict[str, list[dict[str, str]]] = {}
    for number in range(settings.stack.task_managers + 1):
        answer = httpx.get(f"http://localhost:{ports.metrics(number).number}/metrics", timeout=10)
        answer.raise_for_status()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append(sample.labels)
    return samples
