"""What a backfill would cost, reckoned from what is known."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apis.endpoints import Endpoint
from apis.kma import SHORT
from conf.settings import Pollers
from generators.pollers.carbon import messages, plan
from generators.pollers.carbon.plan import Period
from generators.pollers.state import State

_OF_STATIONS = ("weather", "forecast_short", "forecast_temperature", "forecast_land")


@dataclass(frozen=True)
class Estimate:
    """How many calls a run would spend of an operation.

    Attributes:
        operation: The operation.
        calls: How many it would spend, where nothing fails.
        left: What is left of today's quota.
        quota: A whole day's.
        is_assumed: Whether it reckons with complexes that nobody has listed yet.
    """

    operation: str
    calls: int
    left: int
    quota: int
    is_assumed: bool = False

    @property
    def more_days(self) -> int:
        """How many days after today it takes."""
        return max(0, -((self.left - self.calls) // self.quota))


def estimates(
    endpoints: Sequence[Endpoint[Any]],
    left: Callable[[Endpoint[Any]], int],
    state: State,
    chosen: Pollers,
    parts: Collection[str],
    period: Period,
    now: datetime,
) -> list[Estimate]:
    """How many calls of each operation a backfill of these parts would spend, where nothing fails.

    A legal dong's month is reckoned as one call, which it is up to 100 lots.

    Args:
        endpoints: The operations.
        left: What is left of an operation's quota.
        state: What is known.
        chosen: Stations, page size, and how many complexes to reckon with before any was listed.
        parts: Of the backfill.
        period: Its months.
        now: The time.
    """
    calls = {each.name: 0 for each in endpoints}
    bound = chosen.malformed_attempts
    listings, _ = state.round("complexes")
    known = list(state.complexes())
    assumed = not listings and len(known) < chosen.assumed_complexes
    unknown = chosen.assumed_complexes - len(known) if assumed else 0
    if {"complexes", "energy"} & set(parts) and not listings:
        calls["complexes"] = -(-unknown // chosen.page_size) or 1
    if "complexes" in parts:
        basis, there = state.answered("basis"), state.answered("address")
        calls["basis"] = unknown + sum(not plan.is_settled(basis.get(each), bound) for each in known)
        calls["address"] = unknown + sum(
            not (each in basis and (where := _address_of(basis[each].result)) and where in there) for each in known
        )
    if "energy" in parts:
        wanted = plan.energy_backfill(known, period.months, state.answered("energy"), bound)
        calls["energy"] = len(wanted) + unknown * len(period.months)
    if "buildings" in parts:
        metered = {item: state.answered(f"buildings_{item}") for item in plan.METERED}
        for _, _, item in plan.buildings_backfill(plan.dongs(state), period.months, metered, bound):
            calls[f"buildings_{item}"] += 1
        # Of complexes that nobody has listed yet, each in a legal dong of its own at worst.
        months = sum(month >= plan.BUILDINGS_FIRST for month in period.months)
        for item in plan.METERED:
            calls[f"buildings_{item}"] += unknown * months
    if "weather" in parts:
        stations, days = plan.stations(chosen), period.days(now)
        calls["weather"] = len(plan.weather_backfill(stations, days, state.answered("weather"), bound))
    if "forecasts" in parts:
        told = {name: state.answered(name) for name in ("forecast_short", "forecast_land")}
        for _, term, _ in plan.issues(chosen.forecasts, told, now, chosen.watch, bound):
            for operation in ("forecast_short",) if term is SHORT else ("forecast_temperature", "forecast_land"):
                calls[operation] += 1
    return [
        Estimate(each.name, calls[each.name], left(each), each.quota.calls, assumed and each.name not in _OF_STATIONS)
        for each in endpoints
    ]


def _address_of(result: str | None) -> str:
    return messages.address(json.loads(result)["item"]) if result else ""
