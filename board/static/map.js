// The map of the city: districts as areas, complexes and venues as circles, orders as points that fade. It needs no
// tiles: what is drawn are the districts' boundaries, which the service has.

import { baseMap, circles } from "./basemap.js";
import { colour } from "./chart.js";
import { h, say } from "./dom.js";
import { regionName } from "./format.js";
import { t } from "./text.js";

const FADE_SECONDS = 15;
const ROOM = { top: 56, bottom: 34, left: 34, right: 34 };

// Half of the city's area is a county of mountains in the north where few live: at first, the map shows the rest.
const FAR = "27720";

const bounds = (geo) => {
  const box = [180, 90, -180, -90];
  const walk = (each) => {
    if (typeof each[0] === "number") {
      box[0] = Math.min(box[0], each[0]); box[1] = Math.min(box[1], each[1]);
      box[2] = Math.max(box[2], each[0]); box[3] = Math.max(box[3], each[1]);
    } else each.forEach(walk);
  };
  geo.features.forEach((feature) => walk(feature.geometry.coordinates));
  return box;
};

/** The colour of a share, 0 to 1, on a scale of the page: five steps that everybody can tell apart, light to dark. */
export const step = (share) => Math.max(0, Math.min(4, Math.floor(share * 5 - 1e-9)));

/**
 * The map in `node`. Returns `{ areas, circles, points, clear, remove }`, or null where the browser has no WebGL.
 * `go(code)` is called where somebody chooses a district.
 */
