// Addresses of the search page: the same question with something changed, and terms added to a query.

import { apiUrl } from "../api.js";

/** The address of this page with parameters changed; those that are null or "" go. */
export function pageWith(changes, here = location.href) {
  const url = new URL(here);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, String(value));
  }
  url.hash = "";
  return url.href;
}

/** `value` as one value of a field: quoted where the language would read something else into it. */
export function quoted(value) {
  return /^[\w.@%+~-]+$/.test(value) && !value.includes("..") && !value.startsWith("-")
    ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** `q` and one term more. What may have an OR at its top is put into brackets first: where it has none they do no harm. */
export function withTerm(q, term) {
  const held = q.trim();
  if (!held) return term;
  return /\bOR\b/.test(held) ? `(${held}) ${term}` : `${held} ${term}`;
}

/** The term for a value of a facet; `no` is its opposite. */
export function facetTerm(field, value, no = false) {
  const name = field === "path" ? "path:=" : `${field}:`;
  return `${no ? "-" : ""}${name}${quoted(value)}`;
}

// One term of a query that is nothing but terms: a name, then a phrase, a regular expression (not for a path, which has
// slashes) or a word.
const TERM = new RegExp([
  String.raw`\s*(?<term>[-!]*(?:(?<name>@{0,2}[\w.-]+):(?:[<>]=?|=)?)?`,
  String.raw`(?:"(?:\\.|[^"\\])+"|(?<!\bpath:=?)/(?:\\.|[^/\\])+/[imsc]*|(?:\\(?:.|$)|[^\s()"'\\])+))(?=\s|$)\s*`,
].join(""), "sy");
const KEYWORDS = new Set(["AND", "OR", "NOT"]);
const CHOOSE_FILES = new Set(["agent", "path", "file", "ext", "size", "modified", "received", "tag", "sha256"]);

/** The terms of `q` as {term, name}; null where it is more than a row of terms. */
function terms(q) {
  const found = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < q.length) {
    const next = TERM.exec(q);
    if (!next || KEYWORDS.has(next.groups.term)) return null;
    found.push(next.groups);
  }
  return found;
}

/** `q` without the terms that choose files; "" where nothing is left, or where they cannot just be left out. */
export function withoutFiles(q) {
  const held = q.trim();
  const all = terms(held);
  if (!all) return "";
  const kept = all.filter((each) => !CHOOSE_FILES.has(each.name));
  return kept.length === all.length ? held : kept.map((each) => each.term).join(" ");
}

/** What the API is asked, from the data of the page. */
export function asked(data) {
  return { q: data.q, case: data.case, from: data.from, to: data.to, tz: data.from || data.to ? data.tz : "", entries: data.entries };
}

/** All lines that match, as a file to keep. */
export function exportUrl(data, format) {
  return apiUrl("search", { ...asked(data), format, context: data.context === "0" ? "" : data.context, limit: "0", download: "true" });
}
