"""What all pages see at once: sections of rows, read once per process and sent to every viewer as they change.

The core is plain: `Sections` holds the newest rows and says what a reading changed; `Feed` numbers messages, keeps the
last of them, and has a queue per viewer. A viewer whose queue is full is dropped; it comes back with the number of the
last message that it saw, and gets what it missed, or everything where that is too long ago. `watch` is the shell: one
task per server, which reads while anybody looks.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from board.database import MissingError, Row
from sinks.errors import NotReadyError

# Messages that a viewer may lag behind before it is dropped, and that are kept for those who come back.
QUEUED = 32
KEPT = 120
# Between two looks; with nobody there, none are made.
TICK_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Section:
    """Rows that pages show live.

    Attributes:
        read: gives the rows, of the last so many seconds where the section has a window; may block.
        every: seconds between two looks.
        key: rows with the same value of this column replace each other; None: each reading replaces all rows.
        window, edge: seconds back that are read at first, and at each look after it. Every `WHOLE_SECONDS` the window
            is read again, for what came late.
        keep: how many rows at most, those with the greatest `order`.
        order: the column that rows with a key are kept by.
    """

    read: Callable[[float], list[Row]]
    every: float = TICK_SECONDS
    key: str | None = None
    window: float = 0
    edge: float = 0
    keep: int = 0
    order: str = ""

    WHOLE_SECONDS = 30


@dataclass(frozen=True)
class Reading:
    """What a look at a server gave.

    Attributes:
        rows: by section; None: its table is not there.
        trouble: why the server could not be read; the rows that were read before still stand.
    """

    server: str
    at: datetime
    rows: Mapping[str, list[Row] | None]
    trouble: str | None = None


class Sections:
    """The newest rows of all sections, and how each server is."""

    def __init__(self, sections: Mapping[str, Section]) -> None:
        self._sections = sections
        self._rows: dict[str, list[Row] | None] = {}
        self._servers: dict[str, dict[str, Any]] = {}

    def take(self, reading: Reading) -> dict[str, Any]:
        """The change that a reading makes: only what is new, as a message's content."""
        changed = {}
        for name, rows in reading.rows.items():
            section, before, first = self._sections[name], self._rows.get(name), name not in self._rows
            if rows is None or section.key is None:
                self._rows[name] = rows
                if first or rows != before:
                    changed[name] = self._content(name, rows)
                continue
            known = {row[section.key]: row for row in before or []}
            new = [row for row in rows if known.get(row[section.key]) != row]
            if new or before is None:
                known.update((row[section.key], row) for row in new)
                kept = sorted(known.values(), key=lambda row: row[section.order])[-section.keep :]
                self._rows[name], keys = kept, {row[section.key] for row in new}
                news = [row for row in kept if row[section.key] in keys]
                changed[name] = self._content(name, news, merge=before is not None)
        server = self._servers.setdefault(reading.server, {"at": None, "trouble": None})
        server["trouble"] = reading.trouble
        if reading.trouble is None:
            server["at"] = reading.at
        return {"sections": changed, "servers": {reading.server: dict(server)}}

    def all(self) -> dict[str, Any]:
        """Everything, as a message's content."""
        return {
            "sections": {name: self._content(name, rows) for name, rows in self._rows.items()},
            "servers": {name: dict(server) for name, server in self._servers.items()},
        }

    def _content(self, name: str, rows: list[Row] | None, *, merge: bool = False) -> dict[str, Any]:
        section = self._sections[name]
        if section.key is None or rows is None:
            return {"rows": rows}
        return {"rows": rows, "key": section.key, "order": section.order, "keep": section.keep, "merge": merge}


@dataclass(eq=False)
class Viewer:
    """Somebody who looks: messages wait here until they are sent."""

    waiting: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUED))
    dropped: bool = False


