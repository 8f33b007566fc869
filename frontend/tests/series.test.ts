import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent, Values } from "../src/lib/protocol.ts";
import { Series, SeriesSet } from "../src/lib/series.ts";

const numbered = { at: "2026-01-01T00:00:00Z", attempt: 1 };
const metrics = (seq: number, step: number, values: Values): RunEvent => ({ ...numbered, seq, type: "metrics", step, values });
const started = (seq: number, step: number): RunEvent => ({ ...numbered, seq, type: "started", step, resumed: step > 0, total_steps: 100, device: "cpu" });

test("a long curve is bucketed, and keeps its extremes, its mean and its order", () => {
  const series = new Series();
  const values = Array.from({ length: 20_000 }, (_, i) => Math.sin(i * 12.9898) * 43.7);
  values[7_777] = -1000;
  values[12_345] = 1000;
  values.forEach((value, i) => series.append(i + 1, value));
  assert.ok(series.length <= 4000);
  assert.equal(Math.min(...series.min), -1000);
  assert.equal(Math.max(...series.max), 1000);
  const lowest = series.step.findLastIndex((step) => step <= 7_778);
  assert.equal(series.min[lowest], -1000);
  assert.ok(series.step.every((step, i) => i === 0 || step > series.step[i - 1]!));
  assert.ok(series.mean.every((mean, i) => mean >= series.min[i]! && mean <= series.max[i]!));
});

test("the mean of a merged bucket is the mean of its points", () => {
  const series = new Series();
  for (let i = 1; i <= 4001; i++) series.append(i, i);
  assert.equal(series.step[0], 1);
  const width = series.step[1]! - series.step[0]!;
  assert.ok(width > 1);
  assert.equal(series.mean[0], (1 + width) / 2);
});

test("an attempt that goes on from a step drops what lies beyond it; one from step 0 drops all", () => {
  const set = new SeriesSet();
  for (let step = 0; step <= 10; step++) set.apply(metrics(step + 1, step, { loss: step }));
  set.apply(started(12, 6));
  assert.deepEqual(set.get("loss").step, [0, 1, 2, 3, 4, 5, 6]);
  set.apply(metrics(13, 7, { loss: 70 }));
  assert.deepEqual(set.get("loss").mean.slice(-2), [6, 70]);
  set.apply(started(14, 0));
  assert.equal(set.get("loss").length, 0);
});

test("an event that was already in the loaded answer is not drawn twice", () => {
  const set = new SeriesSet();
  set.load({ seq: 5, attempt: 1, series: { loss: { step: [1, 2], min: [1, 1], max: [3, 3], mean: [2, 2], last: null } } });
  set.apply(metrics(5, 3, { loss: 9 }));
  assert.equal(set.get("loss").length, 2);
  set.apply(metrics(6, 3, { loss: 9 }));
  assert.deepEqual(set.get("loss").max, [3, 3, 9]);
});

test("a zoomed set takes only the steps of its range, both ends included", () => {
  const set = new SeriesSet(2, 4);
  for (let step = 1; step <= 6; step++) set.apply(metrics(step, step, { loss: step }));
  assert.deepEqual(set.get("loss").step, [2, 3, 4]);
});

test("the student's evaluations are curves, the teacher's are not", () => {
  const set = new SeriesSet();
  const evaluation = { ...numbered, type: "evaluation", values: { frechet: 3 }, samples: 100, nfe: 1 } as const;
  set.apply({ ...evaluation, seq: 1, step: 0, source: "teacher" });
  set.apply({ ...evaluation, seq: 2, step: 250, source: "student" });
  assert.deepEqual(set.get("frechet").step, [250]);
});
