// The merged rows that are in the page, at most ROWS_MAX, and the cursors before and behind any of them.

import { BASE } from "../api.js";
import { level } from "../log/levels.js";
import { occurrences, paintText } from "../log/row.js";
import { el } from "../text.js";
import { abbreviation, exact, ZONE } from "../zone.js";

export const ROWS_MAX = 900;
/** How times are shown beside the lines; "written" is not at all. */
export const TIME_MODES = ZONE === "UTC" ? ["UTC", "written"] : [ZONE, "UTC", "written"];

/** The cursor before row `at` of `rows`, when `end` is the one behind them all. */
export function cursorBefore(rows, at, end) {
  const places = end.split(",");
  for (let i = rows.length - 1; i >= at; i -= 1) places[rows[i].f] = `${rows[i].fid}.${rows[i].gen}.${rows[i].b}`;
  return places.join(",");
}

/** What tells a line from all others. */
export function keyOf(row) {
  return `${row.fid}.${row.gen}.${row.b}`;
}

function address(source, row) {
  const part = source.parts.find((one) => one.fid === row.fid && one.gen === row.gen);
  const path = (part?.path ?? `${source.agent}/${source.path}`).split("/").map(encodeURIComponent).join("/");
  return `${BASE}/view/${path}?gen=${row.gen}&at=b${row.b}`;
}

export class Rows {
  #body;
  #sources;
  rows = [];
  mode = TIME_MODES[0];
  word = "";
  target = "";

  /** `sources()`: the files as the API told them. */
  constructor(body, sources) {
    this.#body = body;
    this.#sources = sources;
  }

  replace(rows) {
    this.rows = rows.map((row) => this.#made(row));
    this.#body.replaceChildren(...this.rows.map((row) => row.el));
  }

  /** Add rows below; one that is there already has grown, and takes its place. */
  append(rows) {
    const fresh = [];
    const tail = new Map(this.rows.slice(-40).map((row) => [keyOf(row), row]));
    for (const row of rows) {
      const held = tail.get(keyOf(row));
      if (held) Object.assign(held, row), this.#paint(held);
      else fresh.push(this.#made(row));
    }
    this.#body.append(...fresh.map((row) => row.el));
    this.rows.push(...fresh);
    return fresh.length;
  }

  prepend(rows) {
    const made = rows.map((row) => this.#made(row));
    this.#body.prepend(...made.map((row) => row.el));
    this.rows.unshift(...made);
  }

  /** Remove `count` rows at one end. */
  drop(count, fromTop) {
    const gone = fromTop ? this.rows.splice(0, count) : this.rows.splice(this.rows.length - count);
    for (const row of gone) row.el.remove();
  }

  repaint() {
    for (const row of this.rows) this.#paint(row);
  }

  /** The number of the row at `y` pixels from the top of the content. */
  indexAt(y) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.rows[middle].el.offsetTop <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #made(row) {
    const source = this.#sources()[row.f];
    const link = el("a", { href: address(source, row), tabindex: "-1", title: `${row.n ? `line ${row.n} of ` : ""}${source.agent}/${source.path}` });
    const made = { ...row, el: null, band: row.f };
    const text = el("span", { class: "t", role: "cell" });
    made.el = el("div", { class: "row", role: "row", dataset: { band: row.f, key: keyOf(row) } },
      el("span", { class: "n", role: "rowheader" }, link), el("span", { class: "time", role: "cell" }), text);
    if (row.cut) made.el.append(el("span", { role: "cell" }, el("a", { class: "rest", href: address(source, row) }, "long line: open")));
    link.textContent = source.path.split("/").at(-1);
    this.#paint(made);
    return made;
  }

  #paint(row) {
    const letter = level(row.s);
    if (letter) row.el.dataset.lv = letter;
    else delete row.el.dataset.lv;
    const ms = row.t ? Date.parse(row.t) : NaN;
    const time = row.el.children[1];
    const zone = this.mode === "written" ? "" : this.mode;
    time.textContent = zone && !Number.isNaN(ms) ? exact(ms, zone) : "";
    time.title = Number.isNaN(ms) ? "" : `${exact(ms)} ${abbreviation(ms)} · ${exact(ms, "UTC")} UTC`;
    paintText(row.el.children[2], row.s, occurrences(row.s, this.word, false));
    row.el.classList.toggle("target", keyOf(row) === this.target);
  }
}
