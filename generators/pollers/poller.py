"""One run of a poller, whatever it fetches: its engine, its client, and how it ends."""

import abc
from collections.abc import Awaitable

from kafka import KafkaProducer

from apis.client import Client, Clock, Patience, Unreadable
from apis.quota import PostgresQuotas
from conf.settings import Settings
from generators.pollers.engine import Engine
from generators.pollers.report import Report
from generators.pollers.state import State


class Poller(abc.ABC):
    """One run.

    Args:
        settings: All settings.
        state: What is known, and the spool.
        producer: Where messages go; None: nothing may be fetched, only reckoned.
        clock: The time.
        report: What it says.
        waits: Whether to wait for the next day's quota; otherwise what needs it is left for the next run.
        unreadable: Told of answers that nobody can read.

    Attributes:
        engine: Whatever is in the way of it.

    Raises:
        ApiError: addresses and keys don't go together.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        producer: KafkaProducer | None,
        clock: Clock,
        report: Report,
        *,
        waits: bool = True,
        unreadable: Unreadable | None = None,
    ) -> None:
        chosen = settings.pollers
        self.engine = Engine(chosen, state, producer, clock, report, waits=waits)
        self._state = state
        self._clock = clock
        self._report = report
        self._send = self.engine.outbox.send
        patience = Patience(
            timeout_seconds=chosen.timeout_seconds,
            attempts=chosen.attempts,
            longest_pause_seconds=chosen.longest_pause_seconds,
            malformed_attempts=chosen.malformed_attempts,
            concurrency=chosen.concurrency,
        )
        # Where a job has the same key, what both of them call counts together; alone, a poller needs no other server.
        self._shared = PostgresQuotas(settings.postgres.url.get_secret_value()) if chosen.shared_quotas else None
        quotas = self._shared or state.quotas
        self._client = Client(patience, quotas, clock=clock, unreadable=unreadable, stop=self.engine.stopping)

    @abc.abstractmethod
    async def _watch(self, *, once: bool) -> None:
        """Fetch what is new, as the schedule says, until stopped; `once`: only what is due now."""

    @abc.abstractmethod
    def quotas_left(self) -> dict[str, int]:
        """How many calls are left today, by operation."""

    def stop(self) -> None:
        """End well: calls in flight are finished, what they bring is delivered."""
        self.engine.stopping.set()

    async def watch(self, *, once: bool) -> bool:
        """Fetch what is new, as the schedule says, until stopped; `once`: only what is due now.

        Returns:
            whether nothing was left.

        Raises:
            ApiError, PollerError: it makes no sense to go on.
        """
        return await self._delivering(self._watch(once=once))

    async def deliver(self) -> bool:
        """Only send what is in the spool; return whether Kafka has all of it."""

        async def nothing() -> None:
            return

        return await self._delivering(nothing())

    async def _delivering(self, work: Awaitable[None]) -> bool:
        try:
            return await self.engine.delivering(work)
        finally:
            await self._client.close()
            if self._shared:
                self._shared.close()
