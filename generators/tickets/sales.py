"""Ticket sales, as an endless stream of Kafka records; pure, so that the same plan gives the same bytes.

A show goes on sale every `burst_every_seconds`; the rate then leaps to `burst_factor` times the base rate and halves
every `burst_seconds`. Nearly all of a burst is for the new show; between bursts, tickets of the last shows are sold.
"""

import json
import math
import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from generators import plans
from generators.plans import UNPACED_RATE, Record, due_times
from generators.tickets import malformed
from generators.tickets.shows import Show, show

# As many shows are on sale at a time.
ON_SALE = 20
# Late sales were made 5 minutes to 3 hours before the stream reached them.
LATE_SECONDS = (300, 10_800)
# What is repeated, cancelled or sold once more is one of this many sales before.
REACH = 256
BUYERS = 200_000
_CHANNELS = {"web": 52, "app": 36, "box-office": 8, "partner": 4}


class _Sold(NamedTuple):
    """A ticket that was sold, as it was sent."""

    record: Record
    fields: dict[str, object]
    show: "_Sales"


@dataclass
class _Sales:
    """What one process has sold of a show.

    Attributes:
        show: The show.
        next: The number of the next seat that this process may sell.
        every: It sells every so many-th.
        returned: Seats that were given back, with their prices.
    """

    show: Show
    next: int
    every: int
    returned: deque[tuple[str, int]] = field(default_factory=deque)

    @property
    def has_new(self) -> bool:
        """Whether there are seats that were never sold."""
        return self.next < self.show.venue.seats

    @property
    def sold_out(self) -> bool:
        """Whether there is no seat left."""
        return not self.has_new and not self.returned

    def new_seat(self) -> tuple[str, int]:
        """A seat that was never sold, and its price in KRW."""
        seat = self.show.seat(self.next)
        self.next += self.every
        return seat


class _Box:
    """The shows on sale, as one process sees them; one that is sold out makes room for another."""

    def __init__(self, seed: int, process: int, processes: int) -> None:
        self._seed, self._process, self._processes = seed, process, processes
        self._on_sale = [self._open(-1 - number) for number in range(ON_SALE)]
        self._newest = -1
        self._oldest = -ON_SALE

    def _open(self, number: int) -> _Sales:
        return _Sales(show(self._seed, number), self._process, self._processes)

    def choose(self, newest: int, burst: float, draw: random.Random) -> _Sales:
        """A show with seats left.

        Args:
            newest: The number of the show that went on sale last.
            burst: What is for that one, as a multiple of what is for all the others.
            draw: Draws.
        """
        while self._newest < newest:
            self._newest += 1
            self._on_sale[self._newest % ON_SALE] = self._open(self._newest)
        place = newest % ON_SALE if draw.random() < burst / (1 + burst) else draw.randrange(ON_SALE)
        if self._on_sale[place].sold_out:
            self._oldest -= 1
            self._on_sale[place] = self._open(self._oldest)
        return self._on_sale[place]


