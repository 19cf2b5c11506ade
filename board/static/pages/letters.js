// Dead letters: the newest records that could not be used, with reason, place and bytes.

import { ask } from "../api.js";
import { card, failed, loading } from "../card.js";
import { bars } from "../bars.js";
import { fill, h } from "../dom.js";
import { shown } from "../format.js";
import { table } from "../table.js";
import { t } from "../text.js";

export async function show(main, context) {
  context.title(t("letters"));
  const reasons = card(t("reason"), { name: "reasons" });
  const held = card(t("topic"), { name: "topics" });
  const at = h("span.note");
  const all = card(t("letters"), { wide: true, name: "letters", tools: [at, h("button.button", { type: "button", onclick: load }, t("reload"))] });
  const raw = h("dialog.raw", { "aria-label": t("raw"), onclick: (event) => event.target === raw && raw.close() });
  main.append(h("h1", { tabIndex: -1 }, t("letters")), h("p.lead", {}, t("letters_hint")), h("div.pairs", {}, reasons.node, held.node, all.node), raw);

  function open(row) {
    fill(raw,
      h("header", {}, h("h2", {}, row.reason), h("button.button", { type: "button", onclick: () => raw.close() }, "✕")),
      h("p", {}, h("bdi", {}, row.detail ?? "")),
      h("dl.facts", {}, ["topic", "partition", "offset", "seen_at", "bytes"].map((name) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, name === "seen_at" && row[name] ? shown(row[name], "time") : String(row[name] ?? "–"))))),
      h("pre", { tabIndex: 0 }, h("bdi", {}, row.raw)));
    raw.showModal();
  }

  async function load() {
    for (const each of [all, reasons, held]) fill(each.body, loading());
    const topic = context.params.get("topic");
    try {
      const found = await ask(`/api/dead-letters?size=300${topic ? `&topic=${encodeURIComponent(topic)}` : ""}`);
      if (context.gone) return;
      fill(at, t("data_as_of", { time: shown(found.at, "clock") }));
      const names = Object.entries(found.topics).map(([name, count]) => ({ name, count })).sort((one, other) => other.count - one.count);
      bars(held.body, { name: (row) => row.name.replace(".dead-letters", ""), value: (row) => row.count, kind: "count", link: (row) => `/letters?topic=${encodeURIComponent(row.name)}` })(names);
      if (topic) held.body.append(h("p", {}, h("a", { href: "/letters" }, t("all_topics"))));
      const counts = new Map();
      for (const row of found.rows) counts.set(row.reason, (counts.get(row.reason) ?? 0) + 1);
      const none = h("p.note", {}, t("no_letters"));
      if (!found.rows.length) return void [fill(all.body, none), fill(reasons.body, none.cloneNode(true))];
      bars(reasons.body, { name: (row) => row[0], value: (row) => row[1], kind: "count", colour: "sand" })([...counts].sort((one, other) => other[1] - one[1]));
      const rows = found.rows.map((row) => ({ ...row, detail: row.detail?.slice(0, 160), raw: row.raw.slice(0, 120), whole: row }));
      table(all.body, { columns: ["seen_at", "reason", "detail", "topic", "partition", "offset", "raw"], label: t("letters"), sort: "seen_at", search: true, open: (row) => open(row.whole) })(rows);
    } catch (error) {
      fill(all.body, failed(error, load));
      fill(reasons.body);
      fill(held.body);
    }
  }
  await load();
}
