"""Maps: layers of points, each a way to ask Elasticsearch for places. Only what the Basic licence has."""

from typing import Any

from conf.city.places import districts
from kibana.dashboards import LAST_HOUR, NOW
from kibana.objects import NO_QUERY, PREFIX, Json, SavedObject, text

ZOOM = 9.6  # all districts, in a panel of half a dashboard's width
WORLD, WORLD_ZOOM = {"lat": 30.0, "lon": 60.0}, 1.3
REFRESH_MS = 10_000
_LINE = "#5a6270"


def city_map(name: str, title: str, layers: list["Layer"], *, description: str, since: str, until: str) -> SavedObject:
    """A map of the city over a base layer; the first layer is drawn below the others.

    Args:
        name: the end of its id.
        title: what it shows.
        layers: what lies on the base layer.
        description: what the layers mean.
        since: the start of its time range where it is opened by itself; a dashboard has its own.
        until: the end of it.
    """
    south, north = min(d.south for d in districts()), max(d.north for d in districts())
    west, east = min(d.west for d in districts()), max(d.east for d in districts())
    center = {"lat": round((south + north) / 2, 4), "lon": round((west + east) / 2, 4)}
    return _map(name, title, layers, center, ZOOM, description=description, since=since, until=until)


def world_map(name: str, title: str, layers: list["Layer"], *, description: str, since: str, until: str) -> SavedObject:
    """A map of the world; otherwise as `city_map`."""
    return _map(name, title, layers, WORLD, WORLD_ZOOM, description=description, since=since, until=until)


def _map(
    name: str,
    title: str,
    layers: list["Layer"],
    center: Json,
    zoom: float,
    *,
    description: str,
    since: str,
    until: str,
) -> SavedObject:
    written = [_base(), *(layer.descriptor(place) for place, layer in enumerate(layers, start=1))]
    state = {
        "adHocDataViews": [],
        "center": center,
        "filters": [],
        "query": NO_QUERY,
        "refreshConfig": {"isPaused": False, "interval": REFRESH_MS},
        "settings": {
            "autoFitToDataBounds": False,
            "backgroundColor": "#ffffff",
            "browserLocation": {"zoom": 2},
            "customIcons": [],
            "disableInteractive": False,
            "disableTooltipControl": False,
            "fixedLocation": {**center, "zoom": zoom},
            "hideLayerControl": False,
            "hideToolbarOverlay": False,
            "hideViewControl": False,
            "initialLocation": "LAST_SAVED_LOCATION",
            "keydownScrollZoom": False,
            "maxZoom": 24,
            "minZoom": 0,
            "showScaleControl": True,
            "showSpatialFilters": True,
            "showTimesliderToggleButton": True,
            "spatialFiltersAlpa": 0.3,  # spelled so
            "spatialFiltersFillColor": "#DA8B45",
            "spatialFiltersLineColor": "#DA8B45",
        },
        "timeFilters": {"from": since, "to": until},
        "zoom": zoom,
    }
    return SavedObject(
        "map",
        PREFIX + name,
        {
            "title": f"Citystream: {title}",
            "description": description,
            "layerListJSON": text(written),
            "mapStateJSON": text(state),
            "uiStateJSON": text({"isLayerTOCOpen": True, "openTOCDetails": []}),
        },
        {name: view for place, layer in enumerate(layers, start=1) for name, view in layer.references(place).items()},
    )


