"""Model files: `<version>.joblib`, what is known of it in `<version>.json`; `current` names the one in use."""

import json
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib

from conf.errors import CitystreamError
from forecast import features
from forecast.forecaster import Forecaster
from forecast.history import COMPLEX, REGION

POINTER = "current"
LIBRARIES = ("scikit-learn", "numpy", "joblib", "holidays")
# Its estimators are pickled: another version may load them and be wrong.
MUST_FIT = "scikit-learn"


class NoModelError(CitystreamError):
    """There is no model that can be used; the message says what to run."""


@dataclass(frozen=True)
class Store:
    """The folder of models."""

    folder: Path

    def current(self) -> str:
        """The version in use.

        Raises:
            NoModelError: nothing was trained yet, or the folder can't be read.
        """
        try:
            return (self.folder / POINTER).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            msg = f"There is no model in {self.folder}: run `make train`."
            raise NoModelError(msg) from None
        except (OSError, ValueError) as error:
            msg = f"The models in {self.folder} can't be read ({error}): let this user read them, or run `make train`."
            raise NoModelError(msg) from None

    def save(self, model: Forecaster, metrics: dict[str, Any], data: dict[str, Any]) -> Path:
        """Write a model beside the others, then make it the current one, all or nothing; return its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(model.version)
        described = {
            "version": model.version,
            "trained_at": model.trained_at.isoformat(),
            "nominal_coverage": model.nominal,
            "data": data,
            "regions": len(model.known(REGION)),
            "complexes": len(model.known(COMPLEX)),
            "features": list(features.NAMES),
            "metrics": metrics,
            "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        }
        joblib.dump(model.parts(), file, compress=3)
        file.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        pointer = self.folder / f".{POINTER}.{os.getpid()}"
        pointer.write_text(model.version + "\n", encoding="utf-8")
        pointer.replace(self.folder / POINTER)
        return file

    def described(self, model: str | None = None) -> dict[str, Any]:
        """What the JSON beside a model says; the current one's unless another is named.

        Raises:
            NoModelError: it is not there.
        """
        name = model or self.current()
        try:
            described: dict[str, Any] = json.loads(self._file(name).with_suffix(".json").read_text(encoding="utf-8"))
            described["libraries"][MUST_FIT]
        except (OSError, ValueError, LookupError, TypeError) as error:
            msg = f"The model {name} in {self.folder} is not whole ({error}): run `make train`."
            raise NoModelError(msg) from None
        return described

    def load(self, model: str | None = None) -> Forecaster:
        """Load a model, the current one unless another is named.

        Raises:
            NoModelError: it is not there, or was trained with another scikit-learn.
        """
        name = model or self.current()
        trained = self.described(name)["libraries"][MUST_FIT]
        here = version(MUST_FIT)
        if trained != here:
            msg = f"The model {name} was trained with {MUST_FIT} {trained}, here is {here}: run `make train` again."
            raise NoModelError(msg)
        try:
            return Forecaster.from_parts(joblib.load(self._file(name)))
        except Exception as error:  # a damaged pickle fails in any way
            msg = f"The model {name} in {self.folder} can't be read ({error}): run `make train` again."
            raise NoModelError(msg) from None

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.joblib"
