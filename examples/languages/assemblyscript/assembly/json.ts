// A JSON reader (RFC 8259, strict). Values are classes; ask them with `instanceof`.

export abstract class Json {}
export class JsonNull extends Json {}
export class JsonBoolean extends Json {
  constructor(public value: bool) { super(); }
}
export class JsonNumber extends Json {
  constructor(public value: f64) { super(); }
}
export class JsonText extends Json {
  constructor(public value: string) { super(); }
}
export class JsonList extends Json {
  items: Json[] = [];
}
export class JsonObject extends Json {
  members: Map<string, Json> = new Map();
}

/** null when the bytes are not one JSON value in UTF-8, or nest deeper than 100 levels. */
export function parse(bytes: Uint8Array): Json | null {
  const reader = new Reader(bytes.dataStart, bytes.dataStart + <usize>bytes.length);
  const value = reader.value();
  reader.skipSpace();
  return reader.at == reader.end ? value : null;
}

const DEEPEST = 100;

class Reader {
  private depth: i32 = 0;

  constructor(public at: usize, public end: usize) {}

  /** The next byte; 0, which starts nothing, at the end. */
  private peek(): u8 {
    return this.at < this.end ? load<u8>(this.at) : 0;
  }

  private take(letter: i32): bool {
    if (<i32>this.peek() != letter || this.at == this.end) return false;
    this.at++;
    return true;
  }

  private takeWord(word: string): bool {
    const length = <usize>word.length;
    if (this.end - this.at < length) return false;
    for (let index: usize = 0; index < length; index++) {
      if (<i32>load<u8>(this.at + index) != word.charCodeAt(<i32>index)) return false;
    }
    this.at += length;
    return true;
  }

  skipSpace(): void {
    while (this.at < this.end) {
      const letter = load<u8>(this.at);
      if (letter != 0x20 && letter != 0x09 && letter != 0x0a && letter != 0x0d) return;
      this.at++;
    }
  }

  value(): Json | null {
    this.skipSpace();
    const letter = this.peek();
    if (letter == 0x7b /* { */) return this.object();
    if (letter == 0x5b /* [ */) return this.list();
    if (letter == 0x22 /* " */) {
      const text = this.text();
      return text === null ? null : new JsonText(text);
    }
    if (this.takeWord("null")) return new JsonNull();
    if (this.takeWord("true")) return new JsonBoolean(true);
    if (this.takeWord("false")) return new JsonBoolean(false);
    return this.number();
  }

  private object(): Json | null {
    const object = new JsonObject();
    this.at++;
    this.skipSpace();
    if (this.take(0x7d /* } */)) return object;
    if (++this.depth > DEEPEST) return null;
    do {
      this.skipSpace();
      const key = this.text();
      this.skipSpace();
      if (key === null || !this.take(0x3a /* : */)) return null;
      const value = this.value();
      if (value === null) return null;
      object.members.set(key, value);
      this.skipSpace();
    } while (this.take(0x2c /* , */));
    this.depth--;
    return this.take(0x7d) ? object : null;
  }

  private list(): Json | null {
    const list = new JsonList();
    this.at++;
    this.skipSpace();
    if (this.take(0x5d /* ] */)) return list;
    if (++this.depth > DEEPEST) return null;
    do {
      const value = this.value();
      if (value === null) return null;
      list.items.push(value);
      this.skipSpace();
    } while (this.take(0x2c /* , */));
    this.depth--;
    return this.take(0x5d) ? list : null;
  }

  private number(): Json | null {
    const begin = this.at;
    this.take(0x2d /* - */);
    if (!this.take(0x30 /* 0 */) && !this.digits()) return null;
    if (this.take(0x2e /* . */) && !this.digits()) return null;
    if (this.take(0x65 /* e */) || this.take(0x45 /* E */)) {
      if (!this.take(0x2b /* + */)) this.take(0x2d);
      if (!this.digits()) return null;
    }
    return new JsonNumber(parseFloat(String.UTF8.decodeUnsafe(begin, this.at - begin)));
  }

  private digits(): bool {
    const begin = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at++;
    return this.at > begin;
  }

  private text(): string | null {
    if (!this.take(0x22)) return null;
    let text = "";
    while (true) {
      const begin = this.at;
      while (this.peek() >= 0x20 && this.peek() != 0x22 && this.peek() != 0x5c /* \ */) {
        const length = utf8Sequence(this.at, this.end);
        if (length == 0) return null;
        this.at += length;
      }
      if (this.at > begin) text += String.UTF8.decodeUnsafe(begin, this.at - begin);
      if (this.take(0x22)) return text;
      if (!this.take(0x5c)) return null; // the end, or a control character
      const unit = this.escape();
      if (unit < 0) return null;
      text += String.fromCharCode(unit);
    }
  }

  /** The UTF-16 unit that an escape stands for; -1 for none. */
  private escape(): i32 {
    const letter = this.peek();
    this.at++;
    switch (letter) {
      case 0x22: case 0x5c: case 0x2f: return letter;
      case 0x62: return 0x08;
      case 0x66: return 0x0c;
      case 0x6e: return 0x0a;
      case 0x72: return 0x0d;
      case 0x74: return 0x09;
      case 0x75: return this.hex4();
      default: return -1;
    }
  }

  private hex4(): i32 {
    let unit = 0;
    for (let digit = 0; digit < 4; digit++) {
      const letter = <i32>this.peek();
      const small = letter | 0x20;
      if (letter >= 0x30 && letter <= 0x39) unit = (unit << 4) | (letter - 0x30);
      else if (small >= 0x61 && small <= 0x66) unit = (unit << 4) | (small - 0x57);
      else return -1;
      this.at++;
    }
    return unit;
  }
}

/** The length of the well-formed UTF-8 sequence (RFC 3629) that starts here; 0 when there is none. */
function utf8Sequence(at: usize, end: usize): usize {
  const first = load<u8>(at);
  if (first < 0x80) return 1;
  const length: usize = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0 || end - at < length) return 0;
  for (let index: usize = 1; index < length; index++) {
    if ((load<u8>(at + index) & 0xc0) != 0x80) return 0;
  }
  const second = load<u8>(at + 1);
  if (first == 0xe0 && second < 0xa0) return 0; // longer than need be
  if (first == 0xed && second >= 0xa0) return 0; // a surrogate
  if (first == 0xf0 && second < 0x90) return 0; // longer than need be
  if (first == 0xf4 && second >= 0x90) return 0; // over U+10FFFF
  return length;
}

/** The text in quotes, with nothing escaped that need not be. */
export function quote(text: string): string {
  let quoted = '"';
  let plain = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    quoted += text.substring(plain, at) + escaped(unit);
    plain = at + 1;
  }
  return quoted + text.substring(plain) + '"';
}

function escaped(unit: i32): string {
  switch (unit) {
    case 0x08: return "\\b";
    case 0x09: return "\\t";
    case 0x0a: return "\\n";
    case 0x0c: return "\\f";
    case 0x0d: return "\\r";
    case 0x22: return '\\"';
    case 0x5c: return "\\\\";
    default: return "\\u" + unit.toString(16).padStart(4, "0");
  }
}
