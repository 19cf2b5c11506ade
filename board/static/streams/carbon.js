// Carbon on the board: emission per district and complex with the coming days.

import { colour } from "../chart.js";

const sum = (rows, column) => rows.reduce((total, row) => total + (row[column] ?? 0), 0);

/** The districts' forecasts added up, a row per day. */
function city(rows) {
  const days = new Map();
  for (const row of rows) {
    const day = days.get(row.day) ?? { day: row.day, forecast: 0, lower: 0, upper: 0 };
    day.forecast += row.kg_co2;
    day.lower += row.lower;
    day.upper += row.upper;
    days.set(row.day, day);
  }
  return [...days.values()];
}

const CURVE = [
  { column: "kg_co2", colour: "leaf-3", type: "line" },
  { column: "forecast", label: "forecast", kind: "kg", colour: "leaf-4", type: "line", dashed: true, band: ["lower", "upper"] },
];
const both = (emission, forecast) => [...(emission ?? []), ...(forecast ?? []).map((row) => ({ forecast: row.kg_co2, ...row, kg_co2: null }))];
const ITEMS = [["electricity_kg", "sand"], ["gas_kg", "blue-3"], ["water_kg", "leaf-2"], ["heat_kg", "plum-3"]].map(([column, name]) => ({ column, colour: name, type: "stack" }));

export const overview = {
  figures: [{ section: "emission_per_region", label: "emission_latest", kind: "kg", value: (rows) => sum(rows, "kg_co2") }],
  layers: [
    {
      name: "emission",
      section: "emission_per_region",
      kind: "areas",
      column: "kg_co2",
      shown: "kg",
      scale: "leaf",
      circles: {
        section: "emission_per_complex",
        of: (rows) => {
          const most = Math.max(...rows.map((row) => row.kg_co2 ?? 0), 1);
          return rows.map((row) => ({ lat: row.lat, lon: row.lon, radius: 1.5 + 5 * Math.sqrt((row.kg_co2 ?? 0) / most), colour: colour("ink") }));
        },
      },
    },
  ],
  charts: [
    {
      section: "emission_per_day",
      with: "emission_forecast",
      title: "emission_curve",
      note: "forecast_sum_hint",
      x: "day",
      rows: (emission, forecast) => both(emission, city((forecast ?? []).filter((row) => !emission?.length || row.day > emission.at(-1).day)).map((row) => ({ ...row, kg_co2: row.forecast }))),
      series: CURVE,
    },
  ],
};

const DAYS = { part: "emission_per_day", with: "emission_forecast", title: "emission_curve", x: "day", series: CURVE, wide: true, rows: (emission, forecast) => both(emission, (forecast ?? []).filter((row) => !emission?.length || row.day > emission.at(-1).day)) };
const AHEAD = { part: "emission_forecast", title: "emission_forecast", table: { columns: ["day", "kg_co2", "lower", "upper", "weather"], sort: "day", descending: false } };
export const details = {
  regions: [
    DAYS,
    AHEAD,
    { part: "emission_per_month", title: "emission_per_month", x: "month", series: [{ column: "kg_co2", colour: "leaf-3", type: "bars" }] },
    { part: "complexes_of_region", title: "complexes_of_region", table: { columns: ["name", "households", "month", "kg_co2", "per_household"], sort: "kg_co2", search: true }, wide: true },
  ],
  complexes: [
    { part: "complex", title: "complex", facts: ["region", "address", "households", "heating"] },
    DAYS,
    AHEAD,
    { part: "emission_per_item", title: "emission_per_item", x: "month", series: ITEMS },
    { part: "carbon_points", title: "carbon_points", table: { sort: "half_year" }, wide: true },
    { part: "points_expected", title: "points_expected", table: { sort: "half_year" }, wide: true, optional: true },
    { part: "energy_usage", title: "energy_usage", table: { sort: "month" }, wide: true },
  ],
};
export const regionColumns = [{ section: "emission_per_region", columns: ["kg_co2"] }];
export const complexColumns = [{ section: "emission_per_complex", columns: ["kg_co2"] }];
