import { survives, type Buckets, type MetricsAnswer, type RunEvent, type Values } from "./protocol.ts";

const MOST_POINTS = 4000;

/** One curve as min/max buckets with rising steps. Long curves are bucketed anew; their extremes stay exact. */
export class Series {
  step: number[] = [];
  min: number[] = [];
  max: number[] = [];
  mean: number[] = [];
  /** The newest value itself: the last bucket's mean may be of many. */
  last: number | null = null;
  private weight: number[] = [];

  get length(): number {
    return this.step.length;
  }

  load(buckets: Buckets): void {
    this.step = [...buckets.step];
    this.min = [...buckets.min];
    this.max = [...buckets.max];
    this.mean = [...buckets.mean];
    this.last = buckets.last;
    this.weight = buckets.step.map(() => 1);
  }

  /** Adds a point; one whose step is not beyond the last is already there. */
  append(step: number, value: number): void {
    if (this.length && step <= this.step[this.length - 1]!) return;
    this.push(step, value, value, value, 1);
    this.last = value;
    if (this.length > MOST_POINTS) this.compact(MOST_POINTS / 2);
  }

  /** An attempt starts: what it is going to record anew is superseded. */
  restart(start: { step: number; resumed: boolean }): void {
    const kept = this.step.findIndex((s) => !survives(s, start));
    if (kept < 0) return;
    for (const column of [this.step, this.min, this.max, this.mean, this.weight]) column.length = kept;
    this.last = this.mean.at(-1) ?? null;
  }

  /** Merges into at most `count` buckets of equal width. */
  private compact(count: number): void {
    const { step, min, max, mean, weight } = this;
    const first = step[0]!;
    const width = (step[step.length - 1]! - first + 1) / count;
    this.step = [];
    this.min = [];
    this.max = [];
    this.mean = [];
    this.weight = [];
    let bucket = -1;
    for (let i = 0; i < step.length; i++) {
      const into = Math.floor((step[i]! - first) / width);
      if (into === bucket) this.merge(min[i]!, max[i]!, mean[i]!, weight[i]!);
      else this.push(step[i]!, min[i]!, max[i]!, mean[i]!, weight[i]!);
      bucket = into;
    }
  }

  private push(step: number, min: number, max: number, mean: number, weight: number): void {
    this.step.push(step);
    this.min.push(min);
    this.max.push(max);
    this.mean.push(mean);
    this.weight.push(weight);
  }

  private merge(min: number, max: number, mean: number, weight: number): void {
    const last = this.length - 1;
    const whole = this.weight[last]! + weight;
    this.min[last] = Math.min(this.min[last]!, min);
    this.max[last] = Math.max(this.max[last]!, max);
    this.mean[last]! += ((mean - this.mean[last]!) * weight) / whole;
    this.weight[last] = whole;
  }
}

/** The curves of a range of steps, as of event `seq`, kept current by `apply`. */
export class SeriesSet {
  readonly from: number;
  readonly to: number;
  private readonly series = new Map<string, Series>();
  private seq = 0;

  constructor(from = 0, to = Infinity) {
    this.from = from;
    this.to = to;
  }

  get(name: string): Series {
    let series = this.series.get(name);
    if (!series) this.series.set(name, (series = new Series()));
    return series;
  }

  get lastStep(): number {
    return Math.max(0, ...[...this.series.values()].map((s) => s.step[s.length - 1] ?? 0));
  }

  load(answer: MetricsAnswer): void {
    this.seq = answer.seq;
    for (const [name, buckets] of Object.entries(answer.series)) this.get(name).load(buckets);
  }

  /** Takes an event in, unless it was already in what was loaded. */
  apply(event: RunEvent): void {
    if (event.seq <= this.seq) return;
    this.seq = event.seq;
    if (event.type === "started") for (const series of this.series.values()) series.restart(event);
    else if (event.type === "metrics") this.append(event.step, event.values);
    else if (event.type === "evaluation" && event.source === "student") this.append(event.step, event.values);
  }

  private append(step: number, values: Values): void {
    if (step < this.from || step > this.to) return;
    for (const [name, value] of Object.entries(values)) this.get(name).append(step, value);
  }
}
