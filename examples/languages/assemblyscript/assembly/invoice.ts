// An order becomes an invoice. This module knows nothing of the hub: replace it by your mapping.

import { Json, JsonList, JsonNull, JsonNumber, JsonObject, JsonText, parse, quote } from "./json";

/** No invoice is over a million millions (and a cent less), so that every sum fits 64 bits. */
const MAX_NET: i64 = 100_000_000_000_000 - 1;

/** The step's config: `{"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}`. */
export class Config {
  currency: string = "";
  prefix: string = "INV-";
  /** Hundredths of a percent by country. */
  tax: Map<string, i64> = new Map();
  /** What does not fit; empty when all is well. */
  problem: string = "";
}

export function readConfig(text: Uint8Array): Config {
  const config = new Config();
  const given = parse(text);
  const currency = member(given, "currency");
  const prefix = member(given, "prefix");
  const tax = member(given, "tax");
  if (!(currency instanceof JsonText)) {
    config.problem = "/currency: must be a text";
  } else if (prefix !== null && !(prefix instanceof JsonText)) {
    config.problem = "/prefix: must be a text";
  } else if (!(tax instanceof JsonObject)) {
    config.problem = "/tax: must be an object of rates by country";
  } else {
    config.currency = (<JsonText>currency).value;
    if (prefix !== null) config.prefix = (<JsonText>prefix).value;
    const rates = (<JsonObject>tax).members;
    const countries = rates.keys();
    for (let index = 0; index < countries.length; index++) {
      const country = countries[index];
      const rate = whole(rates.get(country), 0, 10_000);
      if (rate < 0) config.problem = `/tax/${country}: must be a whole number from 0 to 10000`;
      config.tax.set(country, rate);
    }
  }
  return config;
}

export enum Outcome { Invoice, Skip, InvalidEvent, NoTaxRate }

/** What an order becomes. AssemblyScript has no exceptions: a refusal is an outcome like others. */
export class Result {
  outcome: Outcome = Outcome.Invoice;
  /** Why there is no invoice. */
  reason: string = "";
  number: string = "";
  country: string = "";
  /** Canonical JSON. */
  data: string = "";

  /** Ends the work; the first reason counts. */
  stop(outcome: Outcome, reason: string): Result {
    if (this.outcome == Outcome.Invoice) {
      this.outcome = outcome;
      this.reason = reason;
    }
    return this;
  }

  invalid(reason: string): Result {
    return this.stop(Outcome.InvalidEvent, reason);
  }

  get stopped(): bool {
    return this.outcome != Outcome.Invoice;
  }
}

export function toInvoice(data: Uint8Array, config: Config): Result {
  const result = new Result();
  const order = parse(data);
  if (!(order instanceof JsonObject)) return result.invalid("the data is no JSON object");
  const number = text(order, "", "order", result);
  if (result.stopped) return result;
  const given = member(order, "status");
  const status = given instanceof JsonText ? (<JsonText>given).value : "";
  if (status == "cancelled") return result.stop(Outcome.Skip, "cancelled");
  if (status != "open" && status != "paid") return result.invalid("/status: must be open, paid or cancelled");

  // Of what is read in vain only the first is told.
  const customer = member(order, "customer");
  const name = text(customer, "/customer", "name", result);
  const email = optionalText(customer, "/customer", "email", result);
  const address = member(customer, "address");
  const country = text(address, "/customer/address", "country", result);
  const city = optionalText(address, "/customer/address", "city", result);
  if (result.stopped) return result;
  // Nothing is wrong with the event; the config does not know its country.
  if (!config.tax.has(country)) return result.stop(Outcome.NoTaxRate, `no tax rate for ${country}`);
  const rate = config.tax.get(country);

  const lines = member(order, "lines");
  if (!(lines instanceof JsonList)) return result.invalid("/lines: must be a list");
  const items = (<JsonList>lines).items;
  if (items.length == 0) return result.stop(Outcome.Skip, "nothing to invoice");
  const invoiced = new Array<string>(items.length);
  let net: i64 = 0;
  for (let index = 0; index < items.length; index++) {
    const line = toLine(items[index], `/lines/${index}`, result);
    if (result.stopped) return result;
    invoiced[index] = line.json;
    net += line.amount;
    if (net > MAX_NET) return result.invalid(`/lines: the sum is over ${MAX_NET} cents`);
  }
  const note = optionalText(order, "", "note", result);
  if (result.stopped) return result;
  const tax = (net * rate + 5_000) / 10_000; // half up

  result.number = config.prefix + number;
  result.country = country;
  // Canonical JSON: the keys in alphabetical order, no white space.
  const paid = status == "paid";
  result.data =
    `{"currency":${quote(config.currency)},` +
    `"customer":{${optional("city", city)}"country":${quote(country)},${optional("email", email)}"name":${quote(name)}},` +
    `"invoice":${quote(result.number)},"lines":[${invoiced.join(",")}],"net":${net},${optional("note", note)}` +
    `"order":${quote(number)},"paid":${paid},"tax":${tax},"tax_rate":${rate},"total":${net + tax}}`;
  return result;
}

