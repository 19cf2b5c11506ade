"""Kill a broker while a generator produces: it goes on, and what it says it has sent is there, once."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from conf.settings import load
from generators.manifest import read_manifest
from stack.lifecycle import LocalStack
from tests import deliveries, slate
from tests.integration.test_generator import brokers, published, topic

__all__ = ["brokers", "topic"]

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]


@pytest.mark.timeout(300)
def test_a_generator_goes_on_through_the_loss_of_a_broker(brokers: str, topic: str, tmp_path: Path) -> None:
    stack = LocalStack.of(load().stack)
    manifest = tmp_path / "manifest"

    def acknowledged() -> int:
        return sum(1 for _ in read_manifest(manifest)) if manifest.exists() else 0

    with deliveries.generator(manifest, topic=topic, rate=2_000, malformed_share=0, late_share=0) as generator:
        slate.await_that(acknowledged, 60, "the first orders are acknowledged")
        killed = stack.require("kafka-1").pid
        os.kill(killed, signal.SIGKILL)
        before = acknowledged()
        slate.await_that(lambda: acknowledged() > before + 10_000, 120, "it goes on")
        slate.await_that(lambda: stack.require("kafka-1").pid not in (0, killed), 60, "the broker is back")
        generator.stop(60)
    told = Counter(key for _, key, _ in read_manifest(manifest))
    assert Counter(key.decode() for key, _, _ in published(brokers, topic)) == told
