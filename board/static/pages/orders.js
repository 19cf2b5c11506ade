// Orders: the ledger's newest, and those of any hour.

import { h } from "../dom.js";
import { regionName } from "../format.js";
import { list } from "../table.js";
import { t } from "../text.js";

export function show(main, context) {
  context.title(t("orders_page"));
  const node = h("section.card.wide", { "aria-label": t("orders_page") });
  main.append(h("h1", { tabIndex: -1 }, t("orders_page")), node);
  list(node, "orders", { label: t("orders_page"), filters: { region: context.places.districts.map(({ code }) => [code, regionName(code)]) }, range: "times" });
}
