"""What tests ask of Kibana's saved objects: that nothing in them is missing or unused, and what they ask Elasticsearch.

Nothing here uses the package `kibana`: objects are read as Kibana reads them, out of the lines of a file.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.settings import ROOT
from conf.streams import STREAMS
from conf.templates import templates

FILES = sorted((ROOT / "conf" / "kibana").glob("*.ndjson"))
PROJECTIONS = ROOT / "sql" / "flink"

NUMBERS = {"long", "integer", "double"}
PLACES = {"geo_point"}
DATES = {"date"}
WORDS = {"keyword"}
GROUPS = NUMBERS | DATES | WORDS  # what Elasticsearch can group and sort by
ANY = GROUPS | PLACES | {"text"}

# All of it is in the Basic licence. Grids of hexagons, tracks and drill-downs to a URL are not.
TYPES = {"index-pattern", "map", "lens", "search", "dashboard"}
CHARTS = {"lnsXY", "lnsMetric", "lnsPie", "lnsDatatable"}
OPERATIONS = {
    "count": None,
    "sum": NUMBERS,
    "average": NUMBERS,
    "max": NUMBERS | DATES,
    "unique_count": GROUPS,
    "date_histogram": DATES,
    "terms": NUMBERS | WORDS,
    "formula": None,
    "math": None,
}
METRICS = {"count": None, "sum": NUMBERS, "avg": NUMBERS, "max": NUMBERS, "cardinality": GROUPS}
FORMATS = {"date", "number", "static_lookup"}
RECORDS = "___records___"

Object = dict[str, Any]
Fields = dict[str, dict[str, str]]


def read(file: Path) -> list[Object]:
    """The objects of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def known_fields() -> Fields:
    """Of each index the fields of its template that are really written, with their types.

    A template may hold a field that no job fills: a map that needs one would be empty.
    """
    found: Fields = {}
    for index, template in templates().items():
        properties = template["template"]["mappings"]["properties"]
        written = written_fields(index) or set(properties)
        found[index] = {}
        for name, mapping in properties.items():
            if name in written:
                found[index][name] = mapping["type"]
                found[index] |= {f"{name}.{sub}": m["type"] for sub, m in mapping.get("fields", {}).items()}
    return found


def written_fields(index: str) -> set[str] | None:
    """The fields of the documents that a job writes, from its SQL; None where no job does."""
    for stream in STREAMS.values():
        for total in stream.totals if stream.ledger else ():
            if total.table == index:
                return {*total.columns, *stream.ledger.sums, *_written(PROJECTIONS / "total.sql")}
    for path in (PROJECTIONS / index / "documents.sql", *PROJECTIONS.glob(f"*/{index}.sql")):
        if path.is_file():
            return _written(path)
    return None


def _written(path: Path) -> set[str]:
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("--"))
    selected = re.search(r"SELECT(.*?)\bFROM\b", " ".join(lines), re.DOTALL)
    assert selected is not None, path
    names = {re.split(r"\s+", part.strip())[-1].strip("`") for part in _parts(selected[1])}
    return {name for name in names if not name.startswith(("_", "$"))}


def _parts(selected: str) -> list[str]:
    """A list of expressions, split at the commas that are in no brackets."""
    depth, parts = 0, [""]
    for character in selected:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def faults(objects: list[Object], fields: Fields) -> list[str]:
    """Everything that is wrong with the objects of a file, each as one line that names the object."""
    known = {(each["type"], each["id"]): each for each in objects}
    found = [] if len(known) == len(objects) else ["two objects have the same type and id"]
    for each in objects:
        scope = _Scope(each, known, fields, found)
        if each["type"] not in TYPES:
            scope.fault(f"the type {each['type']} is none of {', '.join(sorted(TYPES))}")
            continue
        if not {"coreMigrationVersion", "typeMigrationVersion"} <= each.keys():
            scope.fault("it does not say of which form it is")
        _CHECKS[each["type"]](scope)
        for name in scope.references.keys() - scope.used:
            scope.fault(f"nothing uses the reference {name}")
    return found


@dataclass
class _View:
    """A data view, as a panel sees it."""

    index: str
    time: str | None
    fields: dict[str, str]


