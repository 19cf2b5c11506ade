"""Look-ups at services over HTTP: a question is put once for all rows that wait for its answer, whatever fails.

Rows wait in keyed state, keyed by what is asked, and timers call them up at the pace that the service allows. Calls are
made by a thread beside the operator, so nothing that takes long holds back the rows behind it, nor a checkpoint
(docs/decisions/0054).
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pyflink.common import Row, TypeInformation, Types
from pyflink.datastream import DataStream, KeyedProcessFunction, KeyedStream, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueState, ValueStateDescriptor

from apis.client import Client, GivenUpError, NotYetError, Patience, PutOffError, QuotaSpentError, milliseconds
from apis.database import DatabaseError
from apis.endpoints import ApiError, Endpoint
from apis.quota import PostgresQuotas
from jobs.flow.datastreams import throttled, timers_in_checkpoints
from jobs.rules.line import Answer, Line

# A question is given up after so many bodies that can't be read: more than the tries of one ask, as a few in a row may
# be a proxy's bad moment, and it is put off in between; but not for ever, as each call costs quota.
UNREADABLE_ATTEMPTS = 9
_END_SECONDS = 10

log = logging.getLogger(__name__)


class Service(Protocol):
    """Whom a subtask asks; made and used in its worker, on one event loop."""

    async def ask(self, key: str) -> Any:  # noqa: ANN401 - whatever the service says, as a plain value
        """What the service answers to a key's question.

        Raises:
            QuotaSpentError, PutOffError, NotYetError, ApiError, DatabaseError: it doesn't yet; it is asked again later.
            GivenUpError: it never will.
        """

    async def close(self) -> None:
        """Let go of connections."""


class Caller:
    """What a `Service` calls an operation with: at this subtask's share of the rate, counted in PostgreSQL for all.

    Args:
        endpoint: the operation of an API.
        patience: how a call is tried.
        url: the database where calls are counted, as a libpq URL.
        rate_per_second: how fast this subtask may call.
    """

    def __init__(self, endpoint: Endpoint[Any], patience: Patience, url: str, rate_per_second: float) -> None:
        self._endpoint = replace(endpoint, api=replace(endpoint.api, rate_per_second=rate_per_second))
        self._quotas = PostgresQuotas(url)
        self._client = Client(patience, self._quotas)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
        self._quotas.close()


# Takes the share of the service's rate that is this subtask's.
Connect = Callable[[float], Service]
# Takes a row that waited, and its answer.
Answered = Callable[[Any, Answer], Iterable[Row]]


@dataclass(frozen=True)
class Pace:
    """How a service is asked.

    Attributes:
        rate_per_second: calls in a second, over all subtasks.
        concurrency: calls at the same time, over all subtasks.
        put_off_seconds: after about this time a question whose tries all failed is put again.
        ttl_days: how long an answer holds; the same question within that time is not put again.
    """

    rate_per_second: float
    concurrency: int
    put_off_seconds: float
    ttl_days: float


def look_up(
    waiting: KeyedStream,
    connect: Connect,
    answered: Answered,
    pace: Pace,
    output_type: TypeInformation,
    *,
    python_mode: str = "process",
    name: str,
) -> DataStream:
    """What comes of each row and the answer it waited for: at once where the answer is known, else when it is there.

    Args:
        waiting: rows or plain values, keyed by what is asked.
        connect: makes what is asked.
        answered: rows of `output_type` for a row that waited and its answer, once for each of them.
        pace: how fast, and how long answers hold.
        output_type: of what comes.
        python_mode: the job's; state of one mode is not that of the other (docs/decisions/0018).
        name: the operator's name and uid.
    """
    uid = name if python_mode == "process" else f"{name}.{python_mode}"
    # Python keeps no more rows than it can soon ask for: each costs it some milliseconds, and the rows behind it wait.
    throttle = throttled(waiting, pace.rate_per_second, pace.ttl_days, name=name)
    found = (
        throttle.process(LookUp(connect, answered, pace), output_type=output_type)
        .name(name.replace(".", ": ", 1))
        .uid(uid)
    )
    return timers_in_checkpoints(found, name=uid)


class LookUp(KeyedProcessFunction):
    """Keeps the rows of a key until its answer is there, and the answer for whoever asks the same again.

    Counts `answered` and `given_up` questions, tries that were `put_off`, and rows `spared` a call of their own.
    """

    def __init__(self, connect: Connect, answered: Answered, pace: Pace) -> None:
        self._connect = connect
        self._answered = answered
        self._pace = pace

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states, and start the thread that calls."""
        self._waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", Types.PICKLED_BYTE_ARRAY()))
        # One value, since each that is read is a way to the JVM and back: when the key's timer is due, and its answer
        # (value and error), which is forgotten then; or None while rows wait, and it is called up then.
        self._known: ValueState = runtime_context.get_state(ValueStateDescriptor("known", Types.PICKLED_BYTE_ARRAY()))
        metrics = runtime_context.get_metrics_group().add_group("citystream")
        self._counters = {name: metrics.counter(name) for name in ("answered", "given_up", "put_off", "spared")}
        self._put_off = 0
        # A line for each call is too much for a TaskManager's log.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._calls = Calls(self._connect, self._pace, _subtasks(runtime_context))

    def close(self) -> None:
        """End the calls that are under way; their rows wait in state."""
        self._calls.close()

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:  # noqa: ANN401
        """Take a row; give what comes of it where the answer is known."""
        known = self._known.value()
        if known is None:
            self._waiting.add(value)
            yield from self._come(ctx, called=False)
            return
        self._counters["spared"].inc()
        _, answer = known
        if answer is None:
            self._waiting.add(value)
        else:
            yield from self._answered(value, Answer(*answer))

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Come as called up: ask, or take the answer; or forget it, when it is too old."""
        due, answer = self._known.value() or (None, None)
        if due is None or timestamp < due:
            return
        if answer is None:
            yield from self._come(ctx, called=True)
        else:
            self._known.clear()

    def _come(self, ctx: KeyedProcessFunction.Context, *, called: bool) -> Iterator[Row]:
        now = ctx.timer_service().current_processing_time()
        told = self._calls.come(ctx.get_current_key(), now, called=called)
        self._counters["put_off"].inc(self._calls.put_off - self._put_off)
        self._put_off = self._calls.put_off
        if isinstance(told, int):
            self._remember(ctx, told, None)
            return
        for row in self._waiting.get():
            yield from self._answered(row, told)
        self._waiting.clear()
        if told.error is None:
            self._remember(ctx, now + int(self._pace.ttl_days * 86_400_000), tuple(told))
        else:
            self._known.clear()
        self._counters["given_up" if told.error else "answered"].inc()

    def _remember(self, ctx: KeyedProcessFunction.Context, due: int, answer: tuple[Any, ...] | None) -> None:
        self._known.update((due, answer))
        ctx.timer_service().register_processing_time_timer(due)


def _subtasks(context: RuntimeContext) -> int:
    """How many subtasks the operator has; in threads PyFlink 2.2.1 asks for a method that Flink no longer has."""
    in_threads = getattr(context, "_runtime_context", None)
    if in_threads is not None:
        return int(in_threads.getTaskInfo().getNumberOfParallelSubtasks())
    return int(context.get_number_of_parallel_subtasks())


class Calls:
    """A thread with an event loop that makes a subtask's calls.

    Args:
        connect: makes what is asked.
        pace: how fast, over all subtasks.
        subtasks: how many there are; each has an equal part of the rate, as keys are spread evenly.

    Attributes:
        put_off: how many questions were put off, all tries having failed.
    """

    def __init__(self, connect: Connect, pace: Pace, subtasks: int) -> None:
        self.put_off = 0
        self._connect = connect
        self._pace = pace
        self._rate = pace.rate_per_second / subtasks
        concurrency = max(1, pace.concurrency // subtasks)
        self._line = Line(self._ask_soon, rate_per_second=self._rate, concurrency=concurrency)
        self._slots = asyncio.Semaphore(concurrency)
        self._broken: Exception | None = None
        self._service: Service | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="look-ups", daemon=True)
        self._thread.start()

    def come(self, key: str, now: int, *, called: bool) -> Answer | int:
        """As `Line.come`.

        Raises:
            RuntimeError: a call ended in a way that none may.
        """
        if self._broken:
            msg = f"a look-up broke: {type(self._broken).__name__}: {self._broken}"
            raise RuntimeError(msg) from self._broken
        return self._line.come(key, now, called=called)

    def close(self) -> None:
        """End all calls, and the thread."""
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        # A database that is away may hold the loop for longer; then the thread ends by itself, later.
        with contextlib.suppress(TimeoutError):
            ending.result(timeout=_END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=_END_SECONDS)

    def _ask_soon(self, key: str) -> None:
        asyncio.run_coroutine_threadsafe(self._ask(key), self._loop)

    async def _ask(self, key: str) -> None:
        async with self._slots:
            try:
                await self._answer(key)
            except Exception as error:
                # Whoever comes next is told, and the job fails with it.
                self._broken = error

    async def _answer(self, key: str) -> None:
        line, now = self._line, round(time.time() * 1000)
        if line.is_closed(now):
            line.put_off(key, now)
            return
        try:
            if self._service is None:
                self._service = self._connect(self._rate)
            value = await self._service.ask(key)
        except GivenUpError as error:
            line.answered(key, Answer(None, str(error)))
        except QuotaSpentError as error:
            log.info("%s: no look-ups until %s: %s", error.operation, error.until, error)
            line.close(milliseconds(error.until))
            line.put_off(key, now)
        except ApiError as error:
            # Somebody has to do something about it; when it is done, all goes on by itself.
            log.error("look-ups wait: %s", error)
            line.close(self._later(now))
            line.put_off(key, now)
        except (PutOffError, NotYetError, DatabaseError) as error:
            log.info("a look-up is put off: %s", error)
            self.put_off += 1
            line.put_off(key, self._later(now))
        else:
            line.answered(key, Answer(value))

    def _later(self, now: int) -> int:
        return now + round(self._pace.put_off_seconds * 1000 * random.uniform(0.5, 1.5))  # noqa: S311

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._service is not None:
            await self._service.close()
        await self._loop.shutdown_default_executor()
