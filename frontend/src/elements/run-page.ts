import { readNumber, writeQuery } from "../lib/address.ts";
import type { MetricsAnswer, RunEvent } from "../lib/protocol.ts";
import { linesOfRun, type CurveLine, type CurvePage } from "../lib/curves.ts";
import { SeriesSet } from "../lib/series.ts";
import { showMessage } from "../shell/messages.ts";
import { EventStream, type Status } from "../lib/socket.ts";

export interface Listener {
  /** New events, in order, each once. */
  onEvents?(events: RunEvent[]): void;
  onStatus?(status: Status): void;
  /** The curves or the range shown changed. */
  onCurves?(): void;
}

/** Parent of everything alive on a run's page: one WebSocket, one set of curves, told to the children that `join`. */
export class RunPage extends HTMLElement implements CurvePage {
  private readonly all = new SeriesSet();
  private zoomed: SeriesSet | null = null;
  private readonly listeners = new Set<Listener>();
  private stream: EventStream | undefined;
  /** For each answer on its way, the events that came meanwhile. */
  private readonly awaiting = new Set<RunEvent[]>();

  connectedCallback(): void {
    void this.start();
  }

  disconnectedCallback(): void {
    this.stream?.close();
  }

  join(listener: Listener): void {
    this.listeners.add(listener);
  }

  get curves(): SeriesSet {
    return this.zoomed ?? this.all;
  }

  /** The steps shown: [from, to]. */
  get range(): [number, number] {
    const { from, to } = this.curves;
    return [from, Number.isFinite(to) ? to : Math.max(1, this.all.lastStep)];
  }

  lines(series: string): CurveLine[] {
    return linesOfRun(series);
  }

  get isZoomed(): boolean {
    return this.zoomed !== null;
  }

  /** Shows the steps of a range, in full detail; null shows them all. */
  async zoom(range: [number, number] | null): Promise<void> {
    const from = Math.max(0, Math.floor(range?.[0] ?? 0));
    const to = Math.ceil(range?.[1] ?? 0);
    writeQuery({ from: range ? String(from) : null, to: range ? String(to) : null });
    this.zoomed = null;
    if (range && to > from) {
      const set = new SeriesSet(from, to);
      this.zoomed = set;
      await this.load(set);
    }
    this.tell((listener) => listener.onCurves?.());
  }

  private async start(): Promise<void> {
    await this.load(this.all);
    const from = readNumber("from");
    const to = readNumber("to");
    if (from !== null && to !== null && to > from) {
      this.zoomed = new SeriesSet(from, to);
      await this.load(this.zoomed);
    }
    this.tell((listener) => listener.onCurves?.());
    if (!this.isConnected) return;
    this.stream = new EventStream(
      this.dataset["socket"]!,
      Number(this.dataset["since"]),
      (events) => this.receive(events),
      (status) => this.tell((listener) => listener.onStatus?.(status)),
    );
  }

  private async load(set: SeriesSet): Promise<void> {
    const url = new URL(this.dataset["metrics"]!, location.href);
    const names = [...this.querySelectorAll<HTMLElement>("run-chart")].flatMap((c) => c.dataset["series"]!.split(" "));
    url.searchParams.set("series", names.join(","));
    const plot = this.querySelector("[data-plot]") ?? this;
    url.searchParams.set("width", String(Math.max(100, Math.min(2000, Math.round(plot.clientWidth)))));
    if (set.to < Infinity) {
      url.searchParams.set("from", String(set.from));
      url.searchParams.set("to", String(set.to));
    }
    const meanwhile: RunEvent[] = [];
    this.awaiting.add(meanwhile);
    const answer = await fetchMetrics(url);
    this.awaiting.delete(meanwhile);
    if (answer) set.load(answer);
    for (const event of meanwhile) set.apply(event);
  }

  private receive(events: RunEvent[]): void {
    for (const meanwhile of this.awaiting) meanwhile.push(...events);
    for (const event of events) {
      this.all.apply(event);
      this.zoomed?.apply(event);
    }
    this.tell((listener) => listener.onEvents?.(events));
    this.tell((listener) => listener.onCurves?.());
  }

  private tell(what: (listener: Listener) => void): void {
    for (const listener of this.listeners) what(listener);
  }
}

export async function fetchMetrics(url: URL): Promise<MetricsAnswer | null> {
  const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
  if (response?.ok) return (await response.json()) as MetricsAnswer;
  showMessage(`The curves could not be loaded (${response ? `status ${response.status}` : "no answer"}). Reload the page.`);
  return null;
}

/** Joins the run page around an element. */
export function joinRun(element: Element, listener: Listener): RunPage {
  const page = element.closest("run-page") as RunPage | null;
  if (!page) throw new Error(`${element.localName} stands outside run-page`);
  page.join(listener);
  return page;
}

/** Joins the element around a chart: a run's page, or a set of curves. */
export function joinCurves(element: Element, listener: Listener): CurvePage {
  const page = element.closest<HTMLElement & CurvePage & { join(listener: Listener): void }>("run-page, curve-set");
  if (!page) throw new Error(`${element.localName} stands outside run-page and curve-set`);
  page.join(listener);
  return page;
}