@dataclass
class _Scope:
    """One object while it is looked at."""

    object: Object
    known: dict[tuple[str, str], Object]
    fields: Fields
    found: list[str]
    used: set[str] = field(default_factory=set)

    @property
    def attributes(self) -> Object:
        return self.object["attributes"]

    @property
    def references(self) -> dict[str, Object]:
        return {reference["name"]: reference for reference in self.object["references"]}

    def fault(self, what: str) -> None:
        self.found.append(f"{self.object['type']} {self.object['id']}: {what}")

    def target(self, name: str, kind: str) -> Object | None:
        """The object that a reference leads to."""
        reference = self.references.get(name)
        if reference is None:
            self.fault(f"there is no reference {name}")
            return None
        self.used.add(name)
        if reference["type"] != kind:
            self.fault(f"the reference {name} leads to a {reference['type']}, not to a {kind}")
        target = self.known.get((reference["type"], reference["id"]))
        if target is None:
            self.fault(f"{reference['type']} {reference['id']} is not in the file")
        return target

    def view(self, name: str) -> _View:
        """The data view that a reference leads to; one without fields, where it leads nowhere."""
        target = self.target(name, "index-pattern")
        if target is None:
            return _View("", None, {})
        index = target["attributes"]["title"]
        return _View(index, target["attributes"].get("timeFieldName"), self.fields.get(index, {}))

    def needs(self, view: _View, name: str, types: set[str], what: str) -> None:
        """The index has a field, and it is of one of these types."""
        if not view.index:
            return  # said already
        found = view.fields.get(name)
        if found is None:
            self.fault(f"{what}: {view.index} has no field {name}, or nothing writes it")
        elif found not in types:
            self.fault(f"{what}: {view.index}.{name} is a {found}, not one of {', '.join(sorted(types))}")

    def inner(self, name: str) -> Any:
        return json.loads(self.attributes[name])


def _check_view(scope: _Scope) -> None:
    index = scope.attributes["title"]
    if index not in scope.fields:
        scope.fault(f"no template of conf/elasticsearch is for the index {index}")
        return
    view = _View(index, None, scope.fields[index])
    if "timeFieldName" in scope.attributes:
        scope.needs(view, scope.attributes["timeFieldName"], DATES, "time field")
    for name, shown in scope.inner("fieldFormatMap").items():
        scope.needs(view, name, ANY, "format")
        if shown["id"] not in FORMATS:
            scope.fault(f"unknown format {shown['id']}")
    for name in scope.inner("fieldAttrs"):
        scope.needs(view, name, ANY, "label")
    if scope.inner("runtimeFieldMap"):
        scope.fault("a runtime field needs Painless, which no test here could run")


def _check_map(scope: _Scope) -> None:
    base, *layers = scope.inner("layerListJSON")
    if (base["type"], base["sourceDescriptor"]["type"]) != ("EMS_VECTOR_TILE", "EMS_TMS"):
        scope.fault("its first layer is no base layer")
    if len({layer["id"] for layer in (base, *layers)}) != len(layers) + 1:
        scope.fault("two layers have the same id")
    for place, layer in enumerate(layers, start=1):
        _check_layer(scope, place, layer)
    state = scope.inner("mapStateJSON")
    if state["refreshConfig"]["isPaused"] or state["refreshConfig"]["interval"] < 1000:
        scope.fault("it does not refresh itself")
    _check_range(scope, state["timeFilters"]["from"], state["timeFilters"]["to"])
    scope.inner("uiStateJSON")


