"""What an answer of PredictHQ's events API means: a page of events, or `{"error": "..."}`."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any, NamedTuple

from pydantic import SecretStr

from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Api, ApiError, Names, access
from conf.settings import Settings

NAMES = Names("PREDICTHQ_URL", "PREDICTHQ_TOKENS", "https://api.predicthq.com")
_KEY = "check PREDICTHQ_TOKENS"
_EXPIRED = "renew the subscription that the token of PREDICTHQ_TOKENS belongs to"
_CALL = "compare pollers.events with PredictHQ's documents"


class Page(NamedTuple):
    """Events as they came; how many there are in all; whether the plan caps them; whether another page follows."""

    events: tuple[dict[str, Any], ...]
    total: int
    overflow: bool
    has_next: bool


def apis(settings: Settings) -> Sequence[Api[Page]]:
    """PredictHQ, or the simulator, once per key.

    Raises:
        ApiError: there is a key of somebody's own and no address of PredictHQ, or the address and no key.
    """
    chosen, simulator = settings.pollers, settings.simulator
    secret = chosen.predicthq_tokens.get_secret_value() if chosen.predicthq_tokens else ""
    keys = [key.strip() for key in secret.split(",") if key.strip()]
    if not keys and not chosen.predicthq_url:
        keys = list(simulator.events.tokens)
    found = [
        access(
            NAMES,
            url=chosen.predicthq_url,
            key=SecretStr(key),
            simulator=simulator.url,
            simulator_keys=(*simulator.events.tokens, *simulator.events.expired_tokens),
        )
        for key in keys
    ]
    if not found:
        msg = f"{NAMES.url_variable} is set, but not {NAMES.key_variable}: set it; several have commas between them"
        raise ApiError(msg)
    return [
        Api(
            name=f"predicthq {one.holder}",
            access=one,
            read=read,
            zone=UTC,
            rate_per_second=chosen.events.rate_per_second,
            headers={"Authorization": f"Bearer {one.key}", "Accept": "application/json"},
        )
        for one in found
        if one is not None
    ]


def read(response: Response) -> Page:
    """Read a page.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    try:
        document = json.loads(response.body)
        said = str(document.get("error", ""))
        if response.status == 200 and not said:
            events, count = document["results"], document["count"]
            if isinstance(events, list) and all(isinstance(each, dict) for each in events) and isinstance(count, int):
                return Page(tuple(events), count, bool(document.get("overflow")), bool(document.get("next")))
            msg = "no list of events with their count"
            raise UnreadableError(Flaw.NOT_AN_ANSWER, msg)
    except (ValueError, RecursionError, KeyError, AttributeError) as error:
        if response.status == 200:
            msg = f"not the shape of an answer: {type(error).__name__} {error}"
            raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None
        said = ""
    code = f"HTTP {response.status}"
    if response.status == 402:
        raise RefusedError(code, said, Reaction.OPERATOR, _EXPIRED)
    told = by_status(response, key=_KEY, call=_CALL)
    if told is None:
        raise RefusedError(code, said, Reaction.CONFIGURATION, _CALL)
    raise RefusedError(code, said, told.reaction, told.remedy)
