// Operations: jobs and how well they run, from Flink; documents, calls of public APIs.

import { act, actions } from "../access.js";
import { bars } from "../bars.js";
import { card, none, states } from "../card.js";
import { chart } from "../chart.js";
import { fill, h, say } from "../dom.js";
import { seconds, shown, size, span } from "../format.js";
import { table } from "../table.js";
import { t } from "../text.js";

const COLOURS = ["accent", "leaf-3", "plum-3", "sand", "blue-4"];

export function show(main, context) {
  context.title(t("operations"));
  const grid = h("div.pairs");
  main.append(h("h1", { tabIndex: -1 }, t("operations")), grid);
  grid.append(jobs(context), alerts(context), curves(context, "throughput", "rate"), curves(context, "lag_curve", "lag"), cluster(context), scaling(context), documents(context), quotas(context));
}

/** Another parallelism for a job that runs. */
function scaling(context) {
  const job = h("select.input", { name: "job", required: true });
  const parallelism = h("input.input", { type: "number", name: "parallelism", min: 1, step: 1, required: true });
  const said = h("div", { role: "status" });
  const of = new Map();
  const now = () => { parallelism.value = of.get(job.value) ?? ""; };
  job.addEventListener("change", now);
  context.watch("jobs", (rows) => {
    of.clear();
    for (const row of rows ?? []) if (row.state === "RUNNING") of.set(row.job, row.parallelism);
    if ([...job.options].map((option) => option.value).join() === [...of.keys()].join()) return;
    const chosen = job.value;
    fill(job, [...of.keys()].map((name) => h("option", { value: name, selected: name === chosen }, name)));
    if (job.value !== chosen) now();
  });
  const rescale = (event) => {
    event.preventDefault();
    act(said, "scale", { job: job.value, parallelism: Number(parallelism.value) }, (done) => h("p", {}, t("scaled", done)));
  };
  const field = (name, control) => h("label.field", {}, h("span", {}, t(name)), control);
  return actions("scaling", () => [
    h("p.note", {}, t("scaling_hint")),
    h("form.asked", { onsubmit: rescale }, field("job", job), field("parallelism", parallelism), h("button.button.strong", { type: "submit" }, t("rescale")), said),
  ]);
}

function meter(share, name) {
  if (share === null || share === undefined) return "–";
  const level = share > 0.9 ? "high" : share > 0.6 ? "middle" : "low";
  return h(`span.meter.${level}`, { title: name }, h("span.track", { "aria-hidden": "true" }, h("span.fill", { style: { width: `${share * 100}%` } })), h("span", {}, shown(share, "share")));
}

function jobs(context) {
  const { node, body } = card(t("jobs"), { wide: true, name: "jobs" });
  node.classList.add("first");
  const draw = states(body, (rows) => {
    const fact = (name, ...value) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, ...value));
    const number = (value, kind = "count") => shown(value, kind);
    fill(body, h("div.jobs", {}, rows.map((job) => h("article.job", { "data-state": job.state ?? "none", "data-wanted": String(job.wanted) },
      h("h3", {}, h("i.dot", { "aria-hidden": "true" }), job.job, h("span.state", {}, job.state ? t(job.state) : t("not_submitted"))),
      job.state && h("dl", {},
        fact("rate", job.rate === null ? "–" : t("per_second", { count: number(job.rate) })),
        fact("lag", job.lag === null ? "–" : t("records", { count: number(job.lag) })),
        fact("checkpoint_age", job.checkpoint_age === null ? "–" : t("ago", { span: span(job.checkpoint_age) })),
        fact("checkpoint_seconds", job.checkpoint_seconds === null ? "–" : `${number(job.checkpoint_seconds, "number")} s`),
        fact("checkpoint_bytes", job.checkpoint_bytes === null ? "–" : size(job.checkpoint_bytes)),
        fact("checkpoints", number(job.checkpoints), job.failed_checkpoints ? ` (${t("failed_checkpoints", { count: number(job.failed_checkpoints) })})` : ""),
        fact("busy", meter(job.busy, t("busy"))),
        fact("backpressured", meter(job.backpressured, t("backpressured"))),
        fact("parallelism", number(job.parallelism)),
        fact("restarts", number(job.restarts)),
        fact("dead_letters", h("a", { href: "/letters" }, number(job.dead_letters))),
        job.staged !== null && fact("staged", number(job.staged)),
        job.since && fact("since", shown(job.since * 1000, "time"))),
      job.failure && h("p.trouble", {}, h("strong", {}, `${t("failure")}: `), job.failure),
      job.others?.length ? h("p.trouble", {}, t("job_others", { ids: job.others.join(", ") })) : null))));
  });
  context.watch("jobs", draw);
  return node;
}

