/** What the server sends: over a run's WebSocket, and by the API where pages ask it (`npm run types`). */
import type { components } from "../api/schema.d.ts";

export type Values = Record<string, number>;
export type Source = "student" | "teacher";

export interface Action {
  name: string;
  label: string;
  danger: boolean;
}

export interface SampleGrid {
  id: number;
  step: number;
  source: Source;
  url: string;
  count: number;
  columns: number;
  nfe: number;
}

export interface Evaluation {
  step: number;
  source: Source;
  values: Values;
  samples: number;
  nfe: number;
}

export interface Checkpoint {
  step: number;
  url: string;
  size: number;
  sha256: string;
}

export interface StateMove {
  from: string;
  to: string;
  from_label: string;
  to_label: string;
  actor: string;
  reason: string;
  actions: Action[];
  worker: string;
}

interface Numbered {
  seq: number;
  at: string;
  attempt: number;
}

export type RunEvent = Numbered &
  (
    | { type: "started"; step: number; resumed: boolean; total_steps: number; device: string }
    | { type: "metrics"; step: number; values: Values }
    | ({ type: "samples" } & SampleGrid)
    | ({ type: "checkpoint" } & Checkpoint)
    | { type: "removed"; steps: number[] }
    | ({ type: "evaluation" } & Evaluation)
    | { type: "log"; level: string; message: string }
    | { type: "finished"; step: number; summary: Record<string, unknown> }
    | { type: "stopped"; step: number; reason: string }
    | { type: "failed"; step: number; reason: string; part: string }
    | ({ type: "state" } & StateMove)
  );

export type RunMessage = { type: "events"; events: RunEvent[] } | { type: "live" } | { type: "gone" };

export type Buckets = components["schemas"]["Buckets"];
export type MetricsAnswer = components["schemas"]["MetricsAnswer"];

export interface RowMessage {
  type: "row";
  id: number;
  html: string;
}

/** Does a row of `step` stay when an attempt starts? One that goes on from no checkpoint records all anew. */
export function survives(step: number, start: { step: number; resumed: boolean }): boolean {
  return start.resumed && step <= start.step;
}
