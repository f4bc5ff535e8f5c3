// Keys of the viewer, where nobody is typing into a field. They can be off: people who dictate type by accident.

const KEY = "logferry.keys";
const ALWAYS = /^(Home|End|Page(Up|Down)|Arrow(Up|Down)|Escape)$/;

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Whether single letters and signs are keys. */
export function keysAreOn() {
  return localStorage.getItem(KEY) !== "off";
}

/** Switch them; this browser keeps it. */
export function switchKeys(on) {
  if (on) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, "off");
}

/** Call `actions[key]` for plain keys; stops when `signal` fires. */
export function listen(actions, signal) {
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
