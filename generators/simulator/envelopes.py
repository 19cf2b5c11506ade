"""The shapes of the real services' answers: provider envelopes in XML and JSON, and the gateway's errors.

data.go.kr's gateway answers its own errors as XML with HTTP 200, whatever format was asked for.
"""

import json
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

NAMES = {
    "00": "NORMAL SERVICE.",
    "03": "NODATA_ERROR",
    "04": "HTTP_ERROR",
    "05": "SERVICETIMEOUT_ERROR",
    "10": "INVALID_REQUEST_PARAMETER_ERROR",
    "11": "NO_MANDATORY_REQUEST_PARAMETERS_ERROR",
    "12": "NO_OPENAPI_SERVICE_ERROR",
    "22": "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR",
    "23": "LIMITED_NUMBER_OF_SERVICE_REQUESTS_PER_SECOND_EXCEEDS_ERROR",
    "30": "SERVICE_KEY_IS_NOT_REGISTERED_ERROR",
    "99": "UNKNOWN_ERROR",
}
# The weather services' words.
NORMAL_SERVICE, NO_DATA = "NORMAL_SERVICE", "NO_DATA"
NOT_BEFORE_TOMORROW = "전날 자료까지 제공됩니다."

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 16) for n in range(8))
    + b"]><response><header><resultCode>00</resultCode></header>"
    + b"<body><item><helect>&i;</helect></item></body></response>"
)
HTML = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
    "<p>서비스 점검 중입니다.<br>잠시 후 다시 시도해 주십시오.</center></body></html>"
).encode()

Item = Mapping[str, str]


def gateway_error(code: str) -> bytes:
    """An error that the gateway answers before any service is reached."""
    return (
        f"<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg><returnAuthMsg>{NAMES[code]}"
        f"</returnAuthMsg><returnReasonCode>{code}</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"
    ).encode()


def _xml(value: object) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(part)}</{name}>" for name, part in value.items())
    return escape(str(value))


def _response(code: str, message: str, body: Mapping[str, object], *, as_json: bool) -> bytes:
    header = {"resultCode": code, "resultMsg": message}
    if as_json:
        return json.dumps({"response": {"header": header, "body": body}}, ensure_ascii=False).encode()
    return f"{_DECLARATION}<response>{_xml({'header': header})}<body>{_xml(body)}</body></response>".encode()


def error(code: str, *, as_json: bool, message: str | None = None) -> bytes:
    """A service's own error, in the normal header."""
    return _response(code, message or NAMES[code], {}, as_json=as_json)


def single(item: Item, *, as_json: bool) -> bytes:
    """One item directly under the body, as the energy service answers; `item` is all there is."""
    return _response("00", NAMES["00"], {"item": dict(item)}, as_json=as_json)


def page(
    items: Sequence[Mapping[str, object]],
    number: int,
    rows: int,
    total: int,
    *,
    as_json: bool,
    bare: bool,
    message: str = NAMES["00"],
) -> bytes:
    """One page of items.

    Args:
        items: The page's items.
        number: The page, from 1.
        rows: How many rows a page has.
        total: How many items there are over all pages.
        as_json: JSON, otherwise XML.
        bare: In JSON, whether `items` is the array itself, as K-apt's newer services write it, or holds `item`.
        message: The header's message.
    """
    about = {"pageNo": number, "numOfRows": rows, "totalCount": total}
    if as_json:
        listed: object = list(items) if bare else {"item": list(items)}
        kind = {} if bare else {"dataType": "JSON"}
        return _response("00", message, {**kind, "items": listed, **about}, as_json=True)
    rendered = "".join(f"<item>{_xml(item)}</item>" for item in items)
    kind_xml = "" if bare else "<dataType>XML</dataType>"
    header = _xml({"header": {"resultCode": "00", "resultMsg": message}})
    return (
        f"{_DECLARATION}<response>{header}<body>{kind_xml}<items>{rendered}</items>{_xml(about)}</body></response>"
    ).encode()


def metered(items: Sequence[Item], number: int, rows: int, total: int, *, as_json: bool, outside: bool) -> bytes:
    """One page of the building energy service: in JSON nothing is `""`, and one item no list.

    Args:
        items: The page's items.
        number: The page, from 1.
        rows: How many rows a page has.
        total: How many items there are over all pages.
        as_json: JSON, otherwise XML.
        outside: Whether the three figures stand behind the body, as in the documented sample of gas.
    """
    about = {"numOfRows": rows, "pageNo": number, "totalCount": total}
    header = {"resultCode": "00", "resultMsg": "NORMAL SERVICE"}
    if as_json:
        listed = [dict(item) for item in items]
        body: dict[str, object] = {"items": {"item": listed[0] if len(listed) == 1 else listed} if listed else ""}
        response = {"header": header, "body": body, **about} if outside else {"header": header, "body": body | about}
        return json.dumps({"response": response}, ensure_ascii=False).encode()
    rendered = "".join(f"<item>{_xml(item)}</item>" for item in items)
    inside, behind = ("", _xml(about)) if outside else (_xml(about), "")
    return (
        f"{_DECLARATION}<response>{_xml({'header': header})}<body><items>{rendered}</items>{inside}</body>{behind}"
        "</response>"
    ).encode()
