"""The servers' programs: resolved by Maven as stack/pom.xml names them, unpacked once into a shared cache."""

import fcntl
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from stack.errors import StackError

POM = Path(__file__).with_name("pom.xml")
PLUGIN = Path(__file__).with_name("plugin") / "SecurityAnalysis.java"

_DOWNLOADING = re.compile(r"^Downloading from \S+: \S+/(?P<file>[^/\s]+)$")
_DOWNLOADED = re.compile(r"^Downloaded from \S+: \S+/(?P<file>[^/\s]+) \((?P<amount>[\d.]+) (?P<unit>\w?B)")
_PROGRESS = re.compile(r"^Progress \(\d+\): (?P<amounts>.*\S)")
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Programs:
    """Where the unpacked servers are."""

    kafka: Path
    elasticsearch: Path
    postgres: Path

    @classmethod
    def under(cls, cache: Path, platform: str) -> "Programs":
        """The folders in this cache, whether there or not; their names carry the versions of stack/pom.xml."""
        version = versions()
        return cls(
            kafka=cache / f"kafka-{version['kafka']}",
            elasticsearch=cache / f"elasticsearch-{version['elasticsearch']}",
            postgres=cache / f"postgres-{version['postgres']}-{platform}",
        )

    @property
    def complete(self) -> bool:
        """Whether all are there; each is moved in place only when it is whole."""
        return all(folder.is_dir() for folder in (self.kafka, self.elasticsearch, self.postgres))


def versions() -> dict[str, str]:
    """The versions that stack/pom.xml states, by server."""
    namespace = "{http://maven.apache.org/POM/4.0.0}"
    properties = ElementTree.parse(POM).getroot().find(f"{namespace}properties")  # noqa: S314 - our own file
    suffix = ".version"
    return {
        element.tag.removeprefix(namespace).removesuffix(suffix): element.text or ""
        for element in (properties if properties is not None else [])
        if element.tag.endswith(suffix)
    }


def fetch(cache: Path, platform: str, maven: str, java_home: Path, report: Report) -> Programs:
    """Download and unpack what the cache lacks.

    Raises:
        StackError: Maven could not resolve an artifact, or there is no Java compiler.
    """
    programs = Programs.under(cache, platform)
    with _locked(cache, report):
        if programs.complete:  # another checkout was faster
            return programs
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
            artifacts = Path(folder)
            _resolve(maven, artifacts, platform, report)
            report("Unpacking Elasticsearch, PostgreSQL and Kafka")
            version = versions()["elasticsearch"]
            elasticsearch = artifacts / f"elasticsearch-{version}"
            _unzip(artifacts / "elasticsearch.zip", artifacts)
            _add_plugin(elasticsearch, version, java_home)
            _move(elasticsearch, programs.elasticsearch)
            _unpack_postgres(artifacts / "postgres.jar", artifacts / "postgres")
            _move(artifacts / "postgres", programs.postgres)
            _move(artifacts / "kafka", programs.kafka)
    return programs


@contextmanager
def _locked(cache: Path, report: Report) -> Iterator[None]:
    """Keep two checkouts from filling the cache at once."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"Waiting for another download into {cache}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _resolve(maven: str, artifacts: Path, platform: str, report: Report) -> None:
    # Not --batch-mode: that silences the progress of a download.
    command = [maven, "-f", str(POM), "-Dstyle.color=never", "generate-resources"]
    command += [f"-Dartifacts={artifacts}", f"-Dpostgres.platform={platform}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    errors: list[str] = []
    progress = DownloadProgress()
    assert process.stdout is not None  # noqa: S101 - for the type checker
    for line in _lines(process.stdout):
        if line.startswith("[ERROR]"):
            errors.append(line.removeprefix("[ERROR]").strip())
        elif shown := progress.read(line):
            report(shown)
    if process.wait() != 0:
        reason = next((line for line in errors if line), "see the output of the command")
        msg = (
            f"Maven could not fetch the servers ({reason}): check the network and ~/.m2/settings.xml, then try "
            f"`{' '.join(command[:3])} generate-resources`."
        )
        raise StackError(msg)


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """The lines of Maven's output, which ends its progress lines with a carriage return."""
    rest = b""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
        for line in lines:
            yield line.decode(errors="replace").rstrip()
    yield rest.decode(errors="replace").rstrip()


