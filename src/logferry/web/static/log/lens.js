// What of a file is shown, and as what it is read: entries folded, only what is found or bad enough, lines around it,
// the encoding. State and furniture; what follows from it is the viewer's.

import { el, icon } from "../text.js";
import { LEVELS } from "./address.js";
import { button } from "./dialogs.js";
import { asQuery } from "./find.js";

const FOLD_KEY = "logferry.fold";
const CONTEXTS = [0, 1, 3, 10];

export class Lens {
  fold;
  only;
  context;
  level;
  enc;
  #encodings;
  #onChange;
  at;

  /** `encodings`: pairs of name and label. `onChange(what)`: one of "fold", "only", "context", "level", "enc". */
  constructor(address, encodings, onChange) {
    this.fold = address.fold ?? localStorage.getItem(FOLD_KEY) === "1";
    Object.assign(this, { only: address.only, context: address.context, level: address.level });
    this.#encodings = encodings;
    this.enc = encodings.some(([name]) => name === address.enc) ? address.enc : "";
    this.#onChange = onChange;
    this.at = this.#furniture();
    this.show("");
  }

  #furniture() {
    const levels = el("select", { class: "level", "aria-label": "Least level", title: "Only entries of this level or worse" },
      el("option", { value: "" }, "All levels"),
      ...LEVELS.map((level) => el("option", { value: level }, level === LEVELS.at(-1) ? level : `${level} +`)));
    levels.addEventListener("change", () => this.set({ level: levels.value }, "level"));
    const read = el("select", { class: "encoding", "aria-label": "Encoding", title: "What the bytes are read as" });
    read.addEventListener("change", () => this.set({ enc: read.value }, "enc"));
    const on = (node, action) => (node.addEventListener("click", action), node);
    return {
      levels,
      read,
      only: on(button("only", "Only lines that match", "o", { pressed: false }), () => this.toggleOnly()),
      context: on(button("", "Lines around what is shown", "c", { text: "± 0" }), () => this.nextContext()),
      fold: on(button("fold", "Fold entries of several lines", "x", { pressed: false }), () => this.toggleFold()),
    };
  }

  set(change, what) {
    Object.assign(this, change);
    if (what === "fold") localStorage.setItem(FOLD_KEY, this.fold ? "1" : "0");
    this.#onChange(what);
  }

  toggleOnly() {
    this.set({ only: !this.only }, "only");
  }

  toggleFold() {
    this.set({ fold: !this.fold }, "fold");
  }

  nextContext() {
    const at = CONTEXTS.findIndex((lines) => lines > this.context);
    this.set({ context: at < 0 ? 0 : CONTEXTS[at] }, "context");
  }

  /** What the server is asked to keep, given what is looked for; null: everything. */
  kept({ text, exactCase, regex }) {
    const terms = [];
    if (this.only && text) terms.push(asQuery(text, regex));
    if (this.level) terms.push(`level:>=${this.level}`);
    if (!terms.length && !this.fold) return null;
    return { q: terms.join(" "), case: exactCase, context: terms.length ? this.context : 0, fold: this.fold };
  }

  /** For the address: `wasFold` is what it said. */
  address(wasFold) {
    return { fold: this.fold || wasFold !== null ? this.fold : null, only: this.only, context: this.context, level: this.level, enc: this.enc };
  }

  /** Show how it stands; `encoding`: what the file is read as. */
  show(encoding) {
    const { levels, read, only, context, fold } = this.at;
    only.setAttribute("aria-pressed", String(this.only));
    fold.setAttribute("aria-pressed", String(this.fold));
    context.hidden = !this.only && !this.level;
    context.querySelector("span").textContent = `± ${this.context}`;
    levels.value = this.level;
    levels.classList.toggle("set", this.level !== "");
    const label = (name) => this.#encodings.find(([each]) => each === name)?.[1] ?? name;
    const first = !encoding || this.enc ? "As it looks" : label(encoding);
    read.replaceChildren(el("option", { value: "" }, first),
      ...this.#encodings.map(([name, text]) => el("option", { value: name }, text)));
    read.value = this.enc;
    read.classList.toggle("set", this.enc !== "");
  }

  /** The notice about bytes that mean nothing, with the way to what they look like; `onUse` when it was taken. */
  advice(looksLike) {
    const [, label] = this.#encodings.find(([name]) => name === looksLike) ?? ["", looksLike];
    return [`Some bytes here are no UTF-8. They look like ${label}. `,
      el("button", { class: "button", type: "button", onclick: () => this.set({ enc: looksLike }, "enc") }, icon("retry"), "Read it so")];
  }
}
