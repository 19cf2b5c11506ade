"""Under load a job gets another parallelism, other TaskManagers, an autoscaler: every sale once, all the same."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.settings import Settings
from control.cluster import Cluster
from control.scaling import autoscale, look, scale
from sinks.errors import NotReadyError
from stack.control import main as control
from tests import slate, tickets
from tests.conftest import stack
from tests.generator import Generator

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.elasticsearch,
    pytest.mark.flink,
    pytest.mark.timeout(1800),
]

JOB = tickets.JOB
SLOTS = tickets.settings().stack.slots_per_task_manager
RESCALED_SECONDS = 300


@pytest.fixture(scope="module")
def generator(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    """The job with two subtasks of each task, and 200 records a second with all that sales bring."""
    settings = tickets.settings()
    shares = {"malformed_share": 0.01, "late_share": 0.02, "duplicate_share": 0.01, "cancelled_share": 0.05}
    with (
        tickets.running(settings, parallelism=2),
        tickets.generator(
            tmp_path_factory.mktemp("scaling") / "manifest",
            rate=200,
            seed=3,
            burst_every_seconds=0,
            oversold_share=0.005,
            **shares,
        ) as generator,
    ):
        slate.await_that(lambda: sold(settings) > 0, 120, "the job counts sales")
        yield generator


@pytest.fixture(scope="module")
def settings(generator: Generator) -> Settings:
    return tickets.settings()


@pytest.fixture(scope="module")
def cluster(settings: Settings) -> Cluster:
    return Cluster(settings.flink.url)


def sold(settings: Settings) -> int:
    ((found,),) = tickets.query(settings, "SELECT coalesce(sum(sold + cancelled), 0) FROM ticket_sales_per_region")
    return int(found)


def possible(settings: Settings) -> int:
    """As many slots as the autoscaler finds; a narrower job gives back what it no longer needs a moment later."""
    seen = look(settings, JOB)
    return seen.possible if seen else 0


def goes_on_with(settings: Settings, cluster: Cluster, parallelism: int) -> None:
    """The job has this parallelism, and counts."""
    job = cluster.running(JOB) or ""
    slate.await_that(
        lambda: cluster.parallelism(job) == parallelism and cluster.all_tasks_running(job),
        RESCALED_SECONDS,
        f"the job has {parallelism} of each task",
    )
    before = sold(settings)
    slate.await_that(lambda: sold(settings) > before, RESCALED_SECONDS, f"it counts on with {parallelism}")


def test_what_can_not_be_is_said(settings: Settings) -> None:
    with pytest.raises(NotReadyError, match="takes a parallelism of 1 to 128"):
        scale(settings, JOB, 129)
    with pytest.raises(
        NotReadyError, match=rf"can have {2 * SLOTS} task slots, .* and needs {2 * SLOTS + 1}: add TaskManagers"
    ):
        scale(settings, JOB, 2 * SLOTS + 1)
    with pytest.raises(NotReadyError, match="No job carbon is running"):
        scale(settings, "carbon", 2)


def test_the_command_rescales(settings: Settings, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    before = cluster.running(JOB)
    began = time.monotonic()
    assert control(["scale", JOB, "3"]) == 0
    assert "runs with a parallelism of 3, before 2" in capsys.readouterr().out
    with capsys.disabled():
        print(f"\nrescaled from 2 to 3 in {time.monotonic() - began:.1f} s")
    goes_on_with(settings, cluster, 3)
    assert cluster.running(JOB) == before, "it is the same job, not resubmitted"
    assert scale(settings, JOB, 3) == 3, "which changes nothing"


def test_the_job_takes_the_workers_that_are_there(settings: Settings, cluster: Cluster) -> None:
    scale(settings, JOB, SLOTS + 1)
    done = stack("workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 TaskManagers, before 2" in done.stdout
    goes_on_with(settings, cluster, SLOTS)
    with pytest.raises(NotReadyError, match=f"can have {SLOTS} task slots"):
        scale(settings, JOB, SLOTS + 1)
    up = stack("up")
    assert up.returncode == 0, up.stderr
    assert "taskmanager-2" not in stack("status").stdout
    done = stack("workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    goes_on_with(settings, cluster, SLOTS + 1)
    scale(settings, JOB, 2)


def test_the_autoscaler_follows_the_load(settings: Settings, cluster: Cluster) -> None:
    """With limits that this little load passes; what they do to a large one is the unit test's."""
    eager = {"most": 3, "every_seconds": 0.5, "up_after_seconds": 0.0, "down_after_seconds": 0.0, "pause_seconds": 5.0}
    busy = {"lag_seconds": 0.0, "busy_above": 0.02, "busy_below": 0.01}
    idle = {"lag_seconds": 3600.0, "busy_above": 1.0, "busy_below": 0.99}

    def run(limits: dict[str, float], until: int, *, dry_run: bool) -> list[str]:
        """Until a decision for so many; its side effects come with the step after it."""
        chosen = settings.model_copy(update={"autoscaler": settings.autoscaler.model_copy(update=eager | limits)})
        said: list[str] = []
        deadline = time.monotonic() + RESCALED_SECONDS
        decided = False
        for seen, decision in autoscale(chosen, JOB, dry_run=dry_run, say=said.append):
            assert time.monotonic() < deadline, said
            if decided:
                return said
            said.append(decision.reason)
            decided = decision.parallelism == until != seen.parallelism
        raise AssertionError

    assert "records behind" in run(busy, 3, dry_run=True)[-1]
    assert cluster.required(cluster.running(JOB) or "") == 2, "a dry run changes nothing"
    run(busy, 3, dry_run=False)
    goes_on_with(settings, cluster, 3)
    run(idle, 2, dry_run=False)
    goes_on_with(settings, cluster, 2)
    slate.await_that(lambda: possible(settings) == 2 * SLOTS, RESCALED_SECONDS, "it could have all slots")


def test_nothing_was_lost_or_doubled(settings: Settings, generator: Generator, tmp_path: Path) -> None:
    generator.stop(60)
    # Alarms wait until all that was written before has come: what comes next says so.
    calm = {"rate": 20, "seed": 1, "count": 200, "burst_every_seconds": 0, "oversold_share": 0}
    with tickets.generator(generator.manifest, **calm) as more:
        more.finish(120)
    tickets.assert_every_promise(settings, generator, seconds=180)
