// One line of a log as elements. Log text enters the page here and nowhere else, as text nodes only.

import { count, el, size } from "../text.js";
import { pieces } from "./ansi.js";
import { abbreviation, exact, ZONE } from "../zone.js";
import { level } from "./levels.js";

/** Sorted, non-overlapping copy of `ranges` ([[from, to], …]). */
function tidy(ranges) {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const kept = [];
  for (const [from, to] of sorted) {
    const last = kept.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (to > from) kept.push([from, to]);
  }
  return kept;
}

/** Spans counted in characters (code points), as the server counts, in the UTF-16 units of `text`. */
export function unitSpans(text, spans) {
  if (!/[\ud800-\udbff]/.test(text)) return spans;
  const units = [0];
  for (const character of text) units.push(units.at(-1) + character.length);
  return spans.map(([from, to]) => [units[from] ?? text.length, units[to] ?? text.length]);
}

/** Every place of `word` in `text`, as ranges. */
export function occurrences(text, word, exactCase, most = 200) {
  if (!word) return [];
  const hay = exactCase ? text : text.toLowerCase();
  const needle = exactCase ? word : word.toLowerCase();
  // A text whose length changes with its case cannot share offsets with it: show it without marks.
  if (hay.length !== text.length) return [];
  const found = [];
  for (let at = hay.indexOf(needle); at >= 0 && found.length < most; at = hay.indexOf(needle, at + needle.length)) {
    found.push([at, at + needle.length]);
  }
  return found;
}

/** A colour of a log's own, as light or dark as can be read on our ground; with a ground of the log's it stays. */
function readable(look) {
  if (look.bg || !look.fg.startsWith("rgb")) return look.fg; // the palette is readable as it is
  return `light-dark(oklch(from ${look.fg} min(l, 0.52) c h), oklch(from ${look.fg} max(l, 0.68) c h))`;
}

function styled(node, look) {
  if (look.classes) node.classList.add(...look.classes.split(" "));
  if (look.fg) node.style.color = readable(look);
  if (look.bg) node.style.backgroundColor = look.bg;
  return node;
}

function sign(piece) {
  return styled(el("span", { class: "odd", title: piece.title, "data-short": piece.short || null }, piece.text), piece.look);
}

function leaf(text, look) {
  if (look.classes || look.fg || look.bg) return styled(el("span", {}, text), look);
  return document.createTextNode(text);
}

/** Marks of a search (kind 0) over those of one's own rules ([from, to, kind]), sorted, none over another. */
function layered(ranges, own) {
  const found = tidy(ranges).map(([from, to]) => [from, to, 0]);
  for (const [from, to, kind] of own) {
    let parts = [[from, to]];
    for (const [low, high] of found) {
      parts = parts.flatMap(([a, b]) => [[a, Math.min(b, low)], [Math.max(a, high), b]]).filter(([a, b]) => b > a);
    }
    found.push(...parts.map(([a, b]) => [a, b, kind]));
  }
  return found.sort((a, b) => a[0] - b[0]);
}

function* split(piece, ranges, at) {
  let from = piece.from;
  for (let i = at; i < ranges.length && ranges[i][0] < piece.to; i += 1) {
    const [start, end] = ranges[i];
    if (start > from) yield [piece.text.slice(from - piece.from, start - piece.from), -1];
    const begin = Math.max(start, from);
    const stop = Math.min(end, piece.to);
    if (stop > begin) yield [piece.text.slice(begin - piece.from, stop - piece.from), ranges[i][2]];
    from = Math.max(from, stop);
  }
  if (from < piece.to) yield [piece.text.slice(from - piece.from), -1];
}

function marked(kind, ...nodes) {
  return el("mark", { class: kind ? `own own-${kind}` : null }, ...nodes);
}

/** Fill `target` with `text`: control characters as marks, terminal colours drawn, `ranges` and `own` ones as <mark>. */
export function paintText(target, text, ranges = [], own = []) {
  const marks = layered(ranges, own);
  const nodes = [];
  let at = 0;
  for (const piece of pieces(text)) {
    while (at < marks.length && marks[at][1] <= piece.from) at += 1;
    if (piece.title) {
      const inside = at < marks.length && marks[at][0] <= piece.from;
      nodes.push(inside ? marked(marks[at][2], sign(piece)) : sign(piece));
      continue;
    }
    for (const [part, kind] of split(piece, marks, at)) {
      nodes.push(kind >= 0 ? marked(kind, leaf(part, piece.look)) : leaf(part, piece.look));
    }
  }
  target.replaceChildren(...nodes);
}

/** The button that shows the lines that are folded under a row, or folds them again. */
export function foldButton(row, onFold) {
  const lines = `${count(row.more || row.opened)} ${(row.more || row.opened) === 1 ? "line" : "lines"}`;
  const words = row.more ? `+ ${lines}` : `− ${lines}`;
  const label = row.more ? `Show ${lines} that continue this one` : `Fold the ${lines} that continue this one`;
  return el("button", { class: "fold", type: "button", "aria-expanded": String(!row.more), "aria-label": label, title: label, onclick: () => onFold(row) }, words);
}

/** The element of one row: number (a link), text, and for a long line a button for its rest. */
export function rowElement(row, { onRest, onFold }) {
  const link = el("a", { tabindex: "-1" });
  const text = el("span", { class: "t", role: "cell" });
  const node = el("div", { class: "row", role: "row" }, el("span", { class: "n", role: "rowheader" }, link), text);
  const letter = level(row.s);
  if (letter) node.dataset.lv = letter;
  if (row.cut) {
    const rest = el("button", { class: "rest", type: "button", onclick: () => onRest(row) });
    rest.textContent = `show rest (${size(restBytes(row))})`;
    node.append(rest);
  }
  if (row.more) node.append(el("span", { class: "after", role: "cell" }, foldButton(row, onFold)));
  return node;
}

/** Ways to show times: as the line has them, and beside it in UTC or in the zone of the page. */
export const TIME_MODES = ZONE === "UTC" ? ["written", "utc"] : ["written", "local", "utc"];

/** Write the time of a row beside it; `mode` is one of TIME_MODES. */
export function timeRow(row, mode) {
  let box = row.el.querySelector(".time");
  if (mode === "written") {
    box?.remove();
    return;
  }
  if (!box) {
    box = el("span", { class: "time", role: "cell" });
    row.el.querySelector(".t").before(box);
  }
  const ms = row.t ? Date.parse(row.t) : NaN;
  box.textContent = Number.isNaN(ms) ? "" : exact(ms, mode === "utc" ? "UTC" : ZONE);
  box.title = Number.isNaN(ms) ? "" : `${exact(ms)} ${abbreviation(ms)} · ${exact(ms, "UTC")} UTC`;
}

/** How many bytes of a cut line are not shown yet. */
export function restBytes(row) {
  return Math.max(0, row.len - row.shown);
}

/** Write the number into a row: exact, or as an estimate with the sign that says so. */
export function numberRow(row, n, exact) {
  const link = row.el.firstChild.firstChild;
  link.textContent = n === null ? "·" : exact ? String(n) : `≈${n}`;
  link.className = exact ? "" : "guess";
  link.setAttribute("href", n !== null && exact ? `#L${n}` : `?at=b${row.b}`);
  if (n !== null && exact) row.el.setAttribute("aria-rowindex", String(n));
  else row.el.removeAttribute("aria-rowindex");
}
