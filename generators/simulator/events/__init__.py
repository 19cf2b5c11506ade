"""World events, what is near them and flights there: PredictHQ, Overpass, Google Places and Duffel."""

from fastapi import FastAPI

from generators.simulator.events import duffel, google, overpass, predicthq
from generators.simulator.events.world import World
from generators.simulator.gateway import Simulation


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the services to the application."""
    chosen = simulation.chosen
    world = World(chosen.seed, chosen.events.count, chosen.events.first_day)
    predicthq.add(app, simulation, world)
    overpass.add(app, simulation)
    google.add(app, simulation)
    duffel.add(app, simulation)
