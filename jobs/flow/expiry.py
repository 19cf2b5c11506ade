"""Rows that may be kept for a time only: deleted from their table by the job that wrote them."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from conf.settings import Settings
from jobs.flow.datastreams import keyed, timers_in_checkpoints

EVERY_MS = 3_600_000

log = logging.getLogger(__name__)


def expire(written: DataStream, tables: Sequence[str], settings: Settings, *, name: str) -> None:
    """Delete the rows of tables whose `expires_at` is past, every hour from the first that is written on."""
    uid = f"{name}.expiry"
    deleting = Expiry(tables, settings.postgres.url.get_secret_value())
    together = keyed(written, lambda _: name, name=uid)
    deleted = together.process(deleting, output_type=Types.LONG())
    timers_in_checkpoints(deleted.name(f"{name.replace('.', ': ', 1)}: expiry").uid(uid), name=uid)


class Expiry(KeyedProcessFunction):
    """Deletes on time, and counts what was `expired`; where the database is away, the next time does it."""

    def __init__(self, tables: Sequence[str], url: str) -> None:
        self._tables = tuple(tables)
        self._url = url

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the state and the counter."""
        self._due: ValueState = runtime_context.get_state(ValueStateDescriptor("due", Types.LONG()))
        self._expired = runtime_context.get_metrics_group().add_group("citystream").counter("expired")

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[int]:  # noqa: ANN401
        """The first row starts it."""
        if self._due.value() is None:
            self._go_on(ctx)
        yield from ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[int]:
        """Delete, and come again in an hour; give how many rows went."""
        gone = sum(map(self._delete, self._tables))
        self._go_on(ctx)
        self._expired.inc(gone)
        yield gone

    def _go_on(self, ctx: KeyedProcessFunction.Context) -> None:
        due = ctx.timer_service().current_processing_time() + EVERY_MS
        self._due.update(due)
        ctx.timer_service().register_processing_time_timer(due)

    def _delete(self, table: str) -> int:
        import psycopg2
        from psycopg2 import sql

        statement = sql.SQL("DELETE FROM {} WHERE expires_at < now()").format(sql.Identifier(table))
        try:
            connection = psycopg2.connect(self._url, connect_timeout=5)
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(statement)
                    return int(cursor.rowcount)
            finally:
                connection.close()
        except psycopg2.Error as error:
            log.warning("rows of %s that are over stay for another hour: %s", table, type(error).__name__)
            return 0