def _check_layer(scope: _Scope, place: int, layer: Object) -> None:
    source, what = layer["sourceDescriptor"], f"layer {place}"
    if layer["type"] != "GEOJSON_VECTOR" or layer["style"]["type"] != "VECTOR":
        scope.fault(f"{what} is a {layer['type']}, not a GEOJSON_VECTOR")
    if source["indexPatternRefName"] != f"layer_{place}_source_index_pattern":
        scope.fault(f"{what} names its data view {source['indexPatternRefName']}")
    if not source["applyForceRefresh"]:
        scope.fault(f"{what} does not follow the refresh")
    view = scope.view(source["indexPatternRefName"])
    scope.needs(view, source["geoField"], PLACES, f"{what}, place")
    styled = view.fields
    match source["type"]:
        case "ES_SEARCH":
            for name in source["tooltipProperties"]:
                scope.needs(view, name, GROUPS, f"{what}, tooltip")  # Kibana would read others out of the source
            if source["scalingType"] == "TOP_HITS":
                scope.needs(view, source["sortField"], GROUPS, f"{what}, order")
                scope.needs(view, source["topHitsSplitField"], GROUPS, f"{what}, one per")
            elif source["scalingType"] != "LIMIT":
                scope.fault(f"{what} has the scaling {source['scalingType']}")
        case "ES_GEO_GRID":
            if source["requestType"] not in ("point", "grid") or source["resolution"] not in _FINER:
                scope.fault(
                    f"{what}: {source['requestType']}, {source['resolution']} is not Basic, or no layer of this type"
                )
            styled = {name: "double" for name in _metrics(scope, view, source["metrics"], what)}
        case other:
            scope.fault(f"{what}: the source {other} is not in the Basic licence, or no test knows it")
    joined = {
        name for number, join in enumerate(layer["joins"]) for name in _check_join(scope, view, place, number, join)
    }
    for name, style in layer["style"]["properties"].items():
        if style.get("type") == "DYNAMIC":
            _check_style(scope, name, style["options"], _View(view.index, None, styled), joined, what)


def _check_join(scope: _Scope, view: _View, place: int, number: int, join: Object) -> set[str]:
    """The names of its metrics, for styles."""
    right, what = join["right"], f"layer {place}, join {number}"
    if right["type"] != "ES_TERM_SOURCE":
        scope.fault(f"{what} is a {right['type']}")
    if right["indexPatternRefName"] != f"layer_{place}_join_{number}_index_pattern":
        scope.fault(f"{what} names its data view {right['indexPatternRefName']}")
    other = scope.view(right["indexPatternRefName"])
    scope.needs(view, join["leftField"], WORDS, f"{what}, key")
    scope.needs(other, right["term"], WORDS, f"{what}, term")
    return {f"__kbnjoin__{name}__{right['id']}" for name in _metrics(scope, other, right["metrics"], what)}


def _metrics(scope: _Scope, view: _View, metrics: list[Object], what: str) -> list[str]:
    """The names of metrics of a grid or a join."""
    for each in metrics:
        if each["type"] not in METRICS:
            scope.fault(f"{what}: unknown metric {each['type']}")
        elif types := METRICS[each["type"]]:
            scope.needs(view, each["field"], types, f"{what}, {each['type']}")
    return [_metric_name(each) for each in metrics]


def _metric_name(each: Object) -> str:
    return "doc_count" if each["type"] == "count" else f"{each['type']}_of_{each['field']}"


def _check_style(scope: _Scope, name: str, options: Object, view: _View, joined: set[str], what: str) -> None:
    field_name, origin = options["field"]["name"], options["field"]["origin"]
    numeric = name.endswith(("Size", "Width")) or options.get("type") == "ORDINAL"
    if origin == "join":
        if field_name not in joined:
            scope.fault(f"{what}, {name}: no join has the metric {field_name}")
    else:
        scope.needs(view, field_name, NUMBERS if numeric else GROUPS, f"{what}, {name}")


def _check_lens(scope: _Scope) -> None:
    state = scope.attributes["state"]
    if scope.attributes["visualizationType"] not in CHARTS:
        scope.fault(f"unknown chart {scope.attributes['visualizationType']}")
        return
    layers = state["datasourceStates"]["formBased"]["layers"]
    shown = _shown(scope.attributes["visualizationType"], state["visualization"])
    if {layer for layer, _ in shown} != layers.keys():
        scope.fault("chart and data source differ in their layers")
    for name, layer in layers.items():
        columns = layer["columns"]
        view = scope.view(f"indexpattern-datasource-layer-{name}")
        if sorted(layer["columnOrder"]) != sorted(columns):
            scope.fault("columnOrder does not hold the columns")
        buckets = [columns[column]["isBucketed"] for column in layer["columnOrder"] if column in columns]
        if buckets != sorted(buckets, reverse=True):
            scope.fault("a metric stands before a bucket in columnOrder")
        inner = {each for column in columns.values() for each in column.get("references", [])}
        visible = {column for layer_name, column in shown if layer_name == name}
        for column in (inner | visible) - columns.keys():
            scope.fault(f"there is no column {column}")
        for column in columns.keys() - inner - visible:
            scope.fault(f"nothing shows the column {column}")
        for column, spec in columns.items():
            _check_column(scope, view, column, spec, columns)


