// The map of the world: countries in outline, events as circles. A colour for each category, a size for what is spent.

import { baseMap, circles } from "./basemap.js";
import { colour } from "./chart.js";
import { h } from "./dom.js";
import { t } from "./text.js";

// Around the pole a map like this has no shape for it, and nothing takes place there.
const ANTARCTICA = "010";

/** The outlines as GeoJSON, from TopoJSON: arcs are kept once, in steps, and rings name them. */
function outlines(topology) {
  const { scale, translate } = topology.transform;
  const arcs = topology.arcs.map((arc) => {
    let [x, y] = [0, 0];
    return arc.map(([right, up]) => [(x += right) * scale[0] + translate[0], (y += up) * scale[1] + translate[1]]);
  });
  // Across the 180th meridian a ring goes on beyond it, not all the way back around the world.
  const whole = (points) => {
    let turn = 0;
    return points.map(([x, y], at) => {
      if (at) turn -= 360 * Math.round((x - points[at - 1][0]) / 360);
      return [x + turn, y];
    });
  };
  const ring = (names) => whole(names.flatMap((name, at) => (name < 0 ? [...arcs[~name]].reverse() : arcs[name]).slice(at ? 1 : 0)));
  const polygons = ({ type, arcs: own }) => (type === "Polygon" ? [own] : own).map((each) => each.map(ring));
  return {
    type: "FeatureCollection",
    features: topology.objects.countries.geometries.filter(({ arcs: own, id }) => own && id !== ANTARCTICA).map((geometry) => ({ type: "Feature", properties: {}, geometry: { type: "MultiPolygon", coordinates: polygons(geometry) } })),
  };
}

/** The map in `node`; returns `{ draw(rows), remove }`, or null without WebGL. Rows have `lat`, `lon`, `radius`, `colour`. */
export async function worldMap(node, { go }) {
  const topology = await (await fetch("/static/vendor/countries.json")).json();
  const base = await baseMap(node, {
    title: t("world"),
    sources: { land: { type: "geojson", data: outlines(topology) } },
    layers: [{ id: "land", type: "fill", source: "land", paint: { "fill-color": colour("land"), "fill-outline-color": colour("edge") } }, circles(0.72)],
    painted: [["land", "fill-color", "land"], ["land", "fill-outline-color", "edge"]],
    bounds: [-125, -42, 165, 68],
    minZoom: -2,
    renderWorldCopies: false,
  });
  if (!base) return null;
  const { map } = base;
  const about = h("div.about", { hidden: true });
  node.append(about);
  map.on("mousemove", "circles", (event) => {
    map.getCanvas().style.setProperty("cursor", "pointer");
    about.hidden = false;
    about.textContent = event.features[0].properties.about;
    about.style.setProperty("left", `${event.point.x + 12}px`);
    about.style.setProperty("top", `${event.point.y + 12}px`);
  });
  map.on("mouseleave", "circles", () => {
    about.hidden = true;
    map.getCanvas().style.setProperty("cursor", "");
  });
  map.on("click", "circles", (event) => go(event.features[0].properties.id));
  await base.loaded();
  return { draw: base.circles, remove: () => map.remove() };
}
