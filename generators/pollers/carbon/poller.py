"""Backfill and watch: what is fetched, in which order, and what is done about whatever is in the way."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeVar

from kafka import KafkaProducer

from apis import calendar
from apis.client import (
    OPERATIONS,
    Call,
    Client,
    Clock,
    Fetched,
    GivenUpError,
    NotYetError,
    Operation,
    PollerError,
    PutOffError,
    QuotaSpentError,
)
from apis.data_go_kr import Answer, Item, UnreadableError
from conf.settings import Settings
from generators.pollers.carbon import messages, plan
from generators.pollers.carbon.messages import COMPLEXES, ENERGY, WEATHER, Message
from generators.pollers.carbon.plan import Estimate, Period
from generators.pollers.outbox import Outbox
from generators.pollers.report import Report, shown
from generators.pollers.state import Outcome, State, milliseconds

Part = Literal["complexes", "energy", "weather"]
PARTS: tuple[Part, ...] = ("complexes", "energy", "weather")

_LONGEST_PUT_OFF_SECONDS = 1800.0
_LOOK_EVERY_SECONDS = 60.0
_WEATHER_AGAIN = timedelta(hours=1)
T = TypeVar("T")


class Poller:
    """One run.

    Args:
        settings: All settings.
        state: What is known, and the spool.
        producer: Where messages go; None: nothing may be fetched, only reckoned.
        clock: The time.
        report: What it says.
        waits: Whether to wait for the next day's quota; otherwise what needs it is left for the next run.

    Attributes:
        unfinished: Why something was left, where `waits` is off.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        producer: KafkaProducer | None,
        clock: Clock,
        report: Report,
        *,
        waits: bool = True,
    ) -> None:
        self.unfinished: QuotaSpentError | None = None
        self._chosen = settings.pollers
        self._state = state
        self._clock = clock
        self._report = report
        self._waits = waits
        self._outbox = Outbox(producer, state, report.say, lambda why: self._fail(PollerError(why)))
        self._stop = asyncio.Event()
        self._client = Client(settings, state, clock, self._keep_unreadable, self._stop)
        self._slots = asyncio.Semaphore(self._chosen.concurrency)
        self._failure: PollerError | None = None

    @property
    def stations(self) -> Sequence[str]:
        """Every weather station once."""
        return sorted(set(self._chosen.stations.values()))

    def stop(self) -> None:
        """End well: calls in flight are finished, what they bring is delivered."""
        self._stop.set()

    async def backfill(self, parts: Collection[Part], period: Period) -> bool:
        """Fetch whatever was never fetched of these parts; return whether all of it is there.

        Raises:
            PollerError: it makes no sense to go on.
        """
        return await self._delivering(self._backfill(parts, period))

    async def watch(self, *, once: bool) -> bool:
        """Fetch what is new, as the schedule says, until stopped; `once`: only what is due now.

        Raises:
            PollerError: it makes no sense to go on.
        """
        return await self._delivering(self._watch(once=once))

    async def deliver(self) -> bool:
        """Only send what is in the spool; return whether Kafka has all of it."""

        async def nothing() -> None:
            return

        return await self._delivering(nothing())

    def estimates(self, parts: Collection[Part], period: Period) -> list[Estimate]:
        """What a backfill would cost, where nothing fails."""
        state, chosen = self._state, self._chosen
        bound, now = chosen.malformed_attempts, self._clock.now()
        calls: dict[Operation, int] = dict.fromkeys(OPERATIONS, 0)
        listings, _ = state.round("complexes")
        known = list(state.complexes())
        assumed = not listings and len(known) < chosen.assumed_complexes
        unknown = chosen.assumed_complexes - len(known) if assumed else 0
        if {"complexes", "energy"} & set(parts) and not listings:
            calls["complexes"] = -(-unknown // chosen.page_size) or 1
        if "complexes" in parts:
            basis = state.answered("basis")
            calls["basis"] = unknown + sum(not plan.is_settled(basis.get(each), bound) for each in known)
            if self._client.geocodes:
                there = state.answered("address")
                calls["address"] = unknown + sum(
                    not (each in basis and (where := _address_of(basis[each].result)) and where in there)
                    for each in known
                )
        if "energy" in parts:
            wanted = plan.energy_backfill(known, period.months, state.answered("energy"), bound)
            calls["energy"] = len(wanted) + unknown * len(period.months)
        if "weather" in parts:
            days = period.days(now)
            calls["weather"] = len(plan.weather_backfill(self.stations, days, state.answered("weather"), bound))
        return [
            Estimate(
                operation=operation,
                calls=count,
                left=self._client.quota_left(operation),
                quota=self._client.quota(operation),
                is_assumed=assumed and operation != "weather",
            )
            for operation, count in calls.items()
            if operation != "address" or self._client.geocodes
        ]

    async def _delivering(self, work: Awaitable[None]) -> bool:
        """Do the work while the outbox delivers; return whether nothing was left."""
        self._outbox.send(self._state.unacknowledged())
        collecting = asyncio.create_task(self._outbox.run())
        try:
            await work
            left = await self._outbox.drain(self._chosen.deadline_seconds)
        finally:
            collecting.cancel()
            await self._client.close()
        if self._failure:
            raise self._failure
        if left:
            msg = f"Kafka has not acknowledged {left:,} messages; they are kept, the next run sends them"
            raise PollerError(msg)
        return not self._stop.is_set() and self.unfinished is None

    # Backfill

    async def _backfill(self, parts: Collection[Part], period: Period) -> None:
        if {"complexes", "energy"} & set(parts) and not self._state.round("complexes")[0]:
            await self._list()
        work: list[Awaitable[None]] = []
        bound = self._chosen.malformed_attempts
        if "complexes" in parts:
            wanted = [each for each in self._state.complexes() if self._lacks_message(each)]
            work.append(self._work_off("complexes", wanted, self._complex))
        if "weather" in parts:
            days = period.days(self._clock.now())
            known = self._state.answered("weather")
            work.append(
                self._work_off("weather", plan.weather_backfill(self.stations, days, known, bound), self._weather)
            )
        if "energy" in parts:
            calls = plan.energy_backfill(self._state.complexes(), period.months, self._state.answered("energy"), bound)
            work.append(self._work_off("energy", calls, self._energy))
        await asyncio.gather(*work)

    def _lacks_message(self, complex_id: str) -> bool:
        """Whether Kafka was not yet told what is known of a complex, or nothing is."""
        basis = self._state.answer("basis", complex_id)
        if basis is None or basis.result is None:
            return not plan.is_settled(basis, self._chosen.malformed_attempts)
        return self._state.newest_message_ms(COMPLEXES, complex_id) < basis.fetched_ms

    # The schedule

    async def _watch(self, *, once: bool) -> None:
        watch = self._chosen.watch
        await asyncio.gather(
            self._keep_at("energy", watch.energy_at, self._energy_round, once=once),
            self._keep_at("weather", watch.weather_at, self._weather_round, once=once),
        )

    async def _keep_at(
        self, name: str, at: time, work: Callable[[], Awaitable[datetime | None]], *, once: bool
    ) -> None:
        """Do a round whenever it is due; a round that returns a time is tried again then."""
        while not self._stop.is_set():
            now = self._clock.now()
            _, finished = self._state.round(name)
            due = calendar.next_at(finished, at) if finished else now
            if due <= now:
                again = await work()
                if self._stop.is_set() or self.unfinished:
                    return
                if again is None:
                    self._state.finish_round(name, self._clock.now())
                    continue
                due = again
            if once:
                return
            self._report.say(f"{name}: all that is there is fetched; waits until {shown(due)} for what is new")
            await self._pause(due)

    async def _energy_round(self) -> None:
        """The list and what is known of complexes where that is old, then the newest months, then corrections."""
        watch, now = self._chosen.watch, self._clock.now()
        _, listed = self._state.round("complexes")
        if listed is None or now - listed >= timedelta(days=watch.complexes_days):
            await self._list()
        old = milliseconds(now - timedelta(days=watch.basis_days))
        basis = self._state.answered("basis")
        complexes = list(self._state.complexes())
        stale = [each for each in complexes if each not in basis or basis[each].fetched_ms <= old]
        await self._work_off("basis", stale, self._basis_anew)
        await self._work_off("complexes", [each for each in complexes if self._lacks_message(each)], self._complex)
        again = plan.corrections(complexes, self._state.answered("energy"), now, watch)
        began = milliseconds(now)
        await self._work_off("months", complexes, lambda complex_id: self._newest_months(complex_id, began))
        unasked = {call.subject for call in again} - self._asked_since(began)
        await self._work_off("corrections", [call for call in again if call.subject in unasked], self._energy)

    def _asked_since(self, began_ms: int) -> set[str]:
        return {subject for subject, known in self._state.answered("energy").items() if known.fetched_ms >= began_ms}

    async def _newest_months(self, complex_id: str, began_ms: int) -> None:
        """Walk back from the newest month to the first that was entered."""
        for call in plan.walk_back(complex_id, self._clock.now(), self._chosen.watch):
            known = self._state.answer("energy", call.subject)
            if known is None or (known.outcome != "values" and known.fetched_ms < began_ms):
                await self._energy(call)
                known = self._state.answer("energy", call.subject)
            if known and known.outcome == "values":
                return

    async def _weather_round(self) -> datetime | None:
        """The last days; return when to try again where yesterday is not there yet."""
        now = self._clock.now()
        known = self._state.answered("weather")
        calls = plan.weather_watch(self.stations, known, now, self._chosen.watch)
        await self._work_off("weather", calls, self._weather)
        newest = calendar.newest_weather(now)
        for station in self.stations:
            latest = self._state.answer("weather", messages.weather_key(station, newest))
            if latest is None or latest.outcome != "values":
                return self._clock.now() + _WEATHER_AGAIN
        return None

    # One thing at a time

    async def _list(self) -> None:
        listing = self._state.round("complexes")[0] + 1
        await self._work_off("list", [listing], self._listing)

    async def _listing(self, listing: int) -> None:
        """All pages of the list, each fetched once; pages that only repeat others are asked for again."""
        seen: set[str] = set()
        page, total, is_whole = 1, 0, True
        while True:
            call = plan.list_call(self._chosen.sido, page, self._chosen.page_size, listing)
            ids, total, is_new = await self._page(call, seen)
            is_whole &= is_new
            self._state.list_complexes(ids, listing)
            seen.update(ids)
            if not ids or page * self._chosen.page_size >= total:
                break
            page += 1
        if not is_whole or len(seen) < total:
            self._report.say(f"complexes: the list tells of {total:,}, but {len(seen):,} came; the next run asks again")
            return
        gone = [each for each, last in self._state.complexes().items() if last < listing]
        if gone:
            self._report.say(f"complexes: no longer listed, but still asked for: {', '.join(gone)}")
        self._state.finish_round("complexes", self._clock.now())

    async def _page(self, call: Call, seen: Collection[str]) -> tuple[Sequence[str], int, bool]:
        """The ids on a page, how many there are over all pages, and whether the page is not just another one again."""
        kept = self._state.answer("complexes", call.subject)
        if kept and kept.result:
            ids, total = json.loads(kept.result)
            return ids, total, True
        for number in range(self._chosen.attempts):
            try:
                fetched, answer = await self._client.items(call, _has("kaptCode"))
            except GivenUpError as error:
                raise PutOffError(str(error)) from None
            ids = [item["kaptCode"] for item in answer.items]
            if not ids or not set(ids) <= set(seen):
                result = json.dumps([ids, answer.total])
                self._state.keep("complexes", [(call.subject, "values")], fetched.fetched_ms, result=result)
                return ids, answer.total, True
            await self._clock.sleep(min(2.0**number / 4, self._chosen.longest_pause_seconds))
        return ids, answer.total, False

    async def _basis_anew(self, complex_id: str) -> None:
        """Ask what is known of a complex, whether it was asked before or not."""
        try:
            fetched, answer = await self._client.items(plan.basis_call(complex_id), _says("kaptCode", complex_id))
        except GivenUpError:
            return
        if not answer.items:
            self._report.say(f"complexes: nothing is known of {complex_id}")
            self._state.keep("basis", [(complex_id, "none")], fetched.fetched_ms)
            return
        result = json.dumps({"url": fetched.url, "item": answer.items[0]}, ensure_ascii=False)
        self._state.keep("basis", [(complex_id, "values")], fetched.fetched_ms, result=result)

    async def _complex(self, complex_id: str) -> None:
        """What is known of a complex and where it is, as one message."""
        basis = self._state.answer("basis", complex_id)
        if basis is None or basis.result is None:
            await self._basis_anew(complex_id)
            basis = self._state.answer("basis", complex_id)
            if basis is None or basis.result is None:
                return
        kept = json.loads(basis.result)
        item: Item = kept["item"]

        def message(position: tuple[float, float] | None) -> Message:
            value = messages.complex_value(item, position, basis.fetched_ms)
            return Message(COMPLEXES, complex_id, value, kept["url"], basis.fetched_ms)

        where = messages.address(item)
        position: tuple[float, float] | None = None
        if where and self._client.geocodes:
            known = self._state.answer("address", where)
            if known and known.result:
                position = json.loads(known.result)
            else:
                try:
                    fetched, position = await self._client.position(plan.address_call(where))
                except GivenUpError:
                    position = None
                else:
                    outcome: Outcome = "values" if position else "none"
                    self._outbox.send(
                        self._state.keep(
                            "address",
                            [(where, outcome)],
                            fetched.fetched_ms,
                            [message(position)],
                            json.dumps(position),
                        )
                    )
                    return
        self._outbox.send(self._state.keep("complexes", [], basis.fetched_ms, [message(position)]))

    async def _energy(self, call: Call) -> None:
        """A complex's month: the body goes on as it came."""
        complex_id, _, month = call.subject.partition("|")

        def check(answer: Answer) -> None:
            _says("kaptCode", complex_id)(answer)
            _says("reqDate", month.replace("-", ""))(answer)

        try:
            fetched, answer = await self._client.items(call, check)
        except GivenUpError:
            return
        outcome: Outcome = "none"
        sent: list[Message] = []
        if answer.items:
            outcome = "values" if messages.was_entered(answer.items[0]) else "zeros"
            sent = [Message(ENERGY, call.subject, fetched.body, fetched.url, fetched.fetched_ms)]
        self._outbox.send(self._state.keep("energy", [(call.subject, outcome)], fetched.fetched_ms, sent))

    async def _weather(self, call: Call) -> None:
        """A station's days, each a message of its own."""
        station, first, last = call.subject.split("|")
        asked = list(calendar.days(date.fromisoformat(first), date.fromisoformat(last)))
        try:
            fetched, answer = await self._client.items(call, _has("tm"))
        except GivenUpError:
            keys = [messages.weather_key(station, day) for day in asked]
            self._state.give_up("weather", keys, milliseconds(self._clock.now()), self._chosen.malformed_attempts)
            return
        came = {item["tm"]: item for item in answer.items}
        outcomes: list[tuple[str, Outcome]] = []
        sent: list[Message] = []
        for day in asked:
            key = messages.weather_key(station, day)
            if item := came.get(day.isoformat()):
                outcomes.append((key, "values"))
                sent.append(Message(WEATHER, key, messages.weather_value(item), fetched.url, fetched.fetched_ms))
            elif answer.total <= len(answer.items):  # otherwise the day may be on a page that was not asked for
                outcomes.append((key, "none"))
        self._outbox.send(self._state.keep("weather", outcomes, fetched.fetched_ms, sent))

    def _keep_unreadable(self, call: Call, fetched: Fetched, why: str) -> int:
        """Publish a body that can't be read, the first time, so that it ends among the dead letters."""
        topics: dict[Operation, str] = {"energy": ENERGY, "weather": WEATHER, "basis": COMPLEXES}
        message = None
        if topic := topics.get(call.operation):
            key = "|".join(call.subject.split("|")[:2])
            message = Message(topic, key, fetched.body, fetched.url, fetched.fetched_ms)
        tries, sent = self._state.keep_unreadable(call.operation, call.subject, message, fetched.fetched_ms)
        self._outbox.send(sent)
        if tries == self._chosen.malformed_attempts:
            self._report.say(f"{call.operation} {call.subject}: unreadable {tries} times, left as it is ({why})")
        return tries

    # Whatever is in the way

    def _fail(self, error: PollerError) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _work_off(self, name: str, items: Sequence[T], do: Callable[[T], Awaitable[None]]) -> None:
        """Do all items, a few at a time; wait where that helps, and leave the rest where it doesn't."""
        if not items:
            return
        stage = self._report.stage(name, len(items))
        waiting = deque(items)
        pause = self._chosen.put_off_seconds
        while waiting and not self._stop.is_set():
            done = stage.done
            put_off: list[tuple[T, PutOffError]] = []
            spent = await self._round(waiting, do, put_off, stage.advance)
            waiting.extend(item for item, _ in put_off)
            if self._stop.is_set() or not waiting:
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
            await self._pause(until)

    async def _round(
        self,
        waiting: deque[T],
        do: Callable[[T], Awaitable[None]],
        put_off: list[tuple[T, PutOffError]],
        done: Callable[[], None],
    ) -> QuotaSpentError | None:
        """Work until nothing waits, the quota is spent, or so many calls in a row failed that it makes no sense."""
        spent: QuotaSpentError | None = None
        fruitless = 0

        async def work() -> None:
            nonlocal spent, fruitless
            while waiting and not spent and fruitless < self._chosen.concurrency and not self._stop.is_set():
                await self._outbox.room(self._stop)
                async with self._slots:
                    if not waiting or spent or self._stop.is_set():
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
                    except PollerError as error:
                        self._fail(error)
                        return
                    fruitless = 0
                    done()

        await asyncio.gather(*(work() for _ in range(min(self._chosen.concurrency, len(waiting)))))
        return spent

    async def _pause(self, until: datetime) -> None:
        """Wait until then, or until stopped; the clock is looked at again and again, as a machine may sleep."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not self._stop.is_set() and (left := (until - self._clock.now()).total_seconds()) > 0:
                asleep = asyncio.create_task(self._clock.sleep(min(left, _LOOK_EVERY_SECONDS)))
                await asyncio.wait({asleep, stopped}, return_when=asyncio.FIRST_COMPLETED)
                asleep.cancel()
        finally:
            stopped.cancel()


def _has(field: str) -> Callable[[Answer], None]:
    """Each item has this field."""

    def check(answer: Answer) -> None:
        if not all(item.get(field) for item in answer.items):
            msg = f"an item without {field}"
            raise UnreadableError(msg)

    return check


def _says(field: str, value: str) -> Callable[[Answer], None]:
    """The one item, if there is one, is about this."""

    def check(answer: Answer) -> None:
        if answer.items and answer.items[0].get(field) != value:
            msg = f"{field} is {answer.items[0].get(field)!r}, not {value!r}"
            raise UnreadableError(msg)

    return check


def _address_of(result: str | None) -> str:
    return messages.address(json.loads(result)["item"]) if result else ""
