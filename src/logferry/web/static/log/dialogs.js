// Buttons and dialogs of the viewers. Elements only, no behaviour.

import { el, icon } from "../text.js";
import { keysAreOn, switchKeys } from "./keys.js";

export function button(name, label, key, { text = "", pressed = null } = {}) {
  const title = key ? `${label} (${key})` : label;
  const props = { type: "button", class: text ? "button" : "button icon-only", title, "aria-label": label };
  if (pressed !== null) props["aria-pressed"] = String(pressed);
  if (key) props["aria-keyshortcuts"] = key;
  return el("button", props, ...(name ? [icon(name)] : []), ...(text ? [el("span", {}, text)] : []));
}

/** The list of keys: pairs of keys and what they do. */
export function keysDialog(keys) {
  const rows = keys.map(([names, what]) =>
    el("div", {}, el("dt", {}, ...names.split("  ").flatMap((key) => [el("kbd", {}, key), " "])), el("dd", {}, what)));
  const on = el("input", { type: "checkbox", checked: keysAreOn(), onchange: () => switchKeys(on.checked) });
  return el("dialog", { class: "sheet-dialog", "aria-label": "Keys" },
    el("form", { method: "dialog" }, el("h2", {}, "Keys"), el("dl", { class: "keys" }, ...rows),
      el("label", { class: "check" }, on, "Letters and signs are keys"),
      el("button", { class: "button", value: "close" }, "Close")));
}

/** Where to go: the dialog, its input and the note below that. */
export function jumpDialog(title, label, placeholder, said) {
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder, "aria-label": label });
  const note = el("p", { class: "sub" }, said);
  const dialog = el("dialog", { class: "sheet-dialog", "aria-label": "Go to" },
    el("form", { method: "dialog" }, el("h2", {}, title), input, note,
      el("div", { class: "toolbar" }, el("button", { class: "button primary", value: "go" }, "Go"),
        el("button", { class: "button", value: "", formnovalidate: true }, "Cancel"))));
  return { dialog, input, note };
}

/** Show it, empty. */
export function ask({ dialog, input }) {
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  input.focus();
}
