// The search page: hits as they are found, by file, with context; Stop; an honest account at the end.

import { BASE, getLines, Problem } from "./api.js";
import { paintText, unitSpans } from "./log/row.js";
import { count, el, icon, size } from "./text.js";

const SHOWN_AT_FIRST = 5;
const SHOWN_MORE = 50;
const DRAW_MS = 60;

function viewerLink(hit) {
  const path = `${hit.agent}/${hit.path}`.split("/").map(encodeURIComponent).join("/");
  const params = new URLSearchParams({ gen: hit.gen });
  const [span] = unitSpans(hit.s ?? "", hit.spans ?? []);
  const word = span ? hit.s.slice(span[0], span[1]) : "";
  if (word && word.length <= 200) params.set("hl", word);
  if (!hit.n) params.set("at", `b${hit.b}`);
  return `${BASE}/view/${path}?${params}${hit.n ? `#L${hit.n}` : ""}`;
}

function lineElement(tag, props, number, text, spans = []) {
  const body = el("span", { class: "ht" });
  paintText(body, text, spans);
  return el(tag, props, el("span", { class: "hn" }, number ? String(number) : ""), body);
}

/** A hit with those lines around it that are not shown yet. */
function hitElements(hit, shown) {
  const around = (rows) => rows.filter((row) => !shown.has(row.b)).map((row) => {
    shown.add(row.b);
    return lineElement("div", { class: "hit-line around" }, row.n, row.s);
  });
  const text = hit.s_from > 0 ? `…${hit.s}` : hit.s;
  const spans = unitSpans(hit.s, hit.spans).map(([from, to]) => (hit.s_from > 0 ? [from + 1, to + 1] : [from, to]));
  return [
    ...around(hit.before),
    lineElement("a", { class: "hit-line", href: viewerLink(hit) }, hit.n, hit.cut ? `${text}…` : text, spans),
    ...around(hit.after),
  ];
}

/** The hits of one file: a head with the way to the file, the first lines, a button for more. */
class Group {
  #hits = [];
  #shown = 0;
  #limit = SHOWN_AT_FIRST;
  #around = new Set();
  #lines = el("div", { class: "hit-lines" });
  #number = el("span", { class: "num" });
  #more = el("button", { class: "more", type: "button", hidden: true, onclick: () => this.#showMore() });

