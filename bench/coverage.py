"""`python -m bench.coverage`: how often the forecast's intervals cover, on cities that nobody has looked at.

For each seed a city as the simulator tells of it, made without servers: months as they were entered, spread over days
by the carbon job's rules. Each past morning is forecast from what was known then, with the model and the intervals of
that morning; mornings are grouped by how many months of history they had.
"""

import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
from rich.console import Console
from rich.table import Table

from apis import calendar, kma
from conf import factors
from conf.city.places import Complex, complexes
from conf.errors import Parser, command
from conf.settings import Settings, load
from forecast.backtest import SHOWN_DAYS, judged, run, within
from forecast.history import History
from forecast.rolling import SCOPES, Replay
from forecast.weather import Announced, Floats, Weather
from generators.simulator.carbon import energy, forecasts
from generators.simulator.carbon.services import World
from jobs.rules.carbon.emission import Factor, Factors, Grams
from jobs.rules.carbon.energy import Quantities
from jobs.rules.carbon.spreading import daily, weights_of_month

# Months of history.
GROUPS = ((15, 17), (18, 20), (21, 26), (27, 32), (33, 38))
console = Console(highlight=False)


def told(seed: int, first: date, months: int, settings: Settings) -> tuple[History, Weather, Announced]:
    """What the tables hold on the 21st of the month after so many: emission, weather, and what was forecast of it."""
    world, today = World(seed, first, settings.simulator.energy), energy.month_after(first, months).replace(day=21)
    measured = {day.day: day for day in world.weather(first, today) if day.day < today}
    weather = Weather.of(
        (day.day, day.mean_celsius if day.is_observed else None, day.min_celsius, day.max_celsius, day.rain_mm)
        for day in measured.values()
    )
    known = Factors(
        Factor(factor.item, f"{factor.valid_from:%Y-%m}", factor.kg_per_unit)
        for factor in factors.load()
        if settings.carbon.heat or factor.item != "heat"
    )
    places = complexes()
    grams = np.full((len(places), len(weather)), np.nan)
    items = np.zeros((len(places), len(weather)), dtype=int)
    for month in energy.months_between(first, energy.month_after(first, months - 1)):
        days = [day for day in measured.values() if day.day.replace(day=1) == month]
        by_item = weights_of_month([round(day.mean_celsius * 100) if day.is_observed else None for day in days])
        at = slice(*np.searchsorted(weather.days, np.array([month, energy.month_after(month)], dtype="datetime64[D]")))
        for number, place in enumerate(places):
            emitted = _emitted(world, place, month, today, known)
            spread = daily(emitted, by_item)
            if spread:
                grams[number, at] = spread
                items[number, at] = sum(each is not None for each in emitted)
    # As forecast.tables reads them: a month in which an item is missing measures something else.
    kg = np.where(items == items.max(axis=1, keepdims=True), grams / 1000, np.nan)
    households = np.array([place.households for place in places], dtype=float)
    ids, regions = [place.complex_id for place in places], [place.region for place in places]
    announced = Announced.of(row for day in measured for row in _announced(seed, day))
    return History(weather.days, ids, regions, households, kg).current(), weather, announced


def _announced(seed: int, day: date) -> Iterator[tuple[str, datetime, date, float, float, float, float]]:
    """Of a day's issues those that are the newest ones of its morning, each for the days that only it tells of."""
    for term, hour, days in ((kma.SHORT, 2, range(1)), (kma.SHORT, 8, range(1, 4)), (kma.MID, 6, range(4, 11))):
        issued = datetime.combine(day, time(hour), calendar.KOREA)
        for target in (day + timedelta(days=ahead) for ahead in days):
            said = forecasts.said(seed, issued, target)
            low, high = (round(said.low), round(said.high)) if term is kma.MID else (said.low, said.high)
            mean = said.mean if term is kma.SHORT and hour > 2 else (low + high) / 2
            yield term.name, issued, target, mean, low, high, float("nan") if term is kma.MID else said.rain


def _emitted(world: World, place: Complex, month: date, today: date, known: Factors) -> Grams:
    used = world.usage(place, month, today)
    quantities = (used.electricity_kwh, used.gas_m3, used.water_m3, used.heat_mcal)
    return known.grams(Quantities(*(Decimal(each) if each else None for each in quantities)), f"{month:%Y-%m}")


def covered(past: Replay, first: date, nominal: float) -> dict[tuple[str, str], Floats]:
    """By scope and way the share of days covered in per cent, an array (groups, SHOWN_DAYS); NaN: no such mornings."""
    found = {}
    for scope in SCOPES:
        chosen = judged(past, scope)
        months = (past.mornings[chosen].astype("datetime64[M]") - np.datetime64(first, "M")).astype(int)
        there = np.isfinite(past.actual[np.ix_(chosen, past.members(scope), np.arange(SHOWN_DAYS))])
        for way, inside in within(past, scope, nominal).items():
            groups = [(months >= low) & (months <= high) for low, high in GROUPS]
            with np.errstate(invalid="ignore"):
                found[scope, way] = np.array(
                    [100 * inside[group].sum(axis=(0, 1)) / there[group].sum(axis=(0, 1)) for group in groups]
                )
    return found


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m bench.coverage", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[*range(101, 111)], help="of the simulator (101 to 110)"
    )
    parser.add_argument("--months", type=int, default=36, help="how many months of emission a city has (36)")
    parser.add_argument("--first", type=date.fromisoformat, help="the first month (that of the settings)")
    options = parser.parse_args(arguments)
    settings = load()
    first = options.first or settings.simulator.first_month
    by_seed = []
    for seed in options.seeds:
        past = run(*told(seed, first, options.months, settings))
        by_seed.append(covered(past, first, settings.forecast.coverage))
    for scope, way in by_seed[0]:
        shares = np.array([found[scope, way] for found in by_seed])
        table = Table(title=f"{scope}, {way}: covered, % of days", title_justify="left", box=None)
        for column in ("months of history", *(f"{number} d" for number in range(1, SHOWN_DAYS + 1)), "seeds"):
            table.add_column(column, justify="right", no_wrap=True)
        for group, (low, high) in enumerate(GROUPS):
            there = shares[:, group]
            if np.isfinite(there).any():
                each = np.nanmean(there, axis=1)
                mean = (f"{share:.1f}" for share in np.nanmean(there, axis=0))
                table.add_row(f"{low} to {high}", *mean, f"{np.nanmin(each):.0f} to {np.nanmax(each):.0f}")
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
