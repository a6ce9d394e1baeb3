// An order becomes an invoice. This module knows nothing of WebAssembly: replace it by your mapping.

import type { Problem } from "./sandbar.js";

// No invoice is over a million millions (and a cent less), so that every sum is exact in a number.
const MAX_NET = 10 ** 14 - 1;

/** What does not fit. */
export class Refusal extends Error {
  constructor(
    readonly kind: Problem["tag"],
    reason: string,
  ) {
    super(reason);
  }
}

const invalid = (at: string, wanted: string) => new Refusal("invalid-event", `${at}: must be ${wanted}`);

export interface Config {
  currency: string;
  prefix: string;
  /** Hundredths of a percent by country. A Map: an object also has what it inherits, like toString. */
  tax: Map<string, number>;
}

/** The keys stand in alphabetical order: JSON.stringify keeps it, and what comes out is canonical JSON. */
export interface Invoice {
  currency: string;
  customer: { city?: string; country: string; email?: string; name: string };
  invoice: string;
  lines: Line[];
  net: number;
  note?: string;
  order: string;
  paid: boolean;
  tax: number;
  tax_rate: number;
  total: number;
}

export interface Line {
  amount: number;
  quantity: number;
  sku: string;
  title?: string;
  unit_price: number;
}

export type Result = { kind: "invoice"; invoice: Invoice } | { kind: "skip"; reason: string };

/** What came in: of its fields nothing is known before it is checked. */
type Fields = Record<string, unknown>;

/** Reads the step's config: `{"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}`. */
export function readConfig(json: string): Config {
  const wrong = (at: string, wanted: string) => new Refusal("invalid-config", `${at}: must be ${wanted}`);
  const { currency, prefix = "INV-", tax } = (JSON.parse(json) ?? {}) as Fields;
  if (typeof currency !== "string") throw wrong("/currency", "a text");
  if (typeof prefix !== "string") throw wrong("/prefix", "a text");
  if (!isObject(tax)) throw wrong("/tax", "an object of rates by country");
  const rates = Object.entries(tax).map(([country, rate]): [string, number] => {
    if (!isWhole(rate, 0, 10_000)) throw wrong(`/tax/${country}`, "a whole number from 0 to 10000");
    return [country, rate];
  });
  return { currency, prefix, tax: new Map(rates) };
}

/** Throws a Refusal. */
export function toInvoice(json: string | null, config: Config): Result {
  const order = parse(json);
  const number = text(order, "", "order");
  const { status } = order;
  if (status === "cancelled") return { kind: "skip", reason: "cancelled" };
  if (status !== "open" && status !== "paid") throw invalid("/status", "open, paid or cancelled");

  const customer = object(order.customer);
  const name = text(customer, "/customer", "name");
  const email = optionalText(customer, "/customer", "email");
  const address = object(customer.address);
  const country = text(address, "/customer/address", "country");
  const city = optionalText(address, "/customer/address", "city");
  const rate = config.tax.get(country);
  if (rate === undefined) throw new Refusal("other", `no tax rate for ${country}`);

  if (!Array.isArray(order.lines)) throw invalid("/lines", "a list");
  if (order.lines.length === 0) return { kind: "skip", reason: "nothing to invoice" };
  let net = 0;
  const lines = order.lines.map((given: unknown, index) => {
    const line = toLine(object(given), `/lines/${index}`);
    net += line.amount;
    if (net > MAX_NET) throw new Refusal("invalid-event", `/lines: the sum is over ${MAX_NET} cents`);
    return line;
  });
  const tax = taxOf(net, rate);

  const invoice: Invoice = {
    currency: config.currency,
    customer: { city, country, email, name },
    invoice: config.prefix + number,
    lines,
    net,
    note: optionalText(order, "", "note"),
    order: number,
    paid: status === "paid",
    tax,
    tax_rate: rate,
    total: net + tax,
  };
  return { kind: "invoice", invoice };
}

function toLine(given: Fields, at: string): Line {
  const sku = text(given, at, "sku");
  const title = optionalText(given, at, "title");
  const { quantity } = given;
  if (!isWhole(quantity, 1, 1_000_000)) throw invalid(`${at}/quantity`, "a whole number from 1 to 1000000");
  const unit_price = cents(given.price, `${at}/price`);
  return { amount: quantity * unit_price, quantity, sku, title, unit_price };
}

/** "34.9" is 3490. Never by way of a fraction: 34.95 * 100 is 3495.0000000000005. */
function cents(price: unknown, at: string): number {
  const match = typeof price === "string" ? /^([0-9]{1,10})(?:\.([0-9]{1,2}))?$/.exec(price) : null;
  if (match === null) throw invalid(at, "an amount like 12.50");
  const [, whole, fraction = ""] = match;
  return Number(whole) * 100 + Number(fraction.padEnd(2, "0"));
}

/** Hundredths of a percent of net, half up. The product may be more than a number holds exactly. */
function taxOf(net: number, rate: number): number {
  return Number((BigInt(net) * BigInt(rate) + 5_000n) / 10_000n);
}

function parse(json: string | null): Fields {
  let order: unknown;
  try {
    order = JSON.parse(json ?? "");
  } catch {
    // no JSON: the same refusal as for other JSON
  }
  if (!isObject(order)) throw new Refusal("invalid-event", "the data is no JSON object");
  return order;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object without fields where there is none: then the first field that must be there is missing. */
function object(value: unknown): Fields {
  return isObject(value) ? value : {};
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && least <= (value as number) && (value as number) <= most;
}

function text(parent: Fields, at: string, key: string): string {
  const value = parent[key];
  if (typeof value !== "string" || value === "") throw invalid(`${at}/${key}`, "a text, not empty");
  return value;
}

function optionalText(parent: Fields, at: string, key: string): string | undefined {
  const value = parent[key] ?? undefined;
  if (value !== undefined && typeof value !== "string") throw invalid(`${at}/${key}`, "a text");
  return value;
}
