"""From the spool to Kafka: a message counts as delivered when all in-sync replicas have it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from generators.pollers.state import Message, State

MOST_UNACKNOWLEDGED = 2_000
_SLICE_SECONDS = 0.02
# What sending again does not cure: a clock that is far ahead of the brokers', a topic that takes only small records.
_REFUSALS = (InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError, TopicAuthorizationFailedError)


def produce(producer: KafkaProducer, message: Message) -> Any:  # noqa: ANN401 - the client has no types
    """Hand a message to the client; return the future of its acknowledgement."""
    return producer.send(
        message.topic, message.value, message.key.encode(), headers=message.headers, timestamp_ms=message.fetched_ms
    )


class Outbox:
    """Sends messages of the spool and has them acknowledged there.

    Args:
        producer: An idempotent client.
        state: The spool.
        say: Told, in one line, what it waits for.
        fail: Told, in one line, why Kafka will never take a message.
    """

    def __init__(
        self, producer: KafkaProducer, state: State, say: Callable[[str], None], fail: Callable[[str], None]
    ) -> None:
        self._producer = producer
        self._state = state
        self._say = say
        self._fail = fail
        self._pending: deque[tuple[Any, Message]] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._refused = False

    def send(self, messages: Iterable[Message]) -> None:
        """Hand messages of the spool to the client."""
        for message in messages:
            self._pending.append((produce(self._producer, message), message))
        if len(self._pending) >= MOST_UNACKNOWLEDGED:
            self._room.clear()

    async def room(self, stop: asyncio.Event) -> None:
        """Wait while too much is unacknowledged, as what is fetched has to go somewhere; not once it is to stop."""
        while not self._room.is_set() and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), 1)

    async def run(self) -> None:
        """Have what Kafka acknowledges crossed off, until cancelled."""
        while True:
            self._collect()
            await asyncio.sleep(_SLICE_SECONDS)

    async def drain(self, seconds: float) -> int:
        """Wait until all is acknowledged, at most so long; return how much is not. It stays in the spool."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._pending and not self._refused and loop.time() < deadline:
            self._collect()
            await asyncio.sleep(_SLICE_SECONDS)
        return len(self._pending)

    def _collect(self) -> None:
        if self._refused:
            return
        delivered: list[Message] = []
        failed: list[Message] = []
        while self._pending and self._pending[0][0].is_done:
            future, message = self._pending.popleft()
            if isinstance(future.exception, _REFUSALS):
                self._pending.appendleft((future, message))
                self._refused = True
                self._fail(f"Kafka refuses {message.topic} {message.key}: {future.exception}")
                break
            if future.failed():
                failed.append(message)
                cause = future.exception
            else:
                delivered.append(message)
        if delivered:
            self._state.acknowledge(delivered)
        if failed:
            self._say(f"waits for Kafka: {len(failed):,} messages were not acknowledged ({type(cause).__name__})")
            self.send(failed)
        if len(self._pending) < MOST_UNACKNOWLEDGED:
            self._room.set()