class Feed:
    """Messages for all viewers; each is put into bytes once."""

    def __init__(self, everything: Callable[[], Mapping[str, Any]]) -> None:
        self._everything = everything
        # Numbers of another process, or of one before, mean nothing here.
        self._run = uuid.uuid4().hex[:8]
        self._number = 0
        self._last: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self.viewers: set[Viewer] = set()
        self.looked_at = asyncio.Event()

    def publish(self, content: Mapping[str, Any]) -> None:
        """Send a change to everybody; who is too far behind is dropped."""
        self._number += 1
        message = self._message("change", content)
        self._last.append((self._number, message))
        for viewer in list(self.viewers):
            try:
                viewer.waiting.put_nowait(message)
            except asyncio.QueueFull:
                viewer.dropped = True
                self.leave(viewer)

    def join(self, last_id: str | None = None) -> Viewer:
        """A new viewer, who has seen everything up to `last_id`, or nothing."""
        viewer = Viewer()
        missed = self._missed(last_id)
        if missed is None or len(missed) >= QUEUED:
            missed = [self._message("snapshot", self._everything())]
        for message in missed:
            viewer.waiting.put_nowait(message)
        self.viewers.add(viewer)
        self.looked_at.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """The viewer looks no more."""
        self.viewers.discard(viewer)
        if not self.viewers:
            self.looked_at.clear()

    async def messages(self, last_id: str | None = None) -> AsyncIterator[bytes]:
        """What one viewer is sent, until it leaves or is dropped."""
        viewer = self.join(last_id)
        try:
            while not (viewer.dropped and viewer.waiting.empty()):
                yield await viewer.waiting.get()
        finally:
            self.leave(viewer)

    def _missed(self, last_id: str | None) -> list[bytes] | None:
        run, _, number = (last_id or "").partition("-")
        if run != self._run or not number.isdecimal() or int(number) > self._number:
            return None
        missed = [message for at, message in self._last if at > int(number)]
        return missed if len(missed) == self._number - int(number) else None

    def _message(self, event: str, content: Mapping[str, Any]) -> bytes:
        return b"event: %s\nid: %s-%d\ndata: %s\n\n" % (
            event.encode(),
            self._run.encode(),
            self._number,
            to_json(content),
        )


@dataclass
class Look:
    """Which sections of a server are due, and reading them."""

    server: str
    sections: Mapping[str, Section]
    due: dict[str, float] = field(default_factory=dict)
    whole: dict[str, float] = field(default_factory=dict)

    def read(self, now: float) -> Reading:
        """Read what is due at `now` (monotonic seconds); a server that is away is trouble, not an error."""
        rows: dict[str, list[Row] | None] = {}
        at = datetime.now(UTC)
        for name, section in self.sections.items():
            if now < self.due.get(name, 0):
                continue
            whole = now >= self.whole.get(name, 0)
            try:
                rows[name] = section.read(section.window if whole else section.edge)
            except MissingError:
                rows[name] = None
            except NotReadyError as error:
                return Reading(self.server, at, rows, str(error))
            self.due[name] = now + section.every
            if whole:
                self.whole[name] = now + section.WHOLE_SECONDS
        return Reading(self.server, at, rows)


async def watch(look: Look, sections: Sections, feed: Feed) -> None:
    """Read a server again and again while anybody looks, and publish what changes."""
    while True:
        await feed.looked_at.wait()
        try:
            reading = await asyncio.to_thread(look.read, time.monotonic())
        except Exception as error:
            log.exception("Looking at %s failed", look.server)
            reading = Reading(look.server, datetime.now(UTC), {}, f"{type(error).__name__}: {error}")
        feed.publish(sections.take(reading))
        await asyncio.sleep(TICK_SECONDS)


def of(sections: Iterable[Mapping[str, Section]]) -> dict[str, Section]:
    """All sections by name.

    Raises:
        ValueError: two have one name.
    """
    found: dict[str, Section] = {}
    for each in sections:
        if twice := found.keys() & each.keys():
            message = f"two sections are called {', '.join(sorted(twice))}"
            raise ValueError(message)
        found |= each
    return found
