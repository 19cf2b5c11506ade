"""A JobManager that stands still for longer than its session with ZooKeeper leads again when it goes on."""

import time

import psutil
import pytest

from conf.settings import load
from control.cluster import Cluster
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import slate

pytestmark = [pytest.mark.chaos, pytest.mark.flink]

# Longer than the session, and than the minute after which ZooKeeper would have removed the folder of the election.
STILL_SECONDS = 75
LEADS_AGAIN_SECONDS = 40


def test_a_job_manager_that_stood_still_leads_again() -> None:
    settings = load()
    stack = LocalStack.of(settings.stack)
    cluster = Cluster(settings.flink.url)
    pid = stack.require("jobmanager").pid
    slots = cluster.overview()["slots-total"]

    def whole() -> bool:
        try:
            return bool(cluster.overview()["slots-total"] == slots)
        except NotReadyError:
            return False

    process = psutil.Process(pid)
    process.suspend()
    try:
        time.sleep(STILL_SECONDS)
    finally:
        process.resume()
    slate.await_that(whole, LEADS_AGAIN_SECONDS, "the JobManager leads again, with all slots")
    assert stack.require("jobmanager").pid == pid
