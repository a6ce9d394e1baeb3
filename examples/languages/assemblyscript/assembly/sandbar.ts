// The hub's side: wit/transform.wit, world `transformer`, in the canonical ABI of the component model.
// AssemblyScript has no bindings generator; this file is all that one would make. Copy it as it is.

/** A CloudEvents 1.0 event, read where the hub put it; valid until `transform` returns. */
export class Event {
  constructor(private at: usize) {}

  get id(): string { return readText(this.at); }
  get source(): string { return readText(this.at + 8); }
  get type(): string { return readText(this.at + 16); }
  get subject(): string | null { return readOptionalText(this.at + 24); }
  /** RFC 3339. */
  get time(): string | null { return readOptionalText(this.at + 36); }
  get datacontenttype(): string | null { return readOptionalText(this.at + 48); }
  get dataschema(): string | null { return readOptionalText(this.at + 60); }

  get extensions(): Map<string, string> {
    const extensions = new Map<string, string>();
    const at = load<usize>(this.at + 72);
    const count = load<usize>(this.at + 76);
    for (let index: usize = 0; index < count; index++) {
      extensions.set(readText(at + index * 16), readText(at + index * 16 + 8));
    }
    return extensions;
  }

  /** The payload; empty when there is none. */
  get data(): Uint8Array { return readBytes(this.at + 80); }

  static readonly size: i32 = 88;
}

/** What is null is inherited from the event; an optional attribute set to "" is left out. */
export class Output {
  target: string | null = null;
  id: string | null = null;
  source: string | null = null;
  type: string | null = null;
  subject: string | null = null;
  time: string | null = null;
  datacontenttype: string | null = null;
  dataschema: string | null = null;
  /** Set over the inherited ones, one by one. */
  extensions: Map<string, string> = new Map();
  /** Written as UTF-8. */
  data: string | null = null;

  store(at: usize): void {
    storeOptionalText(at, this.target);
    storeOptionalText(at + 12, this.id);
    storeOptionalText(at + 24, this.source);
    storeOptionalText(at + 36, this.type);
    storeOptionalText(at + 48, this.subject);
    storeOptionalText(at + 60, this.time);
    storeOptionalText(at + 72, this.datacontenttype);
    storeOptionalText(at + 84, this.dataschema);
    const names = this.extensions.keys();
    const pairs = take(names.length * 16);
    for (let index = 0; index < names.length; index++) {
      storeText(pairs + index * 16, names[index]);
      storeText(pairs + index * 16 + 8, this.extensions.get(names[index]));
    }
    store<usize>(at + 96, pairs);
    store<usize>(at + 100, names.length);
    storeOptionalText(at + 104, this.data);
  }

  static readonly size: i32 = 116;
}

/** The cases of `problem`. */
export enum Problem { InvalidConfig, InvalidEvent, Other }

enum Kind { Emit, Drop, Reject, Retry }

/** What the plugin says of one event. */
export class Verdict {
  private problem: Problem = Problem.Other;
  private outputs: Output[] = [];

  private constructor(private kind: Kind, private reason: string) {}

  static emit(outputs: Output[]): Verdict {
    const verdict = new Verdict(Kind.Emit, "");
    verdict.outputs = outputs;
    return verdict;
  }

  static drop(reason: string): Verdict { return new Verdict(Kind.Drop, reason); }

  static reject(problem: Problem, reason: string): Verdict {
    const verdict = new Verdict(Kind.Reject, reason);
    verdict.problem = problem;
    return verdict;
  }

  static retry(reason: string): Verdict { return new Verdict(Kind.Retry, reason); }

  store(at: usize): void {
    store<u8>(at, <u8>this.kind);
    if (this.kind == Kind.Emit) {
      const outputs = this.outputs;
      const stored = take(outputs.length * Output.size);
      for (let index = 0; index < outputs.length; index++) outputs[index].store(stored + index * Output.size);
      store<usize>(at + 4, stored);
      store<usize>(at + 8, outputs.length);
    } else if (this.kind == Kind.Reject) {
      store<u8>(at + 4, <u8>this.problem);
      storeText(at + 8, this.reason);
    } else {
      storeText(at + 4, this.reason);
    }
  }

  static readonly size: i32 = 16;
}

/** What `configure` answers: nothing is wrong when the problem is empty. */
export function configured(problem: string): usize {
  const at = take(16);
  store<u8>(at, problem != "" ? 1 : 0);
  store<u8>(at + 4, <u8>Problem.InvalidConfig);
  storeText(at + 8, problem);
  return at;
}

/** The bytes that the hub put there. */
export function bytesAt(at: usize, length: usize): Uint8Array {
  const bytes = new Uint8Array(<i32>length);
  memory.copy(bytes.dataStart, at, length);
  return bytes;
}

/** Calls `verdict` with each event of the batch; what `transform` answers. */
export function each(batch: usize, count: usize, verdict: (event: Event) => Verdict): usize {
  const verdicts = take(count * Verdict.size);
  for (let index: usize = 0; index < count; index++) {
    verdict(new Event(batch + index * Event.size)).store(verdicts + index * Verdict.size);
  }
  const answer = take(8);
  store<usize>(answer, verdicts);
  store<usize>(answer + 4, count);
  return answer;
}

export enum Level { Trace, Debug, Info, Warn, Error }

@external("sandbar:transform/log@0.1.0", "log")
declare function hostLog(level: u32, message: usize, length: usize): void;

export function log(level: Level, message: string): void {
  const bytes = String.UTF8.encode(message);
  hostLog(level, changetype<usize>(bytes), bytes.byteLength);
}

/** Called by AssemblyScript before it traps (asconfig.json: `use`). */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(Level.Error, `${message === null ? "abort" : message} (${file === null ? "" : file}:${line}:${column})`);
  unreachable();
}

// ---- memory: what the hub puts in and what it reads out lives from call to call

const blocks: usize[] = [];

function take(size: usize): usize {
  const block = heap.alloc(size);
  blocks.push(block);
  return block;
}

/** Export it as `cabi_realloc`: the hub asks for room with it. */
export function reallocate(old: usize, oldSize: usize, align: usize, size: usize): usize {
  const block = take(size);
  if (oldSize > 0) memory.copy(block, old, oldSize);
  return block;
}

/** Export it as `cabi_post_…` of each call: the hub has read the answer. */
export function release(_answer: usize): void {
  for (let index = 0; index < blocks.length; index++) heap.free(blocks[index]);
  blocks.length = 0;
  __collect();
}

// ---- texts and bytes: a pointer and a length; before an optional one stands whether it is there

function readText(at: usize): string {
  return String.UTF8.decodeUnsafe(load<usize>(at), load<usize>(at + 4));
}

function readOptionalText(at: usize): string | null {
  return load<u8>(at) == 0 ? null : readText(at + 4);
}

function readBytes(at: usize): Uint8Array {
  return bytesAt(load<usize>(at), load<usize>(at + 4));
}

function storeText(at: usize, text: string): void {
  const length = <usize>String.UTF8.byteLength(text);
  const bytes = take(length);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, bytes);
  store<usize>(at, bytes);
  store<usize>(at + 4, length);
}

function storeOptionalText(at: usize, text: string | null): void {
  store<u8>(at, text === null ? 0 : 1);
  if (text !== null) storeText(at + 4, text);
}
