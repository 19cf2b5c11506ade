"""Backfill the whole simulated city, and kill the poller, a TaskManager, a Python worker and PostgreSQL meanwhile.

Every table equals its recomputation from the simulator's data, and hardly a call was made twice.
"""

import itertools
import os
import random
import time
from datetime import date
from pathlib import Path

import pytest

from conf.city import places
from conf.settings import Settings
from generators.pollers.carbon.plan import METERED
from generators.simulator.carbon import energy, parcels
from generators.simulator.carbon.services import World, basis_item, geocoded, road_address
from tests import carbon, pollers
from tests.chaos import kills
from tests.chaos.test_carbon import SECONDS

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

FIRST, LAST, LAST_DAY = date(2024, 5, 1), date(2026, 9, 1), date(2026, 9, 30)
LOSSES = ["TaskManager", "PostgreSQL", "Python workers"]
# What a kill may cost: the calls that were under way.
MORE_CALLS = 1.02


def told(settings: Settings) -> carbon.History:
    """What the services tell of the whole city, from the simulator's data and not over HTTP."""
    world = World.of(settings.simulator)
    history = carbon.History()
    for place in places.complexes():
        found = geocoded(world, road_address(place))
        history.describe(
            place.complex_id,
            **{"name": place.name, "region": place.region, "address": road_address(place)},
            **{"lat": place.lat if found else None, "lon": place.lon if found else None},
            **{"legal_dong": parcels.legal_dong(place), "parcel": basis_item(world, place)["kaptAddr"]},
            households=place.households,
            heating=world.traits(place).heating,
        )
        history.lots[place.complex_id] = parcels.lots(place)
        for month in energy.months_between(FIRST, LAST):
            used = world.usage(place, month, pollers.TODAY)
            history.use(
                place.complex_id,
                month,
                **{"electricity": str(used.electricity_kwh), "gas": str(used.gas_m3)},
                **{"water": str(used.water_m3), "heat": str(used.heat_mcal)},
            )
    for dong, month, item in itertools.product(parcels.dongs(), energy.months_between(FIRST, LAST), METERED):
        rows = world.metered(dong, month, item, pollers.TODAY)
        told = [((row["platGbCd"] == "1", int(row["bun"]), int(row["ji"])), row["useQty"]) for row in rows]
        history.metered[dong, month, item] = {"1": told}
    for day in world.weather(FIRST, LAST_DAY):
        temperatures = (day.mean_celsius, day.min_celsius, day.max_celsius) if day.is_observed else ("", "", "")
        history.measure(
            day.day,
            **dict(zip(("avgTa", "minTa", "maxTa"), map(str, temperatures), strict=True)),
            **{"sumRn": "" if day.rain_mm is None else str(day.rain_mm)},
            **{"ddMes": "" if day.snow_cm is None else str(day.snow_cm), "avgRhm": str(day.humidity_percent)},
        )
    return history


@pytest.mark.timeout(2400)
def test_the_whole_city_comes_out_right_and_no_call_is_wasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = carbon.settings()
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    history = told(settings)
    command = ("backfill", "--from", f"{FIRST:%Y-%m}", "--to", f"{LAST:%Y-%m}")
    with carbon.running(settings), pollers.simulation(tmp_path) as simulation:
        polling = pollers.Polling(tmp_path, simulation)
        for what in dice.sample(LOSSES, len(LOSSES)):
            poller = polling.start(*command)
            time.sleep(dice.uniform(8, 20))
            poller.kill()
            poller.communicate()
            kills.lose(settings, carbon.JOB, what, dice)
        code, said = polling.run(*command)
        assert code == 0, said
        took = carbon.await_agreement(settings, history, SECONDS)
        spent = simulation.calls()
    pages = sum(max(1, -(-len(rows) // 100)) for of_month in history.metered.values() for rows in of_month.values())
    fewest = len(history.usage) + 2 * len(history.complexes) + pages
    assert spent <= MORE_CALLS * fewest, f"{spent} calls, where {fewest} would have done"
    with capsys.disabled():
        print(f"\n{spent} calls ({spent / fewest - 1:+.2%}); every table was right {took:.0f} s after the last")
