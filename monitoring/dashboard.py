"""Builds Grafana's dashboard, conf/grafana/dashboards/citystream.json, from conf/grafana/citystream.yaml.

In plain dictionaries: the newest release of Grafana's SDK for Python is for another Grafana than the one that is used.
"""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from conf.errors import command
from conf.settings import ROOT

DEFINITIONS = ROOT / "conf" / "grafana" / "citystream.yaml"
FILE = ROOT / "conf" / "grafana" / "dashboards" / "citystream.json"
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24
_HEIGHTS = {"timeseries": 8, "stat": 4, "table": 5}


@dataclass(frozen=True)
class Panel:
    """One panel, as conf/grafana/citystream.yaml describes it."""

    title: str
    unit: str
    description: str
    queries: Mapping[str, str]
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 8
    good: Literal["any", "none", "some"] = "any"
    most: float | None = None


def rows() -> dict[str, list[Panel]]:
    """The panels of each row."""
    described = yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))
    return {row: [Panel(**panel) for panel in panels] for row, panels in described.items()}


def build() -> str:
    """The dashboard's file, as Grafana provisions it."""
    dashboard = {
        "uid": "citystream",
        "title": "Citystream",
        "description": "Built from conf/grafana/citystream.yaml by `make dashboard`.",
        "tags": ["citystream"],
        "schemaVersion": 41,
        "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"},
        "refresh": "10s",
        "graphTooltip": 1,  # the same moment is marked in all panels
        "editable": True,
        "templating": {"list": [_jobs()]},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }
    return json.dumps(dashboard, indent=2) + "\n"


def _jobs() -> dict[str, Any]:
    """The choice of jobs at the top of the page."""
    query = "label_values(flink_jobmanager_job_numberOfCompletedCheckpoints, job_name)"
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "jobs"},
        "refresh": 2,  # whenever the time range changes
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[dict[str, Any]]:
    """Rows from top to bottom, and the panels of each from left to right."""
    ids = itertools.count(1)
    y = 0
    for row, panels in rows().items():
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"id": next(ids), "type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": place}
        y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            place = {"x": x, "y": y, "w": panel.width, "h": _HEIGHTS[panel.kind]}
            yield {"id": next(ids), **_panel(panel), "gridPos": place}
            x, height = x + panel.width, max(height, _HEIGHTS[panel.kind])
        y += height


def _panel(panel: Panel) -> dict[str, Any]:
    look = {"timeseries": _timeseries, "stat": _stat, "table": _table}[panel.kind](panel)
    defaults = {"unit": panel.unit, **look.pop("defaults", {})}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [_target(panel, number, *query) for number, query in enumerate(panel.queries.items())],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        **look,
    }


def _timeseries(panel: Panel) -> dict[str, Any]:
    most = {} if panel.most is None else {"max": panel.most}
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    return {
        "defaults": {"min": 0, **most, "color": {"mode": "palette-classic"}, "custom": custom},
        "options": {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _stat(panel: Panel) -> dict[str, Any]:
    none, some = {"any": ("text", "text"), "none": ("green", "red"), "some": ("red", "green")}[panel.good]
    steps = [{"color": none, "value": None}, {"color": some, "value": 1}]
    return {
        "defaults": {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}},
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "value",
        },
    }


def _table(_: Panel) -> dict[str, Any]:
    hidden = dict.fromkeys(["Time", "Value", "__name__", "alertstate"], True)
    return {
        "options": {"showHeader": True},
        "transformations": [{"id": "organize", "options": {"excludeByName": hidden}}],
    }


def _target(panel: Panel, number: int, legend: str, query: str) -> dict[str, Any]:
    over_time = panel.kind == "timeseries"
    return {
        "refId": chr(ord("A") + number),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query,
        "legendFormat": legend,
        "range": over_time,
        "instant": not over_time,
        "format": "table" if panel.kind == "table" else "time_series",
    }


@command
def main() -> int:
    """Write the dashboard into conf/grafana/dashboards."""
    FILE.write_text(build(), encoding="utf-8")
    sys.stdout.write(f"{FILE.relative_to(ROOT)} is built\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