def _shown(chart: str, visualization: Object) -> set[tuple[str, str]]:
    """Layers and the columns that a chart shows of them."""
    match chart:
        case "lnsMetric":
            parts = [(visualization["layerId"], [visualization["metricAccessor"]])]
        case "lnsDatatable":
            parts = [(visualization["layerId"], [column["columnId"] for column in visualization["columns"]])]
        case "lnsPie":
            parts = [(layer["layerId"], layer["primaryGroups"] + layer["metrics"]) for layer in visualization["layers"]]
        case _:
            parts = [
                (layer["layerId"], [*layer["accessors"], layer["xAccessor"], layer.get("splitAccessor")])
                for layer in visualization["layers"]
            ]
    return {(layer, column) for layer, columns in parts for column in columns if column is not None}


def _check_column(scope: _Scope, view: _View, name: str, spec: Object, columns: dict[str, Object]) -> None:
    operation = spec["operationType"]
    missing = {"dataType", "isBucketed", "label", "scale"} - spec.keys()
    if missing:
        scope.fault(f"column {name} lacks {', '.join(sorted(missing))}")
        return
    if operation not in OPERATIONS:
        scope.fault(f"column {name}: unknown operation {operation}")
        return
    if spec["isBucketed"] != (operation in ("terms", "date_histogram")):
        scope.fault(f"column {name}: {operation} as a bucket, or the reverse")
    if operation == "count" and spec.get("sourceField") != RECORDS:
        scope.fault(f"column {name} counts {spec.get('sourceField')}, not {RECORDS}")
    if types := OPERATIONS[operation]:
        scope.needs(view, spec["sourceField"], types, f"column {name}, {operation}")
    if "filter" in spec:
        scope.needs(view, _exists(spec["filter"]), ANY, f"column {name}, filter")
    order = spec.get("params", {}).get("orderBy", {"type": "alphabetical"})
    if order["type"] == "column":
        by = columns.get(order.get("columnId"))
        if by is None or by["isBucketed"] or "references" in by:
            scope.fault(f"column {name} is ordered by {order.get('columnId')}, which is no plain metric")
    if operation == "formula" and not (spec["params"]["formula"] and len(spec["references"]) == 1):
        scope.fault(f"column {name} is no whole formula")
    if operation == "math" and sorted(spec["references"]) != sorted(spec["params"]["tinymathAst"]["args"]):
        scope.fault(f"column {name} reckons with other columns than it refers to")


def _exists(condition: Object) -> str:
    """The field of `field: *`; no other condition is known here."""
    found = re.fullmatch(r"([\w.]+): \*", condition["query"])
    assert found is not None, condition
    return found[1]


