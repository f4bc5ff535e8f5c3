// A JSON line over several lines, every literal as it is written: large numbers and repeated keys stay what they are. Pure.

/** The lines of `text`, a JSON object or list perhaps behind other text; null when it is none. */
export function spread(text) {
  const from = text.search(/[{[]/);
  if (from < 0) return null;
  const source = text.slice(from).trimEnd();
  try {
    JSON.parse(source);
  } catch {
    return null; // no JSON: whoever asked says so
  }
  const lines = [text.slice(0, from)];
  let depth = 0;
  const add = (part) => (lines[lines.length - 1] += part);
  const begin = () => lines.push("  ".repeat(depth));
  for (const [token] of source.matchAll(/"(?:\\.|[^"\\])*"|[{[]\s*[}\]]|[{}[\],:]|[^\s"{}[\],:]+/g)) {
    if (token === "{" || token === "[") {
      add(token);
      depth += 1;
      begin();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      begin();
      add(token);
    } else if (token === ",") {
      add(token);
      begin();
    } else add(token === ":" ? ": " : token);
  }
  return lines;
}
