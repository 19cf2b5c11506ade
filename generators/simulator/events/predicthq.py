"""PredictHQ's events API: filters, order, pages by `next`, a plan that caps the rows, and its errors."""

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import FastAPI, Header, Request, Response

from conf.airports import distance_km
from generators.simulator.events.world import Version, World, hall_at, rendered
from generators.simulator.gateway import Body, Outcome, Provider, Refusal, Simulation

MOST_PER_PAGE = 500
_DEFAULT_PER_PAGE = 10
_REFUSALS: dict[Refusal, tuple[int, str]] = {
    "key": (401, "Authorization required"),
    "rate": (429, "Too many requests"),
    "quota": (429, "Too many requests"),
}
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TIMES: dict[str, Callable[[Version], datetime | None]] = {
    "updated": lambda each: each.updated,
    "start": lambda each: each.start,
    "end": lambda each: each.end,
    "first_seen": lambda each: each.first_seen,
    "cancelled": lambda each: each.marked if each.deleted_reason == "cancelled" else None,
    "postponed": lambda each: each.marked if each.deleted_reason == "postponed" else None,
}
_NUMBERS: dict[str, Callable[[Version], int | None]] = {
    "rank": lambda each: each.rank,
    "local_rank": lambda each: each.local_rank,
    "phq_attendance": lambda each: each.attendance,
    "predicted_event_spend": lambda each: each.spend,
}
_WORDS: dict[str, Callable[[Version], str | None]] = {
    "id": lambda each: each.event.event_id,
    "category": lambda each: each.event.category,
    "country": lambda each: each.event.city.country,
    "state": lambda each: each.state,
    "deleted_reason": lambda each: each.deleted_reason,
}
_SORTED: dict[str, Callable[[Version], Any]] = {
    "start": lambda each: each.start,
    "end": lambda each: each.end,
    "updated": lambda each: each.updated,
    "first_seen": lambda each: each.first_seen,
    "rank": lambda each: each.rank,
    "local_rank": lambda each: each.local_rank,
    "id": lambda each: each.event.event_id,
    "relevance": lambda each: 1.0,
}
_LEVEL = 20
Matches = Callable[[Version], bool]


class _BadRequestError(Exception):
    pass


def add(app: FastAPI, simulation: Simulation, world: World) -> None:
    """Add the service to the application."""
    chosen = simulation.chosen.events
    keys = (*chosen.tokens, *chosen.expired_tokens, *chosen.unscoped_tokens)
    provider = Provider(keys, is_rated=True, refuse=_refuse, fail=_fail)

    @app.get("/v1/events/")
    async def events(request: Request, authorization: Annotated[str, Header()] = "") -> Response:
        """One page of events."""
        key = authorization.removeprefix("Bearer ").strip()

        def body() -> Body:
            if key in chosen.expired_tokens:
                return _error(402, "Your subscription has expired.")
            if key in chosen.unscoped_tokens:
                return _error(403, "Bearer token scope insufficient")
            shown_until = simulation.today() + timedelta(days=chosen.days_ahead)
            known = (each for each in world.at(moment_of(simulation)) if each.start.date() <= shown_until)
            try:
                return _page(request, found(known, dict(request.query_params)), chosen.most_rows)
            except _BadRequestError as error:
                return _error(400, str(error))

        return await simulation.answer(provider, "events", key or None, str(request.query_params), body)


def moment_of(simulation: Simulation) -> datetime:
    """The moment whose versions are shown: now, to the minute; of a day that was set, its end in UTC."""
    if simulation.today_is is None:
        return datetime.now(UTC).replace(second=0, microsecond=0)
    return datetime.combine(simulation.today_is, time.max, UTC)


def found(known: Iterable[Version], asked: Mapping[str, str]) -> list[Version]:
    """What matches all filters, in the order that is asked for; what is equal, by id."""
    wanted = [
        matches for name, value in {"state": "active", **asked}.items() if (matches := _filter(name, value, asked))
    ]
    matched = sorted(
        (each for each in known if all(matches(each) for matches in wanted)), key=lambda each: each.event.event_id
    )
    for name in reversed([part.strip() for part in asked.get("sort", "-start").split(",")]):
        if name.lstrip("-") not in _SORTED:
            msg = f"sort: unknown field {name}"
            raise _BadRequestError(msg)
        matched.sort(key=_SORTED[name.lstrip("-")], reverse=name.startswith("-"))
    return matched


