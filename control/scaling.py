"""Give a running job another parallelism, over the REST interface's resource requirements: no savepoint, no resubmit.

Flink restarts the job at its next checkpoint, with its state divided anew (docs/decisions/0048).
"""

import time
from collections.abc import Callable, Iterator

from conf.settings import Settings
from control.autoscaling import Decision, Rule, Seen
from control.cluster import Cluster
from sinks.errors import NotReadyError

# The checkpoint that it waits for, and the restart, may take a while.
SCALE_SECONDS = 300
Say = Callable[[str], None]


def scale(settings: Settings, name: str, parallelism: int, *, say: Say = lambda _: None) -> int:
    """Rescale the running job and wait until all its tasks run so; return the parallelism that it had.

    Raises:
        NotReadyError: the job does not run, its cluster's scheduler can't do it, it can't be divided so finely, slots
            are missing, or it was not done in time.
    """
    cluster = Cluster(settings.flink.url)
    job = cluster.running(name)
    if job is None:
        message = (
            f"No job {name} is running at {settings.flink.url}: `make resume JOB={name}` or `make submit JOB={name}`."
        )
        raise NotReadyError(message)
    if (scheduler := cluster.configured("jobmanager.scheduler") or "default").lower() != "adaptive":
        message = (
            f"The cluster at {settings.flink.url} has the scheduler {scheduler}, which rescales no running job: set "
            f"`jobmanager.scheduler: adaptive` there (local stack: conf/flink.yaml, then `make down up`), or stop it, "
            f"and `.venv/bin/python -m stack.control resume {name} --parallelism {parallelism}`."
        )
        raise NotReadyError(message)
    most, before = cluster.max_parallelism(job), cluster.parallelism(job)
    if not 1 <= parallelism <= most:
        message = f"The job {name} takes a parallelism of 1 to {most}, into so many parts its state is divided."
        raise NotReadyError(message)
    available = before + cluster.overview()["slots-available"]
    if parallelism > available:
        message = (
            f"The job {name} can have {available} task slots, its own and the free ones, and needs {parallelism}: add "
            "TaskManagers (`make workers N=3`), or stop another job."
        )
        raise NotReadyError(message)
    if parallelism == before == cluster.required(job):
        return before
    say(f"Rescaling {name} from {before} to {parallelism} at its next checkpoint ...")
    cluster.require(job, parallelism)
    deadline = time.monotonic() + SCALE_SECONDS
    while not (cluster.parallelism(job) == parallelism and cluster.all_tasks_running(job)):
        if time.monotonic() > deadline:
            message = (
                f"The job {name} has not all {parallelism} of its tasks after {SCALE_SECONDS} s: it goes on trying. "
                f"Its last failure: {cluster.last_failure(job) or 'none'}. See `make doctor`."
            )
            raise NotReadyError(message)
        time.sleep(0.5)
    return before


def look(settings: Settings, name: str) -> Seen | None:
    """What the autoscaler has to know of a job; None while it does not run whole.

    Raises:
        NotReadyError: the cluster does not answer.
    """
    cluster = Cluster(settings.flink.url)
    job = cluster.running(name)
    if job is None or not cluster.all_tasks_running(job):
        return None
    parallelism = cluster.parallelism(job)
    return Seen(
        at=time.monotonic(),
        parallelism=parallelism,
        lag=cluster.metric(job, ".pendingRecords"),
        rate=cluster.metric(job, ".numRecordsInPerSecond", operator="Source__"),
        busy=cluster.busy(job),
        possible=min(parallelism + cluster.overview()["slots-available"], cluster.max_parallelism(job)),
    )


def autoscale(settings: Settings, name: str, *, dry_run: bool, say: Say) -> Iterator[tuple[Seen, Decision]]:
    """Look at a job every `autoscaler.every_seconds` and rescale it by the rule.

    Gives each look with what was decided, before it is done.

    Args:
        settings: the cluster, and the limits.
        name: the job's.
        dry_run: decide, and change nothing.
        say: is told where a rescale did not come about; the next look decides anew.

    Raises:
        NotReadyError: the cluster does not answer at the beginning.
    """
    rule = Rule(settings.autoscaler)
    look(settings, name)
    while True:
        try:
            seen = look(settings, name)
        except NotReadyError as error:
            say(str(error))
            seen = None
        if seen is not None:
            decision = rule.decide(seen)
            yield seen, decision
            if decision.parallelism != seen.parallelism:
                rule.changed(seen.at)
                if not dry_run:
                    try:
                        scale(settings, name, decision.parallelism, say=say)
                    except NotReadyError as error:
                        say(str(error))
                    rule.changed(time.monotonic())
        time.sleep(settings.autoscaler.every_seconds)
