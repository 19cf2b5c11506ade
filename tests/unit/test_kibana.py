"""Kibana's saved objects: whole, built from their definitions, and imported as Kibana wants it."""

import copy
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from conf.city.places import districts
from conf.settings import Kibana
from conf.templates import templates
from kibana import __main__ as command
from kibana import importing
from kibana.importing import ImportFailedError, await_ready, client, dashboard, import_file
from kibana.lens import count, number, ratio, top
from kibana.lens import table as lens_table
from kibana.objects import SavedObject, data_view, lines
from tests import kibana_server
from tests.kibana_server import KibanaServer
from tests.saved_objects import (
    FILES,
    Object,
    faults,
    known_fields,
    linked_dashboards,
    read,
    searches,
    written_fields,
)

FIELDS = known_fields()
BY_NAME = {file.name: read(file) for file in FILES}
ORDERS, CARBON = BY_NAME["deliveries.ndjson"], BY_NAME["carbon.ndjson"]
ALL = [each for objects in BY_NAME.values() for each in objects]


def test_the_files_are_what_the_definitions_build() -> None:
    built = {name: lines(dashboards) for name, dashboards in command.FILES.items()}
    assert built.keys() >= {"carbon.ndjson", "deliveries.ndjson"}
    assert {file.name: file.read_text(encoding="utf-8") for file in FILES} == built, "run `python -m kibana build`"


