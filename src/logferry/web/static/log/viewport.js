// The moving window over a generation: which rows are in the page, where the thumb stands, how a jump lands.
// Native scrolling inside the window; rows are fetched before the reader reaches its edge.

import { about, count } from "../text.js";
import { ZONE } from "../zone.js";
import { Numbers } from "./numbers.js";
import { Rows, ROWS_MAX } from "./rows.js";
import { Scrollbar } from "./scrollbar.js";

const EDGE_SCREENS = 2;
const ABOVE_ROWS = 120;
const AROUND_ABOVE = 100;
const AROUND_ROWS = 250;
const ENOUGH_ABOVE = 40;
const ENOUGH_BELOW = 60;
const AT_END_PX = 6;
const INDEX_POLL_MS = 1200;
const EXACT_TRIES = 5;
const DRAG_FETCH_MS = 50;
const KEPT_BACK_BYTES = 64 * 1024;
const OPENED_ROWS = 200;
const PAUSED_ROWS_MAX = ROWS_MAX + 100;

export class Viewport {
  rows;
  numbers = new Numbers();
  size = 0;
  #source;
  #scroller;
  #on;
  #jump = null;
  #filling = false;
  #frame = 0;
  #drag = { timer: 0, fraction: 0 };
  #indexTimer = 0;
  #stopped = new AbortController();

  /** `on`: {moved(), problem(error), up(), looking(fraction), ranges(row), own(row), rest(row)}. */
  constructor(scroller, body, source, on) {
    this.#source = source;
    this.#scroller = scroller;
    this.#on = on;
    this.rows = new Rows(scroller, body, {
      ranges: on.ranges, own: on.own, onRest: on.rest,
      onFold: (row) => this.#foldOrNot(row), onGap: (row, from, to) => this.#openGap(row, from, to),
    });
    this.bar = new Scrollbar({
      controls: body.id,
      onMove: (fraction, done) => this.#dragged(fraction, done),
      describe: (fraction) => this.#placeWords(fraction),
    });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#sizes = new ResizeObserver(() => this.refresh());
    this.#sizes.observe(scroller);
  }

  #sizes;

  close() {
    this.#stopped.abort();
    this.#jump?.abort();
    this.#sizes.disconnect();
    clearTimeout(this.#indexTimer);
    clearTimeout(this.#drag.timer);
  }

  // Jumps -------------------------------------------------------------------------------------------------

  /**
   * Show a place: {kind: "start" | "end" | "line" | "byte" | "fraction", …}. A line or byte lands a third from the top
   * (or at the top with `top`). Returns the row, or null when a later jump overtook this one, or nothing is kept.
   * `fresh`: what is in the page is of no use. `stay`: the place is shown already, and may have been scrolled.
   */
  async go(place, { top = false, fresh = false, stay = false } = {}) {
    this.#jump?.abort();
    const jump = new AbortController();
    this.#jump = jump;
    const { signal } = jump;
    const near = fresh ? null : this.#inWindow(place);
    if (near) {
      this.#jump = null;
      this.#land(near, top);
      return near;
    }
    try {
      const around = this.#source.kept ? null : await this.#around(place, signal);
      if (signal.aborted) return null;
      if (around) return this.#arrive(around.place, around.page, { rows: [], prev: around.page.rows[0].b || null }, { top, stay });
      const where = this.#request(place);
      let page = await this.#source.page(where, { signal });
      page = await this.#onward(page, signal);
      // Past the last line: show that one.
      if (!page.rows.length && page.size > 0 && !this.#source.kept) page = await this.#source.page({ tail: 1 }, { signal });
      if (signal.aborted) return null;
      const begin = this.#source.kept ? page.prev : (page.rows[0]?.b ?? 0) || null;
      const above = begin === null ? { rows: [], prev: null } : await this.#upward(begin, page.rows.length > 0, signal);
      if (signal.aborted) return null;
      return this.#arrive(place, page, above, { top, stay });
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.go(place, { top, fresh, stay }));
      return null;
    } finally {
      if (this.#jump === jump) this.#jump = null;
    }
  }

  // A place with lines on both sides of it in one answer, where it can be asked for so and the guess how far back they
  // begin was good: {place, page}, else null.
  async #around(place, signal) {
    if (place.kind === "end") {
      const page = await this.#source.lines({ tail: AROUND_ROWS }, { signal });
      return page.rows.length ? { place, page } : null;
    }
    let page;
    let isIt;
    let found = place;
    if (place.kind === "line" && this.numbers.complete) {
      page = await this.#source.lines({ from_line: Math.max(1, place.from - AROUND_ABOVE) }, { count: AROUND_ROWS, signal });
      isIt = (row) => page.exact && row.n === place.from;
    } else if (place.kind === "byte" || place.kind === "fraction") {
      const byte = this.#request(place).at_byte;
      page = await this.#source.around(byte, AROUND_ABOVE, { count: AROUND_ROWS, signal });
      isIt = (row) => row.b <= byte && byte < row.b + row.len;
      found = { kind: "byte", byte };
    } else {
      return null;
    }
    const at = page.rows.findIndex(isIt);
    const isEnough = (at >= ENOUGH_ABOVE || page.rows[0]?.b === 0) && (page.rows.length - at >= ENOUGH_BELOW || page.end);
    return at >= 0 && isEnough ? { place: found, page } : null;
  }

  // The next page that has rows: to find one may take the server several answers.
  async #onward(page, signal) {
    let found = page;
    while (!found.rows.length && found.next !== null && this.#source.kept) {
      this.#on.looking(found.next / Math.max(1, found.size));
      found = { ...(await this.#source.page({ at_byte: found.next }, { signal })), prev: found.prev };
    }
    this.#on.looking(null);
    return found;
  }

  async #upward(begin, isEnough, signal) {
    let found = await this.#source.above(begin, { count: ABOVE_ROWS, signal });
    while (!found.rows.length && found.prev !== null && !isEnough) {
      this.#on.looking(1 - found.prev / Math.max(1, this.size));
      found = await this.#source.above(found.prev, { count: ABOVE_ROWS, signal });
    }
    this.#on.looking(null);
    return found;
  }

  #request(place) {
    if (place.kind === "end") return { tail: 250 };
    if (place.kind === "line") return { from_line: place.from };
    if (place.kind === "byte") return { at_byte: Math.min(place.byte, Math.max(0, this.size - 1)) };
    if (place.kind === "time") return { at_time: place.time, tz: ZONE };
    if (place.kind === "fraction") return { at_byte: Math.floor(place.fraction * Math.max(0, this.size - 1)) };
    return { at_byte: 0 };
  }

  #inWindow(place) {
    if (place.kind === "line") return this.rows.numbered(place.from);
    if (place.kind === "byte") return this.rows.holding(place.byte);
    if (place.kind === "start" && this.rows.first?.b === 0) return this.rows.first;
    if (place.kind === "end" && this.rows.end) return this.rows.last;
    return null;
  }

