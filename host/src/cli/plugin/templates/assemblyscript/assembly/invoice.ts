// An order becomes an invoice. This module knows nothing of the hub.

import { Json, JsonList, JsonNull, JsonNumber, JsonObject, JsonText, parse, quote } from "./json";

/** The step's config: `{"currency": "DKK"}`. */
export class Config {
  currency: string = "EUR";
  /** What does not fit; empty when all is well. */
  problem: string = "";
}

export function readConfig(text: Uint8Array): Config {
  const config = new Config();
  const given = parse(text);
  if (given instanceof JsonNull) return config;
  if (!(given instanceof JsonObject)) {
    config.problem = "must be an object";
    return config;
  }
  const names = (<JsonObject>given).members.keys();
  for (let index = 0; index < names.length; index++) {
    const value = member(given, names[index]);
    if (names[index] != "currency") config.problem = `/${names[index]} is not known`;
    else if (value instanceof JsonText) config.currency = (<JsonText>value).value;
    else config.problem = "/currency must be a text";
  }
  return config;
}

export enum Outcome { Invoice, Drop, Reject }

/** What an order becomes. AssemblyScript has no exceptions: a refusal is an outcome like others. */
export class Result {
  constructor(
    public outcome: Outcome,
    /** The invoice as JSON, or the reason. */
    public text: string,
  ) {}
}

export function invoice(data: Uint8Array, config: Config): Result {
  const order = parse(data);
  if (!(order instanceof JsonObject)) return new Result(Outcome.Reject, "not an order: no JSON object");
  const number = member(order, "number");
  if (!(number instanceof JsonText)) return new Result(Outcome.Reject, "the order has no number");
  const lines = member(order, "lines");
  if (!(lines instanceof JsonList) || (<JsonList>lines).items.length == 0) {
    return new Result(Outcome.Drop, "nothing to invoice");
  }
  let total: i64 = 0;
  const items = (<JsonList>lines).items;
  for (let index = 0; index < items.length; index++) {
    const pieces = whole(member(items[index], "pieces"));
    const cents = whole(member(items[index], "cents"));
    if (pieces < 0 || cents < 0) return new Result(Outcome.Reject, `/lines/${index} has no pieces or no cents`);
    total += pieces * cents;
  }
  const given = member(order, "customer");
  const customer = given instanceof JsonText ? (<JsonText>given).value : "";
  return new Result(
    Outcome.Invoice,
    `{"order":${quote((<JsonText>number).value)},"customer":${quote(customer)},` +
      `"currency":${quote(config.currency)},"total_cents":${total}}`,
  );
}

function member(parent: Json | null, name: string): Json | null {
  if (!(parent instanceof JsonObject)) return null;
  const members = (<JsonObject>parent).members;
  return members.has(name) ? members.get(name) : null;
}

/** A whole number from 0 to a million, or -1. */
function whole(value: Json | null): i64 {
  if (!(value instanceof JsonNumber)) return -1;
  const number = (<JsonNumber>value).value;
  return number >= 0 && number <= 1_000_000 && Math.trunc(number) == number ? <i64>number : -1;
}
