"""What the board says of jobs, checkpoints, documents and dead letters, and does about them, with a real job."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from board import actions, app, operations, pages
from control.cluster import Cluster
from tests import deliveries, slate
from tests.integration.orders import order


@pytest.mark.flink
def test_operations_tell_of_a_running_job_and_of_what_it_could_not_use() -> None:
    settings = deliveries.settings()
    found: dict[str, Any] = {}

    def told() -> bool:
        (found["job"],) = (row for row in operations.jobs(settings) if row["job"] == deliveries.TOPIC)
        return bool(found["job"]["checkpoints"] and found["job"]["dead_letters"])

    with deliveries.running(settings):
        deliveries.send(settings, order(), b"no json")
        slate.await_that(told, 120, "the job's checkpoint and its dead letter are told of")
        assert (found["job"]["state"], found["job"]["restarts"]) == ("RUNNING", 0)
        assert 0 <= found["job"]["busy"] <= 1
        assert 0 <= found["job"]["backpressured"] <= 1
        assert found["job"]["checkpoint_bytes"] > 0
        (cluster,) = operations.flink(lambda: settings)["cluster"].read(0)
        assert cluster["slots"] > cluster["free_slots"] >= 0
        client = TestClient(app.create(pages.part(lambda: settings)))
        letters = deliveries.LETTERS
        slate.await_that(lambda: client.get(f"/api/dead-letters?topic={letters}").json()["rows"], 60, "the letter")
        (letter, *_) = client.get(f"/api/dead-letters?topic={letters}").json()["rows"]
        assert (letter["raw"], letter["topic"]) == ("no json", deliveries.TOPIC)
        assert client.get("/api/dead-letters?topic=nothing").status_code == 404
        counted = operations.documents(lambda: settings)["documents"].read(0)
        assert {row["index"] for row in counted} >= {deliveries.TOPIC}


@pytest.mark.flink
def test_a_letter_goes_back_once_and_a_job_scales() -> None:
    settings = deliveries.settings()
    assert settings.board.token  # the stack made one
    token = {"authorization": f"Bearer {settings.board.token.get_secret_value()}"}
    client = TestClient(app.create(actions.part(lambda: settings)), headers=token)

    def redrive(**more: object) -> Any:
        return client.post("/api/actions/redrive", json={"topic": deliveries.LETTERS, "reasons": ["not-json"], **more})

    with deliveries.running(settings, parallelism=2) as job:
        deliveries.send(settings, b"no json")
        slate.await_that(lambda: len(deliveries.dead_letters(settings)) == 1, 90, "the record is a dead letter")
        assert redrive(dry_run=True).json()["sent"] == {"not-json": 1}
        assert redrive().json()["sent"] == {"not-json": 1}
        # It is a record of its own now, and as bad as it was.
        slate.await_that(lambda: len(deliveries.dead_letters(settings)) == 2, 90, "it came back")
        again = redrive(dry_run=True).json()
        assert (again["sent"], again["before"]) == ({"not-json": 1}, 1)

        scaled = client.post("/api/actions/scale", json={"job": deliveries.TOPIC, "parallelism": 1})
        assert scaled.json() == {"job": deliveries.TOPIC, "parallelism": 1, "before": 2}
        assert Cluster(settings.flink.url).parallelism(job) == 1
        refused = client.post("/api/actions/scale", json={"job": deliveries.TOPIC, "parallelism": 100})
        assert refused.status_code == 503
        assert "task slots" in refused.json()["detail"]
