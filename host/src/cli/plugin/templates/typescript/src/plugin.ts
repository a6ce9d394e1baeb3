// The plugin's surface: what the hub calls. The work itself is in invoice.ts, which knows nothing of
// the hub and is tested without it.

import { type Config, invoice } from "./invoice.js";
import type { Event, Output, Problem, Verdict } from "./sandbar.js";
import { fromUtf8, toUtf8 } from "./utf8.js";

let config: Config = {};

/** Once per instance: the step's `config`, as JSON. What is thrown refuses it. */
export function configure(text: string): void {
  const given: Config = JSON.parse(text) ?? {};
  const unknown = Object.keys(given).find((name) => name !== "currency");
  if (unknown !== undefined) {
    const problem: Problem = { tag: "invalid-config", val: `/${unknown} is not known` };
    throw problem;
  }
  config = given;
}

/** One verdict per event, in the same order. */
export function transform(batch: Event[]): Verdict[] {
  return batch.map(one);
}

function one(event: Event): Verdict {
  const outcome = invoice(fromUtf8(event.data), config);
  if ("drop" in outcome) return { tag: "drop", val: outcome.drop };
  if ("reject" in outcome) return { tag: "reject", val: { tag: "invalid-event", val: outcome.reject } };
  const output: Output = { type: "invoice.due", extensions: [], data: toUtf8(JSON.stringify(outcome.invoice)) };
  return { tag: "emit", val: [output] };
}
