"""What was fetched, what it cost, and what Kafka has not yet acknowledged: one SQLite file that survives a kill.

A call is written down before it is made, its answer in one transaction with the messages that come of it, and a
message counts as delivered when Kafka has acknowledged it. So a kill costs the calls in flight and nothing else, and
a message may be sent twice, with the same timestamp, but never not at all.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from apis.client import milliseconds
from apis.quota import SqliteQuotas
from conf.errors import CitystreamError

Outcome = Literal["values", "zeros", "none", "unreadable"]

_VERSION = 2
_SCHEMA = """
CREATE TABLE answers (operation TEXT, subject TEXT, outcome TEXT NOT NULL, fetched_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL, result TEXT, PRIMARY KEY (operation, subject)) WITHOUT ROWID;
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL,
    value BLOB NOT NULL, url TEXT NOT NULL, fetched_ms INTEGER NOT NULL, readable INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE INDEX messages_by_key ON messages (topic, key, id);
CREATE INDEX messages_to_send ON messages (id) WHERE acknowledged = 0;
CREATE TABLE calls (day TEXT, account TEXT, operation TEXT, calls INTEGER NOT NULL,
    PRIMARY KEY (day, account, operation)) WITHOUT ROWID;
CREATE TABLE refusals (account TEXT, operation TEXT, until_ms INTEGER NOT NULL,
    PRIMARY KEY (account, operation)) WITHOUT ROWID;
