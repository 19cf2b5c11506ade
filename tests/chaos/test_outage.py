"""PostgreSQL or Elasticsearch is away for long, while bad and good orders come: each is somewhere, once."""

import contextlib
import time
from pathlib import Path

import elastic_transport
import pytest
from elasticsearch import ApiError

from conf.settings import Settings
from control.cluster import Cluster
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import deliveries, slate

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

RATE = 200
# No checkpoint completes so long: four times as long as a transaction of Kafka with a time-out of 10 s would last.
AWAY_SECONDS = 45


def answers(settings: Settings, server: str) -> bool:
    """Whether the server is back."""
    with contextlib.suppress(NotReadyError, ApiError, elastic_transport.TransportError):
        if server == "postgres":
            with postgres.connect(settings):
                return True
        with elasticsearch.client(settings) as client:
            client.count(index=deliveries.TOPIC)
            return True
    return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", ["postgres", "elasticsearch"])
def test_an_outage_loses_nothing(server: str, tmp_path: Path) -> None:
    settings = deliveries.settings()
    supervisor = LocalStack.of(settings.stack).supervisor
    cluster = Cluster(settings.flink.url)
    with (
        deliveries.running(settings) as job,
        deliveries.generator(
            tmp_path / "manifest", rate=RATE, count=RATE * (AWAY_SECONDS + 45), seed=11, malformed_share=0.05
        ) as generator,
    ):
        slate.await_that(lambda: deliveries.ledger_ids(settings), 90, "the job writes orders")
        started = cluster.last_start(job)
        letters = len(deliveries.dead_letters(settings))
        supervisor.stop_service(server)
        try:
            slate.await_that(lambda: len(deliveries.dead_letters(settings)) > letters, AWAY_SECONDS, "a letter comes")
            time.sleep(AWAY_SECONDS)
        finally:
            supervisor.start_service(server)
        slate.await_that(lambda: answers(settings, server), 180, f"{server} is back")
        generator.finish(180)
        deliveries.assert_every_promise(settings, generator, seconds=180)
        assert cluster.last_start(job) == started
