"""The carbon stream in Kibana: what apartment complexes and districts emit."""

from kibana.city import EVERYWHERE, REGIONS, per_district
from kibana.dashboards import dashboard, link
from kibana.lens import bars, metric, number, ratio, shares, table, time, top
from kibana.maps import Layer, city_map, colour, size
from kibana.objects import SavedObject, data_view, day_format

PLACES = len(EVERYWHERE)
SINCE, UNTIL = "now-29M/M", "now/M"

EMISSION = data_view(
    "carbon",
    "carbon emission per complex and month",
    time="month",
    formats={"region": REGIONS, "month": day_format("YYYY-MM")},
    labels={"kg_co2": "kg CO2", "gap_kg": "of it estimated, as nobody entered it"},
)

KG = metric("sum", "kg_co2", "kg CO2")
GAP = metric("sum", "gap_kg", "of it estimated, as nobody entered it")
PER_HOUSEHOLD = ratio("kg_co2", "households", "kg CO2 per household and month")

TOTAL = number("carbon-total", "emission", EMISSION, metric("sum", "kg_co2", "kg CO2 in all"))
MEAN = number("carbon-per-household", "emission per household and month", EMISSION, PER_HOUSEHOLD)
COMPLEXES = number(
    "carbon-complexes", "complexes", EMISSION, metric("unique_count", "complex_id", "Apartment complexes")
)
PER_MONTH = bars(
    "carbon-per-month",
    "emission per month, by what was used",
    EMISSION,
    time("month", "Month", interval="1M"),
    [
        metric("sum", "electricity_kg", "Electricity, kg CO2"),
        metric("sum", "gas_kg", "Gas, kg CO2"),
        metric("sum", "water_kg", "Water, kg CO2"),
        metric("sum", "heat_kg", "District heat, kg CO2 (where it counts: carbon.heat)"),
    ],
)
HOUSEHOLD_PER_MONTH = bars(
    "carbon-household-per-month",
    "emission per household, by kind of heating",
    EMISSION,
    time("month", "Month", interval="1M"),
    [PER_HOUSEHOLD],
    split=top("heating", "Heating", 5, alphabetical=True),
    kind="line",
)
PER_REGION = bars(
    "carbon-per-region",
    "emission per district",
    EMISSION,
    top("region", "District", PLACES),
    [KG],
    kind="bar_horizontal",
)
REGION_PER_MONTH = bars(
    "carbon-region-per-month",
    "emission per district and month",
    EMISSION,
    time("month", "Month", interval="1M"),
    [KG],
    split=top("region", "District", PLACES),
)
HEATING = shares("carbon-by-heating", "emission by kind of heating", EMISSION, top("heating", "Heating", 5), KG)
TOP_COMPLEXES = table(
    "carbon-top-complexes",
    "the 20 complexes that emit most",
    EMISSION,
    [top("complex_id", "Complex", 20), top("name", "Name", 1), top("region", "District", 1)],
    [KG, GAP, PER_HOUSEHOLD],
)
COMPLEX_MAP = city_map(
    "carbon-complexes-map",
    "emission per complex",
    [
        Layer.newest(
            "Newest month of each complex: darker emits more, larger has more households",
            EMISSION,
            "position",
            colour("kg_co2", "Yellow to Red"),
            size("households", 4, 16),
            per="complex_id",
            by="month",
            tooltip=[
                "name",
                "month",
                "kg_co2",
                "gap_kg",
                "electricity_source",
                "gas_source",
                "households",
                "heating",
                "electricity_kg",
                "gas_kg",
                "water_kg",
            ],
        )
    ],
    description="One point per apartment complex: the emission of the newest month that is known of it within the time "
    "range; the tooltip says what of it is estimated, and where the rest comes from. Complexes whose place is not "
    "known yet are missing.",
    since=SINCE,
    until=UNTIL,
)
REGION_MAP = city_map(
    "carbon-regions-map",
    "emission per district",
    [per_district("Emission per district: larger and darker is more", EMISSION, "Yellow to Red", "kg_co2")],
    description="One point per district, in the middle of its area: the emission of its complexes in all months of the "
    "time range.",
    since=SINCE,
    until=UNTIL,
)
CARBON = dashboard(
    "carbon",
    "carbon emission",
    "**What apartment complexes emit**: use times factor, by the month. The newest months come late, so the last bars "
    "may be incomplete. What nobody entered is estimated: the table and the map say how "
    "much. Left map: the newest month of each complex. Right map: each district, in all months of the "
    "time range.\n\n"
    f"More: {link('orders-now', 'orders now')} · {link('pay-per-day', 'pay per day')}",
    [
        (6, [(TOTAL, 16), (MEAN, 16), (COMPLEXES, 16)]),
        (20, [(COMPLEX_MAP, 24), (REGION_MAP, 24)]),
        (14, [(PER_MONTH, 24), (HOUSEHOLD_PER_MONTH, 24)]),
        (14, [(REGION_PER_MONTH, 24), (PER_REGION, 14), (HEATING, 10)]),
        (16, [(TOP_COMPLEXES, 48)]),
    ],
    description="Emission per month, item, district, complex and kind of heating, and per household.",
    since=SINCE,
    until=UNTIL,
    refresh_seconds=60,
)

DASHBOARDS: list[SavedObject] = [CARBON]
