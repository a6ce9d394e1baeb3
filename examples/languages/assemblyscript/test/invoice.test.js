import assert from "node:assert/strict";
import { test } from "node:test";
import { configProblem, run } from "../build/test.js";

const config = '{"currency": "EUR", "tax": {"DE": 1900}}';

const order = (changes = {}) =>
  JSON.stringify({
    order: "A-1",
    status: "open",
    customer: { name: "Zoë", address: { country: "DE" } },
    lines: [{ sku: "LAN-7", quantity: 3, price: "0.50" }],
    ...changes,
  });

test("an order becomes an invoice, taxed half up", () => {
  assert.equal(
    run(config, order({ note: "soon" })),
    '{"currency":"EUR","customer":{"country":"DE","name":"Zoë"},"invoice":"INV-A-1",' +
      '"lines":[{"amount":150,"quantity":3,"sku":"LAN-7","unit_price":50}],' +
      '"net":150,"note":"soon","order":"A-1","paid":false,"tax":29,"tax_rate":1900,"total":179}',
  );
});

test("what is not to be invoiced is skipped", () => {
  assert.equal(run(config, order({ status: "cancelled" })), "skip: cancelled");
  assert.equal(run(config, order({ lines: [] })), "skip: nothing to invoice");
});

test("what does not fit is refused, with the place", () => {
  const comma = [{ sku: "a", quantity: 1, price: "1,50" }];
  const france = { name: "A", address: { country: "FR" } };
  assert.equal(run(config, "[]"), "invalid-event: the data is no JSON object");
  assert.equal(run(config, order({ order: "" })), "invalid-event: /order: must be a text, not empty");
  assert.equal(run(config, order({ lines: comma })), "invalid-event: /lines/0/price: must be an amount like 12.50");
  assert.equal(run(config, order({ customer: france })), "other: no tax rate for FR");
  assert.equal(configProblem(config), "");
  assert.equal(
    configProblem('{"currency": "EUR", "tax": {"DE": 19.5}}'),
    "/tax/DE: must be a whole number from 0 to 10000",
  );
});
