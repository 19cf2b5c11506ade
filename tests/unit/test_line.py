"""Who asks when: nobody too early, nobody twice, nobody forgotten, and no more at once than there is room for."""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.rules.line import LOOK_MS, Answer, Line


@dataclass
class Town:
    """A line, whose questions a service answers at its own pace, and a timer for each key."""

    rate: float
    concurrency: int
    service_rate: float
    fails: float = 0
    seed: int = 0
    now: int = 1_000_000
    asked: Counter[str] = field(default_factory=Counter)
    asked_at: list[int] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    comes: Counter[str] = field(default_factory=Counter)
    most_asking: int = 0

    def __post_init__(self) -> None:
        self.line = Line(self._ask, rate_per_second=self.rate, concurrency=self.concurrency)
        self._random = Random(self.seed)
        self._events: list[tuple[int, int, str, str]] = []
        self._free_at = 0.0

    def _at(self, when: int, what: str, key: str) -> None:
        heapq.heappush(self._events, (when, self._random.getrandbits(32), what, key))

    def _ask(self, key: str) -> None:
        self.asked[key] += 1
        self.asked_at.append(self.now)
        self._free_at = max(self._free_at, self.now) + 1000 / self.service_rate
        self._at(int(self._free_at) + 40, "fail" if self._random.random() < self.fails else "answer", key)

    def come(self, key: str, *, called: bool) -> None:
        self.comes[key] += 1
        told = self.line.come(key, self.now, called=called)
        self.most_asking = max(self.most_asking, self.line.asking)
        if isinstance(told, Answer):
            assert key not in self.answers
            self.answers[key] = self.now
        else:
            assert told > self.now
            self._at(told, "come", key)

    def run(self, until: int | None = None) -> None:
        while self._events and (until is None or self._events[0][0] <= until):
            self.now, _, what, key = heapq.heappop(self._events)
            if what == "come":
                self.come(key, called=True)
            elif what == "answer":
                self.line.answered(key, Answer(f"answer to {key}"))
            else:
                self.line.put_off(key, self.now + 3_000)


@given(
    keys=st.integers(1, 400),
    rate=st.floats(5, 200),
    concurrency=st.integers(1, 32),
    slowness=st.floats(0.2, 5),
    fails=st.floats(0, 0.5),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_each_is_answered_once_whatever_the_service_does(
    keys: int, rate: float, concurrency: int, slowness: float, fails: float, seed: int
) -> None:
    town = Town(rate, concurrency, rate / slowness, fails, seed)
    for number in range(keys):
        town.come(f"{number}", called=False)
    town.run()
    assert len(town.answers) == keys
    assert town.most_asking <= concurrency + 2 * rate
    if not fails:
        assert set(town.asked.values()) == {1}


def test_a_line_keeps_the_pace_and_its_timers_are_few() -> None:
    town = Town(rate=100, concurrency=16, service_rate=100)
    for number in range(3_000):
        town.come(f"{number}", called=False)
    begun = town.now
    town.run()
    took = (max(town.answers.values()) - begun) / 1000
    assert took < 30 / 0.9
    assert sum(town.comes.values()) < 4 * 3_000


def test_all_who_were_called_at_once_after_a_restart_are_asked_at_the_same_pace() -> None:
    town = Town(rate=100, concurrency=16, service_rate=100)
    for number in range(2_000):
        town.come(f"{number}", called=True)
    assert town.line.asking <= 16 + 200
    begun = town.now
    town.run()
    assert (max(town.answers.values()) - begun) / 1000 < 20 / 0.9
    assert set(town.asked.values()) == {1}


def test_nobody_asks_while_the_line_is_closed_and_all_do_afterwards() -> None:
    town = Town(rate=50, concurrency=4, service_rate=50)
    for number in range(500):
        town.come(f"{number}", called=False)
    town.run(town.now + 1_000)
    opens = town.now + 3_600_000
    town.line.close(opens)
    assert town.line.is_closed(opens - 1)
    assert not town.line.is_closed(opens)
    closed = len(town.asked_at)
    town.come("new", called=False)
    town.run()
    assert len(town.answers) == 501
    assert min(town.asked_at[closed:]) >= opens
    assert (town.now - opens) / 1000 < 501 / 50 / 0.9
    # Nobody is woken over and over in the meantime.
    assert max(town.comes.values()) <= 8


def test_who_is_put_off_comes_back_then_and_holds_up_nobody() -> None:
    asked: list[str] = []
    line = Line(asked.append, rate_per_second=10, concurrency=2)
    line.come("a", 0, called=False)
    line.put_off("a", 60_000)
    assert line.come("a", LOOK_MS, called=True) == 60_000
    assert line.come("b", LOOK_MS, called=False) == 2 * LOOK_MS
    assert asked == ["a", "b"]
    line.come("a", 60_000, called=True)
    assert asked == ["a", "b", "a"]


def test_an_answer_is_taken_once_and_can_say_that_there_is_none() -> None:
    asked: list[str] = []
    line = Line(asked.append, rate_per_second=10, concurrency=2)
    line.come("a", 0, called=False)
    line.answered("a", Answer(None, "given up"))
    assert line.come("a", LOOK_MS, called=True) == Answer(None, "given up")
    line.come("a", 2 * LOOK_MS, called=False)
    assert asked == ["a", "a"]