  constructor(hit) {
    this.agent = hit.agent;
    const name = el("span", { class: "path" });
    paintText(name, `/${hit.path}`);
    const open = viewerLink({ ...hit, n: null, b: 0, spans: [] }).replace("&at=b0", "").replace("?at=b0", "");
    this.element = el("section", { class: "card group" },
      el("header", {}, icon("file"), el("a", { href: open }, el("span", { class: "tag" }, hit.agent), " ", name), this.#number),
      this.#lines, this.#more);
  }

  add(hit) {
    this.#hits.push(hit);
  }

  draw() {
    const fresh = this.#hits.slice(this.#shown, this.#limit);
    for (const hit of fresh) {
      const lines = hitElements(hit, this.#around);
      if (this.#lines.childElementCount && (hit.before.length || hit.after.length)) {
        this.#lines.append(el("div", { class: "hit-line gap", "aria-hidden": "true" }));
      }
      this.#lines.append(...lines);
    }
    this.#shown += fresh.length;
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

class Results {
  #root;
  #groups = new Map();
  #fresh = new Set();
  #perAgent = new Map();
  #only = null;
  #abort = new AbortController();
  #hits = 0;
  #timer = 0;
  #started = performance.now();
  #progress = null;

  constructor(root) {
    this.#root = root;
    this.bar = el("progress", { class: "meter", max: "1", "aria-label": "Scanned" });
    this.words = el("span", { class: "state-text" });
    this.stop = el("button", { class: "button", type: "button", onclick: () => this.#abort.abort() }, icon("stop"), "Stop");
    this.status = el("div", { class: "search-status", role: "status" }, this.words, this.bar, el("span", { class: "end" }, this.stop));
    this.facet = el("nav", { class: "facet", "aria-label": "Hits by agent" });
    this.list = el("div", {});
    this.layout = el("div", { class: "search-layout", hidden: true }, this.facet, this.list);
    this.waiting = el("div", { class: "card" }, ...[1, 2, 3].map(() => el("div", { class: "skeleton" })));
    root.replaceChildren(this.status, this.waiting, this.layout);
  }

  async run() {
    const { q, case: exactCase, context, limit } = this.#root.dataset;
    this.#sayProgress();
    try {
      for await (const event of getLines("search", { q, case: exactCase, context, limit }, { signal: this.#abort.signal })) {
        this.#take(event);
      }
      if (this.stop.isConnected) this.#done({ reason: "cut", hits: this.#hits, errors: [] });
    } catch (error) {
      if (error.name === "AbortError") this.#done({ reason: "cancelled", hits: this.#hits, errors: [] });
      else this.#failed(error);
    }
  }

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
      group = new Group(hit);
      this.#groups.set(key, group);
      group.element.hidden = this.#only !== null && this.#only !== hit.agent;
      this.list.append(group.element);
    }
    group.add(hit);
    this.#fresh.add(group);
    this.#hits += 1;
    this.#perAgent.set(hit.agent, (this.#perAgent.get(hit.agent) ?? 0) + 1);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const group of this.#fresh) group.draw();
    this.#fresh.clear();
    if (this.#hits) {
      this.waiting.remove();
      this.layout.hidden = false;
    }
    this.#drawFacet();
    if (this.stop.isConnected) this.#sayProgress();
  }

  #drawFacet() {
    const rows = [...this.#perAgent].sort((a, b) => b[1] - a[1]);
    const button = (label, number, agent) =>
      el("button", { type: "button", "aria-pressed": String(this.#only === agent), onclick: () => this.#show(agent) },
        el("span", {}, label), el("span", { class: "num" }, count(number)));
    this.facet.replaceChildren(el("h2", {}, "Agent"), button("all", this.#hits, null),
      ...rows.map(([agent, number]) => button(agent, number, agent)));
  }

  #show(agent) {
    this.#only = agent;
    for (const group of this.#groups.values()) group.element.hidden = agent !== null && group.agent !== agent;
    this.#drawFacet();
  }

  #scanned(event) {
    if (!event || !event.total_bytes) return "";
    if (event.scanned_bytes >= event.total_bytes) return `scanned all ${size(event.total_bytes)}`;
    return `scanned ${size(event.scanned_bytes)} of ${size(event.total_bytes)}`;
  }

  #counted() {
    const files = this.#groups.size;
    return `${count(this.#hits)} ${this.#hits === 1 ? "hit" : "hits"} in ${count(files)} ${files === 1 ? "file" : "files"}`;
  }

  #sayProgress() {
    const scanned = this.#scanned(this.#progress);
    const state = scanned ? ` · ${scanned}` : " · newest first, still searching";
    this.words.replaceChildren(this.#hits ? el("strong", {}, this.#counted()) : "Searching, newest first", state);
    if (this.#progress?.total_bytes) this.bar.value = this.#progress.scanned_bytes / this.#progress.total_bytes;
  }

  #done(event) {
    this.stop.remove();
    this.bar.remove();
    this.#draw();
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1);
    const why = {
      complete: "",
      limit: "stopped at the limit you set: there may be more",
      time: "stopped at the time limit: there may be more",
      cancelled: "stopped by you",
      cut: "the connection broke: there may be more",
    }[event.reason] ?? event.reason;
    const copies = event.copies
      ? `${count(event.copies)} compressed ${event.copies === 1 ? "copy" : "copies"} not searched twice` : "";
    const facts = [this.#scanned(event), copies, `${seconds} s`, why].filter(Boolean).join(" · ");
    this.words.replaceChildren(el("strong", {}, this.#counted()), ` · ${facts}`);
    if (event.reason === "cut" || event.reason === "time") this.#offerRetry();
    if (event.errors?.length) this.#showErrors(event.errors);
    if (!this.#hits) this.#nothing(event);
  }

  #offerRetry() {
    this.status.append(el("span", { class: "end" }, el("a", { class: "button", href: location.href }, icon("retry"), "Retry")));
  }

  #nothing(event) {
    const files = event.files_total ?? 0;
    const scanned = event.reason === "complete"
      ? `Scanned ${size(event.scanned_bytes ?? 0)} in ${count(files)} ${files === 1 ? "file" : "files"}.` : "The search did not get to the end.";
    const widen = [];
    if (this.#root.dataset.case) {
      const wider = new URL(location.href);
      wider.searchParams.delete("case");
      widen.push(el("a", { class: "button", href: wider.href }, "Ignore upper and lower case"));
    }
    const { q } = this.#root.dataset;
    const fields = /(^|\s)-?(agent|path|file|ext|size|modified|received):\S+/g;
    const bare = q.replace(fields, " ").trim();
    if (bare && bare !== q) {
      const wider = new URL(location.href);
      wider.searchParams.set("q", bare);
      widen.push(el("a", { class: "button", href: wider.href }, "Search all files"));
    }
    this.waiting.replaceChildren(el("div", { class: "empty" }, icon("search"), el("h2", {}, "No line matches"),
      el("p", {}, scanned), el("p", { class: "toolbar" }, ...widen)));
    this.#root.append(this.waiting);
  }

  #showErrors(errors) {
    const list = errors.map((error) => {
      const item = el("p", {});
      paintText(item, typeof error === "string" ? error : [error.agent, error.path, error.message ?? error.detail].filter(Boolean).join(" "));
      return item;
    });
    const title = `${count(errors.length)} ${errors.length === 1 ? "file" : "files"} could not be searched`;
    this.status.after(el("div", { class: "notice warn" }, icon("warn"), el("div", {}, el("p", {}, el("strong", {}, title)), ...list)));
  }

  #failed(error) {
    this.stop.remove();
    this.bar.remove();
    this.#draw();
    this.words.replaceChildren(this.#hits ? this.#counted() : "");
    const known = error instanceof Problem;
    const lines = [known ? error.hint : "", known && error.requestId ? `Request ${error.requestId}` : ""].filter(Boolean);
    this.waiting.remove();
    this.status.after(el("div", { class: "notice bad", role: "alert" }, icon("warn"),
      el("div", {}, el("p", {}, el("strong", {}, error.message)), ...lines.map((line) => el("p", {}, line))),
      el("a", { class: "button end", href: location.href }, icon("retry"), "Retry")));
  }
}

const root = document.querySelector("#results");
if (root) new Results(root).run();
