// Curves and bars over time, drawn by uPlot in the colours of the page, with a table of the same rows for everybody
// who does not see a picture.

import uPlot from "./vendor/uplot.mjs";
import { kindOf } from "./columns.js";
import { fill, h } from "./dom.js";
import { seconds, short, shown, tick, timeZone } from "./format.js";
import { t } from "./text.js";

// What is counted in ones has no ticks between them.
const WHOLE = new Set(["count", "won", "usd"]);
const STEPS = [1, 2, 5, ...Array.from({ length: 14 }, (_, power) => [10, 20, 25, 50].map((step) => step * 10 ** power)).flat()];
const LONG_SECONDS = 2 * 86400;
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const faded = (name, percent) => `color-mix(in srgb, ${colour(name)} ${percent}%, transparent)`;

/** Rows of every minute: one without a row had none of anything. A long time is left as it is. */
function minutes(rows, series) {
  const known = new Map(rows.map((row) => [seconds(row.minute), row]));
  const found = [];
  if (seconds(rows.at(-1).minute) - seconds(rows[0].minute) > LONG_SECONDS) return rows;
  for (let at = seconds(rows[0].minute); at <= seconds(rows.at(-1).minute); at += 60) found.push(known.get(at) ?? { minute: new Date(at * 1000).toISOString(), ...Object.fromEntries(series.map(({ column }) => [column, 0])) });
  return found;
}

/**
 * A chart in `node`; returns `{ draw(rows), remove() }`.
 *
 * `x` is the column of time: a `minute`, a `day` or a `month`. Each of `series` has a `column`, a `colour` (a custom
 * property's name), `type` (`line`, `bars`, or `stack`: bars that stand on those before) and `axis: "right"` where it
 * has a scale of its own. `band: [lower, upper]` is drawn behind a line.
 */
