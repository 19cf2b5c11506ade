"""A job's Python code goes to the cluster with the job: its workers need PyFlink, and not this project."""

import json
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import cloudpickle

import apis
import conf
import forecast
import geo
import jobs
from apis import duffel
from conf.airports import airports
from conf.settings import load
from geo.regions import regions
from jobs import carbon
from jobs.flow.decode import Decode
from jobs.flow.gather import Newest
from jobs.flow.lookups import LookUp, Pace
from jobs.flow.totals import Fold
from jobs.operators.carbon.buildings import PerDong
from jobs.operators.carbon.emissions import PerComplex, PerMonth
from jobs.operators.carbon.forecasts import ForecastAhead
from jobs.operators.carbon.seasons import PerStation
from jobs.operators.events.changes import PerEvent
from jobs.operators.events.lookups import _connect, _of_day
from jobs.rules.carbon import buildings, complexes, energy, weather
from jobs.rules.coordinates import convert
from jobs.rules.events import event
from jobs.rules.events.lookups import Trip
from tests import keys
from tests.carbon import body, buildings_body
from tests.unit.test_events_rules import RAW

# The last one is of these tests.
TRAVEL = (apis, conf, jobs, forecast, geo, keys)
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
decoders, newest, operators, seen = cloudpickle.loads(sys.stdin.buffer.read())

class State(dict):
    put = dict.__setitem__

class Counter:
    def inc(self, by=1): pass

def batch(number, key, body):
    decode = decoders[number]
    decode._decoded = Counter()
    decoded, = decode.process_element(Row(key, body, Instant(1_779_000_000, 0), "topic", 0, 3), None)
    return pickle.loads(pickle.dumps(newest.add(seen[number](decoded), newest.create_accumulator())))

join, dong, station, _ = operators
dong._pages, dong._lots, dong._replaced = State(), State({"A1": (("0-0012-0000",), (1, 0))}), Counter()
metered = dong.process_element1(batch(1, "2726010100|2026-05|gas|1", %r), None)
join._facts, join._replaced = State(), Counter()
join._complex = type("", (), {"value": lambda self: None})()
station._months, station._complexes = State(), State({"A1": True})
days = {f"2026-05-{day:02d}": ((1, 0), (1800,), True, 1) for day in range(1, 32)}
usage = batch(0, "A1|2026-05", %r)
for fact in (*metered, *station.process_element1(("143|2026-05", days), None)):
    usage = newest.add(fact, usage)
for tag, row in join.process_element1(usage, None):
    print(tag.tag_id, *row)
"""
LOOK_UP = """
import time
LookUp, Pace, keys = cloudpickle.loads(sys.stdin.buffer.read())

class Service:
    async def ask(self, key): return key.upper()
    async def close(self): pass

function = LookUp(lambda rate: Service(), lambda row, answer: [Row(row, *answer)], Pace(10, 1, 1, 1))
function.open(keys)
assert keys.take(function, [("seoul", 1)]) == []
made = []
while not made:
    time.sleep(0.01)
    made = keys.fire(function)
print(*made)
function.close()
"""
EVENTS = """
decode, changes, value = cloudpickle.loads(sys.stdin.buffer.read())

class Any:
    def __getattr__(self, name): return lambda *_: None
    def current_processing_time(self): return 0
    def timer_service(self): return self
    def get_metrics_group(self): return self
    def add_group(self, _): return self

changes.open(Any())
decode._decoded = changes._known = Any()
version, = decode.process_element(Row("e", value, Instant(1_796_000_000, 0), "events.raw", 0, 3), None)
print(*(tag.tag_id for tag, _ in changes.process_element(version, Any())))
"""
ASK = """
MISSING -= {"httpx", "psycopg2", "aiolimiter", "tenacity"}
print(cloudpickle.loads(sys.stdin.buffer.read())(2.0)._endpoint.api.rate_per_second)
"""
CONVERT = """
convert = cloudpickle.loads(sys.stdin.buffer.read())
print(convert(['"198034.985"'], ["451585.832"], ["EPSG:5174"], [None])[0].region)
"""
FORECAST = """
print(cloudpickle.loads(sys.stdin.buffer.read())._newest_model())
"""


def output(worker: str, operators: object, folder: Path) -> str:
    """What a worker without this project prints, having been sent these operators."""
    for package in TRAVEL:
        cloudpickle.register_pickle_by_value(package)
    try:
        code = cloudpickle.dumps(operators)
    finally:
        for package in TRAVEL:
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
        [Decode(parse) for parse in (energy.parse, buildings.parse, complexes.parse, weather.parse)],
        Newest(),
        [
            PerComplex(
                carbon.known_factors(heat=False),
                carbon.known_conversions(),
                Decimal("6.6"),
                complexes.station_of("143", {}),
            ),
            PerDong(),
            PerStation(),
            PerMonth(),
        ],
        (energy.seen, buildings.seen),
    )
    may = date(2026, 5, 1)
    bodies = (buildings_body("2726010100", may, "gas", [((False, 12, 0), "7")]), body("A1", may, electricity="10"))
    lines = output(CARBON % bodies, operators, tmp_path).splitlines()
    version = 2 * 1_779_000_000_000 + 1 + 31
    assert lines == [
        f"energy_usage A1 2026-05 10 None None None k-apt None None None {version}",
        f"emission_per_complex_month A1 2026-05 4240 None None None 4240 k-apt None None None 0 {version}",
    ]


def test_and_look_ups(tmp_path: Path) -> None:
    assert output(LOOK_UP, (LookUp, Pace, keys.Keys()), tmp_path) == "<Row(1, 'SEOUL', None)>\n"


def test_and_those_of_events(tmp_path: Path) -> None:
    value = json.dumps({**RAW, "id": "e"}).encode()
    operators = Decode(event.parse), PerEvent(airports(), Trip("ICN", most_days=1), 1, 90), value
    assert output(EVENTS, operators, tmp_path) == "latest changed spend naive naive asked asked asked\n"


def test_and_what_asks_for_them_where_an_http_client_is(tmp_path: Path) -> None:
    connect = _connect(duffel.endpoint(load()), _of_day, load().events.flights, timedelta(days=1), load())
    assert output(ASK, connect, tmp_path) == "2.0\n"


def test_and_the_conversion_without_the_boundaries_read_here(tmp_path: Path) -> None:
    regions()
    assert output(CONVERT, convert, tmp_path) == "11140\n"


def test_and_the_forecast(tmp_path: Path) -> None:
    assert output(FORECAST, ForecastAhead(str(tmp_path), 7, 2_000), tmp_path) == "None\n"