def test_a_line_has_sorted_keys() -> None:
    for file in FILES:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert line == json.dumps(json.loads(line), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("name", BY_NAME)
def test_nothing_is_missing_or_unused(name: str) -> None:
    assert faults(BY_NAME[name], FIELDS) == []


def test_every_data_view_and_kind_of_object_is_there() -> None:
    views = {each["attributes"]["title"] for each in ALL if each["type"] == "index-pattern"}
    assert views == FIELDS.keys()
    assert {each["type"] for each in ORDERS} == {"index-pattern", "map", "lens", "search", "dashboard"}
    sources = {
        (source["type"], source.get("scalingType"))
        for each in ORDERS + CARBON
        if each["type"] == "map"
        for source in (layer["sourceDescriptor"] for layer in json.loads(each["attributes"]["layerListJSON"]))
    }
    documents = {("ES_SEARCH", "TOP_HITS"), ("ES_SEARCH", "LIMIT")}
    assert sources == {("EMS_TMS", None), ("ES_GEO_GRID", None), *documents}


def test_an_object_in_both_files_is_the_same() -> None:
    both = [each for each in ORDERS if (each["type"], each["id"]) in {(o["type"], o["id"]) for o in CARBON}]
    assert [each["id"] for each in both] == ["citystream-districts"]
    assert all(each in CARBON for each in both)


def test_texts_lead_to_dashboards_that_exist() -> None:
    there = {each["id"] for each in ORDERS + CARBON if each["type"] == "dashboard"}
    assert linked_dashboards(ORDERS + CARBON) == there


def test_districts_have_their_names() -> None:
    for view in (each for each in ORDERS + CARBON if each["type"] == "index-pattern"):
        formats = json.loads(view["attributes"]["fieldFormatMap"])
        if view["attributes"]["title"] != "districts" and "region" in FIELDS[view["attributes"]["title"]]:
            entries = formats["region"]["params"]["lookupEntries"]
            assert [entry["key"] for entry in entries] == [district.code for district in districts()]


def test_every_panel_asks_something() -> None:
    for objects in (ORDERS, CARBON):
        panels = {each["id"] for each in objects if each["type"] in ("map", "lens", "search")}
        asked = {re.split(r"[ ,]", search.what)[1] for search in searches(objects, "Asia/Seoul")}
        assert asked == panels


# A checker that finds nothing in broken objects would prove nothing: each of these breaks one thing.


def _layers(change: Callable[[list[Any]], None]) -> Callable[[Object], None]:
    def changed(each: Object) -> None:
        layers = json.loads(each["attributes"]["layerListJSON"])
        change(layers)
        each["attributes"]["layerListJSON"] = json.dumps(layers)

    return changed


def _panels(change: Callable[[list[Any]], None]) -> Callable[[Object], None]:
    def changed(each: Object) -> None:
        panels = json.loads(each["attributes"]["panelsJSON"])
        change(panels)
        each["attributes"]["panelsJSON"] = json.dumps(panels)

    return changed


def _columns(change: Callable[[Object], None]) -> Callable[[Object], None]:
    return lambda each: change(
        each["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]["layer"]["columns"]
    )


def _set(path: str, value: object) -> Callable[[Any], None]:
    """Sets what `a/0/b` leads to."""

    def change(found: Any) -> None:
        *way, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        for part in way:
            found = found[part]
        found[last] = value

    return change


def _move(each: Object) -> None:
    each["references"][0]["id"] = "citystream-nowhere"


def _drop_reference(each: Object) -> None:
    each["references"].pop()


def _extra_reference(each: Object) -> None:
    each["references"].append(
        {"name": "layer_9_source_index_pattern", "type": "index-pattern", "id": "citystream-carbon"}
    )


LIVE, DESTINATIONS, REGIONS = "citystream-orders-map", "citystream-destinations-map", "citystream-carbon-regions-map"
PER_MINUTE, BY_CATEGORY = "citystream-orders-per-minute", "citystream-orders-by-category"
MEAN, NEWEST, NOW = "citystream-carbon-per-household", "citystream-orders-newest", "citystream-orders-now"
STYLE = "2/style/properties/{}/options/field/name"
JOIN = "1/joins/0/{}"


@pytest.mark.parametrize(
    ("id_", "change", "said"),
    [
        ("citystream-deliveries", _set("attributes/title", "orders"), "no template"),
        ("citystream-deliveries", _set("attributes/timeFieldName", "category"), "is a keyword"),
        ("citystream-deliveries", _set("attributes/fieldFormatMap", '{"x":{"id":"number"}}'), "no field x"),
        (LIVE, _move, "is not in the file"),
        (LIVE, _drop_reference, "there is no reference layer_2_source_index_pattern"),
        (LIVE, _extra_reference, "nothing uses the reference layer_9_source_index_pattern"),
        (LIVE, _layers(_set("1/sourceDescriptor/geoField", "address")), "is a text"),
        (LIVE, _layers(_set("1/sourceDescriptor/geoField", "place")), "no field place"),
        (LIVE, _layers(_set("1/sourceDescriptor/requestType", "hex")), "not Basic"),
        (LIVE, _layers(_set("1/sourceDescriptor/type", "ES_GEO_LINE")), "not in the Basic licence"),
        (LIVE, _layers(_set("1/sourceDescriptor/metrics/1/field", "category")), "is a keyword"),
        (LIVE, _layers(_set("1/sourceDescriptor/metrics/1/field", "price")), "no field price"),
        (
            LIVE,
            _layers(_set("1/sourceDescriptor/indexPatternRefName", "layer_0_source_index_pattern")),
            "names its data",
        ),
        (
            LIVE,
            _layers(_set("1/style/properties/fillColor/options/field/name", "sum_of_charge")),
            "no field sum_of_charge",
        ),
        (LIVE, _layers(_set("2/sourceDescriptor/topHitsSplitField", "address")), "is a text"),
        (LIVE, _layers(_set("2/sourceDescriptor/sortField", "time")), "no field time"),
        (LIVE, _layers(_set("2/sourceDescriptor/tooltipProperties/0", "courier")), "no field courier"),
        (LIVE, _layers(_set(STYLE.format("iconSize"), "menu")), "is a keyword"),
        (LIVE, _layers(_set(STYLE.format("fillColor"), "kind")), "no field kind"),
        (LIVE, _layers(lambda layers: layers.pop(0)), "no base layer"),
        (DESTINATIONS, _layers(_set(JOIN.format("leftField"), "code")), "no field code"),
        (DESTINATIONS, _layers(_set(JOIN.format("right/term"), "region_name")), "or nothing writes it"),
        (DESTINATIONS, _layers(_set(JOIN.format("right/metrics/0/field"), "total")), "no field total"),
        (DESTINATIONS, _layers(_set(JOIN.format("right/id"), "other")), "no join has the metric"),
        (DESTINATIONS, _layers(_set(JOIN.format("right/indexPatternRefName"), "x")), "there is no reference x"),
        (BY_CATEGORY, _move, "is not in the file"),
        (BY_CATEGORY, _set("references/0/name", "indexpattern-datasource-layer-other"), "there is no reference"),
        (BY_CATEGORY, _columns(_set("value-0/sourceField", "payed")), "no field payed"),
        (BY_CATEGORY, _columns(_set("value-0/sourceField", "menu")), "is a keyword"),
        (BY_CATEGORY, _columns(_set("value-0/operationType", "last_value")), "unknown operation"),
        (BY_CATEGORY, _columns(_set("across/sourceField", "address")), "is a text"),
        (BY_CATEGORY, _columns(_set("across/params/orderBy/columnId", "value-1")), "is ordered by value-1"),
        (BY_CATEGORY, _columns(_set("across/isBucketed", False)), "as a bucket, or the reverse"),
        (BY_CATEGORY, _columns(lambda columns: columns.pop("value-0")), "there is no column value-0"),
        (BY_CATEGORY, _set("attributes/visualizationType", "lnsChoropleth"), "unknown chart"),
        (BY_CATEGORY, _set("attributes/state/visualization/layers/0/accessors", ["other"]), "there is no column other"),
        (BY_CATEGORY, _set("attributes/state/visualization/layers/0/layerId", "l2"), "differ in their layers"),
        (PER_MINUTE, _columns(_set("value-0/sourceField", "order_id")), "not ___records___"),
        (PER_MINUTE, _columns(_set("across/sourceField", "pay")), "is a integer"),
        (PER_MINUTE, _columns(_set("spare", {"operationType": "count"})), "nothing shows the column spare"),
        (NEWEST, _set("attributes/columns/0", "shop"), "no field shop"),
        (NEWEST, _set("attributes/sort", [["address", "desc"]]), "is a text"),
        (NEWEST, _move, "is not in the file"),
        (NOW, _move, "is not in the file"),
        (NOW, _drop_reference, "there is no reference"),
        (NOW, _panels(_set("1/panelRefName", "panel_other")), "has the reference panel_other"),
        (NOW, _panels(_set("1/type", "map")), "not to a map"),
        (NOW, _panels(_set("1/gridData/x", 40)), "lies on another one"),
        (NOW, _panels(_set("1/gridData/w", 60)), "out of place"),
        (NOW, _panels(_set("1/embeddableConfig/enhancements", {"dynamicActions": {}})), "need a licence"),
        (NOW, _set("attributes/timeRestore", False), "timeRestore"),
        (NOW, _set("attributes/refreshInterval/pause", True), "does not refresh"),
        (NOW, _set("attributes/timeFrom", "yesterday"), "no relative time"),
    ],
)
def test_what_is_broken_is_found(id_: str, change: Callable[[Object], None], said: str) -> None:
    broken = copy.deepcopy(ORDERS)
    change(next(each for each in broken if each["id"] == id_))
    assert [fault for fault in faults(broken, FIELDS) if said in fault and id_ in fault] != []


@pytest.mark.parametrize(
    ("id_", "change", "said"),
    [
        (MEAN, _columns(_set("valueX0/sourceField", "kg")), "no field kg"),
        (MEAN, _columns(_set("valueX1/filter/query", "kg: *")), "no field kg"),
        (MEAN, _columns(_set("valueX2/params/tinymathAst/args", ["valueX0", "valueX3"])), "other columns"),
        (MEAN, _columns(_set("value/references", ["valueX4"])), "there is no column valueX4"),
        (REGIONS, _layers(_set(JOIN.format("right/metrics/0/field"), "heating")), "is a keyword"),
    ],
)
def test_what_is_broken_in_carbon_is_found(id_: str, change: Callable[[Object], None], said: str) -> None:
    broken = copy.deepcopy(CARBON)
    change(next(each for each in broken if each["id"] == id_))
    assert [fault for fault in faults(broken, FIELDS) if said in fault and id_ in fault] != []


@pytest.mark.parametrize("index", templates())
def test_a_template_has_the_fields_that_a_job_writes(index: str) -> None:
    properties = templates()[index]["template"]["mappings"]["properties"]
    assert written_fields(index) in (None, properties.keys())


def test_two_of_a_kind_are_found() -> None:
    assert faults([*ORDERS, ORDERS[0]], FIELDS) == ["two objects have the same type and id"]


def test_a_table_is_not_ordered_by_a_formula() -> None:
    view = data_view("carbon", "emission")
    with pytest.raises(ValueError, match="order by the alphabet"):
        lens_table("x", "x", view, [top("name", "Name", 3)], [ratio("kg_co2", "households", "kg")])


# The import.


def kibana(url: str, **more: object) -> Kibana:
    return Kibana.model_validate({"url": url, "user": "elastic", **more})


def one_object(folder: Path, **changes: object) -> Path:
    """A file with a panel and its data view; the panel is changed."""
    view = data_view("deliveries", "orders", time="ordered_at")
    panel = number("orders", "orders", view, count("Orders"))
    described = [json.loads(line) for line in lines([panel]).splitlines()]
    described[-1] |= changes
    file = folder / "some.ndjson"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in described))
    return file


