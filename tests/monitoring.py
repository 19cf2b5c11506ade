"""What tests of the dashboard, the alerts and the board share: every query, and the metrics and labels it refers to."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser
import yaml

from board import prometheus
from conf.settings import ROOT
from monitoring import dashboard

ALERTS = ROOT / "conf" / "prometheus" / "alerts.yaml"
# What is counted of look-ups, which not every job has.
LOOK_UPS = {f"flink_taskmanager_job_task_operator_citystream_{name}"
            for name in ("answered", "given_up", "put_off", "spared")}  # fmt: skip
# What Prometheus itself adds to all that it scrapes.
OWN_LABELS = {"instance", "job"}


@dataclass(frozen=True)
class Query:
    """PromQL, what asks it, and the labels of its result that are shown."""

    name: str
    promql: str
    shown: frozenset[str]

    def parsed(self) -> promql_parser.Expr:
        """The query as Prometheus gets it, with what Grafana fills in."""
        filled = {"$__rate_interval": "1m", "$__range": "1h", "$job": ".*"}
        promql = self.promql
        for variable, value in filled.items():
            promql = promql.replace(variable, value)
        return promql_parser.parse(promql)


def alerts() -> list[dict]:
    """The rules of conf/prometheus/alerts.yaml."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def queries() -> Iterator[Query]:
    """All queries of panels, alerts and the board."""
    for row, panels in dashboard.rows().items():
        for panel in panels:
            for legend, promql in panel.queries.items():
                yield Query(f"{row}: {panel.title}", promql, frozenset(re.findall(r"{{(\w+)}}", legend)))
    for rule in alerts():
        shown = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
        yield Query(f"alert {rule['alert']}", rule["expr"], frozenset(shown))
    for name, promql in prometheus.CURVES.items():
        yield Query(f"board: {name}", promql, frozenset({"job_name"}))
    variable, label = re.findall(r"label_values\((\w+), (\w+)\)", dashboard.build())[0]
    yield Query("choice of jobs", variable, frozenset({label}))


def used() -> dict[str, set[str]]:
    """Every metric that is queried, with the labels that it has to have."""
    labels: dict[str, set[str]] = defaultdict(set)
    for query in queries():
        for metric, needed in selected(query.parsed(), query.shown):
            labels[metric] |= needed - OWN_LABELS
    return dict(labels)


def selected(
    expression: promql_parser.Expr, needed: frozenset[str] = frozenset()
) -> Iterator[tuple[str, frozenset[str]]]:
    """The metrics of an expression, each with the labels it is filtered by, grouped by and shown with."""
    match expression:
        case promql_parser.VectorSelector():
            yield expression.name, needed | {matcher.name for matcher in expression.matchers.matchers}
        case promql_parser.MatrixSelector():
            yield from selected(expression.vector_selector, needed)
        case promql_parser.AggregateExpr():
            grouped = expression.modifier.labels if expression.modifier else []
            yield from selected(expression.expr, needed | set(grouped))
        case promql_parser.BinaryExpr():
            yield from selected(expression.lhs, needed)
            yield from selected(expression.rhs, needed)
        case promql_parser.Call():
            for argument in expression.args:
                yield from selected(argument, needed)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:  # parentheses, signs and subqueries
            yield from selected(expression.expr, needed)


def groupings(expression: promql_parser.Expr) -> list[set[str]]:
    """The labels that each aggregation of an expression leaves."""
    found: list[set[str]] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            found.append(set(node.modifier.labels) if node.modifier else set())

    promql_parser.walk(expression, visit)
    return found


_UNITS = {"s": 1, "m": 60, "h": 3600}


def quickened(factor: int) -> dict:
    """The rules as they are, with every length of time in them divided by `factor`."""

    def shorter(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _UNITS[found[2]] * 1000 // factor}ms"

    groups = yaml.safe_load(ALERTS.read_text())
    for group in groups["groups"]:
        for rule in group["rules"]:
            expression = re.sub(r"\b(\d+)([smh])\b", shorter, rule["expr"])
            rule["expr"] = re.sub(r"(\d+) \* 60 \* 1000", rf"\g<0> / {factor}", expression)
            if "for" in rule:
                rule["for"] = re.sub(r"(\d+)([smh])", shorter, rule["for"])
    return groups
