// Where merged rows come from: /api/v1/merged for one choice of files. Knows nothing of the page.

import { getJson } from "../api.js";

export class Source {
  #query;
  sources = [];

  /** `query`: "f=…&s=…", the files in order. */
  constructor(query) {
    this.#query = query;
  }

  /** A page: {sources, rows, start, end, at_start, at_end}. `where` is one of the places of the API, or {} for the start. */
  async page(where, { count = 250, signal } = {}) {
    const query = new URLSearchParams(this.#query);
    for (const [name, value] of Object.entries({ ...where, count })) query.append(name, String(value));
    const page = await getJson(`merged?${query}`, {}, { signal });
    this.sources = page.sources;
    return page;
  }

  /** The files with their generations pinned, so that a link stays with these bytes. */
  pinned() {
    const query = new URLSearchParams();
    for (const one of this.sources) {
      const last = one.parts.at(-1);
      if (one.series || !last) query.append(one.series ? "s" : "f", one.name);
      else query.append("f", `${last.fid}.${last.gen}`);
    }
    return query;
  }

  /** Which share of all bytes lies before a cursor. */
  fraction(cursor) {
    let held = 0;
    let total = 0;
    cursor.split(",").forEach((place, at) => {
      const one = this.sources[at];
      if (!one?.parts.length || place === "-") return;
      const [fid, gen, byte] = place.split(".").map(Number);
      const number = one.parts.findIndex((part) => part.fid === fid && part.gen === gen);
      const sizes = one.parts.map((part) => part.size);
      total += sizes.reduce((sum, size) => sum + size, 0);
      if (number >= 0) held += sizes.slice(0, number).reduce((sum, size) => sum + size, 0) + Math.min(byte, sizes[number]);
    });
    return total ? Math.min(1, held / total) : 0;
  }
}