def _check_search(scope: _Scope) -> None:
    source = json.loads(scope.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    view = scope.view(source["indexRefName"])
    for name in scope.attributes["columns"]:
        scope.needs(view, name, ANY, "column")
    for name, _ in scope.attributes["sort"]:
        scope.needs(view, name, GROUPS, "order")


def _check_dashboard(scope: _Scope) -> None:
    panels, taken = scope.inner("panelsJSON"), set()
    if len({panel["panelIndex"] for panel in panels}) != len(panels):
        scope.fault("two panels have the same index")
    for panel in panels:
        index, grid, config = panel["panelIndex"], panel["gridData"], panel["embeddableConfig"]
        cells = set(itertools.product(range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])))
        if cells & taken:
            scope.fault(f"panel {index} lies on another one")
        taken |= cells
        if not (grid["i"] == index and grid["x"] >= 0 and grid["x"] + grid["w"] <= 48):
            scope.fault(f"panel {index} is out of place")
        if config.get("enhancements") != {}:
            scope.fault(f"panel {index} has actions, some of which need a licence")
        if "panelRefName" in panel:
            if panel["panelRefName"] != f"panel_{index}":
                scope.fault(f"panel {index} has the reference {panel['panelRefName']}")
            scope.target(f"{index}:{panel['panelRefName']}", panel["type"])
        elif config.get("savedVis", {}).get("type") != "markdown":
            scope.fault(f"panel {index} is neither a reference nor a text")
    scope.inner("optionsJSON")
    json.loads(scope.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    if not scope.attributes["timeRestore"]:
        scope.fault("without timeRestore its time range and refresh do not count")
    refresh = scope.attributes["refreshInterval"]
    if refresh["pause"] or refresh["value"] < 1000:
        scope.fault("it does not refresh itself")
    _check_range(scope, scope.attributes["timeFrom"], scope.attributes["timeTo"])


def _check_range(scope: _Scope, *moments: str) -> None:
    for moment in moments:
        if not re.fullmatch(r"now([+-]\d+[smhdwMy])?(/[smhdwMy])?", moment):
            scope.fault(f"{moment} is no relative time")


_CHECKS: dict[str, Callable[[_Scope], None]] = {
    "index-pattern": _check_view,
    "map": _check_map,
    "lens": _check_lens,
    "search": _check_search,
    "dashboard": _check_dashboard,
}


def linked_dashboards(objects: list[Object]) -> set[str]:
    """The ids of dashboards that texts on dashboards lead to."""
    panels = [each["attributes"]["panelsJSON"] for each in objects if each["type"] == "dashboard"]
    return {link for panel in panels for link in re.findall(r"\(#/view/([\w-]+)\)", panel)}


# From here on: what a panel asks Elasticsearch, and what it needs of the answer.

_FINER = {"COARSE": 2, "FINE": 3, "MOST_FINE": 4}
_MOST_BUCKETS = 10_000
Check = Callable[[Object], None]


@dataclass(frozen=True)
class Search:
    """A request as Kibana makes it for a panel, and the check of the answer, which raises an AssertionError."""

    what: str
    index: str
    body: Object
    check: Check


def searches(objects: list[Object], zone: str) -> Iterator[Search]:
    """Every request that the dashboards of a file make, each panel's within its dashboard's time range.

    Args:
        objects: the file.
        zone: the browser's time zone.
    """
    known = {(each["type"], each["id"]): each for each in objects}
    for dashboard in (each for each in objects if each["type"] == "dashboard"):
        attributes = dashboard["attributes"]
        for reference in dashboard["references"]:
            panel = known[reference["type"], reference["id"]]
            views = {
                name: known["index-pattern", id_]["attributes"]
                for name, id_ in ((r["name"], r["id"]) for r in panel["references"])
            }
            asked = _Asked(panel, views, (attributes["timeFrom"], attributes["timeTo"]), zone)
            yield from {"map": _map_searches, "lens": _lens_searches, "search": _table_searches}[panel["type"]](asked)


@dataclass(frozen=True)
class _Asked:
    """A panel, its data views by the name of the reference, and what surrounds it."""

    panel: Object
    views: dict[str, Object]
    range: tuple[str, str]
    zone: str

    def search(self, view: str, body: Object, check: Check, what: str = "", *filters: Object) -> Search:
        """A request to a data view's index within the time range."""
        attributes = self.views[view]
        conditions = list(filters)
        if name := attributes.get("timeFieldName"):
            since, until = self.range
            conditions.append({"range": {name: {"gte": since, "lte": until, "time_zone": self.zone}}})
        body = {**body, "query": {"bool": {"filter": conditions}}}
        return Search(f"{self.panel['type']} {self.panel['id']}{what}", attributes["title"], body, check)


def _map_searches(asked: _Asked) -> Iterator[Search]:
    _, *layers = json.loads(asked.panel["attributes"]["layerListJSON"])
    zoom = json.loads(asked.panel["attributes"]["mapStateJSON"])["zoom"]
    for layer in layers:
        source, what = layer["sourceDescriptor"], f", {layer['id']}"
        view = source["indexPatternRefName"]
        styled = _styled(layer)
        if source["type"] == "ES_GEO_GRID":
            yield asked.search(view, _grid(source, zoom), _grid_check(source), what, *_bounds(source))
            continue
        shown = sorted({*source["tooltipProperties"], *styled, *(join["leftField"] for join in layer["joins"])})
        if source["scalingType"] == "TOP_HITS":
            body = _top_hits(source, shown)
            named = {"bool": {"must_not": {"match_phrase": {source["topHitsSplitField"]: ""}}}}
            yield asked.search(view, body, _top_hits_check(source, shown), what, named, *_bounds(source))
        else:
            body = {"size": _MOST_BUCKETS, "_source": False, **_fields(source["geoField"], shown)}
            yield asked.search(view, body, _hits_check([source["geoField"], *shown]), what)
        for join in layer["joins"]:
            right = join["right"]
            body = {
                "size": 0,
                "track_total_hits": False,
                "aggs": {
                    "join": {
                        "terms": {"field": right["term"], "size": _MOST_BUCKETS},
                        "aggs": _metric_aggregations(right["metrics"]),
                    }
                },
            }
            yield asked.search(right["indexPatternRefName"], body, _join_check(right), f"{what}, join")


def _styled(layer: Object) -> set[str]:
    """The document fields that colours, sizes and texts of a layer need."""
    options = [style["options"] for style in layer["style"]["properties"].values() if style.get("type") == "DYNAMIC"]
    return {each["field"]["name"] for each in options if each["field"]["origin"] == "source"}


def _fields(place: str, shown: list[str]) -> Object:
    return {"fields": [place], "docvalue_fields": list(shown)}


def _bounds(source: Object) -> list[Object]:
    """What is in sight, where a layer asks for that alone: more than the whole city."""
    box = {"top_left": [127.9, 36.6], "bottom_right": [129.4, 35.3]}
    in_sight = source["type"] == "ES_GEO_GRID" or source["filterByMapBounds"]
    return [{"geo_bounding_box": {source["geoField"]: box}}] if in_sight else []


def _top_hits(source: Object, shown: list[str]) -> Object:
    split = source["topHitsSplitField"]
    newest = {
        "size": source["topHitsSize"],
        "_source": False,
        "script_fields": {},
        "sort": [{source["sortField"]: {"order": source["sortOrder"]}}],
        **_fields(source["geoField"], shown),
    }
    return {
        "size": 0,
        "track_total_hits": False,
        "aggs": {
            "totalEntities": {"cardinality": {"field": split, "precision_threshold": 1}},
            "entitySplit": {
                "terms": {"field": split, "size": _MOST_BUCKETS, "shard_size": _MOST_BUCKETS},
                "aggs": {"entityHits": {"top_hits": newest}},
            },
        },
    }


def _top_hits_check(source: Object, shown: list[str]) -> Check:
    def check(answer: Object) -> None:
        buckets = answer["aggregations"]["entitySplit"]["buckets"]
        hits = [hit for bucket in buckets for hit in bucket["entityHits"]["hits"]["hits"]]
        assert len(hits) == len(buckets) * source["topHitsSize"] > 0
        _filled(hits, [source["geoField"], *shown])

    return check


def _hits_check(names: list[str]) -> Check:
    return lambda answer: _filled(answer["hits"]["hits"], names)


def _filled(hits: list[Object], names: list[str]) -> None:
    """Each of these fields has a value in one of the hits at least."""
    assert hits
    assert [name for name in names if not any(name in hit.get("fields", {}) for hit in hits)] == []


def _grid(source: Object, zoom: float) -> Object:
    grid = {
        "field": source["geoField"],
        "precision": math.ceil(zoom) + _FINER[source["resolution"]],
        "bounds": {"top_left": [127.9, 36.6], "bottom_right": [129.4, 35.3]},
        "size": _MOST_BUCKETS,
        "shard_size": _MOST_BUCKETS,
    }
    inner = {"gridCentroid": {"geo_centroid": {"field": source["geoField"]}}, **_metric_aggregations(source["metrics"])}
    return {"size": 0, "track_total_hits": False, "aggs": {"gridSplit": {"geotile_grid": grid, "aggs": inner}}}


def _metric_aggregations(metrics: list[Object]) -> Object:
    # The number of documents is in every bucket, without being asked for.
    return {_metric_name(each): {each["type"]: {"field": each["field"]}} for each in metrics if each["type"] != "count"}


def _grid_check(source: Object) -> Check:
    def check(answer: Object) -> None:
        buckets = answer["aggregations"]["gridSplit"]["buckets"]
        assert buckets
        for bucket in buckets:
            assert bucket["gridCentroid"]["location"]
        _measured(buckets, source["metrics"])

    return check


def _join_check(right: Object) -> Check:
    def check(answer: Object) -> None:
        buckets = answer["aggregations"]["join"]["buckets"]
        assert buckets
        _measured(buckets, right["metrics"])

    return check


def _measured(buckets: list[Object], metrics: list[Object]) -> None:
    for name in (_metric_name(each) for each in metrics if each["type"] != "count"):
        assert any(bucket[name]["value"] for bucket in buckets), f"{name} is empty"


def joined_keys(answer: Object) -> set[str]:
    """The keys that a join found."""
    return {bucket["key"] for bucket in answer["aggregations"]["join"]["buckets"]}


def _table_searches(asked: _Asked) -> Iterator[Search]:
    attributes = asked.panel["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    body = {
        "size": 50,
        "_source": False,
        "fields": attributes["columns"],
        "sort": [{name: {"order": order}} for name, order in attributes["sort"]],
    }
    yield asked.search(source["indexRefName"], body, _hits_check(attributes["columns"]))


def _lens_searches(asked: _Asked) -> Iterator[Search]:
    for name, layer in asked.panel["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].items():
        columns = [(column, layer["columns"][column]) for column in layer["columnOrder"]]
        buckets = [(column, spec) for column, spec in columns if spec["isBucketed"]]
        metrics = [(column, spec) for column, spec in columns if not spec["isBucketed"]]
        aggregations = {column: inner for column, spec in metrics for inner in _metric_aggregation(spec)}
        for column, spec in reversed(buckets):
            # Every level has the metrics: values of a field may be ordered by one.
            inner = {**aggregations, **{c: a for c, s in metrics for a in _metric_aggregation(s)}}
            aggregations = {column: {**_bucket_aggregation(spec, layer["columns"], asked.zone), "aggs": inner}}
        body = {"size": 0, "track_total_hits": True, "aggs": aggregations}
        check = _lens_check([column for column, _ in buckets], metrics, layer["columns"])
        yield asked.search(f"indexpattern-datasource-layer-{name}", body, check)


def _bucket_aggregation(spec: Object, columns: dict[str, Object], zone: str) -> Object:
    params = spec["params"]
    if spec["operationType"] == "date_histogram":
        interval = {"auto": ("fixed_interval", "1m")}.get(params["interval"], ("calendar_interval", params["interval"]))
        return {"date_histogram": {"field": spec["sourceField"], interval[0]: interval[1], "time_zone": zone}}
    order, direction = params["orderBy"], params["orderDirection"]
    by = "_key"
    if order["type"] == "column":
        by = "_count" if columns[order["columnId"]]["operationType"] == "count" else order["columnId"]
    return {"terms": {"field": spec["sourceField"], "size": params["size"], "order": {by: direction}}}


def _metric_aggregation(spec: Object) -> Iterator[Object]:
    """None for what is counted or reckoned outside Elasticsearch."""
    kind = {"sum": "sum", "average": "avg", "max": "max", "unique_count": "cardinality"}.get(spec["operationType"])
    if kind is None:
        return
    asked = {kind: {"field": spec["sourceField"]}}
    if "filter" in spec:
        asked = {"filter": {"exists": {"field": _exists(spec["filter"])}}, "aggs": {"filtered": asked}}
    yield asked


def _lens_check(buckets: list[str], metrics: list[tuple[str, Object]], columns: dict[str, Object]) -> Check:
    def check(answer: Object) -> None:
        leaves = [{"doc_count": answer["hits"]["total"]["value"], **answer.get("aggregations", {})}]
        for column in buckets:
            leaves = [inner for leaf in leaves for inner in leaf[column]["buckets"]]
        assert leaves
        for column, spec in metrics:
            values = [_value(column, leaf, columns) for leaf in leaves]
            assert any(value is not None and value > 0 for value in values), f"{column} ({spec['label']}) is empty"

    return check


def _value(column: str, leaf: Object, columns: dict[str, Object]) -> float | None:
    """A metric in a bucket, as Lens would show it."""
    spec = columns[column]
    match spec["operationType"]:
        case "count":
            return float(leaf["doc_count"])
        case "formula":
            return _value(spec["references"][0], leaf, columns)
        case "math":
            syntax = spec["params"]["tinymathAst"]
            assert syntax["name"] == "divide"
            over, under = (_value(argument, leaf, columns) for argument in syntax["args"])
            return over / under if over is not None and under else None
    found: float | None = (leaf[column]["filtered"] if "filter" in spec else leaf[column])["value"]
    return found
