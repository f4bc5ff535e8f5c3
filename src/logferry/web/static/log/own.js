// One's own words over a whole file: where each is, for the ticks beside the scrollbar.

import { COLOURS, keptRules } from "./rules.js";

export class OwnWords {
  #look;
  #onFound;
  #bytes = new Map();
  #closed;
  rules = keptRules();

  /** `look()`: a new Find in this file. `onFound()`: there are more ticks, or others. Nothing after `closed` fires. */
  constructor(look, onFound, closed) {
    this.#look = look;
    this.#onFound = onFound;
    this.#closed = closed;
  }

  /** The file is read as something else: what was found says nothing of it. */
  forget() {
    this.#bytes.clear();
  }

  /** Look through the file for each word that it was not looked through for yet. */
  async find() {
    const { rules } = this;
    for (const rule of rules) {
      const key = keyOf(rule);
      if (this.#bytes.has(key)) continue;
      const found = this.#look();
      await found.run(rule.word, { exactCase: rule.exactCase, regex: false }, () => {});
      if (this.#closed.aborted || this.rules !== rules) return;
      // What could not be looked through has no ticks; the words are marked where one reads.
      if (found.state !== "failed") this.#bytes.set(key, found.hits.map((hit) => hit.b));
      this.#onFound();
    }
    this.#onFound();
  }

  /** [{kind, bytes}]: `kind` is the number of the colour, from 1. */
  ticks() {
    return this.rules.map((rule) => ({ kind: COLOURS.indexOf(rule.colour) + 1, bytes: this.#bytes.get(keyOf(rule)) ?? [] }));
  }
}

function keyOf({ word, exactCase }) {
  return JSON.stringify([word, exactCase]);
}
