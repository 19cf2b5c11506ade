"""What is near, by each provider over HTTP: as a job asks, counted and kept in the real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from apis.client import PutOffError
from apis.endpoints import ApiError
from apis.places import EAT_METRES, SLEEP_METRES, Spot
from conf.settings import load
from generators.simulator.events import nearby
from jobs.operators.events import lookups
from jobs.operators.events.lookups import Asking
from sinks import postgres
from tests import events
from tests.pollers import Simulation

pytestmark = [pytest.mark.postgres]
DAEGU = (35.8714, 128.6014)
# Of each provider: calls of a question, and how many of a kind of place it tells at most.
PROVIDERS = {"overpass": (1, None), "google": (2, 20)}


@pytest.fixture(scope="module")
def simulated(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    with Simulation(tmp_path_factory.mktemp("simulator") / "simulator.log", **events.UNLIMITED) as running:
        yield running


@pytest.fixture(autouse=True)
def _a_fresh_count(simulated: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_URL", simulated.url)
    simulated.forget()
    with postgres.connect(load()) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE api_quotas, api_refusals, api_answers")


def asking(monkeypatch: pytest.MonkeyPatch, provider: str, **more: str) -> Asking:
    """What a subtask asks with."""
    for name, value in {"PROVIDER": provider, "RATE_PER_SECOND": "100", **more}.items():
        monkeypatch.setenv(f"CITYSTREAM__EVENTS__PLACES__{name}", value)
    chosen = load()
    found = lookups.provider_of(chosen)
    calls = partial(lookups._around, found)
    made = lookups._connect(found.endpoint, calls, chosen.events.places, timedelta(days=1), chosen)(100.0)
    assert isinstance(made, Asking)
    return made


def answers(service: Asking, *questions: str) -> list[set[Spot]]:
    async def ask() -> list[set[Spot]]:
        try:
            return [set(map(Spot._make, (await service.ask(question))[1])) for question in questions]
        finally:
            await service.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_near_is_what_the_simulator_has_there_and_is_asked_for_once(
    provider: str, simulated: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, most = PROVIDERS[provider]
    question = ",".join(map(str, DAEGU))
    first, again = answers(asking(monkeypatch, provider), question, question)
    (after_a_kill,) = answers(asking(monkeypatch, provider), question)
    assert simulated.calls() == calls
    assert first == again == after_a_kill
    must = [
        spot
        for kinds, metres in ((("restaurant", "cafe"), EAT_METRES), (("hotel",), SLEEP_METRES))
        for spot in nearby.near(load().simulator.seed, DAEGU, metres / 1000, kinds)[:most]
    ]
    assert {(spot.kind, spot.lat, spot.lon) for spot in first} == {(spot.kind, spot.lat, spot.lon) for spot in must}
    assert {spot.name is None for spot in first} == {provider == "google"}


def test_google_takes_no_key_but_its_own(monkeypatch: pytest.MonkeyPatch, simulated: Simulation) -> None:
    monkeypatch.setenv("GOOGLE_PLACES_URL", simulated.url)
    monkeypatch.setenv("GOOGLE_PLACES_KEY", "somebody-elses")
    with pytest.raises(ApiError, match="check GOOGLE_PLACES_KEY"):
        answers(asking(monkeypatch, "google"), "35.8,128.6")


def test_googles_limit_of_a_minute_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it refuses with 429 is tried again later: one call a minute is too few for three questions."""
    with Simulation(tmp_path / "simulator.log", **{**events.UNLIMITED, "events__places_per_minute": 1}) as few:
        monkeypatch.setenv("SIMULATOR_URL", few.url)
        monkeypatch.setenv("CITYSTREAM__POLLERS__ATTEMPTS", "1")
        with pytest.raises(PutOffError, match="per minute"):
            answers(asking(monkeypatch, "google"), "35.8,128.6", "35.9,128.7", "36,128.8")
