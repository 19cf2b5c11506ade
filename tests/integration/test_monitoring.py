"""Every Flink metric and label that the dashboard or an alert asks for is what the processes really answer."""

import pytest

from tests import monitoring
from tests.integration.conftest import Outcome
from tests.integration.orders import BAD

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

# Those of look-ups are asked of a job that has some, in test_coordinates.
USED = {
    metric: labels
    for metric, labels in monitoring.used().items()
    if metric.startswith("flink_") and metric not in monitoring.LOOK_UPS
}


@pytest.mark.parametrize("metric", sorted(USED))
def test_flink_answers_what_is_asked_for(outcome: Outcome, metric: str) -> None:
    assert metric in outcome.samples
    for labels in outcome.samples[metric]:
        assert USED[metric] <= labels.keys()


def test_every_metric_of_ours_is_shown(outcome: Outcome) -> None:
    """What our own operators and sinks count is on the dashboard."""
    ours = {metric for metric in outcome.samples if "_citystream_" in metric}
    assert ours
    assert ours <= USED.keys()


def test_a_dead_letter_is_counted_by_its_reason(outcome: Outcome) -> None:
    counted = outcome.samples["flink_taskmanager_job_task_operator_citystream_reason_dead_lettered"]
    assert {labels["reason"] for labels in counted} == {reason for _, reason in BAD.values()}
