// wit/transform.wit, world `transformer`, in TypeScript's words. Copy it as it is.

/** A CloudEvents 1.0 event. */
export interface Event {
  id: string;
  source: string;
  type: string;
  subject?: string;
  /** RFC 3339. */
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  extensions: [name: string, value: string][];
  /** The payload; empty when there is none. */
  data: Uint8Array;
}

/** What is not set is inherited from the event; an optional attribute set to "" is left out. */
export interface Output {
  target?: string;
  id?: string;
  source?: string;
  type?: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  /** Set over the inherited ones, one by one. */
  extensions: [name: string, value: string][];
  data?: Uint8Array;
}

/** Why a plugin refuses its configuration or an event. */
export type Problem = { tag: "invalid-config" | "invalid-event" | "other"; val: string };

/** What the plugin says of one event. */
export type Verdict =
  | { tag: "emit"; val: Output[] }
  | { tag: "drop"; val: string }
  | { tag: "reject"; val: Problem }
  | { tag: "retry"; val: string };
