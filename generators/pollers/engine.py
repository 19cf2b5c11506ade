"""What every poller does, whatever it fetches: work things off, wait for what is in the way, keep to a schedule.

A poller hands over lists of things to do and a function that does one of them. Nothing here knows what they are about.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, time, timedelta
from typing import TypeVar

from kafka import KafkaProducer
from kafka.errors import KafkaError

from apis import calendar
from apis.client import Clock, NotYetError, PutOffError, QuotaSpentError
from apis.database import DatabaseError
from apis.endpoints import ApiError
from conf.errors import CitystreamError
from conf.settings import Pollers
from generators.pollers.outbox import Outbox
from generators.pollers.report import Report, shown
from generators.pollers.state import State

_LONGEST_PUT_OFF_SECONDS = 1800.0
_LOOK_EVERY_SECONDS = 60.0
# Not the fault of one answer: the next would fare no better.
_OF_THE_MACHINE = (sqlite3.Error, DatabaseError, KafkaError, OSError, MemoryError)
T = TypeVar("T")


class PollerError(CitystreamError):
    """The run can't go on; the message says why and what to do."""


class Engine:
    """One run.

    Args:
        chosen: How many things are done at the same time, how long to wait for what.
        state: What is known, and the spool.
        producer: Where messages go; None: nothing may be sent.
        clock: The time.
        report: What it says.
        waits: Whether to wait for the next day's quota; otherwise what needs it is left for the next run.

    Attributes:
        outbox: From the spool to Kafka.
        stopping: Set when the run is to end.
        unfinished: Why something was left, where `waits` is off.
    """

    def __init__(
        self,
        chosen: Pollers,
        state: State,
        producer: KafkaProducer | None,
        clock: Clock,
        report: Report,
        *,
        waits: bool = True,
    ) -> None:
        self.outbox = Outbox(producer, state, report.say, lambda why: self._fail(PollerError(why)))
        self.stopping = asyncio.Event()
        self.unfinished: QuotaSpentError | None = None
        self._chosen = chosen
        self._state = state
        self._clock = clock
        self._report = report
        self._waits = waits
        self._slots = asyncio.Semaphore(chosen.concurrency)
        self._failure: CitystreamError | None = None
        self._aside = {(part, subject) for part, subject, _ in state.aside()}

    async def delivering(self, work: Awaitable[None]) -> bool:
        """Do the work while the outbox delivers; return whether nothing was left.

        Raises:
            ApiError: an API will never answer as things are.
            PollerError: Kafka will never take something, or has not taken all of it.
        """
        self.outbox.send(self._state.unacknowledged())
        collecting = asyncio.create_task(self.outbox.run())
        try:
            await work
            left = await self.outbox.drain(self._chosen.deadline_seconds)
        finally:
            collecting.cancel()
        if self._failure:
            raise self._failure
        if left:
            msg = f"Kafka has not acknowledged {left:,} messages; they are kept, the next run sends them"
            raise PollerError(msg)
        return not self.stopping.is_set() and self.unfinished is None

    async def keep_at(self, name: str, at: time, work: Callable[[], Awaitable[datetime | None]], *, once: bool) -> None:
        """Do a round whenever it is due; a round that returns a time is tried again then."""
        while not self.stopping.is_set():
            now = self._clock.now()
            _, finished = self._state.round(name)
            due = calendar.next_at(finished, at) if finished else now
            if due <= now:
                again = await work()
                if self.stopping.is_set() or self.unfinished:
                    return
                if again is None:
                    self._state.finish_round(name, self._clock.now())
                    continue
                due = again
            if once:
                return
            self._report.say(f"{name}: all that is there is fetched; waits until {shown(due)} for what is new")
            await self.pause(due)

    async def work_off(
        self, name: str, items: Sequence[T], do: Callable[[T], Awaitable[None]], subject: Callable[[T], str] = str
    ) -> None:
        """Do all items, a few at a time; wait where that helps, and leave the rest where it doesn't.

        Args:
            name: Of this part of the run.
            items: What is to be done.
            do: Does one. What it raises and no client does is the fault of that item, which is put aside.
            subject: Names an item, over all runs.
        """
        if not items:
            return
        stage = self._report.stage(name, len(items))
        waiting = deque(items)
        pause = self._chosen.put_off_seconds
        while waiting and not self.stopping.is_set():
            done = stage.done
            put_off: list[tuple[T, PutOffError]] = []
            spent = await self._round(name, waiting, do, subject, put_off, stage.advance)
            waiting.extend(item for item, _ in put_off)
            if self.stopping.is_set() or not waiting:
                return
            if spent and not self._waits:
                self.unfinished = spent
                return
            if spent:
                until, why = spent.until, f"{spent.operation}: {spent}"
            else:
                pause = self._chosen.put_off_seconds if stage.done > done else pause * 2
                until = self._clock.now() + timedelta(seconds=min(pause, _LONGEST_PUT_OFF_SECONDS))
                why = f"{len(put_off):,} calls failed {self._chosen.attempts} times each ({put_off[-1][1]})"
            self._report.say(f"{name}: waits until {shown(until)}, {len(waiting):,} to go: {why}")
            await self.pause(until)

    async def _round(
        self,
        name: str,
        waiting: deque[T],
        do: Callable[[T], Awaitable[None]],
        subject: Callable[[T], str],
        put_off: list[tuple[T, PutOffError]],
        done: Callable[[], None],
    ) -> QuotaSpentError | None:
        """Work until nothing waits, the quota is spent, or so many calls in a row failed that it makes no sense."""
        spent: QuotaSpentError | None = None
        fruitless = 0

        async def work() -> None:
            nonlocal spent, fruitless
            while waiting and not spent and fruitless < self._chosen.concurrency and not self.stopping.is_set():
                await self.outbox.room(self.stopping)
                async with self._slots:
                    if not waiting or spent or self.stopping.is_set():
                        return
                    item = waiting.popleft()
                    try:
                        await do(item)
                    except PutOffError as error:
                        fruitless += 1
                        put_off.append((item, error))
                        continue
                    except QuotaSpentError as error:
                        spent = spent or error
                        waiting.appendleft(item)
                        return
                    except NotYetError as error:
                        self._report.say(f"left for later: {error}")
                    except (ApiError, PollerError) as error:
                        self._fail(error)
                        return
                    except _OF_THE_MACHINE:
                        raise
                    except Exception as error:
                        self._put_aside(name, subject(item), error)
                    else:
                        self._take_back(name, subject(item))
                    fruitless = 0
                    done()

        await asyncio.gather(*(work() for _ in range(min(self._chosen.concurrency, len(waiting)))))
        return spent

    def _put_aside(self, part: str, subject: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"[:400]
        self._aside.add((part, subject))
        self._state.put_aside(part, subject, reason, self._clock.now())
        self._report.say(f"{part} {subject}: put aside ({reason})")

    def _take_back(self, part: str, subject: str) -> None:
        if (part, subject) in self._aside:
            self._aside.remove((part, subject))
            self._state.take_back(part, subject)

    def _fail(self, error: CitystreamError) -> None:
        self._failure = self._failure or error
        self.stopping.set()

    async def pause(self, until: datetime) -> None:
        """Wait until then, or until stopped; the clock is looked at again and again, as a machine may sleep."""
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            while not self.stopping.is_set() and (left := (until - self._clock.now()).total_seconds()) > 0:
                asleep = asyncio.create_task(self._clock.sleep(min(left, _LOOK_EVERY_SECONDS)))
                await asyncio.wait({asleep, stopped}, return_when=asyncio.FIRST_COMPLETED)
                asleep.cancel()
        finally:
            stopped.cancel()
