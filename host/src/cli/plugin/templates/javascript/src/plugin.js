// The plugin's surface: what the hub calls. The work itself is in invoice.js, which knows nothing of
// the hub and is tested without it.

import { invoice } from "./invoice.js";
import { fromUtf8, toUtf8 } from "./utf8.js";

let config = {};

/** Once per instance: the step's `config`, as JSON. What is thrown refuses it. */
export function configure(text) {
  const given = JSON.parse(text) ?? {};
  const unknown = Object.keys(given).find((name) => name !== "currency");
  if (unknown !== undefined) throw { tag: "invalid-config", val: `/${unknown} is not known` };
  config = given;
}

/** One verdict per event, in the same order. */
export function transform(batch) {
  return batch.map(one);
}

function one(event) {
  const outcome = invoice(fromUtf8(event.data), config);
  if (outcome.drop) return { tag: "drop", val: outcome.drop };
  if (outcome.reject) return { tag: "reject", val: { tag: "invalid-event", val: outcome.reject } };
  // What is not set is inherited from the event.
  const output = { type: "invoice.due", extensions: [], data: toUtf8(JSON.stringify(outcome.invoice)) };
  return { tag: "emit", val: [output] };
}
