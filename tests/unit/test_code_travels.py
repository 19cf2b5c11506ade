"""A job's Python code goes to the cluster with the job: its workers need PyFlink, and not this project."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import cloudpickle

import apis
import conf
import forecast
import jobs
from jobs import carbon
from jobs.flow.decode import Decode
from jobs.flow.gather import Newest
from jobs.flow.totals import Fold
from jobs.operators.carbon.emissions import PerComplex, PerMonth
from jobs.operators.carbon.forecasts import ForecastAhead
from jobs.rules.carbon import complexes, energy, weather
from tests.carbon import body

MISSING = """
import sys
MISSING = {"apis", "jobs", "sinks", "conf", "stack", "generators", "geo", "forecast", "board"}
MISSING |= {"httpx", "psycopg2", "aiolimiter", "tenacity"}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(f"a worker has no {name}")
sys.meta_path.insert(0, Missing())
import cloudpickle
from pyflink.common import Instant, Row
"""
TOTALS = """
fold = cloudpickle.loads(sys.stdin.buffer.read())

class State:
    def value(self): return (1, 1, 10, 100)
    def update(self, sums): pass

class Context:
    def get_current_key(self): return "pay_per_category|2026-11-21|a|b"

fold._sums = State()
print(*fold.process_element(Row(2, 2, 20, -200), Context()))
"""
CARBON = """
import pickle
(decode, *_), newest, operators, usage_seen = cloudpickle.loads(sys.stdin.buffer.read())

class Counter:
    def inc(self, by=1): pass

decode._decoded = Counter()
record = Row("A1|2026-05", %r, Instant(1_779_000_000, 0), "energy.usage", 0, 3)
decoded, = decode.process_element(record, None)
batch = newest.add(usage_seen(decoded), newest.create_accumulator())
join = operators[0]
join._usage, join._complex, join._replaced = {}, type("", (), {"value": lambda self: None})(), Counter()
join._usage = type("", (dict,), {"put": dict.__setitem__})()
for tag, row in join.process_element1(pickle.loads(pickle.dumps(batch)), None):
    print(tag.tag_id, *row)
"""
FORECAST = """
print(cloudpickle.loads(sys.stdin.buffer.read())._newest_model())
"""


def output(worker: str, operators: object, folder: Path) -> str:
    """What a worker without this project prints, having been sent these operators."""
    for package in (apis, conf, jobs, forecast):
        cloudpickle.register_pickle_by_value(package)
    try:
        code = cloudpickle.dumps(operators)
    finally:
        for package in (apis, conf, jobs, forecast):
            cloudpickle.unregister_pickle_by_value(package)
    done = subprocess.run(
        [sys.executable, "-c", MISSING + worker], input=code, capture_output=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_worker_without_this_project_runs_the_python_operators(tmp_path: Path) -> None:
    printed = output(TOTALS, Fold(4), tmp_path)
    assert printed == "<Row('pay_per_category', '2026-11-21', 'a|b', 3, 3, 30, -100)>\n"


def test_and_those_of_carbon(tmp_path: Path) -> None:
    operators = (
        [Decode(parse) for parse in (energy.parse, complexes.parse, weather.parse)],
        Newest(),
        [PerComplex(carbon.known_factors(heat=False), complexes.station_of("143", {})), PerMonth()],
        energy.seen,
    )
    printed = output(CARBON % body("A1", date(2026, 5, 1), electricity="10"), operators, tmp_path)
    assert printed == "emission_per_complex_month A1 2026-05 4240 None None None 4240 1779000000000\n"


def test_and_the_forecast(tmp_path: Path) -> None:
    assert output(FORECAST, ForecastAhead(str(tmp_path), 7, 2_000), tmp_path) == "None\n"
