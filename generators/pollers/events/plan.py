"""What is asked of the events API, and how far an answer brings one. Pure.

Events are read in the order of `updated`, and each page is asked for by the `updated` of the last event on the one
before rather than by an offset. An event that is updated meanwhile moves to the end, where it is still to come; with an
offset, whatever stood behind its old place would move up by one, and one event would fall between two pages. A plan
that caps the rows of a search caps nothing here, either: the next page is a search of its own.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apis.answers import Flaw, UnreadableError
from apis.predicthq import Page
from conf.settings import EventsPoller
from generators.pollers.state import Message

TOPIC = "events.raw"
STATES = "active,deleted"
SECOND = timedelta(seconds=1)
# Before any event: where the first pull begins, unless a setting says otherwise.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_UPDATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True)
class Search:
    """Events of a country that were updated from one moment on, or within one second.

    Attributes:
        country: ISO 3166, two letters.
        categories: of events.
        since: the moment.
        before: when it ends; None: never.
        least_rank: of the events; None: any.
        offset: how many to leave out, within a second.
    """

    country: str
    categories: Sequence[str]
    since: datetime
    before: datetime | None = None
    least_rank: int | None = None
    offset: int = 0

    def parameters(self, limit: int) -> Mapping[str, str]:
        """Of the query."""
        return {
            "country": self.country,
            "category": ",".join(self.categories),
            "state": STATES,
            "updated.gte": written(self.since),
            **({"updated.lt": written(self.before)} if self.before else {}),
            **({} if self.least_rank is None else {"rank.gte": str(self.least_rank)}),
            "sort": "updated",
            "limit": str(limit),
            **({"offset": str(self.offset)} if self.offset else {}),
        }

    def check(self, page: Page) -> None:
        """Refuse a page that was not asked for: it would move on what was never read.

        Raises:
            UnreadableError: events that were updated before, or that are in no order.
        """
        times = [at for event in page.events if (at := updated(event))]
        if times != sorted(times) or (times and times[0] < self.since):
            raise UnreadableError(Flaw.KEY_MISMATCH, f"not the events since {written(self.since)}, in their order")
        if not is_last(page) and not times:
            raise UnreadableError(Flaw.NOT_AN_ANSWER, "a page without an event, and more behind it")


def first(chosen: EventsPoller, country: str, known: datetime | None) -> Search:
    """Where a pull begins.

    The first one asks only for what ranks high enough. Later ones ask for all: an event that was sent and ranks lower
    now would otherwise stay as it was for ever.

    Args:
        chosen: the settings.
        country: whose events.
        known: up to when its events are known; None: there was no pull.
    """
    if known is None:
        return Search(country, chosen.categories, chosen.since or BEGINNING, least_rank=chosen.least_rank)
    return Search(country, chosen.categories, known - timedelta(minutes=chosen.overlap_minutes))


def newest(page: Page) -> datetime | None:
    """When the last event of a page was updated."""
    return max((at for event in page.events if (at := updated(event))), default=None)


def is_last(page: Page) -> bool:
    """Whether nothing is behind a page, not even beyond what the plan lets one reach."""
    return not page.has_next and not page.overflow


def updated(event: Mapping[str, Any]) -> datetime | None:
    """When an event was updated, to the second; None: it doesn't say, which is the job's to judge."""
    text = event.get("updated")
    if not isinstance(text, str) or not _UPDATED.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(microsecond=0)
    except ValueError:
        return None


def written(moment: datetime) -> str:
    """A moment as the API takes it: UTC, without saying so."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def message(event: Mapping[str, Any], url: str, fetched_ms: int) -> Message:
    """An event as it came; one without an id that is a text has the empty key, and becomes a dead letter."""
    value = json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Message(TOPIC, _id(event) or "", value, url, fetched_ms)


def wanted(event: Mapping[str, Any], least_rank: int, is_known: Callable[[str], bool]) -> bool:
    """Whether an event goes on: it ranks high enough, was sent before, or can't be judged here."""
    rank, found = event.get("rank"), _id(event)
    if not isinstance(rank, (int, float)) or found is None:
        return True
    return rank >= least_rank or is_known(found)


def _id(event: Mapping[str, Any]) -> str | None:
    """An event's id; None: it has none, or half a character is in it, which is no text."""
    found = event.get("id")
    return found if isinstance(found, str) and found.isprintable() else None
