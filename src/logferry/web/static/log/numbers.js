// Line numbers from the sparse index: {step, counts[], complete, lines_total}, one line count per step bytes. Pure.

export class Numbers {
  #starts = [1];
  #step = 0;
  #size = 0;
  complete = false;
  total = null;

  /** Take over what the server knows so far. */
  update(index) {
    this.#step = index.step;
    this.#size = index.size;
    this.#starts = [1];
    for (const lines of index.counts) this.#starts.push(this.#starts.at(-1) + lines);
    this.complete = index.complete;
    this.total = index.complete ? index.lines_total : null;
  }

  /** The estimated number of the line at `byte`; null while nothing is known. */
  estimate(byte) {
    const known = this.#starts.length - 1;
    if (known === 0) return null;
    const block = Math.floor(byte / this.#step);
    if (block < known) {
      const end = Math.min((block + 1) * this.#step, Math.max(this.#size, byte + 1));
      const share = (byte - block * this.#step) / (end - block * this.#step);
      return Math.round(this.#starts[block] + share * (this.#starts[block + 1] - this.#starts[block]));
    }
    const reached = known * this.#step;
    return Math.round(this.#starts[known] + (byte - reached) * ((this.#starts[known] - 1) / reached));
  }

  /** Whether the index was made when the file had `size` bytes. */
  covers(size) {
    return this.#size === size;
  }

  /** How many lines a file of `size` bytes has, as far as can be told; null while nothing is known. */
  estimateTotal(size) {
    if (this.complete && this.total !== null && this.covers(size)) return this.total;
    const last = this.estimate(size);
    return last === null ? null : Math.max(0, last - 1);
  }
}
