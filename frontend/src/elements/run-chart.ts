import uPlot from "uplot";
import { readNumber, readQuery, writeQuery } from "../lib/address.ts";
import { find, throttled } from "../lib/dom.ts";
import { sampleOf, type CurveLine, type CurvePage } from "../lib/curves.ts";
import { count, figure } from "../lib/format.ts";
import { smooth } from "../lib/smooth.ts";
import { chartOptions, COLUMNS, type ChartSpec, type Line, type Look } from "./chart-options.ts";
import { verticalScale, type Distribution } from "./chart-scales.ts";
import { joinCurves } from "./run-page.ts";

const NEARBY = { rootMargin: "400px" };

type Column = (number | null | undefined)[];

/** One chart of a run: a line for each series, its raw min–max band behind, and a text that says the same. */
export class RunChart extends HTMLElement {
  private page!: CurvePage;
  private plot: uPlot | undefined;
  private place!: HTMLElement;
  private lines: CurveLine[] = [];
  private teacher: number | null = null;
  private log = false;
  private visible = true;
  private readonly redraw = throttled(100, () => this.draw());

  connectedCallback(): void {
    this.place = find(this, "[data-plot]");
    this.log = readLogs()?.includes(this.id.replace("chart-", "")) ?? "log" in this.dataset;
    const toggle = find<HTMLButtonElement>(this, "[data-log-toggle]");
    toggle.setAttribute("aria-pressed", String(this.log));
    toggle.addEventListener("click", () => this.toggleLog(toggle));
    this.place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.place);
    new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)!.isIntersecting;
      if (this.visible) this.redraw();
    }, NEARBY).observe(this);
    window.addEventListener("themechange", () => this.rebuild());
    document.addEventListener("chartsettings", this.redraw);
    this.readTeacher();
    this.page = joinCurves(this, {
      onCurves: this.redraw,
      onEvents: (events) => {
        for (const event of events) {
          if (event.type === "evaluation" && event.source === "teacher") this.teacher = event.values[this.headline] ?? null;
        }
      },
    });
    this.lines = this.page.lines(this.dataset["series"]!);
  }

  private readTeacher(): void {
    const row = document.querySelector('run-evaluations tr[data-source="teacher"]');
    const text = row?.getAttribute(`data-value-${this.headline}`);
    if (text) this.teacher = Number(text);
  }

  private get headline(): string {
    return this.dataset["series"]!.split(" ")[0]!;
  }

  /** Evaluations are few and each was asked for: they are marked, and never smoothed. */
  private get measures(): boolean {
    return "evaluations" in this.dataset;
  }

  private get showsTeacher(): boolean {
    return this.measures && this.teacher !== null;
  }

  private toggleLog(toggle: HTMLElement): void {
    this.log = !this.log;
    toggle.setAttribute("aria-pressed", String(this.log));
    const pressed = [...document.querySelectorAll("run-chart:has([data-log-toggle][aria-pressed=true])")];
    writeQuery({ log: pressed.map((chart) => chart.id.replace("chart-", "")).join(" ") });
    this.rebuild();
  }

  private rebuild(): void {
    this.plot?.destroy();
    this.plot = undefined;
    this.draw();
  }

  private resize(): void {
    if (this.plot) this.plot.setSize(this.size());
    else this.redraw();
  }

  private size(): { width: number; height: number } {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  private draw(): void {
    if (!this.visible || !this.isConnected) return;
    const data = this.data();
    this.place.toggleAttribute("data-empty", data[0].length === 0);
    const columns = 1 + COLUMNS * this.lines.length + (this.showsTeacher ? 1 : 0);
    if (this.plot && (this.plot.series.length !== columns || this.plot.scales["y"]!.distr !== this.distribution())) {
      this.plot.destroy();
      this.plot = undefined;
    }
    if (this.plot) this.plot.setData(data);
    else this.plot = new uPlot(chartOptions(this.spec()), data, this.place);
    this.plot.root.ariaHidden = "true";
    this.describe();
  }

  /** Columns as `chartOptions` wants them. */
  private data(): uPlot.AlignedData {
    const factor = Number(this.dataset["factor"] ?? 1);
    const strength = this.measures ? 0 : (readNumber("smooth") ?? 0);
    const tables = this.lines.map(({ name }) => {
      const { step, min, max, mean } = this.page.curves.get(name);
      const scaled = [max, min, smooth(mean, strength), mean].map((column) => column.map((v) => (v === null ? null : v * factor)));
      return [step, ...scaled] as uPlot.AlignedData;
    });
    const joined = tables.length === 1 ? tables[0]! : uPlot.join(tables);
    if (!this.showsTeacher) return joined;
    // the reference line spans the chart, whatever the steps of the evaluations
    const ends: uPlot.AlignedData = [this.page.range, this.page.range.map(() => this.teacher)];
    const both = uPlot.join([joined, ends]);
    return [...both.slice(0, -1), Array.from(both[0], () => this.teacher)] as unknown as uPlot.AlignedData;
  }

  private distribution(): Distribution {
    if (!this.log) return 1;
    const signed = this.lines.some(({ name }) => this.page.curves.get(name).min.some((value) => value <= 0));
    return signed ? 4 : 3;
  }

  /** The greatest absolute value shown. */
  private greatest(): number {
    const ends = this.lines.flatMap(({ name }) => [this.page.curves.get(name).min, this.page.curves.get(name).max]).flat();
    return ends.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  }

  private spec(): ChartSpec {
    const styles = getComputedStyle(this);
    const probe = (name: string): string => computedColor(this, name);
    const look: Look = { text: probe("--text-soft"), grid: probe("--line"), font: `11px ${styles.fontFamily}` };
    const lines: Line[] = this.lines.map((line) => ({ ...line, color: probe(`--series-${line.color}`) }));
    return {
      lines,
      look,
      teacher: this.showsTeacher,
      dots: this.measures,
      scale: verticalScale(this.distribution(), this.greatest()),
      size: this.size(),
      range: () => this.page.range,
      onCursor: () => this.describe(),
      onZoom: (range) => void this.page.zoom(range),
    };
  }

  /** Writes the values under the cursor, else the latest, least and greatest. */
  private describe(): void {
    if (!this.plot) return;
    const at = this.plot.cursor.idx;
    const rows = this.lines.map((line, i) => this.describeLine(this.plot!, line, i, at ?? null));
    if (this.showsTeacher) rows.push(readoutItem({ dash: [2, 4], stroke: "var(--text-soft)" }, "teacher", figure(this.teacher!)));
    find(this, "[data-readout]").replaceChildren(...rows);
    if (at == null) find(this, "[data-summary]").textContent = rows.map((row) => row.textContent).join("; ") || "No values yet.";
  }

  private describeLine(plot: uPlot, { name, label: full, color, dash }: CurveLine, i: number, at: number | null): HTMLElement {
    const [steps, top, bottom, line, values] = [0, 1, 2, 3, 4].map((c) => plot.data[c && COLUMNS * i + c] as Column);
    const key = { dash, stroke: `var(--series-${color})` };
    const label = this.lines.length > 1 ? full : "";
    const last = lastIndex(values!);
    if (last < 0) return readoutItem(key, label, "–");
    if (at === null) {
      const range = `min ${figure(extreme(bottom!, Math.min))} · max ${figure(extreme(top!, Math.max))}`;
      const newest = this.page.curves.get(name).last;
      const value = newest === null ? values![last]! : newest * Number(this.dataset["factor"] ?? 1);
      return readoutItem(key, label, figure(value), range, this.lines.length > 1);
    }
    const [value, smoothed] = [values![at], line![at]];
    const notes = [
      value !== smoothed && smoothed != null ? `smoothed ${figure(smoothed)}` : "",
      i === 0 ? `step ${count(steps![at]!)}` : "",
    ];
    return readoutItem(key, label, value == null ? "–" : figure(value), notes.filter(Boolean).join(" · "));
  }

  private key(event: KeyboardEvent): void {
    const plot = this.plot;
    const [from, to] = this.page.range;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = plot.data[0];
    const index = plot.cursor.idx ?? steps.length - 1;
    const here = steps[index] ?? from;
    const moves: Record<string, number> = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: steps.length - 1 };
    const move = moves[event.key];
    if (move !== undefined) this.point(plot, Math.max(0, Math.min(steps.length - 1, move)));
    else if (event.key === "+") void this.page.zoom([here - (here - from) / 2, here + (to - here) / 2]);
    else if (event.key === "-") void this.page.zoom(this.page.isZoomed ? [from - (to - from) / 2, to + (to - from) / 2] : null);
    else if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
    else return;
    event.preventDefault();
  }

  private point(plot: uPlot, index: number): void {
    const step = plot.data[0][index];
    if (step !== undefined) plot.setCursor({ left: plot.valToPos(step, "x"), top: 20 });
  }
}

function readLogs(): string[] | null {
  return readQuery("log")?.split(" ") ?? null;
}

/** A custom property as the rgb() that it comes to in the theme in force. */
function computedColor(element: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

function lastIndex(column: Column): number {
  return column.findLastIndex((value) => value != null);
}

function extreme(column: Column, pick: (a: number, b: number) => number): number {
  return column.reduce<number>((best, value) => (value == null ? best : Number.isNaN(best) ? value : pick(best, value)), NaN);
}

function readoutItem(key: { dash: number[]; stroke: string }, label: string, value: string, rest = "", quiet = false): HTMLElement {
  const item = document.createElement("span");
  item.className = "readout-item";
  const strong = document.createElement("strong");
  strong.textContent = value;
  const more = document.createElement("span");
  more.textContent = rest && ` ${rest}`;
  more.hidden = quiet; // for the summary only
  item.append(sampleOf(key.dash, key.stroke), label && `${label} `, strong, more);
  return item;
}
