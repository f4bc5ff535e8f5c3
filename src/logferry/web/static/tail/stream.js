// New lines of several files in one event stream. Every event's id says where each file goes on, so a broken stream
// continues without loss: the browser does so by itself, and where it gives up (a proxy's error page) this does.

import { apiUrl, getJson } from "../api.js";

const RETRY_S = [1, 2, 4, 8, 15];

export class Stream {
  #fids;
  #on;
  #places;
  #source = null;
  #failures = 0;
  #timer = 0;

  /** `places`: "<fid>:<gen>:<byte>,…". `on`: {lines(fid, gen, rows), gen(fid, gen), open(), lost(), ended(problem)}. */
  constructor(fids, places, on) {
    this.#fids = fids;
    this.#places = places;
    this.#on = on;
  }

  open() {
    this.close();
    const query = this.#fids.map((fid) => `f=${fid}`).join("&");
    const source = new EventSource(`${apiUrl("tail")}?${query}&at=${encodeURIComponent(this.#places)}`);
    this.#source = source;
    const hear = (kind, take) =>
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) this.#places = event.lastEventId;
        take(JSON.parse(event.data));
      });
    source.addEventListener("open", () => {
      this.#failures = 0;
      this.#on.open();
    });
    hear("lines", (data) => this.#on.lines(data.fid, data.gen, data.rows));
    hear("gen", (data) => this.#on.gen(data.fid, data.gen));
    hear("problem", (data) => {
      this.close();
      this.#on.ended(data);
    });
    source.addEventListener("error", () => this.#broken(source));
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #broken(source) {
    if (source !== this.#source) return;
    this.#on.lost();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again, with the id of the last event
    this.#source = null;
    const wait = RETRY_S[Math.min(this.#failures, RETRY_S.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#again(), wait * 1000);
  }

  /** The browser does not say why it gave up: asking for one of the files tells. */
  async #again() {
    try {
      await getJson(`files/${this.#fids[0]}`);
    } catch (problem) {
      if ([401, 403, 404].includes(problem.status)) {
        this.#on.ended({ detail: problem.message, hint: problem.hint, status: problem.status });
        return;
      }
    }
    this.open();
  }
}
