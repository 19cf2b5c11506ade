"""The dashboard, the alerts and what is scraped: they fit each other, and ask only for metrics that exist."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.settings import ROOT
from monitoring import dashboard
from tests import monitoring

PROMETHEUS = ROOT / "conf" / "prometheus" / "prometheus.yaml"
CASES = ROOT / "tests" / "alerts.yaml"
PROVISIONING = ROOT / "conf" / "grafana" / "provisioning"
QUERIES = list(monitoring.queries())

# What is not Flink's, with its labels. Flink's own metrics are held against a running job in tests/integration.
KNOWN = {
    # Prometheus itself
    "up": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
    # kafka_exporter 1.10.0, by its documentation
    "kafka_brokers": set(),
    "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
    "kafka_topic_partition_current_offset": {"topic", "partition"},
    "kafka_topic_partition_under_replicated_partition": {"topic", "partition"},
    # postgres_exporter 0.11.1, as it answers for PostgreSQL 17
    "pg_database_size_bytes": {"datname"},
    "pg_stat_activity_count": {"datname", "state"},
    "pg_stat_database_deadlocks": {"datname"},
    "pg_stat_database_tup_deleted": {"datname"},
    "pg_stat_database_tup_inserted": {"datname"},
    "pg_stat_database_tup_updated": {"datname"},
    "pg_stat_database_xact_commit": {"datname"},
    "pg_stat_database_xact_rollback": {"datname"},
    # elasticsearch_exporter 1.5.0, as it answers for Elasticsearch 8.19
    "elasticsearch_filesystem_data_available_bytes": {"name"},
    "elasticsearch_filesystem_data_size_bytes": {"name"},
    "elasticsearch_indices_indexing_index_total": {"name"},
    "elasticsearch_jvm_memory_max_bytes": {"name", "area"},
    "elasticsearch_jvm_memory_used_bytes": {"name", "area"},
    "elasticsearch_thread_pool_rejected_count": {"name", "type"},
}


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    return json.loads(dashboard.FILE.read_text())


def scraping() -> dict[str, Any]:
    return yaml.safe_load(PROMETHEUS.read_text())


def test_the_dashboard_is_what_its_definitions_build() -> None:
    assert dashboard.FILE.read_text() == dashboard.build(), "run `make dashboard`"


def test_every_panel_says_what_it_shows(built: dict[str, Any]) -> None:
    panels = [panel for panel in built["panels"] if panel["type"] != "row"]
    assert len(panels) > 30
    for panel in panels:
        assert panel["title"], panel
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["expr"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["id"] for panel in built["panels"]}) == len(built["panels"])


def test_no_panel_lies_on_another(built: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in built["panels"]]
    assert all(place["x"] + place["w"] <= dashboard.COLUMNS for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_the_dashboard_asks_the_datasource_that_is_provisioned(built: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    panels = [panel for panel in built["panels"] if panel["type"] != "row"]
    asked = [each for panel in panels for each in (panel, *panel["targets"])] + built["templating"]["list"]
    assert [each["datasource"] for each in asked] == [wanted] * len(asked)
    assert source["jsonData"]["timeInterval"] == scraping()["global"]["scrape_interval"]


def test_grafana_finds_the_dashboard() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "citystream.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].endswith(f"grafana/{dashboard.FILE.parent.name}")


def test_prometheus_has_the_alerts_and_each_says_what_to_do() -> None:
    assert [PROMETHEUS.parent / name for name in scraping()["rule_files"]] == [monitoring.ALERTS]
    rules = monitoring.alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        assert len(rule["annotations"]["description"]) > 80, rule["alert"]


def test_the_page_has_each_alert_and_no_other() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    rules = {rule["alert"]: rule["labels"]["severity"] for rule in monitoring.alerts()}
    assert set(re.findall(r"^## (.+)$", page, re.MULTILINE)) == rules.keys()
    assert dict(re.findall(r"^\| \[`(\w+)`\]\(#.*\| (\w+) \|$", page, re.MULTILINE)) == rules
    for name, text in re.findall(r"^## (\w+)\n\n(.+?)(?=\n## |\Z)", page, re.MULTILINE | re.DOTALL):
        assert len(text) > 100, name


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fired = {sample["labels"] for case in cases for test in case["promql_expr_test"] for sample in test["exp_samples"]}
    assert fired == {f'{{alertname="{rule["alert"]}"}}' for rule in monitoring.alerts()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt install prometheus")
@pytest.mark.parametrize(
    "arguments", [("check", "config", PROMETHEUS), ("test", "rules", CASES)], ids=["config", "rules"]
)
def test_prometheus_itself_agrees(arguments: tuple[object, ...]) -> None:
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_alerts_name_what_is_scraped() -> None:
    """The alert about missing TaskManagers counts the targets of a job by their names."""
    (flink,) = [job for job in scraping()["scrape_configs"] if job["job_name"] == "flink"]
    (rule,) = [rule for rule in monitoring.alerts() if rule["alert"] == "TaskManagerMissing"]
    assert 'up{job="flink", instance=~"taskmanager.*"}' in rule["expr"]
    assert any(target.startswith("taskmanager") for target in flink["static_configs"][0]["targets"])


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_can_be_read_and_keeps_the_labels_it_shows(query: monitoring.Query) -> None:
    expression = query.parsed()
    assert list(monitoring.selected(expression))
    for left in monitoring.groupings(expression):
        assert query.shown <= left, f"{query.name} shows {set(query.shown - left)}, which its aggregation drops"


def test_every_metric_is_flinks_or_known() -> None:
    for metric, labels in monitoring.used().items():
        if not metric.startswith("flink_"):
            assert metric in KNOWN, f"{metric}: see that an exporter has it, and add it here"
            assert labels <= KNOWN[metric], metric
    assert KNOWN.keys() <= monitoring.used().keys(), "a metric that nobody asks for"


def test_a_metric_that_does_not_exist_is_seen() -> None:
    """The reader of queries misses neither a metric nor a label."""
    query = monitoring.Query(
        "q", 'sum by (a) (rate(m{b="$job"}[$__range])) / on() max_over_time((n - o)[5m:1m])', frozenset("a")
    )
    assert monitoring.groupings(query.parsed()) == [{"a"}]
    assert dict(monitoring.selected(query.parsed(), query.shown)) == {"m": {"a", "b"}, "n": {"a"}, "o": {"a"}}


def test_the_shortened_rules_differ_in_times_alone(tmp_path: Path) -> None:
    """Those by which tests/chaos/test_alerts.py has Prometheus judge."""
    plain = monitoring.alerts()
    groups = monitoring.quickened(12)
    short = [rule for group in groups["groups"] for rule in group["rules"]]
    times = re.compile(r"\d+(ms|s|m|h)\b| / 12")
    for one, other in zip(plain, short, strict=True):
        assert {**one, "expr": "", "for": ""} == {**other, "expr": "", "for": ""}
        assert times.sub("", one["expr"]) == times.sub("", other["expr"])
        assert one["expr"] != other["expr"] or not times.search(one["expr"]), one["alert"]
    by_name = {rule["alert"]: rule for rule in short}
    assert "[50000ms]" in by_name["JobKeepsRestarting"]["expr"]
    assert by_name["Backpressure"]["for"] == "50000ms"
    assert "15 * 60 * 1000 / 12" in by_name["CheckpointsFail"]["expr"]
    if promtool := shutil.which("promtool"):
        file = tmp_path / "alerts.yaml"
        file.write_text(yaml.safe_dump(groups))
        ran = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
