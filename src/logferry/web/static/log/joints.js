// Where lines are left out between the rows: how many, drawn as a button that shows them.

import { about, count, el, size } from "../text.js";

function words(from, to, lines) {
  if (lines === null) return `⋯ ${size(to - from)} not shown`;
  return `⋯ ${lines < 100_000 ? count(lines) : about(lines)} ${lines === 1 ? "line" : "lines"} not shown`;
}

/** The first number that is missing between two rows, or before the first one, and how many are; null if not known. */
function missing(row, next) {
  const first = row ? (row.known ? row.n + row.more + 1 : null) : 1;
  if (first === null || !next?.known) return null;
  return next.n - first;
}

/** The row with a button for what stands between `row` and `next` (null: the start, the end); null when nothing does. */
export function joint(row, next, size, onOpen) {
  const from = row ? row.b + row.span : 0;
  const to = next ? next.b : size;
  if (to <= from) return null;
  const text = words(from, to, missing(row, next));
  const button = el("button", { type: "button", title: "Show what was left out", onclick: () => onOpen(row, from, to) }, text);
  return el("div", { class: "gap", role: "row" }, el("span", { role: "cell" }, button));
}