@dataclass(frozen=True, kw_only=True)
class Plan(plans.Plan):
    """What a run produces, beside what every stream's has.

    Attributes:
        burst_every_seconds: How often a show goes on sale, the first one with the run; 0: never.
        burst_factor: The rate at that moment, as a multiple of `rate`.
        burst_seconds: In how many seconds what is above the base rate halves.
        cancelled_share: Share of the records that cancel an earlier sale.
        oversold_share: Share of the records that sell a seat that is taken.
    """

    DAMAGES = malformed.KINDS

    malformed_kinds: tuple[str, ...] = malformed.USUAL
    burst_every_seconds: float = 0.0
    burst_factor: float = 100.0
    burst_seconds: float = 10.0
    cancelled_share: float = 0.0
    oversold_share: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = (self.cancelled_share, self.oversold_share)
        taken = self.malformed_share + self.late_share + self.duplicate_share
        must_hold = {
            "the time between bursts must be 0 or more": 0 <= self.burst_every_seconds < math.inf,
            "a burst must be 1 time the base rate or more": 1 <= self.burst_factor < math.inf,
            "a burst must take some time": 0 < self.burst_seconds < math.inf,
            "the shares of cancelled and oversold tickets must not be negative": min(shares) >= 0,
            "all shares must add up to 1 at most": taken + sum(shares) <= 1,
        }
        for sentence, holds in must_hold.items():
            if not holds:
                raise ValueError(sentence)

    def burst_at(self, seconds: float) -> float:
        """What a burst adds to the rate, as a multiple of it; 0 where there are none."""
        if not self.burst_every_seconds:
            return 0.0
        return (self.burst_factor - 1) * math.exp2(-(seconds % self.burst_every_seconds) / self.burst_seconds)

    def rate_at(self, seconds: float) -> float:
        """Records per second over all processes, so many seconds after the start."""
        return (self.rate or UNPACED_RATE) * (1 + self.burst_at(seconds))

    def newest_at(self, seconds: float) -> int:
        """The number of the show that went on sale last."""
        return int(seconds // self.burst_every_seconds) if self.burst_every_seconds else 0

    def records(self, process: int = 0) -> Iterator[Record]:
        """The sales of one of the processes, from 0, in the order in which they are due, without end."""
        draw = random.Random(f"citystream tickets {self.seed} {process}")
        box = _Box(self.seed, process, self.processes)
        recent: deque[_Sold] = deque(maxlen=REACH)
        origin = self.start.timestamp()
        prefix = f"T{self.seed:x}-{process}-"
        number = 0
        for at in due_times(self.rate_at, self.processes, draw.random):
            now = origin + at
            luck = draw.random()
            if luck < self.duplicate_share and recent:
                yield draw.choice(recent).record._replace(kind="repeat", at=at)
                continue
            luck -= self.duplicate_share
            if 0 <= luck < self.cancelled_share and recent:
                sold = _taken_from(recent, draw)
                fields = {**sold.fields, "kind": "cancellation", "at": _moment(now)}
                sold.show.returned.append((str(fields["seat"]), int(str(fields["price"]))))
                yield Record(sold.record.key, _encoded(fields), "cancellation", "", at)
                continue
            luck -= self.cancelled_share
            number += 1
            if 0 <= luck < self.oversold_share and recent:
                first = _taken_from(recent, draw)  # neither of the two is cancelled later
                fields = {**first.fields, **_ticket(draw, prefix, number), "at": _moment(now)}
                yield Record(str(fields["ticket_id"]).encode(), _encoded(fields), "valid", "", at)
                continue
            luck -= self.oversold_share
            sales = box.choose(self.newest_at(at), self.burst_at(at), draw)
            # A seat that was given back can't have been sold long before: its first buyer had it then.
            late = 0 <= luck < self.late_share and sales.has_new
            seat, price = sales.new_seat() if late or not sales.returned else sales.returned.popleft()
            least, most = LATE_SECONDS
            placed = now - least * (most / least) ** draw.random() if late else now
            fields = {
                "kind": "sale",
                **_ticket(draw, prefix, number),
                "at": _moment(placed),
                "show_id": sales.show.show_id,
                "show_name": sales.show.name,
                "venue": sales.show.venue.name,
                "region": sales.show.venue.region,
                "seat": seat,
                "price": price,
            }
            key, value = str(fields["ticket_id"]).encode(), _encoded(fields)
            luck -= self.late_share
            if 0 <= luck < self.malformed_share:
                reason = draw.choice(self.malformed_kinds)
                yield Record(key, self.DAMAGES[reason](value, draw), "malformed", reason, at)
                continue
            record = Record(key, value, "valid", "late" if late else "", at)
            recent.append(_Sold(record, fields, sales))
            yield record


def _taken_from(recent: deque[_Sold], draw: random.Random) -> _Sold:
    index = draw.randrange(len(recent))
    sold = recent[index]
    del recent[index]
    return sold


def _ticket(draw: random.Random, prefix: str, number: int) -> dict[str, object]:
    """What is a ticket's own."""
    return {
        "ticket_id": f"{prefix}{number:09d}",
        "buyer_id": f"B{draw.randrange(BUYERS):06d}",
        "channel": draw.choices(list(_CHANNELS), list(_CHANNELS.values()))[0],
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encoded(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