class Line {
  constructor(public json: string, public amount: i64) {}
}

function toLine(line: Json, at: string, result: Result): Line {
  const sku = text(line, at, "sku", result);
  const title = optionalText(line, at, "title", result);
  const quantity = whole(member(line, "quantity"), 1, 1_000_000);
  if (quantity < 0) result.invalid(`${at}/quantity: must be a whole number from 1 to 1000000`);
  const unitPrice = cents(member(line, "price"));
  if (unitPrice < 0) result.invalid(`${at}/price: must be an amount like 12.50`);
  const amount = quantity * unitPrice;
  const json =
    `{"amount":${amount},"quantity":${quantity},"sku":${quote(sku)},${optional("title", title)}"unit_price":${unitPrice}}`;
  return new Line(json, amount);
}

/** `"key":"text",`, or nothing when there is no text. */
function optional(key: string, text: string | null): string {
  return text === null ? "" : `"${key}":${quote(text)},`;
}

/** "34.9" is 3490, and -1 stands for what is no amount. Never by way of a float: 34.95 * 100 is 3495.0000000000005. */
function cents(price: Json | null): i64 {
  if (!(price instanceof JsonText)) return -1;
  const text = (<JsonText>price).value;
  const point = text.indexOf(".");
  const whole = point < 0 ? text : text.substring(0, point);
  const fraction = point < 0 ? "0" : text.substring(point + 1);
  if (whole.length < 1 || whole.length > 10 || fraction.length < 1 || fraction.length > 2) return -1;
  const digits = whole + fraction.padEnd(2, "0");
  let cents: i64 = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    cents = cents * 10 + digit;
  }
  return cents;
}

/** By value: 2.0 is 2. -1 stands for what is no whole number in the range. */
function whole(value: Json | null, least: i64, most: i64): i64 {
  if (!(value instanceof JsonNumber)) return -1;
  const number = (<JsonNumber>value).value;
  return number >= <f64>least && number <= <f64>most && Math.trunc(number) == number ? <i64>number : -1;
}

/** null when there is none, it is null, or the parent is no object. */
function member(parent: Json | null, key: string): Json | null {
  if (!(parent instanceof JsonObject)) return null;
  const members = (<JsonObject>parent).members;
  if (!members.has(key)) return null;
  const value = members.get(key);
  return value instanceof JsonNull ? null : value;
}

function text(parent: Json | null, at: string, key: string, result: Result): string {
  const value = member(parent, key);
  const text = value instanceof JsonText ? (<JsonText>value).value : "";
  if (text == "") result.invalid(`${at}/${key}: must be a text, not empty`);
  return text;
}

function optionalText(parent: Json | null, at: string, key: string, result: Result): string | null {
  const value = member(parent, key);
  if (value === null) return null;
  if (value instanceof JsonText) return (<JsonText>value).value;
  result.invalid(`${at}/${key}: must be a text`);
  return null;
}
