// Tickets on the board: running sales per district and minute, shows, seats sold twice.

import { t } from "../text.js";

const sum = (column) => (rows) => rows.reduce((total, row) => total + row[column], 0);
const SALES = [{ column: "sold", colour: "plum-3", type: "bars" }, { column: "revenue", colour: "ink", type: "line", axis: "right" }];

export const overview = {
  figures: [
    { section: "sales_per_region", label: "sold_today", kind: "count", value: sum("sold") },
    { section: "sales_per_region", label: "revenue_today", kind: "won", value: sum("revenue") },
  ],
  layers: [{ name: "sales", section: "sales_per_region", kind: "areas", column: "revenue", shown: "won", scale: "plum" }],
  charts: [{ section: "sales_per_minute", title: "sales_per_minute", x: "minute", unfinished: 1, series: SALES }],
  bars: [
    {
      section: "best_shows",
      title: "best_shows",
      id: (row) => row.show_id,
      name: (row) => row.show_name ?? row.show_id,
      more: (row) => row.venue,
      value: (row) => row.revenue,
      kind: "won",
      link: (row) => `/shows/${encodeURIComponent(row.show_id)}`,
      colour: "plum-3",
    },
  ],
  alarms: {
    section: "ticket_alarms",
    line: (row) => ({
      kind: row.kind,
      at: row.seen_at,
      text: row.kind === "oversell" ? t("seat_of", { seat: row.seat }) : t("seats_of", { seats: row.seats }),
      what: row.show_name ?? row.show_id,
      link: `/shows/${encodeURIComponent(row.show_id)}`,
    }),
  },
};

export const details = {
  regions: [{ part: "sales_per_day", title: "sales_per_day", x: "day", series: SALES }],
  shows: [
    { part: "show_sales", title: "show_sales", x: "minute", series: SALES, wide: true },
    { part: "show_oversells", title: "show_oversells", table: { sort: "seen_at" }, wide: true },
    { part: "show_tickets", title: "show_tickets", table: { sort: "at", search: true }, wide: true },
  ],
};
export const regionColumns = [{ section: "sales_per_region", columns: ["sold", "revenue"] }];
