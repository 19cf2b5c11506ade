"""What an answer of data.go.kr means: items, none, a refusal and what to do about it, or an unreadable body.

Result codes and shapes are those that all its services share, with what is known of single ones. Pollers read answers
here before they count as fetched, and jobs read the same bodies here again. Pure.
"""

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from apis import calendar
from apis.answers import Flaw, Reaction, RefusedError, Response, UnreadableError, by_status
from apis.endpoints import Api, Names, access, needed
from conf.settings import Settings

Item = dict[str, str]

NAMES = Names("DATA_GO_KR_URL", "DATA_GO_KR_SERVICE_KEY", "https://apis.data.go.kr")
NO_DATA = "03"


@dataclass(frozen=True)
class _Code:
    name: str
    reaction: Reaction
    remedy: str = ""


_KEY = "check DATA_GO_KR_SERVICE_KEY"
_APPROVED = f"{_KEY}, and that it was approved"
_APPLY = "apply for this service on data.go.kr with this key"
_CALL = "compare pollers.operations in conf/citystream.yaml with the service's page on data.go.kr"
_MOVED = f"the operation has moved or is retired: {_CALL}"
_CODES = {
    "01": _Code("APPLICATION_ERROR", Reaction.RETRY),
    "02": _Code("DB_ERROR", Reaction.RETRY),
    "04": _Code("HTTP_ERROR", Reaction.RETRY),
    "05": _Code("SERVICETIMEOUT_ERROR", Reaction.RETRY),
    "10": _Code("INVALID_REQUEST_PARAMETER_ERROR", Reaction.CONFIGURATION, _CALL),
    "11": _Code("NO_MANDATORY_REQUEST_PARAMETERS_ERROR", Reaction.CONFIGURATION, _CALL),
    "12": _Code("NO_OPENAPI_SERVICE_ERROR", Reaction.CONFIGURATION, _MOVED),
    "20": _Code("SERVICE_ACCESS_DENIED_ERROR", Reaction.OPERATOR, _APPLY),
    "21": _Code("TEMPORARILY_DISABLE_THE_SERVICEKEY_ERROR", Reaction.OPERATOR, "the key is locked: ask data.go.kr"),
    "22": _Code("LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR", Reaction.SPENT),
    "23": _Code("LIMITED_NUMBER_OF_SERVICE_REQUESTS_PER_SECOND_EXCEEDS_ERROR", Reaction.RETRY),
    "30": _Code("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", Reaction.OPERATOR, _APPROVED),
    "31": _Code("DEADLINE_HAS_EXPIRED_ERROR", Reaction.OPERATOR, "extend the key's period on data.go.kr"),
    "32": _Code("UNREGISTERED_IP_ERROR", Reaction.OPERATOR, "register this machine's address on data.go.kr"),
    "33": _Code("UNSIGNED_CALL_ERROR", Reaction.OPERATOR, _KEY),
    "99": _Code("UNKNOWN_ERROR", Reaction.RETRY),
}
# A code that tells no more than that something went wrong may come with the words of one that does.
_BY_WORDS = {known.name.removesuffix("_ERROR"): code for code, known in _CODES.items() if known.remedy or code == "22"}
_BY_WORDS["NODATA"] = NO_DATA
# The weather service's words for "only up to the day before".
_DAY_BEFORE = "전날"

# Refusals of the gateway in plain words, with or without a status of their own.
_PLAIN = (
    (re.compile(r"\brate limit exceeded"), Reaction.RETRY, ""),
    (re.compile(r"\b(quota|limit) exceeded"), Reaction.SPENT, ""),
    (re.compile(r"^unauthorized\b"), Reaction.OPERATOR, _APPROVED),
    (re.compile(r"^forbidden\b"), Reaction.OPERATOR, _APPLY),
    (re.compile(r"^api not found\b"), Reaction.CONFIGURATION, _MOVED),
    (re.compile(r"^error (forwarding request to|receiving response from) backend"), Reaction.RETRY, ""),
    (re.compile(r"^unexpected error"), Reaction.RETRY, ""),
)  # fmt: skip

