"""Dashboards: rows of panels, refreshed by themselves, with a time range of their own."""

from kibana.objects import NO_QUERY, PREFIX, Json, SavedObject, search_source, text

WIDTH = 48
Rows = list[tuple[int, list[tuple[SavedObject, int]]]]

LAST_HOUR, NOW = "now-1h", "now"
# The time range of totals per day. A day is kept as its midnight in UTC. Up to tomorrow, so that the city's today is in
# it wherever the browser is.
LAST_WEEK, TOMORROW = "now-6d/d", "now+1d/d"


def dashboard(
    name: str,
    title: str,
    note: str,
    rows: Rows,
    *,
    description: str,
    since: str,
    until: str,
    refresh_seconds: int,
) -> SavedObject:
    """A dashboard.

    Args:
        name: the end of its id.
        title: what it shows.
        note: Markdown for the reader, above all panels.
        rows: from top to bottom: a height, and from left to right panels with their widths; a row is 48 wide.
        description: one sentence for the list of dashboards.
        since: the start of the time range, such as `now-1h`.
        until: the end of it.
        refresh_seconds: how often all panels ask again.
    """
    panels: list[Json] = [_panel("note", "visualization", 0, 0, WIDTH, 5, _markdown(note))]
    references: dict[str, SavedObject] = {}
    y = 5
    for height, row in rows:
        x = 0
        for shown, width in row:
            index = shown.id.removeprefix(PREFIX)
            # A big number says itself what it is.
            untitled = {"hidePanelTitles": True} if shown.attributes.get("visualizationType") == "lnsMetric" else {}
            panel = _panel(index, shown.type, x, y, width, height, untitled)
            panels.append({**panel, "panelRefName": f"panel_{index}"})
            references[f"{index}:panel_{index}"] = shown
            x += width
        y += height
    options = {
        "hidePanelTitles": False,
        "syncColors": True,
        "syncCursor": True,
        "syncTooltips": False,
        "useMargins": True,
    }
    attributes = {
        "title": f"Citystream: {title}",
        "description": description,
        "kibanaSavedObjectMeta": search_source(),
        "optionsJSON": text(options),
        "panelsJSON": text(panels),
        "refreshInterval": {"pause": False, "value": refresh_seconds * 1000},
        "timeFrom": since,
        "timeRestore": True,
        "timeTo": until,
        "version": 1,
    }
    return SavedObject("dashboard", PREFIX + name, attributes, references)


def live(name: str, title: str, note: str, rows: Rows, *, description: str) -> SavedObject:
    """A dashboard of what happens now: the documents of the last hour."""
    return dashboard(name, title, note, rows, description=description, since=LAST_HOUR, until=NOW, refresh_seconds=10)


def daily(name: str, title: str, note: str, rows: Rows, *, description: str) -> SavedObject:
    """A dashboard of totals per day: the last week."""
    return dashboard(
        name, title, note, rows, description=description, since=LAST_WEEK, until=TOMORROW, refresh_seconds=10
    )


def link(name: str, text: str) -> str:
    """Markdown that leads to another dashboard."""
    return f"[{text}](#/view/{PREFIX}{name})"


def _panel(index: str, type_: str, x: int, y: int, width: int, height: int, config: Json) -> Json:
    return {
        "embeddableConfig": {"enhancements": {}, **config},
        "gridData": {"h": height, "i": index, "w": width, "x": x, "y": y},
        "panelIndex": index,
        "type": type_,
    }


def _markdown(note: str) -> Json:
    saved = {
        "data": {"aggs": [], "searchSource": {"filter": [], "query": NO_QUERY}},
        "description": "",
        "params": {"fontSize": 12, "markdown": note, "openLinksInNewTab": False},
        "title": "",
        "type": "markdown",
        "uiState": {},
    }
    return {"hidePanelTitles": True, "savedVis": saved}
