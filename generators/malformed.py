"""Records that break a wire contract of JSON objects, each in its own way; a stream says which of its fields are what.

Every kind takes a valid record's value and returns what is sent in its place. Pure and deterministic: the same value
and the same draws give the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from generators.plans import Damage

HUGE_BYTES = 1_000_000


@dataclass(frozen=True)
class Contract:
    """What a stream's records have to hold.

    Attributes:
        required: The fields that may not be missing.
        wrong_types: Fields with values that no lenient reader can take for what the field should hold, as it could the
            string "12000" for a number.
        id: The field with the record's id, of at most 64 characters.
        time: The field with its time.
        amount: A field with a whole number that is not negative.
        numbers: Fields with numbers.
        text: A field with any text.
    """

    required: tuple[str, ...]
    wrong_types: tuple[tuple[str, object], ...]
    id: str
    time: str
    amount: str
    numbers: tuple[str, ...]
    text: str

    def kinds(self, own: Mapping[str, Damage]) -> dict[str, Damage]:
        """Every kind of damage by its name; `own` are those of the stream alone."""
        return {
            "not_json": self._not_json,
            "truncated": _truncated,
            "empty": _empty,
            "null": _null,
            "array": _array,
            "missing_field": self._missing_field,
            "wrong_type": self._wrong_type,
            "not_a_time": self._not_a_time,
            f"negative_{self.amount}": self._negative_amount,
            "nan": self._nan,
            "nul": self._nul,
            "invalid_utf8": _invalid_utf8,
            "year_9999": self._year_9999,
            **own,
            "long_id": self._long_id,
            "huge": self._huge,
        }

    def _not_json(self, value: bytes, draw: Random) -> bytes:
        return f"{self.id} {json.loads(value)[self.id]}: two of them, the usual address".encode()

    def _missing_field(self, value: bytes, draw: Random) -> bytes:
        fields = json.loads(value)
        del fields[draw.choice(self.required)]
        return _encoded(fields)

    def _wrong_type(self, value: bytes, draw: Random) -> bytes:
        field, wrong = draw.choice(self.wrong_types)
        return changed(value, **{field: wrong})

    def _not_a_time(self, value: bytes, draw: Random) -> bytes:
        return changed(value, **{self.time: draw.choice(("yesterday at noon", "2026-02-30T12:00:00.000Z", ""))})

    def _negative_amount(self, value: bytes, draw: Random) -> bytes:
        return changed(value, **{self.amount: -json.loads(value)[self.amount]})

    def _nan(self, value: bytes, draw: Random) -> bytes:
        """NaN is what careless encoders write; it is not JSON."""
        return changed(value, **{draw.choice(self.numbers): float("nan")})

    def _nul(self, value: bytes, draw: Random) -> bytes:
        r"""Well-formed JSON (the NUL is escaped as \u0000), yet PostgreSQL takes no text with a NUL in it."""
        return changed(value, **{self.text: json.loads(value)[self.text] + "\0"})

    def _year_9999(self, value: bytes, draw: Random) -> bytes:
        return changed(value, **{self.time: "9999-12-31T23:59:59.999Z"})

    def _long_id(self, value: bytes, draw: Random) -> bytes:
        return changed(value, **{self.id: json.loads(value)[self.id].ljust(65, "0")})

    def _huge(self, value: bytes, draw: Random) -> bytes:
        """Just under what a broker takes by default (1 MiB); the contract bounds only the length of the id."""
        its_id = json.loads(value)[self.id]
        return changed(value, **{self.id: its_id.ljust(HUGE_BYTES - len(value) + len(its_id), "0")})


def usual(kinds: Mapping[str, Damage]) -> tuple[str, ...]:
    """`huge` is drawn only when it is asked for: at a share of 1 % it would outweigh all others."""
    return tuple(kind for kind in kinds if kind != "huge")


def changed(value: bytes, **fields: object) -> bytes:
    """The object with other values in these fields."""
    return _encoded({**json.loads(value), **fields})


def _encoded(value: Any) -> bytes:  # noqa: ANN401 - what JSON takes
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _truncated(value: bytes, draw: Random) -> bytes:
    return value[: draw.randint(1, len(value) - 1)]


def _empty(value: bytes, draw: Random) -> bytes:
    return b""


def _null(value: bytes, draw: Random) -> None:
    """A tombstone: a key without a value."""
    return


def _array(value: bytes, draw: Random) -> bytes:
    return b"[" + value + b"]"


def _invalid_utf8(value: bytes, draw: Random) -> bytes:
    """The classic: Korean text in the legacy encoding."""
    return value.decode().encode("cp949", errors="replace")
