"""Elasticsearch: one node, security on, and an API key for jobs."""

import base64
import functools
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stack.errors import StackError
from stack.services import HOST, Context, Service, properties

_HEAP = "768m"
_INDICES = (
    *("deliveries*", "pay_per_*", "charge_per_day*", "carbon*", "tickets*", "events*", "coordinates*", "districts*"),
    "citystream-test*",  # the sinks' own tests
)
_LOG4J = {
    "status": "error",
    "rootLogger.level": "info",
    "rootLogger.appenderRef.console.ref": "console",
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "[%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%consoleException%n",
}
_JVM = """\
-XX:+UseG1GC
-Djava.io.tmpdir=${ES_TMPDIR}
-XX:+ExitOnOutOfMemoryError
20-:--add-modules=jdk.incubator.vector
"""


def prepare(context: Context) -> None:
    """Write the configuration; set the first password, which can be done only once."""
    for folder in (_folder(context), *(_folder(context) / name for name in ("config", "data", "logs", "tmp"))):
        context.own(folder)
    settings = {
        "cluster.name": f"citystream-{context.layout.identity}",
        "node.name": "elasticsearch",
        "discovery.type": "single-node",
        "network.host": HOST,
        "http.port": context.ports.elasticsearch.number,
        "transport.port": context.ports.elasticsearch_transport.number,
        "path.data": str(_folder(context) / "data"),
        "path.logs": str(_folder(context) / "logs"),
        "xpack.security.enabled": True,
        "xpack.security.enrollment.enabled": False,
        "xpack.security.http.ssl.enabled": False,
        "xpack.security.transport.ssl.enabled": False,
        # The stack refuses to start on a full disk; beyond that, a share of a big disk says nothing.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    _write(context, "elasticsearch.yml", "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    _write(context, "jvm.options", _JVM)
    _write(context, "log4j2.properties", properties(_LOG4J))
    keystore = _folder(context) / "config" / "elasticsearch.keystore"
    if not keystore.is_file():
        program = str(context.programs.elasticsearch / "bin" / "elasticsearch-keystore")
        context.run_once([program, "create"], _environment(context))
        try:
            context.run_once(
                [program, "add", "--stdin", "bootstrap.password"],
                _environment(context),
                stdin=context.credentials.elastic,
            )
        except StackError:
            keystore.unlink()
            raise


def services(context: Context) -> Iterator[Service]:
    """The one server."""
    yield Service(
        name="elasticsearch",
        command=[str(context.programs.elasticsearch / "bin" / "elasticsearch")],
        address=url(context),
        ports=[context.ports.elasticsearch, context.ports.elasticsearch_transport],
        answers=functools.partial(_answers, context),
        environment={**_environment(context), "ES_JAVA_OPTS": f"-Xms{_HEAP} -Xmx{_HEAP}"},
        account=context.layout.account,
        stop_seconds=30,
    )


def url(context: Context) -> str:
    """The address for clients."""
    return f"http://{HOST}:{context.ports.elasticsearch.number}"


def _folder(context: Context) -> Path:
    return context.layout.data / "elasticsearch"


def _write(context: Context, name: str, text: str) -> None:
    path = _folder(context) / "config" / name
    path.write_text(text, encoding="utf-8")
    context.give(path)


def _environment(context: Context) -> dict[str, str]:
    return {
        "ES_JAVA_HOME": str(context.java.home),
        "ES_PATH_CONF": str(_folder(context) / "config"),
        "ES_TMPDIR": str(_folder(context) / "tmp"),
        "HOME": str(_folder(context)),
        "JAVA_HOME": str(context.java.home),
    }


def _answers(context: Context) -> None:
    # `GET /` answers 405 on this distribution.
    _request(context, "GET", "/_cluster/health?wait_for_status=yellow&timeout=3s")
    if not _key_is_valid(context):
        context.credentials.api_key = _create_api_key(context)


def _key_is_valid(context: Context) -> bool:
    key = context.credentials.api_key
    if key is None:
        return False
    try:
        indices = [{"names": list(_INDICES), "privileges": ["write"]}]
        has = _request(
            context, "POST", "/_security/user/_has_privileges", {"index": indices}, authorization=f"ApiKey {key}"
        )
    except _RefusedError as error:
        if error.status == http.client.UNAUTHORIZED:  # a key of data that has been forgotten since
            return False
        raise
    return bool(has["has_all_requested"])  # False: a key from before an index came to the list


def _create_api_key(context: Context) -> str:
    role = {
        "cluster": ["monitor", "manage_index_templates"],
        "indices": [{"names": list(_INDICES), "privileges": ["manage", "read", "write", "create_index", "monitor"]}],
    }
    body = {"name": "citystream", "role_descriptors": {"citystream": role}}
    encoded = _request(context, "POST", "/_security/api_key", body)["encoded"]
    return str(encoded)


class _RefusedError(Exception):
    """Elasticsearch answered, but not with what was asked for."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"HTTP {status}: {answer[:200]}")
        self.status = status


def _request(
    context: Context, method: str, path: str, body: dict[str, Any] | None = None, authorization: str | None = None
) -> dict[str, Any]:
    elastic = base64.b64encode(f"elastic:{context.credentials.elastic}".encode()).decode()
    headers = {"Authorization": authorization or f"Basic {elastic}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(HOST, context.ports.elasticsearch.number, timeout=8)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        answer = response.read().decode(errors="replace")
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise _RefusedError(response.status, answer)
    parsed: dict[str, Any] = json.loads(answer)
    return parsed
