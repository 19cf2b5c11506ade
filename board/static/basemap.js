// What the map of the city and that of the world share: MapLibre, flat, north up, in our language and colours.

import { colour } from "./chart.js";
import { t } from "./text.js";

let library = null;

/** Points as MapLibre takes them: rows with `lat` and `lon`; the rest are their properties. */
export const pointsOf = (rows) => ({
  type: "FeatureCollection",
  features: rows.map(({ lat, lon, ...properties }) => ({ type: "Feature", properties, geometry: { type: "Point", coordinates: [lon, lat] } })),
});

/** A layer of the source `circles`, whose rows have a `radius` and a `colour`. */
export const circles = (opacity) => ({ id: "circles", type: "circle", source: "circles", paint: { "circle-radius": ["get", "radius"], "circle-color": ["get", "colour"], "circle-opacity": opacity, "circle-stroke-color": colour("panel"), "circle-stroke-width": 1 } });

/**
 * A map in `node`, of these `sources` and `layers`, and circles over them; null where the browser has no WebGL.
 *
 * `painted` are the properties that take another colour when the page turns light or dark: layer, property, colour.
 */
export async function baseMap(node, { title, sources, layers, painted, ...options }) {
  library ??= await import("./vendor/maplibre-gl.mjs");
  let map;
  try {
    map = new library.Map({
      container: node,
      style: {
        version: 8,
        sources: { ...sources, circles: { type: "geojson", data: pointsOf([]) } },
        layers: [{ id: "ground", type: "background", paint: { "background-color": colour("sea") } }, ...layers],
      },
      maxPitch: 0,
      dragRotate: false,
      pitchWithRotate: false,
      cooperativeGestures: true,
      attributionControl: false,
      locale: { "CooperativeGesturesHandler.WindowsHelpText": t("zoom_help"), "CooperativeGesturesHandler.MacHelpText": t("zoom_help_mac"), "CooperativeGesturesHandler.MobileHelpText": t("two_fingers"), "Map.Title": title },
      fadeDuration: 0,
      ...options,
    });
  } catch {
    return null;
  }
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new library.NavigationControl({ showCompass: false }), "bottom-right");
  const paint = () => {
    for (const [layer, property, name] of [["ground", "background-color", "sea"], ["circles", "circle-stroke-color", "panel"], ...painted]) map.setPaintProperty(layer, property, colour(name));
  };
  addEventListener("theme", paint);
  map.on("remove", () => removeEventListener("theme", paint));
  return {
    map,
    marker: (element, place) => new library.Marker({ element, anchor: "center" }).setLngLat(place).addTo(map),
    circles: (rows) => map.getSource("circles").setData(pointsOf(rows)),
    loaded: () => new Promise((done) => (map.loaded() ? done() : map.once("load", done))),
  };
}
