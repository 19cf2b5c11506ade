"""What was submitted and stopped under a job's name: where `resume` finds its way back."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from conf.settings import Settings


@dataclass(frozen=True)
class Run:
    """One submission of a job, or its end with a savepoint.

    Attributes:
        job: its id.
        at: when, in ISO 8601.
        savepoint: what it was stopped with.
        restored: what it was submitted from.
        backfill: it reads a part of its topic once more; nothing goes on from it (control.backfill).
    """

    job: str
    at: str
    savepoint: str | None = None
    restored: str | None = None
    backfill: bool = False


class Journal:
    """What was submitted and stopped under a job's name, a JSON line each; where `resume` finds its way back."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._path = settings.stack.path / "jobs" / f"{name}.jsonl"

    def add(
        self, job: str, *, savepoint: str | None = None, restored: str | None = None, backfill: bool = False
    ) -> None:
        """Note a submission, or with `savepoint` the end of one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as lines:
            run = Run(job, datetime.now(UTC).isoformat(), savepoint, restored, backfill)
            lines.write(json.dumps(asdict(run)) + "\n")

    def runs(self) -> list[Run]:
        """All notes of runs that something may go on from, oldest first."""
        return [run for run in self._all() if not run.backfill]

    def backfills(self) -> set[str]:
        """The ids of the others."""
        return {run.job for run in self._all() if run.backfill}

    def _all(self) -> list[Run]:
        if not self._path.is_file():
            return []
        return [Run(**json.loads(line)) for line in self._path.read_text(encoding="utf-8").splitlines()]
