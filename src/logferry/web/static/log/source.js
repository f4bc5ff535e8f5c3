// Where rows come from: /api/v1/files/{fid}/lines, /kept, /index and /text of one generation. Knows nothing of the page.

import { getJson } from "../api.js";

const PAGE_ROWS = 250;
const BACK_ROWS_MAX = 4000;
const BACK_BYTES_MIN = 4 * 1024;
const BACK_BYTES_MAX = 512 * 1024;

export class Source {
  #fid;
  #gen;
  #rowBytes = 120;
  /** Whether rows shall come with their times. */
  times = false;
  /** What is kept of the file, {q, case, context, fold}; null: every line. */
  kept = null;
  /** The encoding that was chosen; empty: the one it looks like. */
  enc = "";
  /** The encoding that it is read as, and what lines with bad bytes look like instead. */
  encoding = "";
  looksLike = null;

  constructor(fid, gen) {
    this.#fid = fid;
    this.#gen = gen;
  }

  /** A page of what is kept: {size, rows: [{n, b, len, s, cut}], next, end, …} as the server sent it. */
  page(where, { count = PAGE_ROWS, signal } = {}) {
    if (!this.kept) return this.lines(where, { count, signal });
    return this.#get("kept", { count, times: this.times, ...this.kept, ...where }, signal);
  }

  /** A page of all lines, whatever is kept. */
  async lines(where, { count = PAGE_ROWS, signal } = {}) {
    const page = await this.#get("lines", { count, times: this.times, ...where }, signal);
    this.#learn(page.rows);
    return page;
  }

  /** Lines from some `above` before `byte` on, as far as the lines seen so far tell where those begin. */
  around(byte, above, { count, signal } = {}) {
    const span = Math.round(Math.min(this.#rowBytes * above, BACK_BYTES_MAX));
    return this.lines({ at_byte: Math.max(0, byte - span) }, { count, signal });
  }

  async #get(what, params, signal) {
    const page = await getJson(`files/${this.#fid}/${what}`, { gen: this.#gen, ...params, enc: this.enc }, { signal });
    this.encoding = page.encoding;
    this.looksLike = page.looks_like ?? this.looksLike;
    return page;
  }

  /** What stands before `byte`: {rows, prev}, where `prev` is where to look on (null: there is nothing more). */
  async above(byte, { count = PAGE_ROWS, signal } = {}) {
    if (this.kept) return byte > 0 ? this.page({ before: byte }, { count, signal }) : { rows: [], prev: null };
    const rows = await this.before(byte, { count, signal });
    return { rows, prev: (rows[0]?.b ?? 0) || null };
  }

  /**
   * Up to `count` rows that end right before byte `first`. The address of a line start is not known from behind, so
   * this starts as far back as the lines seen so far suggest, and further if that was inside one long line.
   */
  async before(first, { count = PAGE_ROWS, signal } = {}) {
    if (first <= 0) return [];
    let span = Math.round(Math.min(Math.max(this.#rowBytes * count, BACK_BYTES_MIN), BACK_BYTES_MAX));
    for (;;) {
      const start = Math.max(0, first - span);
      const rows = await this.#between(start, first, signal);
      if (rows.length > 0 || start === 0) return rows.slice(-count);
      span *= 8;
    }
  }

  async #between(start, first, signal) {
    let rows = [];
    let at = start;
    while (at !== null && at < first) {
      const page = await this.lines({ at_byte: at }, { count: PAGE_ROWS * 2, signal });
      const known = rows.length ? rows.at(-1).b : -1;
      rows = rows.concat(page.rows.filter((row) => row.b > known && row.b < first)).slice(-BACK_ROWS_MAX);
      if (page.end || page.next === at) break;
      at = page.next;
    }
    return rows;
  }

  #learn(rows) {
    if (rows.length < 2) return;
    const bytes = (rows.at(-1).b - rows[0].b) / (rows.length - 1);
    this.#rowBytes = this.#rowBytes * 0.5 + bytes * 0.5;
  }

  /** The sparse index: {size, step, counts, lines_total, complete}. */
  index({ signal } = {}) {
    return getJson(`files/${this.#fid}/index`, { gen: this.#gen, enc: this.enc }, { signal });
  }

  /** More of a long line, from byte `from` on: {s, bytes}. */
  more(from, length, { signal } = {}) {
    const params = { gen: this.#gen, at_byte: String(from), max_bytes: length, enc: this.enc };
    return getJson(`files/${this.#fid}/text`, params, { signal });
  }
}