/** What Prometheus raises an alert about, where one runs. */
function alerts(context) {
  const { node, body } = card(t("alerts"), { wide: true, name: "alerts" });
  node.classList.add("first");
  context.watch("alerts", (rows) => {
    if (!rows) return fill(body, rows === null ? h("p.note", {}, t("no_prometheus")) : none(rows));
    fill(body, rows.length
      ? h("ul.alerts", {}, rows.map((row) => h(`li.${row.firing ? "firing" : "waiting"}`, {},
        h("strong", {}, row.alert), h("span", {}, t(row.firing ? "firing" : "pending"), " ", t("since_time", { time: shown(row.at, "time") })), h("p", {}, row.summary), h("p.note", {}, row.description))))
      : h("p.note", {}, t("no_alerts")));
  });
  return node;
}

/** Each job's curve of a figure, with a column per job. */
function curves(context, title, column) {
  const { node, body } = card(t(title), { note: t("history_hint"), name: title });
  const note = node.querySelector(".note");
  let hour = [];
  let looks = null;
  let drawing = null;
  let drawn = "";
  const draw = states(body, (points) => {
    const names = [...new Set(points.map((point) => point.job))];
    const rows = new Map();
    for (const point of points) rows.set(point.at, { ...(rows.get(point.at) ?? { at: point.at }), [point.job]: point[column] });
    if (drawn !== names.join()) {
      drawing?.remove();
      drawn = names.join();
      drawing = chart(body, { x: "at", label: t(title), series: names.map((name, at) => ({ column: name, kind: "count", colour: COLOURS[at % COLOURS.length], type: "line" })) });
    }
    drawing.draw([...rows.values()]);
  });
  // Prometheus knows the last hour, where one runs; what came since is from looks.
  const both = () => {
    const until = hour.length ? seconds(hour.at(-1).at) : 0;
    const all = looks && [...hour, ...looks.filter((point) => seconds(point.at) > until)];
    draw(all?.filter((point) => point[column] !== null));
  };
  context.watch("job_hour", (rows) => {
    hour = rows ?? [];
    say(note, hour.length ? "" : t("history_hint"));
    if (looks) both();
  });
  context.watch("job_history", (rows) => {
    looks = rows;
    both();
  });
  context.onLeave(() => drawing?.remove());
  return node;
}

function cluster(context) {
  const { node, body } = card(t("cluster"), { name: "cluster" });
  context.watch("cluster", states(body, ([row]) => fill(body, h("dl.facts", {}, ["task_managers", "slots", "free_slots"].map((name) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, shown(row[name], "count"))))))));
  return node;
}

function documents(context) {
  const { node, body } = card(t("documents"), { name: "documents" });
  let list = null;
  const draw = states(body, (rows) => (list ??= bars(body, { name: (row) => row.index, more: (row) => row.stream, value: (row) => row.documents, kind: "count" }))(rows));
  context.watch("documents", (rows) => {
    if (!rows?.length) list = null;
    draw(rows);
  });
  return node;
}

function quotas(context) {
  const { node, body } = card(t("api_quotas"), { name: "api_quotas", wide: true });
  let list = null;
  context.watch("api_quotas", (rows) => {
    if (rows && !rows.length) {
      list = null;
      return fill(body, h("p.note", {}, t("no_quotas")));
    }
    if (!rows) return fill(body, none(rows));
    list ??= table(body, { columns: ["operation", "period", "calls", "holders", "ends"], label: t("api_quotas"), sort: "ends" });
    list(rows);
  });
  return node;
}
