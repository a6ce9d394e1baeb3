// The types of wit/transform.wit, as JavaScript sees them.

export type Problem =
  | { tag: "invalid-config"; val: string }
  | { tag: "invalid-event"; val: string }
  | { tag: "other"; val: string };

/** A CloudEvents 1.0 event; an attribute that it does not have is undefined. */
export interface Event {
  id: string;
  source: string;
  type: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  extensions: [string, string][];
  data: Uint8Array;
}

/** An event to give out; what is not set is inherited. */
export interface Output extends Partial<Omit<Event, "extensions">> {
  target?: string;
  extensions: [string, string][];
}

export type Verdict =
  | { tag: "emit"; val: Output[] }
  | { tag: "drop"; val: string }
  | { tag: "reject"; val: Problem }
  | { tag: "retry"; val: string };
