// Keys of the viewer, where nobody is typing into a field.

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Call `actions[key]` for plain keys; stops when `signal` fires. */
export function listen(actions, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // A focused button keeps Enter and Space; a link keeps Enter.
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  }, { signal });
}
