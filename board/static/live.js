// What all pages see live: one stream of events, the newest rows of each section, and how fresh they are.

import { ask } from "./api.js";
import { seconds } from "./format.js";

// Nothing heard for so long: the page says so.
const STALE_SECONDS = 12;
const AGAIN_MILLISECONDS = 3000;

const rows = new Map();
const servers = new Map();
const watchers = new Map();
const listeners = new Set();
let connected = false;
let heard = null;
let source = null;
let sections = {};

/** The rows of a section; undefined before anything came, null where its table is not there. */
export const section = (name) => rows.get(name);

/** Call `watch(rows, fresh)` now and at each change of a section, until the function that this returns is called. */
export function watch(name, watcher) {
  if (!watchers.has(name)) watchers.set(name, new Set());
  watchers.get(name).add(watcher);
  const away = Object.keys(sections).find((server) => sections[server].includes(name) && servers.get(server)?.trouble);
  if (rows.has(name) || away) watcher(rows.get(name), []);
  return () => watchers.get(name).delete(watcher);
}

/** Call `listen(status)` at each change of how fresh everything is; and once a second, for what goes stale. */
export function listen(listener) {
  listeners.add(listener);
  listener(status());
}

export function status() {
  const troubles = [...servers].filter(([, server]) => server.trouble).map(([name, server]) => ({ name, ...server }));
  const quiet = heard === null ? 0 : Date.now() / 1000 - heard;
  const at = servers.get("postgres")?.at ?? null;
  const state = !connected ? (heard === null ? "connecting" : "away") : quiet > STALE_SECONDS || troubles.length ? "stale" : "live";
  return { state, troubles, at };
}

function take(content) {
  for (const [name, change] of Object.entries(content.sections)) {
    const before = rows.get(name);
    let fresh = change.rows ?? [];
    if (change.key && change.merge && before) {
      const known = new Map(before.map((row) => [row[change.key], row]));
      fresh = change.rows.filter((row) => !known.has(row[change.key]));
      for (const row of change.rows) known.set(row[change.key], row);
      const order = (row) => seconds(row[change.order]);
      rows.set(name, [...known.values()].sort((one, other) => order(one) - order(other)).slice(-change.keep));
    } else {
      rows.set(name, change.rows);
    }
    for (const watcher of watchers.get(name) ?? []) watcher(rows.get(name), fresh);
  }
  for (const [name, server] of Object.entries(content.servers)) {
    servers.set(name, server);
    // What was never read because its server is away is not loading.
    if (server.trouble) for (const each of sections[name] ?? []) if (!rows.has(each)) for (const watcher of watchers.get(each) ?? []) watcher(undefined, []);
  }
}

function tell() {
  const now = status();
  for (const listener of listeners) listener(now);
}

/** Look on; `read` are the names of the sections of each server. */
export function connect(read = sections) {
  sections = read;
  source = new EventSource("/api/live");
  const receive = (event) => {
    connected = true;
    heard = Date.now() / 1000;
    take(JSON.parse(event.data));
    tell();
  };
  source.addEventListener("snapshot", receive);
  source.addEventListener("change", receive);
  source.addEventListener("error", () => {
    connected = false;
    tell();
    // The browser tries again by itself, unless what answered was no stream; it does not say whether the token is wanted.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => connect(), AGAIN_MILLISECONDS);
    ask("/api/board").catch(() => {});
  });
}

setInterval(tell, 1000);
