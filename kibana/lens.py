"""Lens panels: charts of one data view. A column is what a field becomes; a chart says which column goes where."""

from typing import Any

from kibana.objects import NO_QUERY, PREFIX, Json, SavedObject

LAYER = "layer"
RECORDS = "___records___"


def metric(operation: str, field: str, label: str, *, decimals: int = 0, per: str | None = None) -> Json:
    """A number out of many documents.

    Args:
        operation: `sum`, `average`, `unique_count`, `max`.
        field: what it is taken of.
        label: what people call it.
        decimals: how many are shown.
        per: `m`, `h` or `d`: over time, as a rate per that unit, however long the bars are.
    """
    return {
        "customLabel": True,
        "dataType": "number",
        "isBucketed": False,
        "label": label,
        "operationType": operation,
        "params": {
            "emptyAsNull": operation == "sum" and per is None,
            "format": {"id": "number", "params": {"decimals": decimals}},
        },
        "scale": "ratio",
        "sourceField": field,
        **({"timeScale": per} if per else {}),
    }


def count(label: str, *, per: str | None = None) -> Json:
    """How many documents there are."""
    return metric("count", RECORDS, label, per=per)


def ratio(over: str, under: str, label: str, *, decimals: int = 0) -> Json:
    """The sum of one field by the sum of another, of the documents that have the first."""
    return {"ratio": (over, under), "label": label, "decimals": decimals}


def time(field: str, label: str, *, interval: str = "auto") -> Json:
    """One bar per interval: `auto`, or `1d`, `1M`."""
    return {
        "customLabel": True,
        "dataType": "date",
        "isBucketed": True,
        "label": label,
        "operationType": "date_histogram",
        # The last bar of many is still growing; a day or a month is shown as far as it is.
        "params": {"interval": interval, "includeEmptyRows": True, "dropPartials": interval == "auto"},
        "scale": "interval",
        "sourceField": field,
    }


