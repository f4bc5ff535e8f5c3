// Search inside one file: asks /api/v1/search for this path, collects hits in file order while they arrive.

import { getLines, Problem } from "../api.js";
import { unitSpans } from "./row.js";

const HITS_MAX = 5000;

/** What a person typed in the find box, as a query of the search language: a phrase or a regex. */
export function asQuery(text, regex) {
  if (regex) return `/${text.replaceAll(/(?<!\\)((?:\\\\)*)\//g, "$1\\/")}/`;
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

export class Find {
  #fid;
  #gen;
  #abort = null;
  /** What the server has to be told to read the file as. */
  enc = "";
  text = "";
  exactCase = false;
  regex = false;
  /** Hits in file order: [{b, n, spans}]. */
  hits = [];
  #byByte = new Map();
  state = "idle";
  problem = null;
  progress = null;

  constructor(fid, gen) {
    this.#fid = fid;
    this.#gen = gen;
  }

  spansAt(byte) {
    return this.#byByte.get(byte)?.spans ?? null;
  }

  clear() {
    this.#abort?.abort();
    this.#abort = null;
    this.hits = [];
    this.#byByte = new Map();
    this.text = "";
    this.state = "idle";
    this.problem = null;
    this.progress = null;
  }

  /** Look for what a query of the search language finds in this file; resolves as `run` does. */
  look(query) {
    this.clear();
    Object.assign(this, { text: query, state: "running" });
    return this.#search({ q: query }, () => {});
  }

  /** Run; `onChange()` after each batch and at the end. Resolves when done, stopped or failed. */
  async run(text, { exactCase, regex }, onChange) {
    this.clear();
    Object.assign(this, { text, exactCase, regex, state: "running" });
    await this.#search({ q: asQuery(text, regex), case: exactCase }, onChange);
  }

  async #search(what, onChange) {
    const abort = new AbortController();
    this.#abort = abort;
    const params = { ...what, fid: this.#fid, gen: this.#gen, order: "oldest", limit: HITS_MAX, enc: this.enc };
    try {
      for await (const event of getLines("search", params, { signal: abort.signal })) {
        this.#take(event);
        onChange();
      }
      if (this.state === "running") this.state = "cut";
    } catch (error) {
      if (error.name === "AbortError") return;
      this.state = "failed";
      this.problem = error;
    }
    if (this.#abort === abort) this.#abort = null;
    onChange();
  }

  #take(event) {
    if (event.type === "hit") {
      if (this.#byByte.has(event.b)) return;
      // Of a long line the server sends the part around the match: its spans are none of the line's beginning.
      const hit = { b: event.b, n: event.n, spans: event.cut ? [] : unitSpans(event.s, event.spans) };
      this.#byByte.set(hit.b, hit);
      this.hits.splice(this.#placeOf(hit.b), 0, hit);
    } else if (event.type === "progress") {
      this.progress = event;
    } else if (event.type === "done") {
      this.state = event.reason;
    } else if (event.type === "problem") {
      throw new Problem(event.detail, { hint: event.hint, status: event.status });
    }
  }

  #placeOf(byte) {
    let low = 0;
    let high = this.hits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.hits[middle].b < byte) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The hit after (`forward`) or before the line at `byte`; goes around at the ends. Null without hits. */
  from(byte, forward) {
    if (!this.hits.length) return null;
    const at = this.#placeOf(byte);
    if (forward) {
      const next = this.hits[at]?.b === byte ? at + 1 : at;
      return this.hits[next % this.hits.length];
    }
    return this.hits[(at - 1 + this.hits.length) % this.hits.length];
  }

  /** "3 of 1,204" is position 3. Zero when the line at `byte` is no hit. */
  position(byte) {
    return this.#byByte.has(byte) ? this.#placeOf(byte) + 1 : 0;
  }
}
