import type { Series } from "./series.ts";

/** One line of a chart: where its values are, and how it looks. */
export interface CurveLine {
  name: string;
  label: string;
  /** Number of a colour of the palette, from 1. */
  color: number;
  dash: number[];
}

/** What charts ask of the element around them. */
export interface CurvePage {
  readonly curves: { get(name: string): Series };
  /** The steps shown: [from, to]. */
  readonly range: [number, number];
  readonly isZoomed: boolean;
  zoom(range: [number, number] | null): Promise<void>;
  /** The lines of a chart that asks for these series, separated by spaces. */
  lines(series: string): CurveLine[];
}

export const COLORS = 8;
export const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3], [12, 5], [5, 2, 1, 2, 1, 2], [1, 4], [9, 2]];

const LABELS: Record<string, string> = {
  student_loss: "θ",
  denoiser_loss: "ψ",
  student_grad_norm: "θ",
  denoiser_grad_norm: "ψ",
  frechet: "training images",
  frechet_heldout: "held-out",
};

/** The lines of one run: θ keeps the first colour and ψ the second, in every chart. */
export function linesOfRun(series: string): CurveLine[] {
  return series.split(" ").map((name, i) => {
    const color = name === "seconds_per_iteration" ? 3 : name.startsWith("denoiser") ? 2 : i + 1;
    return { name, label: LABELS[name] ?? name, color, dash: DASHES[i % DASHES.length]! };
  });
}

/** The look of the i-th of many curves: eight colours, each with a dash of its own, then other pairs of both. */
export function lookOf(i: number): { color: number; dash: number[] } {
  return { color: (i % COLORS) + 1, dash: DASHES[(i + Math.floor(i / COLORS)) % DASHES.length]! };
}

/** A short piece of a line, as a key to it. */
export function sampleOf(dash: number[], color: string): SVGSVGElement {
  const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  sample.setAttribute("viewBox", "0 0 20 8");
  sample.setAttribute("aria-hidden", "true");
  const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
  stroke.setAttribute("d", "M0 4h20");
  stroke.setAttribute("stroke-width", "2");
  stroke.setAttribute("stroke-dasharray", dash.join(" "));
  stroke.style.stroke = color;
  sample.append(stroke);
  return sample;
}
