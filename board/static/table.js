// Tables: sorted, filtered, paged, given as CSV. Of rows that are here already, or of a list that the service pages.

import { ask } from "./api.js";
import { empty, failed, loading } from "./card.js";
import { isNumber, kindOf, linkOf } from "./columns.js";
import { fill, h } from "./dom.js";
import { shown } from "./format.js";
import { t } from "./text.js";

const PAGE = 25;
const LEADS = [..."ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"];

/** A text with the first consonant of each Korean syllable in its place, by which people look names up: 침산 is ㅊㅅ. */
const leads = (text) => text.replace(/[가-힣]/g, (syllable) => LEADS[Math.floor((syllable.codePointAt(0) - 0xac00) / 588)]);

function cell(column, row) {
  const link = linkOf(column, row[column], row);
  const text = shown(row[column], kindOf(column));
  const inner = link ? h("a", { href: link }, text) : text;
  return h(isNumber(column) ? "td.right" : "td", { "data-kind": kindOf(column) }, h("bdi", {}, inner));
}

function heads(columns, sort, descending, by) {
  return h("tr", {}, columns.map((column) => {
    const active = column === sort;
    return h(
      isNumber(column) ? "th.right" : "th",
      { scope: "col", "aria-sort": active ? (descending ? "descending" : "ascending") : "none" },
      h("button", { type: "button", title: t("sort_by", { column: t(column) }), onclick: () => by(column) }, t(column), h("span.arrow", { "aria-hidden": "true" }, active ? (descending ? "↓" : "↑") : "")),
    );
  }));
}

function pager(from, count, all, more, go) {
  const told = all === null ? t("rows_some", { from: count ? from + 1 : 0, to: from + count }) : t("rows_shown", { from: count ? from + 1 : 0, to: from + count, all });
  return h("nav.pager", { "aria-label": told },
    h("span", {}, told),
    h("button.button", { type: "button", disabled: from === 0, onclick: () => go(Math.max(0, from - PAGE)) }, t("previous")),
    h("button.button", { type: "button", disabled: !more, onclick: () => go(from + PAGE) }, t("next")));
}

/** A table of rows that are here; returns `draw(rows)`. `csv` is where the service gives the same as a file. */
export function table(node, { columns = null, label, sort = null, descending = true, csv = null, search = false, open = null }) {
  let rows = [];
  let from = 0;
  let by = sort;
  let down = descending;
  let wanted = "";
  const scroll = h("div.scroll", { tabindex: 0, role: "group", "aria-label": label });
  const foot = h("div.foot");
  const find = search ? h("input.input", { type: "search", placeholder: t("search"), "aria-label": `${t("search")}: ${label}`, oninput: () => { wanted = find.value.trim().toLowerCase(); from = 0; show(); } }) : null;
  fill(node, find && h("div.find", {}, find), scroll, foot);

  function show() {
    const names = columns ?? Object.keys(rows[0] ?? {});
    const text = (row) => names.map((name) => `${shown(row[name], kindOf(name))} ${row[name]}`).join(" ").toLowerCase();
    const asked = /[ㄱ-ㅎ]/.test(wanted) ? (row) => leads(text(row)) : text;
    const found = wanted ? rows.filter((row) => asked(row).includes(wanted)) : [...rows];
    if (by) {
      const compare = (one, other) => (typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other)));
      found.sort((one, other) => {
        if (one[by] === null || other[by] === null) return (one[by] === null) - (other[by] === null);
        return (down ? -1 : 1) * compare(one[by], other[by]);
      });
    }
    const page = found.slice(from, from + PAGE);
    fill(scroll, h("table", {}, h("thead", {}, heads(names, by, down, (name) => { [by, down] = [name, by === name ? !down : isNumber(name)]; from = 0; show(); })),
      h("tbody", {}, page.length ? page.map((row) => h(open ? "tr.open" : "tr", open ? { onclick: (event) => event.target.closest("a, button") || open(row) } : {}, names.map((name) => cell(name, row)))) : h("tr", {}, h("td.none", { colSpan: names.length }, t("no_match"))))));
    fill(foot, csv && rows.length ? h("a.button", { href: csv(), download: "" }, t("csv")) : null, found.length > PAGE ? pager(from, page.length, found.length, from + PAGE < found.length, (next) => { from = next; show(); }) : null);
  }

  return (next) => {
    rows = next;
    show();
  };
}

/** A list that the service sorts, filters and pages; what is asked for stands in the page's address.
 * `range` of "times" or "days" asks from when to when. */
export function list(node, name, { label, filters = {}, range = null }) {
  const state = new URLSearchParams(location.search);
  const scroll = h("div.scroll", { tabindex: 0, role: "group", "aria-label": label });
  const foot = h("div.foot");
  const input = (key, properties) => h("input.input", { name: key, value: state.get(key) ?? "", ...properties });
  const field = (text, control) => h("label.field", {}, h("span", {}, text), control);
  const select = (key, options) => h("select.input", { name: key }, h("option", { value: "" }, t("all")), options.map(([value, text]) => h("option", { value, selected: state.get(key) === value }, text)));
  const form = h("form.asked", { onsubmit: (event) => { event.preventDefault(); change(); } },
    field(t("search"), input("q", { type: "search", maxlength: 200 })),
    Object.entries(filters).map(([key, options]) => field(t(key), select(key, options))),
    range && ["from", "to"].map((key) => field(t(key), input(key, range === "days" ? { type: "date" } : { type: "datetime-local", step: 1 }))),
    h("button.button.strong", { type: "submit" }, t("apply")));
  fill(node, form, scroll, foot);

  function address(path, more = {}) {
    const asked = new URLSearchParams();
    for (const [key, value] of [...state, ...Object.entries(more)]) if (value !== "" && key !== "lang") asked.set(key, range === "times" && ["from", "to"].includes(key) ? new Date(value).toISOString() : value);
    return `${path}?${asked}`;
  }

  function change() {
    for (const [key, value] of new FormData(form)) value ? state.set(key, value) : state.delete(key);
    state.delete("offset");
    load();
  }

  async function load() {
    history.replaceState(null, "", state.size ? `?${state}` : location.pathname);
    if (!scroll.querySelector("table")) fill(scroll, loading());
    scroll.setAttribute("aria-busy", "true");
    try {
      const found = await ask(address(`/api/lists/${name}`, { size: PAGE }));
      const down = state.get("descending") !== "false";
      const sort = (column) => {
        state.set("descending", String(column === found.sort ? !down : isNumber(column)));
        state.set("sort", column);
        state.delete("offset");
        load();
      };
      const from = Number(state.get("offset") ?? 0);
      if (found.rows.length) fill(scroll, h("table", {}, h("thead", {}, heads(found.columns, found.sort, down, sort)), h("tbody", {}, found.rows.map((row) => h("tr", {}, found.columns.map((column) => cell(column, row)))))));
      else fill(scroll, empty(t("no_match")));
      fill(foot, h("a.button", { href: address(`/api/lists/${name}.csv`), download: "" }, t("csv")), h("span.note", {}, t("data_as_of", { time: shown(found.at, "clock") })), pager(from, found.rows.length, null, found.more, (next) => { state.set("offset", String(next)); load(); }));
    } catch (error) {
      fill(scroll, failed(error, load));
      fill(foot);
    }
    scroll.removeAttribute("aria-busy");
  }

  load();
}
