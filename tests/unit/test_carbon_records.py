import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.flow.records import dead_letter
from jobs.rules.carbon import complexes, energy, weather
from jobs.rules.fields import Reason, RejectedError
from tests.carbon import body

PARSERS = (complexes.parse, energy.parse, weather.parse)
MAY = date(2026, 5, 1)
KEY = "A10027875|2026-05"
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(b'<!ENTITY lol%d "%s">' % (n + 1, b"&lol%d;" % n * 10 if n else b"&lol;" * 10) for n in range(9))
    + b"]><response>&lol9;</response>"
)
EXTERNAL = b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><response><header>&x;</header></response>'
GATEWAY = (
    b"<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg><returnAuthMsg>"
    b"LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR</returnAuthMsg><returnReasonCode>22</returnReasonCode>"
    b"</cmmMsgHeader></OpenAPI_ServiceResponse>"
)
GOOD = body("A10027875", MAY, electricity="91234.5", water="6000")
COMPLEX: dict[str, Any] = {
    **{"complex_id": "A1", "name": "단지", "region": "27260", "address": "대구", "lat": 35.8, "lon": 128.6},
    **{"households": 500, "heating": "district"},
}
WEATHER: dict[str, Any] = {
    **{"stnId": "143", "tm": "2026-05-01", "avgTa": "17.3", "minTa": "-0.5", "maxTa": ""},
    **{"sumRn": "", "ddMes": "", "avgRhm": ""},
}


def test_quantities_are_read_not_the_amounts_in_krw() -> None:
    usage = energy.parse(KEY, GOOD)
    assert usage == ("A10027875", "2026-05", Decimal("91234.5"), None, Decimal(6000), None)
    assert usage.used == (Decimal("91234.5"), None, Decimal(6000), None)


def test_zero_means_that_nobody_entered_it() -> None:
    assert energy.parse(KEY, body("A10027875", MAY, electricity="0.0", gas="", heat=" 0 ")).used == (None,) * 4


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null-value"),
        (b" \n", "empty"),
        (GOOD[:-30], "not-xml"),
        (b"\x00\x01", "not-xml"),
        (b'<?xml version="1.0" encoding="klingon"?><response/>', "not-xml"),
        (b'<?xml version="1.0" encoding="euc-kr"?><response/>', "not-an-answer"),
        (BOMB, "forbidden-xml"),
        (EXTERNAL, "forbidden-xml"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "html-page"),
        (b"\n<HTML><body>Service unavailable<br></body>", "html-page"),
        (b"Unauthorized", "not-xml"),
        (b"<rss/>", "not-an-answer"),
        (GATEWAY, "api-error"),
        (GOOD.replace(b">00<", b">03<").replace(b"NORMAL SERVICE.", b"NODATA_ERROR"), "api-error"),
        (b"<response><header><resultCode>00</resultCode></header><body/></response>", "missing-field"),
        (GOOD.replace(b"hgas", b"gasUse"), "missing-field"),
        (GOOD.replace(b"<kaptCode>A10027875</kaptCode>", b""), "missing-field"),
        (GOOD.replace(b"91234.5", b"91,234"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"NaN"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"1e9"), "wrong-type"),
        (GOOD.replace(b"91234.5", "\uff19\uff11".encode()), "wrong-type"),
        (GOOD.replace(b"91234.5", b"-5"), "out-of-range"),
        (GOOD.replace(b"91234.5", b"1" * 11), "out-of-range"),
        (GOOD.replace(b"202605", b"202613"), "out-of-range"),
        (GOOD.replace(b"202605", b""), "out-of-range"),
        (GOOD.replace(b"202605", b"202604"), "key-mismatch"),
        (GOOD.replace(b"A10027875", b"A" * 65), "too-long"),
        (b"<response>" * 50_000, "not-xml"),
    ],
)
def test_a_bad_body_names_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        energy.parse(KEY, value)
    assert refused.value.reason == reason


def test_an_api_error_says_what_the_api_said() -> None:
    with pytest.raises(RejectedError) as refused:
        energy.parse(KEY, GATEWAY)
    assert refused.value.detail == "22 LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR SERVICE ERROR"


def described(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**COMPLEX, **changes}.items() if value is not ...}).encode()


def test_a_complex_may_lack_position_and_heating() -> None:
    found = complexes.parse("A1", described(lat=None, lon=..., heating=None))
    assert found == ("A1", "단지", "27260", "대구", None, None, 500, None)
    assert complexes.parse("A1", described(lat=36)).lat == 36.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ...}, "missing-field"),
        ({"name": 5}, "wrong-type"),
        ({"name": "a\0b"}, "nul-byte"),
        ({"name": "\ud800"}, "invalid-utf8"),
        ({"address": "가" * 2_000}, "too-long"),
        ({"region": "2726"}, "out-of-range"),
        ({"region": "2726가"}, "out-of-range"),
        ({"households": "500"}, "wrong-type"),
        ({"households": 5.5}, "wrong-type"),
        ({"households": True}, "wrong-type"),
        ({"households": -1}, "out-of-range"),
        ({"households": 10**30}, "out-of-range"),
        ({"lat": 128.6, "lon": 35.8}, "out-of-range"),
        ({"lat": None}, "missing-field"),
        ({"heating": "geothermal"}, "out-of-range"),
        ({"complex_id": ""}, "out-of-range"),
        ({"complex_id": "A2"}, "key-mismatch"),
    ],
)
def test_a_bad_complex_names_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        complexes.parse("A1", described(**changes))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null-value"),
        (b"[]", "not-an-object"),
        (b'{"stnId": NaN}', "not-json"),
        (b"[" * 200_000, "not-json"),
        (b"\xff{}", "invalid-utf8"),
    ],
)
def test_what_is_no_json_object_names_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        weather.parse("143|2026-05-01", value)
    assert refused.value.reason == reason


def test_no_rain_is_0_and_no_temperature_is_none() -> None:
    day = weather.parse("143|2026-05-01", json.dumps(WEATHER).encode())
    assert day[2:] == (Decimal("17.3"), Decimal("-0.5"), None, 0, 0, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tm": "2026-05-32"}, "wrong-type"),
        ({"tm": "1899-05-01"}, "out-of-range"),
        ({"avgTa": 17.3}, "wrong-type"),
        ({"avgTa": "warm"}, "wrong-type"),
        ({"avgTa": "99"}, "out-of-range"),
        ({"sumRn": "-1"}, "out-of-range"),
        ({"stnId": "144"}, "key-mismatch"),
    ],
)
def test_bad_weather_names_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        weather.parse("143|2026-05-01", json.dumps({**WEATHER, **changes}).encode())
    assert refused.value.reason == reason


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*COMPLEX, *WEATHER]) | st.text(), inner),
    max_leaves=10,
)


@given(
    st.binary()
    | documents.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=4)).map(lambda at: GOOD[: at[0]] + at[1] + GOOD[at[0] :]),
    st.none() | st.just(KEY) | st.text(),
)
def test_whatever_comes_is_read_or_refused(value: bytes, key: str | None) -> None:
    for parse in PARSERS:
        try:
            parse(key, value)
        except RejectedError as refused:
            letter = json.loads(dead_letter(refused, "energy.usage", 1, 2, value).encode("utf-8"))
            assert letter["reason"] in list(Reason)
