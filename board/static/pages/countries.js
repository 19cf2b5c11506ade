// Countries that events take place in: all of them with what is spent; one of them.

import { detail } from "../detail.js";
import { h } from "../dom.js";
import { countryName } from "../format.js";
import { table } from "../table.js";
import { t } from "../text.js";

export function show(main, context) {
  if (context.id) return detail(main, context, "countries", { head: () => ({ name: countryName(context.id), lead: context.id }) });
  context.title(t("countries_page"));
  const node = h("section.card.wide", { "aria-label": t("countries_page") });
  main.append(h("h1", { tabIndex: -1 }, t("countries_page")), node);
  const draw = table(node, { columns: ["country", "events", "spend_usd", "attendance"], label: t("countries_page"), sort: "spend_usd" });
  context.watch("event_countries", (rows) => draw(rows ?? []));
}
