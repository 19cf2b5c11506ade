"""A Flink cluster's REST interface: jobs by name, checkpoints, savepoints and metrics. Any cluster, not just ours."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from sinks.errors import NotReadyError

RUNNING = {"CREATED", "INITIALIZING", "RUNNING", "RESTARTING", "FAILING", "RECONCILING"}


@dataclass(frozen=True)
class Job:
    """A job that the cluster knows; `started` in Unix seconds."""

    id: str
    name: str
    state: str
    started: float

    @property
    def unfinished(self) -> bool:
        """Whether it runs, or is about to, again."""
        return self.state in RUNNING


class Cluster:
    """The cluster at a REST address.

    Raises:
        NotReadyError: from every method, when the cluster does not answer or refuses; says what to do.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            message = f"No Flink cluster answers at {self.url}: start it (`make up`) or set FLINK_URL."
            raise NotReadyError(message) from error
        try:
            content = answer.json() if answer.content else None
        except ValueError as error:
            message = f"What answers at {self.url} is no Flink cluster: set FLINK_URL."
            raise NotReadyError(message) from error
        if not answer.is_success:
            reasons = content.get("errors") if isinstance(content, dict) else None
            reason = str(reasons[0]).splitlines()[0] if reasons else answer.reason_phrase
            message = f"Flink at {self.url} answered {answer.status_code} to {method} {path}: {reason}"
            raise NotReadyError(message)
        return content

    def overview(self) -> dict[str, Any]:
        """Counts of TaskManagers, slots and jobs."""
        result: dict[str, Any] = self._call("GET", "/overview")
        return result

    def now(self) -> float | None:
        """The JobManager's time in Unix seconds; it tells it with each job, and not without one."""
        jobs = self.jobs()
        return self._call("GET", f"/jobs/{jobs[-1].id}")["now"] / 1000 if jobs else None

    def parameter(self, job: str, key: str) -> str | None:
        """One of the parameters that a job was submitted with."""
        found = self._call("GET", f"/jobs/{job}/config")["execution-config"]["user-config"].get(key)
        return None if found is None else str(found)

    def jobs(self) -> list[Job]:
        """All jobs that it remembers, the oldest first."""
        found = [
            Job(job["jid"], job["name"], job["state"], job["start-time"] / 1000)
            for job in self._call("GET", "/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda job: job.started)

    def named(self, name: str) -> list[Job]:
        """The jobs of this name, the oldest first."""
        return [job for job in self.jobs() if job.name == name]

    def running(self, name: str) -> str | None:
        """The id of the unfinished job of this name; the newest if there are several."""
        return next((job.id for job in reversed(self.named(name)) if job.unfinished), None)

    def newest(self, name: str) -> str | None:
        """The id of the job of this name that started last, finished or not."""
        return next((job.id for job in reversed(self.named(name))), None)

    def times(self, job: str) -> tuple[float, float]:
        """When the last of the job's tasks began to run, and when the last one ended (0 before that); Unix seconds."""
        began, ended = 0, 0
        for vertex in self.vertices(job).values():
            for task in self._call("GET", f"/jobs/{job}/vertices/{vertex}/subtasktimes")["subtasks"]:
                began = max(began, task["timestamps"]["RUNNING"])
                ended = max(ended, task["timestamps"]["FINISHED"])
        return began / 1000, ended / 1000

    def state(self, job: str) -> str:
        """The state of a job, such as RUNNING."""
        return str(self._call("GET", f"/jobs/{job}")["state"])

    def all_tasks_running(self, job: str) -> bool:
        """Whether every subtask of the job runs."""
        vertices = self._call("GET", f"/jobs/{job}")["vertices"]
        return bool(vertices) and all(vertex["tasks"]["RUNNING"] == vertex["parallelism"] for vertex in vertices)

    def vertices(self, job: str) -> dict[str, str]:
        """The ids of a job's vertices, by name."""
        return {vertex["name"]: vertex["id"] for vertex in self._call("GET", f"/jobs/{job}")["vertices"]}

    def task_managers(self, job: str) -> set[str]:
        """The ids of the TaskManagers that the job's tasks run on."""
        return {
            task["taskmanager-id"]
            for vertex in self.vertices(job).values()
            for task in self._call("GET", f"/jobs/{job}/vertices/{vertex}")["subtasks"]
        }

    def last_failure(self, job: str) -> str | None:
        """The innermost cause of the job's last failure, in one line."""
        root = self._call("GET", f"/jobs/{job}/exceptions?maxExceptions=1")["exceptionHistory"]["entries"]
        if root:
            trace = root[0]["stacktrace"]
        else:
            # The adaptive scheduler has no history of a job that it could not even lay out.
            ended = self._call("GET", f"/jobs/{job}/execution-result").get("job-execution-result") or {}
            trace = (ended.get("failure-cause") or {}).get("stack-trace")
        if not trace:
            return None
        lines = str(trace).splitlines()
        causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
        return (causes or lines)[-1 if causes else 0]

    def checkpoints(self, job: str) -> dict[str, Any]:
        """Counts, summary and latest checkpoints of a job."""
        result: dict[str, Any] = self._call("GET", f"/jobs/{job}/checkpoints")
        return result

    def checkpoint_failure(self, job: str) -> str | None:
        """Why the newest checkpoint of a job failed, where no later one was completed."""
        latest = self.checkpoints(job)["latest"]
        failed, completed = latest.get("failed"), latest.get("completed")
        if not failed or (completed and completed["id"] > failed["id"]):
            return None
        return str(failed.get("failure_message") or "no cause is known").splitlines()[0]

    def checkpoint_age(self, job: str) -> float | None:
        """How many seconds ago the newest completed checkpoint of a job was begun."""
        completed = self.checkpoints(job)["latest"]["completed"]
        return time.time() - completed["trigger_timestamp"] / 1000 if completed else None

    def restore_path(self, job: str) -> str | None:
        """Where the newest completed checkpoint or savepoint of a job lies, or what it was itself resumed from."""
        latest = self.checkpoints(job)["latest"]
        kept = [latest[kind] for kind in ("restored", "completed", "savepoint") if latest.get(kind)]
        return max(kept, key=lambda entry: entry["id"])["external_path"] if kept else None

    def configured(self, key: str) -> str | None:
        """What the cluster's configuration says of a key; None where it says nothing."""
        return next((e["value"] for e in self._call("GET", "/jobmanager/config") if e["key"] == key), None)

    def parallelism(self, job: str) -> int:
        """That of the job's widest vertex."""
        return max(int(vertex["parallelism"]) for vertex in self._call("GET", f"/jobs/{job}")["vertices"])

    def max_parallelism(self, job: str) -> int:
        """How wide every vertex of the job may become: into so many parts its state is divided for good."""
        return min(int(vertex["maxParallelism"]) for vertex in self._call("GET", f"/jobs/{job}")["vertices"])

    def require(self, job: str, parallelism: int) -> None:
        """Ask that a job under the adaptive scheduler has this parallelism, or what slots there are up to it."""
        wanted = {"parallelism": {"lowerBound": 1, "upperBound": parallelism}}
        path = f"/jobs/{job}/resource-requirements"
        self._call("PUT", path, json=dict.fromkeys(self.vertices(job).values(), wanted))

    def required(self, job: str) -> int:
        """The parallelism that was last asked for, of a job under the adaptive scheduler."""
        wanted = self._call("GET", f"/jobs/{job}/resource-requirements")
        return max(int(each["parallelism"]["upperBound"]) for each in wanted.values())

    def stop(self, job: str) -> Iterator[str | None]:
        """Stop a job with a savepoint: None while it is under way, then the savepoint's path."""
        trigger = self._call("POST", f"/jobs/{job}/stop", json={"drain": False})["request-id"]
        while True:
            status = self._call("GET", f"/jobs/{job}/savepoints/{trigger}")
            if status["status"]["id"] == "COMPLETED":
                break
            yield None
            time.sleep(0.5)
        operation = status["operation"]
        if "location" not in operation:
            trace = operation.get("failure-cause", {}).get("stack-trace", "unknown cause").splitlines()
            causes = [line for line in trace if line.startswith("Caused by: ")]
            message = f"The savepoint failed, the job goes on. {causes[-1] if causes else trace[0]}"
            raise NotReadyError(message)
        while self.state(job) in RUNNING:
            yield None
            time.sleep(0.2)
        yield operation["location"]

    def cancel(self, job: str) -> None:
        """Cancel a job without a savepoint; its retained checkpoints stay."""
        self._call("PATCH", f"/jobs/{job}?mode=cancel")

    def last_start(self, job: str) -> float:
        """When the job last began anew, at a failure or under a new JobManager, in Unix seconds."""
        times = self._call("GET", f"/jobs/{job}")["timestamps"]
        # The adaptive scheduler makes the job's graph anew at each restart, and with it these times.
        return float(max(times[state] for state in ("INITIALIZING", "CREATED", "RESTARTING"))) / 1000

    def job_metric(self, job: str, name: str) -> float | None:
        """A metric of the job as a whole, such as numRestarts."""
        found = self._call("GET", f"/jobs/{job}/metrics", params={"get": name})
        return float(found[0]["value"]) if found else None

    def busy(self, job: str) -> float | None:
        """The share of time that the busiest vertex works, the mean of its subtasks, 0 to 1; None until it is known."""
        shares = []
        for vertex in self.vertices(job).values():
            path = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
            for metric in self._call("GET", path, params={"get": "busyTimeMsPerSecond", "agg": "avg"}):
                shares.append(float(metric["avg"]) / 1000)
        # A source that can't tell says NaN.
        return max((share for share in shares if share == share), default=None)

    def metric(self, job: str, name: str, *, operator: str = "") -> float | None:
        """The sum over all subtasks and vertices of the metrics whose name ends in `name`; None when there is none.

        With `operator`, only of operators whose name starts so, as the metric has it.
        """
        total: float | None = None
        for vertex in self.vertices(job).values():
            path = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
            names = (metric["id"] for metric in self._call("GET", path))
            ids = [each for each in names if each.endswith(name) and each.startswith(operator)]
            if not ids:
                continue
            for metric in self._call("GET", path, params={"get": ",".join(ids), "agg": "sum"}):
                total = (total or 0.0) + float(metric["sum"])
        return total

    def greatest(self, job: str, name: str) -> float | None:
        """The greatest value, over all vertices and subtasks, of a metric of tasks, such as busyTimeMsPerSecond."""
        values = [
            float(metric["max"])
            for vertex in self.vertices(job).values()
            for metric in self._call(
                "GET", f"/jobs/{job}/vertices/{vertex}/subtasks/metrics", params={"get": name, "agg": "max"}
            )
        ]
        # A task that has just started answers NaN.
        return max((value for value in values if value == value), default=None)
