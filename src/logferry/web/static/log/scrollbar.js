// The scrollbar: its thumb is the share of the file's bytes, whatever its size; ticks show hits.

import { el } from "../text.js";

const THUMB_PX_MIN = 28;

export class Scrollbar {
  #track;
  #thumb;
  #ticks;
  #tip;
  #grabbed = null;
  #marks = [];
  #fraction = 0;

  /** `onMove(fraction, done)` while dragging; `describe(fraction)` gives the words beside the thumb. */
  constructor({ onMove, describe, controls }) {
    this.#thumb = el("div", { class: "thumb" });
    this.#ticks = el("canvas", { class: "ticks" });
    this.#tip = el("div", { class: "tip", hidden: true });
    this.#track = el(
      "div",
      { class: "track", role: "scrollbar", "aria-controls": controls, "aria-orientation": "vertical", "aria-label": "Place in the file",
        "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0" },
      this.#ticks, this.#thumb, this.#tip,
    );
    this.describe = describe;
    this.onMove = onMove;
    this.#track.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#track.addEventListener("pointermove", (event) => this.#drag(event));
    this.#track.addEventListener("pointerup", (event) => this.#release(event));
    this.#track.addEventListener("pointercancel", (event) => this.#release(event));
    new ResizeObserver(() => this.#draw()).observe(this.#track);
  }

  get element() {
    return this.#track;
  }

  get dragging() {
    return this.#grabbed !== null;
  }

  /** Show the view at `fraction` (0..1) of the file, covering `share` of it. */
  set(fraction, share) {
    this.#share = Math.min(1, Math.max(0, share));
    if (this.dragging) return;
    this.#place(fraction);
  }

  #share = 1;

  #place(fraction) {
    this.#fraction = Math.min(1, Math.max(0, fraction));
    const room = this.#track.clientHeight;
    const height = Math.max(THUMB_PX_MIN, Math.round(room * this.#share));
    this.#thumb.hidden = this.#share >= 1;
    this.#thumb.style.height = `${height}px`;
    this.#thumb.style.translate = `0 ${Math.round((room - height) * this.#fraction)}px`;
    this.#track.setAttribute("aria-valuenow", String(Math.round(this.#fraction * 100)));
  }

  #fractionAt(event) {
    const box = this.#track.getBoundingClientRect();
    const height = this.#thumb.offsetHeight;
    const room = box.height - height;
    return room <= 0 ? 0 : Math.min(1, Math.max(0, (event.clientY - box.top - this.#grabbed) / room));
  }

  #grab(event) {
    if (event.button !== 0 || this.#thumb.hidden) return;
    event.preventDefault();
    const thumb = this.#thumb.getBoundingClientRect();
    const onThumb = event.clientY >= thumb.top && event.clientY <= thumb.bottom;
    this.#grabbed = onThumb ? event.clientY - thumb.top : thumb.height / 2;
    this.#track.setPointerCapture(event.pointerId);
    this.#track.classList.add("dragging");
    if (!onThumb) this.#drag(event);
  }

  #drag(event) {
    if (!this.dragging) return;
    const fraction = this.#fractionAt(event);
    this.#place(fraction);
    this.#tip.textContent = this.describe(fraction);
    this.#tip.hidden = false;
    const box = this.#track.getBoundingClientRect();
    this.#tip.style.top = `${Math.min(box.height - 28, Math.max(0, event.clientY - box.top - 12))}px`;
    this.onMove(fraction, false);
  }

  #release(event) {
    if (!this.dragging) return;
    const fraction = this.#fractionAt(event);
    this.#grabbed = null;
    this.#tip.hidden = true;
    this.#track.classList.remove("dragging");
    this.onMove(fraction, true);
  }

  /** Ticks: [{kind, fractions}], the later ones over the others; kind 0 is a search, the others are one's own rules. */
  mark(groups) {
    this.#marks = groups;
    this.#draw();
  }

  #draw() {
    this.#place(this.#fraction);
    const canvas = this.#ticks;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#track;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    if (!context || !this.#marks.length) return;
    const style = getComputedStyle(canvas);
    const thick = Math.max(2, 2 * scale);
    for (const { kind, fractions } of this.#marks) {
      canvas.style.color = kind ? `var(--own-${kind}-tick)` : "";
      context.fillStyle = style.color;
      for (const fraction of fractions) {
        context.fillRect(2 * scale, Math.round(fraction * (canvas.height - thick)), canvas.width - 4 * scale, thick);
      }
    }
    canvas.style.color = "";
  }
}
