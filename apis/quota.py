"""Quotas: how often an operation may be called in a day or a minute, under one contract with two stores.

A call is counted before it is made, so that no end of a process makes one too many. `SqliteQuotas` is for one poller at
a time; `PostgresQuotas` is shared by all subtasks of a job, on whichever machines they are, by jobs with one key, and
by pollers with `pollers.shared_quotas`.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple, Protocol

from apis.database import Database


class Window(NamedTuple):
    """A day or a minute in which calls are counted: its name, such as `2026-11-21`, and its end, in UTC."""

    name: str
    ends: datetime


@dataclass(frozen=True)
class Quota:
    """How many calls of an operation a key allows in each day or minute."""

    calls: int
    per: Literal["day", "minute"] = "day"

    def window(self, now: datetime, zone: tzinfo) -> Window:
        """The one that a moment lies in; days are those of the zone."""
        if self.per == "minute":
            begins = now.astimezone(UTC).replace(second=0, microsecond=0)
            return Window(f"{begins:%Y-%m-%dT%H:%MZ}", begins + timedelta(minutes=1))
        day = now.astimezone(zone).date()
        return Window(day.isoformat(), datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC))


class Quotas(Protocol):
    """Where calls are counted, per window, holder of a key and operation."""

    def spend(self, window: Window, holder: str, operation: str, quota: int) -> bool:
        """Count a call that is about to be made; False: the quota is spent, and nothing was counted."""

    def refund(self, window: Window, holder: str, operation: str) -> None:
        """Take back a call that never left this machine."""

    def spent(self, window: Window, holder: str, operation: str) -> int:
        """How many calls were made."""

    def refuse(self, holder: str, operation: str, until: datetime) -> None:
        """Remember until when the service itself said that it will not answer; of several ends the last one holds."""

    def refused_until(self, holder: str, operation: str, now: datetime) -> datetime | None:
        """Until when the service will not answer; None: it may."""


class SqliteQuotas:
    """In a poller's file; see `Quotas`.

    Args:
        db: the file, open in autocommit mode, with its tables `calls` and `refusals`.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def spend(self, window: Window, holder: str, operation: str, quota: int) -> bool:
        """Count a call, unless the quota is spent."""
        counted = self._db.execute(
            "INSERT INTO calls SELECT ?, ?, ?, 1 WHERE ? > 0 "
            "ON CONFLICT DO UPDATE SET calls = calls + 1 WHERE calls < ? RETURNING calls",
            (window.name, holder, operation, quota, quota),
        ).fetchone()
        return counted is not None

    def refund(self, window: Window, holder: str, operation: str) -> None:
        """Take back a call."""
        self._db.execute(
            "UPDATE calls SET calls = calls - 1 WHERE day = ? AND account = ? AND operation = ? AND calls > 0",
            (window.name, holder, operation),
        )

    def spent(self, window: Window, holder: str, operation: str) -> int:
        """How many calls were made."""
        row = self._db.execute(
            "SELECT calls FROM calls WHERE day = ? AND account = ? AND operation = ?", (window.name, holder, operation)
        ).fetchone()
        return int(row[0]) if row else 0

    def refuse(self, holder: str, operation: str, until: datetime) -> None:
        """Remember a refusal."""
        self._db.execute(
            "INSERT INTO refusals VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)",
            (holder, operation, round(until.timestamp() * 1000)),
        )

    def refused_until(self, holder: str, operation: str, now: datetime) -> datetime | None:
        """Until when; None: no longer, or never."""
        row = self._db.execute(
            "SELECT until_ms FROM refusals WHERE account = ? AND operation = ? AND until_ms > ?",
            (holder, operation, round(now.timestamp() * 1000)),
        ).fetchone()
        return datetime.fromtimestamp(row[0] / 1000, UTC) if row else None


class PostgresQuotas:
    """In the tables `api_quotas` and `api_refusals` of sql/postgres; see `Quotas`. Threads may share one.

    Each statement is a transaction of its own: what is counted outlives a kill, and of subtasks that ask at once one
    after the other is counted. As one whose end is unknown is run again, a call may be counted twice, and never not at
    all.

    Args:
        url: the database, as a libpq URL.
        patience_seconds: how long a server that is away is waited for.
    """

    def __init__(self, url: str, patience_seconds: float = 60) -> None:
        self._database = Database(url, patience_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def spend(self, window: Window, holder: str, operation: str, quota: int) -> bool:
        """Count a call, unless the quota is spent.

        Raises:
            DatabaseError: the database stays away.
        """
        counted = self._database.run(
            "INSERT INTO api_quotas AS known (holder, operation, period, ends, calls) "
            "SELECT %s, %s, %s, %s, 1 WHERE %s > 0 "
            "ON CONFLICT (holder, operation, period) DO UPDATE SET calls = known.calls + 1 WHERE known.calls < %s "
            "RETURNING calls",
            (holder, operation, window.name, window.ends, quota, quota),
        )
        if counted and counted[0] == 1:
            # The first of a window clears up behind it; two days, as clocks of subtasks differ, and a day's end is far.
            self._database.run(
                "WITH gone AS (DELETE FROM api_quotas WHERE holder = %s AND operation = %s "
                "AND ends < %s - interval '2 days' RETURNING 1) SELECT count(*) FROM gone",
                (holder, operation, window.ends),
            )
        return counted is not None

    def refund(self, window: Window, holder: str, operation: str) -> None:
        """Take back a call."""
        self._database.run(
            "UPDATE api_quotas SET calls = calls - 1 "
            "WHERE holder = %s AND operation = %s AND period = %s AND calls > 0 RETURNING calls",
            (holder, operation, window.name),
        )

    def spent(self, window: Window, holder: str, operation: str) -> int:
        """How many calls were made."""
        row = self._database.run(
            "SELECT calls FROM api_quotas WHERE holder = %s AND operation = %s AND period = %s",
            (holder, operation, window.name),
        )
        return int(row[0]) if row else 0

    def refuse(self, holder: str, operation: str, until: datetime) -> None:
        """Remember a refusal."""
        self._database.run(
            "INSERT INTO api_refusals AS known (holder, operation, until) VALUES (%s, %s, %s) "
            "ON CONFLICT (holder, operation) DO UPDATE SET until = greatest(known.until, excluded.until) "
            "RETURNING until",
            (holder, operation, until),
        )

    def refused_until(self, holder: str, operation: str, now: datetime) -> datetime | None:
        """Until when; None: no longer, or never."""
        row = self._database.run(
            "SELECT until FROM api_refusals WHERE holder = %s AND operation = %s AND until > %s",
            (holder, operation, now),
        )
        found: datetime | None = row[0].astimezone(UTC) if row else None
        return found
