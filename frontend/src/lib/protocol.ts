/** What the server sends over a run's WebSocket. */

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

export interface Buckets {
  step: number[];
  min: number[];
  max: number[];
  mean: number[];
  /** The value at the last step of the range. */
  last: number | null;
}

export interface MetricsAnswer {
  seq: number;
  attempt: number;
  series: Record<string, Buckets>;
}

export interface RowMessage {
  type: "row";
  id: number;
  html: string;
}

/** Does a row of `step` stay when an attempt starts? One that goes on from no checkpoint records all anew. */
export function survives(step: number, start: { step: number; resumed: boolean }): boolean {
  return start.resumed && step <= start.step;
}
