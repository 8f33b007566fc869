/** Takes what follows `last` without a gap; tells whether something is missing. */
export function inSequence<E extends { seq: number }>(
  last: number,
  events: readonly E[],
): { fresh: E[]; last: number; gap: boolean } {
  const fresh: E[] = [];
  for (const event of events) {
    if (event.seq <= last) continue;
    if (event.seq !== last + 1) return { fresh, last, gap: true };
    fresh.push(event);
    last = event.seq;
  }
  return { fresh, last, gap: false };
}

/** Milliseconds before try number `attempt` (from 0): doubles from 0.5 s to 10 s, the later half at random. */
export function backoff(attempt: number, random: number): number {
  const whole = Math.min(10_000, 500 * 2 ** attempt);
  return whole / 2 + (whole / 2) * random;
}
