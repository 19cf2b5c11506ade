"""A job's Python code goes to the cluster with the job: its workers need PyFlink, and not this project."""

import subprocess
import sys
from pathlib import Path

import cloudpickle

import forecast
import jobs
from jobs.forecasts import ForecastAhead
from jobs.totals import Fold, keyed

WORKER = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jobs", "sinks", "conf", "stack", "generators", "forecast", "board"):
            raise ModuleNotFoundError(f"a worker has no {name}")
sys.meta_path.insert(0, Missing())
import cloudpickle
from pyflink.common import Row
fold, keyed = cloudpickle.loads(sys.stdin.buffer.read())

class State:
    def value(self): return (1, 10, 100)
    def update(self, sums): pass

fold._sums = State()
print(*fold.process_element(keyed(Row("pay_per_category", "2026-11-21", "a|b", 2, 20, 200)), None))
"""


def test_a_worker_without_this_project_runs_the_python_operators(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(jobs)
    try:
        code = cloudpickle.dumps((Fold(), keyed))
    finally:
        cloudpickle.unregister_pickle_by_value(jobs)
    done = subprocess.run([sys.executable, "-c", WORKER], input=code, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "<Row('pay_per_category', '2026-11-21', 'a|b', 3, 30, 300)>\n"


FORECASTER = (
    WORKER.split("import cloudpickle")[0]
    + """
import cloudpickle
ahead = cloudpickle.loads(sys.stdin.buffer.read())
print(ahead._newest_model())
"""
)


def test_a_worker_without_this_project_runs_the_forecast(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(jobs)
    cloudpickle.register_pickle_by_value(forecast)
    try:
        code = cloudpickle.dumps(ForecastAhead(str(tmp_path), 7, 2_000))
    finally:
        cloudpickle.unregister_pickle_by_value(jobs)
        cloudpickle.unregister_pickle_by_value(forecast)
    done = subprocess.run(
        [sys.executable, "-c", FORECASTER], input=code, capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "None\n"
    assert "run `make train`" in done.stderr.decode()
