"""Backfill and watch of the carbon stream: what is fetched, in which order, and what is kept of it."""

import asyncio
import json
from collections.abc import Awaitable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

from kafka import KafkaProducer

from apis import calendar, data_go_kr, kakao
from apis.answers import UnreadableError
from apis.client import Clock, Fetched, GivenUpError, PutOffError, milliseconds
from apis.data_go_kr import Answer, Item
from apis.endpoints import Call
from apis.kakao import Position
from apis.kma import TERMS
from conf.settings import Settings
from generators.pollers import poller
from generators.pollers.carbon import checks, messages, plan
from generators.pollers.carbon.buildings import Buildings
from generators.pollers.carbon.estimates import Estimate, estimates
from generators.pollers.carbon.forecasts import Forecasts
from generators.pollers.carbon.messages import BUILDINGS, COMPLEXES, ENERGY, FORECAST, WEATHER
from generators.pollers.carbon.plan import METERED, Calls, Days, Issue, Lots, Month, Period
from generators.pollers.report import Report
from generators.pollers.state import Known, Message, Outcome, State

Part = Literal["complexes", "energy", "buildings", "weather", "forecasts"]
PARTS: tuple[Part, ...] = ("complexes", "energy", "buildings", "weather", "forecasts")

_WEATHER_AGAIN = timedelta(hours=1)
_FORECAST_AGAIN = timedelta(minutes=5)


