"""Plays Kibana, Grafana, Kafka UI or the Kafka exporter: healthy when what docker-compose.yml gives it is right."""

import json
import os
import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kibana_server


def reachable(addresses: list[str]) -> int:
    """How many of these HOST:PORT take a connection."""
    count = 0
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
            count += 1
        except OSError:
            pass
    return count


class Kibana(kibana_server.Handler):
    """The imports' server; whom it lets in is what Elasticsearch says, as with the real one."""

    def _logged_in(self) -> bool:
        request = urllib.request.Request(  # noqa: S310
            f"{os.environ['ELASTICSEARCH_HOSTS']}/_security/_authenticate",
            headers={"Authorization": self.headers.get("Authorization", "")},
        )
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310
        except urllib.error.URLError:
            self._answer(kibana_server.HTTPStatus.UNAUTHORIZED, {"statusCode": 401, "message": "Unauthorized"})
            return False
        return True


def kibana() -> None:
    """Refuses to start with a key that the real one would refuse."""
    if len(os.environ["XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY"]) < 32:
        sys.exit("xpack.encryptedSavedObjects.encryptionKey: must have at least 32 characters")
    server = kibana_server.KibanaServer(5601, host="0.0.0.0")  # noqa: S104
    server.RequestHandlerClass = Kibana
    server.serve_forever()


def serve(port: int, answers: dict[str, Callable[[], str]]) -> None:
    """Answer each path with what its function returns, and with 503 and the reason where that raises."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            try:
                status, body = (200, answer()) if answer else (404, "not found")
            except Exception as error:
                status, body = 503, f"{type(error).__name__}: {error}"
                print(body, file=sys.stderr, flush=True)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()  # noqa: S104


def grafana() -> None:
    """Healthy when it finds its password, its source of data, and dashboards where the provisioning looks."""

    def health() -> str:
        if not os.environ["GF_SECURITY_ADMIN_PASSWORD"]:
            message = "no password"
            raise ValueError(message)
        provisioning = Path("/etc/grafana/provisioning")
        source = "".join(path.read_text() for path in (provisioning / "datasources").glob("*.y*ml"))
        address = re.search(r"url: (\S+)", source)
        folder = re.search(
            r"path: (\S+)", "".join(path.read_text() for path in (provisioning / "dashboards").glob("*.y*ml"))
        )
        if address is None or folder is None:
            message = "no source of data, or no folder of dashboards"
            raise ValueError(message)
        urllib.request.urlopen(f"{address[1]}/-/healthy", timeout=3).close()  # noqa: S310
        titles = [json.loads(path.read_text())["title"] for path in Path(folder[1]).rglob("*.json")]
        if not titles:
            message = "no dashboards"
            raise ValueError(message)
        return json.dumps({"database": "ok", "dashboards": titles})

    serve(3000, {"/api/health": health})


def kafka_ui() -> None:
    """Healthy while brokers can be reached."""

    def health() -> str:
        if not reachable(os.environ["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"].split(",")):
            message = "no broker"
            raise ConnectionError(message)
        return json.dumps({"status": "UP", "cluster": os.environ["KAFKA_CLUSTERS_0_NAME"]})

    serve(8080, {"/actuator/health": health})


def kafka_exporter() -> None:
    """One metric of the real one: how many brokers there are."""
    brokers = [argument.removeprefix("--kafka.server=") for argument in sys.argv[1:]]
    serve(9308, {"/metrics": lambda: f"# TYPE kafka_brokers gauge\nkafka_brokers {reachable(brokers)}\n"})


{"kibana": kibana, "grafana": grafana, "kafka-ui": kafka_ui, "kafka-exporter": kafka_exporter}[os.environ["ROLE"]]()
