// The plugin: what the hub calls. invoice.ts does the work.

import { Config, Outcome, readConfig, toInvoice } from "./invoice";
import { Event, Output, Problem, Verdict, bytesAt, configured, each } from "./sandbar";

export { reallocate as cabi_realloc, release as cabi_post_configure, release as cabi_post_transform } from "./sandbar";

let config = new Config();

export function configure(text: usize, length: usize): usize {
  config = readConfig(bytesAt(text, length));
  return configured(config.problem);
}

export function transform(batch: usize, count: usize): usize {
  return each(batch, count, verdict);
}

function verdict(event: Event): Verdict {
  const result = toInvoice(event.data, config);
  switch (result.outcome) {
    case Outcome.Skip: return Verdict.drop(result.reason);
    case Outcome.InvalidEvent: return Verdict.reject(Problem.InvalidEvent, result.reason);
    case Outcome.NoTaxRate: return Verdict.reject(Problem.Other, result.reason);
  }
  // What is not set is inherited from the order's event.
  const output = new Output();
  output.type = "billing.invoice.issued";
  output.subject = result.number;
  output.datacontenttype = "application/json";
  output.extensions.set("country", result.country);
  output.data = result.data;
  return Verdict.emit([output]);
}
