// One's own words in one's own colours, in every log that one reads. The server keeps them for the person.

import { change } from "../api.js";
import { el, icon, toast } from "../text.js";
import { occurrences } from "./row.js";

const OLDER_KEY = "logferry.highlights"; // where versions before kept them, for one browser alone
// As limits.py has them.
const RULES_MAX = 12;
const WORD_CHARS_MAX = 200;
export const COLOURS = ["yellow", "green", "blue", "violet", "red", "grey"];

let rules = null;

/** What is kept, whatever another version or somebody's hand left there: [{word, colour, exactCase}]. */
export function rulesOf(text) {
  let found;
  try {
    found = JSON.parse(text ?? "[]");
  } catch {
    return []; // not ours: as if there were none
  }
  if (!Array.isArray(found)) return [];
  return found
    .filter((rule) => typeof rule?.word === "string" && rule.word.length > 0 && [...rule.word].length <= WORD_CHARS_MAX)
    .map(({ word, colour, exactCase, exact_case }) =>
      ({ word, colour: COLOURS.includes(colour) ? colour : COLOURS[0], exactCase: (exact_case ?? exactCase) === true }))
    .slice(0, RULES_MAX);
}

/** Those of this person, from the page at first. Who never said any gets those that this browser kept before. */
export function keptRules() {
  if (rules) return rules;
  const told = document.querySelector("[data-highlights]")?.dataset.highlights;
  rules = rulesOf(told ?? localStorage.getItem(OLDER_KEY));
  if (told === undefined && rules.length) keep().catch(() => {}); // they stay here, for the next time
  return rules;
}

async function keep() {
  const items = rules.map(({ word, colour, exactCase }) => ({ word, colour, exact_case: exactCase }));
  await change("PUT", "me/highlights", { items });
  localStorage.removeItem(OLDER_KEY);
}

/** Where the rules' words are in a line: [from, to, kind], where kind is the number of the colour, from 1. */
export function ownRanges(rules, text) {
  return rules.flatMap(({ word, colour, exactCase }) =>
    occurrences(text, word, exactCase).map(([from, to]) => [from, to, COLOURS.indexOf(colour) + 1]));
}

/** The dialog to change them; `onChange(rules)` when it closes. */
export class RulesDialog {
  #list = el("div", { class: "rules" });
  #onChange;
  element;

  constructor(onChange) {
    this.#onChange = onChange;
    const add = el("button", { class: "button", type: "button", onclick: () => this.#add({ word: "", colour: this.#nextColour(), exactCase: false }).focus() }, "Add a word");
    this.element = el("dialog", { class: "sheet-dialog", "aria-label": "Highlights" },
      el("form", { method: "dialog" }, el("h2", {}, "Highlights"),
        el("p", { class: "sub" }, "Your words, marked in every log that you read, in every browser."),
        this.#list, el("div", { class: "toolbar" }, el("button", { class: "button primary", value: "keep" }, "Keep"), add,
          el("button", { class: "button", value: "", formnovalidate: true }, "Cancel"))));
    this.element.addEventListener("close", () => this.#closed());
  }

  show() {
    this.#list.replaceChildren();
    const kept = keptRules();
    for (const rule of kept) this.#add(rule);
    const first = kept.length ? null : this.#add({ word: "", colour: COLOURS[0], exactCase: false });
    this.element.returnValue = "";
    this.element.showModal();
    first?.focus();
  }

  #nextColour() {
    return COLOURS[this.#list.children.length % COLOURS.length];
  }

  #add({ word, colour, exactCase }) {
    const input = el("input", { type: "text", value: word, maxlength: String(WORD_CHARS_MAX), autocomplete: "off", spellcheck: "false", "aria-label": "Word" });
    const options = COLOURS.map((name) => el("option", { value: name, selected: name === colour }, name));
    const row = el("div", { class: "rule" }, el("span", { class: "swatch" }), input,
      el("select", { "aria-label": "Colour" }, ...options),
      el("label", { class: "check", title: "Match upper and lower case" }, el("input", { type: "checkbox", checked: exactCase, "aria-label": "Match upper and lower case" }), "Aa"),
      el("button", { class: "button quiet icon-only", type: "button", "aria-label": "Remove", onclick: () => row.remove() }, icon("close")));
    if (this.#list.children.length < RULES_MAX) this.#list.append(row);
    return input;
  }

  #closed() {
    if (this.element.returnValue !== "keep") return;
    const typed = [...this.#list.children].map((row) => ({
      word: row.querySelector("input[type=text]").value.toWellFormed(),
      colour: row.querySelector("select").value,
      exactCase: row.querySelector("input[type=checkbox]").checked,
    }));
    rules = typed.filter(({ word }) => word);
    this.#onChange(rules);
    keep().catch((error) => toast(`Kept until you leave this page only. ${error.message}`));
  }
}
