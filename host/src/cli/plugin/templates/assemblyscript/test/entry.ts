// What the test calls: the mapping, with texts in and out.

import { Config, Outcome, invoice } from "../assembly/invoice";

/** The invoice, or `drop: …`, or `reject: …`. */
export function run(data: string): string {
  const result = invoice(Uint8Array.wrap(String.UTF8.encode(data)), new Config());
  if (result.outcome == Outcome.Invoice) return result.text;
  return (result.outcome == Outcome.Drop ? "drop: " : "reject: ") + result.text;
}
