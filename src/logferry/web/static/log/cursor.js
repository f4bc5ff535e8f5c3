// Where the reader is in a log: the line under the cursor, the lines that the address names, one line to come back to.

export class Cursor {
  #rows;
  #row = null;
  #mark = -1;
  /** The lines that the address names: a place, or null. */
  target = null;

  /** `rows`: those in the page. */
  constructor(rows) {
    this.#rows = rows;
  }

  /** The row that was chosen last, though it may have left the page; null when none was. */
  get chosen() {
    return this.#row;
  }

  /** The row that was chosen, while it is in the page, else the first in view; null when nothing is. */
  get row() {
    return this.#row?.el.isConnected ? this.#row : this.#rows.atHeight(0);
  }

  /** The byte that this row begins at, or the chosen one began at. */
  get byte() {
    return (this.#row ?? this.#rows.atHeight(0))?.b ?? 0;
  }

  choose(row) {
    this.#row?.el.classList.remove("cursor");
    this.#row = row ?? null;
    this.#row?.el.classList.add("cursor");
  }

  /** Choose a row, and highlight it or the lines around it that `place` names. */
  aim(row, place) {
    this.target = row ? place : null;
    this.choose(row);
    this.paint();
  }

  /** Highlight what the address names, in the rows that are in the page now. */
  paint() {
    for (const row of this.#rows.rows) row.el.classList.toggle("target", this.#isTarget(row));
  }

  #isTarget(row) {
    const place = this.target;
    if (place?.kind === "line") return this.#rows.exact && row.n !== null && row.n >= place.from && row.n <= place.to;
    return place?.kind === "byte" && row.b <= place.byte && place.byte < row.b + Math.max(1, row.len);
  }

  /** One row up (-1) or down (1), kept in view. */
  move(step) {
    const rows = this.#rows;
    if (!rows.first) return;
    const from = this.#row?.el.isConnected ? rows.indexOf(this.#row) : rows.indexOf(rows.atHeight(0)) - step;
    const row = rows.rows[Math.min(rows.rows.length - 1, Math.max(0, from + step))];
    this.choose(row);
    row.el.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** The place of a row: its line while that is known for certain, else its byte. */
  placeOf(row) {
    if (this.#rows.exact && row.n) return { kind: "line", from: row.n, to: row.n };
    return { kind: "byte", byte: row.b };
  }

  /** What a link to here names; null when nothing is in view. */
  place() {
    if (this.target) return this.target;
    const { row } = this;
    return row ? this.placeOf(row) : null;
  }

  /** From the lines that are highlighted to `place`, when both are lines; else `place`. */
  stretched(place) {
    if (place.kind !== "line" || this.target?.kind !== "line") return place;
    const [from, to] = [this.target.from, place.from].sort((a, b) => a - b);
    return { kind: "line", from, to };
  }

  /** Keep this row as the one to come back to; the row, or null. */
  mark() {
    const { row } = this;
    if (row) this.#mark = row.b;
    return row;
  }

  /** The place that was marked; null when none was. */
  get marked() {
    return this.#mark < 0 ? null : { kind: "byte", byte: this.#mark };
  }
}
