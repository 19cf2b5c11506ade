"""What a savepoint relies on: every operator has a uid of its own, and each topic is read by one source."""

import importlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pyflink.java_gateway import get_gateway

from conf.streams import STREAMS
from tests.deliveries import settings

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch]
JOBS = {
    name: (importlib.import_module(f"jobs.{name}").build, len(stream.topics) + len(stream.borrows))
    for name, stream in STREAMS.items()
}


def nodes_of(build: Callable[..., Any]) -> dict[str, str | None]:
    """Each operator's name and uid, as Flink will run them."""
    env = build(settings())
    assert json.loads(env.get_execution_plan())["nodes"]
    found = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    return {f"{node.getId()} {node.getOperatorName()}": node.getTransformationUID() for node in found}


@pytest.fixture(scope="module", params=JOBS)
def job(request: pytest.FixtureRequest, servers: None) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def nodes(job: str) -> dict[str, str | None]:
    return nodes_of(JOBS[job][0])


def test_every_operator_has_a_uid_of_its_own(nodes: dict[str, str | None]) -> None:
    assert [name for name, uid in nodes.items() if not uid] == []
    assert len(set(nodes.values())) == len(nodes)


def test_operators_are_named_after_what_they_do(nodes: dict[str, str | None]) -> None:
    """Not after the planner's or PyFlink's classes: people read them in Flink's web interface."""
    strange = re.compile(r"\[\d+\]|TableToDataStream|ConstraintEnforcer|Calc|Correlate|^_|stream_key_by|^(Map|Filter)$")
    assert [name for name in nodes if strange.search(name.split(" ", 1)[1])] == []


def test_each_topic_is_read_once(job: str, nodes: dict[str, str | None]) -> None:
    assert len([name for name in nodes if "Source:" in name]) == JOBS[job][1]


def test_uids_do_not_depend_on_what_else_is_in_the_job(
    job: str, nodes: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not STREAMS[job].indices:
        assert [uid for uid in nodes.values() if "lasticsearch" in str(uid)] == []
        return
    monkeypatch.setenv(f"CITYSTREAM__{job.upper()}__DOCUMENTS", "false")
    without = set(nodes_of(JOBS[job][0]).values())
    assert without < set(nodes.values())
    more = {str(uid) for uid in set(nodes.values()) - without}
    assert {uid for uid in more if "ocument" not in uid and "lasticsearch" not in uid} == set()


def test_windows_and_timers_of_python_are_in_checkpoints(job: str, nodes: dict[str, str | None]) -> None:
    behind = {str(uid).removesuffix(".timers") for uid in nodes.values() if str(uid).endswith(".timers")}
    assert behind == getattr(importlib.import_module(f"tests.{job}"), "TIMERS", set())
    assert behind <= set(nodes.values())


def test_bundles_of_python_are_finished_before_their_state_is_closed(job: str) -> None:
    """One that goes on with RocksDB closed ends the TaskManager: docs/decisions/0064."""
    env = JOBS[job][0](settings())
    assert json.loads(env.get_execution_plan())["nodes"]
    graph = env._j_stream_execution_environment.getStreamGraph(False)
    loader = get_gateway().jvm.java.lang.Thread.currentThread().getContextClassLoader()
    keyed = {}
    for node in graph.getStreamNodes().toArray():
        factory = node.getOperatorFactory()
        if factory and "PythonKeyed" in factory.getStreamOperatorClass(loader).getSimpleName():
            behind = [graph.getStreamNode(edge.getTargetId()).getTransformationUID() for edge in node.getOutEdges()]
            keyed[node.getTransformationUID()] = behind
    assert keyed, "every job has such an operator"
    assert [uid for uid, behind in keyed.items() if not {f"{uid}.timers", f"{uid}.bundles"} & set(behind)] == []
