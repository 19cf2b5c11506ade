"""What each service answers to a well-formed call on a given day, before anything goes wrong. Pure."""

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from apis import legal_dongs
from conf.city.places import Complex, complexes
from conf.settings import SimulatedEnergy, Simulator
from generators.simulator import envelopes
from generators.simulator.carbon import country, energy, metering, offices, parcels, weather
from generators.simulator.carbon.metering import Metered
from generators.simulator.envelopes import Item

_TARIFFS = {"elect": 172.0, "gas": 880.0, "heat": 106.0, "waterHot": 4_100.0, "waterCool": 760.0}
_OLDEST_WEATHER = date(1907, 1, 31)


@dataclass(frozen=True)
class World:
    """The city, or the country, as its services know it.

    Attributes:
        seed: The same seed gives the same data.
        first_month: The first month of energy use.
        chosen: How much becomes known of it.
        corrections: Factors by which months of K-apt were corrected after they had been entered.
        metered_corrections: The same of the building energy service.
        places: The complexes.
    """

    seed: int
    first_month: date
    chosen: SimulatedEnergy
    corrections: dict[tuple[str, date], float] = field(default_factory=dict)
    metered_corrections: dict[tuple[str, date], float] = field(default_factory=dict)
    places: Sequence[Complex] = field(default_factory=complexes)

    @classmethod
    def of(cls, chosen: Simulator) -> "World":
        """The world of these settings."""
        return cls(chosen.seed, chosen.first_month, chosen.energy, places=country.complexes(chosen.complexes))

    @functools.cached_property
    def by_id(self) -> dict[str, Complex]:
        """The complexes by their ids."""
        return {place.complex_id: place for place in self.places}

    @functools.cached_property
    def dongs(self) -> dict[str, list[Complex]]:
        """The complexes of each legal dong, by its code."""
        return parcels.by_dong(self.places)

    @functools.cached_property
    def by_address(self) -> dict[str, Complex]:
        """The complexes by what their addresses are written like; the first of several."""
        found: dict[str, Complex] = {}
        for place in self.places:
            for written in (road_address(place), parcel_address(place)):
                found.setdefault(written, place)
        return found

    def traits(self, place: Complex) -> energy.Traits:
        """What is particular to a complex."""
        return energy.traits(self.seed, place.complex_id, self.first_month)

    def office(self, place: Complex) -> offices.Office:
        """How its office enters its use."""
        return offices.office(self.chosen, self.seed, place.complex_id, self.first_month)

    def entered_on(self, place: Complex, month: date) -> date | None:
        """From which day on the energy service shows a month; None: never."""
        return offices.entered_on(self.chosen, self.seed, place.complex_id, month, self.first_month)

    def usage(self, place: Complex, month: date, today: date) -> energy.Usage:
        """What the energy service shows on a day; all zeros while nobody has entered it."""
        shown = offices.entered_as_of(self.chosen, self.seed, place, month, self.first_month, today)
        return shown.times(self.corrections.get((place.complex_id, month), 1.0))

    def metered(self, dong: str, month: date, item: Metered, today: date) -> list[Item]:
        """The rows of the building energy service; a dong that was renamed answers to the code of the month alone."""
        if legal_dongs.at(dong, month) != dong:
            return []
        if today < metering.published_on(self.chosen, self.seed, legal_dongs.current(dong), month):
            return []
        places, corrections = self.dongs.get(legal_dongs.current(dong), ()), self.metered_corrections
        return metering.rows(self.chosen, self.seed, dong, month, self.first_month, item, corrections, places)

    def newest_month(self, place: Complex, today: date) -> date | None:
        """The last month that has been entered."""
        months = energy.months_between(self.first_month, today.replace(day=1))
        return next((month for month in reversed(months) if any(self.usage(place, month, today))), None)

    def basis_code(self, place: Complex) -> str:
        """The legal dong that K-apt's basis names; of some it is the code of before a renaming."""
        code = parcels.legal_dong(place)
        old = legal_dongs.at(code, date.min)
        is_old = Random(f"{self.seed} code {place.complex_id}").random() < self.chosen.old_code_share
        return old if is_old else code

    def weather(self, first: date, last: date) -> Iterable[weather.Day]:
        """The weather of each day from first to last."""
        return weather.between(self.seed, first, last)


@functools.cache
def _road_addresses() -> dict[str, str]:
    found: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for place in complexes():
        taken[place.address] += 1
        again = taken[place.address]
        found[place.complex_id] = place.address if again == 1 else f"{place.address}-{again}"
    return found