# Atomic: a page of comments must not be tried in every partition.
_PROLOGUE = rb"\A(?:\xef\xbb\xbf)?(?>\s|<\?.*?\?>|<!--.*?-->)*+"
_HTML = re.compile(_PROLOGUE + rb"<(?:!doctype\s+)?html\b", re.IGNORECASE | re.DOTALL)
_ENCODING = re.compile(rb"""\A(?:\xef\xbb\xbf)?\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)["']""")
# What services write for the encoding that Windows calls 949; EUC-KR is part of it.
_KOREAN = {"euc-kr", "euckr", "euc_kr", "ks_c_5601-1987", "ksc5601", "cp949", "ms949", "windows-949"}
_WHOLE = re.compile(r"([+-]?)([0-9]{1,18}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.0*)?")


@dataclass(frozen=True)
class Answer:
    """What a service answered.

    Attributes:
        items: each a mapping of text, without blanks around it.
        total: how many there are over all pages.
        code: the result code: of what is fine, or `03` for no data.
        message: the service's words for it.
    """

    items: Sequence[Item]
    total: int
    code: str = "00"
    message: str = ""


def api(settings: Settings) -> Api[Answer]:
    """data.go.kr, or the simulator where no address is set.

    Raises:
        ApiError: the address and the key don't go together.
    """
    chosen, simulator = settings.pollers, settings.simulator
    found = needed(
        access(
            NAMES,
            url=chosen.data_go_kr_url,
            key=chosen.service_key,
            simulator=simulator.url,
            simulator_keys=simulator.service_keys,
        ),
        NAMES,
        "set it to the key of your account there",
    )
    return Api(
        name="data.go.kr",
        access=found,
        read=read,
        zone=calendar.KOREA,
        rate_per_second=chosen.rate_per_second,
        parameters={"serviceKey": found.key},
    )


def read(response: Response) -> Answer:
    """Read an answer, in XML or JSON, whichever came.

    Raises:
        RefusedError: an error, in any of the forms that are known.
        UnreadableError: no answer at all, though the status says that all is well.
    """
    try:
        return read_body(response.body)
    except UnreadableError:
        if refusal := _plain_refusal(response) or by_status(response, key=_APPROVED, call=_CALL):
            raise refusal from None
        raise


def read_body(body: bytes) -> Answer:
    """Read the body of an answer that was fetched, in XML or JSON.

    Raises:
        RefusedError: an error in one of the two envelopes.
        UnreadableError: no answer.
    """
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return _from_json(body)
    return _from_xml(body)


def whole(text: str) -> int | None:
    """A whole number, with or without thousands separators and a fraction of zeros; None: it is none."""
    if not (found := _WHOLE.fullmatch(text.strip())):
        return None
    return int(found[1] + found[2].replace(",", ""))


def _from_xml(body: bytes) -> Answer:
    root = _document(body)
    if root.tag == "OpenAPI_ServiceResponse" or root.find("cmmMsgHeader") is not None:
        header = root.find("cmmMsgHeader")
        texts = {part.tag: (part.text or "").strip() for part in (() if header is None else header.iterfind("{*}*"))}
        raise _gateway_refusal(texts)
    if root.tag != "response":
        msg = f"expected <response>, found <{root.tag[:100]}>"
        raise UnreadableError(Flaw.NOT_AN_ANSWER, msg)
    code = root.findtext("header/resultCode")
    if code is None:
        raise UnreadableError(Flaw.NOT_AN_ANSWER, "no header/resultCode")
    found = root.find("body")
    return _answer(
        code,
        root.findtext("header/resultMsg") or "",
        None if found is None else [*found.findall("item"), *found.findall("items/item")],
        # The sample of gas use by lot has it behind the body.
        "" if found is None else found.findtext("totalCount") or root.findtext("totalCount"),
    )


def _document(body: bytes) -> Element:
    if not body.strip():
        raise UnreadableError(Flaw.EMPTY, "an empty body")
    if _HTML.match(body):
        raise UnreadableError(Flaw.HTML_PAGE, body[:200].decode("utf-8", "replace"))
    declared = _ENCODING.match(body)
    # Comments stay, so that a number with one inside is not read as if it were whole.
    parser = DefusedXMLParser(target=TreeBuilder(insert_comments=True, insert_pis=True), forbid_dtd=True)
    try:
        korean = declared is not None and declared[1].decode().lower() in _KOREAN
        # The parser reads no encoding of several bytes a letter but Unicode's; of a text it reads none.
        parser.feed(codecs.decode(body, "cp949") if korean else body)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise UnreadableError(Flaw.FORBIDDEN_XML, str(error)) from None
    except (ParseError, ValueError, LookupError) as error:  # the latter two: encodings that can't be read
        raise UnreadableError(Flaw.NOT_XML, f"{error}: {body[:60]!r}") from None
    return root


