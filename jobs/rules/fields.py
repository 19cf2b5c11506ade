"""Reading what others send: JSON objects, their fields and numbers, and why a record can't be used.

JSON is judged as RecordJsonParser.java judges it in the JVM; tests/cases/json.json holds both to the same reasons.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn

MAX_TEXT_BYTES = 4_096
MAX_KEY = 64
# ASCII digits only: Decimal would also take other scripts' digits, underscores, NaN and exponents of any size.
NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What JSON and XML call whitespace.
BLANK = b" \t\r\n"
# A pair of surrogates, any other escape of a UTF-16 unit, or another escape.
ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(....)|\\.")
# More digits are out of every range, and Python reads only some thousand.
MAX_DIGITS = 300
KOREA = timezone(timedelta(hours=9))


class Reason(StrEnum):
    """Why a record can't be used; dead letters name it, and metrics are counted by it."""

    NULL_VALUE = "null-value"
    EMPTY = "empty"
    INVALID_UTF8 = "invalid-utf8"
    NUL_BYTE = "nul-byte"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    HTML_PAGE = "html-page"
    NOT_XML = "not-xml"
    FORBIDDEN_XML = "forbidden-xml"
    NOT_AN_ANSWER = "not-an-answer"
    API_ERROR = "api-error"
    MISSING_FIELD = "missing-field"
    DUPLICATE_FIELD = "duplicate-field"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    TOO_LONG = "too-long"
    KEY_MISMATCH = "key-mismatch"


class RejectedError(Exception):
    """A record can't be used; it becomes a dead letter with this reason, and a detail of what was found where."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value, detail)
        self.reason = reason.value
        self.detail = detail


def present(value: bytes | None) -> bytes:
    """The record's value, unless there is none.

    Raises:
        RejectedError: a tombstone, or nothing but whitespace.
    """
    if value is None:
        raise RejectedError(Reason.NULL_VALUE)
    if not value.strip(BLANK):
        raise RejectedError(Reason.EMPTY)
    return value


class Fields(dict[str, Any]):
    """A JSON object, and which of its fields stood there more than once."""

    repeated: Collection[str] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> "Fields":
        """From the object's fields as they stand."""
        found = cls(pairs)
        if len(found) < len(pairs):
            times = Counter(name for name, _ in pairs)
            found.repeated = {name for name, count in times.items() if count > 1}
        return found


def json_object(value: bytes | None) -> Fields:
    """The record's value as a JSON object (RFC 8259, strictly).

    Raises:
        RejectedError: it is something else, or a string in it holds NUL or half a character.
    """
    body = present(value)
    try:
        text = body.decode("utf-8")
        found = json.loads(
            text,
            object_pairs_hook=Fields.of,
            parse_int=lambda digits: int(digits[:MAX_DIGITS]),
            parse_constant=_no_number,
        )
    except UnicodeDecodeError as error:
        cut_off = error.reason == "unexpected end of data"
        raise RejectedError(Reason.NOT_JSON if cut_off else Reason.INVALID_UTF8, str(error)) from error
    except json.JSONDecodeError as error:
        raw_nul = error.msg.startswith("Invalid control character") and text[error.pos] == "\0"
        raise RejectedError(Reason.NUL_BYTE if raw_nul else Reason.NOT_JSON, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise RejectedError(Reason.NOT_JSON, str(error)) from error
    for escape in ESCAPE.finditer(text):
        unit = int(escape[1] or "20", 16)
        if unit == 0:
            raise RejectedError(Reason.NUL_BYTE, f"U+0000 as an escape, at character {escape.start()}")
        if 0xD800 <= unit <= 0xDFFF:
            raise RejectedError(Reason.INVALID_UTF8, f"half a character as an escape, at character {escape.start()}")
    if not isinstance(found, Fields):
        raise RejectedError(Reason.NOT_AN_OBJECT, f"expected an object, found {type(found).__name__}")
    return found


def _no_number(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise ValueError(message)


def fetched(at: int) -> datetime:
    """When a record was fetched, in Korea, from its timestamp in ms since 1970.

    Raises:
        RejectedError: it has none (Kafka says -1), or one that can't be; versions are made of them.
    """
    try:
        when = datetime.fromtimestamp(at / 1000, UTC).astimezone(KOREA)
    except (ValueError, OverflowError, OSError):
        when = None
    if when is None or not 2000 <= when.year < 2100:
        raise RejectedError(Reason.OUT_OF_RANGE, f"the record's timestamp is not within the years 2000 to 2099: {at}")
    return when


def storable(name: str, text: str, *, longest: int = MAX_TEXT_BYTES) -> str:
    """Text that a database takes.

    Raises:
        RejectedError: NUL, a lone surrogate, or more than `longest` bytes of UTF-8.
    """
    if "\0" in text:
        raise RejectedError(Reason.NUL_BYTE, f"{name} holds U+0000")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise RejectedError(Reason.INVALID_UTF8, f"{name}: {error.reason}") from error
    if size > longest:
        raise RejectedError(Reason.TOO_LONG, f"{name} has more than {longest} bytes")
    return text


def field(record: Fields, name: str, kind: type, *, optional: bool = False) -> Any:  # noqa: ANN401 - a `kind`
    """A field of that type; None where it is optional and absent or null.

    Raises:
        RejectedError: it is missing, there twice, of another type, or beyond a double. `true` is no number.
    """
    if name in record.repeated:
        raise RejectedError(Reason.DUPLICATE_FIELD, f"{name} is there more than once")
    found = record.get(name)
    if found is None:
        if optional:
            return None
        raise RejectedError(Reason.MISSING_FIELD, name)
    if isinstance(found, bool) or not isinstance(found, (int, float) if kind is float else kind):
        raise RejectedError(Reason.WRONG_TYPE, f"{name}: expected {kind.__name__}, found {type(found).__name__}")
    if isinstance(found, float) and not math.isfinite(found):
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is beyond what a double holds")
    return storable(name, found) if isinstance(found, str) else found


def identifier(record: Fields, name: str) -> str:
    """A field that is part of a key: 1 to 64 characters."""
    return key_part(name, field(record, name, str))


def key_part(name: str, found: str) -> str:
    """Text that is part of a key: 1 to 64 characters.

    Raises:
        RejectedError: it is empty or longer.
    """
    if not found:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is empty")
    if len(found) > MAX_KEY:
        raise RejectedError(Reason.TOO_LONG, f"{name} has more than {MAX_KEY} characters")
    return found


def number(name: str, text: str, low: int, high: int) -> Decimal:
    """A decimal number written out, from `low` to `high`.

    Raises:
        RejectedError: it is no number, or out of that range.
    """
    if not NUMBER.fullmatch(text):
        raise RejectedError(Reason.WRONG_TYPE, f"{name}: expected a number, found {text[:40]!r}")
    found = Decimal(text)
    if not low <= found <= high:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is not within {low} to {high}: {text}")
    return found


def same_key(key: str | None, *parts: str) -> None:
    """Refuse a record whose key is not that of its content: records of one key keep their order, others don't.

    Raises:
        RejectedError: they differ.
    """
    if key != (content := "|".join(parts)):
        raise RejectedError(Reason.KEY_MISMATCH, f"the key is {(key or '')[:200]!r}, the content says {content!r}")
