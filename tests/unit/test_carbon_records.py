import json
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NoReturn
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyflink.common import Instant, Row

from jobs.flow.decode import DEAD_LETTERS, Decode
from jobs.rules.carbon import announced, buildings, complexes, energy, weather
from jobs.rules.fields import Reason, RejectedError
from tests.carbon import body

PARSERS = (complexes.parse, energy.parse, buildings.parse, weather.parse, announced.parse)
MAY = date(2026, 5, 1)
KEY = "A10027875|2026-05"
AT = 1_777_562_000_000  # 2026-05-01T00:13:20 in Korea, where it is April in UTC
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
    usage = energy.parse(KEY, GOOD, AT)
    assert usage == ("A10027875", "2026-05", Decimal("91234.5"), None, Decimal(6000), None)
    assert usage.used == (Decimal("91234.5"), None, Decimal(6000), None)


def test_zero_means_that_nobody_entered_it() -> None:
    assert energy.parse(KEY, body("A10027875", MAY, electricity="0.0", gas="", heat=" 0 "), AT).used == (None,) * 4


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null-value"),
        (b" \n", "empty"),
        (GOOD[:-30], "not-xml"),
        (b"\x00\x01", "not-xml"),
        (b'<?xml version="1.0" encoding="klingon"?><response/>', "not-xml"),
        (b'<?xml version="1.0" encoding="euc-kr"?><response/>', "not-an-answer"),
        (b'<?xml version="1.0" encoding="euc-kr"?><response>\xff\xff</response>', "not-xml"),
        (BOMB, "forbidden-xml"),
        (EXTERNAL, "forbidden-xml"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "html-page"),
        (b"\n<HTML><body>Service unavailable<br></body>", "html-page"),
        (b"\xef\xbb\xbf<html></html>", "html-page"),
        (b"<!-- proxy --> <!-- 7 -->\n<!DOCTYPE html>\n<html>", "html-page"),
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">',
            "html-page",
        ),
        (b"<!-- -->" * 5_000 + b"<htm", "not-xml"),
        (b"Unauthorized", "not-xml"),
        (b"<rss/>", "not-an-answer"),
        (GATEWAY, "api-error"),
        (GOOD.replace(b">00<", b">03<").replace(b"NORMAL SERVICE.", b"NODATA_ERROR"), "api-error"),
        (b"<response><header><resultCode>00</resultCode></header><body/></response>", "missing-field"),
        (GOOD.replace(b"hgas", b"gasUse"), "missing-field"),
        (GOOD.replace(b"<kaptCode>A10027875</kaptCode>", b""), "missing-field"),
        (GOOD.replace(b"<item>", b"<item/><item>"), "duplicate-field"),
        (GOOD.replace(b"<reqDate>", b"<helect>1</helect><reqDate>"), "duplicate-field"),
        (GOOD.replace(b"<reqDate>", b"<reqDate>202604</reqDate><reqDate>"), "duplicate-field"),
        (GOOD.replace(b"91234.5", b"912<b/>34.5"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"912<!-- -->34.5"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"912<?pi?>34.5"), "wrong-type"),
        (GOOD.replace(b"A10027875", b"A100<i/>27875"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"91,234"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"NaN"), "wrong-type"),
        (GOOD.replace(b"91234.5", b"1e9"), "wrong-type"),
        (GOOD.replace(b"91234.5", "\uff19\uff11".encode()), "wrong-type"),
        (GOOD.replace(b"91234.5", b"-5"), "out-of-range"),
        (GOOD.replace(b"91234.5", b"1" * 11), "out-of-range"),
        (GOOD.replace(b"202605", b"202613"), "out-of-range"),
        (GOOD.replace(b"202605", b""), "out-of-range"),
        (GOOD.replace(b"202605", b"202606"), "out-of-range"),  # not over yet, not even begun
        (GOOD.replace(b"202605", b"202604"), "key-mismatch"),
        (GOOD.replace(b"A10027875", b"A" * 65), "too-long"),
        (b"<response>" * 50_000, "not-xml"),
    ],
)
def test_a_bad_body_names_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        energy.parse(KEY, value, AT)
    assert refused.value.reason == reason


def test_what_korean_encodings_write_is_read_as_they_declare_it() -> None:
    text = GOOD.decode().replace("NORMAL SERVICE.", "정상 똠방각하")
    for name, codec in (("EUC-KR", "cp949"), ("ks_c_5601-1987", "cp949"), ("CP949", "cp949"), ("utf-16", "utf-16")):
        value = text.replace("UTF-8", name).encode(codec)
        assert energy.parse(KEY, value, AT).electricity == Decimal("91234.5")


