// All about one thing: what each stream tells of it, over a range of days that stands in the address.

import { ask } from "./api.js";
import { card, empty, failed, loading, missing } from "./card.js";
import { chart } from "./chart.js";
import { kindOf, linkOf } from "./columns.js";
import { fill, h } from "./dom.js";
import { shown } from "./format.js";
import { table } from "./table.js";
import { t } from "./text.js";

/** The page of `id` among `subject`; `head(parts)` gives its name and what stands under it. */
export async function detail(main, context, subject, { head }) {
  const params = context.params;
  const title = h("h1", { tabIndex: -1 }, context.id);
  const under = h("p.lead");
  const at = h("p.note");
  const grid = h("div.pairs");
  const field = (name) => h("label.field", {}, h("span", {}, t(name)), h("input.input", { type: "date", name, value: params.get(name) ?? "" }));
  const form = h("form.asked", { onsubmit: (event) => {
    event.preventDefault();
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    context.open(`${location.pathname}${asked.size ? `?${asked}` : ""}`);
  } }, field("from"), field("to"), h("button.button.strong", { type: "submit" }, t("apply")), params.size ? h("a.button", { href: location.pathname }, t("reset")) : null);
  main.append(h("nav.crumb", {}, h("a", { href: `/${subject}` }, t(["shows", "events", "countries"].includes(subject) ? `${subject}_page` : subject))), h("div.head", {}, h("div", {}, title, under), form), at, grid);

  const range = new URLSearchParams([...params].filter(([key]) => ["from", "to"].includes(key)));
  const path = `/api/${subject}/${encodeURIComponent(context.id)}`;
  fill(grid, loading());
  let found;
  try {
    found = await ask(`${path}?${range}`);
  } catch (error) {
    const { name, lead } = head({});
    fill(title, h("bdi", {}, name));
    fill(under, lead);
    fill(grid, error.status === 404 ? h("p.state", {}, t("nothing_known", { id: context.id })) : failed(error, () => context.open(location.pathname + location.search)));
    return;
  }
  if (context.gone) return;
  const { name, lead } = head(found.parts);
  context.title(name);
  fill(title, h("bdi", {}, name));
  fill(under, lead);
  fill(at, t("data_as_of", { time: shown(found.at, "clock") }));

  const wanted = Object.values(context.streams).flatMap((stream) => stream.details?.[subject] ?? []);
  fill(grid);
  // What comes with a newer set of tables is not missed before it is there.
  for (const part of wanted) if (!part.optional || found.parts[part.part]) grid.append(one(context, part, found.parts, (each) => `${path}/${each}.csv?${range}`));
}

function one(context, part, parts, csv) {
  const rows = parts[part.part];
  const tools = rows?.length && !part.facts ? [h("a.button", { href: csv(part.part), download: "" }, t("csv"))] : [];
  const { node, body } = card(t(part.title), { tools, wide: part.wide, name: part.title });
  if (part.table) node.classList.add("listed");
  if (rows === undefined || rows === null) fill(body, missing());
  else if (part.facts) fill(body, rows.length ? facts(part.facts, rows[0]) : empty());
  else {
    const made = part.rows ? part.rows(rows, parts[part.with]) : rows;
    if (!made.length) fill(body, empty());
    else if (part.table) table(body, { label: t(part.title), ...part.table })(made);
    else {
      // It measures the room that it has: it is drawn when it stands on the page.
      const drawing = chart(body, { x: part.x, series: part.series, label: t(part.title), tall: part.wide ? 16 : 13.5 });
      requestAnimationFrame(() => context.gone || drawing.draw(made));
      context.onLeave(drawing.remove);
    }
  }
  return node;
}

export function facts(columns, row) {
  return h("dl.facts", {}, columns.map((column) => {
    const link = linkOf(column, row[column], row);
    const text = h("bdi", {}, shown(row[column], kindOf(column)));
    return h("div", {}, h("dt", {}, t(column)), h("dd", {}, link ? h("a", { href: link }, text) : text));
  }));
}
