"""What all that feed Kafka share: how a producer is configured, and how they wait for brokers and topics."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from conf.errors import CitystreamError

DELIVERY_TIMEOUT_SECONDS = 600

PRODUCER_CONFIG: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 100,
    "batch_size": 131_072,
    "delivery_timeout_ms": DELIVERY_TIMEOUT_SECONDS * 1000,
    "reconnect_backoff_max_ms": 1_000,
    "allow_auto_create_topics": False,
    "max_request_size": 1_048_576,
    "metrics_enabled": False,
}


class GeneratorError(CitystreamError):
    """The run can't go on; the message says why and what to do."""


def _never() -> bool:
    return False


def _no_broker(bootstrap_servers: str) -> str:
    return f"no broker answers at {bootstrap_servers}: start the stack (`make up`) or set KAFKA_BOOTSTRAP_SERVERS"


def wait_for_brokers(
    bootstrap_servers: str, seconds: float, topic: str | None = None, must_stop: Callable[[], bool] = _never
) -> None:
    """Return when a broker answers and knows the topic, if one is given, or when asked to stop.

    Raises:
        GeneratorError: none does within so many seconds.
    """
    began = time.monotonic()
    while not must_stop():
        awaited = f"a broker at {bootstrap_servers}"
        remedy = _no_broker(bootstrap_servers)
        with contextlib.suppress(KafkaError):
            admin = KafkaAdminClient(
                bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=1000 * min(2.0, seconds / 3)
            )
            try:
                if topic is None or topic in admin.list_topics():
                    return
            finally:
                admin.close()
            awaited = f"topic {topic}"
            remedy = f"topic {topic} is missing: run `make prepare`"
        waited = time.monotonic() - began
        if waited >= seconds:
            raise GeneratorError(remedy)
        print(f"waiting for {awaited} ({waited:.0f} s of {seconds:g} s)", file=sys.stderr, flush=True)
        time.sleep(min(2.0, seconds - waited))


# The package carries no types.
class _Client(KafkaProducer):  # type: ignore[misc]
    def __del__(self) -> None:
        # It flushes once more, and would print a traceback when the brokers are away.
        with contextlib.suppress(KafkaError):
            super().__del__()


@contextlib.contextmanager
def client(bootstrap_servers: str, seconds: float = 60) -> Iterator[KafkaProducer]:
    """A producer of the configuration above.

    Raises:
        GeneratorError: no broker answers within so many seconds.
    """
    try:
        producer = _Client(
            bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=int(1000 * seconds), **PRODUCER_CONFIG
        )
    except KafkaError:
        raise GeneratorError(_no_broker(bootstrap_servers)) from None
    try:
        yield producer
    finally:
        # All is acknowledged by now, or the run failed and says so: a second failure here must not hide the first.
        with contextlib.suppress(KafkaError):
            producer.close(timeout=0)
