// Things in order of a number, as bars that are text and links, too.

import { fill, h, say } from "./dom.js";
import { shown } from "./format.js";

/** Bars in `node` of the first `first` rows; returns `draw(rows)`. `name` and `value` of a row are functions, `link` may be one. */
export function bars(node, { name, value, kind, link = () => null, colour = "accent", id = name, more = () => null, first = Infinity }) {
  const list = h("ol.bars");
  const known = new Map();
  fill(node, list);
  return (rows) => {
    const most = Math.max(...rows.map((row) => Math.abs(value(row) ?? 0)), 1e-9);
    const order = rows.slice(0, first).map((row) => {
      const key = id(row);
      if (!known.has(key)) {
        const label = h(link(row) ? "a.what" : "span.what", { href: link(row) }, name(row));
        const extra = h("span.more");
        const figure = h("span.figure");
        const bar = h("span.fill", { style: { background: `var(--${colour})` } });
        known.set(key, { node: h("li", {}, h("div.line", {}, label, extra, figure), h("span.track", { "aria-hidden": "true" }, bar)), figure, bar, extra });
      }
      const { node: item, figure, bar, extra } = known.get(key);
      say(figure, shown(value(row), kind));
      say(extra, more(row) ?? "");
      bar.style.setProperty("width", `${(100 * Math.max(0, value(row) ?? 0)) / most}%`);
      return item;
    });
    if (order.length !== list.children.length || order.some((item, at) => list.children[at] !== item)) list.replaceChildren(...order);
  };
}
