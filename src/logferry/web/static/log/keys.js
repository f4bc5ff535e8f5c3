// Keys of the viewer, where nobody is typing into a field. They can be off: people who dictate type by accident.

import { change } from "../api.js";
import { toast } from "../text.js";

const OLDER_KEY = "logferry.keys"; // where versions before kept it, for one browser alone
const page = document.documentElement;
const ALWAYS = /^(Home|End|Page(Up|Down)|Arrow(Up|Down)|Escape)$/;

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Whether single letters and signs are keys. */
export function keysAreOn() {
  return page.dataset.keys !== "off";
}

/** Switch them, for this person in every browser. */
export async function switchKeys(on) {
  page.dataset.keys = on ? "on" : "off";
  try {
    await change("PATCH", "me", { keys: page.dataset.keys });
    localStorage.removeItem(OLDER_KEY);
  } catch (error) {
    toast(`Kept until you leave this page only. ${error.message}`);
  }
}

/** Call `actions[key]` for plain keys; stops when `signal` fires. */
export function listen(actions, signal) {
  if (!page.dataset.keys && localStorage.getItem(OLDER_KEY) === "off") switchKeys(false);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // A focused button keeps Enter and Space; a link keeps Enter.
    const action = actions[event.key];
    if (!action || !(keysAreOn() || ALWAYS.test(event.key))) return;
    event.preventDefault();
    action(event);
  }, { signal });
}
