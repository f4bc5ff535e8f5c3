// The one way from a page to /api/v1: addresses, JSON, streamed NDJSON, and errors that say what to do next.

export const BASE = document.documentElement.dataset.base ?? "";

/** The address of an API resource; parameters that are null, undefined, "" or false are left out. */
export function apiUrl(path, params = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) query.set(key, String(value));
  }
  const tail = query.toString();
  return `${BASE}/api/v1/${path}${tail ? `?${tail}` : ""}`;
}

/** What went wrong, in words for a person: `message`, `hint` (the next step), `status`, `requestId`, `column`. */
export class Problem extends Error {
  constructor(message, { hint = "", status = 0, requestId = "", column = 0 } = {}) {
    super(message);
    this.hint = hint;
    this.status = status;
    this.requestId = requestId;
    this.column = column;
  }
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Not JSON: a proxy's own page, say. The status has to do.
  }
  const requestId = body.request_id ?? response.headers.get("X-Request-Id") ?? "";
  const hint = response.status === 401 ? "Your session is over: sign in again." : (body.hint ?? "");
  const message = body.detail ?? body.title ?? `The server answered ${response.status}`;
  return new Problem(message, { hint, status: response.status, requestId, column: body.column ?? 0 });
}

async function send(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer.", { hint: "Check the network, then try again." });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** GET as JSON. Throws Problem, or AbortError when `signal` fires. */
export async function getJson(path, params, { signal } = {}) {
  const response = await send(apiUrl(path, params), { signal, headers: { Accept: "application/json" } });
  return response.json();
}

/** Change something with JSON, and get the answer's. The token that changes need is asked for first. Throws Problem. */
export async function change(method, path, body) {
  const { csrf } = await getJson("me");
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": csrf };
  const response = await send(apiUrl(path), { method, headers, body: JSON.stringify(body) });
  return response.json();
}

/** GET a byte range of a resource as Uint8Array. */
export async function getBytes(path, params, from, length, { signal } = {}) {
  const headers = { Range: `bytes=${from}-${from + length - 1}` };
  const response = await send(apiUrl(path, params), { signal, headers });
  return new Uint8Array(await response.arrayBuffer());
}

/** GET a stream of JSON lines; yields each as soon as it is whole. */
export async function* getLines(path, params, { signal } = {}) {
  const response = await send(apiUrl(path, params), { signal, headers: { Accept: "application/x-ndjson" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) yield JSON.parse(line);
    }
    if (rest) yield JSON.parse(rest);
  } finally {
    reader.cancel().catch(() => {});
  }
}
