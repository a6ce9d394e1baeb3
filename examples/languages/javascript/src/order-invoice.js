// An order becomes an invoice. This module knows nothing of WebAssembly: replace it by your mapping.

// No invoice is over a million millions (and a cent less), so that every sum is exact in a Number.
const MAX_NET = 10 ** 14 - 1;

/** What does not fit: `kind` is a case of the WIT's `problem`. */
export class Problem extends Error {
  constructor(kind, reason) {
    super(reason);
    this.kind = kind;
  }
}

const invalid = (at, wanted) => new Problem("invalid-event", `${at}: must be ${wanted}`);

/** Reads the step's config: `{"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}`. */
export function readConfig(text) {
  const wrong = (at, wanted) => new Problem("invalid-config", `${at}: must be ${wanted}`);
  const { currency, prefix = "INV-", tax } = JSON.parse(text) ?? {};
  if (typeof currency !== "string") throw wrong("/currency", "a text");
  if (typeof prefix !== "string") throw wrong("/prefix", "a text");
  if (!isObject(tax)) throw wrong("/tax", "an object of rates by country");
  for (const [country, rate] of Object.entries(tax)) {
    if (!isWhole(rate, 0, 10_000)) throw wrong(`/tax/${country}`, "a whole number from 0 to 10000");
  }
  // A Map, because an object also has what it inherits: tax["toString"] is a function.
  return { currency, prefix, tax: new Map(Object.entries(tax)) };
}

/** Gives `{ number, country, invoice }` or `{ skip: reason }`; throws a Problem. */
export function toInvoice(json, config) {
  const order = parse(json);
  const number = text(order, "", "order");
  const { status } = order;
  if (!["open", "paid", "cancelled"].includes(status)) throw invalid("/status", "open, paid or cancelled");
  if (status === "cancelled") return { skip: "cancelled" };

  const { customer } = order;
  const name = text(customer, "/customer", "name");
  const email = optionalText(customer, "/customer", "email");
  const { address } = customer;
  const country = text(address, "/customer/address", "country");
  const city = optionalText(address, "/customer/address", "city");
  const rate = config.tax.get(country);
  if (rate === undefined) throw new Problem("other", `no tax rate for ${country}`);

  if (!Array.isArray(order.lines)) throw invalid("/lines", "a list");
  if (order.lines.length === 0) return { skip: "nothing to invoice" };
  let net = 0;
  const lines = order.lines.map((line, index) => {
    const invoiced = toInvoiceLine(line, `/lines/${index}`);
    net += invoiced.amount;
    if (net > MAX_NET) throw new Problem("invalid-event", `/lines: the sum is over ${MAX_NET} cents`);
    return invoiced;
  });
  const tax = taxOf(net, rate);

  // JSON.stringify keeps the order of the keys and leaves out what is undefined: with the keys in
  // alphabetical order this is canonical JSON.
  const invoice = {
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
  return { number: invoice.invoice, country, invoice };
}

function toInvoiceLine(line, at) {
  const sku = text(line, at, "sku");
  const title = optionalText(line, at, "title");
  const { quantity } = line;
  if (!isWhole(quantity, 1, 1_000_000)) throw invalid(`${at}/quantity`, "a whole number from 1 to 1000000");
  const unit_price = cents(line.price, `${at}/price`);
  return { amount: quantity * unit_price, quantity, sku, title, unit_price };
}

/** "34.9" is 3490. Never by way of a fraction: 34.95 * 100 is 3495.0000000000005. */
function cents(price, at) {
  const match = typeof price === "string" ? /^([0-9]{1,10})(?:\.([0-9]{1,2}))?$/.exec(price) : null;
  if (match === null) throw invalid(at, "an amount like 12.50");
  const [, whole, fraction = ""] = match;
  return Number(whole) * 100 + Number(fraction.padEnd(2, "0"));
}

/** Hundredths of a percent of net, half up. The product may be more than a Number holds exactly. */
function taxOf(net, rate) {
  return Number((BigInt(net) * BigInt(rate) + 5_000n) / 10_000n);
}

function parse(json) {
  let order;
  try {
    order = JSON.parse(json);
  } catch {
    // no JSON: the same refusal as for other JSON
  }
  if (!isObject(order)) throw new Problem("invalid-event", "the data is no JSON object");
  return order;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const isWhole = (value, least, most) => Number.isInteger(value) && least <= value && value <= most;

function text(parent, at, key) {
  const value = isObject(parent) ? parent[key] : undefined;
  if (typeof value !== "string" || value === "") throw invalid(`${at}/${key}`, "a text, not empty");
  return value;
}

function optionalText(parent, at, key) {
  const value = parent[key] ?? undefined;
  if (value !== undefined && typeof value !== "string") throw invalid(`${at}/${key}`, "a text");
  return value;
}
