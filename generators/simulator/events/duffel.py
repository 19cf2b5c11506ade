"""Duffel v2, offer requests: amounts as strings, local times without an offset, 60 calls a minute."""

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from random import Random
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import airportsdata
from fastapi import FastAPI, Header, Request, Response

from conf.airports import distance_km
from generators.simulator.gateway import Body, Outcome, Provider, Refusal, Simulation

VERSION = "v2"
# Of the documents: a route on which nobody offers anything.
NO_OFFERS = ("PVD", "RAI")
_CRUISE_KM_PER_HOUR = 780
_LONGEST_NON_STOP_KM = 15_500
_REFUSALS: dict[Refusal, tuple[int, str, str, str]] = {
    "key": (401, "authentication_error", "access_token_not_found", "The access token does not exist"),
    "rate": (429, "rate_limit_error", "rate_limit_exceeded", "Too many requests hit the API too quickly"),
    "quota": (429, "rate_limit_error", "rate_limit_exceeded", "Too many requests hit the API too quickly"),
}


def add(app: FastAPI, simulation: Simulation) -> None:
    """Add the service to the application."""
    chosen = simulation.chosen.events
    provider = Provider(
        chosen.flights_tokens,
        is_rated=False,
        refuse=lambda refusal: _refuse(refusal, chosen.flights_per_minute),
        fail=_fail,
        per_minute=chosen.flights_per_minute,
    )

    @app.post("/air/offer_requests")
    @app.post("/air/offer_requests/")
    async def offer_requests(
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        version: Annotated[str, Header(alias="Duffel-Version")] = "",
    ) -> Response:
        """Offers for a journey."""
        if authorization is None:
            code = "missing_authorization_header"
            return error(401, "authentication_error", code, "The 'Authorization' header is missing").response
        content = await request.body()
        key = authorization.removeprefix("Bearer ").strip()
        subject = content.decode("utf-8", "replace")
        return await simulation.answer(provider, "offers", key, subject, lambda: answered(simulation, content, version))


def answered(simulation: Simulation, content: bytes, version: str) -> Body:
    """The answer to an offer request of one slice."""
    if version != VERSION:
        return error(400, "invalid_request_error", "unsupported_version", "The version is not supported")
    try:
        data = json.loads(content)["data"]
        (leg,) = data["slices"]
        origin, destination = str(leg["origin"]), str(leg["destination"])
        day = date.fromisoformat(leg["departure_date"])
        passengers = len(data["passengers"])
    except (ValueError, KeyError, TypeError):
        return error(422, "validation_error", "validation_required", "Field 'slices' is not one journey")
    known = _airports()
    if origin not in known or destination not in known or origin == destination:
        return error(422, "validation_error", "invalid_iata_code", "An airport is not known")
    if day < simulation.today() or not passengers:
        return error(422, "validation_error", "departure_date_in_past", "Field 'departure_date' must be in the future")
    made = {"created_at": f"{simulation.today()}T00:00:00Z", "live_mode": False}
    found = {
        "id": f"orq_{_hash(content)}",
        **made,
        "cabin_class": data.get("cabin_class", "economy"),
        "slices": data["slices"],
        "passengers": [{"id": f"pas_{n}", "type": "adult"} for n in range(passengers)],
        "offers": [{**made, **offer} for offer in offers(simulation.chosen.seed, origin, destination, day, passengers)],
    }
    return Body(json.dumps({"data": found}).encode(), status=201)


def offers(seed: int, origin: str, destination: str, day: date, passengers: int = 1) -> list[dict[str, Any]]:
    """The non-stop flights of a day, as offers; none between towns too far apart, or where nobody flies."""
    draw = Random(f"{seed} flights {origin} {destination} {day}")
    start, end = _airports()[origin], _airports()[destination]
    km = distance_km((start["lat"], start["lon"]), (end["lat"], end["lon"]))
    if km > _LONGEST_NON_STOP_KM or (origin, destination) == NO_OFFERS:
        return []
    made = []
    for n in range(draw.randint(0, 4)):
        departs = datetime.combine(day, time(draw.randint(6, 22), draw.choice((0, 15, 30, 45))), ZoneInfo(start["tz"]))
        takes = timedelta(minutes=round(35 + km / _CRUISE_KM_PER_HOUR * 60))
        arrives = (departs.astimezone(UTC) + takes).astimezone(ZoneInfo(end["tz"]))
        amount = round((28 + km * draw.uniform(0.05, 0.14)) * passengers, 2)
        number = _hash(f"{seed} {origin} {destination} {day} {n}".encode())
        hours, minutes = divmod(int(takes.total_seconds()) // 60, 60)
        segment = {
            "id": f"seg_{number}",
            "departing_at": _local(departs),
            "arriving_at": _local(arrives),
            "duration": f"PT{hours}H{minutes}M",
            "origin": {"type": "airport", "iata_code": origin, "time_zone": start["tz"]},
            "destination": {"type": "airport", "iata_code": destination, "time_zone": end["tz"]},
            "marketing_carrier": {"iata_code": "ZZ", "name": "Duffel Airways"},
            "marketing_carrier_flight_number": f"{draw.randint(1, 9999):04}",
            "stops": [],
        }
        made.append(
            {
                "id": f"off_{number}",
                "total_amount": f"{amount:.2f}",
                "total_currency": "USD",
                "base_amount": f"{amount * 0.85:.2f}",
                "base_currency": "USD",
                "tax_amount": None,
                "tax_currency": None,
                "partial": False,
                "owner": {"iata_code": "ZZ", "name": "Duffel Airways"},
                "slices": [{"id": f"sli_{number}", "duration": f"PT{hours}H{minutes}M", "segments": [segment]}],
            }
        )
    return made


def _airports() -> dict[str, Any]:
    return _AIRPORTS


_AIRPORTS: dict[str, Any] = airportsdata.load("IATA")


def _local(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:22]


def error(status: int, kind: str, code: str, message: str) -> Body:
    """An error, as Duffel writes it."""
    about = {"type": kind, "code": code, "title": message, "message": message}
    listed = [{**about, "documentation_url": "https://duffel.com/docs/api/overview/errors"}]
    return Body(json.dumps({"errors": listed, "meta": {"status": status}}).encode(), code, status=status)


def _refuse(refusal: Refusal, most: int) -> tuple[str, Response]:
    refused = error(*_REFUSALS[refusal])
    response = refused.response
    if refusal != "key":
        now = datetime.now(UTC)
        ends = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        if refusal == "quota":
            ends = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        response.headers["ratelimit-limit"] = str(most)
        response.headers["ratelimit-remaining"] = "0"
        response.headers["ratelimit-reset"] = format_datetime(ends, usegmt=True)
    return refused.code, response


def _fail(outcome: Outcome, draw: Random, as_json: bool) -> tuple[str, Response]:
    failed = error(504 if outcome == "timeout" else 500, "api_error", "internal_server_error", "Something went wrong")
    return failed.code, failed.response
