// The overview: the city as it is now.

import { card, none, states } from "../card.js";
import { bars } from "../bars.js";
import { chart } from "../chart.js";
import { fill, h, say } from "../dom.js";
import { regionName, seconds, short, shown } from "../format.js";
import { section } from "../live.js";
import { cityMap } from "../map.js";
import { t } from "../text.js";

const TICKER = 7;

export function show(main, context) {
  context.title(t("overview"));
  const views = Object.values(context.streams).map((stream) => stream.overview ?? {});
  const all = (what) => views.flatMap((view) => view[what] ?? []);
  const [curves, rankings] = [h("div.flow"), h("div.flow")];
  main.append(
    h("h1.quiet", { tabIndex: -1 }, t("overview")),
    figures(context, all("figures")),
    h("div.stage", {}, map(context, all("layers")), h("div.side", {}, alarms(context, all("alarms")), ...all("ticker").map((each) => ticker(context, each)))),
    curves,
    rankings,
  );
  for (const each of all("charts")) curves.append(curve(context, each));
  for (const each of all("bars")) rankings.append(ranking(context, each));
}

function figures(context, wanted) {
  return h("div.figures", {}, wanted.map(({ section: name, label, kind, value }) => {
    const figure = h("span.value", {}, "–");
    const when = h("span.when");
    context.watch(name, (rows) => {
      say(figure, rows?.length ? shown(value(rows), kind) : "–");
      say(when, rows?.length && rows.at(-1).day ? shown(rows.at(-1).day, "day") : "");
    });
    return h("div.figure", {}, h("span.label", {}, t(label)), figure, when);
  }));
}

function map(context, layers) {
  const surface = h("div.surface");
  const ranking = h("div.ranking");
  const legend = h("div.scale");
  const note = h("p.note");
  const body = h("section.card.map", { "aria-label": t("map") }, surface, h("div.choose", { role: "radiogroup", "aria-label": t("layer") }), h("div.under", {}, legend, note), ranking);
  const choose = body.querySelector(".choose");
  let drawn = null;
  let layer = null;
  const ready = cityMap(surface, { geo: context.geo, districts: context.places.districts, go: (code) => context.open(`/regions/${code}`) });
  ready.then((found) => {
    drawn = found;
    if (!found) fill(surface, h("p.state", {}, t("no_map")));
    context.onLeave(() => found?.remove());
    if (layer) paint();
  });

  let rank = null;
  function ranked(column, kind, scale, rows) {
    rank ??= bars(ranking, { id: (row) => row.region, name: (row) => regionName(row.region), link: (row) => `/regions/${row.region}`, value: (row) => row[column], kind, colour: scale });
    rank([...rows].sort((one, other) => (other[column] ?? 0) - (one[column] ?? 0)));
  }

  function paint() {
    const areas = layer.areas ?? layer;
    const rows = section(areas.section);
    const kind = layer.areas ? areas.kind : layer.shown;
    const scale = layer.scale ?? null;
    const values = new Map((rows ?? []).map((row) => [row.region, row[areas.column]]));
    drawn?.areas(values, scale, (value) => short(value, kind));
    const circles = layer.circles && section(layer.circles.section);
    drawn?.circles(circles ? layer.circles.of(circles) : []);
    if (rows?.length) ranked(areas.column, kind, scale ? `${scale}-3` : "accent", rows);
    else {
      rank = null;
      fill(ranking, none(rows));
    }
    const most = Math.max(...values.values(), 0);
    fill(legend, scale && rows?.length ? [0, 1, 2, 3, 4].map((at) => h("span.step", {}, h("i", { style: { background: `var(--${scale}-${at})` } }), h("span", {}, `≤ ${short((most * (at + 1)) / 5, kind)}`))) : null);
    say(note, t(`legend_${layer.name}`, { day: rows?.[0]?.day ? shown(rows[0].day, "day") : "–" }));
  }

  function pick(next) {
    layer = next;
    rank = null;
    fill(ranking);
    for (const button of choose.children) button.setAttribute("aria-checked", String(button.dataset.layer === next.name));
    for (const button of choose.children) button.tabIndex = button.dataset.layer === next.name ? 0 : -1;
    if (next.kind !== "points") drawn?.clear();
    history.replaceState(null, "", next === layers[0] ? location.pathname : `?layer=${next.name}`);
    paint();
  }

  fill(choose, layers.map((each, at) => h("button", {
    type: "button", role: "radio", "data-layer": each.name, "aria-checked": "false",
    onclick: () => pick(each),
    onkeydown: (event) => {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!move) return;
      event.preventDefault();
      const next = layers[(at + move + layers.length) % layers.length];
      pick(next);
      choose.querySelector(`[data-layer="${next.name}"]`).focus();
    },
  }, t(`layer_${each.name}`))));

  for (const each of layers) {
    for (const name of new Set([each.section, each.areas?.section, each.circles?.section].filter(Boolean))) {
      context.watch(name, (rows, fresh) => {
        if (layer !== each) return;
        if (each.kind === "points" && name === each.section && fresh?.length) scatter(each, fresh);
        if (!(each.kind === "points" && name === each.section)) paint();
      });
    }
  }

  // A checkpoint shows the orders of some seconds at once: they are spread again as they were placed.
  function scatter(each, fresh) {
    const times = fresh.map((row) => seconds(row[each.time]));
    const first = Math.max(Math.min(...times), Math.max(...times) - 6);
    drawn?.points(fresh.map((row, at) => ({ ...each.point(row), wait: Math.max(0, times[at] - first) })));
  }
  if (layers.length) pick(layers.find((each) => each.name === context.params.get("layer")) ?? layers[0]);
  return body;
}

