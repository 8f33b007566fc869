import type { CompareSamples } from "../elements/compare-samples.ts";
import type { CurveSet } from "../elements/curve-set.ts";
import type { ImageReview } from "../elements/image-review.ts";
import type { RunPage } from "../elements/run-page.ts";
import type { SampleScrubber } from "../elements/sample-scrubber.ts";
import { openDialog } from "./dialogs.ts";

const SWITCH = "single-keys";
const enabled = (): boolean => localStorage.getItem(SWITCH) !== "off";

const scrubber = (): SampleScrubber | CompareSamples | null =>
  document.querySelector<SampleScrubber | CompareSamples>("sample-scrubber, compare-samples");

const KEYS: Record<string, () => void> = {
  "?": () => openDialog("keys"),
  "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
  j: () => nextRow(1),
  k: () => nextRow(-1),
  "[": () => scrubber()?.move(-1),
  "]": () => scrubber()?.move(1),
  ".": () => scrubber()?.follow(),
  "0": () => void document.querySelector<RunPage | CurveSet>("run-page, curve-set")?.zoom(null),
};

/** Only where there are images to review: elsewhere the arrows scroll. */
const REVIEW_KEYS: Record<string, (review: ImageReview) => void> = {
  a: (review) => review.approve(),
  r: (review) => review.reject(),
  ArrowLeft: (review) => review.move(-1),
  ArrowRight: (review) => review.move(1),
};

const AFTER_G: Record<string, string> = { r: "/runs/", n: "/runs/new/", s: "/studies/", t: "/teachers/", d: "/datasets/", i: "/imports/", w: "/workers/" };

/** Single-key shortcuts; they can be switched off in the list of keys, and never act in a text field. */
export function startKeys(): void {
  let afterG = false;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !enabled() || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const address = afterG ? AFTER_G[event.key] : undefined;
    const review = document.querySelector<ImageReview>("image-review");
    if (review && event.repeat && (event.key === "a" || event.key === "r")) return; // a key held down is no verdict
    const ofReview = review && REVIEW_KEYS[event.key];
    const act = ofReview ? () => ofReview(review) : KEYS[event.key];
    afterG = event.key === "g";
    if (address && document.querySelector(`.rail-link[href="${address}"]`)) location.assign(address);
    else if (act) {
      event.preventDefault();
      act();
    }
  });
  const box = document.querySelector<HTMLInputElement>("#keys-on");
  if (!box) return;
  box.checked = enabled();
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"));
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("input:not([type=range], [type=checkbox], [type=radio]), select, textarea");
}

function nextRow(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>(".runs .name-cell a")];
  const now = links.indexOf(document.activeElement as HTMLElement);
  links[now < 0 ? 0 : Math.max(0, Math.min(links.length - 1, now + by))]?.focus();
}
