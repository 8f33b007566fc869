import type uPlot from "uplot";
import { tick } from "../lib/format.ts";
import type { VerticalScale } from "./chart-scales.ts";

export interface Line {
  label: string;
  color: string;
  dash: number[];
}

export interface Look {
  text: string;
  grid: string;
  font: string;
}

export interface ChartSpec {
  lines: Line[];
  teacher: boolean;
  /** Mark each point: there are few. */
  dots: boolean;
  scale: VerticalScale;
  look: Look;
  size: { width: number; height: number };
  range: () => [number, number];
  onCursor: () => void;
  onZoom: (range: [number, number] | null) => void;
}

/** Columns of data for each line: the top and bottom of its band, the line, and its values before smoothing. */
export const COLUMNS = 4;
export const LINE = 3;

const STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();

// uPlot takes it for no point, though its types ask for an element
const NO_POINT = undefined as unknown as HTMLElement;

/** Everything uPlot is told. Columns: steps; for each line top, bottom, line, values; last the teacher where there is one. */
export function chartOptions(spec: ChartSpec): uPlot.Options {
  const { lines, look } = spec;
  const series: uPlot.Series[] = [{}];
  for (const line of lines) {
    const raw = { stroke: fade(line.color, 0.35), width: 1, points: { show: false }, spanGaps: true };
    series.push(raw, raw, {
      label: line.label,
      stroke: line.color,
      width: 1.75,
      dash: line.dash,
      spanGaps: true,
      points: spec.dots ? { show: true, size: 5, width: 0, fill: line.color } : { show: false },
    });
    series.push({ show: false });
  }
  if (spec.teacher) series.push({ label: "teacher", stroke: look.text, width: 1.25, dash: [2, 4], points: { show: false } });
  return {
    ...spec.size,
    series,
    bands: lines.map((line, i) => ({ series: [COLUMNS * i + 1, COLUMNS * i + 2], fill: fade(line.color, 0.16) })),
    scales: { x: { time: false, range: () => spec.range() }, y: spec.scale.scale },
    axes: [{ ...axis(look, { size: 28, space: 72 }), incrs: STEPS }, { ...axis(look, { size: 56, space: 28 }), ...spec.scale.ticks }],
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: {
      sync: { key: "run", filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true } },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7, show: (_plot, i) => (isLine(i, lines.length) ? document.createElement("div") : NO_POINT) },
      bind: {
        dblclick: () => () => {
          spec.onZoom(null);
          return null;
        },
      },
    },
    hooks: {
      setCursor: [spec.onCursor],
      setSelect: [(plot) => select(plot, spec)],
    },
  };
}

function isLine(index: number, lines: number): boolean {
  return index > COLUMNS * lines || index % COLUMNS === LINE;
}

function select(plot: uPlot, spec: ChartSpec): void {
  const { left, width } = plot.select;
  if (width < 4) return;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  spec.onZoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
}

function axis(look: Look, size: { size: number; space: number }): uPlot.Axis {
  return {
    ...size,
    stroke: look.text,
    font: look.font,
    gap: 6,
    grid: { stroke: look.grid, width: 1 },
    ticks: { show: false },
    values: (_plot, values) => values.map((value) => (value === null ? "" : tick(value))),
  };
}

/** `color` is a computed rgb(...) colour. */
function fade(color: string, alpha: number): string {
  return color.replace(/^rgba?\(([^)]*)\)$/, (_whole, parts: string) => {
    const [r, g, b] = parts.split(/[\s,/]+/);
    return `rgba(${r}, ${g}, ${b}, ${alpha})`;
  });
}
