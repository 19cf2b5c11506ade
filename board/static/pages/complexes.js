// Apartment complexes: found by name; one of them.

import { detail } from "../detail.js";
import { h } from "../dom.js";
import { complexName, regionName, shown } from "../format.js";
import { section } from "../live.js";
import { table } from "../table.js";
import { t } from "../text.js";

export function show(main, context) {
  const all = context.places.complexes;
  if (context.id) {
    const own = all.find((each) => each.complex_id === context.id);
    const lead = own ? [h("a", { href: `/regions/${own.region}` }, regionName(own.region)), " · ", h("bdi", {}, own.address), ` · ${t("households")} ${shown(own.households, "count")}`] : null;
    return detail(main, context, "complexes", { head: () => ({ name: complexName(context.id), lead }) });
  }
  context.title(t("complexes"));
  const node = h("section.card.wide", { "aria-label": t("complexes") });
  main.append(h("h1", { tabIndex: -1 }, t("complexes")), node);
  const wanted = Object.values(context.streams).flatMap((stream) => stream.complexColumns ?? []);
  const draw = table(node, { columns: ["name", "region", "address", "households", ...wanted.flatMap(({ columns }) => columns)], label: t("complexes"), search: true, sort: "name", descending: false });
  const update = () => {
    const more = wanted.map(({ section: name, columns }) => [columns, new Map((section(name) ?? []).map((row) => [row.complex_id, row]))]);
    draw(all.map((each) => {
      const row = { ...each };
      for (const [columns, found] of more) for (const column of columns) row[column] = found.get(each.complex_id)?.[column] ?? null;
      return row;
    }));
  };
  update();
  for (const { section: name } of wanted) context.watch(name, update);
}
