"""What an apartment complex used in a month, read from the body of K-apt's energy API.

Service: data.go.kr 15012964, operation getHsmpApHusUsgQtyInfoSearchV2; XML by default, one item directly under the
body. Beside each quantity stands an amount in KRW (`elect`, `gas`, `heat`, `waterHot`, `waterCool`), which is not read.
"""

from decimal import Decimal
from typing import NamedTuple

from apis import data_go_kr
from apis.answers import RefusedError, UnreadableError
from apis.data_go_kr import Item
from jobs.rules.fields import MONTH, Reason, RejectedError, identifier, number, present, same_key

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


def parse(key: str | None, value: bytes | None) -> Usage:
    """The usage that a record holds; its key is `<complex_id>|<YYYY-MM>`.

    Raises:
        RejectedError: no answer, another document, an API error, or values that can't be.
    """
    item = _item(present(value))
    found = {name: item.get(name, "") for name in ("kaptCode", "reqDate")}
    complex_id = identifier({name: text or None for name, text in found.items()}, "kaptCode")
    month = f"{found['reqDate'][:4]}-{found['reqDate'][4:]}"
    if not MONTH.fullmatch(month):
        raise RejectedError(Reason.OUT_OF_RANGE, f"reqDate is no month of 2000 to 2099: {found['reqDate'][:40]!r}")
    same_key(key, complex_id, month)
    return Usage(complex_id, month, *(_quantity(item, tag) for tag in QUANTITIES.values()))


def _item(body: bytes) -> Item:
    """The item of an answer that is one; pollers count it as fetched by the same rules."""
    try:
        answer = data_go_kr.read_body(body)
    except RefusedError as error:
        raise RejectedError(Reason.API_ERROR, str(error)) from error
    except UnreadableError as error:
        raise RejectedError(Reason(error.flaw.value), str(error)) from error
    if answer.code == data_go_kr.NO_DATA:
        raise RejectedError(Reason.API_ERROR, f"{answer.code} {answer.message}"[:400])
    if not answer.items:
        raise RejectedError(Reason.MISSING_FIELD, "body/item")
    if len(answer.items) > 1:
        raise RejectedError(Reason.DUPLICATE_FIELD, f"{len(answer.items)} items, where one was asked for")
    return answer.items[0]


def _quantity(item: Item, tag: str) -> Decimal | None:
    """A quantity; the API says 0 where nobody entered one."""
    if tag not in item:
        raise RejectedError(Reason.MISSING_FIELD, tag)
    text = item[tag]
    return number(tag, text, 0, MOST) or None if text else None
