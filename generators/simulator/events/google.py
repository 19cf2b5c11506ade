"""Places API (New), `searchNearby`: a field mask, 20 at most, no pages, a quota per minute and day."""

import json
from random import Random
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response

from generators.simulator.events import nearby
from generators.simulator.events.nearby import Spot
from generators.simulator.gateway import Body, Outcome, Provider, Refusal, Simulation

MOST = 20
_MOST_RADIUS = 50_000
_TYPES = {"restaurant": "restaurant", "cafe": "cafe", "hotel": "hotel", "lodging": "hotel"}
_METRIC = "SearchNearbyRequest"
_NO_MASK = (
    "FieldMask is a required parameter. See https://cloud.google.com/apis/docs/system-parameters#definitions on how to "
    "specify it."
)


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    chosen = simulation.chosen.events
    provider = Provider(
        chosen.places_keys, is_rated=False, refuse=_refuse, fail=_fail, per_minute=chosen.places_per_minute
    )

    @app.post("/v1/places:searchNearby")
    async def search(
        request: Request,
        key: Annotated[str | None, Header(alias="X-Goog-Api-Key")] = None,
        mask: Annotated[str, Header(alias="X-Goog-FieldMask")] = "",
    ) -> Response:
        """What is near."""
        content = await request.body()
        if not key:
            return error(403, "PERMISSION_DENIED", "The request is missing a valid API key.").response
        subject = content.decode("utf-8", "replace")
        return await simulation.answer(
            provider, "places", key, subject, lambda: answered(simulation.chosen.seed, content, mask)
        )


def answered(seed: int, content: bytes, mask: str) -> Body:
    """The answer to a search; without a hit, an empty object."""
    try:
        asked = json.loads(content)
        circle = asked["locationRestriction"]["circle"]
        centre = (float(circle["center"]["latitude"]), float(circle["center"]["longitude"]))
        radius = float(circle["radius"])
        most = int(asked.get("maxResultCount", MOST))
        included, excluded = (set(asked.get(name, ())) for name in ("includedTypes", "excludedTypes"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _invalid("Invalid JSON payload received.")
    if not mask:
        return _invalid(_NO_MASK)
    if not 0 < radius <= _MOST_RADIUS or not 1 <= most <= MOST or included & excluded:
        return _invalid("Request contains an invalid argument.")
    kinds = sorted({_TYPES[each] for each in included or _TYPES if each in _TYPES and each not in excluded})
    spots = nearby.near(seed, centre, radius / 1000, kinds)
    if asked.get("rankPreference", "POPULARITY") == "POPULARITY":
        spots.sort(key=lambda spot: -spot.rating)
    fields = {part.strip() for part in mask.split(",")}
    places = [_masked(_place(spot), fields) for spot in spots[:most]]
    return Body(json.dumps({"places": places} if places else {}, ensure_ascii=False).encode())


def _place(spot: Spot) -> dict[str, Any]:
    place_id = f"ChIJ{spot.number:022x}"
    return {
        "name": f"places/{place_id}",
        "id": place_id,
        "types": [spot.kind, "point_of_interest", "establishment"],
        "primaryType": spot.kind,
        "location": {"latitude": spot.lat, "longitude": spot.lon},
        "rating": spot.rating,
        "displayName": {"text": spot.name, "languageCode": "en"},
    }


def _masked(place: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    if "*" in fields:
        return place
    return {name: value for name, value in place.items() if f"places.{name}" in fields or "places" in fields}


def error(status: int, kind: str, message: str, details: list[dict[str, Any]] | None = None) -> Body:
    """An error, as all of Google's APIs write it."""
    about = {"code": status, "message": message, "status": kind, "details": details or []}
    return Body(json.dumps({"error": about}).encode(), kind, status=status)


def _invalid(message: str) -> Body:
    return error(400, "INVALID_ARGUMENT", message)


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    if refusal == "key":
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        details = [{**reason, "domain": "googleapis.com", "metadata": {"service": "places.googleapis.com"}}]
        refused = error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", details)
    else:
        per = "minute" if refusal == "rate" else "day"
        text = (
            f"Quota exceeded for quota metric '{_METRIC}' and limit '{_METRIC} per {per}' of service "
            "'places.googleapis.com' for consumer 'project_number:0'."
        )
        refused = error(429, "RESOURCE_EXHAUSTED", text)
    return refused.code, refused.response


def _fail(outcome: Outcome, draw: Random, as_json: bool) -> tuple[str, Response]:
    failed = error(503, "UNAVAILABLE", "The service is currently unavailable.")
    return failed.code, failed.response
