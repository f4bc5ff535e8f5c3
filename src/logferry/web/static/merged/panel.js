// The furniture of the merged viewer: toolbar, lines, status, dialogs. Elements only, no behaviour.

import { button, jumpDialog, keysDialog } from "../log/dialogs.js";
import { el, icon } from "../text.js";

const KEYS = [
  ["/", "mark a word"], ["n  N", "next, previous line with it here"], ["g  G", "start, end"], [":", "go to a time"],
  ["j  k", "line down, up"], ["d  u", "half a screen down, up"], ["f", "follow: keep to the end"], ["z", "wrap long lines"],
  ["t", "times: your zone, UTC, as written"], ["y", "copy a link to the line"], ["Y", "copy the line"], ["?", "this list"],
];

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
    keysDialog: keysDialog(KEYS),
    jumpDialog: jumpDialog("Go to a time", "Time", "08:15",
      `2026-11-23T08:15, 08:15, now-2h, yesterday, start or end; times of ${zone}`),
  };
  at.toolbar = el("div", { class: "log-toolbar", role: "toolbar", "aria-label": "Log" },
    el("span", { class: "find", role: "search" }, icon("search"), at.input),
    el("span", { class: "tools" }, at.top, at.end, at.jump, at.times, at.timesWord, at.wrap, at.link, at.keys));
  at.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Log" }, at.body);
  at.pane = el("div", { class: "log-pane" }, at.scroller);
  at.status = el("div", { class: "log-status" }, at.follow, at.state, at.place);
  return at;
}