CREATE TABLE listed (complex_id TEXT PRIMARY KEY, listing INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rounds (name TEXT PRIMARY KEY, number INTEGER NOT NULL, finished_ms INTEGER NOT NULL) WITHOUT ROWID;
"""
# Since version 2.
_ASIDE = """
CREATE TABLE aside (part TEXT, subject TEXT, reason TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (part, subject)) WITHOUT ROWID;
"""


class StateError(CitystreamError):
    """The file can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Known:
    """What came of the last call for a subject."""

    outcome: Outcome
    fetched_ms: int
    tries: int
    result: str | None


@dataclass(frozen=True)
class Message:
    """One Kafka record; `fetched_ms` is its timestamp, `id` its place in the spool."""

    topic: str
    key: str
    value: bytes
    url: str
    fetched_ms: int
    id: int = 0

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Its headers."""
        return [("fetched_at", iso(self.fetched_ms).encode()), ("url", self.url.encode())]


def iso(milliseconds: int) -> str:
    """A time on the wire."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class State:
    """The file, opened by one poller at a time.

    Args:
        path: Where it is, or will be.
        alone: Keep others out; without it, only look.

    Raises:
        StateError: another poller has it, or it is from another version.

    Attributes:
        quotas: where calls are counted.
    """

    def __init__(self, path: Path, *, alone: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = None
        if alone:
            self._lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                msg = f"another poller is at work with {path}: end it first, or set pollers.state_file"
                raise StateError(msg) from None
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing that was committed; a power failure may cost the last few calls again.
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version in (0, 1):
            added = _ASIDE if version else _SCHEMA + _ASIDE
            self._db.executescript(f"BEGIN; {added} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            msg = f"{path} is of version {version}, this needs {_VERSION}: move it away, what it knows is fetched again"
            raise StateError(msg)
        self.quotas = SqliteQuotas(self._db)

    def close(self) -> None:
        """Give the file free."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Answers and messages

    def keep(
        self,
        operation: str,
        subjects: Collection[tuple[str, Outcome]],
        fetched_ms: int,
        messages: Sequence[Message] = (),
        result: str | None = None,
    ) -> list[Message]:
        """Keep an answer and what comes of it; return what has to be sent.

        A message that says the same as the last one of its key is not sent again.
        """
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO answers VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET outcome = excluded.outcome, "
                "fetched_ms = excluded.fetched_ms, tries = 0, result = excluded.result",
                [(operation, subject, outcome, fetched_ms, result) for subject, outcome in subjects],
            )
            return [self._spool(message, readable=True) for message in messages if not self._said_before(message)]

    def keep_unreadable(
        self, operation: str, subject: str, message: Message | None, fetched_ms: int
    ) -> tuple[int, list[Message]]:
        """Keep that a body was unreadable; return how often that was so in a row, and what has to be sent.

        Only the first body is sent. What was known of the subject stays known.
        """
        with self._transaction() as db:
            (tries,) = db.execute(
                "INSERT INTO answers VALUES (?, ?, 'unreadable', ?, 1, NULL) "
                "ON CONFLICT DO UPDATE SET tries = tries + 1, fetched_ms = excluded.fetched_ms RETURNING tries",
                (operation, subject, fetched_ms),
            ).fetchone()
            sent = [self._spool(message, readable=False)] if message and tries == 1 else []
        return int(tries), sent

    def give_up(self, operation: str, subjects: Iterable[str], fetched_ms: int, tries: int) -> None:
        """These are unreadable, being part of an answer that is; what was known of them stays known."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO answers VALUES (?, ?, 'unreadable', ?, ?, NULL) ON CONFLICT DO NOTHING",
                [(operation, subject, fetched_ms, tries) for subject in subjects],
            )

    def _said_before(self, message: Message) -> bool:
        row = self._db.execute(
            "SELECT value FROM messages WHERE topic = ? AND key = ? AND readable ORDER BY id DESC LIMIT 1",
            (message.topic, message.key),
        ).fetchone()
        return row is not None and row[0] == message.value

    def _spool(self, message: Message, *, readable: bool) -> Message:
        number = self._db.execute(
            "INSERT INTO messages (topic, key, value, url, fetched_ms, readable) VALUES (?, ?, ?, ?, ?, ?)",
            (message.topic, message.key, message.value, message.url, message.fetched_ms, readable),
        ).lastrowid
        return Message(message.topic, message.key, message.value, message.url, message.fetched_ms, number or 0)

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Kafka has these; of each key only the newest is kept."""
        with self._transaction() as db:
            for message in messages:
                db.execute("UPDATE messages SET acknowledged = 1 WHERE id = ?", (message.id,))
                db.execute(
                    "DELETE FROM messages WHERE topic = ? AND key = ? AND id < ? AND acknowledged",
                    (message.topic, message.key, message.id),
                )

    def unacknowledged(self) -> list[Message]:
        """What has to be sent, oldest first."""
        rows = self._db.execute(
            "SELECT topic, key, value, url, fetched_ms, id FROM messages WHERE NOT acknowledged ORDER BY id"
        )
        return [Message(*row) for row in rows]

    def send_again(self, topics: Sequence[str]) -> int:
        """Have the newest message of every key of these topics sent again; return how many."""
        marks = ", ".join("?" * len(topics))
        return self._db.execute(
            f"UPDATE messages SET acknowledged = 0 WHERE topic IN ({marks})",  # noqa: S608 - only marks
            tuple(topics),
        ).rowcount

    def sent_count(self, topic: str) -> tuple[int, int]:
        """How many keys of a topic Kafka has, and how many messages it has not acknowledged yet."""
        acknowledged, waiting = self._db.execute(
            "SELECT count(DISTINCT CASE WHEN acknowledged THEN key END), coalesce(sum(NOT acknowledged), 0) "
            "FROM messages WHERE topic = ?",
            (topic,),
        ).fetchone()
        return int(acknowledged), int(waiting)

    def newest_message_ms(self, topic: str, key: str) -> int:
        """When the newest message of a key was fetched; 0: there is none."""
        row = self._db.execute(
            "SELECT max(fetched_ms) FROM messages WHERE topic = ? AND key = ? AND readable", (topic, key)
        ).fetchone()
        return int(row[0] or 0)

    def answered(self, operation: str) -> dict[str, Known]:
        """Every subject of an operation that was answered."""
        rows = self._db.execute(
            "SELECT subject, outcome, fetched_ms, tries, result FROM answers WHERE operation = ?", (operation,)
        )
        return {subject: Known(*rest) for subject, *rest in rows}

    def answer(self, operation: str, subject: str) -> Known | None:
        """What is known of one subject."""
        row = self._db.execute(
            "SELECT outcome, fetched_ms, tries, result FROM answers WHERE operation = ? AND subject = ?",
            (operation, subject),
        ).fetchone()
        return Known(*row) if row else None

    # What could not be done

    def put_aside(self, part: str, subject: str, reason: str, moment: datetime) -> None:
        """Keep that something could not be done, and why; the next run tries again."""
        self._db.execute(
            "INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?)", (part, subject, reason, milliseconds(moment))
        )

    def take_back(self, part: str, subject: str) -> None:
        """It was done after all."""
        self._db.execute("DELETE FROM aside WHERE part = ? AND subject = ?", (part, subject))

    def aside(self) -> list[tuple[str, str, str]]:
        """Part, subject and reason of all that could not be done, the newest first."""
        rows = self._db.execute("SELECT part, subject, reason FROM aside ORDER BY at_ms DESC")
        return [(str(part), str(subject), str(reason)) for part, subject, reason in rows]

    # The list of complexes, and rounds of the schedule

    def list_complexes(self, complex_ids: Iterable[str], listing: int) -> None:
        """These are in this listing."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO listed VALUES (?, ?) ON CONFLICT DO UPDATE SET listing = max(listing, excluded.listing)",
                [(complex_id, listing) for complex_id in complex_ids],
            )

    def complexes(self) -> dict[str, int]:
        """Every complex that was ever listed, and the last listing it was in."""
        return dict(self._db.execute("SELECT complex_id, listing FROM listed ORDER BY complex_id"))

    def finish_round(self, name: str, moment: datetime) -> None:
        """A round of the schedule, or a listing, is complete."""
        self._db.execute(
            "INSERT INTO rounds VALUES (?, 1, ?) "
            "ON CONFLICT DO UPDATE SET number = number + 1, finished_ms = excluded.finished_ms",
            (name, milliseconds(moment)),
        )

    def round(self, name: str) -> tuple[int, datetime | None]:
        """How many rounds there were, and when the last one was complete."""
        row = self._db.execute("SELECT number, finished_ms FROM rounds WHERE name = ?", (name,)).fetchone()
        return (int(row[0]), datetime.fromtimestamp(row[1] / 1000, UTC)) if row else (0, None)
