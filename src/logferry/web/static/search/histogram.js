// When the lines were written that match: bars that can be clicked, dragged over, or walked with the keyboard.

import { count, el } from "../text.js";
import { short as clock, ZONE } from "../zone.js";
import { pageWith } from "./address.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 56;
const BARS_MAX = 240;
/** Fewer would be walls: the times around them, in which nothing was found, are drawn too. */
const BARS_MIN = 24;
/** Widths of bars, each a multiple of the one before, so that what was counted at one can be shown at another. */
const STEPS = [1, 5, 15, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 604800, 2419200, 29030400];

/** The bars of a histogram of the API, empty ones included: `[{at, count}]`; wider ones where there would be too many. */
export function bars(histogram) {
  const held = histogram.buckets.map((bucket) => [Date.parse(bucket.at), bucket.count]);
  if (!held.length) return { step: histogram.step_s, list: [] };
  let step = histogram.step_s;
  const floor = (ms) => Math.floor(ms / 1000 / step) * step * 1000;
  const first = histogram.from ? Date.parse(histogram.from) : held[0][0];
  const last = histogram.to ? Date.parse(histogram.to) - 1 : held.at(-1)[0];
  while ((last - first) / 1000 / step > BARS_MAX) step = STEPS.find((each) => each > step && each % step === 0) ?? step * 2;
  const sums = new Map();
  for (const [ms, n] of held) sums.set(floor(ms), (sums.get(floor(ms)) ?? 0) + n);
  const missing = Math.max(0, BARS_MIN - ((floor(last) - floor(first)) / 1000 / step + 1));
  const begin = histogram.from ? floor(first) : floor(first) - Math.ceil(histogram.to ? missing : missing / 2) * step * 1000;
  const end = histogram.to ? last : floor(last) + Math.floor(histogram.from ? missing : missing / 2) * step * 1000;
  const list = [];
  for (let ms = begin; ms <= end; ms += step * 1000) list.push({ at: ms, count: sums.get(ms) ?? 0 });
  return { step, list };
}

/** `from` and `to` of the page for bars `a` to `b`. `to` means the whole second that it names. */
export function range(list, step, a, b) {
  const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
  return { from: iso(list[Math.min(a, b)].at), to: iso(list[Math.max(a, b)].at + step * 1000 - 1000) };
}

function svg(tag, props) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  return node;
}

export class Histogram {
  #list = [];
  #step = 1;
  #at = -1;
  #from = -1;
  #chosen = svg("rect", { class: "chosen", y: 0, height: HEIGHT, width: 0, x: 0 });
  #words = el("span", { class: "said" });
  #axis = el("div", { class: "axis", "aria-hidden": "true" });
  #note = el("p", { class: "sub note", hidden: true });

