// The moving window over merged files: native scrolling inside it, rows fetched before the reader reaches its edge.

import { Scrollbar } from "../log/scrollbar.js";
import { cursorBefore, keyOf, Rows, ROWS_MAX } from "./rows.js";

const ABOVE_ROWS = 80;
const EDGE_SCREENS = 2;
const AT_END_PX = 6;
const DRAG_FETCH_MS = 80;

export class Window {
  rows;
  bar;
  atStart = true;
  atEnd = true;
  start = "";
  end = "";
  #scroller;
  #source;
  #on;
  #jump = null;
  #filling = null;
  #frame = 0;
  #drag = { timer: 0, fraction: 0 };
  #lastTop = 0;

  /** `on`: {moved(), problem(error, retry), up(), page(page)}. */
  constructor(scroller, body, source, on) {
    this.#scroller = scroller;
    this.#source = source;
    this.#on = on;
    this.rows = new Rows(body, () => source.sources);
    this.bar = new Scrollbar({
      controls: body.id,
      onMove: (fraction, done) => this.#dragged(fraction, done),
      describe: (fraction) => `${(fraction * 100).toFixed(0)} %`,
    });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.refresh()).observe(scroller);
  }

  /** Show a place of the API ({} is the start), with some lines above it. True unless a later jump overtook this one. */
  async go(where, { top = false } = {}) {
    this.#jump?.abort();
    const jump = new AbortController();
    this.#jump = jump;
    const { signal } = jump;
    try {
      const page = await this.#source.page(where, { signal });
      const above = page.at_start || where.tail ? null : await this.#source.page({ before: page.start, count: ABOVE_ROWS }, { signal });
      if (signal.aborted) return false;
      this.#jump = null;
      this.#arrive(page, above, where, top);
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.go(where, { top }));
      return false;
    } finally {
      if (this.#jump === jump) this.#jump = null;
    }
  }

  #arrive(page, above, where, top) {
    this.rows.replace([...(above?.rows ?? []), ...page.rows]);
    this.start = above?.start ?? page.start;
    this.end = page.end;
    this.atStart = above?.at_start ?? page.at_start;
    this.atEnd = page.at_end;
    this.#on.page(page);
    const first = this.rows.rows[above?.rows.length ?? 0];
    const wanted = where.at ? this.find(where.at) ?? first : first;
    if (where.tail) this.toEnd();
    else if (wanted && !top) this.#scroller.scrollTop = Math.max(0, wanted.el.offsetTop - Math.floor(this.#scroller.clientHeight / 3));
    else this.#scroller.scrollTop = wanted ? wanted.el.offsetTop : 0;
    this.#lastTop = this.#scroller.scrollTop;
    this.refresh();
  }

  find(key) {
    return this.rows.rows.find((row) => keyOf(row) === key) ?? null;
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  /** Whether the end of everything is in view. */
  get holdsEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    return this.atEnd && scrollHeight - scrollTop - clientHeight <= AT_END_PX;
  }

  get topIndex() {
    return this.rows.indexAt(this.#scroller.scrollTop);
  }

  get topRow() {
    return this.rows.rows[this.topIndex] ?? null;
  }

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

  refresh() {
    this.#setThumb();
    this.#on.moved();
    if (!this.bar.dragging) this.fill();
  }

  #setThumb() {
    const { rows } = this.rows;
    const { clientHeight, scrollHeight } = this.#scroller;
    const whole = this.atStart && this.atEnd && scrollHeight <= clientHeight + 1;
    if (whole || !rows.length) {
      this.bar.set(0, 1);
      return;
    }
    const from = this.#source.fraction(cursorBefore(rows, this.topIndex, this.end));
    const below = Math.min(rows.length, this.rows.indexAt(this.#scroller.scrollTop + clientHeight) + 1);
    const to = this.holdsEnd ? 1 : this.#source.fraction(cursorBefore(rows, below, this.end));
    const share = Math.max(0, to - from);
    this.bar.set(this.holdsEnd ? 1 : share < 1 ? from / (1 - share) : 0, Math.min(share, 0.999));
  }

  get fraction() {
    return this.holdsEnd ? 1 : this.#source.fraction(cursorBefore(this.rows.rows, this.topIndex, this.end));
  }

  /** Fetch what is nearly in view. One at a time. */
  fill() {
    this.#filling ??= this.#fillAll().finally(() => {
      this.#filling = null;
      this.#lastTop = this.#scroller.scrollTop;
    });
    return this.#filling;
  }

  async #fillAll() {
    try {
      while (!this.#jump && (await this.#fillOnce())) this.#setThumb();
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.fill());
    }
  }

  async #fillOnce() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const edge = clientHeight * EDGE_SCREENS;
    if (!this.atEnd && scrollHeight - scrollTop - clientHeight < edge) return (await this.extend()) > 0;
    if (!this.atStart && scrollTop < edge) return this.#extendUp();
    return false;
  }

  /** Fetch what follows; how many rows came. */
  async extend() {
    const from = this.end;
    const page = await this.#source.page({ after: from });
    if (this.#jump || this.end !== from) return 0;
    this.end = page.end;
    this.atEnd = page.at_end;
    const fresh = this.rows.append(page.rows);
    this.#on.page(page);
    this.#trimTop();
    return fresh;
  }

  async #extendUp() {
    const from = this.start;
    const page = await this.#source.page({ before: from });
    if (this.#jump || this.start !== from) return false;
    const height = this.#scroller.scrollHeight;
    const top = this.#scroller.scrollTop;
    this.rows.prepend(page.rows);
    this.#scroller.scrollTop = top + this.#scroller.scrollHeight - height;
    this.start = page.start;
    this.atStart = page.at_start;
    this.#on.page(page);
    const { rows } = this.rows;
    if (rows.length > ROWS_MAX) {
      this.end = cursorBefore(rows, ROWS_MAX, this.end);
      this.atEnd = false;
      this.rows.drop(rows.length - ROWS_MAX, false);
    }
    return page.rows.length > 0;
  }

  #trimTop() {
    const { rows } = this.rows;
    const spare = rows.length - ROWS_MAX;
    if (spare <= 0) return;
    this.start = cursorBefore(rows, spare, this.end);
    this.atStart = false;
    const height = rows[spare].el.offsetTop - rows[0].el.offsetTop;
    const top = this.#scroller.scrollTop;
    this.rows.drop(spare, true);
    this.#scroller.scrollTop = top - height;
    this.#lastTop = this.#scroller.scrollTop;
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

  #dragTo(fraction) {
    if (fraction <= 0) return this.go({}, { top: true });
    return fraction >= 1 ? this.go({ tail: true }) : this.go({ fraction }, { top: true });
  }
}
