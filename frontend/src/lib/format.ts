const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 2500 → "2,500". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Four significant digits: 12.35, 0.001235, 1.235e-7, 12,350. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-3 || size >= 1e7) return tidy(value.toExponential(3));
  if (size >= 1000) return count(value);
  return value.toLocaleString("en", { minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
}

/** A figure of merit in its `form`, a number of decimals or "percent", as the server writes it: 2.06, 99.3 %. */
export function inForm(value: number, form: string): string {
  return form === "percent" ? `${(100 * value).toFixed(1)} %` : value.toFixed(Number(form));
}

/** As `figure`, as short as can be: for axes. */
export function tick(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return tidy(value.toExponential(2));
  return value.toLocaleString("en", { maximumSignificantDigits: 5 });
}

function tidy(exponential: string): string {
  return exponential.replace(/\.?0+e/, "e").replace("e+", "e");
}

/** Seconds as the two largest units: "3 h 12 min", "48 s". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s >= DAY) return `${Math.floor(s / DAY)} d ${Math.floor((s % DAY) / HOUR)} h`;
  if (s >= HOUR) return `${Math.floor(s / HOUR)} h ${Math.floor((s % HOUR) / MINUTE)} min`;
  if (s >= MINUTE) return `${Math.floor(s / MINUTE)} min ${s % MINUTE} s`;
  return `${s} s`;
}

/** Seconds as one unit: "3 h". */
export function age(seconds: number): string {
  if (seconds < MINUTE) return "now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h`;
  return `${Math.floor(seconds / DAY)} d`;
}

/** Milliseconds an iteration: "184 ms/it". */
export function speed(secondsPerIteration: number): string {
  const ms = secondsPerIteration * 1000;
  return `${ms < 10 ? ms.toPrecision(2) : count(ms)} ms/it`;
}

/** Bytes as Django's filesizeformat writes them: "1.9 MB". */
export function bytes(size: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10));
  return `${power ? (size / 1024 ** power).toFixed(1) : size} ${units[power]}`;
}

/** Local wall clock of an ISO moment: "14:03:09". */
export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString("en-GB");
}

/** Local date and time of an ISO moment: "2026-11-23 14:03:09". */
export function moment(iso: string): string {
  return new Date(iso).toLocaleString("sv-SE");
}
