"""What an apartment complex used in a month, read from the body of K-apt's energy API.

Service: data.go.kr 15012964, operation getHsmpApHusUsgQtyInfoSearchV2; XML by default, one item directly under the
body. Beside each quantity stands an amount in KRW (`elect`, `gas`, `heat`, `waterHot`, `waterCool`), which is not read.
"""

from decimal import Decimal
from typing import Any, NamedTuple

from apis.answers import RefusedError, UnreadableError
from apis.data_go_kr import NO_DATA, Answer, Item, read_body
from jobs.rules.fields import MONTH, Reason, RejectedError, fetched, key_part, number, present, same_key

# The quantities of an item of the answer, and their units: kWh, m3, m3, Mcal. Hot water (`hwaterHot`, ton) comes out of
# a heating plant, not out of the tap water's meter, and its energy is part of the heat.
QUANTITIES = {"electricity": "helect", "gas": "hgas", "water": "hwaterCool", "heat": "hheat"}
# Per complex and month; the largest complexes of Korea use some 10^7 kWh.
MOST = 10**9


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
        RejectedError: no answer, another document, an API error, or values that can't be.
    """
    this_month = fetched(at).strftime("%Y-%m")
    item = _item(present(value))
    complex_id = key_part("kaptCode", text(item, "kaptCode"))
    told = text(item, "reqDate")
    month = f"{told[:4]}-{told[4:]}"
    if not MONTH.fullmatch(month):
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is no month of 2000 to 2099: {told[:40]!r}")
    if month > this_month:
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is later than the month of its fetch, {this_month}: {told}")
    same_key(key, complex_id, month)
    return Usage(complex_id, month, *(_quantity(item, tag) for tag in QUANTITIES.values()))


def seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded usage (content, timestamp, offset) as its complex, a fact's name, and what a `Seen` is made of."""
    (complex_id, month, *used), *version = record
    return complex_id, f"used|{month}", (tuple(version), tuple(used), any(each is not None for each in used), 1)


def answered(body: bytes) -> Answer:
    """What a body says, items or that there are none; pollers count it as fetched by the same rules.

    Raises:
        RejectedError: an API error, or another document.
    """
    try:
        return read_body(body)
    except RefusedError as error:
        raise RejectedError(Reason.API_ERROR, str(error)) from error
    except UnreadableError as error:
        raise RejectedError(Reason(error.flaw.value), str(error)) from error


def _item(body: bytes) -> Item:
    """The item of an answer that is one."""
    answer = answered(body)
    if answer.code == NO_DATA:
        raise RejectedError(Reason.API_ERROR, f"{answer.code} {answer.message}"[:400])
    if not answer.items:
        raise RejectedError(Reason.MISSING_FIELD, "body/item")
    if len(answer.items) > 1:
        raise RejectedError(Reason.DUPLICATE_FIELD, f"{len(answer.items)} items, where one was asked for")
    return answer.items[0]


def text(item: Item, tag: str) -> str:
    """A field of an item, which may be empty.

    Raises:
        RejectedError: it is missing.
    """
    if tag not in item:
        raise RejectedError(Reason.MISSING_FIELD, tag)
    return item[tag]


def _quantity(item: Item, tag: str) -> Decimal | None:
    """A quantity; the API says 0 where nobody entered one."""
    entered = text(item, tag)
    return number(tag, entered, 0, MOST) or None if entered else None
