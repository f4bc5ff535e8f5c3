// Keeping to the end of a file that grows: what arrives, when the reader wants to stay where he is, and the words for it.

import { count } from "../text.js";
import { Follow } from "./follow.js";

const SCROLLED_UP = "you scrolled up";

export class Following {
  #at;
  #view;
  #stream;
  #on;
  #generation;
  #pause = "";
  #below = 0;
  #seen = -1;
  #still = "";
  /** Whether the file grows. */
  isLive;
  /** Whether the view keeps to the end. */
  isOn = false;

  /**
   * `at`: furniture; `generation`: {fid, gen, live, still}, where `still` says why nothing more comes.
   * `on`: {shown(), grown(), gen(number), problem(error, retry), enc()}.
   */
  constructor(at, view, generation, on) {
    this.#at = at;
    this.#view = view;
    this.#generation = generation;
    this.#on = on;
    this.#still = generation.still;
    this.isLive = generation.live;
    at.follow.hidden = !this.isLive;
    this.#stream = new Follow({
      lines: (rows, next) => this.#grown(rows, next),
      gen: (number) => this.#end(number),
      lost: () => this.#say(`connection lost, resuming from ${this.#lastSeen()} (no lines lost)`, "warn"),
      back: () => this.show(),
      ended: (why) => this.#say(why || "not connected: reload to follow again", "warn"),
      beat: () => this.show(),
    });
  }

  /** Ask for what comes after the last line that is there, which may be unfinished: it comes again when it is whole. */
  async start() {
    try {
      const last = await this.#view.lastByte();
      this.#seen = last ?? -1;
      this.#listen(last ?? 0);
    } catch (error) {
      if (error.name !== "AbortError") this.#on.problem(error, () => this.start());
    }
  }

  /** Go on at the end, the file being read as something else now. */
  restart() {
    if (this.isLive && this.#stream.running) this.#listen(this.#view.size);
  }

  stop() {
    this.#stream.stop();
  }

  #listen(from) {
    this.#stream.start(this.#generation.fid, this.#generation.gen, from, this.#on.enc());
  }

  #grown(rows, next) {
    this.#view.grow(rows, next, this.isOn);
    if (this.#view.rows.mode !== "written") this.#view.showTimes(this.#view.rows.mode);
    const fresh = rows.filter((row) => row.b > this.#seen);
    if (fresh.length) this.#seen = fresh.at(-1).b;
    if (!this.isOn) this.#below += fresh.length;
    this.show();
    this.#on.grown();
  }

  /** A newer generation began: this one stays as it is. */
  #end(number) {
    this.isLive = false;
    this.stop();
    this.#at.follow.hidden = true;
    this.#still = "ended: a newer generation began";
    this.#on.gen(number);
    this.show();
  }

  /** Stay here from now on; `why` is said. */
  pause(why) {
    if (!this.isOn) return;
    this.isOn = false;
    this.#pause = why;
    this.#below = 0;
    this.show();
  }

  pauseUpward() {
    this.pause(SCROLLED_UP);
  }

  resume() {
    if (!this.isLive) return;
    this.isOn = true;
    this.#below = 0;
    this.#view.rows.trimTop();
    this.#view.toEnd();
    this.show();
  }

  /** The reader who only scrolled up has come back to the end. */
  cameBack() {
    if (this.isLive && this.#view.atEnd && !this.isOn && this.#pause === SCROLLED_UP) this.resume();
  }

  #lastSeen() {
    const { last, exact } = this.#view.rows;
    return last && exact ? `line ${count(last.n)}` : `byte ${count(this.#view.size)}`;
  }

  #say(text, tone = "") {
    const { state } = this.#at;
    if (state.textContent !== text) state.textContent = text;
    state.className = `follow-state ${tone}`;
  }

  /** Say how it stands. */
  show() {
    if (!this.isLive) {
      this.#say(this.#still);
      return;
    }
    this.#at.follow.setAttribute("aria-pressed", String(this.isOn));
    const below = this.#below ? `${count(this.#below)} new ${this.#below === 1 ? "line" : "lines"} below` : "";
    if (this.isOn) this.#say(this.#view.size ? "following" : "0 bytes so far, following", "on");
    else if (this.#pause) this.#say([`paused: ${this.#pause}`, below].filter(Boolean).join(" · "));
    else this.#say(below);
    this.#on.shown(this.#below > 0);
  }
}
