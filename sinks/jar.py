"""The jar that jobs are submitted with, and how one is told from another."""

import functools
import hashlib
import zipfile

from conf.settings import ROOT

JAR = ROOT / "sinks" / "java" / "target" / "citystream-sinks.jar"
# Of a job's global parameters, which the cluster's REST interface shows.
PARAMETER = "citystream.jar"


@functools.cache
def fingerprint() -> str | None:
    """A short name for what is in the jar, the same for each build of the same sources; None where there is no jar."""
    if not JAR.is_file():
        return None
    digest = hashlib.sha256()
    with zipfile.ZipFile(JAR) as jar:
        for entry in sorted(jar.infolist(), key=lambda each: each.filename):
            if not entry.filename.startswith("META-INF/maven/") and entry.filename != "META-INF/MANIFEST.MF":
                digest.update(f"{entry.filename} {entry.CRC}\n".encode())
    return digest.hexdigest()[:12]
