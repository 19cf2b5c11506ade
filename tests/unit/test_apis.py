"""The public APIs without servers: what an answer means, what a key is for, and days in Korea."""

import contextlib
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from apis import calendar, data_go_kr, kakao
from apis.answers import Reaction, RefusedError, Response, UnreadableError, wait_asked
from apis.endpoints import ApiError, decoded
from conf.city import places
from conf.settings import ADDRESSES, ROOT, Settings, load
from generators.simulator import envelopes
from generators.simulator.carbon import services
from generators.simulator.carbon.services import World
from jobs.rules.carbon import energy
from jobs.rules.fields import RejectedError
from tests.carbon import body as month_body
from tests.pollers import RICH

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # noon in Korea
AT = int(NOW.timestamp() * 1000)
WORLD = World(27, date(2024, 5, 1), RICH)
PLACE = places.complexes()[0]
MONTH = month_body("A1", date(2026, 5, 1), electricity=5)
MONTH_TEXT = MONTH.decode().partition("?>")[2]
moments = st.integers(1_577_836_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "Sat, 21 Nov 2026 03:00:30 GMT"}, 30),
        ({"ratelimit-reset": "Sat, 21 Nov 2026 03:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 02:00:00 GMT"}, 0),
        ({"retry-after": "99999999999"}, 86_400),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "\u0667"}, None),
        ({"retry-after": "soon", "ratelimit-reset": "9"}, 9),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers, NOW) == seconds


class TestCalendar:
    def test_the_day_is_koreas(self) -> None:
        assert calendar.day_of(datetime(2026, 11, 21, 14, 59, 59, tzinfo=UTC)) == date(2026, 11, 21)
        assert calendar.day_of(datetime(2026, 11, 21, 15, 0, tzinfo=UTC)) == date(2026, 11, 22)

    @given(moments)
    def test_the_next_day_begins_within_a_day(self, moment: datetime) -> None:
        begins = calendar.next_day(moment)
        assert timedelta() < begins - moment <= timedelta(days=1)
        assert calendar.day_of(begins) == calendar.day_of(moment) + timedelta(days=1)
        assert calendar.day_of(begins - timedelta(microseconds=1)) == calendar.day_of(moment)

    @given(moments, st.times().map(lambda t: t.replace(microsecond=0)))
    def test_next_at_is_within_a_day_and_at_that_time(self, moment: datetime, at: time) -> None:
        found = calendar.next_at(moment, at)
        assert timedelta() < found - moment <= timedelta(days=1)
        assert found.astimezone(calendar.KOREA).time() == at

    @given(st.sets(st.dates(date(2020, 1, 1), date(2021, 12, 31))), st.integers(1, 366))
    def test_ranges_hold_each_wanted_day_once(self, wanted: set[date], longest: int) -> None:
        runs = list(calendar.ranges(wanted, longest))
        assert [day for run in runs for day in calendar.days(*run)] == sorted(wanted)
        assert all((last - first).days < longest for first, last in runs)

    def test_months_go_back_over_the_year(self) -> None:
        assert calendar.months(date(2025, 11, 1), date(2026, 2, 1)) == [
            *[date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)]
        ]
        assert calendar.newest_month(datetime(2026, 1, 1, 1, tzinfo=UTC)) == date(2025, 12, 1)
        # In Korea the month has changed already.
        assert calendar.newest_month(datetime(2026, 1, 31, 15, tzinfo=UTC)) == date(2026, 1, 1)


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_NAMES = st.sampled_from(
    [
        *["response", "header", "body", "items", "item", "resultCode", "totalCount", "documents", "x", "y", "code"],
        *["OpenAPI_ServiceResponse", "cmmMsgHeader", "returnReasonCode"],
    ]
)


def _nested(inside: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inside, max_size=2) | st.dictionaries(_NAMES, inside, max_size=4)


