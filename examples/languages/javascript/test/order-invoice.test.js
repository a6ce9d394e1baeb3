import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig, toInvoice } from "../src/order-invoice.js";
import { decodeUtf8, encodeUtf8 } from "../src/utf8.js";

const config = readConfig('{"currency": "EUR", "tax": {"DE": 1900}}');

const order = (changes = {}) =>
  JSON.stringify({
    order: "A-1",
    status: "open",
    customer: { name: "Zoë", address: { country: "DE" } },
    lines: [{ sku: "LAN-7", quantity: 3, price: "0.50" }],
    ...changes,
  });

test("an order becomes an invoice, taxed half up", () => {
  const { number, country, invoice } = toInvoice(order({ note: "soon" }), config);
  assert.deepEqual([number, country], ["INV-A-1", "DE"]);
  assert.equal(
    JSON.stringify(invoice),
    '{"currency":"EUR","customer":{"country":"DE","name":"Zoë"},"invoice":"INV-A-1",' +
      '"lines":[{"amount":150,"quantity":3,"sku":"LAN-7","unit_price":50}],' +
      '"net":150,"note":"soon","order":"A-1","paid":false,"tax":29,"tax_rate":1900,"total":179}',
  );
});

test("what is not to be invoiced is skipped", () => {
  assert.deepEqual(toInvoice(order({ status: "cancelled" }), config), { skip: "cancelled" });
  assert.deepEqual(toInvoice(order({ lines: [] }), config), { skip: "nothing to invoice" });
});

test("what does not fit is refused, with the place", () => {
  const refusals = [
    ["[]", "invalid-event", "the data is no JSON object"],
    [order({ order: "" }), "invalid-event", "/order: must be a text, not empty"],
    [order({ lines: [{ sku: "a", quantity: 1, price: "1,50" }] }), "invalid-event", "/lines/0/price: must be an amount like 12.50"],
    [order({ customer: { name: "A", address: { country: "FR" } } }), "other", "no tax rate for FR"],
  ];
  for (const [json, kind, message] of refusals) {
    assert.throws(() => toInvoice(json, config), { kind, message });
  }
  assert.throws(() => readConfig('{"currency": "EUR", "tax": {"DE": 19.5}}'), { kind: "invalid-config" });
});

test("texts and bytes", () => {
  for (const text of ["", "plain", "größer, 注文, 👩‍🚀"]) {
    const bytes = encodeUtf8(text);
    assert.deepEqual(bytes, new TextEncoder().encode(text));
    assert.equal(decodeUtf8(bytes), text);
  }
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3, 0x28]]) {
    assert.equal(decodeUtf8(Uint8Array.from(bytes)), null);
  }
});
