// <log-view fid gen agent path size live>: reads one generation of one file, of any size, through /api/v1 alone.

import { Problem } from "./api.js";
import { readAddress, readJump, writeAddress } from "./log/address.js";
import { ask } from "./log/dialogs.js";
import { Find } from "./log/find.js";
import { Follow } from "./log/follow.js";
import { listen } from "./log/keys.js";
import { Lens } from "./log/lens.js";
import { panel } from "./log/panel.js";
import { occurrences, restBytes, TIME_MODES } from "./log/row.js";
import { COLOURS, keptRules, ownRanges, RulesDialog } from "./log/rules.js";
import { Source } from "./log/source.js";
import { Viewport } from "./log/viewport.js";
import { about, copy, count, el, icon, size, toast } from "./text.js";
import { ZONE } from "./zone.js";

const REST_BYTES = 256 * 1024;
const FIND_WAIT_MS = 350;
const DRAW_MS = 80;
const FIND_TYPING_BYTES_MAX = 64 * 1024 * 1024;
const WRAP_KEY = "logferry.wrap";

class LogView extends HTMLElement {
  #at;
  #lens;
  #rules = keptRules();
  #rulesDialog = new RulesDialog((rules) => this.#useRules(rules));
  #ticks = new Map();
  #hasFold = null;
  #hasEarly = false;
  #view;
  #find;
  #source;
  #follow;
  #closed = new AbortController();
  #address;
  #following = false;
  #live = false;
  #pause = "";
  #below = 0;
  #seen = -1;
  #target = null;
  #cursor = null;
  #findTimer = 0;
  #retries = [];
  #landing = null;
  #isTyping = false;
  #levels = new Map();
  #mark = -1;

