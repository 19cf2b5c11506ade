"""Overpass: open data of what is near, by its query language, as far as `around` and tags go."""

import json
import re
from random import Random

from fastapi import FastAPI, Response

from generators.simulator.events import nearby
from generators.simulator.events.nearby import KINDS, Spot
from generators.simulator.gateway import Body, Outcome, Provider, Refusal, Simulation

# There are no keys: whoever asks is told by the address.
_ANYONE = "anyone"
_STATEMENT = re.compile(
    r"(?:node|nwr)\[\"?(amenity|tourism)\"?[=~]\"?\^?\(?([a-z|]+)\)?\$?\"?\]"
    r"\(around:([0-9.]+),(-?[0-9.]+),(-?[0-9.]+)\);"
)
_TAG = {"restaurant": "amenity", "cafe": "amenity", "hotel": "tourism"}
_PAGE = "<html><body><p><strong>Error</strong>: {} </p></body></html>"


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    most = simulation.chosen.events.places_per_minute
    provider = Provider((_ANYONE,), is_rated=True, refuse=_refuse, fail=_fail, per_minute=most)

    @app.get("/api/interpreter")
    async def interpreter(data: str = "") -> Response:
        """What a query finds."""
        return await simulation.answer(
            provider, "overpass", _ANYONE, data, lambda: answered(simulation.chosen.seed, data)
        )


def answered(seed: int, data: str) -> Body:
    """The answer to a query: each that one of its statements finds, once."""
    statements = _STATEMENT.findall(data)
    if not statements or "[out:json]" not in data:
        return Body(_PAGE.format("line 1: parse error").encode(), "400", as_json=False, status=400)
    found: dict[int, Spot] = {}
    for tag, values, radius, lat, lon in statements:
        kinds = [kind for kind in values.split("|") if kind in KINDS and _TAG[kind] == tag]
        spots = nearby.near(seed, (float(lat), float(lon)), float(radius) / 1000, kinds)
        found |= {spot.number: spot for spot in spots}
    elements = [
        {
            "type": "node",
            "id": spot.number,
            "lat": spot.lat,
            "lon": spot.lon,
            "tags": {_TAG[spot.kind]: spot.kind, "name": spot.name},
        }
        for spot in found.values()
    ]
    answer = {
        "version": 0.6,
        "generator": "Overpass API 0.7.62",
        "osm3s": {
            "timestamp_osm_base": "2026-11-01T00:00:00Z",
            "copyright": "The data included in this document is from www.openstreetmap.org. The data is made available "
            "under ODbL.",
        },
        "elements": elements,
    }
    return Body(json.dumps(answer, ensure_ascii=False).encode())


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    refused = Body(_PAGE.format("Too many requests").encode(), "429", as_json=False, status=429)
    return refused.code, refused.response


def _fail(outcome: Outcome, draw: Random, as_json: bool) -> tuple[str, Response]:
    """Too busy; or, with status 200, a query that ran out of time, which has a remark and half of its elements."""
    if draw.random() < 0.5:
        failed = Body(_PAGE.format("The server is probably too busy").encode(), "504", as_json=False, status=504)
    else:
        remark = 'runtime error: Query timed out in "query" at line 1 after 25 seconds.'
        failed = Body(json.dumps({"version": 0.6, "elements": [], "remark": remark}).encode(), "remark")
    return failed.code, failed.response
