// Hits of a file with the lines around them: what overlaps or touches is one block, each line once, in the file's order.

import { el } from "../text.js";

/** Lines of one file, gathered into blocks as they come. `draw(row, isHit)` makes the elements of a line. */
export class Lines {
  #draw;
  #rows = new Map();
  #last = null;
  element = el("div", { class: "hit-lines" });

  constructor(draw) {
    this.#draw = draw;
  }

  /** A hit that is not shown by itself yet; where it stands as a line around another one it is marked as what it is. */
  known(hit) {
    const row = this.#rows.get(hit.b);
    if (row && !row.isHit) this.#become(row, hit);
  }

  /** A hit with the lines around it. */
  add(hit) {
    if (!hit.before.length && !hit.after.length) {
      if (!this.#rows.get(hit.b)?.isHit) this.#begin(hit.b, hit.b, false);
    } else {
      const low = (hit.before[0] ?? hit).b;
      const high = end(hit.after.at(-1) ?? hit);
      const touches = this.#last?.isWide && low <= this.#last.high && high >= this.#last.low;
      if (!touches) this.#begin(low, high, true);
      this.#last.low = Math.min(this.#last.low, low);
      this.#last.high = Math.max(this.#last.high, high);
    }
    this.#put(hit, true);
    for (const row of [...hit.before, ...hit.after]) this.#put(row, false);
  }

  #begin(low, high, isWide) {
    if (isWide && this.element.childElementCount) {
      this.element.append(el("div", { class: "hit-line gap", "aria-hidden": "true" }));
    }
    this.#last = { low, high, isWide, rows: [] };
  }

  #put(line, isHit) {
    const held = this.#rows.get(line.b);
    if (held) {
      if (isHit && !held.isHit) this.#become(held, line);
      return;
    }
    const { rows } = this.#last;
    if (!isHit && rows.some((row) => row.isHit && row.b < line.b && line.b < row.end)) return; // within an entry
    const row = { b: line.b, end: end(line), isHit, nodes: this.#draw(line, isHit), block: this.#last };
    const at = rows.findIndex((each) => each.b > line.b);
    if (at < 0) {
      rows.push(row);
      this.element.append(...row.nodes);
    } else {
      rows[at].nodes[0].before(...row.nodes);
      rows.splice(at, 0, row);
    }
    this.#rows.set(row.b, row);
    if (isHit) this.#swallow(row);
  }

  #become(row, hit) {
    const [first, ...others] = row.nodes;
    for (const node of others) node.remove();
    row.nodes = this.#draw(hit, true);
    first.replaceWith(...row.nodes);
    row.isHit = true;
    row.end = end(hit);
    this.#swallow(row);
  }

  /** Lines around other hits that are lines of this entry go. */
  #swallow(entry) {
    const { block } = entry;
    block.rows = block.rows.filter((row) => {
      if (row === entry || row.isHit || row.b <= entry.b || row.b >= entry.end) return true;
      for (const node of row.nodes) node.remove();
      this.#rows.delete(row.b);
      return false;
    });
  }
}

/** The byte behind a line. */
function end(line) {
  return line.b + line.len;
}
