// Dead letters: the newest records that could not be used, with reason, place and bytes.

import { act, actions, mayAct } from "../access.js";
import { ask } from "../api.js";
import { card, failed, loading } from "../card.js";
import { bars } from "../bars.js";
import { fill, h } from "../dom.js";
import { shown } from "../format.js";
import { table } from "../table.js";
import { t } from "../text.js";

const told = ({ dry_run: dry, sent, before }) => [
  h("p", {}, t(dry ? "would_go" : "went", { count: shown(Object.values(sent).reduce((sum, each) => sum + each, 0), "count") }), before ? ` ${t("went_before", { count: shown(before, "count") })}` : ""),
  h("ul", {}, Object.entries(sent).map(([reason, count]) => h("li", {}, h("bdi", {}, reason), `: ${shown(count, "count")}`))),
];

/** A card from which letters go back: they are counted first, and go when that is confirmed. */
function redrive(chosen) {
  const topics = h("select.input", { name: "topic", required: true });
  const reasons = h("datalist", { id: "reasons" });
  const reason = h("input.input", { name: "reason", placeholder: t("all"), list: "reasons" });
  const offset = (name) => h("input.input", { type: "number", min: 0, step: 1, name, placeholder: t("optional") });
  const said = h("div", { role: "status" });
  const go = h("button.button.strong.act", { type: "button", hidden: true, onclick: () => send(false) }, t("send_back"));
  const field = (label, control) => h("label.field", {}, h("span", {}, t(label)), control);
  const form = h("form.asked", { oninput: () => { go.hidden = true; fill(said); }, onsubmit: (event) => { event.preventDefault(); send(true); } },
    field("topic", topics), field("reason", reason), reasons, field("first_offset", offset("first")), field("last_offset", offset("last")),
    h("button.button", { type: "submit" }, t("count_letters")), go, said);

  async function send(dry) {
    const asked = { topic: topics.value, dry_run: dry };
    if (reason.value.trim()) asked.reasons = [reason.value.trim()];
    for (const name of ["first", "last"]) if (form.elements[name].value) asked[name] = Number(form.elements[name].value);
    await act(said, "redrive", asked, (done) => {
      go.hidden = !dry || !Object.keys(done.sent).length;
      return told(done);
    });
  }
  return {
    node: actions("redrive", () => [h("p.note", {}, t("redrive_hint")), form]),
    know({ topics: held, rows }) {
      const before = topics.value || chosen;
      fill(topics, Object.keys(held).map((name) => h("option", { value: name, selected: name === before }, name)));
      fill(reasons, [...new Set(rows.map((row) => row.reason))].map((each) => h("option", { value: each })));
    },
  };
}

/** One letter, from where its record is shown. */
function one(row) {
  const said = h("div", { role: "status" });
  const send = () => act(said, "redrive", { topic: row.letters, reasons: [row.reason], first: row.letter_offset, last: row.letter_offset }, told);
  return h("div", {}, h("button.button.act", { type: "button", onclick: send }, t("send_back")), said);
}

export async function show(main, context) {
  context.title(t("letters"));
  const reasons = card(t("reason"), { name: "reasons" });
  const held = card(t("topic"), { name: "topics" });
  const at = h("span.note");
  const all = card(t("letters"), { wide: true, name: "letters", tools: [at, h("button.button", { type: "button", onclick: load }, t("reload"))] });
  const sendBack = redrive(context.params.get("topic"));
  const raw = h("dialog.raw", { "aria-label": t("raw"), onclick: (event) => event.target === raw && raw.close() });
  main.append(h("h1", { tabIndex: -1 }, t("letters")), h("p.lead", {}, t("letters_hint")), h("div.pairs", {}, reasons.node, held.node, sendBack.node, all.node), raw);

  function open(row) {
    fill(raw,
      h("header", {}, h("h2", {}, row.reason), h("button.button", { type: "button", onclick: () => raw.close() }, "✕")),
      h("p", {}, h("bdi", {}, row.detail ?? "")),
      h("dl.facts", {}, ["topic", "partition", "offset", "seen_at", "bytes"].map((name) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, name === "seen_at" && row[name] ? shown(row[name], "time") : String(row[name] ?? "–"))))),
      mayAct() && one(row),
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
      sendBack.know(found);
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
