// Districts: all of them with what each stream says of today; one of them.

import { detail } from "../detail.js";
import { h } from "../dom.js";
import { regionName } from "../format.js";
import { section } from "../live.js";
import { table } from "../table.js";
import { t } from "../text.js";

export function show(main, context) {
  if (context.id) {
    const count = context.places.complexes.filter((each) => each.region === context.id).length;
    return detail(main, context, "regions", { head: () => ({ name: regionName(context.id), lead: `${context.id} · ${t("complexes")} ${count}` }) });
  }
  context.title(t("regions"));
  const node = h("section.card.wide", { "aria-label": t("regions") });
  main.append(h("h1", { tabIndex: -1 }, t("regions")), node);
  const wanted = Object.values(context.streams).flatMap((stream) => stream.regionColumns ?? []);
  const draw = table(node, { columns: ["region", ...wanted.flatMap(({ columns }) => columns)], label: t("regions") });
  const update = () => draw(context.places.districts.map(({ code }) => {
    const row = { region: code };
    for (const { section: name, columns } of wanted) {
      const own = (section(name) ?? []).find((each) => each.region === code);
      for (const column of columns) row[column] = own?.[column] ?? null;
    }
    return row;
  }));
  update();
  for (const { section: name } of wanted) context.watch(name, update);
}
