"""PostgreSQL: ledgers, tables that are upserted into, and the migrations of both.

Contracts (proven by tests that kill):

- `ledger`, mode `staged`: exactly once. Rows are copied into a staging table as they come and moved into the table in
  one ordinary transaction when their checkpoint is complete: readers see only what a completed checkpoint contains.
- `ledger`, mode `upsert`: every row at least once, keyed, so that it is there once; readers see rows at once.
- `upsert`: the newest version of each key. A replay never shows an older one.

All three wait for a server that is away, with growing pauses, and hold the stream back meanwhile; nothing is dropped.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import psycopg2
from psycopg2 import errors

from conf.settings import ROOT, Settings
from sinks.errors import NotReadyError
from sinks.rows import columns, row_type

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from pyflink.datastream import DataStream

MIGRATIONS = ROOT / "sql" / "postgres"
# Two migration runs at once wait for each other at this advisory lock.
MIGRATION_LOCK = 4_207_849
# So long a migration waits for a table; whoever comes after it waits too, a running job among them.
MIGRATION_PATIENCE = "5s"

log = logging.getLogger(__name__)


def ledger(
    stream: "DataStream",
    table: str,
    key: Sequence[str],
    *,
    time: str,
    writer: str,
    mode: Literal["staged", "upsert"],
    settings: Settings,
) -> None:
    """Write rows, each once, into `table`; the job refuses to start where the table can't take them.

    Args:
        stream: rows with the table's columns.
        table: the ledger; its primary key is `key`.
        key: a repeated key is absorbed: the first row stays.
        time: the column that end-to-end seconds are counted from.
        writer: whose staged rows these are; the same after every restart, and no other job's.
        mode: when readers see rows, see above.
        settings: the database.
    """
    if mode == "upsert":
        _upsert(stream, table, key, version=None, settings=settings, name=writer)
        return
    check(settings, table, columns(stream))
    from pyflink.java_gateway import get_gateway

    sink = get_gateway().jvm.citystream.postgres.StagedCommitSink(
        *_connection(settings), table, writer, row_type(stream), time
    )
    _attach(stream, sink, writer)


def upsert(stream: "DataStream", table: str, key: Sequence[str], *, settings: Settings) -> None:
    """Keep the row with the highest `version` of each key in `table`."""
    _upsert(stream, table, key, version="version", settings=settings, name=table)


def _upsert(
    stream: "DataStream", table: str, key: Sequence[str], *, version: str | None, settings: Settings, name: str
) -> None:
    from pyflink.java_gateway import get_gateway
    from pyflink.util.java_utils import to_jarray

    check(settings, table, columns(stream))
    jvm = get_gateway().jvm
    keys = to_jarray(jvm.String, list(key))
    sink = jvm.citystream.postgres.UpsertSink(*_connection(settings), table, row_type(stream), keys, version)
    _attach(stream, sink, name)


def _connection(settings: Settings) -> tuple[str, str, str]:
    return settings.postgres.jdbc_url, settings.postgres.user, settings.postgres.password


def _attach(stream: "DataStream", j_sink: Any, name: str) -> None:  # noqa: ANN401 - a py4j object
    from pyflink.datastream.connectors import Sink

    stream.sink_to(Sink(j_sink)).name(f"{name}: PostgreSQL").uid(f"{name}.postgres")


@contextlib.contextmanager
def connect(settings: Settings) -> Iterator["Connection"]:
    """A connection that commits at the end, or rolls back at an error.

    Raises:
        NotReadyError: the server is away, or refuses user, password or database.
    """
    connection = _connected(settings)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def lasting(settings: Settings, **options: Any) -> "Connection":  # noqa: ANN401 - whatever libpq takes
    """A connection for who reads again and again, each statement by itself; raises as `connect` does."""
    connection = _connected(settings, **options)
    connection.set_session(readonly=True, autocommit=True)
    return connection


def _connected(settings: Settings, **options: Any) -> "Connection":  # noqa: ANN401
    try:
        connection: Connection = psycopg2.connect(
            settings.postgres.url.get_secret_value(), connect_timeout=10, application_name="citystream", **options
        )
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("connection to server at ")
        where = settings.postgres.shown
        message = f"PostgreSQL at {where} can't be used: {reason}. Start it (`make up`) or set POSTGRES_URL."
        raise NotReadyError(message) from None
    return connection


def migrate(settings: Settings) -> list[str]:
    """Apply the numbered migrations of sql/postgres that have not been applied; return their names.

    Each runs in one transaction together with the note that it ran, so this can be run again at any time.
    """
    done: list[str] = []
    with connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute("SELECT name FROM schema_migrations")
        applied = {name for (name,) in cursor.fetchall()}
        for path in sorted(MIGRATIONS.glob("[0-9]*.sql")):
            if path.stem in applied:
                continue
            try:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", (MIGRATION_PATIENCE,))
                cursor.execute(path.read_text(encoding="utf-8"))
            except errors.LockNotAvailable as error:
                message = (
                    f"Migration {path.name} gave up after {MIGRATION_PATIENCE}: another session holds a table, perhaps "
                    "a backup. Nothing was changed; run `make prepare` again when that is done."
                )
                raise NotReadyError(message) from error
            except errors.DatabaseError as error:
                message = f"Migration {path.name} failed, nothing was changed: {str(error).strip()}"
                raise NotReadyError(message) from error
            cursor.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (path.stem,))
            done.append(path.stem)
    return done


def check(settings: Settings, table: str, wanted: Iterable[str]) -> None:
    """Refuse to start where a table or one of the columns to be written is missing.

    Raises:
        NotReadyError: says what to change.
    """
    with connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (table,),
        )
        there = {name for (name,) in cursor.fetchall()}
    if not there:
        message = f"PostgreSQL has no table {table}: run `make prepare`."
        raise NotReadyError(message)
    if missing := [column for column in wanted if column not in there]:
        message = f"Table {table} has no column {', '.join(missing)}: run `make prepare`."
        raise NotReadyError(message)
