// The page that follows files: the last lines first, then what arrives. It stays at the end until somebody scrolls up
// or pauses; what comes meanwhile is counted and shown on going on. A broken connection goes on without loss.

import { getJson } from "./api.js";
import { count, el, icon } from "./text.js";
import { Lines } from "./tail/lines.js";
import { Stream } from "./tail/stream.js";
import { clock } from "./zone.js";

const FIRST_LINES = 200;
const FIRST_LINES_MIN = 10;
const RATE_S = 10;
const NEAR_END_PX = 24;

class Tail {
  #box;
  #files = new Map();
  #lines;
  #kept;
  #pending = [];
  #dropped = 0;
  #paused = false;
  #lostAt = "";
  #last = "";
  #arrivals = [];
  #said = "";
  #stream = null;

  constructor(box, entries) {
    this.#box = box;
    this.#kept = Number(box.dataset.kept);
    for (const entry of entries) this.#files.set(Number(entry.dataset.fid), { ...entry.dataset });
    this.#build();
    this.#lines = new Lines(this.list, this.#files, this.#kept);
  }

  #build() {
    this.pause = el("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => this.toggle() });
    this.find = el("input", { type: "search", placeholder: "Only lines with…", "aria-label": "Only lines with", autocomplete: "off", spellcheck: "false" });
    this.find.addEventListener("input", () => this.#filter());
    const wrap = el("button", { class: "button quiet icon-only", type: "button", title: "Wrap long lines (z)", "aria-label": "Wrap long lines", "aria-pressed": "false" }, icon("wrap"));
    wrap.addEventListener("click", () => this.wrap());
    this.wrapButton = wrap;
    const clear = el("button", { class: "button quiet", type: "button", onclick: () => this.clear() }, "Clear");
    this.status = el("span", { class: "tail-status", role: "status" });
    this.rate = el("span", { class: "sub num" });
    this.list = el("ol", { class: "tail-lines" });
    this.scroller = el("div", { class: "tail-scroller", tabindex: "0", role: "region", "aria-label": "Lines" }, this.list);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.resume = el("button", { class: "button primary tail-resume", type: "button", hidden: true, onclick: () => this.toEnd() });
    const find = el("label", { class: "filter" }, icon("search"), this.find);
    const bar = el("div", { class: "tail-bar" }, this.pause, find, wrap, clear, el("span", { class: "end" }, this.rate, this.status));
    this.#box.classList.toggle("single", this.#files.size === 1);
    this.#box.replaceChildren(bar, this.scroller, this.resume);
    this.#drawPause();
    document.addEventListener("keydown", (event) => this.#key(event));
    setInterval(() => this.#drawRate(), 1000);
  }

  async start() {
    this.#say("loading the last lines…");
    const places = [];
    const share = Math.max(FIRST_LINES_MIN, Math.floor(FIRST_LINES / this.#files.size));
    try {
      const pages = await Promise.all([...this.#files].map(([fid, file]) => this.#lastLines(fid, Number(file.gen), share)));
      for (const { fid, gen, page } of pages) {
        this.#lines.add(page.rows.map((row) => ({ fid, gen, row })));
        places.push(`${fid}:${gen}:${page.size}`);
      }
    } catch (problem) {
      this.#ended({ detail: problem.message, hint: problem.hint });
      return;
    }
    this.#toEnd();
    this.#say("connecting…");
    this.#stream = new Stream([...this.#files.keys()], places.join(","), {
      lines: (fid, gen, rows) => this.#arrived(rows.map((row) => ({ fid, gen, row }))),
      gen: (fid, gen) => this.#newLife(fid, gen),
      open: () => this.#back(),
      lost: () => this.#lost(),
      ended: (problem) => this.#ended(problem),
    });
    this.#stream.open();
    window.addEventListener("pagehide", () => this.#stream.close());
  }

  async #lastLines(fid, gen, share) {
    return { fid, gen, page: await getJson(`files/${fid}/lines`, { gen, tail: share }) };
  }

  // What arrives -------------------------------------------------------------------------------------------------

  #arrived(items) {
    this.#last = clock(Date.now());
    this.#arrivals.push([performance.now(), items.length]);
    if (this.#holding) {
      this.#pending.push(...items);
      const over = this.#pending.length - this.#kept;
      if (over > 0) {
        this.#pending.splice(0, over);
        this.#dropped += over;
      }
      this.#drawResume();
      return;
    }
    this.#lines.add(items);
    this.#toEnd();
    this.#drawState();
  }

  #newLife(fid, gen) {
    const file = this.#files.get(fid);
    if (!this.#holding) this.#lines.say(`${file.name}: generation ${gen} begins`);
    if (!this.#holding) this.#toEnd();
  }

  // Where the connection stands ------------------------------------------------------------------------------------

  #back() {
    const lost = this.#lostAt;
    this.#lostAt = "";
    if (lost) this.#say(`connected again, nothing was lost since ${lost}`);
    else this.#drawState();
  }

  #lost() {
    if (this.#lostAt) return;
    this.#lostAt = clock(Date.now());
    this.#say(`connection lost, resuming from ${this.#last || this.#lostAt} (no lines lost)`);
  }

  #ended(problem) {
    this.#say("");
    const retry = el("button", { class: "button", type: "button", onclick: () => location.reload() }, icon("retry"), "Retry");
    const words = el("div", {}, el("p", {}, el("strong", {}, `Not following: ${problem.detail}`)), problem.hint ? el("p", {}, problem.hint) : "");
    this.#box.insertBefore(el("div", { class: "notice bad", role: "alert" }, icon("warn"), words, el("span", { class: "end" }, retry)), this.scroller);
  }

  // Pausing --------------------------------------------------------------------------------------------------------

  get #holding() {
    return this.#paused || !this.#atEnd;
  }

  #atEnd = true;

  #scrolled() {
    const box = this.scroller;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
    if (atEnd === this.#atEnd) return;
    this.#atEnd = atEnd;
    if (atEnd && !this.#paused) this.#flush();
    this.#drawState();
    this.#drawResume();
  }

  toggle() {
    this.#paused = !this.#paused;
    if (!this.#paused) this.toEnd();
    this.#drawPause();
    this.#drawState();
    this.#drawResume();
  }

  toEnd() {
    this.#paused = false;
    this.#atEnd = true;
    this.#drawPause();
    this.#flush();
    this.#toEnd();
    this.#drawState();
    this.#drawResume();
  }

  #flush() {
    if (this.#dropped) this.#lines.say(`${count(this.#dropped)} lines came meanwhile that are not kept here; the files have them`);
    this.#lines.add(this.#pending);
    this.#pending = [];
    this.#dropped = 0;
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  clear() {
    this.#lines.clear();
    this.toEnd();
  }

  wrap() {
    const on = this.#box.classList.toggle("wrapped");
    this.wrapButton.setAttribute("aria-pressed", String(on));
    if (!this.#holding) this.#toEnd();
  }

  #filter() {
    this.#lines.filter(this.find.value.trim());
    if (!this.#holding) this.#toEnd();
    this.#drawState();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && event.target === this.find) {
      this.find.value = "";
      this.#filter();
      this.scroller.focus();
      return;
    }
    if (typing) return;
    const work = { " ": () => this.toggle(), p: () => this.toggle(), End: () => this.toEnd(), G: () => this.toEnd(), f: () => this.toEnd(), z: () => this.wrap(), "/": () => this.find.focus() }[event.key];
    if (!work || (event.key === " " && event.target.closest("button, a, summary"))) return;
    event.preventDefault();
    work();
  }

  // What is said ---------------------------------------------------------------------------------------------------

  #say(text) {
    if (text === this.#said) return;
    this.#said = text;
    this.status.textContent = text;
  }

  #drawState() {
    if (this.#lostAt) return;
    if (this.#paused) this.#say("paused");
    else if (!this.#atEnd) this.#say("paused: you scrolled up");
    else if (this.#last) this.#say("following");
    else this.#say("waiting for new lines");
  }

  #drawPause() {
    this.pause.replaceChildren(icon(this.#paused ? "follow" : "pause"), this.#paused ? "Go on" : "Pause");
    this.pause.setAttribute("aria-pressed", String(this.#paused));
  }

  #drawResume() {
    this.resume.hidden = !this.#holding;
    const fresh = this.#pending.length + this.#dropped;
    this.resume.replaceChildren(icon("end"), fresh ? `${count(fresh)} new below` : "To the end");
  }

  #drawRate() {
    const since = performance.now() - RATE_S * 1000;
    this.#arrivals = this.#arrivals.filter(([at]) => at >= since);
    const lines = this.#arrivals.reduce((sum, [, number]) => sum + number, 0);
    const rate = lines / RATE_S;
    const text = this.find.value.trim() ? `${count(this.#lines.shown)} of ${count(this.#lines.count)} lines · ` : "";
    this.rate.textContent = `${text}${rate >= 10 ? count(Math.round(rate)) : rate.toFixed(1)} lines/s`;
  }
}

const box = document.querySelector("#tail");
if (box) new Tail(box, document.querySelectorAll("#followed [data-fid]")).start();
