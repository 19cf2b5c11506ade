"""Fetching weather forecasts: an issue of one kind for a station, each of its days a message."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from apis import kma
from apis.answers import Flaw, UnreadableError
from apis.calendar import KOREA
from apis.client import Client, Fetched, GivenUpError
from apis.data_go_kr import Answer, Item
from apis.endpoints import Call
from apis.kma import SHORT, Announced, Term
from conf.settings import ForecastPlace, Pollers
from generators.pollers.carbon import checks, messages
from generators.pollers.carbon.messages import FORECAST
from generators.pollers.carbon.plan import Calls, Issue
from generators.pollers.state import Message, Outcome, State


class Forecasts:
    """One run's calls of the forecast services.

    Args:
        calls: The operations.
        client: Makes them.
        state: What is known, and the spool.
        chosen: Where stations are.
        send: Takes messages from the spool.
    """

    def __init__(
        self,
        calls: Calls,
        client: Client,
        state: State,
        chosen: Pollers,
        send: Callable[[Sequence[Message]], None],
    ) -> None:
        self._calls = calls
        self._client = client
        self._state = state
        self._chosen = chosen
        self._send = send

    async def fetch(self, issue: Issue) -> None:
        """Fetch an issue; one that is not there, or can't be read as often as is allowed, brings nothing."""
        station, term, at = issue
        place, issued = self._chosen.forecasts[station], at.astimezone(KOREA)
        try:
            if term is SHORT:
                await self._short_term(station, issued, place)
            else:
                await self._mid_term(station, issued, place)
        except GivenUpError:
            return

    async def _short_term(self, station: str, issued: datetime, place: ForecastPlace) -> None:
        call = self._calls.short_term(station, issued, kma.cell(place.lon, place.lat))

        def check(answer: Answer) -> None:
            for field, asked in (("baseDate", "base_date"), ("baseTime", "base_time"), ("nx", "nx"), ("ny", "ny")):
                checks.one_of(field, {call.parameters[asked]})(answer)
            if len(answer.items) < answer.total:
                raise UnreadableError(Flaw.MISSING_FIELD, f"{len(answer.items)} of {answer.total} items")
            kma.short_term(answer.items)

        fetched, answer = await self._client.ask(call, check)
        self._keep(call, station, SHORT, issued, fetched, kma.short_term(answer.items))

    async def _mid_term(self, station: str, issued: datetime, place: ForecastPlace) -> None:
        operations = self._calls.forecast_temperature, self._calls.forecast_land
        temperature, land = (
            self._calls.mid_term(operation, station, issued, region)
            for operation, region in zip(operations, (place.temperature, place.land), strict=True)
        )
        known = self._state.answer(temperature.endpoint.name, temperature.subject)
        if known and known.result:
            degrees: Item = json.loads(known.result)
        else:
            fetched, answer = await self._client.ask(temperature, checks.says("regId", place.temperature))
            degrees = dict(answer.items[0]) if answer.items else {}
            outcome: Outcome = "values" if degrees else "none"
            result = json.dumps(degrees) if degrees else None
            self._state.keep(
                temperature.endpoint.name, [(temperature.subject, outcome)], fetched.fetched_ms, result=result
            )
        fetched, answer = await self._client.ask(land, checks.says("regId", place.land))
        rain = dict(answer.items[0]) if answer.items else {}
        self._keep(land, station, kma.MID, issued, fetched, kma.mid_term(issued, degrees, rain))

    def _keep(
        self,
        call: Call[Answer],
        station: str,
        term: Term,
        issued: datetime,
        fetched: Fetched,
        days: Sequence[Announced],
    ) -> None:
        sent = [
            Message(
                FORECAST,
                messages.forecast_key(station, term, issued, each.day),
                messages.forecast_value(station, term, issued, each),
                fetched.url,
                fetched.fetched_ms,
            )
            for each in days
        ]
        outcome: Outcome = "values" if days else "none"
        self._send(self._state.keep(call.endpoint.name, [(call.subject, outcome)], fetched.fetched_ms, sent))
