"""`make check-other`: the unit tests on the one of Python 3.11 and 3.12 that .venv does not have, where it is here."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"
# What a Python lacks that was built on a machine without the libraries for it.
_COMPLETE = "import bz2, ctypes, lzma, sqlite3, ssl, sys, zlib; print('{}.{}'.format(*sys.version_info))"


def interpreters(version: str) -> Iterator[str]:
    """Where a Python of this version may be: on the PATH, with pyenv, with uv."""
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, pyenv.glob(f"versions/{version}.*/bin/python"))
    folder = subprocess.run([UV, "python", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    yield from map(str, Path(folder).glob(f"cpython-{version}.*/bin/python"))


def is_complete(python: str, version: str) -> bool:
    """Whether this is a program, a Python of this version, and has its whole standard library."""
    try:
        done = subprocess.run([python, "-c", _COMPLETE], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def main(tests: list[str]) -> int:
    """Run these tests on the other Python; without one, say so."""
    own = "{}.{}".format(*sys.version_info)
    other = "3.12" if own == "3.11" else "3.11"
    python = next((python for python in interpreters(other) if is_complete(python, other)), None)
    if python is None:
        print(f"Python {other} is not here: unit tests ran on {own} only")
        return 0
    venv = ROOT / f".venv-{other}"
    its_python = venv / "bin" / "python"
    print(f"Unit tests on Python {other} ({python}), in {venv.name}", flush=True)
    if not its_python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", python, venv], check=True)
    locks = ["-r", "requirements.lock", "-r", "requirements-dev.lock"]
    install = [UV, "pip", "install", "--python", its_python, "--require-hashes", *locks]
    for command in (install, [its_python, "-m", "pytest", *tests]):
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
