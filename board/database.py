"""PostgreSQL as the board reads it: connections that are kept, read-only, and never for long.

The board looks at what jobs write. It takes no lock that anybody waits for, and gives up a query that takes too long.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import errors, extensions

from conf.settings import Settings
from sinks import postgres
from sinks.errors import NotReadyError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Row = dict[str, Any]
# Connections at most; who comes when all are in use waits.
CONNECTIONS = 6
STATEMENT_MILLISECONDS = 10_000
# Numbers for people: a float holds a numeric(16, 3) to the gram.
NUMERIC = extensions.new_type(
    extensions.DECIMAL.values, "number", lambda value, _: None if value is None else float(value)
)


class BrokenError(NotReadyError):
    """The connection is no more."""


class MissingError(NotReadyError):
    """A table that a query reads is not there."""


class Database:
    """Rows of queries.

    Args:
        load: gives the settings; they are read for each new connection, since the stack's addresses may come later.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._turn = threading.BoundedSemaphore(CONNECTIONS)
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()

    def rows(self, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> list[Row]:
        """The rows of a query, as dicts.

        Raises:
            MissingError: a table is not there; it says what to run.
            NotReadyError: the database is away, or does not answer in time.
        """
        with self._turn:
            if (kept := self._kept()) is not None:
                try:
                    return self._asked(kept, query, parameters)
                except BrokenError:
                    # The server was restarted since: what else is kept is of no use either.
                    self.close()
            return self._asked(self._new(), query, parameters)

    def close(self) -> None:
        """Close what is kept."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _kept(self) -> "Connection | None":
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _new(self) -> "Connection":
        settings = self._load()
        options = f"-c statement_timeout={STATEMENT_MILLISECONDS} -c timezone={settings.time_zone}"
        connection = postgres.lasting(settings, options=options)
        extensions.register_type(NUMERIC, connection)
        return connection

    def _asked(
        self, connection: "Connection", query: str, parameters: Mapping[str, Any] | Sequence[Any] | None
    ) -> list[Row]:
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, parameters)
                names = [column.name for column in cursor.description or ()]
                found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            self._idle.put(connection)
            message = f"{str(error).splitlines()[0]}: run `make prepare`."
            raise MissingError(message) from None
        except errors.QueryCanceled:
            self._idle.put(connection)
            message = f"PostgreSQL did not answer within {STATEMENT_MILLISECONDS // 1000} s: try again later."
            raise NotReadyError(message) from None
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            connection.close()
            reason = (str(error).strip().splitlines() or ["it ended"])[0]
            message = f"PostgreSQL broke off: {reason}"
            raise BrokenError(message) from None
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        return found
