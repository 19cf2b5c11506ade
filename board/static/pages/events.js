// World events: on a map, by category, spend and change; a list of all; one of them.

import { bars } from "../bars.js";
import { card, states } from "../card.js";
import { colour } from "../chart.js";
import { detail } from "../detail.js";
import { fill, h } from "../dom.js";
import { countryName, shown } from "../format.js";
import { list } from "../table.js";
import { t } from "../text.js";
import { worldMap } from "../world.js";

const COLOURS = ["blue-3", "sand", "plum-3", "leaf-3"];
const CHANGES = { 1: "sand", 2: "plum-3", 3: "blue-3" };

export function show(main, context) {
  if (context.id) {
    return detail(main, context, "events", {
      head: (parts) => {
        const own = parts.event?.[0];
        return { name: own?.title ?? context.id, lead: own && [own.country && h("a", { href: `/countries/${own.country}` }, countryName(own.country)), ` · ${t(own.category ?? "–")} · ${shown(own.start_at, "moment")}`] };
      },
    });
  }
  context.title(t("events_page"));
  const all = h("section.card.wide", { "aria-label": t("events_page") });
  main.append(h("h1", { tabIndex: -1 }, t("events_page")), h("div.stage", {}, world(context), h("div.side", {}, newest(context), countries(context))), all);
  list(all, "events", { label: t("events_page"), filters: { category: ["conferences", "expos", "concerts", "festivals"].map((each) => [each, t(each)]), update_type: [0, 1, 2, 3, 4].map((each) => [String(each), t(`update_${each}`)]) }, range: "times" });
}

function world(context) {
  const surface = h("div.surface");
  const legend = h("div.scale");
  const choose = h("div.choose", { role: "group", "aria-label": t("layer") });
  const node = h("section.card.map.single", { "aria-label": t("world") }, surface, choose, h("div.under", {}, legend, h("p.note", {}, t("legend_world"))));
  let drawn = null;
  let rows = [];
  let by = "category";
  function paint() {
    const categories = [...new Set(rows.map((row) => row.category))].sort();
    const hue = (row) => (by === "category" ? COLOURS[categories.indexOf(row.category) % COLOURS.length] : CHANGES[row.update_type] ?? "muted");
    const most = Math.max(...rows.map((row) => row.spend ?? 0), 1);
    const zoom = Math.min(1, surface.clientWidth / 800);
    drawn?.draw(rows.map((row) => ({ lat: row.lat, lon: row.lon, id: row.event_id, about: `${row.title} · ${shown(row.spend, "usd")}`, radius: 2 + zoom * (1 + 13 * Math.sqrt((row.spend ?? 0) / most)), colour: colour(hue(row)) })));
    const named = by === "category" ? categories.map((each, at) => [COLOURS[at % COLOURS.length], t(each)]) : [...Object.entries(CHANGES).map(([type, name]) => [name, t(`update_${type}`)]), ["muted", t("update_0")]];
    fill(legend, named.map(([name, text]) => h("span.step", {}, h("i", { style: { background: `var(--${name})` } }), text)));
    for (const button of choose.children) button.setAttribute("aria-pressed", String(button.dataset.by === by));
  }
  fill(choose, ["category", "change"].map((each) => h("button", { type: "button", "data-by": each, onclick: () => { by = each; paint(); } }, t(`by_${each}`))));
  worldMap(surface, { go: (id) => context.open(`/events/${encodeURIComponent(id)}`) }).then((found) => {
    drawn = found;
    if (!found) fill(surface, h("p.state", {}, t("no_map")));
    context.onLeave(() => found?.remove());
    paint();
  });
  addEventListener("theme", paint);
  context.onLeave(() => removeEventListener("theme", paint));
  context.watch("world_events", (next) => {
    rows = next ?? [];
    paint();
  });
  return node;
}

function newest(context) {
  const { node, body } = card(t("newest_events"), { name: "newest_events" });
  context.watch("newest_events", states(body, (rows) => fill(body, h("ul.ticker", {}, rows.slice(0, 8).map((row) => h("li", {}, h("time", { datetime: row.updated }, shown(row.updated, "day_of")), h("a.what", { href: `/events/${encodeURIComponent(row.event_id)}` }, h("bdi", {}, row.title ?? row.event_id)), h("span.where", {}, countryName(row.country)), h("span.figure", {}, t(`update_${row.update_type}`))))))));
  return node;
}

function countries(context) {
  const { node, body } = card(t("event_countries"), { name: "event_countries" });
  let draw = null;
  const update = states(body, (rows) => (draw ??= bars(body, { id: (row) => row.country, name: (row) => countryName(row.country), more: (row) => t("events_count", { count: shown(row.events, "count") }), value: (row) => row.spend_usd, kind: "usd", link: (row) => `/countries/${row.country}`, colour: "leaf-3", first: 10 }))(rows));
  context.watch("event_countries", (rows) => {
    if (!rows?.length) draw = null;
    update(rows);
  });
  return node;
}
