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

/** `q` and one term more. What has an OR at its top is put into brackets first. */
export function withTerm(q, term) {
  const held = q.trim();
  if (!held) return term;
  return / OR /.test(held) ? `(${held}) ${term}` : `${held} ${term}`;
}

/** The term for a value of a facet; `no` is its opposite. */
export function facetTerm(field, value, no = false) {
  const name = field === "path" ? "path:=" : `${field}:`;
  return `${no ? "-" : ""}${name}${quoted(value)}`;
}

/** `q` without the terms that choose files. */
export function withoutFiles(q) {
  const fields = /(^|\s)[-!]?(agent|path|file|ext|size|modified|received):(=?"(\\.|[^"\\])*"|\S+)/g;
  return q.replace(fields, " ").replace(/\s+/g, " ").trim();
}

/** What the API is asked, from the data of the page. */
export function asked(data) {
  return { q: data.q, case: data.case, from: data.from, to: data.to, entries: data.entries };
}

/** All lines that match, as a file to keep. */
export function exportUrl(data, format) {
  return apiUrl("search", { ...asked(data), format, context: data.context === "0" ? "" : data.context, limit: "0", download: "true" });
}
