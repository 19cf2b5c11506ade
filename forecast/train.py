"""`make train`: a new model from what PostgreSQL holds, with its backtest; the job and the service then take it up."""

import sys
from datetime import UTC, datetime

from conf.errors import Parser, command
from conf.settings import Settings, serving
from forecast import backtest, tables
from forecast.forecaster import Forecaster
from forecast.rolling import TooLittleDataError
from forecast.store import Store
from sinks.errors import NotReadyError


def train(settings: Settings) -> Forecaster:
    """Read, backtest, fit, save; print what is done.

    Raises:
        NotReadyError: the database is away, or holds too little; the message says what to run.
    """
    console = backtest.console
    with console.status("Reading the tables ..."):
        history, weather, announced = tables.read(settings)
    left = len(history.ids)
    history = history.current()
    left -= len(history.ids)
    known = history.days[(history.kg == history.kg).any(axis=0)]
    console.print(
        f"Emission of {len(history.ids)} complexes from {known[0]} to {known[-1]}, weather until {weather.days[-1]}"
        + (f"; {left} complexes have left the data" if left else "")
    )
    nominal = settings.forecast.coverage
    try:
        past = backtest.run(history, weather, announced)
        scores = backtest.scores(past, nominal)
        now = datetime.now(UTC).replace(microsecond=0)
        model = Forecaster.of(history, weather, past, nominal=nominal, trained_at=now, announced=announced)
    except (TooLittleDataError, ValueError) as error:
        message = f"Too little data to train from: {error}; {tables.FILL}."
        raise NotReadyError(message) from None
    for table in backtest.shown(scores, past, nominal):
        console.print(table)
    data = {
        "emission_from": str(known[0]),
        "emission_until": str(known[-1]),
        "weather_from": str(weather.days[0]),
        "weather_until": str(weather.days[-1]),
        "mornings": [str(past.mornings[0]), str(past.mornings[-1])],
    }
    file = Store(settings.models).save(model, backtest.as_json(scores), data)
    console.print(f"Model {model.version} is current: {file}", soft_wrap=True)
    return model


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    Parser(prog="python -m forecast.train", description=__doc__).parse_args(arguments)
    train(serving("postgres"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
