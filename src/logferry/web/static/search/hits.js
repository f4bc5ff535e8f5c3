// Hits by file: a head with ways to the file and around it, the first lines with their context, a button for more.

import { BASE } from "../api.js";
import { paintText, unitSpans } from "../log/row.js";
import { count, el, icon } from "../text.js";
import { facetTerm, pageWith, withTerm } from "./address.js";
import { Lines } from "./lines.js";

const SHOWN_AT_FIRST = 5;
const SHOWN_MORE = 50;
/** Of a longer line the part around its first match is shown; the viewer has it whole. */
const LINE_CHARS = 1000;
const BEFORE_CHARS = 100;

function viewerLink(hit) {
  const path = `${hit.agent}/${hit.path}`.split("/").map(encodeURIComponent).join("/");
  const params = new URLSearchParams({ gen: hit.gen });
  const [span] = unitSpans(hit.s ?? "", hit.spans ?? []);
  const word = span ? hit.s.slice(span[0], span[1]) : "";
  if (word && word.length <= 200) params.set("hl", word);
  if (!hit.n && hit.b) params.set("at", `b${hit.b}`);
  return `${BASE}/view/${path}?${params}${hit.n ? `#L${hit.n}` : ""}`;
}

function lineElement(tag, props, number, text, spans = []) {
  const body = el("span", { class: "ht" });
  paintText(body, ...excerpt(text, spans));
  return el(tag, props, el("span", { class: "hn" }, number ? String(number) : ""), body);
}

/** The lines of a hit, or one around it. */
function elementsOf(hit, isHit) {
  if (!isHit) return [lineElement("div", { class: "hit-line around" }, hit.n, hit.s)];
  const text = hit.s_from > 0 ? `…${hit.s}` : hit.s;
  const spans = unitSpans(hit.s, hit.spans).map(([from, to]) => (hit.s_from > 0 ? [from + 1, to + 1] : [from, to]));
  const [first, ...others] = linesOf(hit.cut ? `${text}…` : text, spans);
  return [
    lineElement("a", { class: "hit-line", href: viewerLink(hit) }, hit.n, ...first),
    ...others.map((line, i) => lineElement("div", { class: "hit-line" }, hit.n && !hit.s_from ? hit.n + i + 1 : null, ...line)),
  ];
}

/** A line and its spans, if it is long only the part around the first of them. */
export function excerpt(text, spans) {
  if (text.length <= LINE_CHARS) return [text, spans];
  const isInside = (at) => at > 0 && at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00; // of a pair
  let from = Math.max(0, Math.min((spans[0]?.[0] ?? 0) - BEFORE_CHARS, text.length - LINE_CHARS));
  if (isInside(from)) from -= 1;
  let to = Math.min(text.length, from + LINE_CHARS);
  if (isInside(to)) to += 1;
  const shift = from ? from - 1 : 0;
  const kept = spans.filter(([a, b]) => a < to && b > from)
    .map(([a, b]) => [Math.max(a, from) - shift, Math.min(b, to) - shift]);
  return [`${from ? "…" : ""}${text.slice(from, to)}${to < text.length ? "…" : ""}`, kept];
}

/** The lines of an entry, each with its part of the spans; a text without line ends is one. */
export function linesOf(text, spans) {
  let at = 0;
  return text.split("\n").map((line) => {
    const end = at + line.length;
    const inside = spans.filter(([from, to]) => from < end && to > at)
      .map(([from, to]) => [Math.max(from, at) - at, Math.min(to, end) - at]);
    at = end + 1;
    return [line.replace(/\r$/, ""), inside];
  });
}

/** The hits of one file. */
export class Group {
  #hits = [];
  #shown = 0;
  #limit = SHOWN_AT_FIRST;
  #known = 0;
  #lines = new Lines(elementsOf);
  #number = el("span", { class: "num" });
  #more = el("button", { class: "more", type: "button", hidden: true, onclick: () => this.#showMore() });

  constructor(hit, q) {
    this.fid = hit.fid;
    const place = `${hit.agent}/${hit.path}`;
    const name = el("span", { class: "path" });
    paintText(name, `/${hit.path}`);
    const link = (no, title, sign) => el("a", {
      class: "button quiet small", href: pageWith({ q: withTerm(q, facetTerm("path", place, no)) }), title, "aria-label": title,
    }, sign);
    const open = el("a", { class: "to-file", href: viewerLink({ ...hit, n: null, b: 0, spans: [] }) },
      el("span", { class: "tag" }, hit.agent), " ", name);
    this.element = el("section", { class: "card group" },
      el("header", {}, icon("file"), open, this.#number,
        el("span", { class: "ways" }, link(false, "Only this file", "only"), link(true, "Without this file", "not"))),
      this.#lines.element, this.#more);
  }

  add(hit) {
    this.#hits.push(hit);
  }

  draw() {
    const fresh = this.#hits.slice(this.#shown, this.#limit);
    for (const hit of fresh) this.#lines.add(hit);
    this.#shown += fresh.length;
    // Lines around them may be hits whose turn has not come: those that were there before, or came since the last time.
    for (const hit of this.#hits.slice(fresh.length ? this.#shown : this.#known)) this.#lines.known(hit);
    this.#known = this.#hits.length;
    this.#number.textContent = `${count(this.#hits.length)} ${this.#hits.length === 1 ? "hit" : "hits"}`;
    const left = this.#hits.length - this.#shown;
    this.#more.hidden = left === 0;
    this.#more.textContent = `Show ${count(Math.min(left, SHOWN_MORE))} more of ${count(left)}`;
  }

  #showMore() {
    this.#limit += SHOWN_MORE;
    this.draw();
  }
}