class TestAnswers:
    @pytest.mark.parametrize("as_json", [False, True])
    def test_one_item_under_the_body(self, as_json: bool) -> None:
        item = services.energy_item("A1", date(2026, 1, 1), WORLD.usage(PLACE, date(2026, 1, 1), date(2026, 11, 1)))
        answer = data_go_kr.read(Response(200, envelopes.single(item, as_json=as_json)))
        assert answer.items == [item]

    @pytest.mark.parametrize("as_json", [False, True])
    @pytest.mark.parametrize("bare", [False, True])
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_pages_in_every_shape(self, as_json: bool, bare: bool, count: int) -> None:
        items = [{"kaptCode": f"A{number}", "as4": ""} for number in range(count)]
        answer = data_go_kr.read(Response(200, envelopes.page(items, 1, 3, 17, as_json=as_json, bare=bare)))
        assert answer.items == items
        assert answer.total == 17

    def test_a_single_item_may_be_no_array(self) -> None:
        body = b'{"response":{"header":{"resultCode":"00"},"body":{"items":{"item":{"a":1,"b":null}},"totalCount":1}}}'
        assert data_go_kr.read(Response(200, body)).items == [{"a": "1", "b": ""}]

    @pytest.mark.parametrize(
        ("code", "reaction"),
        [
            *[(code, Reaction.RETRY) for code in ("01", "02", "04", "05", "23", "99", "77")],
            *[(code, Reaction.CONFIGURATION) for code in ("10", "11", "12")],
            *[(code, Reaction.OPERATOR) for code in ("20", "21", "30", "31", "32", "33")],
            ("22", Reaction.SPENT),
        ],
    )
    def test_each_code_has_its_reaction_in_every_envelope(self, code: str, reaction: Reaction) -> None:
        reason = f"<cmmMsgHeader><returnReasonCode>{code}</returnReasonCode></cmmMsgHeader>"
        gateway = f"<OpenAPI_ServiceResponse>{reason}</OpenAPI_ServiceResponse>"
        as_json = json.dumps({"OpenAPI_ServiceResponse": {"cmmMsgHeader": {"returnReasonCode": code}}})
        header = f"<response><header><resultCode>{code}</resultCode></header></response>"
        number = json.dumps({"response": {"header": {"resultCode": int(code)}}})
        for status in (200, 400, 500):
            for body in (gateway, as_json, header, number):
                with pytest.raises(RefusedError) as refused:
                    data_go_kr.read(Response(status, body.encode()))
                assert refused.value.reaction is reaction
                assert bool(refused.value.remedy) == (reaction in (Reaction.OPERATOR, Reaction.CONFIGURATION))

    @pytest.mark.parametrize("as_json", [False, True])
    def test_no_data_is_an_answer(self, as_json: bool) -> None:
        assert data_go_kr.read(Response(200, envelopes.error("03", as_json=as_json))).items == ()

    def test_only_up_to_yesterday_is_not_retried(self) -> None:
        body = envelopes.error("99", as_json=True, message=envelopes.NOT_BEFORE_TOMORROW)
        with pytest.raises(RefusedError) as refused:
            data_go_kr.read(Response(200, body))
        assert refused.value.reaction is Reaction.NOT_YET

    @pytest.mark.parametrize("status", [None, 200])
    @pytest.mark.parametrize(
        ("own_status", "body", "reaction"),
        [
            (401, b"Unauthorized", Reaction.OPERATOR),
            (403, b"Forbidden", Reaction.OPERATOR),
            (404, b"API not found", Reaction.CONFIGURATION),
            (429, b"API rate limit exceeded", Reaction.RETRY),
            (429, b"API token quota exceeded", Reaction.SPENT),
            (429, b"API rate quota exceeded", Reaction.SPENT),
            (429, b"API limit exceeded", Reaction.SPENT),
            (502, b"Error forwarding request to backend server", Reaction.RETRY),
            (502, b"Error receiving response from backend server", Reaction.RETRY),
            (500, b"Unexpected error", Reaction.RETRY),
            (500, b"Unexpected errors", Reaction.RETRY),
        ],
    )
    @pytest.mark.parametrize("form", [b"%s", b" %s.\r\n", b'"%s"', b'{"message": "%s"}'])
    def test_refusals_in_plain_words(
        self, own_status: int, status: int | None, body: bytes, form: bytes, reaction: Reaction
    ) -> None:
        with pytest.raises(RefusedError) as refused:
            data_go_kr.read(Response(status or own_status, form % body))
        assert refused.value.reaction is reaction
        assert bool(refused.value.remedy) == (reaction in (Reaction.OPERATOR, Reaction.CONFIGURATION))

    @pytest.mark.parametrize(
        ("status", "body", "reaction"),
        [
            (401, b"", Reaction.OPERATOR),
            (403, b"", Reaction.OPERATOR),
            (408, b"", Reaction.RETRY),
            (429, b"", Reaction.RETRY),
            (502, envelopes.HTML, Reaction.RETRY),
            (404, envelopes.HTML, Reaction.CONFIGURATION),
        ],
    )
    def test_refusals_by_the_status_alone(self, status: int, body: bytes, reaction: Reaction) -> None:
        with pytest.raises(RefusedError) as refused:
            data_go_kr.read(Response(status, body))
        assert refused.value.reaction is reaction

    @pytest.mark.parametrize("code", ["99", "1", "004", "", "?"])
    @pytest.mark.parametrize(
        ("words", "reaction"),
        [
            ("SERVICE KEY IS NOT REGISTERED", Reaction.OPERATOR),
            ("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", Reaction.OPERATOR),
            ("Service Access Denied Error.", Reaction.OPERATOR),
            ("DEADLINE HAS EXPIRED ERROR", Reaction.OPERATOR),
            ("UNREGISTERED IP ERROR", Reaction.OPERATOR),
            ("NO OPENAPI SERVICE ERROR", Reaction.CONFIGURATION),
            ("LIMITED NUMBER OF SERVICE REQUESTS EXCEEDS ERROR", Reaction.SPENT),
            ("LIMITED NUMBER OF SERVICE REQUESTS PER SECOND EXCEEDS ERROR", Reaction.RETRY),
            ("UNKNOWN_ERROR", Reaction.RETRY),
            ("", Reaction.RETRY),
        ],
    )
    def test_a_code_that_tells_nothing_is_judged_by_its_words(self, code: str, words: str, reaction: Reaction) -> None:
        told = f"<returnAuthMsg>{words}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
        for body in (
            f"<response><header><resultCode>{code}</resultCode><resultMsg>{words}</resultMsg></header></response>",
            f"<OpenAPI_ServiceResponse><cmmMsgHeader>{told}</cmmMsgHeader></OpenAPI_ServiceResponse>",
            f"<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>{words}</errMsg></cmmMsgHeader></OpenAPI_ServiceResponse>",
            json.dumps({"response": {"header": {"resultCode": code, "resultMsg": words}}}),
        ):
            with pytest.raises(RefusedError) as refused:
                data_go_kr.read(Response(200, body.encode()))
            assert refused.value.reaction is reaction
            assert bool(refused.value.remedy) == (reaction in (Reaction.OPERATOR, Reaction.CONFIGURATION))

    @pytest.mark.parametrize("code", ["00", "0", "000", "0000", " 00 "])
    def test_poller_and_job_agree_on_what_is_fine(self, code: str) -> None:
        body = MONTH.replace(b">00<", f">{code}<".encode())
        assert data_go_kr.read(Response(200, body)).items[0]["helect"] == "5"
        assert energy.parse("A1|2026-05", body, AT).electricity == 5

    @pytest.mark.parametrize("code", ["03", "3", "99", "22", "x", ""])
    def test_and_on_what_is_not(self, code: str) -> None:
        body = MONTH.replace(b">00<", f">{code}<".encode())
        with contextlib.suppress(RefusedError):
            assert data_go_kr.read(Response(200, body)).items == ()
        with pytest.raises(RejectedError) as rejected:
            energy.parse("A1|2026-05", body, AT)
        assert rejected.value.reason == "api-error"

    def test_poller_and_job_read_json_alike(self) -> None:
        item = {"kaptCode": " A1 ", "reqDate": 202605, "helect": 5, "hgas": 1.50, "hwaterCool": None, "hheat": " "}
        body = json.dumps({"response": {"header": {"resultCode": 0}, "body": {"item": item}}}).encode()
        assert data_go_kr.read(Response(200, body)).items[0]["kaptCode"] == "A1"
        assert energy.parse("A1|2026-05", body, AT)[2:] == (5, Decimal("1.5"), None, None)

    @pytest.mark.parametrize(
        ("body", "flaw"),
        [
            (b"\xef\xbb\xbf<!-- maintenance --><!DOCTYPE html><html/>", "html-page"),
            (b'<?xml version="1.0"?>\n<!-- a --><!-- b -->\n<HTML><body>', "html-page"),
            (b"<!-- -->" * 20_000 + b"<p>", "not-xml"),
            (MONTH_TEXT.replace("<helect>5", "<helect>5<b>1</b>").encode(), "wrong-type"),
            (MONTH_TEXT.replace("<helect>5", "<helect>1</helect><helect>5").encode(), "duplicate-field"),
            (MONTH_TEXT.replace("</item>", "</item><item><helect>6</helect></item>").encode(), "duplicate-field"),
            (b'{"response":{"header":{"resultCode":"00"},"body":{"item":{"a":{"b":1}}}}}', "wrong-type"),
            (b'{"response":{"header":{"resultCode":"00"},"body":{"item":{"a":1,"a":2}}}}', "duplicate-field"),
        ],
    )
    def test_nothing_is_guessed_about(self, body: bytes, flaw: str) -> None:
        with pytest.raises(RejectedError) as rejected:
            energy.parse("A1|2026-05", body, AT)
        assert rejected.value.reason == flaw

    @pytest.mark.parametrize(
        "body",
        [
            f"<!DOCTYPE {'가' * 200_000} []><a/>",
            f"<{'a' * 500_000}/>",
            f"<response><header><resultCode>{'9' * 500_000}</resultCode></header></response>",
            f'{{"response":{{"header":{{"resultCode":"99","resultMsg":"{"x" * 500_000}"}}}}}}',
        ],
        ids=["doctype", "root", "code", "message"],
    )
    def test_what_is_said_of_a_body_is_short(self, body: str) -> None:
        with pytest.raises((RefusedError, UnreadableError)) as error:
            data_go_kr.read(Response(200, body.encode()))
        assert len(str(error.value)) <= 400

    @pytest.mark.parametrize("encoding", ["euc-kr", "EUC-KR", "ks_c_5601-1987", "cp949"])
    def test_korean_xml_with_its_declaration_is_read(self, encoding: str) -> None:
        body = f'<?xml version="1.0" encoding="{encoding}"?>' + MONTH_TEXT.replace("<helect>", "<x>대구</x><helect>")
        assert data_go_kr.read(Response(200, body.encode("cp949"))).items[0]["x"] == "대구"

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            *[("1234", 1234), ("1,234", 1234), (" 1,234,567 ", 1_234_567), ("12.", 12), ("12.00", 12), ("-5", -5)],
            *[("1,23", None), ("12.5", None), ("Infinity", None), ("NaN", None), ("", None), ("1e3", None)],
            *[("\uff19", None), ("9" * 19, None), ("1_000", None)],
        ],
    )
    def test_whole_numbers(self, text: str, number: int | None) -> None:
        assert data_go_kr.whole(text) == number

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"   ",
            b"<",
            b"<response></response>",
            b"<response><header><resultCode>00</resultCode></header></response>",
            b'{"response":',
            b'{"response": []}',
            b'{"a":' * 200_000,
            b'{"response":{"header":{"resultCode":"00"},"body":{"items":[1]}}}',
            b'<?xml version="1.0" encoding="klingon"?><a/>',
            envelopes.BOMB,
            envelopes.HTML,
        ],
    )
    def test_what_nobody_can_read(self, body: bytes) -> None:
        with pytest.raises(UnreadableError):
            data_go_kr.read(Response(200, body))

    @given(st.data())
    def test_a_cut_body_is_never_an_answer(self, data: st.DataObject) -> None:
        as_json = data.draw(st.booleans())
        body = envelopes.single(services.basis_item(WORLD, PLACE), as_json=as_json)
        with pytest.raises(UnreadableError):
            data_go_kr.read(Response(200, body[: data.draw(st.integers(0, len(body) - 1))]))

    @given(
        st.binary(max_size=200) | st.recursive(_SCALARS, _nested).map(lambda value: json.dumps(value).encode()),
        st.sampled_from([200, 400, 500]),
    )
    def test_any_bytes_end_in_one_of_three_ways(self, body: bytes, status: int) -> None:
        for read in (data_go_kr.read, kakao.read):
            with contextlib.suppress(RefusedError, UnreadableError):
                read(Response(status, body))

    @pytest.mark.parametrize(
        ("status", "code", "reaction"),
        [
            (400, -1, Reaction.RETRY),
            (503, -9798, Reaction.RETRY),
            (400, -10, Reaction.SPENT),
            (429, 0, Reaction.RETRY),
            (400, -11, Reaction.SPENT),
            (401, -401, Reaction.OPERATOR),
            (403, -3, Reaction.OPERATOR),
            (400, -2, Reaction.CONFIGURATION),
        ],
    )
    def test_kakaos_errors(self, status: int, code: int, reaction: Reaction) -> None:
        with pytest.raises(RefusedError) as refused:
            kakao.read(Response(status, json.dumps({"code": code, "msg": "m"}).encode()))
        assert refused.value.reaction is reaction

    @pytest.mark.parametrize(
        "body",
        [
            *[b"[" * 200_000, b'{"code": Infinity}', b"[]", b"{}", b'{"documents": {}, "code": "x"}'],
            *[b'{"documents":[{"x":"Infinity","y":"1"}]}', b'{"documents":[{"x":NaN,"y":"1"}]}'],
        ],
    )
    def test_what_nobody_can_read_of_kakao(self, body: bytes) -> None:
        with pytest.raises(UnreadableError):
            kakao.read(Response(200, body))

    def test_kakaos_positions(self) -> None:
        assert kakao.read(Response(200, b'{"documents":[{"x":"128.5","y":"35.8"}]}')) == (35.8, 128.5)
        assert kakao.read(Response(200, b'{"documents":[]}')) is None

    def test_kakaos_addresses(self) -> None:
        parcel, street = {"address_name": " 대구 중구 동인동1가 2-1 "}, {"address_name": "대구 중구 공평로 88"}
        for road_address, address in ((street, street), (None, parcel)):
            document = {"road_address": road_address, "address": parcel}
            body = json.dumps({"meta": {"total_count": 1}, "documents": [document]}).encode()
            assert kakao.read_address(Response(200, body)) == address["address_name"].strip()
        assert kakao.read_address(Response(200, b'{"documents":[]}')) is None
        with pytest.raises(RefusedError):
            kakao.read_address(Response(429, b"{}"))

    @pytest.mark.parametrize(
        "document",
        ["{}", "[]", '{"road_address":null,"address":null}', '{"road_address":{"address_name":7}}',
         '{"road_address":{"address_name":" "}}', '{"road_address":{"address_name":"\\u0000"}}'],
    )  # fmt: skip
    def test_what_is_no_address_of_kakaos(self, document: str) -> None:
        with pytest.raises(UnreadableError):
            kakao.read_address(Response(200, f'{{"documents":[{document}]}}'.encode()))