  constructor() {
    this.#box = svg("svg", {
      viewBox: `0 0 1 ${HEIGHT}`, preserveAspectRatio: "none", role: "slider", tabindex: "0",
      "aria-label": "Hits over time. Arrow keys choose a bar, Enter narrows to it", "aria-valuemin": 0,
      "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "counting",
    });
    this.element = el("div", { class: "histogram counting" }, this.#box, this.#axis, this.#note);
    this.#wire();
  }

  #box;

  /** Draw what was counted so far. */
  show(histogram) {
    const { step, list } = bars(histogram);
    const chosen = [this.#at, this.#from].map((at) => this.#list[at]?.at);
    this.#list = list;
    this.#step = step;
    this.element.classList.remove("counting");
    const most = Math.max(1, ...list.map((bar) => bar.count));
    this.#box.setAttribute("viewBox", `0 0 ${Math.max(1, list.length)} ${HEIGHT}`);
    const drawn = list.flatMap((bar, i) => {
      if (!bar.count) return [];
      const height = Math.max(1.5, (bar.count / most) * (HEIGHT - 2));
      return [svg("rect", { class: "tick", x: i + 0.08, y: HEIGHT - height, width: 0.84, height })];
    });
    this.#box.replaceChildren(this.#chosen, ...drawn);
    this.#box.setAttribute("aria-valuemax", String(Math.max(0, list.length - 1)));
    this.#box.toggleAttribute("hidden", list.length === 0);
    this.element.classList.toggle("bare", list.length === 0);
    this.#axis.replaceChildren(
      el("span", {}, list.length ? clock(list[0].at, step) : ""), this.#words,
      el("span", {}, list.length ? clock(list.at(-1).at + step * 1000, step) : ""));
    // What somebody has chosen meanwhile stays chosen, wherever it stands now.
    const [at, from] = chosen.map((ms) => list.findIndex((bar) => bar.at <= ms && ms < bar.at + step * 1000));
    this.#from = from;
    this.#say(at, from < 0 ? at : from);
    this.#remark(histogram);
  }

  /** The counts did not come. */
  failed(message) {
    this.element.classList.remove("counting");
    this.element.classList.add("bare");
    this.#box.setAttribute("hidden", "");
    this.#note.hidden = false;
    this.#note.textContent = `No counts over time: ${message}`;
  }

  #remark(histogram) {
    const told = [];
    if (histogram.untimed) told.push(`${count(histogram.untimed)} ${histogram.untimed === 1 ? "line tells" : "lines tell"} no time`);
    if (histogram.outside) told.push(`${count(histogram.outside)} of another time`);
    this.#note.hidden = told.length === 0;
    this.#note.textContent = told.join(" · ");
  }

  /** The counting ended before all was counted, by agent and file too: what is drawn are `lines` hits. */
  unfinished(lines, message) {
    const told = `Counts are of ${count(lines)} ${lines === 1 ? "hit" : "hits"} only: ${message}`;
    this.element.classList.add("ended");
    this.#note.textContent = [told, this.#note.textContent].filter(Boolean).join(" · ");
    this.#note.hidden = false;
  }

  #label(a, b = a) {
    const lines = this.#list.slice(Math.min(a, b), Math.max(a, b) + 1).reduce((sum, bar) => sum + bar.count, 0);
    const until = this.#list[Math.max(a, b)].at + this.#step * 1000;
    const [since, end] = [clock(this.#list[Math.min(a, b)].at, this.#step), clock(until, this.#step)];
    const day = /^\w+ \d+ (?=\d\d:)/.exec(since)?.[0];
    const span = `${since} – ${day && end.startsWith(day) ? end.slice(day.length) : end}`;
    return `${span}: ${count(lines)} ${lines === 1 ? "hit" : "hits"}`;
  }

  #say(at, from = at) {
    this.#at = at;
    if (at < 0 || !this.#list.length) {
      this.#words.textContent = this.#list.length ? `a bar is ${width(this.#step)} · ${ZONE}` : "";
      this.#chosen.setAttribute("width", "0");
      this.#box.setAttribute("aria-valuetext", this.#list.length ? `${this.#list.length} bars, each ${width(this.#step)}` : "no bar");
      return;
    }
    const text = this.#label(from, at);
    this.#words.textContent = text;
    this.#chosen.setAttribute("x", String(Math.min(at, from)));
    this.#chosen.setAttribute("width", String(Math.abs(at - from) + 1));
    this.#box.setAttribute("aria-valuenow", String(at));
    this.#box.setAttribute("aria-valuetext", text);
  }

  #go(a, b) {
    if (a >= 0 && b >= 0) location.href = pageWith(range(this.#list, this.#step, a, b));
  }

  #under(event) {
    const box = this.#box.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * this.#list.length);
    return Math.min(Math.max(at, 0), this.#list.length - 1);
  }

  #wire() {
    const box = this.#box;
    box.addEventListener("pointermove", (event) => {
      const at = this.#under(event);
      this.#say(at, this.#from < 0 ? at : this.#from);
    });
    box.addEventListener("pointerleave", () => {
      if (this.#from < 0) this.#say(-1);
    });
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#list.length) return;
      box.setPointerCapture(event.pointerId);
      this.#from = this.#under(event);
      this.#say(this.#from);
    });
    box.addEventListener("pointerup", (event) => {
      const from = this.#from;
      this.#from = -1;
      if (from >= 0) this.#go(from, this.#under(event));
    });
    box.addEventListener("pointercancel", () => {
      this.#from = -1;
      this.#say(-1);
    });
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("blur", () => this.#say(-1));
  }

  #key(event) {
    const last = this.#list.length - 1;
    const moves = {
      ArrowLeft: this.#at - 1, ArrowDown: this.#at - 1, ArrowRight: this.#at + 1, ArrowUp: this.#at + 1, Home: 0, End: last,
    };
    if (event.key in moves) {
      this.#say(Math.min(Math.max(moves[event.key], 0), last));
      event.preventDefault();
    } else if (event.key === "Enter" && this.#at >= 0) this.#go(this.#at, this.#at);
  }
}

/** `an hour`, `15 minutes`, `a day`. */
export function width(step) {
  for (const [unit, one, many] of [[86400, "a day", "days"], [3600, "an hour", "hours"], [60, "a minute", "minutes"]]) {
    if (step % unit === 0) return step === unit ? one : `${count(step / unit)} ${many}`;
  }
  return step === 1 ? "a second" : `${step} seconds`;
}
