"""Which savepoints and checkpoints may go."""

from pathlib import Path

from control.retention import Kept, obsolete

DAY = 86_400.0
NOW = 100 * DAY


def kept(job: str, *ages: float) -> list[Kept]:
    return [Kept(Path(f"/savepoints/{job}-{age}"), NOW - age * DAY, job) for age in ages]


def gone(*given: Kept, needed: tuple[str, ...] = (), days: float = 7, keep: int = 3) -> list[str]:
    paths = [Path(path) for path in needed]
    return [each.path.name for each in obsolete(given, paths, now=NOW, days=days, keep=keep)]


def test_what_is_old_goes_but_the_newest_of_each_job() -> None:
    assert gone(*kept("a", 1, 8, 9, 10, 11), *kept("b", 20, 30)) == ["a-11", "a-10"]


def test_what_is_young_stays_however_many_there_are() -> None:
    assert gone(*kept("a", *range(7)), keep=1) == []


def test_what_is_needed_stays_however_old() -> None:
    assert gone(*kept("a", 8, 9, 10), needed=("/savepoints/a-10",), keep=1) == ["a-9"]


def test_a_checkpoint_within_keeps_its_job() -> None:
    """An incremental checkpoint shares files with others of its job: all go, or none."""
    assert gone(*kept("a", 8, 9), needed=("/savepoints/a-9/chk-7",), keep=1) == []


def test_one_of_no_known_job_goes_by_its_age() -> None:
    assert gone(*kept("", 1, 2, 3, 8, 9)) == ["-9", "-8"]