  connectedCallback() {
    const { fid, gen } = this.dataset;
    this.#address = readAddress(location.search, location.hash);
    this.#hasFold = this.#address.fold;
    this.#lens = new Lens(this.#address, JSON.parse(this.dataset.encodings), (what) => this.#lensChanged(what));
    this.#at = panel(this.#lens.at);
    this.#source = new Source(fid, gen);
    this.#source.enc = this.#lens.enc;
    this.#find = new Find(Number(fid), gen);
    this.#view = new Viewport(this.#at.scroller, this.#at.body, this.#source, {
      moved: () => this.#showPlace(),
      problem: (error, retry) => this.#showProblem(error, retry),
      up: () => this.#pauseFollowing("you scrolled up"),
      looking: (fraction) => this.#showLooking(fraction),
      ranges: (row) => this.#rangesOf(row),
      own: (row) => (this.#rules.length ? ownRanges(this.#rules, row.s) : []),
      rest: (row) => this.#showRest(row),
    });
    this.#view.size = Number(this.dataset.size);
    this.#follow = new Follow({
      lines: (rows, next) => this.#grown(rows, next),
      gen: (number) => this.#newGeneration(number),
      lost: () => this.#say(`connection lost, resuming from ${this.#lastSeen()} (no lines lost)`, "warn"),
      back: () => this.#showFollow(),
      ended: (why) => this.#say(why || "not connected: reload to follow again", "warn"),
      beat: () => this.#showFollow(),
    });
    this.#build();
    this.#wire();
    this.#open();
  }

  disconnectedCallback() {
    this.#closed.abort();
    this.#view.close();
    this.#follow.stop();
    this.#find.clear();
  }

  #build() {
    const at = this.#at;
    at.pane.append(this.#view.bar.element);
    // The lines that came with the page stay until they come again with all that belongs to them.
    const early = ["start", "end"].includes(this.#address.place.kind) ? this.querySelector(".scroller") : null;
    const top = early?.scrollTop ?? 0;
    if (early) at.body.append(...early.querySelectorAll(".row"));
    this.#hasEarly = early !== null;
    this.replaceChildren(at.toolbar, at.notice, at.pane, at.status, at.keysDialog, at.jumpDialog.dialog, this.#rulesDialog.element);
    if (early) at.scroller.scrollTop = this.#address.place.kind === "end" ? at.scroller.scrollHeight : top;
    this.#live = this.hasAttribute("data-live");
    at.follow.hidden = !this.#live;
    const wrap = this.#address.wrap ?? (localStorage.getItem(WRAP_KEY) ?? (innerWidth <= 640 ? "1" : "0")) === "1";
    this.#setWrap(wrap);
    this.#setTimes(this.#address.times);
    at.input.value = this.#address.find;
    at.exactCase.setAttribute("aria-pressed", String(this.#address.exactCase));
    at.regex.setAttribute("aria-pressed", String(this.#address.regex));
  }

  #wire() {
    const at = this.#at;
    const { signal } = this.#closed;
    const on = (node, event, action) => node.addEventListener(event, action, { signal });
    on(at.findBar, "submit", (event) => this.#submitFind(event));
    on(at.input, "input", () => this.#typed());
    on(at.input, "focus", () => (this.#isTyping = true));
    on(at.input, "blur", () => (this.#isTyping = false));
    on(at.input, "keydown", (event) => this.#findKey(event));
    for (const toggle of [at.exactCase, at.regex]) on(toggle, "click", () => this.#toggleFind(toggle));
    on(at.previous, "click", () => this.#step(false));
    on(at.next, "click", () => this.#step(true));
    on(at.top, "click", () => this.#toStart());
    on(at.end, "click", () => this.#toEnd());
    on(at.jump, "click", () => ask(this.#at.jumpDialog));
    on(at.times, "click", () => this.#nextTimes());
    on(at.wrap, "click", () => this.#toggleWrap());
    on(at.link, "click", () => this.#copyLink());
    on(at.own, "click", () => this.#rulesDialog.show());
    on(at.keys, "click", () => at.keysDialog.showModal());
    on(at.more, "click", () => at.more.setAttribute("aria-pressed", String(this.classList.toggle("more-tools"))));
    on(at.follow, "click", () => (this.#following ? this.#pauseFollowing("by you") : this.#toEnd()));
    on(at.body, "click", (event) => this.#clicked(event));
    on(at.jumpDialog.dialog, "close", () => this.#placeAsked());
    on(window, "hashchange", () => this.#hashChanged());
    on(document, "selectionchange", () => this.#selected());
    listen({
      "/": () => at.input.select(), n: () => this.#step(true), N: () => this.#step(false),
      g: () => this.#toStart(), Home: () => this.#toStart(), G: () => this.#toEnd(), End: () => this.#toEnd(),
      ":": () => ask(this.#at.jumpDialog), f: () => at.follow.click(), z: () => this.#toggleWrap(), t: () => this.#nextTimes(),
      e: () => this.#toLevel("error", true), E: () => this.#toLevel("error", false), w: () => this.#toLevel("warn", true),
      W: () => this.#toLevel("warn", false), "[": () => this.#neighbour(this.dataset.older), "]": () => this.#neighbour(this.dataset.newer), y: () => this.#copyLink(),
      Y: () => this.#copyLine(), j: () => this.#moveCursor(1), k: () => this.#moveCursor(-1),
      d: () => this.#page(0.5), u: () => this.#page(-0.5), PageDown: () => this.#page(0.92), PageUp: () => this.#page(-0.92),
      ArrowDown: () => this.#moveCursor(1), ArrowUp: () => this.#moveCursor(-1), "?": () => at.keysDialog.showModal(),
      m: () => this.#setMark(), "'": () => this.#toMark(), p: () => this.#spreadJson(),
      o: () => this.#lens.toggleOnly(), c: () => this.#nextContext(), x: () => this.#lens.toggleFold(),
      v: () => this.#nextLevel(), h: () => this.#rulesDialog.show(), Escape: () => this.#clearFind(),
    }, signal);
  }

  async #open() {
    if (!this.#hasEarly) this.#at.pane.setAttribute("aria-busy", "true");
    this.#source.kept = this.#lens.kept({ text: this.#address.find, exactCase: this.#address.exactCase, regex: this.#address.regex });
    const row = await this.#view.go(this.#address.place, { stay: this.#hasEarly });
    this.#at.pane.removeAttribute("aria-busy");
    this.#showLens();
    await this.#reveal(row, this.#address.place);
    if (this.#address.place.kind === "line" || this.#address.place.kind === "byte") this.#aim(row, this.#address.place);
    if (this.#live) {
      this.#following = this.#view.atEnd && this.#address.place.kind !== "line";
      await this.#startFollowing();
    }
    this.#showFollow();
    if (this.#address.find) this.#runFind(false);
    this.#view.readIndex();
    this.#findOwn();
  }

  // What is shown of the file ------------------------------------------------------------------------------

  async #lensChanged(what) {
    if (what === "only" && this.#lens.only && !this.#at.input.value) {
      this.#lens.only = false;
      this.#lens.show(this.#source.encoding);
      toast("Find something first: then only that is shown");
      this.#at.input.focus();
      return;
    }
    if (what === "fold") this.#hasFold = this.#lens.fold;
    if (what === "enc") this.#readAgain();
    this.#lens.show(this.#source.encoding);
    await this.#showKept();
    if (what === "enc" && this.#at.input.value) this.#runFind(false);
    if (what === "enc") this.#view.readIndex();
    if (what === "enc") this.#findOwn();
  }

  #readAgain() {
    this.#source.enc = this.#lens.enc;
    this.#source.looksLike = null;
    this.#levels.clear();
    this.#ticks.clear();
    this.#at.notice.hidden = true;
    if (this.#live && this.#follow.running) this.#follow.start(this.dataset.fid, this.dataset.gen, this.#view.size, this.#lens.enc);
  }

  #wanted() {
    const { input, exactCase, regex } = this.#at;
    return { text: input.value, exactCase: exactCase.getAttribute("aria-pressed") === "true", regex: regex.getAttribute("aria-pressed") === "true" };
  }

  // The same place, with other lines left out.
  async #showKept() {
    const kept = this.#lens.kept(this.#wanted());
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    const follow = this.#following;
    this.#source.kept = kept;
    this.#at.pane.setAttribute("aria-busy", "true");
    const place = follow || !row ? { kind: follow ? "end" : "start" } : { kind: "byte", byte: row.b };
    const shown = await this.#view.go(place, { fresh: true });
    this.#at.pane.removeAttribute("aria-busy");
    if (follow) this.#view.toEnd();
    if (shown && !follow) this.#setCursor(shown);
    this.#showLens();
    this.#writeAddress(this.#target);
  }

  #showLens() {
    const { nothing } = this.#at;
    this.#lens.show(this.#source.encoding);
    this.#find.enc = this.#source.encoding === "utf-8" ? this.#source.enc : this.#source.encoding;
    nothing.hidden = !this.#source.kept || this.#view.rows.first !== null || this.#view.size === 0;
    const { level, only } = this.#lens;
    const what = [only && this.#at.input.value && "matches", level && `is of level ${level} or worse`].filter(Boolean);
    nothing.querySelector("p").textContent = `No entry of this file ${what.join(" and ")}.`;
    this.classList.toggle("keeps", this.#source.kept !== null);
    if (this.#source.looksLike && !this.#source.enc) {
      const looksLike = this.#source.looksLike;
      this.#source.looksLike = null;
      if (!this.#advised) this.#showNotice("info", ...this.#lens.advice(looksLike));
      this.#advised = true;
    }
  }

  #advised = false;

  #showLooking(fraction) {
    this.#at.place.classList.toggle("looking", fraction !== null);
    if (fraction !== null) this.#at.place.textContent = `looking… ${Math.floor(100 * fraction)} %`;
    else if (this.#view) this.#showPlace();
  }

  #nextContext() {
    if (this.#lens.only || this.#lens.level) this.#lens.nextContext();
    else if (this.#at.input.value) this.#lens.set({ only: true, context: this.#lens.context || 3 }, "only");
    else toast("Lines around what? Find something, or choose a level");
  }

  #nextLevel() {
    const next = { "": "warn", warn: "error" }[this.#lens.level] ?? "";
    this.#lens.set({ level: next }, "level");
    toast(next ? `Only ${next} and worse` : "All levels");
  }

  // A line that is folded away is shown where an address or a hit names it. The row that it became.
  async #reveal(row, place) {
    if (!row?.more || (place.kind !== "line" && place.kind !== "byte")) return row;
    const isIn = (one) => (place.kind === "line" ? one.n === place.from : one.b <= place.byte && place.byte < one.b + Math.max(1, one.len));
    const end = row.b + row.span;
    const isBelow = place.kind === "line" ? row.known && row.n < place.from && place.from <= row.n + row.more : row.b < place.byte && place.byte < end;
    if (isIn(row) || !isBelow) return row;
    await this.#view.unfold(row);
    return this.#view.rows.rows.find(isIn) ?? row;
  }

  // One's own words: marked in the rows at once, as ticks when the whole file was looked through.
  #useRules(rules) {
    this.#rules = rules;
    this.#view.rows.paintAll();
    this.#findOwn();
  }

  async #findOwn() {
    const rules = this.#rules;
    for (const rule of rules) {
      const key = JSON.stringify([rule.word, rule.exactCase]);
      if (this.#ticks.has(key)) continue;
      const found = new Find(Number(this.dataset.fid), this.dataset.gen);
      found.enc = this.#find.enc;
      await found.run(rule.word, { exactCase: rule.exactCase, regex: false }, () => {});
      if (this.#closed.signal.aborted || this.#rules !== rules) return;
      // What could not be looked through has no ticks; the words are marked where one reads.
      if (found.state !== "failed") this.#ticks.set(key, found.hits.map((hit) => hit.b));
      this.#showTicks();
    }
    this.#showTicks();
  }

  #showTicks() {
    const of = (bytes) => bytes.map((byte) => byte / Math.max(1, this.#view.size));
    const own = this.#rules.map(({ word, colour, exactCase }) =>
      ({ kind: COLOURS.indexOf(colour) + 1, fractions: of(this.#ticks.get(JSON.stringify([word, exactCase])) ?? []) }));
    this.#view.bar.mark([...own, { kind: 0, fractions: of(this.#find.hits.map((hit) => hit.b)) }]);
  }

  // Places -------------------------------------------------------------------------------------------------

  async #toStart() {
    this.#pauseFollowing("you went to the start");
    const row = await this.#view.go({ kind: "start" }, { top: true });
    this.#setCursor(row);
  }

  async #toEnd() {
    await this.#view.go({ kind: "end" });
    this.#view.toEnd();
    this.#setCursor(null);
    if (this.#live) this.#resume();
  }

  async #placeAsked() {
    const { dialog, input } = this.#at.jumpDialog;
    if (dialog.returnValue !== "go" || !input.value.trim()) return;
    const place = readJump(input.value);
    if (!place) {
      toast(`“${input.value.trim()}” is no place: try a line number, a time, 42 %, b734003200, start or end`);
      return;
    }
    if (place.kind === "end") await this.#toEnd();
    else if (place.kind === "start") await this.#toStart();
    else await this.#visit(place);
  }

  async #visit(place) {
    this.#pauseFollowing("you went elsewhere");
    const row = await this.#view.go(place);
    if (!row) return;
    const shown = await this.#reveal(row, place);
    const exact = place.kind === "line" && shown.n === place.from;
    const { rows } = this.#view;
    if (place.kind === "line" && !exact && rows.exact && !rows.sparse) toast(`The file ends at line ${count(rows.last.n)}`);
    else if (place.kind === "line" && !exact && rows.sparse) toast(`Line ${count(place.from)} is not among those that are shown`);
    this.#aim(shown, exact ? place : this.#placeOf(shown));
    this.#writeAddress(exact ? place : this.#placeOf(shown));
  }

  #placeOf(row) {
    if (this.#view.rows.exact && row.n) return { kind: "line", from: row.n, to: row.n };
    return { kind: "byte", byte: row.b };
  }

  #writeAddress(place) {
    const { wrap } = this.#address;
    const find = { find: this.#find.text, exactCase: this.#find.exactCase, regex: this.#find.regex };
    const address = writeAddress({ gen: this.#address.gen, place, wrap, times: this.#address.times, ...find, ...this.#lens.address(this.#hasFold) });
    history.replaceState(null, "", address || location.pathname);
  }

  #hashChanged() {
    const { place } = readAddress(location.search, location.hash);
    if (place.kind === "line") this.#visit(place);
  }

  /** Highlight a row or range that an address names. */
  #aim(row, place) {
    this.#target = row ? place : null;
    this.#setCursor(row);
    this.#paintTargets();
  }

  // A line that is marked, and the way back.
  #setMark() {
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    if (!row) return;
    this.#mark = row.b;
    toast(`Marked: ' leads back to ${this.#view.rows.exact ? `line ${count(row.n)}` : `byte ${count(row.b)}`}`);
  }

  #toMark() {
    if (this.#mark < 0) toast("No line is marked: m marks one");
    else this.#visit({ kind: "byte", byte: this.#mark });
  }

  // One JSON line over several lines, or back as it is written.
  #spreadJson() {
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    if (!row) return;
    this.#pauseFollowing("a line is spread out");
    if (!this.#view.rows.spread(row)) toast("This line is no JSON");
  }

  #isTarget(row) {
    const place = this.#target;
    if (!place) return false;
    if (place.kind === "line") return row.n !== null && row.n >= place.from && row.n <= place.to && this.#view.rows.exact;
    return place.kind === "byte" && row.b <= place.byte && place.byte < row.b + Math.max(1, row.len);
  }

  #paintTargets() {
    for (const row of this.#view.rows.rows) row.el.classList.toggle("target", this.#isTarget(row));
  }

  #setCursor(row) {
    this.#cursor?.el.classList.remove("cursor");
    this.#cursor = row ?? null;
    this.#cursor?.el.classList.add("cursor");
  }

  #moveCursor(step) {
    const { rows } = this.#view;
    if (!rows.first) return;
    if (step < 0) this.#pauseFollowing("you scrolled up");
    const shown = this.#cursor?.el.isConnected ? this.#cursor : null;
    const from = shown ? rows.indexOf(shown) : rows.indexOf(rows.atHeight(0)) - step;
    const row = rows.rows[Math.min(rows.rows.length - 1, Math.max(0, from + step))];
    this.#setCursor(row);
    row.el.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #page(screens) {
    if (screens < 0) this.#pauseFollowing("you scrolled up");
    this.#at.scroller.scrollBy({ top: screens * this.#at.scroller.clientHeight });
    this.#setCursor(null);
  }

  #clicked(event) {
    const node = event.target.closest(".row");
    if (!node || event.target.closest(".rest")) return;
    const row = this.#view.rows.holding(Number(node.dataset.b));
    if (!row) return;
    const link = event.target.closest(".n a");
    if (!link) {
      if (getSelection()?.isCollapsed) this.#setCursor(row);
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#pauseFollowing("a line is marked");
    let place = this.#placeOf(row);
    if (event.shiftKey && place.kind === "line" && this.#target?.kind === "line") {
      const ends = [this.#target.from, place.from].sort((a, b) => a - b);
      place = { kind: "line", from: ends[0], to: ends[1] };
    }
    this.#aim(row, place);
    this.#writeAddress(place);
  }

  #marked() {
    if (this.#target) return this.#target;
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    return row ? this.#placeOf(row) : null;
  }

  async #copyLink() {
    const find = { find: this.#find.text, exactCase: this.#find.exactCase, regex: this.#find.regex };
    const address = writeAddress({ gen: this.dataset.gen, place: this.#marked(), wrap: null, times: this.#address.times, ...find, ...this.#lens.address(this.#hasFold) });
    const done = await copy(location.origin + location.pathname + address);
    toast(done ? "Link copied" : "The browser refused the clipboard: copy the address instead");
  }

  async #copyLine() {
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    if (row) toast((await copy(row.s)) ? "Line copied" : "The browser refused the clipboard");
  }

  // Long lines, wrap -----------------------------------------------------------------------------------------

  async #showRest(row) {
    const button = row.el.querySelector(".rest");
    button.disabled = true;
    this.#pauseFollowing("a long line is open");
    try {
      const bytes = Math.min(REST_BYTES, restBytes(row));
      const more = await this.#source.more(row.b + row.shown, bytes, { signal: this.#closed.signal });
      row.shown += more.bytes;
      row.s += more.s;
    } catch (error) {
      if (error.name !== "AbortError") this.#showProblem(error, () => this.#showRest(row));
      return;
    } finally {
      button.disabled = false;
    }
    this.#view.rows.paint(row);
    if (restBytes(row) > 0) button.textContent = `show more (${size(restBytes(row))} left)`;
    else button.remove();
  }

  #setWrap(wrap) {
    this.classList.toggle("wrapped", wrap);
    this.#at.wrap.setAttribute("aria-pressed", String(wrap));
  }

  #toggleWrap() {
    const wrap = !this.classList.contains("wrapped");
    const stay = this.#view.rows.atHeight(0);
    const follow = this.#following;
    this.#setWrap(wrap);
    localStorage.setItem(WRAP_KEY, wrap ? "1" : "0");
    if (follow) this.#view.toEnd();
    else stay?.el.scrollIntoView({ block: "start", inline: "nearest" });
    this.#view.refresh();
  }

  #setTimes(mode) {
    const { times } = this.#at;
    const shown = TIME_MODES.includes(mode) ? mode : mode === "local" ? "utc" : "written";
    const words = { written: "Times as written", local: `Times in ${ZONE}`, utc: "Times in UTC" }[shown];
    times.title = `${words} (t)`;
    times.setAttribute("aria-label", words);
    times.setAttribute("aria-pressed", String(shown !== "written"));
    this.#address.times = shown;
    return this.#view.showTimes(shown);
  }

  async #nextTimes() {
    const at = TIME_MODES.indexOf(this.#view.rows.mode);
    const stay = this.#view.rows.atHeight(0);
    await this.#setTimes(TIME_MODES[(at + 1) % TIME_MODES.length]);
    toast(this.#at.times.getAttribute("aria-label"));
    if (this.#following) this.#view.toEnd();
    else if (this.classList.contains("wrapped")) stay?.el.scrollIntoView({ block: "start", inline: "nearest" });
    this.#writeAddress(this.#target);
  }

  #neighbour(address) {
    if (address) location.href = address;
    else toast("There is no further piece of this log");
  }

  /** The next or previous line of a level, in the whole file: found by the search, once, and again when it has grown. */
  async #toLevel(level, forward) {
    const row = this.#cursor?.el.isConnected ? this.#cursor : this.#view.rows.atHeight(0);
    if (!row) return;
    const held = this.#levels.get(level);
    if (!held || held.size !== this.#view.size) {
      const found = new Find(Number(this.dataset.fid), this.dataset.gen);
      found.enc = this.#find.enc;
      this.#levels.set(level, { size: this.#view.size, found });
      toast(level === "error" ? "Looking for errors…" : "Looking for warnings and errors…");
      await found.look(`level:>=${level}`);
    }
    const { found } = this.#levels.get(level);
    if (found.state === "failed") {
      this.#showProblem(found.problem, () => this.#toLevel(level, forward));
      this.#levels.delete(level);
      return;
    }
    const hit = found.from(row.b, forward);
    if (hit) await this.#visit({ kind: "byte", byte: hit.b });
    else toast(level === "error" ? "No line of this file is an error" : "No line of this file is a warning or an error");
  }

  // Find -------------------------------------------------------------------------------------------------------

  #typed() {
    clearTimeout(this.#findTimer);
    this.#isTyping = true;
    if (!this.#at.input.value) this.#clearFind();
    else if (this.#view.size <= FIND_TYPING_BYTES_MAX && this.#at.input.value.length > 1) {
      this.#findTimer = setTimeout(() => this.#runFind(true), FIND_WAIT_MS);
    }
  }

  #findKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.#at.scroller.focus({ preventScroll: true });
    } else if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      this.#step(false);
    }
  }

  #submitFind(event) {
    event.preventDefault();
    clearTimeout(this.#findTimer);
    this.#isTyping = false;
    const { input } = this.#at;
    if (input.value && input.value === this.#find.text && this.#find.state !== "failed") this.#step(true);
    else this.#runFind(true);
  }

  #toggleFind(toggle) {
    toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
    if (this.#at.input.value) this.#runFind(true);
  }

  async #runFind(jump) {
    const { input, exactCase, regex } = this.#at;
    if (!input.value) return;
    if (this.#lens.only && JSON.stringify(this.#lens.kept(this.#wanted())) !== JSON.stringify(this.#source.kept)) await this.#showKept();
    const how = {
      exactCase: exactCase.getAttribute("aria-pressed") === "true",
      regex: regex.getAttribute("aria-pressed") === "true",
    };
    const from = Math.max(0, Math.floor(this.#view.span()[0]));
    let waiting = jump;
    let drawn = 0;
    // Hits come in file order: the first one from the reader's place on is the next, whatever follows.
    const land = (hit) => {
      if (!waiting || !hit) return;
      waiting = false;
      this.#land(hit);
    };
    const draw = () => {
      drawn = 0;
      this.#view.rows.paintAll();
      this.#showHits();
      land(this.#find.hits.find((hit) => hit.b >= from));
    };
    const run = this.#find.run(input.value, how, () => {
      if (!drawn) drawn = setTimeout(draw, DRAW_MS);
    });
    this.#view.rows.paintAll(); // what is in view shows its marks at once, long before the whole file is searched
    this.#showHits();
    if (!this.#target) this.#writeAddress(null);
    await run;
    clearTimeout(drawn);
    if (this.#find.text !== input.value) return;
    draw();
    land(this.#find.hits[0]);
  }

  #clearFind() {
    clearTimeout(this.#findTimer);
    if (!this.#find.text && !this.#at.input.value) return;
    this.#find.clear();
    this.#at.input.value = "";
    if (this.#lens.only) {
      this.#lens.only = false;
      this.#lens.show(this.#source.encoding);
      this.#showKept();
    }
    this.#view.rows.paintAll();
    this.#showHits();
  }

  #step(forward) {
    if (!this.#find.hits.length) {
      if (this.#at.input.value && this.#find.text !== this.#at.input.value) this.#runFind(true);
      return;
    }
    const base = this.#landing ?? this.#cursor ?? this.#view.rows.atHeight(0);
    this.#land(this.#find.from(base?.b ?? 0, forward));
  }

  async #land(hit) {
    if (!hit) return;
    this.#landing = hit; // where the next n or N starts from, even before the rows are here
    this.#pauseFollowing("a hit is shown");
    if (!this.#isTyping) this.#at.scroller.focus({ preventScroll: true }); // what is typed next belongs to the box
    const place = { kind: "byte", byte: hit.b };
    const row = await this.#reveal(await this.#view.go(place), place);
    if (!row) return;
    this.#landing = null;
    this.#aim(row, this.#placeOf(row));
    this.#writeAddress(this.#placeOf(row));
    this.#showHits();
    row.el.querySelector("mark")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #rangesOf(row) {
    const { text, exactCase, regex } = this.#find;
    const spans = this.#find.spansAt(row.b) ?? [];
    if (!text || regex) return spans;
    return [...spans, ...occurrences(row.s, text, exactCase)];
  }

  #showHits() {
    const { hits } = this.#at;
    const { state, hits: found, problem, progress, text } = this.#find;
    const done = progress?.total_bytes ? ` ${Math.floor((100 * progress.scanned_bytes) / progress.total_bytes)} %` : "";
    const more = state === "running" ? "…" : state === "complete" ? "" : "+";
    const at = this.#cursor ? this.#find.position(this.#cursor.b) : 0;
    this.#at.input.setAttribute("aria-invalid", String(state === "failed"));
    hits.title = "";
    if (!text) hits.textContent = "";
    else if (state === "failed") {
      hits.textContent = problem.message;
      hits.title = [problem.hint, problem.requestId && `request ${problem.requestId}`].filter(Boolean).join(" · ");
    } else if (!found.length) hits.textContent = state === "running" ? `searching…${done}` : "no line matches";
    else hits.textContent = `${at ? `${count(at)} of ` : ""}${count(found.length)}${more} ${found.length === 1 ? "hit" : "hits"}`;
    hits.classList.toggle("bad", state === "failed");
    this.classList.toggle("has-find", text !== "");
    this.#showTicks();
  }

  // Follow -----------------------------------------------------------------------------------------------------

  // From the last line that is there, which may be unfinished: it comes again when it is whole.
  async #startFollowing() {
    try {
      const last = await this.#view.lastByte();
      this.#seen = last ?? -1;
      this.#follow.start(this.dataset.fid, this.dataset.gen, last ?? 0, this.#lens.enc);
    } catch (error) {
      if (error.name !== "AbortError") this.#showProblem(error, () => this.#startFollowing());
    }
  }

  #grown(rows, next) {
    this.#view.grow(rows, next, this.#following);
    if (this.#view.rows.mode !== "written") this.#view.showTimes(this.#view.rows.mode);
    const fresh = rows.filter((row) => row.b > this.#seen);
    if (fresh.length) this.#seen = fresh.at(-1).b;
    if (!this.#following) this.#below += fresh.length;
    this.#showFollow();
    this.#showPlace();
  }

  #pauseFollowing(why) {
    if (!this.#following) return;
    this.#following = false;
    this.#pause = why;
    this.#below = 0;
    this.#showFollow();
  }

  #resume() {
    this.#following = true;
    this.#below = 0;
    this.#view.rows.trimTop();
    this.#view.toEnd();
    this.#showFollow();
  }

  #selected() {
    const selection = getSelection();
    if (!selection || selection.isCollapsed || !this.#following) return;
    if (this.#at.body.contains(selection.anchorNode)) this.#pauseFollowing("text is selected");
  }

  #lastSeen() {
    const { last, exact } = this.#view.rows;
    return last && exact ? `line ${count(last.n)}` : `byte ${count(this.#view.size)}`;
  }

  #say(text, tone = "") {
    const { state } = this.#at;
    if (state.textContent !== text) state.textContent = text;
    state.className = `follow-state ${tone}`;
  }

  #showFollow() {
    const { follow } = this.#at;
    if (!this.#live) {
      this.#say(this.dataset.still ?? "");
      return;
    }
    follow.setAttribute("aria-pressed", String(this.#following));
    const below = this.#below ? `${count(this.#below)} new ${this.#below === 1 ? "line" : "lines"} below` : "";
    if (this.#following) this.#say(this.#view.size ? "following" : "0 bytes so far, following", "on");
    else if (this.#pause && below) this.#say(`paused: ${this.#pause} · ${below}`);
    else if (this.#pause) this.#say(`paused: ${this.#pause}`);
    else this.#say(below);
    this.classList.toggle("has-below", this.#below > 0);
  }

  #newGeneration(number) {
    const link = el("a", { href: location.pathname + writeAddress({ gen: null, place: { kind: "end" } }) }, `Open generation ${number}`);
    this.#showNotice("info", `A newer generation of this file began: number ${number}. This one stays as it is. `, link);
    this.#live = false;
    this.#follow.stop();
    this.#at.follow.hidden = true;
    this.dataset.still = "ended: a newer generation began";
    this.#showFollow();
  }

  // Words below and above ----------------------------------------------------------------------------------------

  #showPlace() {
    const { rows } = this.#view;
    if (this.#at.place.classList.contains("looking")) return;
    if (this.#source.looksLike && !this.#advised) this.#showLens();
    if (this.#live && this.#view.atEnd && !this.#following && this.#pause === "you scrolled up") this.#resume();
    const row = rows.atHeight(0);
    const total = this.#view.total();
    const totalWords = total === null ? "" : total.exact ? ` of ${count(total.lines)}` : ` of ≈ ${about(total.lines)}`;
    const [from] = this.#view.span();
    const percent = this.#view.atEnd ? 100 : Math.floor((from / Math.max(1, this.#view.size)) * 100);
    const line = !row || row.n === null ? "" : `line ${rows.exact ? count(row.n) : `≈ ${about(row.n)}`}${totalWords} · `;
    this.#at.place.textContent = `${line}${size(this.#view.size)} · ${percent} %`;
    this.#at.body.setAttribute("aria-rowcount", String(total?.exact ? total.lines : -1));
    this.#gutter();
    if (this.#target) this.#paintTargets();
  }

  #gutter() {
    const { last, exact } = this.#view.rows;
    const digits = String(last?.n ?? 0).length + (exact ? 0 : 1);
    this.style.setProperty("--digits", String(Math.max(4, digits)));
  }

  #showNotice(tone, ...content) {
    const { notice } = this.#at;
    notice.className = `log-notice notice ${tone}`;
    notice.hidden = false;
    const close = el("button", { class: "button quiet icon-only end", type: "button", "aria-label": "Dismiss", onclick: () => (notice.hidden = true) }, icon("close"));
    notice.replaceChildren(icon(tone === "info" ? "history" : "warn"), el("p", {}, ...content), close);
  }

  #retryAll() {
    this.#at.notice.hidden = true;
    this.#retries.splice(0).forEach((retry) => retry());
  }

  #showProblem(error, retry) {
    const known = error instanceof Problem;
    const words = [error.message, known ? error.hint : "", known && error.requestId ? `Request ${error.requestId}.` : ""];
    // Several things may fail at once, with the server away: one Retry repeats them all.
    this.#retries.push(retry);
    const again = el("button", { class: "button", type: "button", onclick: () => this.#retryAll() }, icon("retry"), "Retry");
    this.#showNotice("bad", `${words.filter(Boolean).join(" ")} `, again);
  }
}

/** When the first lines, which come within the page, are painted: taking them over is work that can wait so long. */
function firstPaint() {
  if (document.hidden || !document.querySelector("log-view .early")) return Promise.resolve();
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

firstPaint().then(() => customElements.define("log-view", LogView));
