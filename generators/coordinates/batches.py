"""Batches in PostgreSQL: what was uploaded, which of its rows are there already, and all of it back for an export."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from conf.settings import Settings
from generators.coordinates.cells import from_json
from generators.coordinates.checking import Check, Options, columns, system_of
from generators.coordinates.reading import FileError, Table
from generators.coordinates.results import DONE, FAILED, UNSEEN, WAITING, Batch, Result
from sinks import postgres

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_AT_ONCE = 5_000


class Progress(NamedTuple):
    """How far a batch is: rows in all, by what became of them, and when the last may be done."""

    rows: int
    done: int
    waiting: int
    failed: int
    unseen: int
    estimated_end: datetime | None

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will come."""
        return self.waiting + self.unseen == 0

    def __str__(self) -> str:
        parts = [f"{self.done:,} of {self.rows:,} rows done"]
        parts += [
            f"{count:,} {what}"
            for count, what in (
                (self.waiting, "waiting for their address"),
                (self.unseen, "not yet converted"),
                (self.failed, "failed"),
            )
            if count
        ]
        if not self.is_complete and self.estimated_end:
            parts.append(f"the end is estimated at {self.estimated_end.astimezone():%Y-%m-%d %H:%M:%S}")
        return ", ".join(parts)


def name(table: Table, options: Options) -> str:
    """The id of the batch: the same for the same bytes, read in the same way."""
    said = [table.digest, system_of(options), *columns(table, options)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def register(settings: Settings, batch_id: str, table: Table, options: Options, found: Check) -> bool:
    """Note a batch before its first row is sent; False: it was noted before.

    Raises:
        NotReadyError: the database is away, or its tables are missing.
    """
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        postgres.check(settings, "coordinate_uploads", ["batch_id", "sent_at"])
        cursor.execute(
            "INSERT INTO coordinate_uploads (batch_id, file_name, source_crs, sheet_by, header, sheets, rows) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                batch_id,
                table.path.name,
                system_of(options),
                options.sheet_by,
                json.dumps(list(table.header)),
                json.dumps(list(found.sheets.items())),
                found.rows,
            ),
        )
        return bool(cursor.rowcount == 1)


def sent(settings: Settings, batch_id: str) -> None:
    """Note that all rows are acknowledged."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE coordinate_uploads SET sent_at = now() WHERE batch_id = %s", (batch_id,))


def there(settings: Settings, batch_id: str) -> bytearray:
    """Which rows have come through the job: one byte per row number, 1 for those."""
    found = bytearray()
    with postgres.connect(settings) as connection, connection.cursor(name="there") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(
            "SELECT row_number FROM coordinate_results WHERE batch_id = %s ORDER BY row_number DESC", (batch_id,)
        )
        for (number,) in cursor:
            found = found or bytearray(number + 1)
            found[number] = 1
    return found


def progress(settings: Settings, batch_id: str) -> Progress:
    """How far a batch is.

    Raises:
        FileError: there is none of that id.
    """
    with postgres.connect(settings) as connection:
        return _progress(connection, batch_id)


@contextlib.contextmanager
def opened(settings: Settings, batch_id: str) -> Iterator[Batch]:
    """A batch as it is at one moment.

    Raises:
        FileError: there is none of that id.
    """
    with postgres.connect(settings) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        far = _progress(connection, batch_id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT file_name, source_crs, sheet_by, uploaded_at, header, sheets FROM coordinate_uploads "
                "WHERE batch_id = %s",
                (batch_id,),
            )
            file_name, crs, sheet_by, uploaded_at, header, sheets = cursor.fetchone()  # type: ignore[misc]

        def rows(sheet: str) -> Iterator[Result]:
            with connection.cursor(name="rows") as cursor:
                cursor.itersize = _AT_ONCE
                cursor.execute(
                    "SELECT row_number, payload, lon, lat, address, region, legal_code, status, error "
                    "FROM coordinate_results WHERE batch_id = %s AND sheet = %s ORDER BY row_number",
                    (batch_id, sheet),
                )
                for number, payload, *found in cursor:
                    yield Result(number, [from_json(cell) for cell in payload], *found)

        about = [
            ("file", file_name),
            ("coordinate system", crs),
            ("sheets by", sheet_by or ""),
            ("uploaded", uploaded_at.astimezone().isoformat(timespec="seconds")),
        ]
        counts = {DONE: far.done, WAITING: far.waiting, FAILED: far.failed, UNSEEN: far.unseen}
        listed = [(key, count) for key, count in sheets]
        yield Batch(batch_id, about, header, listed, rows, {key: count for key, count in counts.items() if count})


def _progress(connection: "Connection", batch_id: str) -> Progress:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rows, done, waiting, failed, unseen, estimated_end FROM coordinate_batches WHERE batch_id = %s",
            (batch_id,),
        )
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        msg = f"There is no batch {batch_id!r}: its id is the last word that the upload printed"
        raise FileError(msg)
    return Progress(*row)