def top(field: str, label: str, size: int, *, alphabetical: bool = False) -> Json:
    """The values of a field, those with the most of the first metric, or in order of the alphabet."""
    return {
        "customLabel": True,
        "dataType": "string",
        "isBucketed": True,
        "label": label,
        "operationType": "terms",
        "params": {
            "size": size,
            "orderBy": {"type": "alphabetical", "fallback": False} if alphabetical else {"type": "column"},
            "orderDirection": "asc" if alphabetical else "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
        "scale": "ordinal",
        "sourceField": field,
    }


def number(name: str, title: str, view: SavedObject, value: Json) -> SavedObject:
    """One big number."""
    return _lens(
        name,
        title,
        view,
        "lnsMetric",
        {"value": value},
        {"layerId": LAYER, "layerType": "data", "metricAccessor": "value"},
    )


def bars(
    name: str,
    title: str,
    view: SavedObject,
    across: Json,
    values: list[Json],
    *,
    split: Json | None = None,
    kind: str = "bar_stacked",
) -> SavedObject:
    """A chart with two axes.

    Args:
        name: the end of its id.
        title: what it shows.
        view: the data view.
        across: the column of the horizontal axis, or of the vertical one of horizontal bars.
        values: the metrics.
        split: one series per value of this column.
        kind: `bar_stacked`, `bar_horizontal`, `line`, `area_stacked`.
    """
    # The split comes first, so that its top values are those of the whole chart and not of each bar.
    columns = {**({"split": split} if split else {}), "across": across, **_numbered(values)}
    layer = {
        "accessors": list(_numbered(values)),
        "layerId": LAYER,
        "layerType": "data",
        "position": "top",
        "seriesType": kind,
        "showGridlines": False,
        "xAccessor": "across",
        **({"splitAccessor": "split"} if split else {}),
    }
    visualization = {
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": len(values) == 1, "yRight": False},
        "fittingFunction": "None",
        "layers": [layer],
        "legend": {"isVisible": split is not None or len(values) > 1, "position": "right"},
        "preferredSeriesType": kind,
        "valueLabels": "hide",
    }
    return _lens(name, title, view, "lnsXY", columns, visualization)


def shares(name: str, title: str, view: SavedObject, of: Json, value: Json) -> SavedObject:
    """A ring with one part per value."""
    layer = {
        "categoryDisplay": "default",
        "layerId": LAYER,
        "layerType": "data",
        "legendDisplay": "default",
        "metrics": ["value"],
        "nestedLegend": False,
        "numberDisplay": "percent",
        "primaryGroups": ["of"],
    }
    return _lens(name, title, view, "lnsPie", {"of": of, "value": value}, {"shape": "donut", "layers": [layer]})


def table(name: str, title: str, view: SavedObject, rows: list[Json], values: list[Json]) -> SavedObject:
    """A table: a row per combination of values, a column per metric."""
    columns = {**{f"row-{number}": row for number, row in enumerate(rows)}, **_numbered(values)}
    visualization = {
        "columns": [{"columnId": column, "isTransposed": False} for column in columns],
        "layerId": LAYER,
        "layerType": "data",
    }
    return _lens(name, title, view, "lnsDatatable", columns, visualization)


def _numbered(values: list[Json]) -> dict[str, Json]:
    return {f"value-{number}": value for number, value in enumerate(values)}


def _lens(
    name: str, title: str, view: SavedObject, chart: str, columns: dict[str, Json], visualization: Json
) -> SavedObject:
    written: dict[str, Json] = {}
    for column, spec in columns.items():
        written |= _ratio(column, spec) if "ratio" in spec else {column: spec}
    first = next(column for column, spec in written.items() if not spec["isBucketed"])
    written = {column: _ordered(spec, first, written) for column, spec in written.items()}
    layer = {
        "columnOrder": [
            *(column for column, spec in written.items() if spec["isBucketed"]),
            *(column for column, spec in written.items() if not spec["isBucketed"]),
        ],
        "columns": written,
        "incompleteColumns": {},
        "sampling": 1,
    }
    state = {
        "adHocDataViews": {},
        "datasourceStates": {"formBased": {"layers": {LAYER: layer}}},
        "filters": [],
        "internalReferences": [],
        "query": NO_QUERY,
        "visualization": visualization,
    }
    attributes = {"title": f"Citystream: {title}", "description": "", "visualizationType": chart, "state": state}
    return SavedObject("lens", PREFIX + name, attributes, {f"indexpattern-datasource-layer-{LAYER}": view})


def _ordered(spec: Json, by: str, columns: dict[str, Json]) -> Json:
    order = spec.get("params", {}).get("orderBy", {})
    if order.get("type") != "column":
        return spec
    if "references" in columns[by]:
        msg = f"{spec['label']}: Lens can't order by a formula; order by the alphabet"
        raise ValueError(msg)
    return {**spec, "params": {**spec["params"], "orderBy": {**order, "columnId": by}}}


def _ratio(column: str, spec: Json) -> dict[str, Json]:
    """A formula is kept as four columns: its two sums, what is done to them, and what is shown."""
    over, under = spec["ratio"]
    known = f"{over}: *"
    formula = f"sum({over}) / sum({under}, kql='{known}')"
    part: Json = {"customLabel": True, "dataType": "number", "isBucketed": False, "scale": "ratio"}
    part["label"] = f"Part of {spec['label']}"
    parts = [f"{column}X{number}" for number in range(3)]
    total: Json = {**part, "operationType": "sum", "params": {"emptyAsNull": False}}
    quotient: Any = {"type": "function", "name": "divide", "args": parts[:2], "text": formula}
    quotient["location"] = {"min": 0, "max": len(formula)}
    return {
        column: {
            **part,
            "label": spec["label"],
            "operationType": "formula",
            "params": {
                "formula": formula,
                "format": {"id": "number", "params": {"decimals": spec["decimals"]}},
                "isFormulaBroken": False,
            },
            "references": [parts[2]],
        },
        parts[0]: {**total, "sourceField": over},
        parts[1]: {**total, "sourceField": under, "filter": {"language": "kuery", "query": known}},
        parts[2]: {**part, "operationType": "math", "params": {"tinymathAst": quotient}, "references": parts[:2]},
    }
