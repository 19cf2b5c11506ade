"""What a stream says of the records that its generator makes: what they are, and when they are due."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import ClassVar, NamedTuple

# How often a rate is asked what it is by now: a burst begins within this time.
RATE_STEP_SECONDS = 1.0

# Without a rate, records are this many per second by their own clock: faster than any process sends them, so that none
# is of the future.
UNPACED_RATE = 100_000.0

# Records per second over all processes, at so many seconds after the start; it may change by any factor.
Rate = Callable[[float], float]
# What takes a valid record's value, and returns what is sent in its place.
Damage = Callable[[bytes, Random], bytes | None]


class Record(NamedTuple):
    """One Kafka record.

    Attributes:
        key: What its partition is chosen by; a valid record's ends with a hyphen and its number.
        value: What is sent; None for a tombstone.
        kind: What a consumer should make of it: `valid`, `malformed`, `repeat`, or another kind of the stream's own.
        reason: For malformed records the kind of damage; "late" for valid ones that come late; else empty.
        at: When it is due, seconds after the start of the run.
    """

    key: bytes
    value: bytes | None
    kind: str
    reason: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """What a run produces. Equal plans give equal records, byte for byte; each process makes its share of them.

    Attributes:
        seed: Chooses the records and stands in their ids: different seeds never share an id.
        start: The time of the first record; with a time zone.
        rate: Records per second over all processes, in the mean; 0 for no pace at all.
        processes: How many streams the run is made of.
        malformed_share: Share of the records that break the wire contract.
        late_share: Share of the records whose time is long before.
        duplicate_share: Share of the records that repeat an earlier one.
        malformed_kinds: The kinds of damage to draw from, of `DAMAGES`.
        time_zone: The city's, for rates that follow its hours.
    """

    DAMAGES: ClassVar[Mapping[str, Damage]]

    seed: int
    start: datetime
    rate: float = 0.0
    processes: int = 1
    malformed_share: float = 0.0
    late_share: float = 0.0
    duplicate_share: float = 0.0
    malformed_kinds: tuple[str, ...]
    time_zone: str = "Asia/Seoul"

    def __post_init__(self) -> None:
        shares = (self.malformed_share, self.late_share, self.duplicate_share)
        kinds = ", ".join(self.DAMAGES)
        must_hold = {
            "the seed must lie between 0 and 2^64 - 1": 0 <= self.seed < 2**64,
            "the start needs a time zone, as in 2026-11-21T09:00:00+09:00": self.start.tzinfo is not None,
            "the rate must be 0 or more": 0 <= self.rate < math.inf,
            "there must be at least one process": self.processes >= 1,
            "the shares of malformed, late and repeated records must not be negative": min(shares) >= 0,
            "the shares of malformed, late and repeated records must add up to 1 at most": sum(shares) <= 1,
            f"malformed kinds are one or more of {kinds}": set() < {*self.malformed_kinds} <= {*self.DAMAGES},
        }
        for sentence, holds in must_hold.items():
            if not holds:
                raise ValueError(sentence)

    @abstractmethod
    def records(self, process: int = 0) -> Iterator[Record]:
        """The records of one of the processes, from 0, in the order in which they are due, without end."""


def due_times(rate: Rate, processes: int, uniform: Callable[[], float]) -> Iterator[float]:
    """When the records of one process are due: seconds after the start, rising, with gaps that vary by half.

    Args:
        rate: Asked once per `RATE_STEP_SECONDS`; a gap that reaches beyond is shortened by a rate that has grown.
        processes: How many share the rate.
        uniform: Draws from 0 to 1.
    """
    at = step_ends = per_second = 0.0
    while True:
        yield at
        owed = 0.5 + uniform()
        while True:
            if at >= step_ends:
                step_ends = at + RATE_STEP_SECONDS
                per_second = rate(at) / processes
            within = (step_ends - at) * per_second
            if owed < within:
                at += owed / per_second
                break
            owed -= within
            at = step_ends
