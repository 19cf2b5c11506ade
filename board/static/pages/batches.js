// Batches of coordinates: a file goes up, its progress shows, the workbook comes back.

import { ask } from "../api.js";
import { card, failed, loading } from "../card.js";
import { fill, h } from "../dom.js";
import { shown } from "../format.js";
import { list } from "../table.js";
import { t } from "../text.js";

const EVERY_MILLISECONDS = 2000;
const RESULTS = [".xlsx", ".csv", ".parquet", ".geojson"];

export function show(main, context) {
  context.title(t("batches"));
  main.append(h("h1", { tabIndex: -1 }, context.id ?? t("batches")), h("p.lead", {}, t("batches_hint")));
  return context.id ? progress(main, context) : start(main, context);
}

function start(main, context) {
  const upload = card(t("upload"), { name: "upload" });
  const known = card(t("open_batch"), { name: "open_batch" });
  const all = h("section.card.wide", { "aria-label": t("batches") });
  main.append(h("div.pairs", {}, upload.node, known.node), all);
  list(all, "batches", { label: t("batches"), range: "times" });
  const said = h("div", { role: "status" });
  const field = (label, control) => h("label.field", {}, h("span", {}, label), control);
  const text = (name) => h("input.input", { name, placeholder: t("optional") });
  const crs = h("input.input", { name: "crs", value: "auto", required: true, list: "systems" });
  crs.setAttribute("list", "systems");
  const file = h("input.input", { type: "file", name: "file", required: true, accept: ".csv,.tsv,.txt,.xlsx" });
  const form = h("form.stacked", { onsubmit: send },
    field(t("file"), file),
    field(t("crs"), crs), h("datalist", { id: "systems" }, ["auto", "EPSG:5174", "EPSG:5179", "EPSG:5186", "EPSG:4326", "KATEC", "WTM", "WCONGNAMUL"].map((each) => h("option", { value: each }))),
    field(t("x"), text("x")), field(t("y"), text("y")), field(t("sheet_by"), text("sheet_by")),
    h("button.button.strong", { type: "submit" }, t("upload")), said);
  fill(upload.body, form);
  const id = h("input.input", { name: "batch", required: true, "aria-label": t("batch") });
  fill(known.body, h("form.asked", { onsubmit: (event) => { event.preventDefault(); context.open(`/batches/${encodeURIComponent(id.value.trim())}`); } }, id, h("button.button", { type: "submit" }, t("open"))));

  async function send(event) {
    event.preventDefault();
    const asked = new URLSearchParams({ name: file.files[0].name });
    for (const name of ["crs", "x", "y", "sheet_by"]) if (form.elements[name].value.trim()) asked.set(name, form.elements[name].value.trim());
    fill(said, loading());
    try {
      const found = await ask(`/coordinates?${asked}`, { method: "POST", body: file.files[0] });
      context.open(`/batches/${found.batch_id}`);
    } catch (error) {
      const proposals = error.more?.proposals ?? [];
      fill(said, h("p.trouble", {}, error.message), proposals.length ? [h("p", {}, t("proposals")), h("ul", {}, proposals.map((each) => h("li", {}, h("button.button", { type: "button", onclick: () => { crs.value = each.crs; } }, `${t("use")} ${each.crs}`))))] : null);
    }
  }
}

function progress(main, context) {
  const { node, body } = card(t("batch"), { wide: true, name: "batch" });
  main.append(node);
  let timer = null;
  context.onLeave(() => clearTimeout(timer));
  const path = `/coordinates/${encodeURIComponent(context.id)}`;
  async function look() {
    try {
      const found = await ask(path);
      if (context.gone) return;
      const share = found.rows ? (found.done + found.failed) / found.rows : 1;
      const columns = [["rows", found.rows], ["done", found.done], ["waiting", found.waiting], ["failed_rows", found.failed], ["unseen", found.unseen]];
      fill(body,
        h("progress", { max: 1, value: share, "aria-label": t("done") }),
        h("dl.facts", {}, columns.map(([name, value]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, shown(value, "count")))), found.estimated_end && share < 1 ? h("div", {}, h("dt", {}, t("estimated_end")), h("dd", {}, shown(found.estimated_end, "time"))) : null),
        h("p", {}, t("download"), " ", RESULTS.map((ending) => h("a.button", { href: `${path}${ending}`, download: "", "data-plain": true }, ending.slice(1)))));
      if (share < 1) timer = setTimeout(look, EVERY_MILLISECONDS);
    } catch (error) {
      fill(body, error.status === 404 ? h("p.state", {}, t("not_a_batch", { id: context.id })) : failed(error, look));
    }
  }
  fill(body, loading());
  return look();
}
