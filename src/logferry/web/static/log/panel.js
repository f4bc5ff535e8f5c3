// The viewer's furniture: find bar, lines, scrollbar's place, status line, dialogs. Elements only, no behaviour.

import { el, icon } from "../text.js";
import { button, jumpDialog, keysDialog } from "./dialogs.js";

const KEYS = [
  ["/", "find in this file"], ["n  N", "next, previous hit"], ["g  G", "start, end of the file"],
  [":", "go to a line, a time, 42 %, or a byte (b734003200)"], ["j  k", "line down, up"], ["d  u", "half a screen down, up"],
  ["f", "follow: keep to the end"], ["t", "times: as written, your zone, UTC"], ["[  ]", "older, newer piece of a rotated log"],
  ["e  E", "next, previous error"], ["w  W", "next, previous warning or error"], ["z", "wrap long lines"], ["y", "copy a link to the line"], ["Y", "copy the line"],
  ["o", "only lines that match, over the whole file"], ["c", "lines around them: 0, 1, 3, 10"], ["v", "least level: all, warn, error"], ["x", "fold entries of several lines"],
  ["h", "your own highlights"], ["m  '", "mark a line, go back to it"], ["p", "a JSON line, spread out"], ["?", "this list"], ["Esc", "leave a box, clear the find"],
];

/** Build the furniture around that of `lens`; returns the elements by name. */
export function panel(lens) {
  const at = {
    input: el("input", { type: "search", placeholder: "Find in this file", "aria-label": "Find in this file", autocomplete: "off",
      spellcheck: "false", autocapitalize: "off" }),
    exactCase: button("", "Match upper and lower case", "", { text: "Aa", pressed: false }),
    regex: button("", "Regular expression (RE2)", "", { text: ".*", pressed: false }),
    hits: el("span", { class: "hits num", role: "status" }),
    previous: button("up", "Previous hit", "N"),
    next: button("down", "Next hit", "n"),
    top: button("top", "Start of the file", "g"),
    end: button("end", "End of the file", "G"),
    jump: button("", "Go to a line or a time", ":", { text: "Go to" }),
    times: button("clock", "Times: as written, in your zone, in UTC", "t"),
    wrap: button("wrap", "Wrap long lines", "z", { pressed: false }),
    link: button("link", "Copy a link to the line", "y"),
    own: button("marker", "Highlights", "h"),
    keys: button("keyboard", "Keys", "?"),
    more: button("more", "More tools", "", { pressed: false }),
    body: el("div", { class: "lines", id: "log-lines", role: "table", "aria-label": "Lines" }),
    notice: el("div", { class: "log-notice", hidden: true }),
    follow: button("follow", "Follow new lines", "f", { text: "Follow", pressed: false }),
    state: el("span", { class: "follow-state", role: "status" }),
    place: el("span", { class: "place num" }),
    keysDialog: keysDialog(KEYS),
    jumpDialog: jumpDialog("Go to", "Place", "123456",
      "A line number, a time (08:15, 2026-11-23T08:15), 42 %, b734003200 (byte), start or end"),
  };
  at.findBar = el("form", { class: "find", role: "search" }, icon("search"), at.input, at.exactCase, at.regex);
  at.toolbar = el("div", { class: "log-toolbar", role: "toolbar", "aria-label": "Log" },
    at.findBar, at.hits, el("span", { class: "pair hit-steps" }, at.previous, at.next), lens.only, lens.context, at.more,
    el("span", { class: "tools" }, lens.levels, lens.fold, at.own, at.top, at.end, at.jump, at.times, at.wrap, at.link, at.keys));
  at.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Log" }, at.body);
  at.nothing = el("div", { class: "empty log-nothing", hidden: true }, icon("only"), el("h2", {}, "No line is shown"), el("p"));
  at.pane = el("div", { class: "log-pane" }, at.scroller, at.nothing);
  at.status = el("div", { class: "log-status" }, at.follow, at.state, at.place, lens.read);
  return at;
}
