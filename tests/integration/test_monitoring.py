"""Every Flink metric and label that the dashboard or an alert asks for is what the processes really answer."""

from collections import defaultdict
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stack.layout import PortPlan
from tests import deliveries, monitoring, slate
from tests.integration.test_bad_input import order

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

USED = {metric: labels for metric, labels in monitoring.used().items() if metric.startswith("flink_")}

Scraped = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def scraped(servers: None) -> Iterator[Scraped]:
    """The labels of every sample of the Flink processes, by metric, while the deliveries job has done its work."""
    settings = deliveries.settings()
    with deliveries.running(settings):
        deliveries.send(settings, order(), b"not an order")
        slate.await_that(
            lambda: len(deliveries.ledger_ids(settings)) == 1 and len(deliveries.dead_letters(settings)) == 1,
            90,
            "the order is in the ledger, and what is none in the dead letters",
        )
        yield scrape(settings)


def scrape(settings: deliveries.Settings) -> Scraped:
    """Ask the JobManager and all TaskManagers, as Prometheus does."""
    ports = PortPlan(settings.stack)
    samples: Scraped = defaultdict(list)
    for number in range(settings.stack.task_managers + 1):
        answer = httpx.get(f"http://localhost:{ports.metrics(number).number}/metrics", timeout=10)
        answer.raise_for_status()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                samples[sample.name].append(sample.labels)
    return samples


@pytest.mark.parametrize("metric", sorted(USED))
def test_flink_answers_what_is_asked_for(scraped: Scraped, metric: str) -> None:
    assert metric in scraped
    for labels in scraped[metric]:
        assert USED[metric] <= labels.keys()


def test_every_metric_of_ours_is_shown(scraped: Scraped) -> None:
    """What our own operators and sinks count is on the dashboard."""
    ours = {metric for metric in scraped if "_citystream_" in metric}
    assert ours
    assert ours <= USED.keys()


def test_a_dead_letter_is_counted_by_its_reason(scraped: Scraped) -> None:
    reasons = [
        labels["reason"] for labels in scraped["flink_taskmanager_job_task_operator_citystream_reason_dead_lettered"]
    ]
    assert reasons == ["not-json"]
