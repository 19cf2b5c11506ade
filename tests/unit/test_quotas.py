"""Quotas of a poller, in its SQLite file; and which day or minute a moment counts for."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis.calendar import KOREA
from apis.database import DatabaseError
from apis.quota import PostgresQuotas, Quota, Quotas
from generators.pollers.state import State
from tests.quotas import NOW, Contract

moments = st.integers(1_577_836_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


class InSqlite(Contract):
    def store(self) -> Quotas:
        return State(Path(":memory:"), alone=False).quotas


TestInSqlite = InSqlite.TestCase


def test_days_are_those_of_the_zone_and_minutes_those_of_everybody() -> None:
    day, minute = Quota(1), Quota(1, "minute")
    assert day.window(NOW, KOREA) == ("2026-11-21", datetime(2026, 11, 21, 15, tzinfo=UTC))
    assert day.window(NOW + timedelta(minutes=1), KOREA).name == "2026-11-22"
    assert day.window(NOW + timedelta(minutes=1), UTC) == ("2026-11-21", datetime(2026, 11, 22, tzinfo=UTC))
    assert minute.window(NOW + timedelta(seconds=59), KOREA) == (
        "2026-11-21T14:59Z",
        datetime(2026, 11, 21, 15, tzinfo=UTC),
    )


@given(moments, st.sampled_from([Quota(1), Quota(1, "minute")]))
def test_a_window_ends_when_the_next_begins(moment: datetime, quota: Quota) -> None:
    window = quota.window(moment, KOREA)
    assert window.ends > moment
    assert quota.window(window.ends - timedelta(microseconds=1), KOREA) == window
    assert quota.window(window.ends, KOREA).name > window.name


def test_they_survive_their_process(tmp_path: Path) -> None:
    window = Quota(2).window(NOW, KOREA)
    first = State(tmp_path / "state")
    assert first.quotas.spend(window, "a", "energy", 2)
    first.quotas.refuse("a", "energy", window.ends)
    first.close()
    second = State(tmp_path / "state", alone=False)
    assert second.quotas.spent(window, "a", "energy") == 1
    assert second.quotas.refused_until("a", "energy", NOW) == window.ends
    with sqlite3.connect(tmp_path / "state") as db:
        assert db.execute("SELECT day, account, operation, calls FROM calls").fetchall() == [
            ("2026-11-21", "a", "energy", 1)
        ]
    second.close()


def test_without_its_database_no_call_is_made() -> None:
    quotas = PostgresQuotas("postgresql://nobody@127.0.0.1:1/nothing", patience_seconds=0.1)
    with pytest.raises(DatabaseError, match="is PostgreSQL up"):
        quotas.spend(Quota(1).window(NOW, KOREA), "a", "energy", 1)
