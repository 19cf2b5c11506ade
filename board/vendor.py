"""Fetches what the pages have from others, from the npm registry, into `board/static/vendor`: `python -m board.vendor`.

A maintainer's command: users get the files with the source. What was fetched, from which package in which version, and
the checksum of each file are in `vendor.json` beside them, which a test holds against the files.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from conf.errors import CitystreamError, Parser, command

FOLDER = Path(__file__).with_name("static") / "vendor"
MANIFEST = FOLDER / "vendor.json"
# By package and version: the files that a page needs and the licence, and what each is called here.
PACKAGES: Mapping[str, Mapping[str, str]] = {
    "maplibre-gl@6.17.0": {
        "dist/maplibre-gl.mjs": "maplibre-gl.mjs",
        "dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
        "dist/maplibre-gl.css": "maplibre-gl.css",
        "LICENSE.txt": "maplibre-gl.LICENSE.txt",
    },
    "uplot@1.6.32": {
        "dist/uPlot.esm.js": "uplot.mjs",
        "dist/uPlot.min.css": "uplot.css",
        "LICENSE": "uplot.LICENSE.txt",
    },
    # Natural Earth's countries, in the public domain, as TopoJSON.
    "world-atlas@2.0.2": {
        "countries-110m.json": "countries.json",
        "LICENSE": "world-atlas.LICENSE.txt",
    },
}


def checksum(path: Path) -> str:
    """The file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(package: str, files: Mapping[str, str]) -> dict[str, str]:
    """Fetch a package with npm, which checks its integrity, and take these files; their checksums by name."""
    with tempfile.TemporaryDirectory(prefix="citystream-") as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", folder, package],
            text=True,
            capture_output=True,
            check=False,
        )
        if packed.returncode:
            message = f"npm could not fetch {package}: {packed.stderr.strip()}"
            raise CitystreamError(message)
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            for member, name in files.items():
                content = archive.extractfile(f"package/{member}")
                if content is None:
                    message = f"{package} has no file {member}"
                    raise CitystreamError(message)
                # Maps to sources that are not here would be asked for by a browser's tools.
                lines = [
                    line for line in content.read().splitlines(keepends=True) if b"# sourceMappingURL=" not in line
                ]
                (FOLDER / name).write_bytes(b"".join(lines))
    return {name: checksum(FOLDER / name) for name in files.values()}


@command
def main(arguments: list[str] | None = None) -> int:
    """Fetch all of them anew."""
    Parser(prog="python -m board.vendor", description=__doc__).parse_args(arguments)
    if not shutil.which("npm"):
        message = "npm is missing: apt install npm."
        raise CitystreamError(message)
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {package: fetch(package, files) for package, files in PACKAGES.items()}
    MANIFEST.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for package in found:
        print(package)
    return 0


if __name__ == "__main__":
    sys.exit(main())
