// The frame of all pages: what stands above and below them, how fresh the data is, and which page an address means.

import { entry } from "./access.js";
import { ask } from "./api.js";
import { failed, loading } from "./card.js";
import { fill, h, say } from "./dom.js";
import { know, shown } from "./format.js";
import * as live from "./live.js";
import { language, speak, t } from "./text.js";

const SERVERS = { postgres: "PostgreSQL", flink: "Flink", elasticsearch: "Elasticsearch", prometheus: "Prometheus" };
const dark = document.getElementById("dark");
const main = document.getElementById("main");
const top = document.getElementById("top");
const banner = document.getElementById("banner");

let pages = ["/", "/regions", "/complexes"];
const known = { board: null, places: null, streams: {}, geo: null };
let leave = () => {};

const named = (page) => (page === "/" ? "overview" : page.slice(1));
const label = (page) => t(["/orders", "/shows", "/events", "/countries"].includes(page) ? `${named(page)}_page` : named(page));

// Light or dark: as the system has it, until somebody chooses.
function theme(chosen) {
  if (chosen) localStorage.setItem("theme", chosen);
  const wanted = chosen ?? localStorage.getItem("theme");
  if (wanted) dark.media = wanted === "dark" ? "all" : "not all";
  dispatchEvent(new Event("theme"));
}
const isDark = () => matchMedia(dark.media).matches;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme());
// What was drawn before its colours had come is drawn anew.
dark.addEventListener("load", () => theme());

function frame() {
  document.documentElement.lang = language;
  say(document.querySelector(".skip"), t("skip"));
  const state = h("span.state");
  const at = h("span.at");
  fill(
    top,
    h("a.brand", { href: "/", "aria-label": "Citystream" }, h("img", { src: "/static/icon.svg", alt: "", width: 26, height: 26 }), h("span", {}, "Citystream")),
    h("nav", { "aria-label": t("pages") }, pages.map((page) => h("a", { href: page, "data-page": page }, label(page)))),
    h("div.tools", {},
      h("span.fresh", {}, h("i.dot", { "aria-hidden": "true" }), state, at),
      h("button.quiet", { type: "button", title: t("theme"), "aria-label": t("theme"), onclick: () => theme(isDark() ? "light" : "dark") }, "◐"),
      h("button.quiet", { type: "button", lang: language === "ko" ? "en" : "ko", title: t("language_hint"), onclick: () => speak(language === "ko" ? "en" : "ko") }, t("language"))),
  );
  fill(document.getElementById("bottom"), h("span", {}, "Citystream"), h("a", { href: "/docs", "data-plain": true }, t("interface")), Object.entries(known.board?.links ?? {}).map(([name, href]) => h("a", { href, rel: "noreferrer" }, t(name))));
  live.listen((now) => {
    top.querySelector(".fresh").dataset.state = now.state;
    say(state, t(now.state));
    say(at, now.at ? t("as_of", { time: shown(now.at, "clock") }) : "");
    warn(now);
  });
}

let warned = "";
function warn({ state, troubles, at }) {
  const lines = state === "away" ? [[t("service_away", { time: at ? shown(at, "clock") : t("never") })]] : troubles.map(({ name, at: when, trouble }) => [when ? t("server_away", { server: SERVERS[name], time: shown(when, "clock") }) : t("server_never", { server: SERVERS[name] }), trouble]);
  const text = JSON.stringify(lines);
  if (text === warned) return;
  warned = text;
  fill(banner, lines.map(([line, why]) => h("p", {}, h("strong", {}, line), why && h("span", {}, ` ${why}`))));
}

function understand(address) {
  const [, first, ...rest] = address.pathname.split("/");
  return { page: `/${first ?? ""}`, id: rest.length ? decodeURIComponent(rest.join("/")) : null };
}

async function open(address, { focus = true } = {}) {
  leave();
  leave = () => {};
  const { page, id } = understand(address);
  for (const link of top.querySelectorAll("nav a")) link.dataset.page === page ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  // Where the row is longer than a phone is wide, the page that is open is in it.
  const here = top.querySelector("nav [aria-current]");
  if (here) here.parentNode.scrollLeft = here.offsetLeft - (here.parentNode.clientWidth - here.offsetWidth) / 2;
  const stopped = [];
  let gone = false;
  leave = () => {
    gone = true;
    stopped.forEach((stop) => stop());
  };
  const context = {
    ...known, id, title, open: go,
    params: address.searchParams,
    watch: (name, watcher) => stopped.push(live.watch(name, watcher)),
    onLeave: (stop) => (gone ? stop() : stopped.push(stop)),
    get gone() { return gone; },
  };
  function title(text) {
    document.title = text === t("overview") ? "Citystream" : `${text} · Citystream`;
  }
  title(label(page));
  fill(main, loading());
  if (!pages.includes(page) || (page === "/" && id)) {
    fill(main, h("h1", { tabIndex: -1 }, t("no_page")), h("p", {}, t("no_page_hint")), h("p", {}, h("a", { href: "/" }, t("home"))));
  } else {
    try {
      const module = await import(`./pages/${named(page)}.js`);
      if (gone) return;
      main.dataset.page = named(page);
      fill(main);
      const drawn = module.show(main, context);
      // The heading is there before what is asked for: a reader hears at once where it is.
      if (focus) attend();
      await drawn;
      return;
    } catch (error) {
      console.warn(error);
      if (!gone && error.status !== 401) fill(main, failed(error, () => open(address)));
    }
  }
  if (focus) attend();
}

function attend() {
  scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

function go(path) {
  history.pushState(null, "", path);
  open(new URL(location.href));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hasAttribute("download") || link.dataset.plain || link.hash || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("locked", () => {
  leave();
  fill(main, h("h1", { tabIndex: -1 }, t("closed")), h("p.lead", {}, t("closed_hint")), entry(() => location.reload()));
});
addEventListener("popstate", () => open(new URL(location.href)));

async function start() {
  theme();
  frame();
  fill(main, loading());
  try {
    [known.board, known.places, known.geo] = await Promise.all([ask("/api/board"), ask("/api/places"), ask("/api/boundaries")]);
    for (const name of known.board.streams) known.streams[name] = await import(`./streams/${name}.js`);
  } catch (error) {
    if (error.status !== 401) fill(main, failed(error, start));
    return;
  }
  know(known.board.time_zone, known.places);
  pages = ["/", "/regions", "/complexes", ...known.board.pages, "/operations", "/letters"];
  frame();
  live.connect(known.board.sections);
  await open(new URL(location.href), { focus: false });
}

start();
