"""Python inside the TaskManagers: the same promises, and a savepoint that only the mode which wrote it takes."""

from pathlib import Path

import pytest

from control import jobs
from sinks.errors import NotReadyError
from tests import deliveries

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]


@pytest.mark.timeout(600)
def test_threads_keep_every_promise_and_processes_refuse_their_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYSTREAM__DELIVERIES__PYTHON_MODE", "thread")
    settings = deliveries.settings()
    with (
        deliveries.running(settings),
        deliveries.generator(tmp_path / "manifest", rate=2000, count=20_000, malformed_share=0.01) as generator,
    ):
        jobs.stop(settings, deliveries.TOPIC)
        jobs.resume(settings, deliveries.TOPIC)
        generator.finish(60)
        deliveries.assert_every_promise(settings, generator, seconds=120)

        jobs.stop(settings, deliveries.TOPIC)
        monkeypatch.setenv("CITYSTREAM__DELIVERIES__PYTHON_MODE", "process")
        with pytest.raises(NotReadyError, match="operator is not available in the new program"):
            jobs.resume(deliveries.settings(), deliveries.TOPIC)
