"""The HTTP shell: every service that is simulated, and `/simulator/...` to look in and to make trouble."""

import importlib
import pkgutil
from datetime import date
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from conf.settings import Simulator, Trouble
from generators import simulator
from generators.simulator.gateway import Simulation


class Limits(BaseModel):
    """Quota per key, operation and day; calls per second and key, 0 for no limit."""

    model_config = ConfigDict(extra="forbid")

    daily_quota: int = Field(ge=0)
    rate_per_second: float = Field(ge=0)


class Today(BaseModel):
    """The day that the services believe it is; null: the real one."""

    model_config = ConfigDict(extra="forbid")

    today: date | None


def create(chosen: Simulator, time_zone: str) -> FastAPI:
    """The application."""
    app = FastAPI(title="Citystream simulator: public APIs with synthetic data", docs_url="/simulator/docs")
    simulation = Simulation(chosen, ZoneInfo(time_zone))
    # A service is a module or a folder with an `add`: it adds its paths.
    for found in pkgutil.iter_modules(simulator.__path__, f"{simulator.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "add"):
            module.add(app, simulation)
    _add_simulator(app, simulation)
    return app


def _add_simulator(app: FastAPI, simulation: Simulation) -> None:
    gateway = simulation.gateway

    @app.get("/simulator/health")
    async def health() -> dict[str, str]:
        """Whether it answers."""
        return {"status": "up", "today": simulation.today().isoformat()}

    @app.get("/simulator/trouble")
    async def trouble() -> Trouble:
        """The trouble it makes now."""
        return gateway.trouble

    @app.put("/simulator/trouble")
    async def set_trouble(chosen: Trouble) -> Trouble:
        """Make this trouble from now on; what is left out is off."""
        gateway.set_trouble(chosen)
        return chosen

    @app.put("/simulator/limits")
    async def set_limits(limits: Limits) -> Limits:
        """Another quota and rate from now on; what was spent today stays spent."""
        gateway.daily_quota, gateway.rate_per_second = limits.daily_quota, limits.rate_per_second
        return limits

    @app.put("/simulator/today")
    async def set_today(chosen: Today) -> Today:
        """Another day from now on."""
        simulation.today_is = chosen.today
        return chosen

    @app.get("/simulator/calls")
    async def calls() -> dict[str, dict[str, dict[str, int]]]:
        """Calls by operation, key (its first characters) and outcome; the sum over outcomes is what was spent."""
        return {
            operation: {key: dict(outcomes) for key, outcomes in keys.items()}
            for operation, keys in gateway.account.calls.items()
        }

    @app.get("/simulator/calls/repeats")
    async def repeats() -> dict[str, dict[str, int]]:
        """What was answered well more than once, and how often."""
        return {
            operation: {subject: count for subject, count in counts.items() if count > 1}
            for operation, counts in gateway.account.answered.items()
        }

    @app.delete("/simulator/calls")
    async def forget() -> None:
        """Begin a new account; quotas stay spent."""
        gateway.account = type(gateway.account)()