export function chart(node, { x, series, tall = 12.5, label }) {
  let plot = null;
  let rows = [];
  // Sizes follow the letters, as everything on the page does.
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = Math.round(tall * rem);
  const canvas = h("div.plot", { role: "img", "aria-label": label, style: { height: `${height}px` } });
  const legend = h("div.legend");
  const body = h("tbody");
  const columns = [x, ...new Set(series.flatMap((each) => [each.column, ...(each.band ?? [])]))];
  const head = h("tr", {}, columns.map((column) => h("th", { scope: "col" }, t(series.find((each) => each.column === column)?.label ?? column))));
  const details = h("details.rows", {}, h("summary", {}, t("table")), h("div.scroll", { tabindex: 0, role: "group", "aria-label": label }, h("table", {}, h("thead", {}, head), body)));
  details.addEventListener("toggle", table);
  fill(node, canvas, legend, details);

  const kindOfX = x === "minute" || x === "at" ? "minute" : x;
  const labelled = (each) => t(each.label ?? each.column);
  const kindOfSeries = (each) => each.kind ?? kindOf(each.column);

  function table() {
    if (!details.open) return;
    fill(body, rows.slice(-400).reverse().map((row) => h("tr", {}, columns.map((column) => {
      const kind = series.find((each) => each.column === column)?.kind ?? kindOf(column);
      return h(column === x ? "td" : "td.right", {}, shown(row[column], kind));
    }))));
  }

  function legends(at) {
    const row = at === null || at === undefined ? rows.at(-1) : rows[at];
    if (!row) return;
    fill(legend, h("span.when", {}, shown(row[x], x === "at" ? "clock" : kindOf(x))), series.filter((each) => row[each.column] !== null && row[each.column] !== undefined).map((each) =>
      h("span", {}, h("i", { style: { background: colour(each.colour) } }), labelled(each), " ", h("b", {}, shown(row[each.column], kindOfSeries(each))))));
  }

  // A stack is drawn from its tallest sum to its first part, so that each covers the rest of the one before.
  const ordered = series.some((each) => each.type === "stack") ? [...series].reverse() : series;

  function data() {
    const base = rows.map(() => 0);
    const values = new Map(series.map((each) => {
      const own = rows.map((row) => row[each.column] ?? null);
      return [each, each.type === "stack" ? own.map((value, at) => (base[at] += value ?? 0)) : own];
    }));
    const result = [rows.map((row) => seconds(row[x]))];
    for (const each of ordered) {
      result.push(values.get(each));
      if (each.band) for (const bound of [each.band[1], each.band[0]]) result.push(rows.map((row) => row[bound] ?? null));
    }
    return result;
  }

  function build() {
    plot?.destroy();
    fill(canvas);
    const bands = [];
    const drawn = [{}];
    ordered.forEach((each) => {
      const scale = each.axis === "right" ? "right" : "y";
      const bars = each.type === "bars" || each.type === "stack";
      drawn.push({
        scale,
        stroke: colour(each.colour),
        width: bars ? 0 : 2,
        dash: each.dashed ? [5, 4] : undefined,
        fill: bars ? (each.type === "stack" ? colour(each.colour) : faded(each.colour, 72)) : each.band || scale === "right" ? undefined : faded(each.colour, 10),
        paths: bars ? uPlot.paths.bars({ size: [0.72, 46], radius: each.type === "stack" ? 0 : 0.18 }) : uPlot.paths.spline(),
        points: { show: rows.length < 3 && !bars, size: 6, fill: colour(each.colour) },
      });
      if (each.band) {
        const at = drawn.length;
        for (let n = 0; n < 2; n++) drawn.push({ scale, stroke: "transparent", points: { show: false }, paths: uPlot.paths.spline() });
        bands.push({ series: [at, at + 1], fill: faded(each.colour, 18) });
      }
    });
    const font = `${0.72 * rem}px ${colour("font")}`;
    const axis = (scale, side, kind, grid) => ({
      scale, side, stroke: colour("muted"), font, size: (_, labels) => (Math.max(3, ...(labels ?? []).map((text) => text?.length ?? 0)) * 0.47 + 1) * rem, gap: 6, grid: { show: grid, stroke: colour("line"), width: 1 },
      ticks: { show: false }, values: (_, ticks) => ticks.map((value) => short(value, kind)), space: 36, ...(WHOLE.has(kind) ? { incrs: STEPS } : {}),
    });
    const left = series.find((each) => each.axis !== "right");
    const right = series.find((each) => each.axis === "right");
    plot = new uPlot({
      width: Math.max(120, canvas.clientWidth),
      height,
      padding: [10, right ? 0 : 2 * rem, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), kindOfX === "minute" ? timeZone() : "UTC"),
      scales: {
        x: { time: true, range: (_, low, high) => (low === high ? [low - 43200, high + 43200] : padded(low, high)) },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.12 : 1] },
        ...(right ? { right: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.12 : 1] } } : {}),
      },
      axes: [
        { stroke: colour("muted"), font, size: 1.7 * rem, gap: 6, space: 4.2 * rem, grid: { show: false }, ticks: { show: false }, values: (_, ticks) => once(ticks.map((value) => tick(value, kindOfX))), ...(kindOfX === "minute" ? {} : { splits: days }) },
        axis("y", 3, left ? kindOfSeries(left) : "count", true),
        ...(right ? [axis("right", 1, kindOfSeries(right), false)] : []),
      ],
      series: drawn,
      bands,
      hooks: { setCursor: [(self) => legends(self.cursor.idx)] },
    }, data(), canvas);
  }

  const bars = series.some((each) => each.type === "bars" || each.type === "stack");
  function padded(low, high) {
    if (!bars) return [low, high];
    const step = (high - low) / Math.max(1, rows.length - 1);
    return [low - step * 0.6, high + step * 0.6];
  }

  function days(self, axisAt, low, high, step) {
    const at = self.data[0];
    const most = Math.max(2, Math.floor(self.width / (5.4 * rem)));
    const every = Math.max(1, Math.ceil(at.length / most));
    return at.filter((value, position) => (at.length - 1 - position) % every === 0);
  }

  const once = (labels) => labels.map((text, at) => (text === labels[at - 1] ? null : text));
  const watcher = new ResizeObserver(() => plot && canvas.clientWidth && plot.setSize({ width: canvas.clientWidth, height }));
  watcher.observe(canvas);
  const redraw = () => plot && build();
  addEventListener("theme", redraw);

  return {
    draw(next) {
      const rebuild = !plot || rows.length < 3;
      rows = x === "minute" ? minutes(next, series) : next;
      if (rebuild) build();
      else plot.setData(data());
      legends(plot.cursor.idx ?? null);
      table();
    },
    remove() {
      watcher.disconnect();
      removeEventListener("theme", redraw);
      plot?.destroy();
    },
  };
}
