"""What a run says: one line for whatever it waits for, and a bar with an estimate on a terminal."""

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from apis.calendar import KOREA

_EVERY_SECONDS = 10.0


def shown(moment: datetime) -> str:
    """A moment as a line names it."""
    return f"{moment.astimezone(KOREA):%Y-%m-%d %H:%M:%S} KST"


class Stage:
    """How far one part of a run is."""

    def __init__(self, report: "Report", name: str, total: int) -> None:
        self.name = name
        self.done = 0
        self.total = total
        self._report = report
        self._bar = report.progress.add_task(name, total=total) if report.progress else None
        self._began = self._said = time.monotonic()

    def advance(self) -> None:
        """One more is done."""
        self.done += 1
        if self._bar is not None and self._report.progress:
            self._report.progress.advance(self._bar)
        elif time.monotonic() - self._said >= _EVERY_SECONDS:
            self._said = time.monotonic()
            rate = self.done / (self._said - self._began)
            left = (self.total - self.done) / rate
            self._report.say(f"{self.name}: {self.done:,} of {self.total:,}, {rate:,.0f}/s, about {left:,.0f} s left")


class Report:
    """Lines on standard error, each with its time, and bars where that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.progress: Progress | None = None

    def say(self, line: str) -> None:
        """Print one line."""
        if self.progress:
            self.progress.console.print(line, markup=False)
        else:
            print(f"{datetime.now(UTC).astimezone(KOREA):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def bars(self) -> Iterator[None]:
        """Show the stages that begin meanwhile as bars, on a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=self._console) as self.progress:
            yield
        self.progress = None

    def stage(self, name: str, total: int) -> Stage:
        """Begin a part of the run."""
        return Stage(self, name, total)
