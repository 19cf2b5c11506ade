"""What an answer of Kakao Local means. Errors come as `code` and `msg`, or as `errorType` and `message`."""

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from apis import calendar
from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Api, Names, access
from conf.settings import Settings

Position = tuple[float, float]
T = TypeVar("T")

NAMES = Names("KAKAO_URL", "KAKAO_REST_KEY", "https://dapi.kakao.com")
_KEY = "check KAKAO_REST_KEY, and that Kakao Map is on for the app it belongs to"
_CALL = "compare pollers.operations.address with Kakao's documents"
_RETRY = {-1, -7, -603, -9798}
_SPENT = {-10, -11}
_OPERATOR = {-3, -4, -5, -6, -8, -12, -401}


def api(settings: Settings) -> Api[Position | None] | None:
    """Positions of addresses, by Kakao Local or the simulator; None: there is no key, so none are looked up.

    Raises:
        ApiError: there is a key of somebody's own and no address of Kakao.
    """
    return _api(settings, read)


def addresses(settings: Settings) -> Api[str | None] | None:
    """Addresses of positions; otherwise as `api`."""
    return _api(settings, read_address)


def _api(settings: Settings, reader: Callable[[Response], T]) -> Api[T] | None:
    chosen, simulator = settings.pollers, settings.simulator
    if chosen.data_go_kr_url and not chosen.kakao_url and not chosen.kakao_key:
        return None
    found = access(
        NAMES,
        url=chosen.kakao_url,
        key=chosen.kakao_key,
        simulator=simulator.url,
        simulator_keys=simulator.kakao_keys,
    )
    if found is None:
        return None
    return Api(
        name="kakao",
        access=found,
        read=reader,
        zone=calendar.KOREA,
        rate_per_second=chosen.rate_per_second,
        headers={"Authorization": f"KakaoAK {found.key}"},
    )


def read(response: Response) -> Position | None:
    """Read an answer to an address: (lat, lon) in WGS84 degrees, or None when it is not known.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    return _first(response, _position)


def read_address(response: Response) -> str | None:
    """Read an answer to a position: its address, by street where there is one, or None when there is none.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    return _first(response, _address)


def _first(response: Response, of: Callable[[dict[str, object]], T]) -> T | None:
    try:
        document = json.loads(response.body)
        code = int(document.get("code", 0))
        if response.status == 200 and not code:
            documents = document["documents"]
            return of(documents[0]) if documents else None
    except (ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if response.status == 200:
            msg = f"not the shape of an answer: {type(error).__name__} {error}"
            raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None
        document, code = {}, 0
    raise _refusal(response, code, str(document.get("msg") or document.get("message") or ""))


def _address(document: dict[str, Any]) -> str:
    # `road_address` is null where there is no street; `address` is always there.
    name = (document["road_address"] or document["address"])["address_name"]
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        msg = f"no address: {name!r}"
        raise ValueError(msg)
    return name.strip()


def _position(document: dict[str, object]) -> Position:
    lat, lon = float(str(document["y"])), float(str(document["x"]))
    if not (math.isfinite(lat) and math.isfinite(lon)):
        msg = f"no position: {document['y']!r}, {document['x']!r}"
        raise ValueError(msg)
    return lat, lon


def _refusal(response: Response, code: int, text: str) -> RefusedError:
    if code in _SPENT:
        return RefusedError(str(code), text, Reaction.SPENT)
    if code in _OPERATOR:
        return RefusedError(str(code), text, Reaction.OPERATOR, _KEY)
    if code in _RETRY:
        return RefusedError(str(code), text, Reaction.RETRY)
    told = by_status(response, key=_KEY, call=_CALL)
    if told is None or code:
        return RefusedError(str(code), text, told.reaction if told else Reaction.CONFIGURATION, _CALL)
    return RefusedError(told.code, text, told.reaction, told.remedy)