class Poller(poller.Poller):
    """One run.

    Attributes:
        calls: The operations it may call.
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
        super().__init__(settings, state, producer, clock, report, waits=waits, unreadable=self._keep_unreadable)
        self.calls = Calls.of(settings.pollers.operations, data_go_kr.api(settings), kakao.api(settings))
        self._chosen = settings.pollers

    async def backfill(self, parts: Collection[Part], period: Period) -> bool:
        """Fetch whatever was never fetched of these parts; return whether all of it is there.

        Raises:
            ApiError, PollerError: it makes no sense to go on.
        """
        return await self._delivering(self._backfill(parts, period))

    def quotas_left(self) -> dict[str, int]:
        """How many calls are left, by operation."""
        return {each.name: self._client.quota_left(each) for each in self.calls.endpoints}

    def estimates(self, parts: Collection[Part], period: Period) -> list[Estimate]:
        """What a backfill would cost, where nothing fails."""
        return estimates(
            self.calls.endpoints, self._client.quota_left, self._state, self._chosen, parts, period, self._clock.now()
        )

    # Backfill

    async def _backfill(self, parts: Collection[Part], period: Period) -> None:
        if {"complexes", "energy"} & set(parts) and not self._state.round("complexes")[0]:
            await self._list()
        bound, now = self._chosen.malformed_attempts, self._clock.now()
        work: list[Awaitable[None]] = []
        if "complexes" in parts:
            work.append(self._work_off_complexes())
        if "weather" in parts:
            known = self._state.answered("weather")
            days = plan.weather_backfill(plan.stations(self._chosen), period.days(now), known, bound)
            work.append(self._work_off_weather(days))
        if "forecasts" in parts:
            work.append(self._work_off_forecasts())
        if "energy" in parts:
            known = self._state.answered("energy")
            months = plan.energy_backfill(self._state.complexes(), period.months, known, bound)
            work.append(self._work_off_energy("energy", months))
        await asyncio.gather(*work)
        if "buildings" in parts:
            dongs = plan.dongs(self._state)
            if not dongs and "complexes" not in parts:
                self._report.say("buildings: no complex is known yet whose address names a lot; fetch complexes first")
            await self._work_off_buildings(plan.buildings_backfill(dongs, period.months, self._metered(), bound))

    def _metered(self) -> dict[str, dict[str, Known]]:
        """What is known of legal dongs' months, by item."""
        return {item: self._state.answered(f"buildings_{item}") for item in METERED}

    async def _work_off_buildings(self, wanted: Sequence[Lots]) -> None:
        lots = plan.dongs(self._state)
        bound, say = self._chosen.malformed_attempts, self._report.say
        buildings = Buildings(self.calls, self._client, self._state, self._clock, bound, say, self._send)
        await self.engine.work_off(
            "buildings",
            wanted,
            lambda asked: buildings.fetch(asked, lots[asked[0]]),
            lambda asked: messages.buildings_key(*asked),
        )

    async def _work_off_complexes(self) -> None:
        wanted = [each for each in self._state.complexes() if self._lacks_message(each)]
        await self.engine.work_off("complexes", wanted, self._complex)

    async def _work_off_weather(self, wanted: Sequence[Days]) -> None:
        calls = [self.calls.days(*each) for each in wanted]
        await self.engine.work_off("weather", calls, self._weather, _subject)

    async def _work_off_forecasts(self) -> None:
        wanted = self._issues()
        forecasts = Forecasts(self.calls, self._client, self._state, self._chosen, self._send)
        await self.engine.work_off("forecasts", wanted, forecasts.fetch, lambda issue: messages.issue_key(*issue[::2]))

    def _issues(self) -> list[Issue]:
        """The issues of weather forecasts that are still to be fetched."""
        known = {name: self._state.answered(name) for name in ("forecast_short", "forecast_land")}
        chosen, now = self._chosen, self._clock.now()
        return plan.issues(chosen.forecasts, known, now, chosen.watch, chosen.malformed_attempts)

    async def _work_off_energy(self, name: str, wanted: Sequence[Month]) -> None:
        calls = [self.calls.month(*each) for each in wanted]
        await self.engine.work_off(name, calls, self._energy, _subject)

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
            self.engine.keep_at("energy", watch.energy_at, self._energy_round, once=once),
            self.engine.keep_at("buildings", watch.buildings_at, self._buildings_round, once=once),
            self.engine.keep_at("weather", watch.weather_at, self._weather_round, once=once),
            self.engine.keep_at("forecasts", watch.weather_at, self._forecasts_round, once=once),
        )

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
        await self.engine.work_off("basis", stale, self._basis_anew)
        await self._work_off_complexes()
        again = plan.corrections(complexes, self._state.answered("energy"), now, watch)
        began = milliseconds(now)
        await self.engine.work_off("months", complexes, lambda complex_id: self._newest_months(complex_id, began))
        asked = self._asked_since(began)
        await self._work_off_energy("corrections", [each for each in again if messages.energy_key(*each) not in asked])

    async def _buildings_round(self) -> None:
        """The newest months of the legal dongs whose complexes are known."""
        dongs = plan.dongs(self._state)
        wanted = plan.buildings_watch(dongs, self._metered(), self._clock.now(), self._chosen.watch)
        await self._work_off_buildings(wanted)

    def _asked_since(self, began_ms: int) -> set[str]:
        return {subject for subject, known in self._state.answered("energy").items() if known.fetched_ms >= began_ms}

    async def _newest_months(self, complex_id: str, began_ms: int) -> None:
        """Walk back from the newest month to the first that was entered."""
        for month in plan.walk_back(self._clock.now(), self._chosen.watch):
            call = self.calls.month(complex_id, month)
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
        await self._work_off_weather(plan.weather_watch(plan.stations(self._chosen), known, now, self._chosen.watch))
        newest = calendar.newest_weather(now)
        for station in plan.stations(self._chosen):
            latest = self._state.answer("weather", messages.weather_key(station, newest))
            if latest is None or latest.outcome != "values":
                return self._clock.now() + _WEATHER_AGAIN
        return None

    async def _forecasts_round(self) -> datetime:
        """The issues since the last round; return when the next one can be read, or one that is late be asked for."""
        await self._work_off_forecasts()
        now = self._clock.now()
        return now + _FORECAST_AGAIN if self._issues() else min(term.next(now) for term in TERMS.values())

    # One thing at a time

    async def _list(self) -> None:
        listing = self._state.round("complexes")[0] + 1
        await self.engine.work_off("list", [listing], self._listing)

    async def _listing(self, listing: int) -> None:
        """All pages of the list, each fetched once; pages that only repeat others are asked for again."""
        seen: set[str] = set()
        page, total, is_whole = 1, 0, True
        while page == 1 or (page - 1) * self._chosen.page_size < total:
            found = await self._page(self.calls.page(self._chosen.sido, page, self._chosen.page_size, listing), seen)
            if found is None:
                is_whole = False
            else:
                ids, total = found
                self._state.list_complexes(ids, listing)
                seen.update(ids)
                if not ids:
                    break
            page += 1
        if not is_whole or len(seen) < total:
            self._report.say(f"complexes: the list tells of {total:,}, but {len(seen):,} came; the next run asks again")
            return
        gone = [each for each, last in self._state.complexes().items() if last < listing]
        if gone:
            self._report.say(f"complexes: no longer listed, but still asked for: {', '.join(gone)}")
        self._state.finish_round("complexes", self._clock.now())

    async def _page(self, call: Call[Answer], seen: Collection[str]) -> tuple[Sequence[str], int] | None:
        """The ids on a page and how many there are over all pages; None: it is just another one again."""
        kept = self._state.answer("complexes", call.subject)
        if kept and kept.result:
            ids, total = json.loads(kept.result)
            return ids, total
        try:
            fetched, answer = await self._client.ask(call, checks.is_new("kaptCode", seen))
        except GivenUpError as error:
            raise PutOffError(error) from None
        except PutOffError as error:
            if isinstance(error.last, checks.RepeatedError):
                return None
            raise
        ids = [item["kaptCode"] for item in answer.items]
        result = json.dumps([ids, answer.total])
        self._state.keep("complexes", [(call.subject, "values")], fetched.fetched_ms, result=result)
        return ids, answer.total

    async def _basis_anew(self, complex_id: str) -> None:
        """Ask what is known of a complex, whether it was asked before or not."""
        try:
            fetched, answer = await self._client.ask(
                self.calls.basis_of(complex_id), checks.says("kaptCode", complex_id)
            )
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

        def message(position: Position | None) -> Message:
            value = messages.complex_value(item, position, basis.fetched_ms)
            return Message(COMPLEXES, complex_id, value, kept["url"], basis.fetched_ms)

        where = messages.address(item)
        position: Position | None = None
        if where and self.calls.address:
            known = self._state.answer("address", where)
            if known and known.result:
                position = json.loads(known.result)
            else:
                call = Call(self.calls.address, where, {"query": where})
                try:
                    fetched, position = await self._client.ask(call)
                except GivenUpError:
                    position = None
                else:
                    outcome: Outcome = "values" if position else "none"
                    found = json.dumps(position)
                    at = fetched.fetched_ms
                    self._send(self._state.keep("address", [(where, outcome)], at, [message(position)], found))
                    return
        self._send(self._state.keep("complexes", [], basis.fetched_ms, [message(position)]))

    async def _energy(self, call: Call[Answer]) -> None:
        """A complex's month: the body goes on as it came."""
        complex_id, _, month = call.subject.partition("|")

        def check(answer: Answer) -> None:
            checks.says("kaptCode", complex_id)(answer)
            checks.says("reqDate", month.replace("-", ""))(answer)

        try:
            fetched, answer = await self._client.ask(call, check)
        except GivenUpError:
            return
        outcome: Outcome = "none"
        sent: list[Message] = []
        if answer.items:
            outcome = "values" if messages.was_entered(answer.items[0]) else "zeros"
            sent = [Message(ENERGY, call.subject, fetched.body, fetched.url, fetched.fetched_ms)]
        self._send(self._state.keep("energy", [(call.subject, outcome)], fetched.fetched_ms, sent))

    async def _weather(self, call: Call[Answer]) -> None:
        """A station's days, each a message of its own."""
        station, first, last = call.subject.split("|")
        asked = list(calendar.days(date.fromisoformat(first), date.fromisoformat(last)))
        try:
            fetched, answer = await self._client.ask(call, checks.one_of("tm", {day.isoformat() for day in asked}))
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
        self._send(self._state.keep("weather", outcomes, fetched.fetched_ms, sent))

    def _keep_unreadable(self, call: Call[Any], fetched: Fetched, why: UnreadableError) -> int:
        """Publish a body that can't be read, the first time, so that it ends among the dead letters."""
        operation, topics = call.endpoint.name, {"energy": ENERGY, "weather": WEATHER, "basis": COMPLEXES}
        topics |= {each.name: FORECAST for each in self.calls.forecasts}
        topics |= {f"buildings_{item}": BUILDINGS for item in METERED}
        message = None
        if topic := topics.get(operation):
            key = call.subject if topic == BUILDINGS else "|".join(call.subject.split("|")[:2])
            message = Message(topic, key, fetched.body, fetched.url, fetched.fetched_ms)
        tries, sent = self._state.keep_unreadable(operation, call.subject, message, fetched.fetched_ms)
        self._send(sent)
        if tries == self._chosen.malformed_attempts:
            self._report.say(f"{operation} {call.subject}: unreadable {tries} times, left as it is ({why})")
        return tries


def _subject(call: Call[Any]) -> str:
    return call.subject
