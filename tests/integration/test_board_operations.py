"""What the board says of jobs, checkpoints, documents and dead letters, with a real job."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from board import app, operations, pages
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