class TestKeys:
    def settings(self, **changes: object) -> Settings:
        chosen = load()
        return chosen.model_copy(update={"pollers": chosen.pollers.model_copy(update=changes)})

    def test_both_forms_are_one_key(self) -> None:
        assert decoded("a%2Bb%2Fc%3D%3D") == decoded("a+b/c==") == "a+b/c=="

    def test_the_simulator_needs_none(self) -> None:
        assert data_go_kr.api(self.settings()).access.key == load().simulator.service_keys[0]
        assert kakao.api(self.settings()) is not None

    def test_the_real_one_does(self) -> None:
        real = self.settings(data_go_kr_url="https://apis.data.go.kr/", kakao_url="https://dapi.kakao.com")
        with pytest.raises(ApiError, match="DATA_GO_KR_SERVICE_KEY"):
            data_go_kr.api(real)
        assert kakao.api(real) is None

    def test_a_simulators_key_is_never_sent_to_the_real_one(self) -> None:
        assert kakao.api(self.settings(data_go_kr_url="https://apis.data.go.kr")) is None

    def test_a_key_is_not_shown(self) -> None:
        settings = self.settings(service_key=SecretStr("hunter2"), data_go_kr_url="https://apis.data.go.kr")
        assert "hunter2" not in repr(settings)
        assert "hunter2" not in repr(data_go_kr.api(settings))
        assert "hunter2" not in data_go_kr.api(settings).access.holder

    def test_a_real_key_is_never_sent_to_the_simulator(self) -> None:
        for name, made, url in (
            ("service_key", data_go_kr.api, "DATA_GO_KR_URL=https://apis.data.go.kr"),
            ("kakao_key", kakao.api, "KAKAO_URL=https://dapi.kakao.com"),
        ):
            with pytest.raises(ApiError, match=f"set {url}") as refused:
                made(self.settings(**{name: SecretStr("somebody")}))
            assert "somebody" not in str(refused.value)

    def test_compose_has_a_variable_for_each(self) -> None:
        compose, example = (Path(ROOT, name).read_text() for name in ("docker-compose.yml", ".env.example"))
        for names in (data_go_kr.NAMES, kakao.NAMES):
            for variable in (names.url_variable, names.key_variable):
                assert variable in ADDRESSES
                assert f"{variable}: ${{{variable}:-}}" in compose
                assert f"\n{variable}=\n" in example
            assert names.real_url in example
