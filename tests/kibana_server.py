"""A stand-in for Kibana: its status and its import of saved objects, as strict as the real ones, or stricter.

`python tests/kibana_server.py --port 5601` runs it by itself; `GET /imported` then shows what came. It needs
nothing but the standard library. What it can't tell is whether a real Kibana draws what it took.
"""

import argparse
import base64
import email.parser
import email.policy
import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

# The newest form of each type that an 8.19 knows; it refuses newer ones.
FORMS = {"index-pattern": "8.0.0", "lens": "8.9.0", "map": "8.4.0", "search": "10.5.0", "dashboard": "10.3.0"}
CORE_FORM = "8.8.0"
# What each may consist of; others are refused.
ATTRIBUTES = {
    "index-pattern": {
        *("title", "name", "timeFieldName", "allowHidden", "fields", "sourceFilters", "runtimeFieldMap"),
        *("fieldFormatMap", "fieldAttrs"),
    },
    "lens": {"title", "description", "visualizationType", "state"},
    "map": {"title", "description", "layerListJSON", "mapStateJSON", "uiStateJSON"},
    "search": {"title", "description", "columns", "sort", "grid", "hideChart", "kibanaSavedObjectMeta"},
    "dashboard": {
        *("title", "description", "kibanaSavedObjectMeta", "optionsJSON", "panelsJSON", "controlGroupInput"),
        *("refreshInterval", "timeFrom", "timeRestore", "timeTo", "version"),
    },
}
XSRF = "kbn-xsrf"


