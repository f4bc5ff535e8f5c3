// New lines as they arrive: the server's event stream of one generation. The browser reconnects by itself and
// names the last event it saw ("<gen>:<byte>"), so no line is lost or shown twice.

import { apiUrl } from "../api.js";

export class Follow {
  #stream = null;
  #on;

  /** `on`: {lines(rows, next), gen(number), lost(), back(), ended(why), beat()}. */
  constructor(on) {
    this.#on = on;
  }

  get running() {
    return this.#stream !== null;
  }

  start(fid, gen, from, enc) {
    this.stop();
    const stream = new EventSource(apiUrl("tail", { f: fid, gen, from: String(from), enc }));
    this.#stream = stream;
    stream.addEventListener("open", () => this.#on.back());
    stream.addEventListener("lines", (event) => {
      const data = JSON.parse(event.data);
      this.#on.lines(data.rows, data.next);
    });
    stream.addEventListener("gen", (event) => this.#on.gen(JSON.parse(event.data).gen));
    stream.addEventListener("ping", () => this.#on.beat());
    stream.addEventListener("problem", (event) => {
      const data = JSON.parse(event.data);
      this.stop();
      this.#on.ended(`not following: ${data.detail}`);
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) {
        this.stop();
        this.#on.ended("");
      } else {
        this.#on.lost();
      }
    });
  }

  stop() {
    this.#stream?.close();
    this.#stream = null;
  }
}
