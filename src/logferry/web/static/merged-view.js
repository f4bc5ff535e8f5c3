// <merged-view data-query="f=…&s=…">: up to eight files as one log by time, through /api/v1 alone.

import { ask } from "./log/dialogs.js";
import { listen } from "./log/keys.js";
import { Notices } from "./log/notices.js";
import { panel } from "./merged/panel.js";
import { keyOf, TIME_MODES } from "./merged/rows.js";
import { Source } from "./merged/source.js";
import { Window } from "./merged/window.js";
import { Stream } from "./tail/stream.js";
import { copy, count, el, icon, size, toast } from "./text.js";
import { abbreviation, exact, ZONE } from "./zone.js";

const TIMES_KEY = "logferry.merged.times";
const WRAP_KEY = "logferry.wrap";
const RING_MS = 150;

class MergedView extends HTMLElement {
  #at = panel(ZONE);
  #notices = new Notices(this.#at.notice);
  #source;
  #view;
  #stream = null;
  #following = false;
  #paused = "";
  #below = 0;
  #cursor = "";
  #ring = 0;
  #closed = new AbortController();
  #told = "";
  #lost = false;

  connectedCallback() {
    const at = this.#at;
    this.#source = new Source(this.dataset.query);
    this.#view = new Window(at.scroller, at.body, this.#source, {
      moved: () => this.#showPlace(),
      problem: (error, retry) => this.#notices.problem(error, retry),
      up: () => this.#pause("you scrolled up"),
      page: (page) => this.#showSources(page.sources),
    });
    at.pane.append(this.#view.bar.element);
    this.replaceChildren(at.toolbar, at.notice, at.notes, at.pane, at.status, at.keysDialog, at.jumpDialog.dialog);
    this.#setWrap((localStorage.getItem(WRAP_KEY) ?? (innerWidth <= 640 ? "1" : "0")) === "1");
    const params = new URLSearchParams(location.search);
    const kept = params.get("times") ?? localStorage.getItem(TIMES_KEY);
    this.#setTimes(TIME_MODES.includes(kept) ? kept : TIME_MODES[0]);
    this.#wire();
    this.#open(params);
  }

  disconnectedCallback() {
    this.#closed.abort();
    this.#stream?.close();
  }

  async #open(params) {
    const at = params.get("at") ?? "";
    const time = params.get("time") ?? "";
    const where = at === "end" ? { tail: true } : at ? { at } : time ? { time, tz: ZONE } : {};
    this.#view.rows.target = at;
    this.#at.pane.setAttribute("aria-busy", "true");
    const isThere = await this.#view.go(where);
    this.#at.pane.removeAttribute("aria-busy");
    if (!isThere) return;
    if (at && at !== "end") this.#setCursor(at);
    this.#startFollowing();
    if (where.tail) this.#resume();
    this.#showFollow();
  }

  #wire() {
    const at = this.#at;
    const { signal } = this.#closed;
    const on = (node, event, action) => node.addEventListener(event, action, { signal });
    on(at.input, "input", () => this.#mark(at.input.value.trim()));
    on(at.input, "keydown", (event) => {
      if (event.key === "Enter") this.#step(!event.shiftKey);
      if (event.key === "Escape") at.scroller.focus({ preventScroll: true });
    });
    on(at.top, "click", () => this.#toStart());
    on(at.end, "click", () => this.#toEnd());
    on(at.jump, "click", () => ask(this.#at.jumpDialog));
    on(at.times, "click", () => this.#nextTimes());
    on(at.wrap, "click", () => this.#toggleWrap());
    on(at.link, "click", () => this.#copyLink());
    on(at.keys, "click", () => at.keysDialog.showModal());
    on(at.follow, "click", () => (this.#following ? this.#pause("by you") : this.#toEnd()));
    on(at.jumpDialog.dialog, "close", () => this.#asked());
    on(at.body, "click", (event) => this.#clicked(event));
    on(document, "selectionchange", () => {
      const selection = getSelection();
      if (selection && !selection.isCollapsed && at.body.contains(selection.anchorNode)) this.#pause("text is selected");
    });
    const scroll = (screens) => {
      if (screens < 0) this.#pause("you scrolled up");
      at.scroller.scrollBy({ top: screens * at.scroller.clientHeight });
    };
    listen({
      "/": () => at.input.select(), n: () => this.#step(true), N: () => this.#step(false),
      g: () => this.#toStart(), Home: () => this.#toStart(), G: () => this.#toEnd(), End: () => this.#toEnd(),
      ":": () => ask(this.#at.jumpDialog), f: () => at.follow.click(), z: () => this.#toggleWrap(), t: () => this.#nextTimes(),
      y: () => this.#copyLink(), Y: () => this.#copyLine(), j: () => this.#move(1), k: () => this.#move(-1),
      ArrowDown: () => this.#move(1), ArrowUp: () => this.#move(-1), d: () => scroll(0.5), u: () => scroll(-0.5),
      PageDown: () => scroll(0.92), PageUp: () => scroll(-0.92), "?": () => at.keysDialog.showModal(),
      Escape: () => { at.input.value = ""; this.#mark(""); },
    }, signal);
  }

  // Places -------------------------------------------------------------------------------------------------------

  #toStart() {
    this.#pause("you went to the start");
    return this.#view.go({}, { top: true });
  }

  async #toEnd() {
    if (this.#view.atEnd) this.#view.toEnd();
    else if (!(await this.#view.go({ tail: true }))) return;
    this.#resume();
  }

  async #asked() {
    const { dialog, input } = this.#at.jumpDialog;
    const typed = input.value.trim();
    if (dialog.returnValue !== "go" || !typed) return;
    this.#pause("you went elsewhere");
    if (typed === "start") await this.#toStart();
    else if (typed === "end") await this.#toEnd();
    else await this.#view.go({ time: typed, tz: ZONE });
  }

  #setCursor(key) {
    this.#cursor = key;
    for (const row of this.#view.rows.rows) row.el.classList.toggle("cursor", keyOf(row) === key);
  }

  #move(step) {
    const { rows } = this.#view.rows;
    if (!rows.length) return;
    if (step < 0) this.#pause("you scrolled up");
    const held = rows.findIndex((row) => keyOf(row) === this.#cursor);
    const from = held >= 0 ? held : this.#view.topIndex - step;
    const row = rows[Math.min(rows.length - 1, Math.max(0, from + step))];
    this.#setCursor(keyOf(row));
    row.el.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #clicked(event) {
    const node = event.target.closest(".row");
    if (!node) return;
    if (!event.target.closest(".n")) {
      if (getSelection()?.isCollapsed && !event.target.closest("a")) this.#setCursor(node.dataset.key);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the file alone, in a tab of its own
    event.preventDefault();
    this.#pause("a line is marked");
    this.#view.rows.target = node.dataset.key;
    this.#view.rows.repaint();
    this.#setCursor(node.dataset.key);
    history.replaceState(null, "", `${location.pathname}?${this.#linkQuery(node.dataset.key)}`);
  }

  #linkQuery(key) {
    const query = this.#source.pinned();
    query.set("at", key);
    return query;
  }

  #current() {
    return this.#view.find(this.#cursor) ?? this.#view.topRow;
  }

  async #copyLink() {
    const row = this.#current();
    if (!row) return;
    const done = await copy(`${location.origin}${location.pathname}?${this.#linkQuery(keyOf(row))}`);
    toast(done ? "Link copied" : "The browser refused the clipboard: copy the address instead");
  }

  async #copyLine() {
    const row = this.#current();
    if (row) toast((await copy(row.s)) ? "Line copied" : "The browser refused the clipboard");
  }

  // Looks --------------------------------------------------------------------------------------------------------

  #mark(word) {
    this.#view.rows.word = word;
    this.#view.rows.repaint();
  }

  #step(forward) {
    const { rows, word } = this.#view.rows;
    if (!word) return;
    const has = (row) => row.s.toLowerCase().includes(word.toLowerCase());
    const held = rows.findIndex((row) => keyOf(row) === this.#cursor);
    const from = held >= 0 ? held : this.#view.topIndex;
    const order = forward ? rows.slice(from + 1) : rows.slice(0, from).reverse();
    const found = order.find(has);
    if (!found) {
      toast(`No line with “${word}” ${forward ? "below" : "above"} among those that are loaded`);
      return;
    }
    this.#pause("a line is looked at");
    this.#setCursor(keyOf(found));
    found.el.scrollIntoView({ block: "center" });
  }

  #setTimes(mode) {
    this.#view.rows.mode = mode;
    this.classList.toggle("no-times", mode === "written");
    this.#at.timesWord.textContent = mode === "written" ? "as written" : mode;
  }

  #nextTimes() {
    const mode = TIME_MODES[(TIME_MODES.indexOf(this.#view.rows.mode) + 1) % TIME_MODES.length];
    localStorage.setItem(TIMES_KEY, mode);
    this.#setTimes(mode);
    this.#view.rows.repaint();
    if (this.#following) this.#view.toEnd();
  }

  #setWrap(wrap) {
    this.classList.toggle("wrapped", wrap);
    this.#at.wrap.setAttribute("aria-pressed", String(wrap));
  }

  #toggleWrap() {
    const row = this.#view.topRow;
    this.#setWrap(!this.classList.contains("wrapped"));
    localStorage.setItem(WRAP_KEY, this.classList.contains("wrapped") ? "1" : "0");
    if (this.#following) this.#view.toEnd();
    else row?.el.scrollIntoView({ block: "start", inline: "nearest" });
  }

  // Follow -------------------------------------------------------------------------------------------------------

  #startFollowing() {
    const last = this.#source.sources.filter((one) => !one.problem && one.parts.length).map((one) => one.parts.at(-1));
    const plain = last.filter((part) => !/\.(gz|xz|bz2|zst)$/.test(part.path));
    if (!plain.length) return;
    const places = plain.map((part) => `${part.fid}:${part.gen}:${part.size}`).join(",");
    const ring = (rows) => this.#rung(rows.length);
    // With one file the API counts places without its number.
    const own = plain.length === 1 ? places.slice(places.indexOf(":") + 1) : places;
    this.#stream = new Stream(plain.map((part) => part.fid), own, {
      lines: (_fid, _gen, rows) => ring(rows),
      gen: (fid, gen) => this.#rotated(fid, gen),
      open: () => this.#connected(),
      lost: () => this.#disconnected(),
      ended: (problem) => this.#say(`not following: ${problem.detail}`, "warn"),
    });
    this.#stream.open();
    window.addEventListener("pagehide", () => this.#stream.close(), { signal: this.#closed.signal });
  }

  // News ring; what is new is fetched in the merged order, from where this page ends: nothing is lost or shown twice.
  #rung(lines) {
    this.#view.atEnd = false;
    if (!this.#following) {
      this.#below += lines;
      this.#showFollow();
      return;
    }
    if (!this.#ring) this.#ring = setTimeout(() => this.#fetchNew(), RING_MS);
  }

  async #fetchNew() {
    this.#ring = 0;
    try {
      while (this.#following && !this.#view.atEnd && ((await this.#view.extend()) > 0 || !this.#view.atEnd)) this.#view.toEnd();
    } catch (error) {
      if (error.name !== "AbortError") this.#notices.problem(error, () => this.#fetchNew());
      return;
    }
    if (this.#following) this.#view.toEnd();
    this.#showFollow();
  }

  #rotated(fid, gen) {
    const one = this.#source.sources.find((source) => source.parts.some((part) => part.fid === fid));
    if (!one || one.series) {
      this.#rung(0);
      return;
    }
    const link = el("a", { href: `${location.pathname}?${this.dataset.query}&at=end` }, "Open it");
    this.#notices.show("info", `Generation ${gen} of ${one.path} began. This page stays with the one before. `, link);
  }

  #pause(why) {
    if (!this.#following) return;
    this.#following = false;
    this.#paused = why;
    this.#below = 0;
    this.#showFollow();
  }

  #resume() {
    this.#following = this.#stream !== null || !this.#source.sources.length;
    this.#below = 0;
    this.#view.toEnd();
    this.#showFollow();
    if (this.#following && !this.#view.atEnd) this.#fetchNew();
  }

  #connected() {
    this.#lost = false;
    this.#showFollow();
  }

  #disconnected() {
    this.#lost = true;
    this.#say("connection lost, resuming (no lines lost)", "warn");
  }

  #say(text, tone = "") {
    const { state } = this.#at;
    if (state.textContent !== text) state.textContent = text;
    state.className = `follow-state ${tone}`;
  }

  #showFollow() {
    const { follow } = this.#at;
    follow.hidden = this.#stream === null;
    follow.setAttribute("aria-pressed", String(this.#following));
    if (this.#lost) return;
    const below = this.#below ? ` · ${count(this.#below)} new ${this.#below === 1 ? "line" : "lines"} below` : "";
    if (this.#following) this.#say("following", "on");
    else this.#say(this.#paused ? `paused: ${this.#paused}${below}` : below.slice(3));
    this.classList.toggle("has-below", this.#below > 0);
  }

  // Words --------------------------------------------------------------------------------------------------------

  #showPlace() {
    const view = this.#view;
    if (!this.#following && view.holdsEnd && this.#stream && this.#paused === "you scrolled up") this.#resume();
    const row = view.rows.rows.slice(view.topIndex).find((one) => one.t);
    const ms = row ? Date.parse(row.t) : NaN;
    const time = Number.isNaN(ms) ? "" : `${exact(ms).slice(0, 19)} ${abbreviation(ms)} · `;
    const { sources } = this.#source;
    const total = sources.reduce((sum, one) => sum + one.size, 0);
    this.#at.place.textContent = !sources.length ? "" : `${time}${size(total)} · ${Math.floor(view.fraction * 100)} %`;
  }

  /** Chips and notes: what cannot be read, what has no times, what had to be assumed. */
  #showSources(sources) {
    // What failed when the page was made says so in its chip.
    const chips = document.querySelectorAll("#merged-files .merge-file");
    const notes = sources.flatMap((one, at) => (chips[at]?.querySelector(".why") ? [] : this.#notesOf(one)));
    const told = JSON.stringify(notes);
    if (told === this.#told) return;
    this.#told = told;
    sources.forEach((one, at) => {
      const chip = chips[at];
      if (one.problem && chip && !("failed" in chip.dataset)) {
        chip.dataset.failed = "";
        chip.querySelector(".path").before(icon("warn"));
        chip.title = `${one.problem.detail}. ${one.problem.hint}`;
      }
    });
    this.#at.notes.replaceChildren(...notes.map((note) => el("li", {}, note)));
    this.#at.notes.hidden = notes.length === 0;
  }

  #notesOf(one) {
    const name = one.path.split("/").at(-1) || one.name;
    if (one.problem) return [`${name}: ${one.problem.detail}`];
    if (!one.timed) return [`${name} has no times: its lines come last`];
    const said = [];
    if (!one.names_year) said.push("no year: it is told by when the lines arrived");
    if (!one.names_zone) said.push(`no zone: read as ${one.zone}`);
    return said.length ? [`${name}: its times name ${said.join("; ")}`] : [];
  }
}

customElements.define("merged-view", MergedView);
