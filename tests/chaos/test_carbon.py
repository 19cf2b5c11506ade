"""Kill the TaskManager, a Python worker and PostgreSQL while a history is read: every table comes out the same."""

import os
import random
import time
from datetime import date

import pytest

from tests import carbon
from tests.chaos import kills

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

LONG = os.environ.get("CITYSTREAM_CHAOS") == "long"
COMPLEXES = 300 if LONG else 60
KILLS = 2 if LONG else 1
SECONDS = 600


@pytest.mark.timeout(1800)
def test_a_history_read_under_kills_comes_out_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    settings = carbon.settings()
    dice = random.Random(os.environ.get("CITYSTREAM_CHAOS_SEED", "1"))
    losses = ["TaskManager", "PostgreSQL", "Python workers"] * KILLS
    dice.shuffle(losses)
    history = carbon.synthetic(complexes=COMPLEXES, first=date(2024, 1, 1), count=30, seed=dice.randrange(2**31))
    parts = [history.records[at :: len(losses) + 1] for at in range(len(losses) + 1)]
    history.records = []
    with carbon.running(settings):
        for part, what in zip(parts, [*losses, None], strict=True):
            history.records = part
            history.send(settings)
            if what:
                time.sleep(dice.uniform(0, 6))  # some kills fall into a checkpoint, some into a restart
                kills.lose(settings, carbon.JOB, what, dice)
        took = carbon.await_agreement(settings, history, SECONDS)
        # A correction afterwards finds the state whole.
        for complex_id, month in list(history.usage)[:: len(history.usage) // 50]:
            history.use(complex_id, month, electricity="31415.9", water="271.8")
        for (dong, month, item), pages in list(history.metered.items())[::9]:
            history.meter(dong, month, item, [(lot, "55555.5") for lot, _ in pages["1"][1:]], "1")
        for complex_id, month in list(history.usage)[7 :: len(history.usage) // 20]:
            history.use(complex_id, month)  # taken back: what was metered counts, or an estimate
        history.send(settings)
        carbon.await_agreement(settings, history, SECONDS)
    with capsys.disabled():
        print(f"\nEvery table was right {took:.0f} s after the last record, with the kills of {', '.join(losses)}")
