"""Places by Overpass: OpenStreetMap's data, which may be kept and shown with its attribution (ODbL). There is no key.

Errors are pages of HTML; a query that ran out of time is answered with status 200 and a `remark`.
"""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Access, Api, Call, Endpoint
from apis.places import EAT_METRES, KINDS, OPERATION, SLEEP_METRES, Found, Provider, Spot, spot
from apis.quota import Quota
from conf.settings import Settings

ATTRIBUTION = "© OpenStreetMap contributors, ODbL"
PATH = "/api/interpreter"
_CALL = "compare the query of apis/overpass.py with Overpass' documents"
_SECONDS = 25


def provider(settings: Settings) -> Provider:
    """Overpass, or the simulator where no address is set."""
    chosen = settings.events.places
    api = Api(
        name="overpass",
        access=Access((settings.pollers.overpass_url or settings.simulator.url).rstrip("/"), "anyone"),
        read=read,
        zone=UTC,
        rate_per_second=chosen.rate_per_second,
        headers={"Accept": "application/json", "User-Agent": "citystream"},
    )
    return Provider("overpass", ATTRIBUTION, Endpoint(api, OPERATION, PATH, Quota(chosen.daily_quota)), calls)


def calls(endpoint: Endpoint[Found], lat: float, lon: float) -> Sequence[Call[Found]]:
    """One query for all kinds."""
    query = (
        f"[out:json][timeout:{_SECONDS}];("
        f'nwr["amenity"~"^(restaurant|cafe)$"](around:{EAT_METRES},{lat},{lon});'
        f'nwr["tourism"="hotel"](around:{SLEEP_METRES},{lat},{lon});'
        ");out center tags;"
    )
    return [Call(endpoint, f"{lat},{lon}", {"data": query})]


def read(response: Response) -> Found:
    """Read an answer; an element without a position is left out.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    told = by_status(response, key=_CALL, call=_CALL)
    if told:
        raise told
    try:
        document = json.loads(response.body)
        if remark := document.get("remark"):
            code = "remark"
            raise RefusedError(code, str(remark), Reaction.RETRY)
        return tuple(found for each in document["elements"] if (found := _spot(each)))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        msg = f"not the shape of an answer: {type(error).__name__} {error}"
        raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None


def _spot(element: dict[str, Any]) -> Spot | None:
    tags, at = element.get("tags", {}), element.get("center", element)
    # A hotel may be tagged as something else besides, such as a bar.
    kind = next((each for each in KINDS if each in (tags.get("amenity"), tags.get("tourism"))), None)
    if kind is None or "lat" not in at or "lon" not in at:
        return None
    return spot(f"{element['type']}/{int(element['id'])}", kind, tags.get("name"), at["lat"], at["lon"])
