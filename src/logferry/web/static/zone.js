// The one place where scripts write times: in the zone that the page was made for. Times are milliseconds since 1970.

const PARTS = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const formats = new Map();

/** The zone of this page: a name such as Europe/Berlin. */
export const ZONE = document.documentElement.dataset.zone || "UTC";

function format(zone, options) {
  const key = `${zone} ${options.timeZoneName ?? ""}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-US", { ...options, timeZone: zone }));
  return formats.get(key);
}

/** {year, month, day, hour, minute, second} as two (or four) digits each, and `ms`, in a zone. */
export function parts(ms, zone = ZONE) {
  const found = { ms: String(((ms % 1000) + 1000) % 1000).padStart(3, "0") };
  for (const { type, value } of format(zone, PARTS).formatToParts(ms)) found[type] = value;
  return found;
}

/** "08:14:01" */
export function clock(ms, zone = ZONE) {
  const at = parts(ms, zone);
  return `${at.hour}:${at.minute}:${at.second}`;
}

/** "2026-11-23 08:14:01.882": what a line's time is. */
export function exact(ms, zone = ZONE) {
  const at = parts(ms, zone);
  return `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}:${at.second}.${at.ms}`;
}

/** "2026-11-23 09:14:01 CET · 2026-11-23 08:14:01 UTC" */
export function both(ms) {
  const told = (zone) => `${exact(ms, zone).slice(0, -4)} ${abbreviation(ms, zone)}`;
  return ZONE === "UTC" ? told("UTC") : `${told(ZONE)} · ${told("UTC")}`;
}

/** "CET", "UTC", "GMT+5:30". */
export function abbreviation(ms, zone = ZONE) {
  if (zone === "UTC") return "UTC";
  return format(zone, { timeZoneName: "short" }).formatToParts(ms).find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** "Nov 23", "Nov 23 08:00", "Nov 23 08:14:01" or "Nov 23 2026": as short as a bar of `step` seconds needs it. */
export function short(ms, step, zone = ZONE) {
  const at = parts(ms, zone);
  const day = `${MONTHS[Number(at.month) - 1]} ${Number(at.day)}`;
  const time = `${at.hour}:${at.minute}`;
  if (step >= 86400) return time === "00:00" ? `${day} ${at.year}` : `${day} ${at.year} ${time}`;
  return step >= 60 ? `${day} ${time}` : `${day} ${time}:${at.second}`;
}

/** The browser's own zone; "" where it does not tell. */
export function browserZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