def live_map(
    name: str,
    title: str,
    view: SavedObject,
    *,
    squares: str,
    newest: str,
    number: str,
    kind: str,
    sizes: tuple[int, int],
    per: str,
    by: str,
    tooltip: list[str],
    description: str,
) -> SavedObject:
    """A map of the last hour: squares with what happened in each, and the newest of each place as a point.

    Args:
        name: the end of its id.
        title: what it shows.
        view: the data view; `location` says where.
        squares: what the legend says of them.
        newest: what the legend says of the points.
        number: the field that makes squares darker and points larger.
        kind: the field that points are coloured by.
        sizes: of the smallest and the largest point.
        per: the field with one point per value.
        by: the field with the time.
        tooltip: fields of a point.
        description: what the layers mean.
    """
    return city_map(
        name,
        title,
        [
            Layer.squares(
                squares, view, "location", colour(f"sum_of_{number}", "Blues"), metrics=[COUNT, summed(number)]
            ),
            Layer.newest(newest, view, "location", kinds(kind), size(number, *sizes), per=per, by=by, tooltip=tooltip),
        ],
        description=f"{description} Refreshed every 10 seconds. The streets come from Elastic's map service.",
        since=LAST_HOUR,
        until=NOW,
    )


def colour(field: str, ramp: str) -> Json:
    """Points are coloured by a number, on the scale of what is on the map."""
    return {"fillColor": _by(field, color=ramp, type="ORDINAL")}


def kinds(field: str) -> Json:
    """Points have a colour of their own per value."""
    return {"fillColor": _by(field, colorCategory="palette_0", type="CATEGORICAL")}


def size(field: str, smallest: int, largest: int) -> Json:
    """Points are as large as a number is."""
    return {"iconSize": _by(field, minSize=smallest, maxSize=largest)}


def label(field: str) -> Json:
    """Points have a text beside them."""
    return {"labelText": {"type": "DYNAMIC", "options": {"field": {"name": field, "origin": "source"}}}}


def summed(field: str) -> Json:
    """A layer's metric: the sum of a field."""
    return {"type": "sum", "field": field}


COUNT: Json = {"type": "count"}


class Layer:
    """One layer over Elasticsearch.

    Args:
        label: what the legend says.
        view: the data view.
        source: the descriptor of what is asked for, without what all have.
        styles: colour, size and text, of the functions above.
    """

    def __init__(self, label: str, view: SavedObject, source: Json, *styles: Json) -> None:
        self._label, self._view, self._source = label, view, source
        self._styles: Json = {name: style for each in styles for name, style in each.items()}
        self._joined: tuple[SavedObject, Json] | None = None

    @classmethod
    def newest(
        cls, label: str, view: SavedObject, place: str, *styles: Json, per: str, by: str, tooltip: list[str]
    ) -> "Layer":
        """The newest document per value of a field, where it happened."""
        source = {
            **_documents(place, tooltip),
            "filterByMapBounds": True,
            "scalingType": "TOP_HITS",
            "sortField": by,
            "sortOrder": "desc",
            "topHitsGroupByTimeseries": False,
            "topHitsSize": 1,
            "topHitsSplitField": per,
        }
        return cls(label, view, source, *styles)

    @classmethod
    def squares(cls, label: str, view: SavedObject, place: str, *styles: Json, metrics: list[Json]) -> "Layer":
        """Squares of a grid that grows finer as one zooms in, with what happened in each."""
        source = {
            "type": "ES_GEO_GRID",
            "geoField": place,
            "metrics": metrics,
            "requestType": "grid",
            "resolution": "FINE",
        }
        return cls(label, view, source, *styles)

    @classmethod
    def places(
        cls,
        label: str,
        view: SavedObject,
        place: str,
        *styles: Json,
        key: str,
        of: SavedObject,
        term: str,
        metrics: list[Json],
        tooltip: list[str],
    ) -> "Layer":
        """Known places, with metrics of the documents of another index that name them.

        Args:
            label: what the legend says.
            view: the data view of the places.
            place: where they are.
            styles: colour and size may use `join_field(...)`.
            key: the field that a place is named by.
            of: the data view of the other documents.
            term: the field in which they name it.
            metrics: what is asked of them.
            tooltip: fields of the places.
        """
        source = {**_documents(place, tooltip), "filterByMapBounds": False, "scalingType": "LIMIT"}
        layer = cls(label, view, source, *styles)
        right = {
            "type": "ES_TERM_SOURCE",
            "id": _join_id(of, term),
            "applyForceRefresh": True,
            "applyGlobalQuery": True,
            "applyGlobalTime": True,
            "metrics": metrics,
            "term": term,
        }
        layer._joined = of, {"leftField": key, "right": right}
        return layer

    def descriptor(self, place: int) -> Json:
        """The layer as it stands in a map, at this place of its list."""
        name = f"layer-{place}"
        descriptor: Json = {
            "alpha": 0.75,
            "id": name,
            "includeInFitToBounds": True,
            "joins": [],
            "label": self._label,
            "maxZoom": 24,
            "minZoom": 0,
            "sourceDescriptor": {
                "applyForceRefresh": True,
                "applyGlobalQuery": True,
                "applyGlobalTime": True,
                "id": f"{name}-source",
                "indexPatternRefName": f"layer_{place}_source_index_pattern",
                **self._source,
            },
            "style": {"type": "VECTOR", "isTimeAware": True, "properties": {**_PLAIN, **self._styles}},
            "type": "GEOJSON_VECTOR",
            "visible": True,
        }
        if self._joined:
            _, join = self._joined
            right = {**join["right"], "indexPatternRefName": f"layer_{place}_join_0_index_pattern"}
            descriptor["joins"] = [{**join, "right": right}]
        return descriptor

    def references(self, place: int) -> dict[str, SavedObject]:
        """The data views it needs, by the names that the descriptor has for them."""
        found = {f"layer_{place}_source_index_pattern": self._view}
        if self._joined:
            found[f"layer_{place}_join_0_index_pattern"] = self._joined[0]
        return found


