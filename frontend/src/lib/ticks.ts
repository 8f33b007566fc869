const MANY_DECADES = 2.5;

/** Ticks of a logarithmic axis: 1, 2, 5 × 10ⁿ, or powers of ten where the range is long. 0 < min < max. */
export function tidyTicks(min: number, max: number): number[] {
  const factors = Math.log10(max / min) > MANY_DECADES ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
    for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
  }
  return ticks.filter((tick) => tick >= min && tick <= max);
}

/** Ticks of an axis that is logarithmic on both sides of zero, beyond ±threshold. */
export function signedTicks(min: number, max: number, threshold: number): number[] {
  const above = max > threshold ? tidyTicks(Math.max(threshold, min), max) : [];
  const below = min < -threshold ? tidyTicks(Math.max(threshold, -max), -min) : [];
  const zero = min <= 0 && max >= 0 ? [0] : [];
  return [...below.map((tick) => -tick).reverse(), ...zero, ...above];
}
