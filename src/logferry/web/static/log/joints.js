// Where lines are left out between the rows: how many, drawn as a button that shows them.

import { about, count, el, size } from "../text.js";

function words(from, to, lines) {
  if (lines === null) return `⋯ ${size(to - from)} not shown`;
  return `⋯ ${lines < 100_000 ? count(lines) : about(lines)} ${lines === 1 ? "line" : "lines"} not shown`;
}

/** How many lines are missing between two rows, before the first one or behind the last; null where it is not known. */
function missing(row, next, total) {
  const first = row ? (row.known ? row.n + row.more + 1 : null) : 1;
  const last = next ? (next.known ? next.n : null) : total === null ? null : total + 1;
  return first === null || last === null ? null : last - first;
}

/**
 * The row with a button for what stands between `row` and `next` (null: the start, the end of the file, which has `size`
 * bytes and `total` lines or null); null when nothing does.
 */
export function joint(row, next, { size, total }, onOpen) {
  const from = row ? row.b + row.span : 0;
  const to = next ? next.b : size;
  if (to <= from) return null;
  const text = words(from, to, missing(row, next, total));
  const button = el("button", { type: "button", title: "Show what was left out", onclick: () => onOpen(row, from, to) }, text);
  return el("div", { class: "gap", role: "row" }, el("span", { role: "cell" }, button));
}
