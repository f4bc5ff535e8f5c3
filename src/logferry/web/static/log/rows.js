// The rows that are in the page: at most ROWS_MAX of them, contiguous, with their numbers. Grows at both ends, is trimmed
// at the other, and keeps what the reader looks at where it is.

import { el } from "../text.js";
import { spread } from "./json.js";
import { numberRow, paintText, rowElement, timeRow } from "./row.js";

export const ROWS_MAX = 900;

export class Rows {
  #scroller;
  #body;
  #ranges;
  #onRest;
  #lineBytes;
  rows = [];
  /** Whether the last row is the last of the file. */
  end = false;
  /** Where the line after the last row starts; null at the end. */
  next = null;
  #exact = false;
  /** How times are shown beside the rows. */
  mode = "written";

  /** `lineBytes`: how many bytes of a cut line the server sends. */
  constructor(scroller, body, { ranges, onRest, lineBytes }) {
    this.#lineBytes = lineBytes;
    this.#scroller = scroller;
    this.#body = body;
    this.#ranges = ranges;
    this.#onRest = onRest;
  }

  get first() {
    return this.rows[0] ?? null;
  }

  get last() {
    return this.rows.at(-1) ?? null;
  }

  get exact() {
    return this.#exact;
  }

  #make(row) {
    const made = { ...row, shown: row.cut ? this.#lineBytes : row.len, el: null };
    made.el = rowElement(made, this.#onRest);
    made.el.dataset.b = String(row.b);
    if (this.mode !== "written") timeRow(made, this.mode);
    this.paint(made);
    return made;
  }

  paint(row) {
    paintText(row.el.querySelector(".t"), row.s, this.#ranges(row));
  }

  /** A JSON line over several lines, or back as written; false for any other. What is copied stays the line. */
  spread(row) {
    if (row.spread) {
      row.spread = false;
      this.paint(row);
      return true;
    }
    const lines = spread(row.s);
    if (!lines) return false;
    row.spread = true;
    const nodes = lines.flatMap((line, at) => {
      const node = el("span");
      paintText(node, line);
      return at ? ["\n", node] : [node];
    });
    row.el.querySelector(".t").replaceChildren(...nodes);
    return true;
  }

  paintAll() {
    this.rows.forEach((row) => this.paint(row));
  }

  /** Show times in another way; rows that have none yet get them by `learnTimes`. */
  showTimes(mode) {
    this.mode = mode;
    for (const row of this.rows) timeRow(row, mode);
  }

  /** The first row whose time was never asked for. */
  get untimed() {
    return this.rows.find((row) => row.t === undefined) ?? null;
  }

  learnTimes(rows) {
    const times = new Map(rows.map((row) => [row.b, row.t]));
    for (const row of this.rows) {
      if (row.t !== undefined || !times.has(row.b)) continue;
      row.t = times.get(row.b);
      timeRow(row, this.mode);
    }
  }

  replace(page) {
    this.rows = page.rows.map((row) => this.#make(row));
    this.end = page.end;
    this.next = page.next;
    this.#body.replaceChildren(...this.rows.map((row) => row.el));
    this.#exact = false;
    this.#takeNumbers(page.rows);
  }

  /** Add rows below. A first row that begins where the last one does is the same line, grown. */
  append(page) {
    let fresh = page.rows;
    if (this.last && fresh.length && fresh[0].b === this.last.b) {
      const old = this.rows.pop();
      fresh = [{ ...fresh[0], n: fresh[0].n ?? old.n }, ...fresh.slice(1)];
      old.el.remove();
    }
    fresh = fresh.filter((row) => !this.last || row.b > this.last.b);
    const made = fresh.map((row) => this.#make(row));
    this.#body.append(...made.map((row) => row.el));
    const from = this.last;
    this.rows.push(...made);
    this.end = page.end;
    this.next = page.next;
    if (from && from.n !== null) this.#numberFrom(from.n - (this.rows.length - made.length - 1), this.#exact);
    else this.#takeNumbers(fresh);
    return made.length;
  }

  /** More follows that is not fetched: the reader will get there. */
  openEnd() {
    this.end = false;
    this.next = this.last.b;
  }

  /** Add rows above and keep the view where it is. */
  prepend(rows) {
    if (!rows.length) return;
    const made = rows.map((row) => this.#make(row));
    const n = this.first?.n ?? null;
    const height = this.#scroller.scrollHeight;
    const top = this.#scroller.scrollTop;
    this.#body.prepend(...made.map((row) => row.el));
    this.rows.unshift(...made);
    this.#scroller.scrollTop = top + this.#scroller.scrollHeight - height;
    if (n !== null) this.#numberFrom(n - made.length, this.#exact);
    else this.#takeNumbers(rows);
  }

  trimTop() {
    const spare = this.rows.length - ROWS_MAX;
    if (spare <= 0) return;
    const height = this.rows[spare].el.offsetTop - this.rows[0].el.offsetTop;
    const top = this.#scroller.scrollTop;
    this.rows.splice(0, spare).forEach((row) => row.el.remove());
    this.#scroller.scrollTop = top - height;
  }

  trimBottom() {
    if (this.rows.length <= ROWS_MAX) return;
    const spare = this.rows.splice(ROWS_MAX);
    this.next = spare[0].b;
    this.end = false;
    spare.forEach((row) => row.el.remove());
  }

  // Rows are contiguous, so one exact number gives all of them.
  #takeNumbers(rows) {
    const known = rows.find((row) => row.n !== null && row.n !== undefined);
    if (!known) return;
    const at = this.rows.findIndex((row) => row.b === known.b);
    this.#numberFrom(known.n - at, true);
  }

  /** Take over the exact number of one row, where it is still in the page. */
  learnNumber(row) {
    if (!row || !Number.isInteger(row.n)) return;
    const at = this.rows.findIndex((other) => other.b === row.b);
    if (at >= 0) this.#numberFrom(row.n - at, true);
  }

  #numberFrom(first, exact) {
    this.#exact = exact;
    this.rows.forEach((row, at) => {
      if (row.n === first + at && row.numbered === exact) return;
      row.n = first + at;
      row.numbered = exact;
      numberRow(row, row.n, exact);
    });
  }

  /** Number all rows from what is known of the first one; `n` null means nothing is. */
  numberFrom(n, exact) {
    if (n === null) this.rows.forEach((row) => numberRow(row, null, false));
    else this.#numberFrom(Math.max(1, n), exact);
  }

  /** The row that starts at `byte` or holds it. */
  holding(byte) {
    if (!this.first || byte < this.first.b || (this.next !== null && byte >= this.next)) return null;
    return this.rows[this.#searchBy((row) => row.b <= byte)] ?? null;
  }

  numbered(n) {
    if (!this.#exact || !this.first) return null;
    return this.rows[n - this.first.n] ?? null;
  }

  /** The row at `y` pixels from the top of the view. */
  atHeight(y) {
    const want = this.#scroller.scrollTop + y;
    return this.rows[Math.max(0, this.#searchBy((row) => row.el.offsetTop <= want))] ?? null;
  }

  #searchBy(holds) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (holds(this.rows[middle])) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  indexOf(row) {
    return this.#searchBy((other) => other.b <= row.b);
  }
}
