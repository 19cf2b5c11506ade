// What the pages say, in both languages. A test holds their keys against each other.

import { en } from "./text.en.js";
import { ko } from "./text.ko.js";

const DICTIONARIES = { en, ko };
const asked = new URLSearchParams(location.search).get("lang");
export const language =
  [asked, localStorage.getItem("language"), navigator.language.slice(0, 2)].find((each) => each in DICTIONARIES) ?? "en";
export const locale = language === "ko" ? "ko-KR" : "en-GB";

/** The text of a key, with `{name}` replaced; what is no key is shown as it is. */
export function t(key, values = {}) {
  // A key may come from a record: what every object has is no text.
  const text = Object.hasOwn(DICTIONARIES[language], key) ? DICTIONARIES[language][key] : key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Use another language from now on: everything is drawn anew. */
export function speak(other) {
  localStorage.setItem("language", other);
  const address = new URL(location.href);
  address.searchParams.delete("lang");
  location.assign(address);
}
