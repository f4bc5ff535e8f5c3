// The level a line shows near its start: "E", "W" or "". A letter for the gutter, never a filter. Pure.

const HEAD_CHARS = 160;
const WORDS = /\b(EMERG|ALERT|FATAL|CRITICAL|CRIT|PANIC|SEVERE|ERROR|ERR|WARNING|WARN)\b/;
const FIELDS = /(?:\blevel=|"(?:level|severity|lvl)"\s*:\s*)"?(emerg|alert|fatal|critical|crit|panic|error|err|warning|warn)\b/i;
const BRACKETS = /[[<](?:[a-z_]+:)?(emerg|alert|fatal|critical|crit|panic|error|err|warning|warn)[\]>]/;

/** "E" for error and worse, "W" for a warning, "" for the rest. */
export function level(text) {
  const head = text.length > HEAD_CHARS ? text.slice(0, HEAD_CHARS) : text;
  const found = WORDS.exec(head) ?? FIELDS.exec(head) ?? BRACKETS.exec(head);
  if (!found) return "";
  return found[1][0].toUpperCase() === "W" ? "W" : "E";
}
