// Text and bytes: the engine inside of the plugin has no TextDecoder.

const REPLACEMENT = 0xfffd;

/** Bytes as text; what is no UTF-8 becomes U+FFFD. */
export function fromUtf8(bytes) {
  const parts = [];
  let codes = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    let code = first;
    if (first >= 0x80) {
      const more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0;
      code = more === 0 ? REPLACEMENT : first & (0x3f >> more);
      for (let count = 0; count < more; count++) {
        if ((bytes[at] & 0xc0) !== 0x80) {
          code = REPLACEMENT;
          break;
        }
        code = (code << 6) | (bytes[at++] & 0x3f);
      }
      const least = [0, 0x80, 0x800, 0x10000][more];
      if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = REPLACEMENT;
    }
    codes.push(code);
    if (codes.length === 4096) {
      parts.push(String.fromCodePoint(...codes));
      codes = [];
    }
  }
  parts.push(String.fromCodePoint(...codes));
  return parts.join("");
}

/** Text as bytes. */
export function toUtf8(text) {
  const bytes = [];
  for (const letter of text) {
    const code = letter.codePointAt(0);
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return new Uint8Array(bytes);
}
