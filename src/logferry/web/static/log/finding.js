// The find box: what is looked for in this file, the hits while they come in, the way from one to the next.

import { count } from "../text.js";
import { occurrences } from "./row.js";

const WAIT_MS = 350;
const DRAW_MS = 80;
const TYPING_BYTES_MAX = 64 * 1024 * 1024;

export class Finding {
  #at;
  #view;
  #cursor;
  #find;
  #on;
  #timer = 0;
  #landing = null;
  #isTyping = false;

  /**
   * `at`: furniture; `find`: the search itself. `on`: {begins(), began(), shown(), land(hit), cleared()}, where what
   * `begins` returns is waited for, and `land` shows a hit: its row, or null when the reader went elsewhere meanwhile.
   */
  constructor(at, view, cursor, find, on) {
    this.#at = at;
    this.#view = view;
    this.#cursor = cursor;
    this.#find = find;
    this.#on = on;
  }

  /** Put into the box what an address asks for. */
  fill({ find, exactCase, regex }) {
    this.#at.input.value = find;
    this.#at.exactCase.setAttribute("aria-pressed", String(exactCase));
    this.#at.regex.setAttribute("aria-pressed", String(regex));
  }

  listen(on) {
    const { findBar, input, exactCase, regex, previous, next } = this.#at;
    on(findBar, "submit", (event) => this.#submitted(event));
    on(input, "input", () => this.#typed());
    on(input, "focus", () => (this.#isTyping = true));
    on(input, "blur", () => (this.#isTyping = false));
    on(input, "keydown", (event) => this.#key(event));
    for (const toggle of [exactCase, regex]) on(toggle, "click", () => this.#toggle(toggle));
    on(previous, "click", () => this.step(false));
    on(next, "click", () => this.step(true));
  }

  /** What the box says: {text, exactCase, regex}. */
  get wanted() {
    const isPressed = (node) => node.getAttribute("aria-pressed") === "true";
    return { text: this.#at.input.value, exactCase: isPressed(this.#at.exactCase), regex: isPressed(this.#at.regex) };
  }

  /** What is looked for, for the address. */
  get address() {
    const { text, exactCase, regex } = this.#find;
    return { find: text, exactCase, regex };
  }

  /** Look for what the box says; with `jump` the first hit from here on is shown when it is there. */
  async run(jump) {
    const { text, ...how } = this.wanted;
    if (!text) return;
    await this.#on.begins();
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
      this.show();
      land(this.#find.hits.find((hit) => hit.b >= from));
    };
    const run = this.#find.run(text, how, () => {
      if (!drawn) drawn = setTimeout(draw, DRAW_MS);
    });
    this.#view.rows.paintAll(); // what is in view shows its marks at once, long before the whole file is searched
    this.show();
    this.#on.began();
    await run;
    clearTimeout(drawn);
    if (this.#find.text !== this.#at.input.value) return;
    draw();
    land(this.#find.hits[0]);
  }

  clear() {
    clearTimeout(this.#timer);
    if (!this.#find.text && !this.#at.input.value) return;
    this.#find.clear();
    this.#at.input.value = "";
    this.#on.cleared();
    this.#view.rows.paintAll();
    this.show();
  }

  /** To the next hit, or the one before. */
  step(forward) {
    if (this.#find.hits.length) this.#land(this.#find.from(this.#landing?.b ?? this.#cursor.byte, forward));
    else if (this.#at.input.value && this.#find.text !== this.#at.input.value) this.run(true);
  }

  async #land(hit) {
    this.#landing = hit; // where the next n or N starts from, even before the rows are here
    if (!this.#isTyping) this.#at.scroller.focus({ preventScroll: true }); // what is typed next belongs to the box
    const row = await this.#on.land(hit);
    if (!row) return;
    this.#landing = null;
    this.show();
    row.el.querySelector("mark")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#isTyping = true;
    const { value } = this.#at.input;
    if (!value) this.clear();
    else if (this.#view.size <= TYPING_BYTES_MAX && value.length > 1) this.#timer = setTimeout(() => this.run(true), WAIT_MS);
  }

  #key(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.#at.scroller.focus({ preventScroll: true });
    } else if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      this.step(false);
    }
  }

  #submitted(event) {
    event.preventDefault();
    clearTimeout(this.#timer);
    this.#isTyping = false;
    const { value } = this.#at.input;
    if (value && value === this.#find.text && this.#find.state !== "failed") this.step(true);
    else this.run(true);
  }

  #toggle(toggle) {
    toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
    this.run(true);
  }

  /** Where the words are in a row: [from, to] each. */
  rangesOf(row) {
    const { text, exactCase, regex } = this.#find;
    const spans = this.#find.spansAt(row.b) ?? [];
    return !text || regex ? spans : [...spans, ...occurrences(row.s, text, exactCase)];
  }

  /** Say how many there are, and which of them the cursor is at. */
  show() {
    const { hits, input } = this.#at;
    const { state, problem, text } = this.#find;
    const isBad = state === "failed";
    input.setAttribute("aria-invalid", String(isBad));
    hits.title = isBad ? [problem.hint, problem.requestId && `request ${problem.requestId}`].filter(Boolean).join(" · ") : "";
    hits.textContent = text ? this.#words() : "";
    hits.classList.toggle("bad", isBad);
    this.#on.shown(text !== "");
  }

  #words() {
    const { state, hits, problem, progress } = this.#find;
    if (state === "failed") return problem.message;
    if (!hits.length && state !== "running") return "no line matches";
    if (!hits.length) return `searching…${progress?.total_bytes ? ` ${Math.floor((100 * progress.scanned_bytes) / progress.total_bytes)} %` : ""}`;
    const { chosen } = this.#cursor;
    const at = chosen ? this.#find.position(chosen.b) : 0;
    const more = { running: "…", complete: "" }[state] ?? "+";
    return `${at ? `${count(at)} of ` : ""}${count(hits.length)}${more} ${hits.length === 1 ? "hit" : "hits"}`;
  }
}
