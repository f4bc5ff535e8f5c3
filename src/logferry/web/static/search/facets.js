// Where the lines are that match: agents, files, levels, each a way to a narrower question.

import { shown } from "../log/ansi.js";
import { paintText } from "../log/row.js";
import { count, el } from "../text.js";
import { facetTerm, pageWith, withTerm } from "./address.js";

const NAMES = { agent: "Agent", path: "File", level: "Level", ext: "Ending", file: "Name" };
const SHOWN = 8;

/** A value; of a path its last part, with what stands before it below. */
function nameElement(field, value) {
  const name = el("span", { class: "value" });
  const cut = field === "path" ? value.lastIndexOf("/") : -1;
  paintText(name, value.slice(cut + 1) || "(none)");
  if (cut < 0) return name;
  const above = el("span", { class: "above" });
  paintText(above, value.slice(0, cut));
  return el("span", { class: "value" }, name, above);
}

function valueElement(field, value, lines, q) {
  const name = nameElement(field, value);
  const row = el("li", {});
  if (!value) {
    row.append(el("span", { class: "to" }, name, el("span", { class: "num" }, count(lines))));
    return row;
  }
  const to = (no) => pageWith({ q: withTerm(q, facetTerm(field, value, no)) });
  const words = `${NAMES[field]} ${shown(value)}`;
  row.append(
    el("a", { class: "to", href: to(false), title: `Only ${words}` }, name, el("span", { class: "num" }, count(lines))),
    el("a", { class: "not", href: to(true), title: `Without ${words}`, "aria-label": `Without ${words}` }, "−"));
  return row;
}

function facetElement(facet, q, open) {
  const rows = facet.values.map((each) => valueElement(facet.field, each.value, each.count, q));
  const list = el("ul", {}, ...rows);
  const more = rows.length - SHOWN;
  if (more > 0) {
    for (const row of rows.slice(SHOWN)) row.hidden = true;
    const button = el("button", { type: "button", class: "more-values", onclick: () => {
      for (const row of rows) row.hidden = false;
      button.remove();
    } }, `${count(more)} more`);
    list.after(button);
    return details(facet, open, list, button);
  }
  return details(facet, open, list);
}

function details(facet, open, ...inside) {
  const other = facet.other
    ? [el("p", { class: "sub other" }, `${count(facet.other)} in ${count(facet.distinct - facet.values.length)} others`)] : [];
  const node = el("details", { open }, el("summary", {}, NAMES[facet.field] ?? facet.field,
    el("span", { class: "num" }, count(facet.distinct))), ...inside, ...other);
  node.dataset.field = facet.field;
  return node;
}

export class Facets {
  #q;
  #closed = new Set();

  constructor(q) {
    this.#q = q;
    this.element = el("nav", { class: "facet counting", "aria-label": "Narrow the search" },
      ...[1, 2, 3, 4].map(() => el("div", { class: "skeleton" })));
    if (matchMedia("(width <= 56rem)").matches) this.#closed = new Set(Object.keys(NAMES));
  }

  /** Draw what was counted so far. */
  show(facets) {
    for (const node of this.element.querySelectorAll("details")) {
      if (node.open) this.#closed.delete(node.dataset.field);
      else this.#closed.add(node.dataset.field);
    }
    this.element.classList.remove("counting");
    const telling = facets.filter((facet) => facet.values.some((each) => each.value));
    this.element.replaceChildren(...telling.map((facet) => facetElement(facet, this.#q, !this.#closed.has(facet.field))));
  }

  /** The counts did not come. */
  failed() {
    this.element.classList.remove("counting");
    this.element.replaceChildren();
  }
}
