// The kernels of the module for WebAssembly equal the portable ones bit for bit, in this machine. VIVAVOCE_WASM_TESTS names the module.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

// Milliseconds of CPU, which other work on the machine does not change much.
const used = () => process.cpuUsage().user / 1000;
const path = process.env.VIVAVOCE_WASM_TESTS;

test("kernels equal the portable ones bit for bit", { skip: !path && "VIVAVOCE_WASM_TESTS is not set" }, async (t) => {
  const { instance } = await WebAssembly.instantiate(await readFile(path));
  const { check, said, said_bytes, multiply, memory } = instance.exports;
  const equal = check();
  const told = new TextDecoder().decode(new Uint8Array(memory.buffer, said(), said_bytes()));
  assert.notEqual(equal, 0, told);
  assert.equal(told, "simd128");
  assert.ok(equal > 100_000, `only ${equal} values`);
  t.diagnostic(`${equal} values are equal`);
  if (!process.env.VIVAVOCE_TIMES) return;
  for (const [batch, outputs, inputs] of [[1, 2048, 512], [2, 2048, 512], [3, 1024, 512], [4, 2048, 512], [6, 1024, 512], [64, 1024, 512]]) {
    const times = Math.ceil(1000 / batch);
    const took = [0, 1].map((table) => {
      const best = [1, 2, 3, 4].map(() => {
        const began = used();
        multiply(table, batch, outputs, inputs, 0);
        const ready = used();
        multiply(table, batch, outputs, inputs, times);
        return used() - ready - (ready - began);
      });
      return (batch * outputs * inputs * times) / Math.min(...best) / 1e6;
    });
    t.diagnostic(`${batch} x ${outputs} x ${inputs}: ${took.map((speed) => speed.toFixed(2)).join(" and ")} thousand million products a second`);
  }
});
