// A card: a heading, what is in it, and the states that it can be in instead.

import { fill, h } from "./dom.js";
import { t } from "./text.js";

/** A card with a heading; `note` stands beside it, `tools` at its end. */
export function card(title, { note = null, tools = [], wide = false, name = null } = {}) {
  const body = h("div.body");
  const node = h(
    `section.card${wide ? ".wide" : ""}`,
    { "aria-label": title, "data-card": name },
    h("header", {}, h("h2", {}, title), note && h("p.note", {}, note), tools.length ? h("div.tools", {}, tools) : null),
    body,
  );
  return { node, body };
}

const state = (kind, title, hint, ...more) => h(`div.state.${kind}`, {}, h("strong", {}, title), hint && h("p", {}, hint), ...more);

export const loading = () => state("loading", t("loading"), null, h("span.bar", { "aria-hidden": "true" }));
export const empty = (hint = t("empty_hint")) => state("empty", t("empty"), hint);
/** Why there are no rows: they were never read, their table is not there, or there are none. */
export const none = (rows) => (rows === undefined ? unread() : rows === null ? missing() : empty());
const unread = () => state("missing", t("unread"), t("unread_hint"));
export const missing = () => state("missing", t("missing"), t("missing_hint"));
export const failed = (error, again) => state("failed", t("failed"), error.message, again && h("button.button", { type: "button", onclick: again }, t("again")));

/** Draw rows once they are there, and say meanwhile what is going on. `draw` keeps its own nodes between calls. */
export function states(body, draw) {
  let drawn = false;
  fill(body, loading());
  return (rows, fresh) => {
    if (rows && rows.length) {
      if (!drawn) fill(body);
      drawn = true;
      draw(rows, fresh);
    } else {
      drawn = false;
      fill(body, none(rows));
    }
  };
}
