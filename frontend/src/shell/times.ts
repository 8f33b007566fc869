import { age, clock, moment } from "../lib/format.ts";

/** Writes "3 h" into every <time data-age> below `root`. */
export function showAges(root: ParentNode): void {
  for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-age]")) {
    time.textContent = age((Date.now() - Date.parse(time.dateTime)) / 1000);
    time.title = moment(time.dateTime);
  }
}

/** Writes the server's times in the reader's time zone, and keeps ages current. */
export function startTimes(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-clock]")) time.textContent = clock(time.dateTime);
  for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-moment]")) time.textContent = moment(time.dateTime);
  showAges(document);
  window.setInterval(() => showAges(document), 20_000);
  document.addEventListener("htmx:afterSwap", () => showAges(document));
}