@pytest.mark.parametrize("code", ["0", "00", "000", "0000"])
def test_success_is_written_in_several_ways(code: str) -> None:
    assert energy.parse(KEY, GOOD.replace(b">00<", f">{code}<".encode()), AT).month == "2026-05"


@pytest.mark.parametrize("at", [-1, 0, 4_102_444_800_000, 2**62])
@pytest.mark.parametrize(
    ("parse", "key", "value"),
    [
        (energy.parse, KEY, GOOD),
        (complexes.parse, "A1", json.dumps(COMPLEX).encode()),
        (weather.parse, "143|2026-05-01", json.dumps(WEATHER).encode()),
    ],
)
def test_a_record_without_a_time_of_fetch_is_refused(parse: Any, key: str, value: bytes, at: int) -> None:
    parse(key, value, AT)
    with pytest.raises(RejectedError) as refused:
        parse(key, value, at)
    assert (refused.value.reason, "timestamp" in refused.value.detail) == ("out-of-range", True)


def test_an_api_error_says_what_the_api_said() -> None:
    with pytest.raises(RejectedError) as refused:
        energy.parse(KEY, GATEWAY, AT)
    assert refused.value.detail == "22 LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR SERVICE ERROR"


def described(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**COMPLEX, **changes}.items() if value is not ...}).encode()


def test_a_complex_may_lack_position_and_heating() -> None:
    found = complexes.parse("A1", described(lat=None, lon=..., heating=None), AT)
    assert found == ("A1", "단지", "27260", "대구", None, None, 500, None, None, None)
    assert complexes.parse("A1", described(lat=36), AT).lat == 36.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ...}, "missing-field"),
        ({"name": 5}, "wrong-type"),
        ({"legal_dong": "272601010"}, "out-of-range"),
        ({"legal_dong": 2726010100}, "wrong-type"),
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
        complexes.parse("A1", described(**changes), AT)
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
        weather.parse("143|2026-05-01", value, AT)
    assert refused.value.reason == reason


def test_no_rain_is_0_and_no_temperature_is_none() -> None:
    day = weather.parse("143|2026-05-01", json.dumps(WEATHER).encode(), AT)
    assert day[2:] == (Decimal("17.3"), Decimal("-0.5"), None, 0, 0, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tm": "2026-05-32"}, "wrong-type"),
        ({"tm": "1899-05-01"}, "out-of-range"),
        ({"tm": "2026-05-02"}, "out-of-range"),
        ({"tm": "2099-05-01"}, "out-of-range"),
        ({"tm": "20260501"}, "wrong-type"),
        ({"tm": "2026-W18-5"}, "wrong-type"),
        ({"tm": "\uff12026-05-01"}, "wrong-type"),
        ({"avgTa": 17.3}, "wrong-type"),
        ({"avgTa": "warm"}, "wrong-type"),
        ({"avgTa": "99"}, "out-of-range"),
        ({"sumRn": "-1"}, "out-of-range"),
        ({"stnId": "144"}, "key-mismatch"),
    ],
)
def test_bad_weather_names_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        weather.parse("143|2026-05-01", json.dumps({**WEATHER, **changes}).encode(), AT)
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
        for tag, letter in decoded(parse, key, value):
            assert tag in (DEAD_LETTERS, None)
            if tag:
                reason, detail, *place, raw = letter
                assert reason in list(Reason)
                assert detail.encode("utf-8") is not None
                assert (place, raw) == (["energy.usage", 1, 2], value)


def test_a_detail_is_text_that_the_jvm_can_take() -> None:
    def refuse(*_: object) -> NoReturn:
        raise RejectedError(Reason.NOT_JSON, "found '\ud800'")

    assert list(decoded(refuse, None, b"{")) == [
        (DEAD_LETTERS, Row("not-json", "found '?'", "energy.usage", 1, 2, b"{"))
    ]


def decoded(parse: Callable[..., Any], key: str | None, value: bytes) -> Iterator[tuple[Any, Any]]:
    """What the job's operator makes of a record: (tag, row) of a dead letter, or (None, what was read)."""
    operator = Decode(parse)
    operator.open(MagicMock())
    for tag, row, *rest in operator.process_element(Row(key, value, Instant(7, 0), "energy.usage", 1, 2), MagicMock()):
        yield (None, tag) if rest else (tag, row)
