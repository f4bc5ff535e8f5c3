// The lines of a tail in the page: at most so many (what is said between them counts), the newest last, each with its file; a filter hides, pausing holds.

import { BASE } from "../api.js";
import { el } from "../text.js";
import { level } from "../log/levels.js";
import { occurrences, paintText } from "../log/row.js";

const AT_ONCE = 2000;

function address(file, gen, byte) {
  const path = `${file.agent}/${file.path}`.split("/").map(encodeURIComponent).join("/");
  return `${BASE}/view/${path}?gen=${gen}&at=b${byte}`;
}

export class Lines {
  #list;
  #kept;
  #files;
  #rows = []; // lines and notes; a note has no target
  #notes = 0;
  #word = "";
  #last = new Map();

  /** `list` is the element, `files` a Map of fid to {agent, path, name, band}. */
  constructor(list, files, kept) {
    this.#list = list;
    this.#files = files;
    this.#kept = kept;
  }

  get count() {
    return this.#rows.length - this.#notes;
  }

  get shown() {
    return this.#word ? this.#rows.filter((row) => row.target && !row.node.hidden).length : this.count;
  }

  /** Show rows [{fid, gen, row}], the newest last. */
  add(items) {
    const fresh = items.slice(-this.#kept);
    for (let at = 0; at < fresh.length; at += AT_ONCE) {
      const nodes = document.createDocumentFragment();
      for (const item of fresh.slice(at, at + AT_ONCE)) this.#put(item, nodes);
      this.#list.append(nodes);
    }
    this.#trim();
  }

  /** Say something between the lines: a new generation, a gap. */
  say(text) {
    const node = el("li", { class: "tail-note" }, text);
    this.#list.append(node);
    this.#rows.push({ node });
    this.#notes += 1;
    this.#trim();
  }

  #trim() {
    const over = this.#rows.length - this.#kept;
    if (over <= 0) return;
    for (const row of this.#rows.splice(0, over)) {
      row.node.remove();
      if (!row.target) this.#notes -= 1;
    }
  }

  clear() {
    this.#rows = [];
    this.#notes = 0;
    this.#last.clear();
    this.#list.replaceChildren();
  }

  /** Only lines with `word` are seen, and it is marked in them; "" shows all. */
  filter(word) {
    this.#word = word;
    for (const row of this.#rows) if (row.target) this.#paint(row);
  }

  #put({ fid, gen, row }, nodes) {
    const key = `${gen}:${row.b}`;
    const before = this.#last.get(fid);
    if (before?.key === key) {
      // The line was not finished when it was shown first.
      before.text = row.s;
      this.#paint(before);
      return;
    }
    const file = this.#files.get(fid);
    const text = el("span", { class: "t" });
    const where = el("a", { class: "where", href: address(file, gen, row.b), title: `${file.agent}/${file.path}` });
    where.textContent = file.name;
    const node = el("li", { class: "tail-line", dataset: { band: file.band } }, where, text);
    const kept = { key, text: row.s, node, target: text };
    const letter = level(row.s);
    if (letter) node.dataset.lv = letter;
    if (row.cut) node.append(el("a", { class: "rest", href: address(file, gen, row.b) }, "long line: open"));
    this.#paint(kept);
    this.#rows.push(kept);
    this.#last.set(fid, kept);
    nodes.append(node);
  }

  #paint(row) {
    const ranges = occurrences(row.text, this.#word, false);
    row.node.hidden = this.#word !== "" && ranges.length === 0;
    paintText(row.target, row.text, ranges);
  }
}
