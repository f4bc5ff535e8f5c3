// The furniture of the merged viewer: toolbar, lines, status, dialogs. Elements only, no behaviour.

import { el, icon } from "../text.js";

function button(name, label, key, { text = "", pressed = null } = {}) {
  const props = { type: "button", class: text ? "button" : "button icon-only", title: key ? `${label} (${key})` : label, "aria-label": label };
  if (pressed !== null) props["aria-pressed"] = String(pressed);
  if (key) props["aria-keyshortcuts"] = key;
  return el("button", props, ...(name ? [icon(name)] : []), ...(text ? [el("span", {}, text)] : []));
}

const KEYS = [
  ["/", "mark a word"], ["n  N", "next, previous line with it here"], ["g  G", "start, end"], [":", "go to a time"],
  ["j  k", "line down, up"], ["d  u", "half a screen down, up"], ["f", "follow: keep to the end"], ["z", "wrap long lines"],
  ["t", "times: your zone, UTC, as written"], ["y", "copy a link to the line"], ["Y", "copy the line"], ["?", "this list"],
];

function keysDialog() {
  const rows = KEYS.map(([keys, what]) =>
    el("div", {}, el("dt", {}, ...keys.split("  ").flatMap((key) => [el("kbd", {}, key), " "])), el("dd", {}, what)));
  return el("dialog", { class: "sheet-dialog", "aria-label": "Keys" },
    el("form", { method: "dialog" }, el("h2", {}, "Keys"), el("dl", { class: "keys" }, ...rows),
      el("button", { class: "button", value: "close" }, "Close")));
}

function jumpDialog(zone) {
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "08:15", "aria-label": "Time" });
  const dialog = el("dialog", { class: "sheet-dialog", "aria-label": "Go to" },
    el("form", { method: "dialog" }, el("h2", {}, "Go to a time"), input,
      el("p", { class: "sub" }, `2026-11-23T08:15, 08:15, now-2h, yesterday, start or end; times of ${zone}`),
      el("div", { class: "toolbar" }, el("button", { class: "button primary", value: "go" }, "Go"),
        el("button", { class: "button", value: "", formnovalidate: true }, "Cancel"))));
  return { dialog, input };
}

/** Build the furniture; returns the elements by name. */
export function panel(zone) {
  const at = {
    input: el("input", { type: "search", placeholder: "Mark a word", "aria-label": "Mark a word", autocomplete: "off", spellcheck: "false" }),
    top: button("top", "Start", "g"),
    end: button("end", "End", "G"),
    jump: button("", "Go to a time", ":", { text: "Go to" }),
    times: button("clock", "Times beside the lines", "t", { text: "" }),
    timesWord: el("span", { class: "sub" }),
    wrap: button("wrap", "Wrap long lines", "z", { pressed: false }),
    link: button("link", "Copy a link to the line", "y"),
    keys: button("keyboard", "Keys", "?"),
    body: el("div", { class: "lines", id: "log-lines", role: "table", "aria-label": "Lines" }),
    notes: el("ul", { class: "merge-notes", hidden: true }),
    notice: el("div", { class: "log-notice", hidden: true }),
    follow: button("follow", "Follow new lines", "f", { text: "Follow", pressed: false }),
    state: el("span", { class: "follow-state", role: "status" }),
    place: el("span", { class: "place num" }),
    keysDialog: keysDialog(),
    jumpDialog: jumpDialog(zone),
  };
  at.toolbar = el("div", { class: "log-toolbar", role: "toolbar", "aria-label": "Log" },
    el("span", { class: "find", role: "search" }, icon("search"), at.input),
    el("span", { class: "tools" }, at.top, at.end, at.jump, at.times, at.timesWord, at.wrap, at.link, at.keys));
  at.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Log" }, at.body);
  at.pane = el("div", { class: "log-pane" }, at.scroller);
  at.status = el("div", { class: "log-status" }, at.follow, at.state, at.place);
  return at;
}
