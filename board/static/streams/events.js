// World events on the board: spend per country, what changed last, and all about one event or country.

import { countryName } from "../format.js";

export const overview = {
  bars: [
    {
      section: "event_countries",
      title: "event_countries",
      id: (row) => row.country,
      name: (row) => countryName(row.country),
      value: (row) => row.spend_usd,
      kind: "usd",
      link: (row) => `/countries/${row.country}`,
      colour: "leaf-3",
      first: 10,
    },
  ],
};

const SPEND = [{ column: "spend_usd", colour: "leaf-3", type: "bars" }, { column: "events", colour: "ink", type: "line", axis: "right" }];
export const details = {
  events: [
    { part: "event", title: "event", facts: ["category", "country", "start_at", "end_at", "timezone", "rank", "attendance", "spend_usd", "airport", "state", "update_type", "updated", "flaws"] },
    { part: "nearby_places", title: "nearby_places", table: { sort: "metres", descending: false } },
    { part: "event_changes", title: "event_changes", table: { sort: "updated" }, wide: true },
    { part: "events_near", title: "events_near", table: { columns: ["title", "category", "start_at", "end_at", "rank", "km"], sort: "km", descending: false }, wide: true },
    { part: "event_flights", title: "event_flights", table: { sort: "amount", descending: false }, wide: true },
  ],
  countries: [
    { part: "country_spend", title: "country_spend", x: "month", series: SPEND },
    { part: "country_categories", title: "country_categories", table: { sort: "spend_usd" } },
    { part: "country_events", title: "country_events", table: { columns: ["title", "category", "start_at", "end_at", "rank", "attendance", "spend_usd", "update_type"], sort: "rank", search: true }, wide: true },
    { part: "fares", title: "fares", table: { sort: "week", descending: false }, wide: true },
  ],
};
