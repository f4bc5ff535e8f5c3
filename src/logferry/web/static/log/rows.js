// The rows that are in the page: at most ROWS_MAX of them, with their numbers. Grows at both ends, is trimmed at the
// other, and keeps what the reader looks at where it is. They follow each other without a gap unless only some lines of
// the file are shown (`sparse`).

import { el } from "../text.js";
import { spread } from "./json.js";
import { joint } from "./joints.js";
import { foldButton, numberRow, paintText, rowElement, timeRow } from "./row.js";

export const ROWS_MAX = 900;

export class Rows {
  #scroller;
  #body;
  #on;
  #below = null;
  rows = [];
  /** Whether lines may be left out between the rows. */
  sparse = false;
  /** Bytes of the file, as far as looked at. */
  size = 0;
  /** Lines of the file; null while they are not counted. */
  total = null;
  /** Where what stands above the first row is to be looked for; null: nothing does. */
  prev = null;
  /** Whether the last row is the last of the file. */
  end = false;
  /** Where the line after the last row starts; null at the end. */
  next = null;
  #exact = false;
  /** How times are shown beside the rows. */
  mode = "written";

  /** `on`: {ranges(row), own(row), onRest(row), onFold(row), onGap(row, from, to)}. */
  constructor(scroller, body, on) {
    this.#scroller = scroller;
    this.#body = body;
    this.#on = on;
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
    const known = Number.isInteger(row.n);
    const made = { more: 0, span: row.len, opened: 0, ...row, shown: row.shown ?? row.len, known, el: null, gap: null };
    made.el = rowElement(made, this.#on);
    made.el.classList.toggle("hit", this.sparse && row.hit === true);
    made.el.dataset.b = String(row.b);
    if (this.mode !== "written") timeRow(made, this.mode);
    this.paint(made);
    return made;
  }

  paint(row) {
    paintText(row.el.querySelector(".t"), row.s, this.#on.ranges(row), this.#on.own(row));
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
    this.#setEnd(page);
    this.prev = this.sparse ? page.prev : (this.first?.b ?? 0) || null;
    this.#below = null;
    this.#body.replaceChildren(...this.rows.map((row) => row.el));
    this.#exact = false;
    this.#takeNumbers(page.rows);
    this.#join();
  }

  #setEnd(page) {
    this.end = page.end;
    this.next = page.next;
    this.size = Math.max(this.size, page.size ?? 0);
    if (page.lines_total !== undefined) this.total = page.lines_total;
  }

  // What is left out between the rows stands there as a button.
  #join() {
    const gap = (row, next) => joint(row, next, this, this.#on.onGap);
    this.rows.forEach((row, at) => {
      row.gap?.remove();
      const isKnown = this.sparse && (at > 0 || this.prev === null);
      row.gap = isKnown ? gap(this.rows[at - 1] ?? null, row) : null;
      if (row.gap) row.el.before(row.gap);
    });
    this.#below?.remove();
    this.#below = this.sparse && this.end && this.last ? gap(this.last, null) : null;
    if (this.#below) this.#body.append(this.#below);
  }

  // Change the rows and keep `anchor` where it is on the screen.
  #around(anchor, change) {
    const before = anchor.el.offsetTop;
    const top = this.#scroller.scrollTop;
    change();
    this.#scroller.scrollTop = top + anchor.el.offsetTop - before;
  }

  #drop(rows) {
    for (const row of rows) {
      row.gap?.remove();
      row.el.remove();
    }
  }

