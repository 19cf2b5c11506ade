"""What Prometheus knows, where PROMETHEUS_URL says that one runs: alerts that fire, and each job's last hour."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from board.database import MissingError, Row
from board.live import Section
from conf.settings import Settings
from sinks.errors import NotReadyError

HOUR_SECONDS, STEP_SECONDS = 3600, 60
# The same figures as in board.operations, by Prometheus's names.
CURVES = {
    "rate": "sum by (job_name) (rate(flink_taskmanager_job_task_operator_citystream_decoded[1m]))",
    "lag": "sum by (job_name) (flink_taskmanager_job_task_operator_pendingRecords)",
}


def _asked(load: Callable[[], Settings], path: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    url = load().board.prometheus_url
    if url is None:
        message = "No Prometheus is set: PROMETHEUS_URL says where one runs."
        raise MissingError(message)
    try:
        answer = httpx.get(f"{url.rstrip('/')}/api/v1/{path}", params=parameters, timeout=5)
        answer.raise_for_status()
        return answer.json()["data"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        message = f"Prometheus at {url} does not answer ({type(error).__name__}): start it, or unset PROMETHEUS_URL."
        raise NotReadyError(message) from None


def alert(known: Mapping[str, Any]) -> Row:
    """An alert as Prometheus tells it; `firing` is false while it waits whether that passes."""
    labels, said = known["labels"], known["annotations"]
    return {
        "alert": labels["alertname"],
        "severity": labels.get("severity", ""),
        "firing": known["state"] == "firing",
        "summary": said.get("summary", ""),
        "description": said.get("description", ""),
        "at": datetime.fromisoformat(known["activeAt"]),
    }


def hour(ranges: Mapping[str, Any]) -> list[Row]:
    """Rows of job, time and figures, out of the ranges of each figure."""
    found: dict[tuple[float, str], Row] = {}
    for name, data in ranges.items():
        for series in data["result"]:
            for at, value in series["values"]:
                job = series["metric"].get("job_name", "")
                blank = {"at": datetime.fromtimestamp(at, UTC), "job": job, **dict.fromkeys(ranges)}
                found.setdefault((at, job), blank)[name] = float(value)
    return [found[key] for key in sorted(found)]


def sections(load: Callable[[], Settings]) -> dict[str, Section]:
    """Sections read from Prometheus; without one, they are not there."""

    def alerts(_: float) -> list[Row]:
        known = map(alert, _asked(load, "alerts", {})["alerts"])
        return sorted(known, key=lambda row: (not row["firing"], row["at"]))

    def job_hour(_: float) -> list[Row]:
        end = time.time() // STEP_SECONDS * STEP_SECONDS
        span = {"start": end - HOUR_SECONDS, "end": end, "step": STEP_SECONDS}
        return hour({name: _asked(load, "query_range", {"query": query, **span}) for name, query in CURVES.items()})

    return {"alerts": Section(alerts, every=10), "job_hour": Section(job_hour, every=STEP_SECONDS)}
