"""The autoscaler's rule: when a job gets more or fewer subtasks, when it is left alone, and what is said of it."""

import math

import pytest

from conf.settings import load
from control.autoscaling import Rule, Seen

LIMITS = load().autoscaler.model_copy(
    update={
        "least": 1,
        "most": 4,
        "lag_seconds": 10.0,
        "busy_above": 0.7,
        "busy_below": 0.5,
        "up_after_seconds": 15.0,
        "down_after_seconds": 120.0,
        "pause_seconds": 60.0,
    }
)


def seen(
    at: float, *, parallelism: int = 2, busy: float | None = 0.9, lag: float | None = 50_000, **more: object
) -> Seen:
    return Seen(
        **{"at": at, "parallelism": parallelism, "busy": busy, "lag": lag, "rate": 1000.0, "possible": 8, **more}
    )  # type: ignore[arg-type]


def test_a_job_that_is_behind_and_busy_for_long_enough_gets_more() -> None:
    rule = Rule(LIMITS)
    for at in (0, 5, 10):
        decision = rule.decide(seen(at))
        assert decision.parallelism == 2
        assert "more, if it stays so for 15 s" in decision.reason
    decision = rule.decide(seen(15))
    assert decision.parallelism == 3
    assert "busy 90%, 50,000 records behind at 1,000/s for 15 s" in decision.reason


def test_where_no_lag_is_asked_for_a_busy_job_gets_more() -> None:
    rule = Rule(LIMITS.model_copy(update={"lag_seconds": 0.0, "up_after_seconds": 0.0}))
    assert rule.decide(seen(0, lag=0.0, busy=0.8)).parallelism == 3
    assert rule.decide(seen(1, lag=0.0, busy=0.6)).parallelism == 2


def test_a_moment_of_calm_begins_anew() -> None:
    rule = Rule(LIMITS)
    for at, lag in ((0, 50_000), (10, 50_000), (14, 100), (16, 50_000), (30, 50_000)):
        assert rule.decide(seen(at, lag=lag)).parallelism == 2
    assert rule.decide(seen(31, lag=50_000)).parallelism == 3


def test_a_job_that_a_sink_holds_back_is_left_alone() -> None:
    rule = Rule(LIMITS)
    for at in range(0, 600, 5):
        decision = rule.decide(seen(at, busy=0.2, lag=10_000_000, rate=0.0))
        assert decision.parallelism == 2
        assert "more of them would not help" in decision.reason


@pytest.mark.parametrize(
    ("parallelism", "possible", "words"), [(4, 8, "the limit"), (3, 3, "all that slots allow"), (6, 8, "the limit")]
)
def test_never_more_than_allowed(parallelism: int, possible: int, words: str) -> None:
    rule = Rule(LIMITS)
    decisions = [rule.decide(seen(at, parallelism=parallelism, possible=possible)) for at in range(0, 100, 5)]
    assert {each.parallelism for each in decisions} == {parallelism}
    assert all(words in each.reason for each in decisions)


def test_more_stops_at_the_slots() -> None:
    rule = Rule(LIMITS)
    rule.decide(seen(0, parallelism=2, possible=3))
    assert rule.decide(seen(20, parallelism=2, possible=3)).parallelism == 3


def test_an_idle_job_gives_one_back_after_a_long_while() -> None:
    rule = Rule(LIMITS)
    for at in range(0, 120, 5):
        assert rule.decide(seen(at, parallelism=4, busy=0.1, lag=10)).parallelism == 4
    decision = rule.decide(seen(120, parallelism=4, busy=0.1, lag=10))
    assert decision.parallelism == 3
    assert "fewer would do" in decision.reason


@pytest.mark.parametrize("busy", [0.0, 0.1])
def test_never_fewer_than_allowed(busy: float) -> None:
    rule = Rule(LIMITS)
    assert all(rule.decide(seen(at, parallelism=1, busy=busy, lag=0)).parallelism == 1 for at in range(0, 600, 5))


def test_fewer_only_where_they_would_not_be_too_busy() -> None:
    """Two at 30 % are one at 60 %, which is above `busy_below`; so nothing swings to and fro."""
    rule = Rule(LIMITS)
    assert all(rule.decide(seen(at, busy=0.3, lag=0)).parallelism == 2 for at in range(0, 600, 5))


def test_after_a_change_it_looks_on() -> None:
    rule = Rule(LIMITS)
    rule.decide(seen(0))
    assert rule.decide(seen(20)).parallelism == 3
    rule.changed(25)
    decision = rule.decide(seen(45, parallelism=3))
    assert decision.parallelism == 3
    assert "too fresh: 40 s more" in decision.reason
    assert rule.decide(seen(86, parallelism=3)).parallelism == 3, "and has to see it for a while again"
    assert rule.decide(seen(101, parallelism=3)).parallelism == 4


@pytest.mark.parametrize("unknown", ["busy", "lag", "rate"])
def test_what_is_not_known_changes_nothing(unknown: str) -> None:
    rule = Rule(LIMITS)
    decision = rule.decide(seen(0, **{unknown: None}))
    assert decision.parallelism == 2
    assert "not known" in decision.reason


def test_a_steady_load_is_settled_in_the_end() -> None:
    """Whatever the load, from some moment on nothing is changed any more."""
    for work in (0.1, 0.6, 1.0, 1.7, 2.5, 9.0):
        rule, parallelism, changes, last = Rule(LIMITS), 2, 0, 0
        for at in range(0, 3600, 5):
            busy = min(1.0, work / parallelism)
            lag = math.inf if work > parallelism else 0
            decision = rule.decide(seen(at, parallelism=parallelism, busy=busy, lag=lag))
            if decision.parallelism != parallelism:
                parallelism, changes, last = decision.parallelism, changes + 1, at
                rule.changed(at)
        assert last < 1000, (work, changes)
        assert LIMITS.least <= parallelism <= LIMITS.most
