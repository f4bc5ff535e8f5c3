// Parts of a page that go on by themselves: fetched again as the same page, taken out of it, put in place. What the
// server renders it has escaped; nobody's focus, open menu or selection is taken away. Without script: reload.

import { el, icon } from "./text.js";

const SLOWEST_S = 60;

class Part {
  #node;
  #every;
  #wait;
  #timer = 0;
  #stopped = false;

  constructor(node) {
    this.#node = node;
    this.#every = Number(node.dataset.refresh);
    this.#wait = this.#every;
  }

  get running() {
    return !this.#stopped;
  }

  start() {
    this.#stopped = false;
    this.#later();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #later() {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#look(), this.#wait * 1000);
  }

  #inUse() {
    const focus = document.activeElement;
    const within = focus !== document.body && this.#node.contains(focus);
    const selection = document.getSelection();
    const selecting = selection && !selection.isCollapsed && this.#node.contains(selection.anchorNode);
    return document.hidden || within || selecting || this.#node.querySelector("details[open]") !== null;
  }

  async #look() {
    if (!this.#inUse()) {
      try {
        const answer = await fetch(this.#address(), { credentials: "same-origin", headers: { Accept: "text/html" } });
        if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
          location.reload(); // the session is over: the sign-in page says so
          return;
        }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(this.#node.id);
        if (!fresh) throw new Error("the answer has no such part");
        if (!this.#inUse()) this.#node.replaceChildren(...document.importNode(fresh, true).childNodes);
        this.#wait = this.#every;
      } catch {
        // The server is away, or a proxy answered for it: what is shown stays, and it is asked less often.
        this.#wait = Math.min(this.#wait * 2, SLOWEST_S);
      }
    }
    this.#later();
  }

  #address() {
    const here = new URL(location.href);
    here.searchParams.delete("done");
    here.hash = "";
    return here.href;
  }
}

function control(parts) {
  const place = document.querySelector("[data-refresh-control]");
  if (!place || !parts.length) return;
  const word = el("span", {}, "Live");
  const button = el("button", { class: "button", type: "button", "aria-pressed": "true" }, icon("retry"), word);
  button.addEventListener("click", () => {
    const stop = parts[0].running;
    for (const part of parts) stop ? part.stop() : part.start();
    button.setAttribute("aria-pressed", String(!stop));
    word.textContent = stop ? "Paused" : "Live";
  });
  place.append(button);
  place.hidden = false;
}

const parts = [...document.querySelectorAll("[data-refresh][id]")].map((node) => new Part(node));
for (const part of parts) part.start();
control(parts);
