// Deliveries on the board: orders as they happen, what is paid where and for what.

import { colour } from "../chart.js";

const today = (column) => (rows) => rows.at(-1)?.[column];
const ORDERS = { column: "orders", colour: "accent", type: "line" };

export const overview = {
  figures: [
    { section: "charge_per_day", label: "orders_today", kind: "count", value: today("orders") },
    { section: "charge_per_day", label: "pay_today", kind: "won", value: today("pay") },
  ],
  layers: [
    {
      name: "orders",
      section: "orders",
      kind: "points",
      point: (row) => ({ lat: row.lat, lon: row.lon, colour: colour("point") }),
      time: "ordered_at",
      areas: { section: "pay_per_destination", column: "orders", kind: "count" },
    },
    { name: "pay", section: "pay_per_destination", kind: "areas", column: "pay", shown: "won", scale: "blue" },
  ],
  charts: [
    { section: "orders_per_minute", title: "orders_per_minute", x: "minute", series: [ORDERS], unfinished: 1 },
    { section: "orders_per_minute", title: "pay_per_minute", x: "minute", series: [{ column: "pay", colour: "blue-3", type: "line" }], unfinished: 1 },
    { section: "charge_per_day", title: "charge_per_day", x: "day", series: [{ column: "charge", colour: "sand", type: "bars" }] },
  ],
  bars: [{ section: "pay_per_category", title: "pay_per_category", name: (row) => row.category, value: (row) => row.pay, kind: "won", colour: "blue-3" }],
  ticker: { section: "orders", title: "latest_orders", time: "ordered_at", line: (row) => ({ what: row.menu, where: row.store, region: row.region, figure: row.pay, kind: "won" }) },
};

const PAY = {
  part: "pay_per_day",
  title: "pay_per_day",
  x: "day",
  series: [{ column: "pay", colour: "blue-3", type: "bars" }, { column: "orders", colour: "ink", type: "line", axis: "right" }],
};
export const details = { regions: [PAY], complexes: [PAY] };
export const regionColumns = [{ section: "pay_per_destination", columns: ["orders", "pay"] }];
