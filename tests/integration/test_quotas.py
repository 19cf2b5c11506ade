"""Quotas of a job's subtasks, in the real PostgreSQL: the contract, many at once, and kills."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from apis.calendar import KOREA
from apis.client import QuotaSpentError, SystemClock
from apis.quota import PostgresQuotas, Quota, Quotas, Window
from conf.settings import ROOT, load
from generators.pollers.carbon.poller import Poller
from generators.pollers.report import Report
from generators.pollers.state import State
from jobs.operators.coordinates import Positions, positions
from sinks import postgres
from tests.quotas import NOW, Contract

pytestmark = pytest.mark.postgres

WINDOW = Quota(1).window(NOW, KOREA)
SUBTASK = """
import sys
from tests.integration.test_quotas import WINDOW, opened
quotas = opened()
print("ready", flush=True)
sys.stdin.readline()
while quotas.spend(WINDOW, "key", "energy", 500):
    print("called", flush=True)
"""


@pytest.fixture(autouse=True)
def _empty() -> None:
    forget()


def opened() -> PostgresQuotas:
    return PostgresQuotas(load().postgres.url.get_secret_value())


def forget() -> None:
    with postgres.connect(load()) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE api_quotas, api_refusals")


class InPostgres(Contract):
    def store(self) -> Quotas:
        forget()
        return opened()

    def teardown(self) -> None:
        assert isinstance(self.quotas, PostgresQuotas)
        self.quotas.close()


TestInPostgres = InPostgres.TestCase
TestInPostgres.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_subtasks_at_once_spend_a_quota_once() -> None:
    stores = [opened() for _ in range(8)]
    with ThreadPoolExecutor(16) as pool:
        granted = list(pool.map(lambda n: stores[n % 8].spend(WINDOW, "key", "energy", 100), range(300)))
    assert sum(granted) == 100
    assert stores[0].spent(WINDOW, "key", "energy") == 100
    for store in stores:
        store.close()


def test_a_subtask_that_is_killed_gives_nothing_back() -> None:
    """What it had counted stays counted: at most the call in flight is counted and not made."""
    subtasks = [
        subprocess.Popen(
            [sys.executable, "-c", SUBTASK], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for each in subtasks:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in subtasks:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    killed, other = subtasks
    assert killed.stdout is not None
    calls = sum(killed.stdout.readline() == "called\n" for _ in range(20))
    os.kill(killed.pid, signal.SIGKILL)
    calls += killed.communicate()[0].count("called")
    calls += other.communicate(timeout=120)[0].count("called")
    assert 499 <= calls <= 500
    quotas = opened()
    assert quotas.spent(WINDOW, "key", "energy") == 500
    quotas.close()


def test_a_poller_and_a_job_with_one_key_spend_one_quota(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITYSTREAM__POLLERS__SHARED_QUOTAS", "true")
    monkeypatch.setenv("CITYSTREAM__POLLERS__OPERATIONS__ADDRESS__DAILY_QUOTA", "3")
    chosen = load()
    state = State(tmp_path / "pollers.sqlite")
    poller = Poller(chosen, state, None, SystemClock(), Report())
    asking = positions(chosen)
    assert asking is not None
    job = asking[0](1.0)
    assert isinstance(job, Positions)
    of_job, of_poller = job._endpoint, poller.calls.address
    assert of_poller is not None
    assert poller.quotas_left()["address"] == 3
    job._client._spend(of_job)
    assert poller.quotas_left()["address"] == 2
    poller._client._spend(of_poller)
    job._client._spend(of_job)
    for client, endpoint in ((poller._client, of_poller), (job._client, of_job)):
        with pytest.raises(QuotaSpentError):
            client._spend(endpoint)
    # What the service says holds for both, too.
    poller._client._quotas.refuse(of_poller.api.access.holder, "address", NOW + timedelta(days=3_650))
    with pytest.raises(QuotaSpentError, match="the service says"):
        job._client._spend(of_job)
    asyncio.run(job.close())
    state.close()


def test_a_broken_connection_is_made_again() -> None:
    quotas = opened()
    assert quotas.spend(WINDOW, "key", "energy", 2)
    with postgres.connect(load()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid() "
            "AND query LIKE '%api_quotas%'"
        )
    assert quotas.spend(WINDOW, "key", "energy", 2)
    assert not quotas.spend(WINDOW, "key", "energy", 2)
    quotas.close()


def test_what_is_long_over_is_cleared_up() -> None:
    quotas = opened()
    days = [Window(f"2026-11-{day}", NOW.replace(day=day)) for day in (18, 19, 20, 21)]
    for window in days:
        assert quotas.spend(window, "key", "energy", 9)
    assert [quotas.spent(window, "key", "energy") for window in days] == [0, 1, 1, 1]
    quotas.close()
