// Bytes as the server shows them: UTF-8, and \xNN for every byte that is not. Pure.

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function lengthOf(lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

function character(bytes, at) {
  const length = lengthOf(bytes[at]);
  if (length === 0 || at + length > bytes.length) return null;
  try {
    return { text: strict.decode(bytes.subarray(at, at + length)), length };
  } catch {
    return null;
  }
}

/** How many bytes at the end of a block begin a character that is not whole. */
export function halfCharacter(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return lengthOf(byte) > back ? back : 0;
  }
  return 0;
}

/** Decode a block; the whole of it at once where it is clean. */
export function decode(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    // Somewhere a byte is bad: go through them one by one.
  }
  const parts = [];
  for (let at = 0; at < bytes.length; ) {
    const found = character(bytes, at);
    parts.push(found ? found.text : `\\x${bytes[at].toString(16).padStart(2, "0")}`);
    at += found ? found.length : 1;
  }
  return parts.join("");
}
