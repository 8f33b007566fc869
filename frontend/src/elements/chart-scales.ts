import type uPlot from "uplot";
import { signedTicks, tidyTicks } from "../lib/ticks.ts";

/** uPlot's number for the kind of axis: 1 linear, 3 logarithmic, 4 logarithmic on both sides of zero. */
export type Distribution = 1 | 3 | 4;

export interface VerticalScale {
  scale: uPlot.Scale;
  ticks: Pick<uPlot.Axis, "splits" | "filter">;
}

const AIR = 0.06;

/** An axis as tall as the values, with a little air. `greatest`: the greatest absolute value, for a signed logarithm. */
export function verticalScale(distribution: Distribution, greatest: number): VerticalScale {
  if (distribution === 1) return { scale: { range: linearRange }, ticks: {} };
  const all: uPlot.Axis.Filter = (_plot, splits) => splits;
  if (distribution === 3) {
    return {
      scale: { distr: 3, range: (_plot, min, max) => (min > 0 ? [min / 1.15, max * 1.15] : [0.1, 1]) },
      ticks: { splits: (_plot, _axis, min, max) => tidyTicks(min, max), filter: all },
    };
  }
  // linear within a hundredth of the greatest value
  const threshold = 10 ** Math.floor(Math.log10(greatest || 1)) / 100;
  return {
    scale: { distr: 4, asinh: threshold, range: (_plot, min, max) => signedRange(min, max, threshold) },
    ticks: { splits: (_plot, _axis, min, max) => signedTicks(min, max, threshold), filter: all },
  };
}

/** Air in proportion to what is seen: asinh(value / threshold). */
function signedRange(min: number, max: number, threshold: number): [number, number] {
  const [low, high] = [Math.asinh(min / threshold), Math.asinh(max / threshold)];
  const air = (high - low || 1) * AIR;
  return [Math.sinh(low - air) * threshold, Math.sinh(high + air) * threshold];
}

const linearRange: uPlot.Range.Function = (_plot, min, max) => {
  if (min == null || max == null) return [0, 1];
  const air = (max - min || Math.abs(max) || 1) * AIR;
  return [min - air, max + air];
};