def test_everything_is_imported_and_again(capsys: pytest.CaptureFixture[str]) -> None:
    with KibanaServer() as server:
        for _ in range(2):
            assert command.main(["import", "--url", server.url]) == 0
        assert server.files == [file.name for file in FILES] * 2
        assert set(server.objects) == {(each["type"], each["id"]) for each in ALL}
        imported = httpx.get(f"{server.url}/imported").json()
        assert len(imported["objects"]) == len(server.objects)
    said = capsys.readouterr().out
    assert f"deliveries.ndjson: {len(ORDERS)} objects imported" in said
    assert f"Citystream: orders now: {server.url}/app/dashboards#/view/{NOW}" in said


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("http://host:5601", "http://host:5601/app/dashboards#/view/x"),
        ("http://host/base", "http://host/base/app/dashboards#/view/x"),
        ("http://host/base/", "http://host/base/app/dashboards#/view/x"),
    ],
)
def test_links_have_the_base_path_and_one_slash(url: str, page: str) -> None:
    with client(kibana("http://elsewhere"), url) as http:
        assert dashboard(http, "x") == page


def test_settings_bring_address_and_login(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with KibanaServer(login=("somebody", "s3cret")) as server:
        monkeypatch.setenv("KIBANA_URL", server.url)
        assert command.main(["import"]) == 1
        said = capsys.readouterr().err
        assert "KIBANA_USER and KIBANA_PASSWORD" in said
        monkeypatch.setenv("KIBANA_USER", "somebody")
        monkeypatch.setenv("KIBANA_PASSWORD", "wr0ng")
        assert command.main(["import"]) == 1
        assert "wr0ng" not in capsys.readouterr().err
        monkeypatch.setenv("KIBANA_PASSWORD", "s3cret")
        assert command.main(["import"]) == 0


def test_it_waits_until_kibana_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_PAUSE_SECONDS", 0.1)
    said: list[str] = []
    with KibanaServer(ready_after=2) as server, client(kibana(server.url)) as http:
        await_ready(http, 20, said.append)
        assert server.status_requests == 3
    assert len(said) == 1
    assert "not ready yet" in said[0]


@pytest.mark.parametrize("ready_after", [None, 1000])
def test_it_gives_up_at_the_deadline(ready_after: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    with KibanaServer(ready_after=ready_after or 0) as server:
        url = "http://127.0.0.1:1" if ready_after is None else server.url
        began = time.monotonic()
        assert command.main(["import", "--url", url, "--wait", "0.5"]) == 1
    assert time.monotonic() - began < 5
    said = capsys.readouterr()
    assert "was not ready within 0 s" in said.err or "was not ready within 1 s" in said.err
    assert "--wait" in said.err
    assert ("does not answer" if ready_after is None else "HTTP 503") in said.out


def test_what_is_no_kibana_is_named(tmp_path: Path) -> None:
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with client(kibana(url)) as http, pytest.raises(ImportFailedError, match=r"is no Kibana.*KIBANA_URL"):
            await_ready(http, 5, print)
        server.shutdown()
    with pytest.raises(ImportFailedError, match="begins with http"):
        client(kibana("http://localhost"), "localhost:5601")


def refusal(file: Path, **server_options: Any) -> str:
    with KibanaServer(**server_options) as server, client(kibana(server.url)) as http:
        with pytest.raises(ImportFailedError) as caught:
            import_file(http, file)
        assert server.files == [] or server.objects == {}
    return str(caught.value)


def test_each_refused_object_is_named(tmp_path: Path) -> None:
    reference = {"type": "index-pattern", "id": "citystream-gone", "name": "indexpattern-datasource-layer-layer"}
    said = refusal(one_object(tmp_path, references=[reference]))
    assert "some.ndjson" in said
    assert "lens citystream-orders: missing_references index-pattern citystream-gone" in said
    said = refusal(one_object(tmp_path, type="chart"))
    assert "chart citystream-orders: unsupported_type" in said
    said = refusal(one_object(tmp_path, attributes={"title": "Orders", "titel": "Orders"}))
    assert "lens citystream-orders: unknown ValueError: definition for the key titel is missing" in said
    said = refusal(one_object(tmp_path, references=[]))
    assert "no reference has the name indexpattern-datasource-layer-layer" in said


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    said = refusal(one_object(tmp_path, typeMigrationVersion="9.0.0"))
    assert "HTTP 422" in said
    assert "more recent version of Kibana" in said


def test_no_form_is_newer_than_an_8_19_knows() -> None:
    for each in ORDERS + CARBON:
        for name, newest in (
            ("typeMigrationVersion", kibana_server.FORMS[each["type"]]),
            ("coreMigrationVersion", kibana_server.CORE_FORM),
        ):
            assert kibana_server._numbers(each[name]) <= kibana_server._numbers(newest)


def test_only_ndjson_is_taken(tmp_path: Path) -> None:
    assert "Invalid file extension .json" in refusal(one_object(tmp_path).rename(tmp_path / "some.json"))


def test_the_stand_in_wants_header_and_multipart() -> None:
    with KibanaServer() as server:
        path = f"{server.url}/api/saved_objects/_import"
        file = {"file": ("a.ndjson", b"", "application/ndjson")}
        assert "kbn-xsrf" in httpx.post(path, files=file).json()["message"]
        header = {"kbn-xsrf": "x"}
        assert httpx.post(path, content=b"{}", headers=header).status_code == 415
        both = {"overwrite": "true", "createNewCopies": "true"}
        assert httpx.post(path, files=file, headers=header, params=both).status_code == 400
        taken = httpx.post(path, files={"file": ("a.ndjson", FILES[0].read_bytes())}, headers=header).json()
        assert taken["success"]
        again = httpx.post(path, files={"file": ("a.ndjson", FILES[0].read_bytes())}, headers=header).json()
        assert {error["error"]["type"] for error in again["errors"]} == {"conflict"}


def test_a_file_has_what_its_objects_need() -> None:
    view = data_view("deliveries", "orders")
    panels: list[SavedObject] = [number(name, name, view, count("Orders")) for name in ("a", "b")]
    ids = [json.loads(line)["id"] for line in lines(panels).splitlines()]
    assert ids == ["citystream-deliveries", "citystream-a", "citystream-b"]
