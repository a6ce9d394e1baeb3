// What the tests call: the mapping, with texts in and out.

import { Outcome, readConfig, toInvoice } from "../assembly/invoice";

function bytes(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

/** The invoice's JSON, or the outcome and the reason. */
export function run(config: string, data: string): string {
  const result = toInvoice(bytes(data), readConfig(bytes(config)));
  switch (result.outcome) {
    case Outcome.Invoice: return result.data;
    case Outcome.Skip: return `skip: ${result.reason}`;
    case Outcome.NoTaxRate: return `other: ${result.reason}`;
    default: return `invalid-event: ${result.reason}`;
  }
}

export function configProblem(config: string): string {
  return readConfig(bytes(config)).problem;
}
