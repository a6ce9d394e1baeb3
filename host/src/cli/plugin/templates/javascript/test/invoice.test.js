import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { invoice } from "../src/invoice.js";
import { fromUtf8, toUtf8 } from "../src/utf8.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));

for (const { name, order, ...expected } of vectors) {
  test(name, () => assert.deepEqual(invoice(JSON.stringify(order)), expected));
}

test("what is no order is rejected", () => {
  assert.match(invoice("nonsense").reject, /^not an order/);
});

test("text survives as bytes", () => {
  for (const text of ["", "plain", "Zoë", "日本", "🌊"]) {
    assert.deepEqual(toUtf8(text), new TextEncoder().encode(text));
    assert.equal(fromUtf8(toUtf8(text)), text);
  }
  assert.equal(fromUtf8(new Uint8Array([0x61, 0xff, 0x62])), "a\ufffdb");
});
