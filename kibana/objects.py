"""Saved objects, data views among them, as a Kibana 8.19 exports them.

Ids are names, so that an import replaces what an earlier one left, and lines have sorted keys: the same definitions
give the same file.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# The form that each type's attributes have here. A Kibana migrates older forms and refuses newer ones, so a dashboard
# has the one before its last: the 8.19 releases know both.
FORMS = {"index-pattern": "8.0.0", "lens": "8.9.0", "map": "8.4.0", "search": "8.0.0", "dashboard": "10.2.0"}
CORE_FORM = "8.8.0"
PREFIX = "citystream-"

NO_QUERY: Json = {"query": "", "language": "kuery"}


@dataclass(frozen=True)
class SavedObject:
    """One line of a file that Kibana imports.

    Attributes:
        type: Kibana's type.
        id: names it for ever.
        attributes: what it is.
        references: the objects it needs, by the names under which its attributes know them.
    """

    type: str
    id: str
    attributes: Json
    references: dict[str, "SavedObject"] = field(default_factory=dict)

    def line(self) -> str:
        """The object as JSON."""
        return text(
            {
                "attributes": self.attributes,
                "coreMigrationVersion": CORE_FORM,
                "id": self.id,
                "managed": False,
                "references": [
                    {"id": to.id, "name": name, "type": to.type} for name, to in sorted(self.references.items())
                ],
                "type": self.type,
                "typeMigrationVersion": FORMS[self.type],
            }
        )


def lines(objects: Iterable[SavedObject]) -> str:
    """A file with these objects and all that they need."""
    found: dict[tuple[str, str], str] = {}

    def add(each: SavedObject) -> None:
        for needed in each.references.values():
            add(needed)
        found[each.type, each.id] = each.line()

    for each in objects:
        add(each)
    return "".join(f"{line}\n" for line in found.values())


def text(value: Any) -> str:  # noqa: ANN401
    """JSON with sorted keys; many attributes are such text within the JSON of the object."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def search_source(**more: object) -> Json:
    """The attribute that holds the query of an object."""
    return {"searchSourceJSON": text({"query": NO_QUERY, "filter": [], **more})}


def data_view(
    index: str,
    name: str,
    *,
    time: str | None = None,
    formats: dict[str, Json] | None = None,
    labels: dict[str, str] | None = None,
) -> SavedObject:
    """A data view of one index.

    Args:
        index: the index; its template is in conf/elasticsearch.
        name: what people call it.
        time: the field that Kibana's time range applies to; None: all documents count at any time.
        formats: how values of a field are shown.
        labels: what people call a field.
    """
    return SavedObject(
        "index-pattern",
        PREFIX + index.replace("_", "-"),
        {
            "title": index,
            "name": f"Citystream: {name}",
            **({"timeFieldName": time} if time else {}),
            "allowHidden": False,
            "fields": "[]",
            "sourceFilters": "[]",
            "runtimeFieldMap": "{}",
            "fieldFormatMap": text(formats or {}),
            "fieldAttrs": text({field: {"customLabel": label} for field, label in (labels or {}).items()}),
        },
    )


def day_format(pattern: str = "YYYY-MM-DD") -> Json:
    """A field that holds a day, not a moment: shown as it was written, whatever the browser's time zone."""
    return {"id": "date", "params": {"pattern": pattern, "timezone": "UTC"}}


def names_of(values: dict[str, str]) -> Json:
    """A field that holds codes, shown with their names."""
    entries = [{"key": key, "value": value} for key, value in values.items()]
    return {"id": "static_lookup", "params": {"lookupEntries": entries, "unknownKeyValue": None}}


def saved_search(
    name: str, title: str, view: SavedObject, *, columns: list[str], newest_by: str, description: str
) -> SavedObject:
    """A table of documents, newest first."""
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    return SavedObject(
        "search",
        PREFIX + name,
        {
            "title": f"Citystream: {title}",
            "description": description,
            "columns": columns,
            "sort": [[newest_by, "desc"]],
            "grid": {},
            "hideChart": True,
            "kibanaSavedObjectMeta": search_source(indexRefName=reference, highlightAll=True, version=True),
        },
        {reference: view},
    )
