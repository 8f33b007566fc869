/** What of the view stands in the address: the charts in the query, the samples' step in the hash. */

export function readQuery(name: string): string | null {
  return new URLSearchParams(location.search).get(name);
}

export function readNumber(name: string): number | null {
  const text = readQuery(name);
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

/** Sets or (with null) removes query parameters, without a new history entry. */
export function writeQuery(changes: Record<string, string | null>): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(history.state, "", url);
}

export function readStep(): number | null {
  const match = /^#step=(\d+)$/.exec(location.hash);
  return match ? Number(match[1]) : null;
}

export function writeStep(step: number | null): void {
  const url = new URL(location.href);
  url.hash = step === null ? "" : `step=${step}`;
  history.replaceState(history.state, "", url);
}
