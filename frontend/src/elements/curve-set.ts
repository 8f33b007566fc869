import { readNumber, writeQuery } from "../lib/address.ts";
import { find } from "../lib/dom.ts";
import { lookOf, sampleOf, type CurveLine, type CurvePage } from "../lib/curves.ts";
import type { Buckets, MetricsAnswer } from "../lib/protocol.ts";
import { Series, SeriesSet } from "../lib/series.ts";
import { fetchMetrics, type Listener } from "./run-page.ts";

const AGAIN_MS = 10_000;

/**
 * Parent of charts that lay several curves over each other: of the runs in data-runs, or of what the page brings
 * (data-inline: the element "curve-data"). Curves are named "run/series".
 */
export class CurveSet extends HTMLElement implements CurvePage {
  private keys: string[] = [];
  private labels: Record<string, string> = {};
  private readonly listeners = new Set<Listener>();
  private all = new Map<string, SeriesSet>();
  private zoomed: Map<string, SeriesSet> | null = null;
  private timer: number | undefined;

  connectedCallback(): void {
    if ("inline" in this.dataset) this.keys = Object.keys(readJson<Record<string, Buckets>>("curve-data"));
    else {
      this.keys = this.dataset["runs"]!.split(",");
      this.labels = readJson("curve-labels");
    }
    for (const place of this.querySelectorAll<HTMLElement>("[data-curve]")) {
      const { color, dash } = lookOf(this.keys.indexOf(place.dataset["curve"]!));
      place.replaceChildren(sampleOf(dash, `var(--series-${color})`));
    }
    void this.start();
  }

  disconnectedCallback(): void {
    window.clearInterval(this.timer);
  }

  join(listener: Listener): void {
    this.listeners.add(listener);
  }

  lines(series: string): CurveLine[] {
    return this.keys.map((key, i) => ({ name: `${key}/${series}`, label: this.labels[key] ?? key, ...lookOf(i) }));
  }

  readonly curves = {
    get: (name: string): Series => {
      const cut = name.lastIndexOf("/");
      return (this.zoomed ?? this.all).get(name.slice(0, cut))?.get(name.slice(cut + 1)) ?? new Series();
    },
  };

  get range(): [number, number] {
    const [set] = this.zoomed?.values() ?? [];
    return set ? [set.from, set.to] : [0, Math.max(1, ...[...this.all.values()].map((each) => each.lastStep))];
  }

  get isZoomed(): boolean {
    return this.zoomed !== null;
  }

  async zoom(range: [number, number] | null): Promise<void> {
    const from = Math.max(0, Math.floor(range?.[0] ?? 0));
    const to = Math.ceil(range?.[1] ?? 0);
    writeQuery({ from: range ? String(from) : null, to: range ? String(to) : null });
    this.zoomed = range && to > from ? await this.load(from, to) : null;
    this.tell();
  }

  private async start(): Promise<void> {
    this.all = await this.load(0, Infinity);
    const from = readNumber("from");
    const to = readNumber("to");
    if (from !== null && to !== null && to > from) this.zoomed = await this.load(from, to);
    this.tell();
    if ("live" in this.dataset) this.timer = window.setInterval(() => void this.refresh(), AGAIN_MS);
  }

  private async refresh(): Promise<void> {
    this.all = await this.load(0, Infinity);
    if (this.zoomed) this.zoomed = await this.load(...this.range);
    this.tell();
  }

  private async load(from: number, to: number): Promise<Map<string, SeriesSet>> {
    const sets = await Promise.all(this.keys.map((key) => this.loadOne(key, from, to)));
    return new Map(this.keys.map((key, i) => [key, sets[i]!]));
  }

  private async loadOne(key: string, from: number, to: number): Promise<SeriesSet> {
    const set = new SeriesSet(from, to);
    const answer = "inline" in this.dataset ? this.inline(key, from, to) : await fetchMetrics(this.address(key, from, to));
    if (answer) set.load(answer);
    return set;
  }

  /** The page's own curves: of one series, which its chart names. */
  private inline(key: string, from: number, to: number): MetricsAnswer {
    const all = readJson<Record<string, Buckets>>("curve-data")[key]!;
    const kept = (column: number[]): number[] => column.filter((_value, i) => all.step[i]! >= from && all.step[i]! <= to);
    const mean = kept(all.mean);
    const name = find<HTMLElement>(this, "run-chart").dataset["series"]!;
    return { seq: 0, attempt: 0, series: { [name]: { step: kept(all.step), min: kept(all.min), max: kept(all.max), mean, last: mean.at(-1) ?? null } } };
  }

  private address(key: string, from: number, to: number): URL {
    const url = new URL(`/api/v1/runs/${key}/metrics`, location.href);
    const charts = [...this.querySelectorAll<HTMLElement>("run-chart")];
    url.searchParams.set("series", charts.map((chart) => chart.dataset["series"]!).join(","));
    url.searchParams.set("width", String(Math.max(100, Math.min(1000, this.clientWidth))));
    if (to < Infinity) {
      url.searchParams.set("from", String(from));
      url.searchParams.set("to", String(to));
    }
    return url;
  }

  private tell(): void {
    for (const listener of this.listeners) listener.onCurves?.();
  }
}

/** What Django's json_script wrote. */
export function readJson<T>(id: string): T {
  return JSON.parse(document.getElementById(id)?.textContent ?? "{}") as T;
}
