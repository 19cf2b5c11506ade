"""What an apartment complex used in a month, read from the body of K-apt's energy API.

Service: data.go.kr 15012964, operation getHsmpApHusUsgQtyInfoSearchV2; XML by default, one item directly under the
body. Beside each quantity stands an amount in KRW (`elect`, `gas`, `heat`, `waterHot`, `waterCool`), which is not read.
"""

import re
from decimal import Decimal
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from jobs.rules.fields import MONTH, Reason, RejectedError, identifier, number, present, same_key

# The quantities of an item of the answer, and their units: kWh, m3, m3, Mcal. Hot water (`hwaterHot`, ton) comes out of
# a heating plant, not out of the tap water's meter, and its energy is part of the heat.
QUANTITIES = {"electricity": "helect", "gas": "hgas", "water": "hwaterCool", "heat": "hheat"}
# Per complex and month; the largest complexes of Korea use some 10^7 kWh.
MOST = 10**9
NORMAL = {"00", "000"}
HTML = re.compile(rb"\s*<(!doctype\s+)?html\b", re.IGNORECASE)


class Quantities(NamedTuple):
    """Electricity in kWh, gas and tap water in m3, heat in Mcal; None where nobody entered it."""

    electricity: Decimal | None
    gas: Decimal | None
    water: Decimal | None
    heat: Decimal | None


class Usage(NamedTuple):
    """What a complex used in a month such as `2026-05`: the fields of `Quantities`."""

    complex_id: str
    month: str
    electricity: Decimal | None
    gas: Decimal | None
    water: Decimal | None
    heat: Decimal | None

    @property
    def used(self) -> Quantities:
        """The quantities alone."""
        return Quantities(*self[2:])


def parse(key: str | None, value: bytes | None) -> Usage:
    """The usage that a record holds; its key is `<complex_id>|<YYYY-MM>`.

    Raises:
        RejectedError: no XML, another document, an API error, or values that can't be.
    """
    item = _item(_document(present(value)))
    found = {name: (item.findtext(name) or "").strip() for name in ("kaptCode", "reqDate")}
    complex_id = identifier({name: text or None for name, text in found.items()}, "kaptCode")
    month = f"{found['reqDate'][:4]}-{found['reqDate'][4:]}"
    if not MONTH.fullmatch(month):
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is no month of 2000 to 2099: {found['reqDate'][:40]!r}")
    same_key(key, complex_id, month)
    return Usage(complex_id, month, *(_quantity(item, tag) for tag in QUANTITIES.values()))


def _document(body: bytes) -> Element:
    if HTML.match(body):
        raise RejectedError(Reason.HTML_PAGE, body[:200].decode("utf-8", "replace"))
    try:
        return fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise RejectedError(Reason.FORBIDDEN_XML, str(error)) from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two: encodings that expat can't read
        raise RejectedError(Reason.NOT_XML, str(error)) from error


def _item(root: Element) -> Element:
    """The item of an answer that is one; errors come in two envelopes, often with HTTP 200."""
    if root.tag == "OpenAPI_ServiceResponse":
        texts = (root.findtext(f"cmmMsgHeader/{tag}") for tag in ("returnReasonCode", "returnAuthMsg", "errMsg"))
        raise RejectedError(Reason.API_ERROR, " ".join(text.strip() for text in texts if text)[:400])
    if root.tag != "response":
        raise RejectedError(Reason.NOT_AN_ANSWER, f"expected <response>, found <{root.tag[:100]}>")
    code = (root.findtext("header/resultCode") or "").strip()
    if code not in NORMAL:
        raise RejectedError(Reason.API_ERROR, f"{code} {root.findtext('header/resultMsg') or ''}"[:400])
    item = root.find("body/item")
    if item is None:
        raise RejectedError(Reason.MISSING_FIELD, "body/item")
    return item


def _quantity(item: Element, tag: str) -> Decimal | None:
    """A quantity; the API says 0 where nobody entered one."""
    element = item.find(tag)
    if element is None:
        raise RejectedError(Reason.MISSING_FIELD, tag)
    text = (element.text or "").strip()
    return number(tag, text, 0, MOST) or None if text else None
