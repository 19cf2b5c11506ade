"""Flights by Duffel v2: the non-stop offers of a day from one airport to another, for one adult."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Api, Call, Endpoint, Names, access, needed
from apis.quota import Quota
from conf.settings import Settings

NAMES = Names("DUFFEL_URL", "DUFFEL_TOKEN", "https://api.duffel.com")
OPERATION = "flights"
PATH = "/air/offer_requests"
# How long Duffel waits for airlines; a call has to last longer.
SUPPLIER_MS = 20_000
_KEY = "check DUFFEL_TOKEN"
_CALL = "compare apis/duffel.py with Duffel's documents"
_AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,4})?")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
_FLIGHT = re.compile(r"[A-Z0-9]{2}[0-9]{1,4}[A-Z]?")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Offer(NamedTuple):
    """A flight and its lowest fare, digit for digit; times are those of the airports, as Duffel tells them."""

    flight: str
    departs_at: str
    arrives_at: str
    amount: str
    currency: str


Offers = tuple[Offer, ...]


def endpoint(settings: Settings) -> Endpoint[Offers]:
    """Duffel, or the simulator where no address is set.

    Raises:
        ApiError: there is a token of somebody's own and no address of Duffel, or the address and no token.
    """
    chosen, simulator = settings.events.flights, settings.simulator
    found = needed(
        access(
            NAMES,
            url=settings.pollers.duffel_url,
            key=settings.pollers.duffel_token,
            simulator=simulator.url,
            simulator_keys=simulator.events.flights_tokens,
        ),
        NAMES,
        "set it, or events.flights.enabled: false",
    )
    api = Api(
        name="duffel",
        access=found,
        read=read,
        zone=UTC,
        rate_per_second=chosen.rate_per_second,
        parameters={"return_offers": "true", "supplier_timeout": str(SUPPLIER_MS)},
        headers={"Authorization": f"Bearer {found.key}", "Duffel-Version": "v2", "Accept": "application/json"},
    )
    return Endpoint(api, OPERATION, PATH, Quota(chosen.daily_quota), method="POST")


def flights_of_day(at: Endpoint[Offers], origin: str, destination: str, day: str) -> Call[Offers]:
    """Ask for a day, such as `2026-11-26`."""
    asked = {
        "slices": [{"origin": origin, "destination": destination, "departure_date": day}],
        "passengers": [{"type": "adult"}],
        "cabin_class": "economy",
        "max_connections": 0,
    }
    return Call(at, f"{origin}|{destination}|{day}", json={"data": asked})


def read(response: Response) -> Offers:
    """Read an answer: of each non-stop flight the lowest fare.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    try:
        document = json.loads(response.body)
        if response.status in (200, 201) and "errors" not in document:
            found: dict[str, Offer] = {}
            for offer in map(_offer, document["data"]["offers"]):
                if offer and (offer.flight not in found or Decimal(offer.amount) < Decimal(found[offer.flight].amount)):
                    found[offer.flight] = offer
            return tuple(found.values())
        first = document["errors"][0]
        kind, code, text = (str(first.get(name, "")) for name in ("type", "code", "message"))
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        if response.status in (200, 201):
            msg = f"not the shape of an answer: {type(error).__name__} {error}"
            raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None
        kind = code = text = ""
    # Also with 502 or 504, or 422 where the airlines' answer was of no use.
    if kind == "airline_error":
        raise RefusedError(code, text, Reaction.RETRY)
    # It serves no such airport, or the day is over there: that journey is refused, and no other.
    if kind == "validation_error":
        raise RefusedError(code, text, Reaction.NOT_YET)
    told = by_status(response, key=_KEY, call=_CALL)
    if told is None:
        raise RefusedError(code, text, Reaction.CONFIGURATION, _CALL)
    raise RefusedError(code or told.code, text, told.reaction, told.remedy)


def _offer(offer: dict[str, Any]) -> Offer | None:
    """None: it is none of one non-stop flight."""
    (leg,) = offer["slices"]
    if len(leg["segments"]) != 1 or leg["segments"][0].get("stops"):
        return None
    (segment,) = leg["segments"]
    found = Offer(
        f"{segment['marketing_carrier']['iata_code']}{segment['marketing_carrier_flight_number']}",
        str(segment["departing_at"]),
        str(segment["arriving_at"]),
        str(offer["total_amount"]),
        str(offer["total_currency"]),
    )
    for told, form in zip(found, (_FLIGHT, _LOCAL, _LOCAL, _AMOUNT, _CURRENCY), strict=True):
        if not form.fullmatch(told):
            msg = f"no offer: {told[:40]!r}"
            raise ValueError(msg)
    for moment in (found.departs_at, found.arrives_at):
        datetime.fromisoformat(moment)
    return found
