"""What an answer of the public APIs means: items, none, a refusal and what to do about it, or an unreadable body.

Result codes and shapes are those that all services of data.go.kr share, and Kakao Local's. Pure.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

Item = dict[str, str]


class Reaction(Enum):
    """What to do about a refusal."""

    RETRY = "try again with growing pauses"
    NEXT_DAY = "wait for the next Korean day"
    OPERATOR = "stop: somebody has to do something about the key"
    CONFIGURATION = "stop: the call itself is wrong"
    NOT_YET = "leave it: there is no data for today yet"


@dataclass(frozen=True)
class _Code:
    name: str
    reaction: Reaction
    remedy: str = ""


_KEY = "check DATA_GO_KR_SERVICE_KEY"
_CALL = "compare pollers.operations in conf/citystream.yaml with the service's page on data.go.kr"
_CODES = {
    "01": _Code("APPLICATION_ERROR", Reaction.RETRY),
    "02": _Code("DB_ERROR", Reaction.RETRY),
    "04": _Code("HTTP_ERROR", Reaction.RETRY),
    "05": _Code("SERVICETIMEOUT_ERROR", Reaction.RETRY),
    "10": _Code("INVALID_REQUEST_PARAMETER_ERROR", Reaction.CONFIGURATION, _CALL),
    "11": _Code("NO_MANDATORY_REQUEST_PARAMETERS_ERROR", Reaction.CONFIGURATION, _CALL),
    "12": _Code("NO_OPENAPI_SERVICE_ERROR", Reaction.CONFIGURATION, f"the operation has moved or is retired: {_CALL}"),
    "20": _Code("SERVICE_ACCESS_DENIED_ERROR", Reaction.OPERATOR, "apply for this service on data.go.kr with this key"),
    "21": _Code("TEMPORARILY_DISABLE_THE_SERVICEKEY_ERROR", Reaction.OPERATOR, "the key is locked: ask data.go.kr"),
    "22": _Code("LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR", Reaction.NEXT_DAY),
    "23": _Code("calls per second exceeded", Reaction.RETRY),
    "30": _Code("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", Reaction.OPERATOR, f"{_KEY}, and that it was approved"),
    "31": _Code("DEADLINE_HAS_EXPIRED_ERROR", Reaction.OPERATOR, "extend the key's period on data.go.kr"),
    "32": _Code("UNREGISTERED_IP_ERROR", Reaction.OPERATOR, "register this machine's address on data.go.kr"),
    "33": _Code("UNSIGNED_CALL_ERROR", Reaction.OPERATOR, _KEY),
    "99": _Code("UNKNOWN_ERROR", Reaction.RETRY),
}
_NO_DATA = "03"
# The weather service's words for "only up to the day before".
_DAY_BEFORE = "전날"

_KAKAO_KEY = "check KAKAO_REST_KEY, and that Kakao Map is on for the app it belongs to"
_KAKAO_RETRY = {-1, -7, -603, -9798}
_KAKAO_NEXT_DAY = {-10, -11}
_KAKAO_OPERATOR = {-3, -4, -5, -6, -8, -12, -401}


class RefusedError(Exception):
    """A service or its gateway answered with an error.

    Attributes:
        code: Its code, or the HTTP status.
        reaction: What to do about it.
        remedy: What somebody has to do, where it is somebody's turn.
    """

    def __init__(self, code: str, text: str, reaction: Reaction, remedy: str = "") -> None:
        super().__init__(f"{code} {text}".strip())
        self.code = code
        self.reaction = reaction
        self.remedy = remedy


class UnreadableError(Exception):
    """A body that is no answer: broken, a bomb, a page of HTML, or about something else than what was asked."""


@dataclass(frozen=True)
class Answer:
    """Items, all values as text, and how many there are over all pages."""

    items: Sequence[Item]
    total: int


def read(status: int, body: bytes) -> Answer:
    """Read an answer of data.go.kr, in XML or JSON, whichever came.

    Raises:
        RefusedError: an error, in any of the forms that are known.
        UnreadableError: no answer at all, though the status says that all is well.
    """
    try:
        return _envelope(body)
    except UnreadableError:
        if refusal := _plain_refusal(status, body):
            raise refusal from None
        raise


def _envelope(body: bytes) -> Answer:
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        return _from_xml(body)
    if start == b"{":
        return _from_json(body)
    msg = f"neither XML nor JSON: {body[:60]!r}"
    raise UnreadableError(msg)


def _from_xml(body: bytes) -> Answer:
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        msg = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnreadableError(msg) from None
    if (header := root.find("cmmMsgHeader")) is not None:
        raise _refusal(header.findtext("returnReasonCode"), header.findtext("returnAuthMsg"))
    code, message = root.findtext("header/resultCode"), root.findtext("header/resultMsg")
    found = root.find("body")
    if code is None:
        msg = f"no result code under <{root.tag}>"
        raise UnreadableError(msg)
    if not _is_fine(code, message):
        return Answer((), 0)
    if found is None:
        msg = "no body"
        raise UnreadableError(msg)
    items = [{part.tag: (part.text or "").strip() for part in item} for item in found.iter("item")]
    return Answer(items, _total(found.findtext("totalCount"), len(items)))


def _from_json(body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"no JSON: {error}"
        raise UnreadableError(msg) from None
    try:
        gateway = document.get("OpenAPI_ServiceResponse") or document
        if isinstance(header := gateway.get("cmmMsgHeader"), dict):
            raise _refusal(str(header.get("returnReasonCode")), str(header.get("returnAuthMsg")))
        header = document["response"]["header"]
        code, message = str(header["resultCode"]), str(header.get("resultMsg"))
        if not _is_fine(code, message):
            return Answer((), 0)
        found = document["response"]["body"]
        listed = found.get("items", found.get("item")) or []
        if isinstance(listed, dict) and "item" in listed:
            listed = listed["item"]
        items = [_text_of(item) for item in (listed if isinstance(listed, list) else [listed])]
        return Answer(items, _total(found.get("totalCount"), len(items)))
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"not the shape of an answer: {type(error).__name__} {error}"
        raise UnreadableError(msg) from None


def _text_of(item: dict[str, Any]) -> Item:
    return {name: "" if value is None else str(value) for name, value in item.items()}


def _total(text: object, default: int) -> int:
    try:
        return int(str(text))
    except ValueError:
        return default


def _is_fine(code: str, message: str | None) -> bool:
    """True: there are items; False: there are none to be had.

    Raises:
        RefusedError: the code is an error.
    """
    if code and set(code) == {"0"}:
        return True
    if code.zfill(2) == _NO_DATA:
        return False
    raise _refusal(code, message)


def _refusal(code: str | None, message: str | None) -> RefusedError:
    code = (code or "?").strip().zfill(2)
    known = _CODES.get(code, _Code("", Reaction.RETRY))
    text = message or known.name
    if code == "99" and _DAY_BEFORE in text:
        return RefusedError(code, text, Reaction.NOT_YET)
    return RefusedError(code, text, known.reaction, known.remedy)


def _plain_refusal(status: int, body: bytes) -> RefusedError | None:
    """A refusal without an envelope: plain words, or only the HTTP status. A page with status 200 is none."""
    words = body[:200].decode(errors="replace").strip().lower()
    if not words.startswith("<"):
        if "limit exceeded" in words or "quota exceeded" in words:
            return RefusedError(str(status), words, Reaction.NEXT_DAY)
        if words.startswith(("unauthorized", "forbidden")):
            return RefusedError(str(status), words, Reaction.OPERATOR, _KEY)
    if status == 200:
        return None
    if status in (401, 403):
        return RefusedError(f"HTTP {status}", "", Reaction.OPERATOR, f"{_KEY}, and that it was approved")
    if status == 429 or status == 408 or status >= 500:
        return RefusedError(f"HTTP {status}", "", Reaction.RETRY)
    return RefusedError(f"HTTP {status}", "", Reaction.CONFIGURATION, _CALL)


def read_address(status: int, body: bytes) -> tuple[float, float] | None:
    """Read Kakao Local's answer to an address: (lat, lon) in WGS84 degrees, or None when it is not known.

    Raises:
        RefusedError: an error.
        UnreadableError: no answer at all.
    """
    try:
        document = json.loads(body)
        code = int(document.get("code", 0))
        if status == 200 and not code:
            documents = document["documents"]
            return (float(documents[0]["y"]), float(documents[0]["x"])) if documents else None
    except (ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if status == 200:
            msg = f"not the shape of an answer: {type(error).__name__} {error}"
            raise UnreadableError(msg) from None
        document, code = {}, 0
    text = str(document.get("msg") or document.get("message") or "")
    shown = str(code) if code else f"HTTP {status}"
    if code in _KAKAO_NEXT_DAY or status == 429:
        raise RefusedError(shown, text, Reaction.NEXT_DAY)
    if code in _KAKAO_OPERATOR or status in (401, 403):
        raise RefusedError(shown, text, Reaction.OPERATOR, _KAKAO_KEY)
    if code in _KAKAO_RETRY or status >= 500:
        raise RefusedError(shown, text, Reaction.RETRY)
    raise RefusedError(shown, text, Reaction.CONFIGURATION, "compare pollers.operations.address with Kakao's documents")
