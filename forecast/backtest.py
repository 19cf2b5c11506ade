"""`python -m forecast.backtest`: how good forecasts would have been, beside two baselines, with what was known then.

A month's emission is published a month or more late, so even "the same day last week" is not known when a forecast is
made. Three rows show what forecasts are held against: the same weekday of the newest week that was known; for
comparison the same day last week as if it had been known, which flatters that baseline; and the mean of the same month
a year before.
"""

import sys
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from conf.errors import Parser, command
from conf.settings import serving
from forecast import tables
from forecast.history import History
from forecast.rolling import MIN_MORNINGS, SCOPES, Replay, TooLittleDataError, replay
from forecast.weather import Announced, Flags, Floats, Places, Weather
from sinks.errors import NotReadyError

SHOWN_DAYS = 7
FORECAST, OBSERVED = "forecast: expected weather", "model: weather as it came"
NORMALS = "the same without weather forecasts"
LAST_WEEK, LAST_WEEK_HINDSIGHT = "same day, newest known week", "same day last week, if known"
MONTH_MEAN = "month's mean a year before"
BASELINES = (LAST_WEEK, LAST_WEEK_HINDSIGHT, MONTH_MEAN)

console = Console(highlight=False)


class Score(NamedTuple):
    """Of one way to forecast at one horizon, over all entities of a scope and all mornings.

    Attributes:
        mae: the mean absolute error, kg CO2 per household and day.
        mape: the mean absolute error in per cent of what came.
        coverage: the share of days within the interval; None: there is no interval.
    """

    mae: float
    mape: float
    coverage: float | None = None


Scores = dict[str, dict[str, list[Score]]]


def scores(past: Replay, nominal: float) -> Scores:
    """By scope and way, a score per horizon: 1 to SHOWN_DAYS days; mornings with too few known misses are left out."""
    found: Scores = {}
    for scope in SCOPES:
        if not len(chosen := judged(past, scope)):
            continue
        at = np.ix_(chosen, past.members(scope), np.arange(SHOWN_DAYS))
        actual, covered = past.actual[at], within(past, scope, nominal)
        ways = {
            FORECAST: past.forecast,
            NORMALS: past.normals,
            OBSERVED: past.observed,
            LAST_WEEK: past.last_week,
            LAST_WEEK_HINDSIGHT: past.last_week_hindsight,
            MONTH_MEAN: past.month_mean,
        }
        # All ways are judged by the same days.
        fair = np.isfinite(actual) & np.logical_and.reduce([np.isfinite(made[at]) for made in ways.values()])
        found[scope] = {way: _scores(made[at], actual, fair, covered.get(way)) for way, made in ways.items()}
    return found


def judged(past: Replay, scope: str) -> Places:
    """The mornings on which enough misses were known to make an interval from."""
    newest = past.known_until[:, past.members(scope)].max(axis=1)
    return np.flatnonzero((past.mornings <= newest[:, None]).sum(axis=1) >= MIN_MORNINGS)


def within(past: Replay, scope: str, nominal: float) -> dict[str, Flags]:
    """Whether what came was within the interval, with expected and with known weather.

    Every interval is made from misses that were known on its morning.

    Returns:
        arrays (mornings that are judged, entities, SHOWN_DAYS); False where nothing has come yet.
    """
    chosen = past.members(scope)
    found: dict[str, list[Flags]] = {FORECAST: [], OBSERVED: []}
    month = None
    for number in judged(past, scope):
        if month != past.mornings[number].astype("datetime64[M]"):  # what is known changes with the month
            month = past.mornings[number].astype("datetime64[M]")
            intervals = past.intervals(scope, nominal, past.known_until[number])
        here = np.ix_([number], chosen, np.arange(SHOWN_DAYS))
        for way, made in ((FORECAST, past.forecast), (OBSERVED, past.observed)):
            known = np.full(SHOWN_DAYS, way == OBSERVED)
            lower, upper = intervals.around(made[here], np.where(known, 0, past.weather_sigma[here]), known)
            found[way].append((past.actual[here] >= lower) & (past.actual[here] <= upper))
    return {way: np.concatenate(days) for way, days in found.items()}


def _scores(made: Floats, actual: Floats, fair: Flags, covered: Flags | None) -> list[Score]:
    found = []
    for horizon in range(SHOWN_DAYS):
        days = fair[..., horizon]
        miss, came = np.abs(made - actual)[..., horizon][days], actual[..., horizon][days]
        share = None if covered is None else float(covered[..., horizon][days].mean())
        found.append(Score(float(miss.mean()), float(100 * (miss / np.maximum(came, 1e-9)).mean()), share))
    return found


def as_json(found: Scores) -> dict[str, object]:
    """The scores as they stand beside a model."""
    return {
        scope: {
            way: [{name: round(value, 4) for name, value in row._asdict().items() if value is not None} for row in rows]
            for way, rows in ways.items()
        }
        for scope, ways in found.items()
    }


def shown(found: Scores, past: Replay, nominal: float) -> list[Table | str]:
    """The scores as tables, one per scope."""
    if not found:
        return ["The history is too short for a backtest yet: no past morning knew enough misses."]
    made: list[Table | str] = []
    for scope, ways in found.items():
        mornings = past.mornings[judged(past, scope)]
        what = f"{scope}: {len(past.members(scope))}, on {len(mornings)} mornings from {mornings[0]} to {mornings[-1]}"
        table = Table(
            title=f"{what}; intervals of {nominal:.0%}",
            title_justify="left",
            box=None,
            pad_edge=False,
            padding=(0, 0, 0, 1),
        )
        table.add_column("kg CO2 per household, day", no_wrap=True)
        for horizon in range(1, SHOWN_DAYS + 1):
            table.add_column(f"{horizon} d", justify="right")
        for way, rows in ways.items():
            table.add_row(f"{way}: MAE", *(f"{row.mae:.3f}" for row in rows))
            if way == FORECAST and past.announced:
                gains = (1 - own.mae / max(its.mae, 1e-9) for own, its in zip(rows, ways[NORMALS], strict=True))
                table.add_row("    less than without weather forecasts, %", *(f"{100 * gain:.1f}" for gain in gains))
            table.add_row("    MAPE, %", *(f"{row.mape:.1f}" for row in rows))
            if rows[0].coverage is not None:
                table.add_row("    coverage, %", *(f"{100 * (row.coverage or 0):.1f}" for row in rows))
        made.append(table)
    return made


def run(history: History, weather: Weather, announced: Announced) -> Replay:
    """Replay with a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Forecasting again at past mornings", total=1.0)
        return replay(history, weather, announced, lambda share: progress.update(task, completed=share))


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    Parser(prog="python -m forecast.backtest", description=__doc__).parse_args(arguments)
    settings = serving("postgres")
    history, weather, announced = tables.read(settings)
    try:
        past = run(history.current(), weather, announced)
    except (TooLittleDataError, ValueError) as error:
        message = f"Too little data: {error}; {tables.FILL}."
        raise NotReadyError(message) from None
    for table in shown(scores(past, settings.forecast.coverage), past, settings.forecast.coverage):
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
