import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { run } from "../build/test.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));

for (const { name, order, invoice, drop, reject } of vectors) {
  test(name, () => {
    const told = run(JSON.stringify(order));
    if (invoice) assert.deepEqual(JSON.parse(told), invoice);
    else assert.equal(told, drop ? `drop: ${drop}` : `reject: ${reject}`);
  });
}

test("what is no order is rejected", () => {
  assert.match(run("nonsense"), /^reject: not an order/);
});