export async function cityMap(node, { geo, districts, go }) {
  const whole = bounds(geo);
  const box = bounds({ features: geo.features.filter((feature) => feature.properties.code !== FAR) });
  const features = { ...geo, features: geo.features.map((feature) => ({ ...feature, id: Number(feature.properties.code) })) };
  const base = await baseMap(node, {
    title: t("map"),
    sources: { districts: { type: "geojson", data: features } },
    layers: [
      { id: "areas", type: "fill", source: "districts", paint: { "fill-color": colour("land") } },
      { id: "edges", type: "line", source: "districts", paint: { "line-color": colour("edge"), "line-width": 1.2 } },
      { id: "chosen", type: "line", source: "districts", paint: { "line-color": colour("ink"), "line-width": ["case", ["boolean", ["feature-state", "over"], false], 2.2, 0] } },
      circles(0.42),
    ],
    painted: [["edges", "line-color", "edge"], ["chosen", "line-color", "ink"]],
    bounds: box,
    fitBoundsOptions: { padding: ROOM },
    minZoom: 7,
    maxZoom: 15,
  });
  if (!base) return null;
  const { map } = base;
  const all = h("button", { type: "button", title: t("city"), "aria-label": t("city"), onclick: () => map.fitBounds(whole, { padding: ROOM }) }, "⤢");
  map.addControl({ onAdd: () => h("div.maplibregl-ctrl.maplibregl-ctrl-group", {}, all), onRemove: () => all.parentNode.remove() }, "bottom-right");

  const labels = districts.map((district) => {
    const figure = h("span.figure");
    const label = h("a.place", { href: `/regions/${district.code}` }, h("span.name", {}, regionName(district.code)), figure);
    base.marker(label, [district.lon, district.lat]);
    // A marker says that it is a picture; this one is a link.
    label.removeAttribute("role");
    label.removeAttribute("aria-label");
    return { code: district.code, label, figure };
  });

  // Where names would cover each other, the smaller district's gives way: first its number, then the name.
  const extent = new Map(geo.features.map((feature) => [feature.properties.code, bounds({ features: [feature] })]));
  const area = ({ code }) => { const [west, south, east, north] = extent.get(code) ?? [0, 0, 0, 0]; return (east - west) * (north - south); };
  const order = [...labels].sort((one, other) => area(other) - area(one));
  function arrange() {
    const taken = [];
    const free = (rect) => !taken.some((other) => rect.left < other.right && other.left < rect.right && rect.top < other.bottom && other.top < rect.bottom);
    for (const { label } of order) {
      label.classList.remove("bare", "hidden");
      let rect = label.getBoundingClientRect();
      if (!free(rect)) {
        label.classList.add("bare");
        rect = label.getBoundingClientRect();
      }
      if (free(rect)) taken.push(rect);
      else label.classList.add("hidden");
    }
  }
  map.on("moveend", arrange);

  const canvas = h("canvas.points", { "aria-hidden": "true" });
  map.getCanvasContainer().append(canvas);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let alive = [];
  let frame = null;
  function paint() {
    frame = null;
    const now = performance.now() / 1000;
    alive = alive.filter((point) => now - point.born < FADE_SECONDS);
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = node;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.setProperty("width", `${width}px`);
      canvas.style.setProperty("height", `${height}px`);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const size = Math.max(2.1, Math.min(4.2, width / 420));
    for (const point of alive) {
      const age = now - point.born;
      if (age < 0) continue;
      const { x, y } = map.project([point.lon, point.lat]);
      const left = 1 - age / FADE_SECONDS;
      pen.fillStyle = pen.strokeStyle = point.colour;
      pen.globalAlpha = 0.25 + 0.65 * left * left;
      pen.beginPath();
      pen.arc(x, y, size * (0.7 + 0.3 * left), 0, 7);
      pen.fill();
      if (age < 1.2 && !still.matches) {
        pen.globalAlpha = 0.7 * (1 - age / 1.2);
        pen.lineWidth = 1.4;
        pen.beginPath();
        pen.arc(x, y, size + 10 * (age / 1.2), 0, 7);
        pen.stroke();
      }
    }
    pen.globalAlpha = 1;
    if (alive.length && !document.hidden) wait();
  }
  // Twenty pictures a second are enough for what fades in fifteen; a laptop's fan stays quiet.
  function wait() {
    frame ??= setTimeout(() => requestAnimationFrame(paint), 50);
  }
  map.on("move", () => frame ?? wait());
  const seen = () => document.hidden || (alive.length && wait());
  document.addEventListener("visibilitychange", seen);

  let over = null;
  const lift = (id) => {
    if (over !== null) map.setFeatureState({ source: "districts", id: over }, { over: false });
    over = id;
    if (id !== null) map.setFeatureState({ source: "districts", id }, { over: true });
    map.getCanvas().style.setProperty("cursor", id === null ? "" : "pointer");
  };
  map.on("mousemove", "areas", (event) => lift(event.features[0].id));
  map.on("mouseleave", "areas", () => lift(null));
  map.on("click", "areas", (event) => go(event.features[0].properties.code));

  let filled = null;
  const themes = () => filled?.();
  addEventListener("theme", themes);

  const watcher = new ResizeObserver(() => { map.resize(); map.fitBounds(box, { padding: ROOM, duration: 0 }); });
  watcher.observe(node);
  await base.loaded();

  return {
    /** Colour the districts: `values` by code, on the scale of this name; and what stands under each name. */
    areas(values, scale, figure) {
      filled = () => {
        const most = Math.max(...values.values(), 0);
        const paint = districts.flatMap(({ code }) => {
          const value = values.get(code);
          return [code, value === undefined || value === null || !scale ? colour("land") : colour(`${scale}-${step(most ? value / most : 0)}`)];
        });
        map.setPaintProperty("areas", "fill-color", ["match", ["get", "code"], ...paint, colour("land")]);
        for (const { code, label, figure: under } of labels) {
          const value = values.get(code);
          say(under, figure && value !== undefined && value !== null ? figure(value) : "");
          const deep = scale && most && value !== undefined && step(value / most) >= 3;
          label.classList.toggle("deep", Boolean(deep));
        }
      };
      filled();
      arrange();
    },
    /** Circles: rows with `lat`, `lon`, `radius` and `colour`. */
    circles(rows) {
      base.circles(rows);
      node.classList.toggle("crowded", rows.length > 0);
    },
    /** Points that fade, each after its `wait` in seconds. */
    points(rows) {
      const now = performance.now() / 1000;
      alive.push(...rows.map((row) => ({ ...row, born: now + row.wait })));
      alive = alive.slice(-2500);
      if (!document.hidden) wait();
    },
    clear() {
      alive = [];
      wait();
    },
    remove() {
      watcher.disconnect();
      removeEventListener("theme", themes);
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(frame);
      map.remove();
    },
  };
}