class Refusal(Exception):
    """An answer that is an error of HTTP."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class KibanaServer(ThreadingHTTPServer):
    """A server on the loopback interface, or on `host`.

    Args:
        port: 0 takes a free one.
        host: the interface.
        ready_after: how often it says that it is not ready yet.
        login: user and password that it asks for; None: it asks for nothing.
    """

    daemon_threads = True

    def __init__(
        self, port: int = 0, *, host: str = "127.0.0.1", ready_after: int = 0, login: tuple[str, str] | None = None
    ) -> None:
        super().__init__((host, port), Handler)
        self.ready_after = ready_after
        self.login = login
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.files: list[str] = []
        self.status_requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def take(self, text: str, *, overwrite: bool) -> dict[str, Any]:
        """Import the lines of a file; nothing is kept where one object is refused."""
        objects = [json.loads(line) for line in text.splitlines() if line.strip()]
        objects = [each for each in objects if "exportedCount" not in each]  # the last line of an export
        known = self.objects.keys() | {(each["type"], each["id"]) for each in objects}
        errors = []
        seen: set[tuple[str, str]] = set()
        for each in objects:
            key = (each["type"], each["id"])
            if key in seen:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"Non-unique import objects detected: [{':'.join(key)}]")
            seen.add(key)
            for error in self._errors(each, known, overwrite=overwrite):
                errors.append({"type": key[0], "id": key[1], "meta": {}, "error": error})
        if errors:
            return {"success": False, "successCount": len(objects) - len(errors), "errors": errors}
        self.objects |= {(each["type"], each["id"]): each for each in objects}
        return {
            "success": True,
            "successCount": len(objects),
            "successResults": [{"type": each["type"], "id": each["id"], "managed": False} for each in objects],
            "warnings": [],
        }

    def _errors(
        self, each: dict[str, Any], known: set[tuple[str, str]], *, overwrite: bool
    ) -> Iterator[dict[str, Any]]:
        kind = each["type"]
        if kind not in FORMS:
            yield {"type": "unsupported_type"}
            return
        for name, newest in (("typeMigrationVersion", FORMS[kind]), ("coreMigrationVersion", CORE_FORM)):
            if _numbers(each.get(name, "0")) > _numbers(newest):
                message = (
                    f'Document "{each["id"]}" belongs to a more recent version of Kibana [{each[name]}] when the last '
                    f"known version is [{newest}]."
                )
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        if (kind, each["id"]) in self.objects and not overwrite:
            yield {"type": "conflict"}
        references = each.get("references", [])
        missing = [
            {"type": needed["type"], "id": needed["id"]}
            for needed in references
            if (needed["type"], needed["id"]) not in known
        ]
        if missing:
            yield {"type": "missing_references", "references": missing}
        try:
            _check_attributes(each)
        except (ValueError, KeyError, TypeError) as error:
            yield {"type": "unknown", "message": f"{type(error).__name__}: {error}", "statusCode": 400}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _check_attributes(each: dict[str, Any]) -> None:
    """Texts within the JSON are JSON, and every name by which they know another object is among the references."""
    attributes, names = each["attributes"], {reference["name"] for reference in each.get("references", [])}
    if unknown := attributes.keys() - ATTRIBUTES[each["type"]]:
        msg = f"definition for the key {', '.join(sorted(unknown))} is missing"
        raise ValueError(msg)
    if not attributes["title"]:
        msg = "no title"
        raise ValueError(msg)
    inner = {name: json.loads(value) for name, value in attributes.items() if name.endswith("JSON")}
    source = json.loads(attributes.get("kibanaSavedObjectMeta", {}).get("searchSourceJSON", "{}"))
    needed: set[str] = set()
    match each["type"]:
        case "index-pattern":
            for name in ("fields", "fieldFormatMap", "fieldAttrs", "runtimeFieldMap", "sourceFilters"):
                json.loads(attributes.get(name, "{}"))
        case "map":
            for layer in inner["layerListJSON"]:
                described = [layer["sourceDescriptor"], *(join["right"] for join in layer.get("joins", []))]
                needed |= {part["indexPatternRefName"] for part in described if part["type"].startswith("ES_")}
        case "lens":
            layers = attributes["state"]["datasourceStates"]["formBased"]["layers"]
            needed |= {f"indexpattern-datasource-layer-{layer}" for layer in layers}
        case "search":
            needed.add(source["indexRefName"])
        case "dashboard":
            panels = [panel for panel in inner["panelsJSON"] if "panelRefName" in panel]
            needed |= {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    if needed - names:
        msg = f"no reference has the name {', '.join(sorted(needed - names))}"
        raise ValueError(msg)


class Handler(BaseHTTPRequestHandler):
    """The three paths."""

    server: KibanaServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/api/status":
            self.server.status_requests += 1
            if self.server.status_requests <= self.server.ready_after:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "Kibana server is not ready yet.")
            elif self._logged_in():
                self._answer(HTTPStatus.OK, {"status": {"overall": {"level": "available"}}})
        elif path == "/imported":
            self._answer(HTTPStatus.OK, {"files": self.server.files, "objects": [*self.server.objects.values()]})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if not self._logged_in():
                return
            if urlsplit(self.path).path != "/api/saved_objects/_import":
                raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
            if XSRF not in self.headers:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"Request must contain a {XSRF} header.")
            query = {name: values[-1] == "true" for name, values in parse_qs(urlsplit(self.path).query).items()}
            if set(query) - {"overwrite", "createNewCopies", "compatibilityMode"}:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"[request query]: unknown {', '.join(sorted(query))}")
            if query.get("overwrite") and (query.get("createNewCopies") or query.get("compatibilityMode")):
                raise Refusal(HTTPStatus.BAD_REQUEST, "[request query]: cannot use [overwrite] with the others")
            name, text = self._file(body)
            self._answer(HTTPStatus.OK, self.server.take(text, overwrite=query.get("overwrite", False)))
            self.server.files.append(name)
        except Refusal as refusal:
            status = refusal.status
            self._answer(status, {"statusCode": status.value, "error": status.phrase, "message": str(refusal)})

    def _file(self, body: bytes) -> tuple[str, str]:
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        message = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        for part in message.iter_parts():
            if part.get_param("name", header="content-disposition") == "file":
                name = part.get_filename() or ""
                if not name.endswith(".ndjson"):
                    raise Refusal(HTTPStatus.BAD_REQUEST, f"Invalid file extension .{name.rpartition('.')[2]}")
                return name, part.get_payload(decode=True).decode()
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "[request body.file]: expected value of type [Stream] but got [undefined]"
        )

    def _logged_in(self) -> bool:
        if self.server.login is None:
            return True
        expected = "Basic " + base64.b64encode(":".join(self.server.login).encode()).decode()
        if self.headers.get("Authorization") == expected:
            return True
        self._answer(HTTPStatus.UNAUTHORIZED, {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"})
        return False

    def _answer(self, status: HTTPStatus, content: dict[str, Any] | str) -> None:
        plain = isinstance(content, str)
        body = content.encode() if plain else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5601)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container")
    parser.add_argument("--ready-after", type=int, default=0, metavar="REQUESTS")
    parser.add_argument("--login", metavar="USER:PASSWORD")
    chosen = parser.parse_args()
    user, _, password = (chosen.login or "").partition(":")
    login = (user, password) if chosen.login else None
    KibanaServer(chosen.port, host=chosen.host, ready_after=chosen.ready_after, login=login).serve_forever()


if __name__ == "__main__":
    main()
