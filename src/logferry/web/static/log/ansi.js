// A line's text in pieces: plain text, marks for what must not act, terminal colours (SGR). Pure: no DOM.
//
// Every piece carries where it stands in the line ({from, to}, UTF-16 offsets of the given text), so that search
// spans, which count in the given text, can be laid over the pieces.

// Tab stays: it is the one control character that only moves to the right.
// eslint-disable-next-line no-control-regex
const ODD = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e01ef}]/u;
const ODD_NEXT = new RegExp(ODD.source, "gu");
const SGR = /\x1b\[([0-9;:]*)m/y;
const CSI = /\x1b\[[0-?]*[ -/]*[@-~]/y;
const STRING = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)/y;
const SHORT = /\x1b[ -/]*[0-OQ-WYZ\\`-~]/y;

const SHORT_NAMES = [
  "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
  "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
];
const NAMED = {
  0x00: "NUL", 0x07: "BEL", 0x08: "backspace", 0x0a: "line feed", 0x0d: "carriage return", 0x1b: "escape",
  0x7f: "delete", 0x200b: "zero width space", 0x200e: "left-to-right mark", 0x200f: "right-to-left mark",
  0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding", 0x202c: "pop directional formatting",
  0x202d: "left-to-right override", 0x202e: "right-to-left override", 0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate", 0x2068: "first strong isolate", 0x2069: "pop directional isolate",
  0xfeff: "byte order mark",
};

/**
 * How a character that must not act is drawn: {text, short, title}. `text` is what a copy takes along (a control picture),
 * `short` the letters to draw instead of a picture too small to read.
 */
export function mark(code) {
  const hex = code.toString(16).toUpperCase();
  const title = NAMED[code] ?? `U+${hex.padStart(4, "0")}`;
  if (code < 0x20) return { text: String.fromCharCode(0x2400 + code), short: SHORT_NAMES[code], title };
  if (code === 0x7f) return { text: "\u2421", short: "DEL", title };
  if (code < 0xa0) return { text: `\\x${hex}`, short: "", title };
  return { text: `<U+${hex.padStart(4, "0")}>`, short: "", title };
}

/** Text for a place outside the log (a tool tip, a title) with the same marks. */
export function shown(text) {
  return text.replace(ODD_NEXT, (c) => mark(c.codePointAt(0)).text);
}

const PLAIN = Object.freeze({ classes: "", fg: "", bg: "" });

function cube(index) {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const level = (n) => (n === 0 ? 0 : 55 + n * 40);
  const at = index - 16;
  return `rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`;
}

function byteOr(value) {
  return Number.isInteger(value) && value >= 0 && value <= 255 ? value : 0;
}

/** The colour after 38 or 48: [colour, codes used]. Colours 0-15 are names of the palette, the rest rgb(). */
function extended(codes, at) {
  if (codes[at] === 5) {
    const index = byteOr(codes[at + 1]);
    return [index < 16 ? index : cube(index), 2];
  }
  if (codes[at] === 2) {
    const [r, g, b] = [codes[at + 1], codes[at + 2], codes[at + 3]].map(byteOr);
    return [`rgb(${r} ${g} ${b})`, 4];
  }
  return [null, 0];
}

const SWITCH_ON = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const SWITCH_OFF = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

/** The state after the SGR codes `text` ("1;31"); unknown codes change nothing. */
export function sgr(state, text) {
  const next = { fg: state.fg, bg: state.bg, on: new Set(state.on) };
  const codes = text === "" ? [0] : text.split(/[;:]/).map((part) => (part === "" ? 0 : Number(part)));
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) Object.assign(next, { fg: null, bg: null, on: new Set() });
    else if (SWITCH_ON[code]) next.on.add(SWITCH_ON[code]);
    else if (SWITCH_OFF[code]) SWITCH_OFF[code].forEach((name) => next.on.delete(name));
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
    else if (code === 39) next.fg = null;
    else if (code === 49) next.bg = null;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, i + 1);
      if (used) next[code === 38 ? "fg" : "bg"] = colour;
      i += used;
    }
  }
  return next;
}

function look(state) {
  const classes = [...state.on].map((name) => `a-${name}`);
  if (typeof state.fg === "number") classes.push(`fg-${state.fg}`);
  if (typeof state.bg === "number") classes.push(`bg-${state.bg}`);
  return {
    classes: classes.join(" "),
    fg: typeof state.fg === "string" ? state.fg : "",
    bg: typeof state.bg === "string" ? state.bg : "",
  };
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/**
 * Cut `text` into pieces [{from, to, text, title, short, look}]; `title` is set for marks. Dropped escapes leave no piece.
 * An escape that never ends is no escape: it is marked and what follows stays readable.
 */
export function pieces(text) {
  if (!ODD.test(text)) return text ? [{ from: 0, to: text.length, text, title: "", look: PLAIN }] : [];
  const found = [];
  let state = { fg: null, bg: null, on: new Set() };
  let style = PLAIN;
  let at = 0;
  const plain = (to) => {
    if (to > at) found.push({ from: at, to, text: text.slice(at, to), title: "", look: style });
    at = to;
  };
  ODD_NEXT.lastIndex = 0;
  for (let odd = ODD_NEXT.exec(text); odd; odd = ODD_NEXT.exec(text)) {
    plain(odd.index);
    const colour = matchAt(SGR, text, at);
    const dropped = colour ?? matchAt(CSI, text, at) ?? matchAt(STRING, text, at) ?? matchAt(SHORT, text, at);
    if (colour) {
      state = sgr(state, colour[1]);
      style = look(state);
    }
    if (dropped) {
      at += dropped[0].length;
    } else {
      const sign = mark(text.codePointAt(at));
      const to = at + odd[0].length;
      found.push({ from: at, to, text: sign.text, short: sign.short, title: sign.title, look: style });
      at = to;
    }
    ODD_NEXT.lastIndex = at;
  }
  plain(text.length);
  return found;
}
