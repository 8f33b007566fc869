import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, inSequence } from "../src/lib/sequence.ts";

const events = (...numbers: number[]): { seq: number }[] => numbers.map((seq) => ({ seq }));

test("events that were seen before are left out", () => {
  assert.deepEqual(inSequence(3, events(2, 3, 4, 5)), { fresh: events(4, 5), last: 5, gap: false });
});

test("a gap stops before what follows it", () => {
  assert.deepEqual(inSequence(3, events(4, 6, 7)), { fresh: events(4), last: 4, gap: true });
});

test("reconnecting waits from half a second to ten, and never less than half of that", () => {
  assert.equal(backoff(0, 1), 500);
  assert.equal(backoff(0, 0), 250);
  assert.equal(backoff(3, 1), 4000);
  assert.equal(backoff(50, 1), 10_000);
});