  /** Add rows below. A first row that begins where the last one does is the same line, grown. */
  append(page) {
    let fresh = page.rows;
    if (this.last && fresh.length && fresh[0].b === this.last.b) {
      const old = this.rows.pop();
      fresh = [{ ...fresh[0], n: fresh[0].n ?? old.n }, ...fresh.slice(1)];
      this.#drop([old]);
    }
    fresh = fresh.filter((row) => !this.last || row.b > this.last.b);
    const made = fresh.map((row) => this.#make(row));
    this.#body.append(...made.map((row) => row.el));
    const from = this.last;
    this.rows.push(...made);
    this.#setEnd(page);
    if (this.sparse) this.#numberEach(), this.#join();
    else if (from && from.n !== null) this.#numberFrom(from.n - (this.rows.length - made.length - 1), this.#exact);
    else this.#takeNumbers(fresh);
    return made.length;
  }

  /** More follows from byte `next` on that is not fetched: the reader will get there. */
  openEnd(next = this.last.b) {
    this.end = false;
    this.next = next;
    this.#join();
  }

  /** Add rows above and keep the view where it is. `prev`: where to look on above them. How many there were. */
  prepend(rows, prev) {
    const made = rows.filter((row) => !this.first || row.b < this.first.b).map((row) => this.#make(row));
    this.prev = prev;
    const old = this.first;
    const add = () => {
      this.#body.prepend(...made.map((row) => row.el));
      this.rows.unshift(...made);
      if (this.sparse) this.#numberEach();
      else if (old?.n) this.#numberFrom(old.n - made.length, this.#exact);
      else this.#takeNumbers(rows);
      this.#join();
    };
    if (old) this.#around(old, add);
    else add();
    return made.length;
  }

  trimTop() {
    const spare = this.rows.length - ROWS_MAX;
    if (spare <= 0) return;
    this.#around(this.rows[spare], () => {
      this.#drop(this.rows.splice(0, spare));
      this.prev = this.first.b;
      this.#join();
    });
  }

  trimBottom() {
    if (this.rows.length <= ROWS_MAX) return;
    const spare = this.rows.splice(ROWS_MAX);
    this.next = spare[0].b;
    this.end = false;
    this.#drop(spare);
    this.#join();
  }

  // What was left out --------------------------------------------------------------------------------------

  /** Put lines where they were left out, below `row` (null: above all). */
  insert(row, lines) {
    const at = row ? this.indexOf(row) + 1 : 0;
    const known = new Set(this.rows.map((one) => one.b));
    const made = lines.filter((line) => !known.has(line.b)).map((line) => this.#make(line));
    const nodes = made.map((one) => one.el);
    if (row) row.el.after(...nodes);
    else this.#body.prepend(...nodes);
    this.rows.splice(at, 0, ...made);
    this.#numberEach();
    this.#join();
    return made;
  }

  /** Show the lines that are folded under `row`. */
  unfold(row, lines) {
    row.opened = row.more;
    row.folded = row.span;
    row.more = 0;
    row.span = row.len;
    for (const made of this.insert(row, lines)) made.el.classList.add("continued");
    this.#button(row);
  }

  /** Fold them again. */
  fold(row) {
    const at = this.indexOf(row) + 1;
    const end = row.b + row.folded;
    const stop = this.rows.findIndex((other, place) => place >= at && other.b >= end);
    this.#drop(this.rows.splice(at, (stop < 0 ? this.rows.length : stop) - at));
    row.more = row.opened;
    row.span = row.folded;
    row.opened = 0;
    this.#button(row);
    this.#join();
  }

  #button(row) {
    const button = foldButton(row, this.#on.onFold);
    row.el.querySelector(".fold").replaceWith(button);
    button.focus({ preventScroll: true });
  }

  // Rows are contiguous, so one exact number gives all of them.
  #takeNumbers(rows) {
    if (this.sparse) {
      this.#numberEach();
      return;
    }
    const known = rows.find((row) => row.n !== null && row.n !== undefined);
    if (!known) return;
    const at = this.rows.findIndex((row) => row.b === known.b);
    this.#numberFrom(known.n - at, true);
  }

  // Where lines are left out each row has a number of its own.
  #numberEach() {
    this.#exact = this.rows.every((row) => row.known);
    for (const row of this.rows) {
      if (row.numbered === row.known) continue;
      row.numbered = row.known;
      numberRow(row, row.n, row.known);
    }
  }

  /** Number rows whose numbers are not known by what is estimated of their bytes. */
  estimateEach(estimate) {
    for (const row of this.rows) {
      if (row.known) continue;
      row.n = estimate(row.b);
      numberRow(row, row.n, false);
    }
  }

  /** Take over exact numbers of rows that are still in the page. */
  learnNumbers(rows) {
    const numbers = new Map(rows.filter((row) => Number.isInteger(row.n)).map((row) => [row.b, row.n]));
    for (const row of this.rows) {
      if (row.known || !numbers.has(row.b)) continue;
      row.n = numbers.get(row.b);
      row.known = true;
    }
    this.#numberEach();
    this.#join();
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
    const row = this.rows[this.#searchBy((other) => other.b <= byte)] ?? null;
    return this.sparse && row && byte >= row.b + row.span && byte < this.size ? null : row;
  }

  numbered(n) {
    if (!this.#exact || !this.first) return null;
    if (this.sparse) return this.rows.find((row) => row.n <= n && n <= row.n + row.more) ?? null;
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