function curve(context, { section: name, with: other, title, note, x, series, rows: of, unfinished = 0 }) {
  const { node, body } = card(t(title), { note: note ? t(note) : null, name: title });
  let drawing = null;
  const draw = states(body, (rows) => {
    drawing ??= chart(body, { x, series, label: t(title) });
    drawing.draw(rows);
  });
  const update = () => {
    const rows = section(name);
    if (!rows?.length) {
      drawing = drawing?.remove();
      return draw(rows);
    }
    // The newest minute is not over: its number would only seem to fall.
    const finished = unfinished && rows.length > 2 ? rows.slice(0, -unfinished) : rows;
    const made = of ? of(finished, section(other)) : finished;
    if (!made?.length) drawing = drawing?.remove();
    draw(made);
  };
  context.watch(name, update);
  if (other) context.watch(other, () => section(name) && update());
  context.onLeave(() => drawing?.remove());
  return node;
}

function ranking(context, { section: name, title, ...options }) {
  const { node, body } = card(t(title), { name: title });
  let list = null;
  const draw = states(body, (rows) => {
    list ??= bars(body, options);
    list(rows);
  });
  context.watch(name, (rows) => {
    if (!rows?.length) list = null;
    draw(rows);
  });
  return node;
}

function ticker(context, { section: name, title, time, line }) {
  const { node, body } = card(t(title), { name: title });
  const list = h("ul.ticker");
  const draw = states(body, (rows) => {
    if (!list.isConnected) body.append(list);
    fill(list, rows.slice(-TICKER).reverse().map((row) => {
      const { what, where, region, figure, kind } = line(row);
      return h("li", {}, h("time", { datetime: row[time] }, shown(row[time], "clock")), h("bdi.what", { title: what }, what), h("bdi.where", {}, `${where} · ${regionName(region)}`), h("span.figure", {}, shown(figure, kind)));
    }));
  });
  context.watch(name, draw);
  return node;
}

function alarms(context, wanted) {
  if (!wanted.length) return null;
  const { node, body } = card(t("latest_alarms"), { name: "latest_alarms" });
  const list = h("ul.alarms", { "aria-live": "polite" });
  const found = new Map();
  for (const { section: name, line } of wanted) {
    context.watch(name, (rows) => {
      if (!rows) return fill(body, none(rows));
      found.set(name, rows.map(line));
      const newest = [...found.values()].flat().sort((one, other) => seconds(other.at) - seconds(one.at)).slice(0, 6);
      if (!newest.length) return fill(body, h("p.note", {}, t("no_alarms")));
      if (!list.isConnected) fill(body, list);
      fill(list, newest.map((each) => h(`li.${each.kind}`, {}, h("time", { datetime: each.at }, shown(each.at, "clock")), h("strong", {}, t(each.kind)), h("a", { href: each.link }, h("bdi", {}, each.what)), h("span", {}, each.text))));
    });
  }
  return node;
}
