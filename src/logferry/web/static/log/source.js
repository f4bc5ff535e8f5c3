// Where rows come from: /api/v1/files/{fid}/lines, /index and /raw of one generation. Knows nothing of the page.

import { getBytes, getJson } from "../api.js";
import { decode, halfCharacter } from "./bytes.js";

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

  constructor(fid, gen) {
    this.#fid = fid;
    this.#gen = gen;
  }

  /** A page: {size, rows: [{n, b, len, s, cut}], next, end, …} as the server sent it. */
  async page(where, { count = PAGE_ROWS, signal } = {}) {
    const page = await getJson(`files/${this.#fid}/lines`, { gen: this.#gen, count, times: this.times, ...where }, { signal });
    this.#learn(page.rows);
    return page;
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
      const page = await this.page({ at_byte: at }, { count: PAGE_ROWS * 2, signal });
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
    return getJson(`files/${this.#fid}/index`, { gen: this.#gen }, { signal });
  }

  /**
   * More of a long line: {text, bytes}. `from` is where the text shown so far ends, give or take half a character that
   * the server left out; `bytes` is how far the text now reaches from `from`.
   */
  async more(from, length, { signal } = {}) {
    const bytes = await getBytes(`files/${this.#fid}/raw`, { gen: this.#gen, text: 1 }, from - 4, length + 4, { signal });
    const begin = 4 - halfCharacter(bytes.subarray(0, 4));
    const end = bytes.length - halfCharacter(bytes);
    return { text: decode(bytes.subarray(begin, end)), bytes: end - 4 };
  }
}