def _from_json(body: bytes) -> Answer:
    try:
        # Numbers stay as they were written.
        document = json.loads(
            body, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableError(Flaw.NOT_JSON, f"no JSON: {error}") from None
    try:
        gateway = document.get("OpenAPI_ServiceResponse") or document
        if isinstance(header := gateway.get("cmmMsgHeader"), dict):
            raise _gateway_refusal({name: _text(name, value) for name, value in header.items()})
        header, found = document["response"]["header"], document["response"].get("body")
        listed = None
        if found is not None:
            listed = found.get("items", found.get("item")) or []
            if isinstance(listed, dict) and "item" in listed:
                listed = listed["item"] or []
            listed = listed if isinstance(listed, list) else [listed]
        total = (found or {}).get("totalCount", document["response"].get("totalCount"))
        return _answer(_text("resultCode", header["resultCode"]), str(header.get("resultMsg") or ""), listed, total)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"not the shape of an answer: {type(error).__name__} {error}"
        raise UnreadableError(Flaw.NOT_AN_ANSWER, msg) from None


def _answer(code: str, message: str, listed: Iterable[Any] | None, total: object) -> Answer:
    """The answer, where the code is none of an error; items are elements or mappings.

    Raises:
        RefusedError: the code is an error.
        UnreadableError: there is no body, or an item that is none.
    """
    code = _known(code, message)
    if code == NO_DATA:
        return Answer((), 0, code, message)
    if code != "00":
        raise _refusal(code, message)
    if listed is None:
        raise UnreadableError(Flaw.MISSING_FIELD, "body")
    items = [_item(each) for each in listed]
    count = whole(str(total or ""))
    return Answer(items, len(items) if count is None else count, code, message)


def _item(found: Any) -> Item:  # noqa: ANN401 - an element, or whatever JSON holds
    """An item's fields; one that holds markup, or is there twice, is nothing to guess about."""
    if isinstance(found, Element):
        item: Item = {}
        for part in found.iterfind("{*}*"):
            if len(part):
                raise UnreadableError(Flaw.WRONG_TYPE, f"{part.tag}: expected text, found markup")
            if part.tag in item:
                raise UnreadableError(Flaw.DUPLICATE_FIELD, f"{part.tag} is there more than once")
            item[part.tag] = (part.text or "").strip()
        return item
    return {name: _text(name, value) for name, value in found.items()}


def _text(name: str, value: object) -> str:
    if isinstance(value, dict | list):
        raise UnreadableError(Flaw.WRONG_TYPE, f"{name}: expected a value, found {type(value).__name__}")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise UnreadableError(Flaw.DUPLICATE_FIELD, f"{repeated} is there more than once")
    return found


def _known(code: str, message: str) -> str:
    """The code in its usual form: two digits, and where it tells nothing, the one that the words tell of."""
    code = code.strip()
    if code.isascii() and code.isdigit():
        code = (code.lstrip("0") or "0").zfill(2)
    known = _CODES.get(code)
    if code not in ("00", NO_DATA) and (known is None or known.reaction is Reaction.RETRY):
        words = re.sub(r"[^A-Z]+", "_", message.upper())
        return next((other for name, other in _BY_WORDS.items() if name in words), code)
    return code


def _refusal(code: str, message: str) -> RefusedError:
    known = _CODES.get(code, _Code("", Reaction.RETRY))
    text = message or known.name
    if known.reaction is Reaction.RETRY and _DAY_BEFORE in text:
        return RefusedError(code, text, Reaction.NOT_YET)
    return RefusedError(code or "?", text, known.reaction, known.remedy)


def _gateway_refusal(texts: dict[str, str]) -> RefusedError:
    told = " ".join(filter(None, (texts.get(name) for name in ("returnAuthMsg", "errMsg"))))
    return _refusal(_known(texts.get("returnReasonCode", ""), told), told)


def _plain_refusal(response: Response) -> RefusedError | None:
    """A refusal in plain words, bare or as the message of a JSON object."""
    words = response.body[:2_000].decode(errors="replace").strip()
    if words.startswith("{"):
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            return None
        words = str(document.get("message") or "") if isinstance(document, dict) else ""
    if words.startswith("<"):
        return None
    words = words[:200].strip("\"' \t\r\n").lower()
    for pattern, reaction, remedy in _PLAIN:
        if pattern.search(words):
            return RefusedError(f"HTTP {response.status}", words, reaction, remedy)
    return None
