// The plugin's surface: what the hub calls. The work itself is in invoice.ts.

import { Config, Outcome, invoice, readConfig } from "./invoice";
import { Event, Output, Problem, Verdict, bytesAt, configured, each } from "./sandbar";

export { reallocate as cabi_realloc, release as cabi_post_configure, release as cabi_post_transform } from "./sandbar";

let config = new Config();

/** Once per instance: the step's `config`, as JSON. */
export function configure(text: usize, length: usize): usize {
  config = readConfig(bytesAt(text, length));
  return configured(config.problem);
}

/** One verdict per event, in the same order. */
export function transform(batch: usize, count: usize): usize {
  return each(batch, count, one);
}

function one(event: Event): Verdict {
  const result = invoice(event.data, config);
  switch (result.outcome) {
    case Outcome.Drop: return Verdict.drop(result.text);
    case Outcome.Reject: return Verdict.reject(Problem.InvalidEvent, result.text);
  }
  // What is not set is inherited from the event.
  const output = new Output();
  output.type = "invoice.due";
  output.data = result.text;
  return Verdict.emit([output]);
}
