// The plugin: what the hub calls. order-invoice.ts does the work.

import { log } from "sandbar:transform/log@0.1.0";
import { type Config, Refusal, readConfig, toInvoice } from "./order-invoice.js";
import type { Event, Problem, Verdict } from "./sandbar.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

let config: Config;

export function configure(json: string): void {
  try {
    config = readConfig(json);
  } catch (error) {
    throw asProblem(error); // a result<_, problem>: what is thrown is the error
  }
}

export function transform(batch: Event[]): Verdict[] {
  return batch.map(verdict);
}

function verdict(event: Event): Verdict {
  try {
    const result = toInvoice(decodeUtf8(event.data), config);
    if (result.kind === "skip") return { tag: "drop", val: result.reason };
    const { invoice } = result;
    // What is not set is inherited from the order's event.
    const output = {
      type: "billing.invoice.issued",
      subject: invoice.invoice,
      datacontenttype: "application/json",
      extensions: [["country", invoice.customer.country]] satisfies [string, string][],
      data: encodeUtf8(JSON.stringify(invoice)),
    };
    return { tag: "emit", val: [output] };
  } catch (error) {
    return { tag: "reject", val: asProblem(error) };
  }
}

function asProblem(error: unknown): Problem {
  if (error instanceof Refusal) return { tag: error.kind, val: error.message };
  // A mistake in this plugin. The log tells where; the hub parks this event alone.
  log("error", error instanceof Error ? `${error}\n${error.stack}` : String(error));
  throw error;
}
