import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bytes, count, duration, figure, inForm, speed, tick } from "../src/lib/format.ts";
import { smooth } from "../src/lib/smooth.ts";
import { signedTicks, tidyTicks } from "../src/lib/ticks.ts";

test("figures have four significant digits", () => {
  assert.deepEqual([2.0634, 138.22, 12_345, 0.0012345, 0, -3.1].map(figure), ["2.063", "138.2", "12,345", "0.001235", "0", "-3.100"]);
  assert.equal(figure(0.00012345), "1.234e-4");
  assert.equal(figure(12_345_678), "1.235e7");
  assert.equal(tick(0.00002), "2e-5");
});

test("figures of merit are in the form that the server names", () => {
  assert.deepEqual([inForm(2.0567, "2"), inForm(0.01948, "4"), inForm(8, "0"), inForm(0.9931, "percent")], ["2.06", "0.0195", "8", "99.3 %"]);
});

test("durations name their two largest units", () => {
  assert.deepEqual([0.4, 48, 250, 11_520, 200_000].map(duration), ["0 s", "48 s", "4 min 10 s", "3 h 12 min", "2 d 7 h"]);
  assert.deepEqual([5, 150, 7_300, 90_000].map(age), ["now", "2 min", "2 h", "1 d"]);
});

test("sizes, counts and speeds have their units", () => {
  assert.deepEqual([512, 3_104_221].map(bytes), ["512 bytes", "3.0 MB"]);
  assert.equal(count(2500), "2,500");
  assert.deepEqual([0.1844, 0.00123].map(speed), ["184 ms/it", "1.2 ms/it"]);
});

test("smoothing leaves a constant alone, follows no single point, and keeps gaps", () => {
  assert.deepEqual(smooth([2, 2, 2], 0.9).map((v) => v?.toFixed(9)), Array(3).fill("2.000000000"));
  assert.deepEqual(smooth([1, 5, 3], 0), [1, 5, 3]);
  const [, gap, spike] = smooth([0, null, 10], 0.5);
  assert.equal(gap, null);
  assert.ok(spike! > 0 && spike! < 10);
});

test("logarithmic ticks are 1, 2, 5 and their tens, on both sides of zero where need be", () => {
  assert.deepEqual(tidyTicks(1.1, 60), [2, 5, 10, 20, 50]);
  assert.deepEqual(tidyTicks(0.5, 5000), [1, 10, 100, 1000]);
  assert.deepEqual(signedTicks(-30, 4, 0.9), [-20, -10, -5, -2, -1, 0, 1, 2]);
  assert.deepEqual(signedTicks(-30, -3, 0.1), [-20, -10, -5]);
});