def _filter(name: str, value: str, asked: Mapping[str, str]) -> Matches | None:
    """What a parameter asks for; None: it is no filter."""
    about, _, suffix = name.partition(".")
    if suffix in _COMPARED:
        if about in _NUMBERS:
            return _compared(_NUMBERS[about], suffix, _whole(name, value))
        if about == "active":
            # Those that overlap the window.
            about = "end" if suffix.startswith("g") else "start"
            return _compared(_TIMES[about], suffix, _moment(name, value, suffix, asked.get("active.tz")))
        if about in _TIMES:
            return _compared(_TIMES[about], suffix, _moment(name, value, suffix, asked.get(f"{about}.tz")))
    if name in _WORDS:
        words, word = set(value.split(",")), _WORDS[name]
        return lambda each: word(each) in words
    if name == "rank_level":
        levels = {_whole(name, part) for part in value.split(",")}
        return lambda each: max(1, -(-each.rank // _LEVEL)) in levels
    if name == "q":
        return lambda each: value.lower() in str(rendered(each)["title"]).lower()
    return _within(value) if name == "within" else None


def _compared(of: Callable[[Version], Any], suffix: str, bound: Any) -> Matches:  # noqa: ANN401 - time or number
    compare = _COMPARED[suffix]

    def matches(version: Version) -> bool:
        value = of(version)
        return value is not None and compare(value, bound)

    return matches


def _within(value: str) -> Matches:
    radius, _, centre = value.partition("@")
    units = {"km": 1.0, "mi": 1.609344, "ft": 0.0003048, "m": 0.001}
    unit = next((each for each in units if radius.endswith(each)), "")
    try:
        km = float(radius.removesuffix(unit)) * units[unit]
        lat, lon = map(float, centre.split(","))
    except (KeyError, ValueError):
        msg = "within: expected <radius><unit>@<latitude>,<longitude>"
        raise _BadRequestError(msg) from None
    return lambda each: distance_km((lat, lon), hall_at(each.event.city, each.hall)) <= km


def _moment(name: str, value: str, suffix: str, zone: str | None) -> datetime:
    """A bound; of a day its first moment, or for gt and lte its last."""
    try:
        there = ZoneInfo(zone or "UTC")
        moment = datetime.fromisoformat(value)
    except (ValueError, ZoneInfoNotFoundError):
        moment = None
    if moment is None or moment.tzinfo:
        msg = f"{name}: expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ss, found {value[:40]}"
        raise _BadRequestError(msg)
    if len(value) == len("YYYY-MM-DD") and suffix in ("gt", "lte"):
        moment = datetime.combine(moment, time.max)
    return moment.replace(tzinfo=there)


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        msg = f"{name}: expected a whole number, found {value[:40]}"
        raise _BadRequestError(msg) from None


def _page(request: Request, matched: Sequence[Version], most: int) -> Body:
    """One page of what the plan lets one reach."""
    asked = request.query_params
    limit, offset = (
        _whole("limit", asked.get("limit", str(_DEFAULT_PER_PAGE))),
        _whole("offset", asked.get("offset", "0")),
    )
    if not 1 <= limit <= MOST_PER_PAGE or offset < 0:
        msg = f"limit is 1 to {MOST_PER_PAGE}, offset 0 or more"
        raise _BadRequestError(msg)
    reachable = matched[:most]

    def page_at(other: int) -> str:
        return str(request.url.include_query_params(offset=other))

    return Body(
        json.dumps(
            {
                "count": len(matched),
                "overflow": len(matched) > most,
                "previous": page_at(max(0, offset - limit)) if offset else None,
                "next": page_at(offset + limit) if offset + limit < len(reachable) else None,
                "results": [rendered(each) for each in reachable[offset : offset + limit]],
            },
            ensure_ascii=False,
        ).encode()
    )


def _error(status: int, message: str) -> Body:
    return Body(json.dumps({"error": message}).encode(), str(status), status=status)


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    refused = _error(*_REFUSALS[refusal])
    return refused.code, refused.response


def _fail(outcome: Outcome, draw: Random, as_json: bool) -> tuple[str, Response]:
    failed = _error(504 if outcome == "timeout" else draw.choice((500, 503)), "Something went wrong")
    return failed.code, failed.response
