// From one line of a level to the next in a whole file: found by the search, once, and again when the file has grown.

export class LevelSteps {
  #look;
  #held = new Map();

  /** `look()`: a new Find in this file. */
  constructor(look) {
    this.#look = look;
  }

  /** The file is read as something else. */
  forget() {
    this.#held.clear();
  }

  /**
   * The line of `level` or worse after (`forward`) or before `byte` of a file of `size` bytes: {b, …}, or null when there
   * is none. `onLook()` when the file has to be looked through first. Throws the Problem of a search that failed.
   */
  async from(level, byte, forward, size, onLook) {
    let held = this.#held.get(level);
    if (held?.size !== size) {
      held = { size, find: this.#look() };
      this.#held.set(level, held);
      onLook();
      held.done = held.find.look(`level:>=${level}`);
    }
    await held.done;
    if (held.find.state !== "failed") return held.find.from(byte, forward);
    this.#held.delete(level);
    throw held.find.problem;
  }
}
