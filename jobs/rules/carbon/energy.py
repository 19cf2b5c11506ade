"""What an apartment complex used in a month, read from the body of K-apt's energy API.

Service: data.go.kr 15012964, operation getHsmpApHusUsgQtyInfoSearchV2; XML by default, one item directly under the
body. Beside each quantity stands an amount in KRW (`elect`, `gas`, `heat`, `waterHot`, `waterCool`), which is not read.
"""

import codecs
import re
from decimal import Decimal
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from jobs.rules.fields import MONTH, Reason, RejectedError, fetched, key_part, number, present, same_key

# The quantities of an item of the answer, and their units: kWh, m3, m3, Mcal. Hot water (`hwaterHot`, ton) comes out of
# a heating plant, not out of the tap water's meter, and its energy is part of the heat.
QUANTITIES = {"electricity": "helect", "gas": "hgas", "water": "hwaterCool", "heat": "hheat"}
# Per complex and month; the largest complexes of Korea use some 10^7 kWh.
MOST = 10**9
NORMAL = {"0", "00", "000", "0000"}
# A page begins with a byte order mark, an XML declaration and comments, or with none of them.
HTML = re.compile(
    rb"(\xef\xbb\xbf)?(?>\s+|<\?xml\b[^>]*>|(?><!--.*?-->))*+<(!doctype\s+)?html\b", re.IGNORECASE | re.DOTALL
)
ENCODING = re.compile(rb"""<\?xml\b[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# Korean encodings, by their codec's name; cp949 holds all of them. expat reads neither.
KOREAN = {"euc_kr", "cp949"}


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


def parse(key: str | None, value: bytes | None, at: int) -> Usage:
    """The usage that a record holds; its key is `<complex_id>|<YYYY-MM>`, `at` its timestamp in ms.

    Raises:
        RejectedError: no XML, another document, an API error, or values that can't be.
    """
    this_month = fetched(at).strftime("%Y-%m")
    item = _item(_document(present(value)))
    complex_id = key_part("kaptCode", _text(item, "kaptCode"))
    told = _text(item, "reqDate")
    month = f"{told[:4]}-{told[4:]}"
    if not MONTH.fullmatch(month):
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is no month of 2000 to 2099: {told[:40]!r}")
    if month > this_month:
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is later than the month of its fetch, {this_month}: {told}")
    same_key(key, complex_id, month)
    return Usage(complex_id, month, *(_quantity(item, tag) for tag in QUANTITIES.values()))


def seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded usage (content, timestamp, offset) as its complex, its month, and what a `Seen` is made of."""
    (complex_id, month, *used), *version = record
    return complex_id, month, (tuple(version), tuple(used), any(each is not None for each in used), 1)


def _document(body: bytes) -> Element:
    if HTML.match(body):
        raise RejectedError(Reason.HTML_PAGE, body[:200].decode("utf-8", "replace"))
    # Comments stay, so that a number with one inside is not read as if it were whole.
    parser = DefusedXMLParser(target=TreeBuilder(insert_comments=True, insert_pis=True), forbid_dtd=True)
    try:
        parser.feed(_readable(body))
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise RejectedError(Reason.FORBIDDEN_XML, str(error)) from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two: encodings that nobody can read
        raise RejectedError(Reason.NOT_XML, str(error)) from error
    return root


def _readable(body: bytes) -> str | bytes:
    """The body as expat can read it: text where it says that its encoding is a Korean one."""
    declared = ENCODING.match(body)
    if declared and codecs.lookup(declared[1].decode("ascii")).name in KOREAN:
        return body.decode("cp949")
    return body


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
    return _only(root, "body/item")


def _only(parent: Element, path: str) -> Element:
    """The one element at this path."""
    found = parent.findall(path)
    if not found:
        raise RejectedError(Reason.MISSING_FIELD, path)
    if len(found) > 1:
        raise RejectedError(Reason.DUPLICATE_FIELD, f"{path} is there more than once")
    return found[0]


def _text(item: Element, tag: str) -> str:
    """The text of a field, without blanks around it."""
    element = _only(item, tag)
    if len(element):
        raise RejectedError(Reason.WRONG_TYPE, f"{tag}: expected text, found markup in it")
    return (element.text or "").strip()


def _quantity(item: Element, tag: str) -> Decimal | None:
    """A quantity; the API says 0 where nobody entered one."""
    text = _text(item, tag)
    return number(tag, text, 0, MOST) or None if text else None
