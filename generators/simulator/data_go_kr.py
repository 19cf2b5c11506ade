"""The gateway of data.go.kr: it answers its own errors as XML with HTTP 200, whatever format was asked for."""

from datetime import date, datetime
from random import Random
from typing import Annotated

from fastapi import Query, Response

from apis.calendar import KOREA
from conf.settings import Simulator
from generators.simulator import envelopes
from generators.simulator.gateway import Body, Outcome, Provider, Refusal

_CODES: dict[Refusal, str] = {"key": "30", "rate": "23", "quota": "22"}
_ERRORS = ("04", "05", "99")

ServiceKey = Annotated[str | None, Query(alias="serviceKey")]
Type = Annotated[str | None, Query(alias="_type")]
Page = Annotated[int, Query(alias="pageNo", ge=1)]
Rows = Annotated[int, Query(alias="numOfRows", ge=1)]


def provider(chosen: Simulator) -> Provider:
    """The gateway, with its keys."""
    return Provider(chosen.service_keys, is_rated=True, refuse=_refuse, fail=_fail)


def _refuse(refusal: Refusal) -> tuple[str, Response]:
    code = _CODES[refusal]
    return code, Body(envelopes.gateway_error(code), as_json=False).response


def _fail(outcome: Outcome, draw: Random, as_json: bool) -> tuple[str, Response]:
    """One of its errors, from the gateway or in the service's own envelope."""
    if outcome == "timeout":
        return "05", Body(envelopes.gateway_error("05"), as_json=False).response
    code = draw.choice(_ERRORS)
    if draw.random() < 0.5:
        return code, Body(envelopes.gateway_error(code), as_json=False).response
    return code, Body(envelopes.error(code, as_json=as_json), as_json=as_json).response


def error(code: str, *, as_json: bool, message: str | None = None) -> Body:
    """A service's own error."""
    return Body(envelopes.error(code, as_json=as_json, message=message), code, as_json)


def month(text: str | None) -> date | None:
    """A month as its first day, where the text is one."""
    try:
        return datetime.strptime(text or "", "%Y%m").date() if text and len(text) == 6 else None  # noqa: DTZ007
    except ValueError:
        return None


def moment(text: str) -> datetime | None:
    """A time of Korea to the minute, where the text is one."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=KOREA) if len(text) == 12 else None
    except ValueError:
        return None


def day(text: str) -> date | None:
    """A day, where the text is one."""
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None  # noqa: DTZ007
    except ValueError:
        return None
