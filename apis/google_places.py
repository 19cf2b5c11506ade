"""Places by Google's Places API (New), `searchNearby`: 20 at most per call, the nearest ones, and no pages.

Its terms (SST 14) allow an id to be kept for good and a position for 30 days, but no name, rating or address: none of
them is asked for.
"""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Api, Call, Endpoint, Names, access, needed
from apis.places import EAT_METRES, KINDS, OPERATION, SLEEP_METRES, Found, Provider, Spot, spot
from apis.quota import Quota
from conf.settings import Settings

NAMES = Names("GOOGLE_PLACES_URL", "GOOGLE_PLACES_KEY", "https://places.googleapis.com")
ATTRIBUTION = "Google Maps"
PATH = "/v1/places:searchNearby"
MOST = 20
# The fields of the Pro tier; names and ratings would be dearer, and may not be kept.
MASK = "places.id,places.location,places.types"
_KEY = "check GOOGLE_PLACES_KEY, and that Places API (New) is enabled for its project"
_CALL = "compare apis/google_places.py with Google's documents"


def provider(settings: Settings) -> Provider:
    """Google, or the simulator where no address is set.

    Raises:
        ApiError: there is a key of somebody's own and no address of Google, or the address and no key.
    """
    chosen, simulator = settings.events.places, settings.simulator
    found = needed(
        access(
            NAMES,
            url=settings.pollers.google_places_url,
            key=settings.pollers.google_places_key,
            simulator=simulator.url,
            simulator_keys=simulator.events.places_keys,
        ),
        NAMES,
        "set it, or another events.places.provider",
    )
    api = Api(
        name="google places",
        access=found,
        read=read,
        zone=UTC,
        rate_per_second=chosen.rate_per_second,
        headers={"X-Goog-Api-Key": found.key, "X-Goog-FieldMask": MASK, "Content-Type": "application/json"},
    )
    endpoint = Endpoint(api, OPERATION, PATH, Quota(chosen.daily_quota), method="POST")
    return Provider("google", ATTRIBUTION, endpoint, calls)


def calls(endpoint: Endpoint[Found], lat: float, lon: float) -> Sequence[Call[Found]]:
    """A call for each distance; more kinds in one would push each other out of its 20."""
    return [
        Call(
            endpoint,
            f"{lat},{lon}|{','.join(kinds)}",
            json={
                "includedTypes": list(kinds),
                "maxResultCount": MOST,
                "rankPreference": "DISTANCE",
                "locationRestriction": {
                    "circle": {"center": {"latitude": lat, "longitude": lon}, "radius": float(metres)}
                },
            },
        )
        for kinds, metres in ((("restaurant", "cafe"), EAT_METRES), (("hotel",), SLEEP_METRES))
    ]


def read(response: Response) -> Found:
    """Read an answer; without a hit it is an empty object.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    try:
        document = json.loads(response.body)
        if response.status == 200 and "error" not in document:
            return tuple(found for each in document["places"] if (found := _spot(each))) if document != {} else ()
        said = document.get("error", {})
        kind, text = str(said.get("status", "")), str(said.get("message", ""))
        reasons = {str(each.get("reason", "")) for each in said.get("details", [])}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        if response.status == 200:
            msg = f"not the shape of an answer: {type(error).__name__} {error}"
            raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None
        kind, text, reasons = "", "", set()
    if "API_KEY_INVALID" in reasons:
        raise RefusedError(kind, text, Reaction.OPERATOR, _KEY)
    if kind == "RESOURCE_EXHAUSTED" and "per day" in text:
        raise RefusedError(kind, text, Reaction.SPENT)
    told = by_status(response, key=_KEY, call=_CALL)
    if told is None:
        raise RefusedError(kind, text, Reaction.CONFIGURATION, _CALL)
    raise RefusedError(kind or told.code, text, told.reaction, told.remedy)


def _spot(place: dict[str, Any]) -> Spot | None:
    kind = next((each for each in KINDS if each in place["types"]), None)
    at = place["location"]
    return spot(place["id"], kind, None, at["latitude"], at["longitude"]) if kind else None
