"""Pulls of the events API: countries side by side, each from where its last pull ended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kafka import KafkaProducer

from apis import predicthq
from apis.client import Clock, Fetched, GivenUpError, PutOffError
from apis.endpoints import Endpoint
from apis.keys import Keys
from apis.predicthq import Page
from apis.quota import Quota
from conf.settings import Settings
from generators.pollers import poller
from generators.pollers.engine import PollerError
from generators.pollers.events import plan
from generators.pollers.events.plan import SECOND, TOPIC, Search
from generators.pollers.report import Report
from generators.pollers.state import Outcome, State

OPERATION = "events"


class Poller(poller.Poller):
    """One run; its memory is bounded by one page per country at work, and by what Kafka has not acknowledged yet."""

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
        super().__init__(settings, state, producer, clock, report, waits=waits)
        self._chosen = chosen = settings.pollers.events
        endpoints = [
            Endpoint(api, OPERATION, chosen.path, Quota(chosen.daily_quota)) for api in predicthq.apis(settings)
        ]
        self._keys = Keys(self._client, endpoints, report.say)

    def quotas_left(self) -> dict[str, int]:
        """How many calls are left today, over all keys."""
        return {OPERATION: self._keys.quota_left()}

    def known_until(self, country: str) -> datetime | None:
        """Up to when a country's events are known."""
        known = self._state.answer(OPERATION, country)
        return datetime.fromisoformat(known.result) if known and known.result else None

    async def _watch(self, *, once: bool) -> None:
        await self.engine.keep_at(OPERATION, self._chosen.at, self._round, once=once)

    async def _round(self) -> None:
        """All countries; those that were asked for longest ago come first, so that a small quota starves none."""
        asked = {country: known.fetched_ms for country, known in self._state.answered(OPERATION).items()}
        waiting = sorted(self._chosen.countries, key=lambda country: asked.get(country, 0))
        await self.engine.work_off(OPERATION, waiting, self._country)

    async def _country(self, country: str) -> None:
        """Everything that was updated since the last pull, a page at a time; a kill costs the page in flight."""
        began = self._clock.now().astimezone(UTC).replace(microsecond=0)
        search = plan.first(self._chosen, country, self.known_until(country))
        while not self.engine.stopping.is_set():
            fetched, page = await self._ask(search)
            newest = plan.newest(page)
            if plan.is_last(page):
                until = max(search.since, newest or search.since)
                # What fell below the rank while a first pull went on was not in it: the next one asks from its begin.
                self._keep(country, page, fetched, until if search.least_rank is None else min(until, began))
                return
            if newest is None or newest == search.since:
                # All on the page were updated in one second: it is read to its end before the next one.
                await self._second(replace(search, before=search.since + SECOND))
                newest = search.since + SECOND
            self._keep(country, page, fetched, newest)
            search = replace(search, since=newest)

    async def _second(self, search: Search) -> None:
        """All that was updated in one second, by offsets; once more where its events became fewer meanwhile."""
        counts: set[int] = set()
        while len(counts) != 1:
            counts, offset, has_next = set(), 0, True
            while has_next and not self.engine.stopping.is_set():
                fetched, page = await self._ask(replace(search, offset=offset))
                if page.overflow and len(search.categories) > 1:
                    for category in search.categories:
                        await self._second(replace(search, categories=(category,)))
                    return
                if page.overflow:
                    msg = (
                        f"{search.country} {search.categories[0]}: {page.total:,} events were updated in the second "
                        f"{plan.written(search.since)} alone, and the plan lets one reach fewer: it takes another plan"
                    )
                    raise PollerError(msg)
                self._keep(search.country, page, fetched, None)
                counts.add(page.total)
                offset += len(page.events)
                has_next = page.has_next
            if self.engine.stopping.is_set():
                return

    async def _ask(self, search: Search) -> tuple[Fetched, Page]:
        subject = f"{search.country}|{plan.written(search.since)}"
        try:
            return await self._keys.ask(subject, search.parameters(self._chosen.page_size), search.check)
        except GivenUpError as error:
            raise PutOffError(error) from None

    def _keep(self, country: str, page: Page, fetched: Fetched, until: datetime | None) -> None:
        """Spool the events of a page, and with them up to when all are known; None: that stays as it is."""
        messages = [
            plan.message(event, fetched.url, fetched.fetched_ms)
            for event in page.events
            if plan.wanted(event, self._chosen.least_rank, self._is_known)
        ]
        subjects: Sequence[tuple[str, Outcome]] = [] if until is None else [(country, "values")]
        result = None if until is None else until.isoformat()
        self._send(self._state.keep(OPERATION, subjects, fetched.fetched_ms, messages, result))

    def _is_known(self, event_id: str) -> bool:
        return self._state.newest_message_ms(TOPIC, event_id) > 0
