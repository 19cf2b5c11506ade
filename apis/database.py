"""PostgreSQL, as calls of APIs need it: a short statement at a time, and patience with a server that is away."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from conf.errors import CitystreamError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


class DatabaseError(CitystreamError):
    """The database is away, or lacks its tables."""


class Database:
    """A connection whose statements are transactions of their own. Threads may share one.

    A statement whose end is unknown, as the connection broke, is run again.

    Args:
        url: the database, as a libpq URL.
        patience_seconds: how long a server that is away is waited for.
    """

    def __init__(self, url: str, patience_seconds: float = 60) -> None:
        self._url = url
        self._patience_seconds = patience_seconds
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def run(self, statement: str, parameters: Sequence[object]) -> tuple[Any, ...] | None:
        """Run a statement that returns rows; the first of them.

        Raises:
            DatabaseError: the database stays away, or refuses the statement.
        """
        import psycopg2

        def once() -> tuple[Any, ...] | None:
            with self._open().cursor() as cursor:
                cursor.execute(statement, parameters)
                row: tuple[Any, ...] | None = cursor.fetchone()
                return row

        tries = Retrying(
            retry=retry_if_exception_type((psycopg2.OperationalError, psycopg2.InterfaceError)),
            stop=stop_after_delay(self._patience_seconds),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            before_sleep=lambda _: self._forget(),
            reraise=True,
        )
        with self._lock:
            try:
                return tries(once)
            except psycopg2.Error as error:
                msg = f"{str(error).strip()}; is PostgreSQL up, and `make prepare` run?"
                raise DatabaseError(msg) from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._forget()

    def _open(self) -> "Connection":
        import psycopg2

        if self._connection is None or self._connection.closed:
            self._connection = psycopg2.connect(self._url, connect_timeout=5)
            self._connection.autocommit = True
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
