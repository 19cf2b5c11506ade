"""A month of events, pulled day by day, while TaskManager, Python worker and poller are killed: all is as it must be.

Each change is there once, the latest of each event is the simulator's, totals are those that are recomputed; what is
looked up is asked for once. Repeats and older versions come in between, and change nothing.
"""

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conf.settings import ROOT, Settings
from control.cluster import Cluster
from generators.simulator.events.world import ATTENDED, CITIES, UNATTENDED, Version, World, rendered
from tests import events, slate
from tests.chaos import kills
from tests.pollers import Simulation

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
COUNT = 20_000 if LONG else 1_500
DAYS = 30 if LONG else 10
KILLS = 2 if LONG else 1
# Unchanged versions, sent at once, to see how fast they are told.
REPEATS = 200_000 if LONG else 60_000
MOST_CALLS = 1.05


def pull(day: datetime, folder: Path, simulated: Simulation, *, kill_after: int | None = None) -> None:
    """A day's pull as a process of its own; one that is killed is started again, and goes on where it was."""
    command = [sys.executable, "-m", "tests.events", day.date().isoformat(), str(folder / "poller.sqlite")]
    log = folder / "poller.log"
    with log.open("w") as out:
        if kill_after is not None:
            before = simulated.calls("events")
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
            while process.poll() is None and simulated.calls("events") < before + kill_after:
                time.sleep(0.01)
            process.kill()
            process.wait()
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, log.read_text()


def unchanged_per_second(settings: Settings, latest: dict[str, Version]) -> float:
    """How many versions that are known are told in a second, of many that come at once."""
    cluster = Cluster(settings.flink.url)
    job = cluster.running(events.JOB) or ""
    known = [events.record(rendered(version)) for version in latest.values()]
    began = time.monotonic()
    events.send(settings, (known[number % len(known)] for number in range(REPEATS)))
    # The few that were counted before don't matter; metrics lag behind, so that what they said then can't be relied on.
    slate.await_that(lambda: (cluster.metric(job, ".unchanged") or 0) >= REPEATS, 300, "all are unchanged")
    return REPEATS / (time.monotonic() - began)


@pytest.mark.timeout(3600 if LONG else 1500)
def test_a_month_of_pulls_comes_out_the_same_under_kills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    first_day = datetime.now(UTC).date() - timedelta(days=DAYS)
    losses = ["TaskManager", "Python workers", "poller"] * KILLS
    kill_on = dict(zip(dice.sample(range(DAYS), len(losses)), losses, strict=True))
    limits = {"events__count": COUNT, "events__first_day": first_day, "today": first_day}
    with Simulation(tmp_path / "simulator.log", **events.UNLIMITED, **limits) as simulated:
        pulled_of = {
            "COUNTRIES": json.dumps(sorted({city.country for city in CITIES})),
            "CATEGORIES": json.dumps([*ATTENDED, *UNATTENDED]),
            **{"LEAST_RANK": "0", "RATE_PER_SECOND": "500", "DAILY_QUOTA": "1000000", "PAGE_SIZE": "100"},
        }
        for name, value in {
            "SIMULATOR_URL": simulated.url,
            **events.QUICK,
            **{f"CITYSTREAM__POLLERS__EVENTS__{name}": value for name, value in pulled_of.items()},
        }.items():
            monkeypatch.setenv(name, value)
        settings = events.settings()
        world = World(settings.simulator.seed, COUNT, first_day)
        pulled = list(events.days_of(world, days=DAYS))
        must, questions = events.expected(version for _, version in pulled), events.questions(settings, pulled)
        known: list[Version] = []
        with events.running(settings):
            for number in range(DAYS):
                day = datetime.combine(first_day + timedelta(days=number), datetime.max.time(), UTC)
                simulated.put("today", today=day.date().isoformat())
                what, killed_at = kill_on.get(number), None
                if what in ("TaskManager", "Python workers"):
                    killed_at = kills.kill(settings, events.JOB, what, dice)
                pull(day, tmp_path, simulated, kill_after=dice.randrange(1, 12) if what == "poller" else None)
                known += [version for at, version in pulled if at == day]
                # Of what came before: again, and in any order.
                again = [events.record(rendered(each), day) for each in dice.choices(known, k=20)]
                events.send(settings, again)
                if killed_at is not None:
                    kills.await_restart(settings, events.JOB, killed_at)
            took = events.await_agreement(settings, must, 600)
            slate.await_that(lambda: not events.unanswered(settings, questions), 600, "all is looked up")
            rate = unchanged_per_second(settings, {version.event.event_id: version for version in known})
            assert events.differences(settings, must) == []
            assert events.unanswered(settings, questions) == []
            assert not events.dead_letters(settings)
        places, flights = simulated.calls("overpass"), simulated.calls("offers")
        assert places <= MOST_CALLS * len(questions.places)
        assert flights <= MOST_CALLS * len(questions.flights)
        ((made, saved),) = events.query(settings, "SELECT sum(calls)::bigint, sum(saved)::bigint FROM api_calls")
        # One that a kill came before is counted all the same.
        assert places + flights <= made <= MOST_CALLS * (len(questions.places) + len(questions.flights))
    killed = ", ".join(kill_on[day] for day in sorted(kill_on))
    said = (
        f"{COUNT:,} events over {DAYS} days, {len(must.changes):,} changes: all right {took:.0f} s after the last pull",
        f"killed: {killed}",
        f"look-ups: {made:,} calls for {len(questions.places):,} places and {len(questions.flights):,} days of flights",
        f"a naive pull makes {made + saved:,} calls",
        f"unchanged: at least {rate:,.0f}/s",
    )
    with capsys.disabled():
        print("", *said, sep="\n")
