/** Exponential moving average over the points shown, without bias to the first. `strength` in [0, 1); gaps stay gaps. */
export function smooth(values: readonly (number | null | undefined)[], strength: number): (number | null)[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (value == null) return null;
    sum = strength * sum + (1 - strength) * value;
    weight = strength * weight + (1 - strength);
    return sum / weight;
  });
}