  #arrive(place, page, above, { top, stay }) {
    this.#jump = null;
    this.size = Math.max(this.size, page.size);
    this.rows.sparse = this.#source.kept !== null;
    this.rows.replace(page);
    this.rows.prepend(above.rows, above.prev);
    this.#guessNumbers();
    // A line number past the end shows the end; an empty generation shows nothing.
    const wanted = page.rows.length ? this.#landing(place, page) : this.rows.last;
    const row = place.kind === "end" ? this.rows.last : wanted;
    if (row && !stay) this.#land(row, top || place.kind === "start");
    if (place.kind === "end") this.toEnd();
    this.refresh();
    return row;
  }

  // Of what is kept there may be lines around it before the place.
  #landing(place, page) {
    const held = page.rows.find((row) => {
      if (place.kind === "line" && Number.isInteger(row.n)) return row.n + (row.more ?? 0) >= place.from;
      return place.kind !== "byte" || row.b + (row.span ?? row.len) > place.byte;
    });
    return this.rows.holding((held ?? page.rows[0]).b);
  }

  #land(row, top) {
    const offset = top ? 0 : Math.floor(this.#scroller.clientHeight / 3);
    const y = row.el.offsetTop;
    const seen = y >= this.#scroller.scrollTop + 40 && y + 40 <= this.#scroller.scrollTop + this.#scroller.clientHeight;
    if (top || !seen) this.#scroller.scrollTop = Math.max(0, y - offset);
    this.refresh();
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  // Scrolling -----------------------------------------------------------------------------------------------

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    return this.rows.end && scrollHeight - scrollTop - clientHeight <= AT_END_PX;
  }

  #lastTop = 0;

  #scrolled() {
    const top = this.#scroller.scrollTop;
    if (top < this.#lastTop - 1 && !this.#filling) this.#on.up();
    this.#lastTop = top;
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.refresh();
    });
  }

  /** Set the thumb, tell the listener, fetch what is nearly in view. */
  refresh() {
    this.#setThumb();
    this.#on.moved();
    if (!this.bar.dragging) this.#fill();
  }

  async #fill() {
    if (this.#filling || this.#jump || !this.rows.first) return;
    this.#filling = true;
    try {
      while (!this.#jump && (await this.#fillOnce())) this.#setThumb();
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.refresh());
    } finally {
      this.#filling = false;
      this.#lastTop = this.#scroller.scrollTop;
    }
  }

  async #fillOnce() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const edge = clientHeight * EDGE_SCREENS;
    const { signal } = this.#stopped;
    if (!this.rows.end && this.rows.next !== null && scrollHeight - scrollTop - clientHeight < edge) {
      const from = this.rows.next;
      const page = await this.#source.page({ at_byte: from }, { signal });
      if (this.#jump || this.rows.next !== from) return false;
      this.size = Math.max(this.size, page.size);
      const more = this.rows.append(page);
      this.rows.trimTop();
      if (this.rows.sparse) this.#guessNumbers();
      this.#on.looking(more || page.next === null ? null : page.next / page.size);
      return more > 0 || (this.#source.kept !== null && page.next !== null && page.next > from);
    }
    if (this.rows.prev !== null && scrollTop < edge) {
      const from = this.rows.prev;
      const first = this.rows.first;
      const above = await this.#source.above(from, { signal });
      if (this.#jump || this.rows.first !== first) return false;
      const more = this.rows.prepend(above.rows, above.prev);
      this.rows.trimBottom();
      if (this.rows.sparse) this.#guessNumbers();
      return more > 0 || (above.prev !== null && above.prev < from);
    }
    return false;
  }

  /** Show times beside the rows; those that came without are asked for. */
  async showTimes(mode) {
    this.#source.times = mode !== "written";
    this.rows.showTimes(mode);
    try {
      for (let row = this.rows.untimed; row && this.rows.mode !== "written"; row = this.rows.untimed) {
        const page = await this.#source.page({ at_byte: row.b }, { count: ROWS_MAX, signal: this.#stopped.signal });
        this.rows.learnTimes(page.rows);
        if (this.rows.untimed === row) break;
      }
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.showTimes(mode));
    }
    this.refresh();
  }

  /** Where the last line of the file begins; null for an empty one. */
  async lastByte() {
    if (this.rows.end && !this.#source.kept) return this.rows.last?.b ?? null;
    const page = await this.#source.lines({ tail: 1 }, { signal: this.#stopped.signal });
    this.size = Math.max(this.size, page.size);
    return page.rows.at(-1)?.b ?? null;
  }

  /** Rows that arrived by following: shown where the view holds the end, kept to it where `stick` says so. */
  grow(rows, next, stick) {
    this.size = Math.max(this.size, next);
    if (!this.rows.end) return;
    if (this.#source.kept) {
      // What is kept of them the server says: from some bytes back on, where the last entry may have gone on.
      this.rows.openEnd(Math.max(this.rows.last?.b ?? 0, this.rows.size - KEPT_BACK_BYTES, 0));
      this.#fill().then(() => stick && this.toEnd());
      return;
    }
    if (!stick && this.rows.rows.length + rows.length > PAUSED_ROWS_MAX) {
      this.rows.openEnd();
      return;
    }
    this.rows.append({ rows, end: true, next: null });
    if (!this.rows.exact) this.#guessNumbers();
    if (stick) {
      this.rows.trimTop();
      this.toEnd();
    }
    this.#setThumb();
  }

  // What was left out ---------------------------------------------------------------------------------------

  async #foldOrNot(row) {
    if (row.more) await this.unfold(row);
    else this.rows.fold(row);
    this.refresh();
  }

  /** Show the lines that are folded under a row: the first of them, where there are very many. */
  async unfold(row) {
    const end = row.b + row.span;
    const lines = await this.#linesOf(row.b + row.len, end, row.more);
    if (lines && row.more) this.rows.unfold(row, lines);
  }

  async #openGap(row, from, to) {
    const lines = await this.#linesOf(from, to, OPENED_ROWS);
    if (!lines) return;
    const made = this.rows.insert(row, lines);
    if (this.rows.mode !== "written") this.showTimes(this.rows.mode);
    if (this.rows.rows.length > PAUSED_ROWS_MAX) {
      if (row && this.rows.indexOf(row) > ROWS_MAX / 2) this.rows.trimTop();
      else this.rows.trimBottom();
    }
    made[0]?.el.querySelector("a")?.focus({ preventScroll: true });
    this.refresh();
  }

  async #linesOf(from, to, most) {
    try {
      const page = await this.#source.lines({ at_byte: from }, { count: Math.min(most, OPENED_ROWS), signal: this.#stopped.signal });
      return page.rows.filter((line) => line.b >= from && line.b < to);
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.refresh());
      return null;
    }
  }

  // Thumb -----------------------------------------------------------------------------------------------------

  #byteAt(y) {
    const row = this.rows.atHeight(y);
    if (!row) return 0;
    const inside = (this.#scroller.scrollTop + y - row.el.offsetTop) / Math.max(1, row.el.offsetHeight);
    return row.b + Math.min(1, Math.max(0, inside)) * row.len;
  }

  /** Bytes at the upper and lower edge of the view. */
  span() {
    if (!this.rows.first) return [0, 0];
    return [this.#byteAt(0), this.atEnd ? this.size : this.#byteAt(this.#scroller.clientHeight)];
  }

  #setThumb() {
    const [from, to] = this.span();
    const seen = Math.max(1, to - from);
    const whole = this.rows.prev === null && this.rows.end && this.#scroller.scrollHeight <= this.#scroller.clientHeight + 1;
    const room = this.size - seen;
    this.bar.set(this.atEnd ? 1 : room > 0 ? from / room : 0, whole || !this.size ? 1 : seen / this.size);
  }

  /** {lines, exact}: how many lines there are, as far as can be told; null while nothing is known. */
  total() {
    if (this.rows.end && this.rows.exact && !this.rows.sparse) return { lines: this.rows.last?.n ?? 0, exact: true };
    const lines = this.numbers.estimateTotal(this.size);
    return lines === null ? null : { lines, exact: this.numbers.complete && this.numbers.covers(this.size) };
  }

  #placeWords(fraction) {
    const percent = `${(fraction * 100).toFixed(fraction > 0 && fraction < 1 ? 1 : 0)} %`;
    const line = this.numbers.estimate(fraction * this.size);
    return line === null ? percent : `line ≈ ${line < 10_000 ? count(line) : about(line)} · ${percent}`;
  }

  #dragged(fraction, done) {
    this.#drag.fraction = fraction;
    this.#on.up();
    if (done) {
      clearTimeout(this.#drag.timer);
      this.#drag.timer = 0;
      this.#dragTo(fraction);
    } else if (!this.#drag.timer) {
      this.#drag.timer = setTimeout(() => {
        this.#drag.timer = 0;
        this.#dragTo(this.#drag.fraction);
      }, DRAG_FETCH_MS);
    }
  }

  async #dragTo(fraction) {
    const [from, to] = this.span();
    const byte = Math.floor(fraction * Math.max(0, this.size - Math.max(1, to - from)));
    if (fraction <= 0) await this.go({ kind: "start" }, { top: true });
    else if (fraction >= 1) await this.go({ kind: "end" });
    else await this.go({ kind: "byte", byte }, { top: true });
  }

  // Line numbers ------------------------------------------------------------------------------------------------

  /** Read the sparse index until it is complete; estimates become exact numbers then. */
  async readIndex() {
    clearTimeout(this.#indexTimer);
    try {
      this.numbers.update(await this.#source.index({ signal: this.#stopped.signal }));
      if (this.numbers.complete) await this.#exactNumbers();
    } catch (error) {
      // Without an index the numbers stay marked as estimates: reading goes on.
      if (error.name !== "AbortError") this.#indexTimer = setTimeout(() => this.readIndex(), INDEX_POLL_MS * 8);
      return;
    }
    if (!this.numbers.complete) this.#indexTimer = setTimeout(() => this.readIndex(), INDEX_POLL_MS);
    this.#guessNumbers();
    this.#on.moved();
  }

  async #exactNumbers() {
    if (this.rows.sparse) {
      const page = await this.#source.page({ at_byte: this.rows.first?.b ?? 0 }, { count: ROWS_MAX, signal: this.#stopped.signal });
      this.rows.learnNumbers(page.rows);
      return;
    }
    // The window may move on while the server counts: then ask again for what is in it now.
    for (let tries = 0; tries < EXACT_TRIES && this.rows.first && !this.rows.exact; tries += 1) {
      const page = await this.#source.page({ at_byte: this.rows.first.b }, { count: 1, signal: this.#stopped.signal });
      this.rows.learnNumber(page.rows[0]);
    }
  }

  #guessNumbers() {
    if (!this.rows.first || this.rows.exact) return;
    if (this.rows.sparse) {
      this.rows.estimateEach((byte) => this.numbers.estimate(byte));
      if (this.numbers.complete) this.#exactNumbers().catch((error) => this.#on.problem(error, () => this.readIndex()));
      return;
    }
    this.rows.numberFrom(this.numbers.estimate(this.rows.first.b), false);
    if (this.numbers.complete) this.#exactNumbers().catch((error) => this.#on.problem(error, () => this.readIndex()));
  }
}
