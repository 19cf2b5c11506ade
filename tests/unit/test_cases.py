"""The rules of JSON, from the table that RecordCasesTest.java takes, too: one reason for one fault, whoever decodes."""

import base64
import json
from typing import Any

import pytest

from conf.settings import ROOT
from jobs.rules.fields import MAX_TEXT_BYTES, RejectedError, field, json_object

CASES = json.loads((ROOT / "tests/cases/json.json").read_text(encoding="utf-8"))["cases"]


def reason(value: bytes) -> str | None:
    try:
        record = json_object(value)
        for name, kind, optional in (("name", str, False), ("count", int, False), ("weight", float, True)):
            field(record, name, kind, optional=optional)
    except RejectedError as error:
        return error.reason
    return None


@pytest.mark.parametrize("case", CASES, ids=[case.get("text", case.get("base64")) for case in CASES])
def test_a_value_has_its_reason(case: dict[str, Any]) -> None:
    value = base64.b64decode(case["base64"]) if "base64" in case else case["text"].encode()
    assert reason(value) == case["reason"]


def test_text_has_its_limit_in_bytes_of_utf8() -> None:
    longest = "가" * (MAX_TEXT_BYTES // 3)
    assert reason(json.dumps({"name": longest, "count": 1}, ensure_ascii=False).encode()) is None
    assert reason(json.dumps({"name": longest + "가", "count": 1}).encode()) == "too-long"


def test_a_number_of_any_length_is_out_of_range_not_an_error() -> None:
    assert field(json_object(b'{"count": %s}' % (b"9" * 10_000)), "count", int) > 10**200


def test_many_repeated_fields_take_no_time() -> None:
    many = json_object(b"{" + b",".join(b'"%d":1' % (number // 2) for number in range(100_000)) + b"}")
    assert len(many.repeated) == 50_000
