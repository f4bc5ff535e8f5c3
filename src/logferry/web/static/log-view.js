// <log-view fid gen agent path size live>: reads one generation of one file, of any size, through /api/v1 alone.

import { readAddress, readJump, writeAddress } from "./log/address.js";
import { Cursor } from "./log/cursor.js";
import { ask } from "./log/dialogs.js";
import { Find } from "./log/find.js";
import { Finding } from "./log/finding.js";
import { Following } from "./log/following.js";
import { listen } from "./log/keys.js";
import { Lens } from "./log/lens.js";
import { LevelSteps } from "./log/level-steps.js";
import { Notices } from "./log/notices.js";
import { OwnWords } from "./log/own.js";
import { panel } from "./log/panel.js";
import { restBytes, TIME_MODES } from "./log/row.js";
import { ownRanges, RulesDialog } from "./log/rules.js";
import { Source } from "./log/source.js";
import { Viewport } from "./log/viewport.js";
import { about, copy, count, el, size, toast } from "./text.js";
import { ZONE } from "./zone.js";

const REST_BYTES = 256 * 1024;
const WRAP_KEY = "logferry.wrap";

class LogView extends HTMLElement {
  #address;
  #at;
  #lens;
  #source;
  #view;
  #cursor;
  #find;
  #finding;
  #following;
  #notices;
  #own;
  #levels;
  #rulesDialog = new RulesDialog((rules) => this.#useRules(rules));
  #hasFold = null;
  #hasEarly = false;
  #isAdvised = false;
  #closed = new AbortController();

