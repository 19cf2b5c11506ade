"""What the answer of any API may come to: a reading, a refusal and what to do about it, or a body nobody can read.

Pure, and without an HTTP client, as are the modules that read one API's answers: the rules of jobs use them, too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import NamedTuple

# In seconds, as an HTTP date, or either, depending on who sends it.
_WAITS = ("retry-after", "ratelimit-reset")
_LONGEST_WAIT_SECONDS = 86_400.0
# Of what an answer says of itself; a record may hold a megabyte of it.
_MOST_CHARACTERS = 400


class Flaw(StrEnum):
    """What is wrong with a body that can't be read, as dead letters name it."""

    EMPTY = "empty"
    HTML_PAGE = "html-page"
    NOT_XML = "not-xml"
    NOT_JSON = "not-json"
    FORBIDDEN_XML = "forbidden-xml"
    NOT_AN_ANSWER = "not-an-answer"
    MISSING_FIELD = "missing-field"
    DUPLICATE_FIELD = "duplicate-field"
    WRONG_TYPE = "wrong-type"
    TOO_LONG = "too-long"
    KEY_MISMATCH = "key-mismatch"


class Response(NamedTuple):
    """An answer over HTTP; the headers' names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class Reaction(Enum):
    """What to do about a refusal."""

    RETRY = "try again with growing pauses, or when the answer says"
    SPENT = "wait for the quota's next day, or minute"
    OPERATOR = "stop: somebody has to do something about the key"
    CONFIGURATION = "stop: the call itself is wrong"
    NOT_YET = "leave it: there is no data for today yet"


class RefusedError(Exception):
    """A service or its gateway answered with an error.

    Attributes:
        code: its code, or the HTTP status.
        reaction: what to do about it.
        remedy: what somebody has to do, where it is somebody's turn.
    """

    def __init__(self, code: str, text: str, reaction: Reaction, remedy: str = "") -> None:
        super().__init__(f"{code} {text}".strip()[:_MOST_CHARACTERS])
        self.code = code
        self.reaction = reaction
        self.remedy = remedy


class UnreadableError(Exception):
    """A body that is no answer: broken, a bomb, a page of HTML, or about something else than what was asked.

    Attributes:
        flaw: what is wrong with it, as dead letters name it.
    """

    def __init__(self, flaw: Flaw, detail: str) -> None:
        super().__init__(detail[:_MOST_CHARACTERS])
        self.flaw = flaw


def by_status(response: Response, *, key: str, call: str) -> RefusedError | None:
    """The refusal that the HTTP status alone tells of; None: it tells of none.

    Args:
        response: the answer.
        key: what to do where the key is refused.
        call: what to do where the call is wrong.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        return RefusedError(f"HTTP {status}", "", Reaction.OPERATOR, key)
    if status in (408, 429) or status >= 500:
        return RefusedError(f"HTTP {status}", "", Reaction.RETRY)
    return RefusedError(f"HTTP {status}", "", Reaction.CONFIGURATION, call)


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """For how many seconds an answer asks to wait, at most a day; None: it doesn't ask."""
    for text in filter(None, map(headers.get, _WAITS)):
        seconds = _seconds(text.strip(), now)
        if seconds is not None:
            return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)
    return None


def _seconds(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
