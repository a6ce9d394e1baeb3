// The plugin: what the hub calls. order-invoice.js does the work.

import { log } from "sandbar:transform/log@0.1.0";
import { Problem, readConfig, toInvoice } from "./order-invoice.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

let config;

export function configure(text) {
  try {
    config = readConfig(text);
  } catch (error) {
    throw asProblem(error); // a result<_, problem>: what is thrown is the error
  }
}

export function transform(batch) {
  return batch.map(verdict);
}

function verdict(event) {
  try {
    const { skip, number, country, invoice } = toInvoice(decodeUtf8(event.data), config);
    if (skip !== undefined) return { tag: "drop", val: skip };
    // What is not set is inherited from the order's event.
    const output = {
      type: "billing.invoice.issued",
      subject: number,
      datacontenttype: "application/json",
      extensions: [["country", country]],
      data: encodeUtf8(JSON.stringify(invoice)),
    };
    return { tag: "emit", val: [output] };
  } catch (error) {
    return { tag: "reject", val: asProblem(error) };
  }
}

function asProblem(error) {
  if (error instanceof Problem) return { tag: error.kind, val: error.message };
  // A mistake in this plugin. The log tells where; the hub parks this event alone.
  log("error", `${error}\n${error.stack}`);
  throw error;
}