  connectedCallback() {
    const { fid, gen } = this.dataset;
    this.#address = readAddress(location.search, location.hash);
    this.#hasFold = this.#address.fold;
    this.#lens = new Lens(this.#address, JSON.parse(this.dataset.encodings), (what) => this.#lensChanged(what));
    this.#at = panel(this.#lens.at);
    this.#notices = new Notices(this.#at.notice);
    this.#source = new Source(fid, gen);
    this.#source.enc = this.#lens.enc;
    this.#find = new Find(Number(fid), gen);
    this.#own = new OwnWords(() => this.#look(), () => this.#showTicks(), this.#closed.signal);
    this.#levels = new LevelSteps(() => this.#look());
    this.#view = new Viewport(this.#at.scroller, this.#at.body, this.#source, {
      moved: () => this.#showPlace(),
      problem: (error, retry) => this.#notices.problem(error, retry),
      up: () => this.#following.pauseUpward(),
      looking: (fraction) => this.#showLooking(fraction),
      ranges: (row) => this.#finding.rangesOf(row),
      own: (row) => (this.#own.rules.length ? ownRanges(this.#own.rules, row.s) : []),
      rest: (row) => this.#showRest(row),
    });
    this.#view.size = Number(this.dataset.size);
    this.#cursor = new Cursor(this.#view.rows);
    this.#following = new Following(this.#at, this.#view, { fid, gen, live: this.hasAttribute("data-live"), still: this.dataset.still ?? "" }, {
      shown: (hasBelow) => this.classList.toggle("has-below", hasBelow),
      grown: () => this.#showPlace(),
      gen: (number) => this.#tellGeneration(number),
      problem: (error, retry) => this.#notices.problem(error, retry),
      enc: () => this.#lens.enc,
    });
    this.#finding = new Finding(this.#at, this.#view, this.#cursor, this.#find, {
      begins: () => this.#showKeptAnew(),
      began: () => this.#cursor.target || this.#writeAddress(null),
      land: (hit) => this.#showHit(hit),
      shown: (isAsked) => this.#findShown(isAsked),
      cleared: () => this.#findCleared(),
    });
    this.#build();
    this.#wire();
    this.#open();
  }

  disconnectedCallback() {
    this.#closed.abort();
    this.#view.close();
    this.#following.stop();
    this.#find.clear();
  }

  // Another search of this file, read as it is read here.
  #look() {
    const found = new Find(Number(this.dataset.fid), this.dataset.gen);
    found.enc = this.#find.enc;
    return found;
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
    const wrap = this.#address.wrap ?? (localStorage.getItem(WRAP_KEY) ?? (innerWidth <= 640 ? "1" : "0")) === "1";
    this.#setWrap(wrap);
    this.#setTimes(this.#address.times);
    this.#finding.fill(this.#address);
  }

  #wire() {
    const at = this.#at;
    const { signal } = this.#closed;
    const on = (node, event, action) => node.addEventListener(event, action, { signal });
    this.#finding.listen(on);
    on(at.top, "click", () => this.#toStart());
    on(at.end, "click", () => this.#toEnd());
    on(at.jump, "click", () => ask(this.#at.jumpDialog));
    on(at.times, "click", () => this.#nextTimes());
    on(at.wrap, "click", () => this.#toggleWrap());
    on(at.link, "click", () => this.#copyLink());
    on(at.own, "click", () => this.#rulesDialog.show());
    on(at.keys, "click", () => at.keysDialog.showModal());
    on(at.more, "click", () => at.more.setAttribute("aria-pressed", String(this.classList.toggle("more-tools"))));
    on(at.follow, "click", () => (this.#following.isOn ? this.#following.pause("by you") : this.#toEnd()));
    on(at.body, "click", (event) => this.#clicked(event));
    on(at.jumpDialog.dialog, "close", () => this.#placeAsked());
    on(window, "hashchange", () => this.#hashChanged());
    on(document, "selectionchange", () => this.#selected());
    listen({
      "/": () => at.input.select(), n: () => this.#finding.step(true), N: () => this.#finding.step(false),
      g: () => this.#toStart(), Home: () => this.#toStart(), G: () => this.#toEnd(), End: () => this.#toEnd(),
      ":": () => ask(this.#at.jumpDialog), f: () => at.follow.click(), z: () => this.#toggleWrap(), t: () => this.#nextTimes(),
      e: () => this.#toLevel("error", true), E: () => this.#toLevel("error", false), w: () => this.#toLevel("warn", true),
      W: () => this.#toLevel("warn", false), "[": () => this.#neighbour(this.dataset.older), "]": () => this.#neighbour(this.dataset.newer), y: () => this.#copyLink(),
      Y: () => this.#copyLine(), j: () => this.#moveCursor(1), k: () => this.#moveCursor(-1),
      d: () => this.#page(0.5), u: () => this.#page(-0.5), PageDown: () => this.#page(0.92), PageUp: () => this.#page(-0.92),
      ArrowDown: () => this.#moveCursor(1), ArrowUp: () => this.#moveCursor(-1), "?": () => at.keysDialog.showModal(),
      m: () => this.#setMark(), "'": () => this.#toMark(), p: () => this.#spreadJson(),
      o: () => this.#lens.toggleOnly(), c: () => this.#nextContext(), x: () => this.#lens.toggleFold(),
      v: () => this.#nextLevel(), h: () => this.#rulesDialog.show(), Escape: () => this.#finding.clear(),
    }, signal);
  }

  async #open() {
    if (!this.#hasEarly) this.#at.pane.setAttribute("aria-busy", "true");
    this.#source.kept = this.#lens.kept(this.#finding.wanted);
    const row = await this.#view.go(this.#address.place, { stay: this.#hasEarly });
    this.#at.pane.removeAttribute("aria-busy");
    this.#showLens();
    await this.#reveal(row, this.#address.place);
    if (this.#address.place.kind === "line" || this.#address.place.kind === "byte") this.#cursor.aim(row, this.#address.place);
    if (this.#following.isLive) {
      this.#following.isOn = this.#view.atEnd && this.#address.place.kind !== "line";
      await this.#following.start();
    }
    this.#following.show();
    if (this.#address.find) this.#finding.run(false);
    this.#view.readIndex();
    this.#own.find();
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
    if (what !== "enc") return;
    this.#finding.run(false);
    this.#view.readIndex();
    this.#own.find();
  }

  #readAgain() {
    this.#source.enc = this.#lens.enc;
    this.#source.looksLike = null;
    this.#levels.forget();
    this.#own.forget();
    this.#notices.hide();
    this.#following.restart();
  }

  // The same place, with other lines left out.
  async #showKept() {
    const { row } = this.#cursor;
    const follow = this.#following.isOn;
    this.#source.kept = this.#lens.kept(this.#finding.wanted);
    this.#at.pane.setAttribute("aria-busy", "true");
    const place = follow || !row ? { kind: follow ? "end" : "start" } : { kind: "byte", byte: row.b };
    const shown = await this.#view.go(place, { fresh: true });
    this.#at.pane.removeAttribute("aria-busy");
    if (follow) this.#view.toEnd();
    if (shown && !follow) this.#cursor.choose(shown);
    this.#showLens();
    this.#writeAddress(this.#cursor.target);
  }

  // The lines that match are others before any of them is found.
  async #showKeptAnew() {
    if (this.#lens.only && JSON.stringify(this.#lens.kept(this.#finding.wanted)) !== JSON.stringify(this.#source.kept)) await this.#showKept();
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
      if (!this.#isAdvised) this.#notices.show("info", ...this.#lens.advice(looksLike));
      this.#isAdvised = true;
    }
  }

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
    this.#own.rules = rules;
    this.#view.rows.paintAll();
    this.#own.find();
  }

  #showTicks() {
    const of = (bytes) => bytes.map((byte) => byte / Math.max(1, this.#view.size));
    const own = this.#own.ticks().map(({ kind, bytes }) => ({ kind, fractions: of(bytes) }));
    this.#view.bar.mark([...own, { kind: 0, fractions: of(this.#find.hits.map((hit) => hit.b)) }]);
  }

  // Places -------------------------------------------------------------------------------------------------

  async #toStart() {
    this.#following.pause("you went to the start");
    const row = await this.#view.go({ kind: "start" }, { top: true });
    this.#cursor.choose(row);
  }

  async #toEnd() {
    await this.#view.go({ kind: "end" });
    this.#view.toEnd();
    this.#cursor.choose(null);
    this.#following.resume();
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
    this.#following.pause("you went elsewhere");
    const row = await this.#view.go(place);
    if (!row) return;
    const shown = await this.#reveal(row, place);
    const exact = place.kind === "line" && shown.n === place.from;
    const { rows } = this.#view;
    if (place.kind === "line" && !exact && rows.exact && !rows.sparse) toast(`The file ends at line ${count(rows.last.n)}`);
    else if (place.kind === "line" && !exact && rows.sparse) toast(`Line ${count(place.from)} is not among those that are shown`);
    this.#pointAt(shown, exact ? place : this.#cursor.placeOf(shown));
  }

  // Highlight lines and name them in the address.
  #pointAt(row, place) {
    this.#cursor.aim(row, place);
    this.#writeAddress(place);
  }

  #writeAddress(place) {
    history.replaceState(null, "", this.#addressOf(this.#address.gen, place, this.#address.wrap) || location.pathname);
  }

  #addressOf(gen, place, wrap) {
    return writeAddress({ gen, place, wrap, times: this.#address.times, ...this.#finding.address, ...this.#lens.address(this.#hasFold) });
  }

  #hashChanged() {
    const { place } = readAddress(location.search, location.hash);
    if (place.kind === "line") this.#visit(place);
  }

  // A line that is marked, and the way back.
  #setMark() {
    const row = this.#cursor.mark();
    if (row) toast(`Marked: ' leads back to ${this.#view.rows.exact ? `line ${count(row.n)}` : `byte ${count(row.b)}`}`);
  }

  #toMark() {
    if (this.#cursor.marked) this.#visit(this.#cursor.marked);
    else toast("No line is marked: m marks one");
  }

  // One JSON line over several lines, or back as it is written.
  #spreadJson() {
    const { row } = this.#cursor;
    if (!row) return;
    this.#following.pause("a line is spread out");
    if (!this.#view.rows.spread(row)) toast("This line is no JSON");
  }

  #moveCursor(step) {
    if (step < 0) this.#following.pauseUpward();
    this.#cursor.move(step);
  }

  #page(screens) {
    if (screens < 0) this.#following.pauseUpward();
    this.#at.scroller.scrollBy({ top: screens * this.#at.scroller.clientHeight });
    this.#cursor.choose(null);
  }

  #clicked(event) {
    const node = event.target.closest(".row");
    if (!node || event.target.closest(".rest")) return;
    const row = this.#view.rows.holding(Number(node.dataset.b));
    if (!row) return;
    const link = event.target.closest(".n a");
    if (!link) {
      if (getSelection()?.isCollapsed) this.#cursor.choose(row);
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#following.pause("a line is marked");
    const place = this.#cursor.placeOf(row);
    this.#pointAt(row, event.shiftKey ? this.#cursor.stretched(place) : place);
  }

  async #copyLink() {
    const address = this.#addressOf(this.dataset.gen, this.#cursor.place(), null);
    const done = await copy(location.origin + location.pathname + address);
    toast(done ? "Link copied" : "The browser refused the clipboard: copy the address instead");
  }

  async #copyLine() {
    const { row } = this.#cursor;
    if (row) toast((await copy(row.s)) ? "Line copied" : "The browser refused the clipboard");
  }

  // Long lines, wrap -----------------------------------------------------------------------------------------

  async #showRest(row) {
    const button = row.el.querySelector(".rest");
    button.disabled = true;
    this.#following.pause("a long line is open");
    try {
      const bytes = Math.min(REST_BYTES, restBytes(row));
      const more = await this.#source.more(row.b + row.shown, bytes, { signal: this.#closed.signal });
      row.shown += more.bytes;
      row.s += more.s;
    } catch (error) {
      if (error.name !== "AbortError") this.#notices.problem(error, () => this.#showRest(row));
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
    const follow = this.#following.isOn;
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
    if (this.#following.isOn) this.#view.toEnd();
    else if (this.classList.contains("wrapped")) stay?.el.scrollIntoView({ block: "start", inline: "nearest" });
    this.#writeAddress(this.#cursor.target);
  }

  #neighbour(address) {
    if (address) location.href = address;
    else toast("There is no further piece of this log");
  }

  /** The next or previous line of a level, in the whole file. */
  async #toLevel(level, forward) {
    const { row } = this.#cursor;
    if (!row) return;
    const [what, isOne] = level === "error" ? ["errors", "an error"] : ["warnings and errors", "a warning or an error"];
    try {
      const hit = await this.#levels.from(level, row.b, forward, this.#view.size, () => toast(`Looking for ${what}…`));
      if (hit) await this.#visit({ kind: "byte", byte: hit.b });
      else toast(`No line of this file is ${isOne}`);
    } catch (error) {
      this.#notices.problem(error, () => this.#toLevel(level, forward));
    }
  }

  // Find and follow --------------------------------------------------------------------------------------------

  async #showHit(hit) {
    this.#following.pause("a hit is shown");
    const place = { kind: "byte", byte: hit.b };
    const row = await this.#reveal(await this.#view.go(place), place);
    if (row) this.#pointAt(row, this.#cursor.placeOf(row));
    return row;
  }

  #findShown(isAsked) {
    this.classList.toggle("has-find", isAsked);
    this.#showTicks();
  }

  #findCleared() {
    if (!this.#lens.only) return;
    this.#lens.only = false;
    this.#lens.show(this.#source.encoding);
    this.#showKept();
  }

  #selected() {
    const selection = getSelection();
    if (!selection || selection.isCollapsed) return;
    if (this.#at.body.contains(selection.anchorNode)) this.#following.pause("text is selected");
  }

  #tellGeneration(number) {
    const link = el("a", { href: location.pathname + writeAddress({ gen: null, place: { kind: "end" } }) }, `Open generation ${number}`);
    this.#notices.show("info", `A newer generation of this file began: number ${number}. This one stays as it is. `, link);
  }

  // Words below and above ----------------------------------------------------------------------------------------

  #showPlace() {
    const { rows } = this.#view;
    if (this.#at.place.classList.contains("looking")) return;
    if (this.#source.looksLike && !this.#isAdvised) this.#showLens();
    this.#following.cameBack();
    const row = rows.atHeight(0);
    const total = this.#view.total();
    const totalWords = total === null ? "" : total.exact ? ` of ${count(total.lines)}` : ` of ≈ ${about(total.lines)}`;
    const [from] = this.#view.span();
    const percent = this.#view.atEnd ? 100 : Math.floor((from / Math.max(1, this.#view.size)) * 100);
    const line = !row || row.n === null ? "" : `line ${rows.exact ? count(row.n) : `≈ ${about(row.n)}`}${totalWords} · `;
    this.#at.place.textContent = `${line}${size(this.#view.size)} · ${percent} %`;
    this.#at.body.setAttribute("aria-rowcount", String(total?.exact ? total.lines : -1));
    this.#gutter();
    if (this.#cursor.target) this.#cursor.paint();
  }

  #gutter() {
    const { last, exact } = this.#view.rows;
    const digits = String(last?.n ?? 0).length + (exact ? 0 : 1);
    this.style.setProperty("--digits", String(Math.max(4, digits)));
  }
}

/** When the first lines, which come within the page, are painted: taking them over is work that can wait so long. */
function firstPaint() {
  if (document.hidden || !document.querySelector("log-view .early")) return Promise.resolve();
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

firstPaint().then(() => customElements.define("log-view", LogView));