class DownloadProgress:
    """What Maven's output says about its downloads, as one line to show."""

    def __init__(self) -> None:
        self._file = ""
        self._megabytes = 0.0

    def read(self, line: str) -> str | None:
        """Take one line; return what to show now, or None when it says nothing about a download."""
        if found := _DOWNLOADING.match(line):
            self._file = found["file"]
            return self._shown("")
        if found := _DOWNLOADED.match(line):
            self._megabytes += float(found["amount"]) * _MEGABYTES.get(found["unit"], 0.0)
            return self._shown("")
        if found := _PROGRESS.match(line):
            return self._shown(f" {found['amounts']}")
        return None

    def _shown(self, amounts: str) -> str:
        return f"Downloading {self._file}{amounts} ({self._megabytes:.0f} MB done)"


def _unzip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = Path(opened.extract(member, target))
            if mode := member.external_attr >> 16:  # zipfile drops the executable bit
                path.chmod(mode & 0o755 | 0o444)


def _add_plugin(elasticsearch: Path, version: str, java_home: Path) -> None:
    """Compile our plugin against the server it is for; the source says why there is one."""
    name = "citystream-analysis"
    folder = elasticsearch / "plugins" / name
    folder.mkdir()
    compiled(PLUGIN, folder / f"{name}.jar", java_home, classpath=f"{elasticsearch / 'lib'}/*")
    descriptor = {
        "name": name,
        "description": "Analysis that the security index needs",
        "version": version,
        "elasticsearch.version": version,
        "java.version": "17",
        "classname": f"citystream.stack.{PLUGIN.stem}",
    }
    text = "".join(f"{key}={value}\n" for key, value in descriptor.items())
    (folder / "plugin-descriptor.properties").write_text(text, encoding="utf-8")


def compiled(
    source: Path, jar: Path, java_home: Path, *, classpath: str = "", manifest: Mapping[str, str] | None = None
) -> None:
    """Compile one Java file of this package's into a jar.

    Raises:
        StackError: there is no Java compiler, or it refuses.
    """
    compiler = java_home / "bin" / "javac"
    if not compiler.is_file():
        msg = f"{java_home} has no Java compiler: install the whole JDK 17 (apt install openjdk-17-jdk-headless)."
        raise StackError(msg)
    with tempfile.TemporaryDirectory() as classes:
        command = [str(compiler), "--release", "17", "-cp", classpath, "-d", classes, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            msg = f"{source.name} doesn't compile: {done.stderr.strip()}"
            raise StackError(msg)
        lines = {"Manifest-Version": "1.0", **(manifest or {})}
        with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("META-INF/MANIFEST.MF", "".join(f"{key}: {value}\n" for key, value in lines.items()))
            for file in sorted(Path(classes).rglob("*.class")):
                archive.write(file, file.relative_to(classes))


def _unpack_postgres(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as jar:
        inner = next(name for name in jar.namelist() if name.endswith(".txz"))
        with tarfile.open(fileobj=io.BytesIO(jar.read(inner)), mode="r:xz") as opened:
            # The documented way that also works before Python 3.11.4, which Debian 12 has.
            opened.extraction_filter = getattr(tarfile, "tar_filter", lambda member, _: member)
            opened.extractall(target)  # noqa: S202 - our own pinned artifact, and filtered


def _move(source: Path, target: Path) -> None:
    """Put a whole folder in place at once; what an interrupted run left there goes."""
    if target.exists():
        shutil.rmtree(target)
    source.chmod(0o755)
    source.rename(target)
