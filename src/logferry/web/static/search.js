// The search page: hits as they are found, by file; counts over time and by agent, file and level meanwhile; Stop; an
// honest account at the end.

import { apiUrl, getLines, Problem } from "./api.js";
import { paintText } from "./log/row.js";
import { asked, exportUrl, pageWith, withoutFiles } from "./search/address.js";
import { Facets } from "./search/facets.js";
import { Group } from "./search/hits.js";
import { Histogram } from "./search/histogram.js";
import { count, el, icon, size } from "./text.js";

const DRAW_MS = 60;
const TALLY_TRIES = 4;
const ZIP_FILES_MAX = 100;

const STOPPED = {
  complete: "",
  limit: "these are the newest; it stopped at the limit you set",
  time: "stopped at the time limit: there may be more",
  cancelled: "stopped by the server: there may be more",
  you: "stopped by you",
  cut: "the connection broke: there may be more",
};

class Results {
  #root;
  #data;
  #groups = new Map();
  #fresh = new Set();
  #abort = new AbortController();
  #hits = 0;
  #total = null;
  #timer = 0;
  #started = performance.now();
  #progress = null;
  #running = true;

  constructor(root) {
    this.#root = root;
    this.#data = root.dataset;
    this.bar = el("progress", { class: "meter", max: "1", "aria-label": "Scanned" });
    this.words = el("span", { class: "state-text" });
    this.stop = el("button", { class: "button", type: "button", onclick: () => this.#abort.abort() }, icon("stop"), "Stop");
    this.ways = el("span", { class: "end" }, this.stop, this.#exports());
    this.status = el("div", { class: "search-status", role: "status" }, this.words, this.bar, this.ways);
    this.histogram = new Histogram();
    this.facets = new Facets(this.#data.q);
    this.list = el("div", { class: "hits-by-file" });
    this.waiting = el("div", { class: "card" }, ...[1, 2, 3].map(() => el("div", { class: "skeleton" })));
    this.layout = el("div", { class: "search-layout" }, this.facets.element, el("div", {}, this.waiting, this.list));
    root.replaceChildren(this.status, this.histogram.element, this.layout);
  }

  run() {
    this.#tally();
    return this.#search();
  }

  async #search() {
    const { context, limit } = this.#data;
    this.#sayProgress();
    try {
      for await (const event of getLines("search", { ...asked(this.#data), context, limit }, { signal: this.#abort.signal })) {
        this.#take(event);
      }
      if (this.#running) this.#done({ reason: "cut", errors: [] });
    } catch (error) {
      if (error.name === "AbortError") this.#done({ ...this.#progress, reason: "you", errors: [] });
      else this.#failed(error);
    }
  }

  // Counts --------------------------------------------------------------------------------------------------------

  async #tally() {
    const what = { ...asked(this.#data), facets: "agent,path,level" };
    for (let tries = 1; ; tries += 1) {
      try {
        for await (const event of getLines("search/histogram", what, { signal: this.#abort.signal })) this.#counted(event);
        if (this.#total?.isRunning ?? true) this.#uncounted(STOPPED.cut);
        return;
      } catch (error) {
        if (error.name === "AbortError") {
          this.#uncounted("stopped by you");
          return;
        }
        if (error.status !== 429 || tries === TALLY_TRIES) {
          this.#uncounted(error.message);
          return;
        }
        await new Promise((go) => setTimeout(go, 1500 * tries));
      }
    }
  }

  #counted(event) {
    if (event.type === "problem") throw new Problem(event.detail, { hint: event.hint, status: event.status });
    if (event.type !== "tally") return;
    const isRunning = event.reason === "running";
    if (isRunning && !event.total) return; // nothing to draw yet: what stands there says that it is being counted
    this.#total = { lines: event.total, exact: event.exact, isRunning };
    this.histogram.element.classList.toggle("so-far", isRunning);
    this.histogram.show(event.histogram);
    this.facets.show(event.facets);
    if (STOPPED[event.reason]) this.histogram.unfinished(event.total, STOPPED[event.reason]);
    if (this.#running) this.#sayProgress();
    else this.#sayTotal();
  }

  #uncounted(message) {
    if (this.#total) {
      if (this.#total.isRunning) this.histogram.unfinished(this.#total.lines, message);
      return;
    }
    this.histogram.failed(message);
    this.facets.failed();
    this.layout.classList.add("alone");
  }

  // Hits ----------------------------------------------------------------------------------------------------------

  #take(event) {
    if (event.type === "hit") this.#add(event);
    else if (event.type === "progress") this.#progress = event;
    else if (event.type === "done") {
      this.#progress = event;
      this.#done(event);
      return;
    } else if (event.type === "problem") {
      throw new Problem(event.detail, { hint: event.hint, status: event.status });
    }
    if (!this.#timer) this.#timer = setTimeout(() => this.#draw(), DRAW_MS);
  }

  #add(hit) {
    const key = `${hit.fid}:${hit.gen}`;
    let group = this.#groups.get(key);
    if (!group) {
      group = new Group(hit, this.#data.q);
      this.#groups.set(key, group);
      this.list.append(group.element);
    }
    group.add(hit);
    this.#fresh.add(group);
    this.#hits += 1;
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const group of this.#fresh) group.draw();
    this.#fresh.clear();
    if (this.#hits) this.waiting.remove();
    if (this.#running) this.#sayProgress();
  }

  // Words ---------------------------------------------------------------------------------------------------------

  #scanned(event) {
    if (!event?.total_bytes || (event.reason === "limit" && !event.scanned_bytes)) return "";
    if (event.scanned_bytes >= event.total_bytes) return `scanned all ${size(event.total_bytes)}`;
    return `scanned ${size(event.scanned_bytes)} of ${size(event.total_bytes)}`;
  }

  #found() {
    if (!this.#hits) return this.#running ? "No hit yet" : "No hit";
    const files = this.#groups.size;
    const inFiles = `in ${count(files)} ${files === 1 ? "file" : "files"}`;
    if (this.#total && this.#total.lines > this.#hits) {
      return `${count(this.#hits)} of ${this.#total.exact ? "" : "at least "}${count(this.#total.lines)} hits, ${inFiles}`;
    }
    return `${count(this.#hits)} ${this.#hits === 1 ? "hit" : "hits"} ${inFiles}`;
  }

  #sayProgress() {
    const scanned = this.#scanned(this.#progress);
    const state = ` · newest first, still searching${scanned ? ` · ${scanned}` : ""}`;
    this.words.replaceChildren(el("strong", {}, this.#found()), state);
    if (this.#progress?.total_bytes) this.bar.value = this.#progress.scanned_bytes / this.#progress.total_bytes;
  }

  #sayTotal() {
    this.words.querySelector("strong")?.replaceChildren(this.#found());
  }

  #ended() {
    this.#running = false;
    this.stop.remove();
    this.bar.remove();
    this.#draw();
  }

  #done(event) {
    this.#ended();
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1);
    const why = STOPPED[event.reason] ?? event.reason;
    const copies = event.copies
      ? `${count(event.copies)} compressed ${event.copies === 1 ? "copy" : "copies"} not searched twice` : "";
    const facts = [this.#scanned(this.#progress), copies, `${seconds} s`, why].filter(Boolean).join(" · ");
    this.words.replaceChildren(el("strong", {}, this.#found()), ` · ${facts}`);
    if (["cut", "time", "cancelled"].includes(event.reason)) this.#offerRetry();
    if (event.errors?.length) this.#showErrors(event.errors);
    if (event.remarks?.length) this.#showRemarks(event.remarks);
    if (!this.#hits) this.#nothing(event);
    this.#offerZip();
  }

  #exports() {
    const item = (format, words) => el("a", { href: exportUrl(this.#data, format), download: true }, words);
    this.zip = el("a", { hidden: true, download: true }, "");
    return el("details", { class: "menu" },
      el("summary", { class: "button", title: "Save all lines that match" }, icon("download"), "Export"),
      el("div", { class: "menu-body" }, el("p", { class: "menu-note" }, "Every line that matches, without a limit"),
        item("text", "Text, as grep prints it"), item("ndjson", "JSON lines"), item("csv", "CSV"), this.zip));
  }

  #offerZip() {
    const fids = [...new Set([...this.#groups.values()].map((group) => group.fid))];
    if (!fids.length || fids.length > ZIP_FILES_MAX) return;
    this.zip.href = `${apiUrl("archive.zip")}?${fids.map((fid) => `fid=${fid}`).join("&")}`;
    this.zip.textContent = fids.length === 1 ? "The file, whole, in a zip" : `These ${fids.length} files, whole, in a zip`;
    this.zip.hidden = false;
  }

  #offerRetry() {
    this.ways.prepend(el("a", { class: "button", href: location.href }, icon("retry"), "Retry"));
  }

  #nothing(event) {
    const files = event.files_total ?? 0;
    const scanned = event.reason === "complete"
      ? `Scanned ${size(event.scanned_bytes ?? 0)} in ${count(files)} ${files === 1 ? "file" : "files"}.`
      : "The search did not get to the end.";
    const { q, from, to } = this.#data;
    const widen = [];
    const wider = (changes, words) => widen.push(el("a", { class: "button", href: pageWith(changes) }, words));
    if (from || to) wider({ from: "", to: "" }, "Search all times");
    if (this.#data.case) wider({ case: "" }, "Ignore upper and lower case");
    const bare = withoutFiles(q);
    if (bare && bare !== q.trim()) wider({ q: bare }, "Search all files");
    this.waiting.replaceChildren(el("div", { class: "empty" }, icon("search"), el("h2", {}, "No line matches"),
      el("p", {}, scanned), el("p", { class: "toolbar" }, ...widen)));
    this.histogram.element.hidden = true;
    this.facets.element.remove();
    this.layout.classList.add("alone");
  }

  #notice(tone, title, ...inside) {
    const node = el("div", { class: `notice ${tone}`, role: tone === "bad" ? "alert" : null }, icon("warn"),
      el("div", {}, el("p", {}, el("strong", {}, title)), ...inside));
    this.status.after(node);
    return node;
  }

  #showErrors(errors) {
    const list = errors.map((error) => {
      const item = el("p", {});
      paintText(item, error);
      return item;
    });
    this.#notice("warn", `${count(errors.length)} ${errors.length === 1 ? "file" : "files"} could not be searched`, ...list);
  }

  #showRemarks(remarks) {
    const list = remarks.map((remark) => {
      const item = el("p", {});
      paintText(item, remark);
      return item;
    });
    this.#notice("info", "Nothing was missed, but something is wrong", ...list);
  }

  #failed(error) {
    this.#ended();
    this.words.replaceChildren(this.#hits ? this.#found() : "");
    const known = error instanceof Problem;
    const lines = [known ? error.hint : "", known && error.requestId ? `Request ${error.requestId}` : ""].filter(Boolean);
    this.waiting.remove();
    this.#notice("bad", error.message, ...lines.map((line) => el("p", {}, line)))
      .append(el("a", { class: "button end", href: location.href }, icon("retry"), "Retry"));
  }
}

/** The form: parameters that say nothing stay out of the address, a choice of time replaces what was typed. */
function wireForm(form) {
  const typed = form.querySelectorAll(".custom-time input");
  for (const button of form.querySelectorAll("button[name=from]")) {
    button.addEventListener("click", () => {
      for (const input of typed) input.value = "";
    });
  }
  form.addEventListener("submit", () => {
    const silent = [...form.elements].filter((each) => each.name && each.tagName !== "BUTTON" && each.name !== "q"
      && (each.value === "" || each.value === each.dataset.usual));
    for (const each of silent) each.disabled = true;
    setTimeout(() => {
      for (const each of silent) each.disabled = false;
    });
  });
}

const form = document.querySelector(".search-form");
if (form) wireForm(form);
const root = document.querySelector("#results");
if (root) new Results(root).run();