def road_address(place: Complex) -> str:
    """Its address; a second complex at the same number has a sub-number, so that an address is one place."""
    return place.address if country.is_outside(place) else _road_addresses()[place.complex_id]


def parcel_address(place: Complex) -> str:
    """Its older address, by its lots, with its name."""
    return " ".join(filter(None, (*parcels.areas(place), parcels.parcel(place), place.name)))


def list_item(place: Complex) -> Item:
    """A complex in K-apt's list."""
    sido, sigungu, dong, village = parcels.areas(place)
    return {
        "kaptCode": place.complex_id,
        "kaptName": place.name,
        "bjdCode": parcels.legal_dong(place),
        "as1": sido,
        "as2": sigungu,
        "as3": dong,
        "as4": village,
    }


def listed(world: World, prefix: str, unlisted: Sequence[str] = ()) -> list[Complex]:
    """The complexes whose legal code begins so, without those that have disappeared."""
    there = (place for dong, places in world.dongs.items() if dong.startswith(prefix) for place in places)
    return sorted(place for place in there if place.complex_id not in unlisted)


def basis_item(world: World, place: Complex) -> Item:
    """What K-apt's basis service tells of a complex."""
    about = world.traits(place)
    floor = round(place.households * 96.5 * about.level, 2)
    buildings = max(2, place.households // 90)
    return {
        "kaptCode": place.complex_id,
        "kaptName": place.name,
        "kaptAddr": parcel_address(place),
        "doroJuso": road_address(place),
        "bjdCode": world.basis_code(place),
        "codeSaleNm": "분양",
        "codeHeatNm": energy.HEATING_NAMES[about.heating],
        "codeAptNm": "아파트",
        "codeMgrNm": "위탁관리",
        "codeHallNm": "계단식",
        "kaptTarea": f"{floor}",
        "kaptMarea": f"{round(floor * 0.74, 2)}",
        "privArea": f"{round(floor * 0.74, 2)}",
        "kaptDongCnt": str(buildings),
        "kaptdaCnt": str(place.households),
        "kaptUsedate": f"{about.used_since:%Y%m%d}",
        "kaptMparea_60": str(place.households // 3),
        "kaptMparea_85": str(place.households - place.households // 3),
        "kaptMparea_135": "0",
    }


def detail_item(world: World, place: Complex) -> Item:
    """What K-apt's detail service tells: a few of its fields."""
    return {
        "kaptCode": place.complex_id,
        "kaptName": place.name,
        "codeMgr": "위탁관리",
        "kaptdPcnt": str(place.households),
        "kaptdPcntu": str(place.households // 5),
        "kaptdCccnt": str(max(8, place.households // 20)),
        "codeStr": "철근콘크리트구조",
    }


def geocoded(world: World, query: str) -> list[dict[str, object]]:
    """Kakao's documents for an address: none or one."""
    found = world.by_address.get(query)
    if found is None or not world.traits(found).has_known_address:
        return []
    lon, lat = f"{found.lon}", f"{found.lat}"
    code = parcels.legal_dong(found)
    sido, sigungu, dong, _ = parcels.areas(found)
    region = {"region_1depth_name": sido, "region_2depth_name": sigungu, "region_3depth_name": dong}
    address = {"address_name": query, **region, "b_code": code, "h_code": code, "x": lon, "y": lat}
    return [
        {
            "address_name": query,
            "address_type": "ROAD_ADDR",
            "x": lon,
            "y": lat,
            "address": address,
            "road_address": None,
        }
    ]


def energy_item(place_id: str, month: date | None, usage: energy.Usage) -> Item:
    """A complex's month: quantities, and what they cost in won."""
    quantities = {
        "elect": usage.electricity_kwh,
        "gas": usage.gas_m3,
        "heat": usage.heat_mcal,
        "waterHot": usage.hot_water_tons,
        "waterCool": usage.water_m3,
    }
    won = {name: str(round(quantity * _TARIFFS[name])) for name, quantity in quantities.items()}
    used = {f"h{name}": str(quantity) for name, quantity in quantities.items()}
    return {**won, **used, "kaptCode": place_id, "reqDate": f"{month:%Y%m}" if month else ""}


def average_item(world: World, over: Sequence[Complex], month: date, today: date) -> Item:
    """Use per household, over the complexes that have entered the month."""
    shown = [(place, world.usage(place, month, today)) for place in over]
    entered = [(place, usage) for place, usage in shown if any(usage)]
    households = sum(place.households for place, _ in entered) or 1
    sums = (round(sum(usage[n] for _, usage in entered) / households) for n in range(len(energy.Usage._fields)))
    return energy_item("", month, energy.Usage(*sums))


def weather_item(day: weather.Day) -> Item:
    """A day as ASOS writes it: strings only, empty where there is nothing."""
    mean, low, high = day.mean_celsius, day.min_celsius, day.max_celsius
    shown = day.is_observed
    rain = day.rain_mm
    humidity = day.humidity_percent
    dew = mean - (100 - humidity) / 5
    pressure = 6.112 * 10 ** (7.5 * dew / (237.7 + dew))
    phenomena = "{눈}" if day.snow_cm else "{비}" if rain else ""
    return {
        "stnId": weather.STATION,
        "stnNm": weather.STATION_NAME,
        "tm": day.day.isoformat(),
        "avgTa": f"{mean}" if shown else "",
        "minTa": f"{low}" if shown else "",
        "minTaHrmt": "0612" if shown else "",
        "maxTa": f"{high}" if shown else "",
        "maxTaHrmt": "1507" if shown else "",
        "sumRnDur": f"{min(24.0, 1 + rain / 3):.2f}" if rain else "",
        "mi10MaxRn": f"{rain / 9:.1f}" if rain else "",
        "mi10MaxRnHrmt": "",
        "hr1MaxRn": f"{rain / 4:.1f}" if rain else "",
        "hr1MaxRnHrmt": "",
        "sumRn": "" if rain is None else f"{rain}",
        "maxInsWs": f"{day.wind_metres_per_second * 3.1:.1f}",
        "maxInsWsWd": "270",
        "maxInsWsHrmt": "1421",
        "maxWs": f"{day.wind_metres_per_second * 1.9:.1f}",
        "maxWsWd": "270",
        "maxWsHrmt": "1433",
        "avgWs": f"{day.wind_metres_per_second}",
        "hr24SumRws": f"{day.wind_metres_per_second * 864:.0f}",
        "maxWd": "270",
        "avgTd": f"{dew:.1f}",
        "minRhm": f"{max(8.0, humidity - 24):.0f}",
        "minRhmHrmt": "1455",
        "avgRhm": f"{humidity}",
        "avgPv": f"{pressure:.1f}",
        "avgPa": "1009.4",
        "maxPs": "1019.8",
        "maxPsHrmt": "0931",
        "minPs": "1013.2",
        "minPsHrmt": "1602",
        "avgPs": "1016.6",
        "ssDur": f"{day.possible_sunshine_hours}",
        "sumSsHr": f"{day.sunshine_hours}",
        "hr1MaxIcsrHrmt": "1200",
        "hr1MaxIcsr": f"{0.9 + day.sunshine_hours / 6:.2f}",
        "sumGsr": f"{3 + day.sunshine_hours * 1.7:.2f}",
        "ddMefs": "" if day.snow_cm is None else f"{day.snow_cm}",
        "ddMefsHrmt": "",
        "ddMes": "" if day.snow_cm is None else f"{day.snow_cm}",
        "ddMesHrmt": "",
        "sumDpthFhsc": "",
        "avgTca": f"{10 * (1 - day.sunshine_hours / day.possible_sunshine_hours):.1f}",
        "avgLmac": "",
        "avgTs": f"{mean + 1.4:.1f}" if shown else "",
        "minTg": f"{low - 2.1:.1f}" if shown else "",
        "avgCm5Te": f"{mean + 0.8:.1f}" if shown else "",
        "avgCm10Te": "",
        "avgCm20Te": "",
        "avgCm30Te": "",
        "avgM05Te": "",
        "avgM10Te": "",
        "avgM15Te": "",
        "avgM30Te": "",
        "avgM50Te": "",
        "sumLrgEv": "",
        "sumSmlEv": "",
        "n99Rn": "" if rain is None else f"{rain}",
        "iscs": phenomena,
        "sumFogDur": "",
    }


def weather_page(
    world: World, station: str, first: date, last: date, number: int, rows: int, *, as_json: bool
) -> bytes | None:
    """A page of the weather service's answer; None: it has nothing."""
    first = max(first, _OLDEST_WEATHER)
    total = (last - first).days + 1 if station == weather.STATION else 0
    if total <= 0:
        return None
    begin = first + timedelta(days=(number - 1) * rows)
    end = min(last, begin + timedelta(days=rows - 1))
    items = [weather_item(day) for day in world.weather(begin, end)]
    return envelopes.page(items, number, rows, total, as_json=as_json, bare=False, message=envelopes.NORMAL_SERVICE)
