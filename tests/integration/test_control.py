"""Submit, stop, resume: where a job goes on, what it refuses, and what is said of it."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import TopicPartition

from conf.settings import ROOT, Settings
from control import jobs
from control.cluster import Cluster
from control.facts import facts
from control.single import refuse_second
from sinks import kafka, postgres
from sinks.errors import NotReadyError
from sinks.jar import fingerprint
from tests import deliveries, slate
from tests.integration.orders import order

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

JOB = deliveries.TOPIC


@pytest.fixture(scope="module")
def settings(servers: None) -> Iterator[Settings]:
    """The settings, while the job runs with two orders in the ledger; each test leaves it running."""
    settings = deliveries.settings()
    with deliveries.running(settings):
        deliveries.send(settings, order(), order(order_id="second"), b"no order")
        report = deliveries.await_agreement(settings, JOB, 90)
        assert report.agrees, report
        yield settings


def cancel(settings: Settings) -> None:
    """End the job without a savepoint."""
    cluster = Cluster(settings.flink.url)
    while job := cluster.running(JOB):
        cluster.cancel(job)
        time.sleep(0.5)


def test_facts(settings: Settings) -> None:
    def known() -> bool:
        (job,) = (each for each in facts(settings) if each.job == JOB)
        return job.lag == 0 and job.rate is not None and job.dead_letters == 1

    slate.await_that(known, 60, "Flink's metrics have been collected")
    job, *others = facts(settings)
    carbon = next(each for each in others if each.job == "carbon")
    assert (job.state, job.runs, job.wanted, job.others, job.failure) == ("RUNNING", True, True, (), None)
    assert job.restarts == 0
    assert (job.jar, job.parallelism, job.checkpoint_failure) == (fingerprint(), settings.flink.parallelism, None)
    assert job.staged == 0
    assert job.checkpoint_age is not None
    assert 0 <= job.checkpoint_age < 60
    assert carbon.job == "carbon"
    assert (carbon.lag, carbon.rate, carbon.staged, carbon.wanted) == (None, None, None, False)


def test_a_second_one_is_refused_by_the_job_itself(settings: Settings) -> None:
    running = Cluster(settings.flink.url).running(JOB)
    command = jobs.flink_command(settings, f"jobs/{JOB}.py", parallelism=1)
    with pytest.raises(NotReadyError, match=f"The job deliveries runs already \\({running}\\)"):
        jobs.run(command)
    assert [each.id for each in Cluster(settings.flink.url).named(JOB) if each.unfinished] == [running]


def test_a_second_one_is_refused_at_another_cluster(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"flink": settings.flink.model_copy(update={"url": "http://localhost:1"})})
    with pytest.raises(
        NotReadyError, match=r"Another job deliveries writes to PostgreSQL at .*: stop it where it runs"
    ):
        refuse_second(elsewhere, JOB)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT application_name FROM pg_stat_activity WHERE starts_with(application_name, 'deliveries.')"
        )
        sinks = {name.split("[")[0] for (name,) in cursor.fetchall()}
    # A job without a ledger is told by the tables that it upserts into.
    assert sinks >= {"deliveries.ledger", "deliveries.pay_per_category"}


def test_unknown_jobs_and_jobs_that_do_not_run_are_named(settings: Settings) -> None:
    for command in (jobs.submit, jobs.stop, jobs.resume, jobs.ensure):
        with pytest.raises(NotReadyError, match=r"There is no job foo; there are: carbon, .*deliveries, "):
            command(settings, "foo")
    with pytest.raises(NotReadyError, match=r"No job carbon is running at .*; running there: deliveries\."):
        jobs.stop(settings, "carbon")


def test_a_run_that_ends_before_its_first_checkpoint_is_resumed_from_where_it_began(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    savepoint = jobs.stop(settings, JOB)
    jobs.resume(settings, JOB)
    jobs.stop(settings, JOB)  # the newest savepoint is not the one to go on from
    monkeypatch.setenv("CITYSTREAM__FLINK__CHECKPOINT_INTERVAL_SECONDS", "3600")
    jobs.resume(settings, JOB, restore=savepoint)
    cancel(settings)
    assert jobs.restore_path(settings, JOB) == savepoint
    # Nor is it forgotten by the journal, where a restarted JobManager knows nothing of the run.
    with monkeypatch.context() as restarted:
        restarted.setattr(Cluster, "jobs", lambda _: [])
        assert jobs.restore_path(settings, JOB) == savepoint
    # Nor by the cluster, where the journal is lost.
    (settings.stack.path / "jobs" / f"{JOB}.jsonl").unlink()
    assert jobs.restore_path(settings, JOB) == savepoint

    monkeypatch.undo()
    with pytest.raises(NotReadyError, match=f"left off at {savepoint}: `make resume JOB=deliveries`.*FRESH=1"):
        jobs.submit(settings, JOB)
    assert Cluster(settings.flink.url).running(JOB) is None
    said: list[str] = []
    jobs.ensure(settings, JOB, say=said.append)
    assert f"Resuming deliveries from {savepoint}" in said


def test_what_the_job_can_not_go_on_from_says_what_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.stop(settings, JOB)
    nowhere = f"file://{ROOT / 'nowhere'}"
    with pytest.raises(NotReadyError, match=f"nothing to go on from at {nowhere}: pass another"):
        jobs.resume(settings, JOB, restore=nowhere)
    monkeypatch.setenv("CITYSTREAM__DELIVERIES__DOCUMENTS", "false")
    with pytest.raises(NotReadyError, match=r"doesn't fit the job deliveries as it is set now: .*FRESH=1"):
        jobs.resume(deliveries.settings(), JOB)
    monkeypatch.undo()
    jobs.resume(settings, JOB)  # neither attempt has taken the place of the savepoint


def test_a_start_from_nowhere_is_refused_where_retention_has_deleted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.stop(settings, JOB)
    monkeypatch.setattr(jobs, "restore_path", lambda *_: None)  # all memory of the job is lost
    said: list[str] = []
    jobs.submit(settings, JOB, say=said.append)
    assert any("reads its topics from the beginning" in each for each in said)
    cancel(settings)
    with closing(kafka.admin(settings)) as admin:
        admin.delete_records({TopicPartition(JOB, partition): -1 for partition in range(4)})
    for command in (jobs.submit, jobs.ensure):
        with pytest.raises(NotReadyError, match=r"retention has deleted 3 records of its topics.*FRESH=1"):
            command(settings, JOB)
    jobs.submit(settings, JOB, fresh=True)
