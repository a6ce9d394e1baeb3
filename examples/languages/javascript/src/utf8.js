// QuickJS has no TextDecoder and no TextEncoder. `escape` turns a string of bytes into the percent
// notation, and decodeURIComponent reads that as UTF-8, strictly; both are native and therefore quick.

const CHUNK = 4096; // as many arguments as a call surely takes

/** The text that the bytes spell; null when they are no UTF-8. */
export function decodeUtf8(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK));
  }
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return null;
  }
}

export function encodeUtf8(text) {
  const binary = unescape(encodeURIComponent(text.toWellFormed()));
  const length = binary.length;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
