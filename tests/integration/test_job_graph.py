"""What a savepoint relies on: every operator has a uid of its own, and the topic is read by one source."""

import json

import pytest

from jobs.deliveries import build
from tests import deliveries

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch]


@pytest.fixture(scope="module")
def nodes(servers: None) -> dict[str, str | None]:
    """Each operator's name and uid, as Flink will run them."""
    env = build(deliveries.settings())
    assert json.loads(env.get_execution_plan())["nodes"]
    found = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    return {f"{node.getId()} {node.getOperatorName()}": node.getTransformationUID() for node in found}


def test_every_operator_has_a_uid_of_its_own(nodes: dict[str, str | None]) -> None:
    assert [name for name, uid in nodes.items() if not uid] == []
    assert len(set(nodes.values())) == len(nodes)


def test_the_topic_is_read_once(nodes: dict[str, str | None]) -> None:
    assert len([name for name in nodes if "Source:" in name]) == 1


def test_uids_do_not_depend_on_what_else_is_in_the_job(
    nodes: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYSTREAM__DELIVERIES__DOCUMENTS", "false")
    env = build(deliveries.settings())
    env.get_execution_plan()
    found = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    without = {node.getTransformationUID() for node in found}
    assert without < set(nodes.values())
    assert {uid for uid in set(nodes.values()) - without if "ocument" not in uid and "lasticsearch" not in uid} == set()