def join_field(of: SavedObject, term: str, field: str) -> str:
    """The name under which a style finds the sum of a joined field."""
    return f"__kbnjoin__sum_of_{field}__{_join_id(of, term)}"


def _join_id(of: SavedObject, term: str) -> str:
    return f"{of.id}-by-{term}"


def _documents(place: str, tooltip: list[str]) -> Json:
    return {"type": "ES_SEARCH", "geoField": place, "tooltipProperties": tooltip}


def _by(field: str, **options: object) -> Json:
    origin = "join" if field.startswith("__kbnjoin__") else "source"
    # The scale comes from what the map has fetched, not from a request of its own over all documents.
    meta = {"isEnabled": False, "sigma": 3}
    return {
        "type": "DYNAMIC",
        "options": {"field": {"name": field, "origin": origin}, "fieldMetaOptions": meta, **options},
    }


def _static(**options: object) -> Json:
    return {"type": "STATIC", "options": options}


_PLAIN: dict[str, Any] = {
    "fillColor": _static(color="#54B399"),
    "icon": _static(value="marker"),
    "iconOrientation": _static(orientation=0),
    "iconSize": _static(size=6),
    "labelBorderColor": _static(color="#FFFFFF"),
    "labelBorderSize": {"options": {"size": "SMALL"}},
    "labelColor": _static(color="#000000"),
    "labelSize": _static(size=13),
    "labelText": _static(value=""),
    "lineColor": _static(color=_LINE),
    "lineWidth": _static(size=1),
    "symbolizeAs": {"options": {"value": "circle"}},
}


def _base() -> Json:
    """Streets, from Elastic's map service, which the browser has to reach; without it the layers lie on white."""
    return {
        "alpha": 1,
        "id": "base",
        "includeInFitToBounds": True,
        "label": "Streets (Elastic Maps Service)",
        "locale": "autoselect",
        "maxZoom": 24,
        "minZoom": 0,
        "sourceDescriptor": {"type": "EMS_TMS", "isAutoSelect": True, "lightModeDefault": "road_map_desaturated"},
        "style": {"type": "EMS_VECTOR_TILE", "color": ""},
        "type": "EMS_VECTOR_TILE",
        "visible": True,
    }
