"""Elasticsearch: one node, security on, and an API key for jobs."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

from stack.accounts import Accounts
from stack.errors import StackError
from stack.services import HOST, Context, Service, properties

_HEAP = "768m"
LOG4J = {
    "status": "error",
    "rootLogger.level": "info",
    "rootLogger.appenderRef.console.ref": "console",
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "[%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%consoleException%n",
}
JVM = """\
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
    _write(context, "jvm.options", JVM)
    _write(context, "log4j2.properties", properties(LOG4J))
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
    accounts = Accounts(url(context), context.credentials.elastic)
    accounts.await_answer(seconds=3)
    known = context.credentials.api_key
    key = accounts.api_key(known)
    if key != known:
        context.credentials.api_key = key
