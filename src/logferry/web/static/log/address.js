// What the address of a viewer holds: generation, place, words, what is shown of the file and how. Pure: strings in, strings out.

const LINES = /^#L([1-9][0-9]{0,15})(?:-L?([1-9][0-9]{0,15}))?$/;
const BYTE = /^b([0-9]{1,16})$/;
const ENCODING = /^[a-z0-9_-]{1,20}$/;
const CONTEXT_MAX = 50;
/** Levels that one may ask for, or worse ones. */
export const LEVELS = ["debug", "info", "notice", "warn", "error", "critical"];

function switched(params, name) {
  return params.has(name) ? params.get(name) === "1" : null;
}

/**
 * Read a viewer's query and hash: {gen, place, find, exactCase, regex, wrap, fold, only, context, level, enc}. `place` is one of
 * {kind: "start"}, {kind: "end"}, {kind: "line", from, to}, {kind: "byte", byte}.
 */
export function readAddress(query, hash) {
  const params = new URLSearchParams(query);
  const lines = LINES.exec(hash);
  const at = params.get("at") ?? "";
  const byte = BYTE.exec(at);
  let place = { kind: "start" };
  if (lines) {
    const ends = [Number(lines[1]), Number(lines[2] ?? lines[1])].sort((a, b) => a - b);
    place = { kind: "line", from: ends[0], to: ends[1] };
  } else if (byte) {
    place = { kind: "byte", byte: Number(byte[1]) };
  } else if (at === "end") {
    place = { kind: "end" };
  }
  return {
    gen: params.get("gen"),
    place,
    find: params.get("hl") ?? "",
    exactCase: params.get("cs") === "1",
    regex: params.get("re") === "1",
    times: { utc: "utc", local: "local" }[params.get("tz")] ?? "written",
    wrap: switched(params, "wrap"),
    fold: switched(params, "fold"),
    only: params.get("only") === "1",
    context: /^[0-9]{1,2}$/.test(params.get("ctx") ?? "") ? Math.min(CONTEXT_MAX, Number(params.get("ctx"))) : 0,
    level: LEVELS.includes(params.get("lv")) ? params.get("lv") : "",
    enc: ENCODING.test(params.get("enc") ?? "") ? params.get("enc") : "",
  };
}

/** The address of a place: "?gen=3&hl=error#L10-L20"; without a line number "?gen=3&at=b734003200". */
export function writeAddress({ gen, place, find, exactCase, regex, wrap, times, fold, only, context, level, enc }) {
  const params = new URLSearchParams();
  if (gen) params.set("gen", gen);
  if (find) params.set("hl", find);
  if (find && exactCase) params.set("cs", "1");
  if (find && regex) params.set("re", "1");
  if (find && only) params.set("only", "1");
  if (level) params.set("lv", level);
  if (context && (level || (find && only))) params.set("ctx", String(context));
  for (const [name, on] of [["fold", fold], ["wrap", wrap]]) {
    if (on !== null && on !== undefined) params.set(name, on ? "1" : "0");
  }
  if (enc) params.set("enc", enc);
  if (times === "utc" || times === "local") params.set("tz", times);
  if (place?.kind === "byte") params.set("at", `b${place.byte}`);
  if (place?.kind === "end") params.set("at", "end");
  const query = params.toString();
  let hash = "";
  if (place?.kind === "line") hash = place.to > place.from ? `#L${place.from}-L${place.to}` : `#L${place.from}`;
  return `${query ? `?${query}` : ""}${hash}`;
}

/** What a person types after ":": a line, "42 %", "b734003200", "start", "end", a time. Null when it is none of these. */
export function readJump(text) {
  const typed = text.trim().toLowerCase().replaceAll(/[,_\s\u202f]/g, "");
  if (/^l?[1-9][0-9]{0,15}$/.test(typed)) {
    const line = Number(typed.replace("l", ""));
    return { kind: "line", from: line, to: line };
  }
  if (/^[0-9]{1,3}(\.[0-9]+)?%$/.test(typed)) {
    return { kind: "fraction", fraction: Math.min(1, Number(typed.slice(0, -1)) / 100) };
  }
  const byte = BYTE.exec(typed);
  if (byte) return { kind: "byte", byte: Number(byte[1]) };
  if (typed === "end" || typed === "start") return { kind: typed };
  if (/^(\d\d:\d\d|\d{4}-\d\d|now|today$|yesterday$)/.test(typed)) return { kind: "time", time: text.trim() };
  return null;
}
