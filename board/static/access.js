// What needs the token: it is entered once, and stands in no storage of the browser that a script reads.

import { ask } from "./api.js";
import { card, failed, loading } from "./card.js";
import { fill, h } from "./dom.js";
import { t } from "./text.js";

let known = false;
/** Whether this browser may act, as far as it was last heard. */
export const mayAct = () => known;

/** Where the token is entered; calls `then` when it was the right one. */
export function entry(then) {
  const said = h("p.trouble", { role: "alert" });
  const token = h("input.input", { type: "password", name: "token", required: true, autocomplete: "off", "aria-label": t("token") });
  async function enter(event) {
    event.preventDefault();
    fill(said);
    try {
      // A header takes no other letters, and a token has none.
      if (!/^[\x21-\x7e]+$/.test(token.value)) throw new Error(t("token_wrong"));
      await ask("/api/session", { method: "POST", headers: { authorization: `Bearer ${token.value}` } });
      then();
    } catch (error) {
      fill(said, error.status === 401 ? t("token_wrong") : error.message);
      token.select();
    }
  }
  return h("form.asked.entry", { onsubmit: enter }, h("label.field", {}, h("span", {}, t("token_hint")), token), h("button.button.strong", { type: "submit" }, t("unlock")), said);
}

/** A card of what changes something: `draw(body)` fills it once the token was entered. */
export function actions(title, draw) {
  const lock = h("button.button", { type: "button", hidden: true, onclick: async () => { await ask("/api/session", { method: "DELETE" }); show(); } }, t("lock"));
  const { node, body } = card(t(title), { name: title, tools: [lock] });
  async function show() {
    fill(body, loading());
    try {
      const session = await ask("/api/session");
      known = session.known;
      lock.hidden = !known;
      if (!session.actions) fill(body, h("p.note", {}, t("actions_off")));
      else fill(body, known ? draw() : entry(show));
    } catch (error) {
      fill(body, failed(error, show));
    }
  }
  show();
  return node;
}

/** Do something: what the service answered, as `told` puts it, or why not; buttons rest meanwhile. */
export async function act(said, path, content, told) {
  const buttons = [...(said.closest("form, dialog")?.querySelectorAll("button[type=submit], button.act") ?? [])];
  for (const button of buttons) button.disabled = true;
  fill(said, loading());
  try {
    fill(said, told(await ask(`/api/actions/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) })));
  } catch (error) {
    fill(said, h("p.trouble", {}, error.status === 401 ? t("token_over") : error.message));
  }
  for (const button of buttons) button.disabled = false;
}
