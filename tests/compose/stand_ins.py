"""Stand-ins of the official images, under their own names and tags, out of the artifacts that the local stack runs."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml

from conf.settings import ROOT, load
from stack import artifacts, preflight
from stack.artifacts import Programs
from stack.layout import Layout
from stack.servers import elasticsearch, flink
from stack.services import properties
from tests.compose.engine import Engine, TestFailedError

FOLDER = Path(__file__).with_name("images")
BASE, JRE = "stand-in/base", "stand-in/jre"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# Where Python's clients look for certificates: they bring lists of their own, which this machine's may extend.
_CERTIFICATES = {name: str(BUNDLE) for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")}


@dataclass(frozen=True)
class StandIn:
    """How one image is played."""

    folder: str
    files: dict[str, Path] = field(default_factory=dict)
    role: str | None = None


def plays(programs: Programs, scratch: Path) -> dict[str, StandIn]:
    """Every official image of docker-compose.yml and deploy/Dockerfile, by its name without the tag."""
    config = scratch / "elasticsearch"
    config.mkdir()
    (config / "jvm.options").write_text(elasticsearch.JVM, encoding="utf-8")
    (config / "log4j2.properties").write_text(properties(elasticsearch.LOG4J), encoding="utf-8")
    small = {"kibana_server.py": ROOT / "tests" / "kibana_server.py"}
    parts = ("bin", "conf", "lib", "opt", "plugins")
    return {
        "python": StandIn("python"),
        "maven": StandIn("maven"),
        "flink": StandIn("flink", {f"flink/{part}": flink.home() / part for part in parts}),
        "apache/kafka": StandIn("kafka", {"kafka": programs.kafka}),
        "postgres": StandIn("postgres", {"postgres": programs.postgres}),
        "docker.elastic.co/elasticsearch/elasticsearch": StandIn(
            "elasticsearch", {"elasticsearch": programs.elasticsearch, "config": config}
        ),
        "docker.elastic.co/kibana/kibana": StandIn("small", small, "kibana"),
        "prom/prometheus": StandIn("prometheus"),
        "grafana/grafana": StandIn("small", small, "grafana"),
        "danielqsj/kafka-exporter": StandIn("small", small, "kafka-exporter"),
        "quay.io/prometheuscommunity/postgres-exporter": StandIn("postgres-exporter"),
        "quay.io/prometheuscommunity/elasticsearch-exporter": StandIn("elasticsearch-exporter"),
        "ghcr.io/kafbat/kafka-ui": StandIn("small", small, "kafka-ui"),
    }


def official_images() -> set[str]:
    """What docker-compose.yml and deploy/Dockerfile would pull."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"].values()
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    images = {each["image"] for each in services} | set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    return {image for image in images if not image.startswith("citystream:")}


def build(engine: Engine, report: Callable[[str], None]) -> None:
    """Build a stand-in for each official image; what the engine has from an earlier run stays.

    Raises:
        TestFailedError: an image has none, or one can't be built.
    """
    programs = artifacts.fetch(
        Layout.of(load().stack).cache, preflight.platform(), preflight.maven(), preflight.java().home, report
    )
    with tempfile.TemporaryDirectory(dir=engine.data) as folder:
        if engine.docker("image", "inspect", BASE, check=False).returncode != 0:
            report("Base: Debian bookworm")
            _bootstrap(engine, Path(folder) / "root")
        players = plays(programs, Path(folder))
        report("Stand-in: a Java runtime")
        _build(engine, JRE, StandIn("jre"))
        for image in sorted(official_images()):
            player = players.get(image.rpartition(":")[0])
            if player is None:
                msg = f"Nothing stands in for {image}: say how in tests/compose/stand_ins.py."
                raise TestFailedError(msg)
            report(f"Stand-in: {image}")
            _build(engine, image, player)


def _bootstrap(engine: Engine, root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        # An interrupted debootstrap leaves these mounted.
        for name in ("proc", "sys"):
            subprocess.run(["umount", "--lazy", str(root / name)], capture_output=True, check=False)
    if done.returncode != 0:
        msg = f"debootstrap failed:\n{(done.stdout + done.stderr)[-2000:]}"
        raise TestFailedError(msg)
    # Whom this machine trusts beyond Debian's list, the builds trust too.
    known = set(_CERTIFICATE.findall((root / BUNDLE.relative_to("/")).read_text(encoding="utf-8")))
    own = root / "usr" / "local" / "share" / "ca-certificates"
    if BUNDLE.is_file():
        for number, text in enumerate(_CERTIFICATE.findall(BUNDLE.read_text(encoding="utf-8"))):
            if text not in known:
                (own / f"machine-{number}.crt").write_text(text, encoding="utf-8")
    subprocess.run(["chroot", str(root), "update-ca-certificates"], capture_output=True, check=True)
    shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
    tar = subprocess.Popen(["tar", "-C", str(root), "--one-file-system", "-c", "."], stdout=subprocess.PIPE)
    variables = [part for name, value in _CERTIFICATES.items() for part in ("--change", f"ENV {name}={value}")]
    engine.docker("import", *variables, "-", BASE, stdin=tar.stdout)
    if tar.wait() != 0:
        msg = "The base image could not be packed."
        raise TestFailedError(msg)
    shutil.rmtree(root)


def _build(engine: Engine, image: str, player: StandIn) -> None:
    with tempfile.TemporaryFile(dir=engine.data) as context:
        with tarfile.open(fileobj=context, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted((FOLDER / player.folder).iterdir()):
                tar.add(path, arcname=path.name, filter=_plain)
            for name, path in player.files.items():
                tar.add(path, arcname=name, filter=_plain)
        context.seek(0)
        arguments = [] if player.role is None else [f"--build-arg=ROLE={player.role}"]
        engine.docker("build", f"--tag={image}", *arguments, "-", stdin=_opened(context))


def _opened(context: IO[bytes]) -> int:
    os.lseek(context.fileno(), 0, os.SEEK_SET)
    return context.fileno()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same from whoever's checkout, so that layers are found again."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
