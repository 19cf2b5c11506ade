// Asking the service. An error is a sentence that it said, or that it did not answer.

import { t } from "./text.js";

export class Refused extends Error {
  constructor(status, detail, more = {}) {
    super(detail);
    this.status = status;
    this.more = more;
  }
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, t("failed"));
  }
  const content = await answer.json().catch(() => null);
  // Reading is closed, and the session over: app.js asks for the token.
  if (answer.status === 401 && !options.method) dispatchEvent(new Event("locked"));
  if (!answer.ok) throw new Refused(answer.status, content?.detail ?? t("failed"), content ?? {});
  return content;
}
