"""When a job is to have another parallelism: a rule over what is seen of it, without a clock and without Flink.

More only helps a job that is busy; a job that is behind because a sink holds it back is left alone. What is asked for
has to have been so for a while (hysteresis), and after a change the rule looks on until that shows.
"""

import math
from dataclasses import dataclass

from conf.settings import Autoscaler


@dataclass(frozen=True)
class Seen:
    """What is known of a job at a moment.

    Attributes:
        at: the moment, in seconds of whatever clock.
        parallelism: what it runs with.
        lag: records that it has not read yet.
        rate: records that it reads per second.
        busy: the share of time, 0 to 1, that the busiest of its tasks works, over all subtasks of that task.
        possible: the most that slots, and the job itself, let it have.
    """

    at: float
    parallelism: int
    lag: float | None
    rate: float | None
    busy: float | None
    possible: int


@dataclass(frozen=True)
class Decision:
    """A parallelism, which may be the one that is, and why."""

    parallelism: int
    reason: str


class Rule:
    """Decides from one look after the other.

    Args:
        limits: the section `autoscaler` of the settings.
    """

    def __init__(self, limits: Autoscaler) -> None:
        self._limits = limits
        self._changed: float | None = None
        self._since: tuple[str, float] = ("", 0.0)

    def changed(self, at: float) -> None:
        """The job was given another parallelism at this moment."""
        self._changed, self._since = at, ("", at)

    def decide(self, seen: Seen) -> Decision:
        """What the job is to have now."""
        limits = self._limits
        if seen.lag is None or seen.rate is None or seen.busy is None:
            return self._stay(seen, "its metrics are not known yet")
        if self._changed is not None and seen.at - self._changed < limits.pause_seconds:
            left = limits.pause_seconds - (seen.at - self._changed)
            return Decision(seen.parallelism, f"the last change is too fresh: {left:.0f} s more")
        load = f"busy {seen.busy:.0%}, {seen.lag:,.0f} records behind at {seen.rate:,.0f}/s"
        behind = seen.lag >= limits.lag_seconds * max(seen.rate, 1)
        if behind and seen.busy < limits.busy_above:
            return self._stay(seen, f"{load}: none of its tasks is busy, so that more of them would not help")
        if behind:
            return self._up(seen, load)
        fewer = self._fewer(seen, seen.busy)
        if fewer < seen.parallelism:
            return self._down(seen, fewer, load)
        return self._stay(seen, f"{load}: it keeps up")

    def _up(self, seen: Seen, load: str) -> Decision:
        limits = self._limits
        most = min(limits.most, seen.possible)
        if seen.parallelism >= most:
            what = "the limit" if most == limits.most else "all that slots allow (`make workers` brings more)"
            return self._stay(seen, f"{load}: it has {seen.parallelism}, {what}")
        for_how_long = self._for("up", seen.at)
        if for_how_long < limits.up_after_seconds:
            return Decision(seen.parallelism, f"{load}: more, if it stays so for {limits.up_after_seconds:g} s")
        # It has to work off what it is behind besides what comes: at least half as much again.
        return Decision(min(most, math.ceil(seen.parallelism * 1.5)), f"{load} for {for_how_long:.0f} s: more")

    def _fewer(self, seen: Seen, busy: float) -> int:
        """The least parallelism at which the work that there is keeps its tasks below `busy_below`."""
        needed = math.ceil(seen.parallelism * busy / self._limits.busy_below)
        return min(seen.parallelism, max(self._limits.least, needed))

    def _down(self, seen: Seen, fewer: int, load: str) -> Decision:
        for_how_long = self._for("down", seen.at)
        if for_how_long < self._limits.down_after_seconds:
            wait = self._limits.down_after_seconds
            return Decision(seen.parallelism, f"{load}: {fewer} would do, if it stays so for {wait:g} s")
        # One at a time: what is taken away too soon costs a restart to bring back.
        return Decision(seen.parallelism - 1, f"{load} for {for_how_long:.0f} s: fewer would do")

    def _stay(self, seen: Seen, reason: str) -> Decision:
        self._since = ("", seen.at)
        return Decision(seen.parallelism, reason)

    def _for(self, wish: str, at: float) -> float:
        """How long the wish has been the same."""
        if self._since[0] != wish:
            self._since = (wish, at)
        return at - self._since[1]
