// Numbers, money and times as people read them: the city's time zone, won with separators, tabular figures.

import { language, locale, t } from "./text.js";

let zone = "Asia/Seoul";
let names = { districts: new Map(), complexes: new Map() };

/** What the service says of the city, before anything is drawn. */
export function know(timeZone, places) {
  zone = timeZone;
  names = {
    districts: new Map(places.districts.map((each) => [each.code, each[language] ?? each.en])),
    complexes: new Map(places.complexes.map((each) => [each.complex_id, each.name])),
  };
}

export const regionName = (code) => names.districts.get(code) ?? code;
const lands = new Intl.DisplayNames([locale], { type: "region", fallback: "code" });
/** A country's name in the page's language, from its code of two letters. */
export const countryName = (code) => (/^[A-Z]{2}$/.test(code ?? "") ? lands.of(code) : (code ?? "–"));
export const complexName = (id) => names.complexes.get(id) ?? id;

const cache = new Map();
function formatter(kind, options) {
  const key = kind.name + JSON.stringify(options) + zone;
  if (!cache.has(key)) cache.set(key, new kind(locale, options));
  return cache.get(key);
}
const number = (value, options) => formatter(Intl.NumberFormat, options).format(value);
const compact = new Intl.NumberFormat(language === "ko" ? "ko-KR" : "en-US", { notation: "compact", maximumFractionDigits: 1 });
const time = (value, options) => formatter(Intl.DateTimeFormat, { timeZone: zone, hourCycle: "h23", ...options }).format(value);

/** Seconds since 1970 of a time or a day as the service writes it; a day is its noon in UTC, so that it stays that day. */
export function seconds(value) {
  return new Date(/^\d{4}-\d{2}-\d{2}$/.test(value) ? `${value}T12:00:00Z` : value).getTime() / 1000;
}

export function span(value) {
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
}

export function size(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${number(value, { maximumFractionDigits: at ? 1 : 0 })} ${units[at]}`;
}

const day = (value, options) => formatter(Intl.DateTimeFormat, { timeZone: "UTC", ...options }).format(new Date(`${value}T12:00:00Z`));

// How a value of each kind is written. A kind says what a number is; `KINDS` of columns are in columns.js.
const SHAPES = {
  text: (value) => String(value),
  id: (value) => String(value),
  kind: (value) => t(String(value)),
  count: (value) => number(value, { maximumFractionDigits: 0 }),
  number: (value) => number(value, { maximumFractionDigits: 1 }),
  won: (value) => (language === "ko" ? `${number(value, { maximumFractionDigits: 0 })}원` : `${value < 0 ? "−" : ""}₩${number(Math.abs(value), { maximumFractionDigits: 0 })}`),
  usd: (value) => `US$${number(value, { maximumFractionDigits: 0 })}`,
  country: countryName,
  word: (value) => t(String(value)),
  update: (value) => t(`update_${value}`),
  km: (value) => `${number(value, { maximumFractionDigits: 1 })} km`,
  metres: (value) => `${number(value, { maximumFractionDigits: 0 })} m`,
  amount: (value) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
  day_of: (value) => time(new Date(value), { month: "short", day: "numeric" }),
  kg: (value) => (Math.abs(value) >= 10000 ? `${number(value / 1000, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} t` : `${number(value, { maximumFractionDigits: value >= 100 ? 0 : 1 })} kg`),
  kwh: (value) => `${number(value, { maximumFractionDigits: 0 })} kWh`,
  m3: (value) => `${number(value, { maximumFractionDigits: 0 })} m³`,
  mcal: (value) => `${number(value, { maximumFractionDigits: 0 })} Mcal`,
  share: (value) => number(value, { style: "percent", maximumFractionDigits: 1 }),
  degrees: (value) => number(value, { minimumFractionDigits: 4, maximumFractionDigits: 4 }),
  region: regionName,
  complex: complexName,
  yes: (value) => (value ? "✓" : ""),
  bytes: size,
  clock: (value) => time(new Date(value), { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  moment: (value) => time(new Date(value), { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }),
  day_minute: (value) => time(new Date(value), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }),
  minute: (value) => time(new Date(value), { hour: "2-digit", minute: "2-digit" }),
  time: (value) => time(new Date(value), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  day: (value) => day(value, { year: "numeric", month: "short", day: "numeric" }),
  month: (value) => day(value, { year: "numeric", month: "short" }),
};

/** A value of a kind as text; null and undefined are a dash. */
export function shown(value, kind = "text") {
  return value === null || value === undefined ? "–" : (SHAPES[kind] ?? SHAPES.text)(value);
}

/** A number for an axis: short. */
export function short(value, kind) {
  if (kind === "kg") return shown(value, "kg");
  const text = Math.abs(value) < 10000 ? number(value, { maximumFractionDigits: 1 }) : compact.format(value);
  if (kind === "usd") return `US$${text}`;
  return kind === "won" ? (language === "ko" ? `${text}원` : `₩${text}`) : text;
}

/** A point of time on an axis. */
export function tick(value, kind) {
  const at = new Date(value * 1000);
  if (kind === "day") return time(at, { month: "short", day: "numeric", timeZone: "UTC" });
  if (kind === "month") return time(at, { year: "2-digit", month: "short", timeZone: "UTC" });
  return time(at, { hour: "2-digit", minute: "2-digit" });
}

export const timeZone = () => zone;
