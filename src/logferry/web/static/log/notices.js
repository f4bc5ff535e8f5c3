// What a viewer has to say above its lines: news, and what failed with a way to try it again. One at a time.

import { Problem } from "../api.js";
import { el, icon } from "../text.js";

export class Notices {
  #element;
  #retries = [];

  /** `element`: the place of the notice, hidden while there is none. */
  constructor(element) {
    this.#element = element;
  }

  /** `tone`: "info", "warn" or "bad". */
  show(tone, ...content) {
    const close = el("button", { class: "button quiet icon-only end", type: "button", "aria-label": "Dismiss", onclick: () => this.hide() }, icon("close"));
    this.#element.className = `log-notice notice ${tone}`;
    this.#element.hidden = false;
    this.#element.replaceChildren(icon(tone === "info" ? "history" : "warn"), el("p", {}, ...content), close);
  }

  hide() {
    this.#element.hidden = true;
  }

  /** Say what failed. Several things may fail at once, with the server away: one Retry repeats them all. */
  problem(error, retry) {
    const known = error instanceof Problem;
    const words = [error.message, known ? error.hint : "", known && error.requestId ? `Request ${error.requestId}.` : ""];
    this.#retries.push(retry);
    const again = el("button", { class: "button", type: "button", onclick: () => this.#retryAll() }, icon("retry"), "Retry");
    this.show("bad", `${words.filter(Boolean).join(" ")} `, again);
  }

  #retryAll() {
    this.hide();
    this.#retries.splice(0).forEach((retry) => retry());
  }
}
