// What the columns of tables hold, by their names, which are the same in every table of the suite.

export const KINDS = {
  ordered_at: "time", order_id: "id", region: "region", complex_id: "complex", pay: "won", delivery_charge: "won",
  charge: "won", day: "day", month: "month", minute: "day_minute", orders: "count", kg_co2: "kg", lower: "kg", upper: "kg",
  per_household: "kg", estimated: "yes", electricity_kg: "kg", gas_kg: "kg", water_kg: "kg", heat_kg: "kg",
  electricity_kwh: "kwh", gas_m3: "m3", water_m3: "m3", heat_mcal: "mcal", points: "count", electricity_points: "count",
  gas_points: "count", water_points: "count", electricity_saving: "share", gas_saving: "share", water_saving: "share",
  households: "count", complexes: "count", sold: "count", cancelled: "count", revenue: "won", last_sale: "day_minute",
  first_sale: "day_minute", last_day: "day", price: "won", at: "time", seen_at: "time", sold_out_at: "time", sold_out_at_seats: "count",
  kind: "kind", ticket_id: "id", first_ticket_id: "id", second_ticket_id: "id", show_id: "id", lat: "degrees",
  lon: "degrees", documents: "count", calls: "count", holders: "count", ends: "time", partition: "count",
  offset: "count", bytes: "count", model_version: "id", seats: "count", code: "id", batch_id: "id", rows: "count", uploaded_at: "time", sent_at: "time", months: "count", points_per_household: "count", saved_kg: "kg", pine_trees: "number", country: "country", category: "word",
  start_at: "moment", end_at: "moment", updated: "time", attendance: "count", spend_usd: "usd", events: "count",
  update_type: "update", event_id: "id", km: "km", metres: "metres", amount: "amount", mean_fare: "amount",
  lowest_fare: "amount", offers: "count", week: "day", departs_at: "text", arrives_at: "text", rank: "count",
  local_rank: "count", place_kind: "word", weather: "word",
};

const RIGHT = new Set(["count", "number", "won", "kg", "kwh", "m3", "mcal", "share", "bytes", "degrees", "usd", "km", "metres", "amount"]);

export const kindOf = (column) => KINDS[column] ?? "text";
export const isNumber = (column) => RIGHT.has(kindOf(column));

/** Where a value of a column leads to, if anywhere. */
export function linkOf(column, value, row) {
  if (value === null || value === undefined) return null;
  if (column === "region" || column === "code") return `/regions/${encodeURIComponent(value)}`;
  if (column === "country") return `/countries/${encodeURIComponent(value)}`;
  if (column === "title" && row.event_id) return `/events/${encodeURIComponent(row.event_id)}`;
  if (column === "batch_id") return `/batches/${encodeURIComponent(value)}`;
  if (column === "complex_id") return `/complexes/${encodeURIComponent(value)}`;
  if (column === "name" && row.complex_id) return `/complexes/${encodeURIComponent(row.complex_id)}`;
  if (column === "show_id" || (column === "show_name" && row.show_id)) return `/shows/${encodeURIComponent(row.show_id)}`;
  return null;
}
