import { readNumber, writeQuery } from "../lib/address.ts";
import { find } from "../lib/dom.ts";
import type { CurvePage } from "../lib/curves.ts";
import { joinCurves } from "./run-page.ts";

/** Smoothing and range of all charts; both stand in the address. */
export class ChartControls extends HTMLElement {
  private page!: CurvePage;

  connectedCallback(): void {
    const smooth = this.input("smooth");
    smooth.value = String(readNumber("smooth") ?? 0);
    smooth.addEventListener("input", () => this.smooth(Number(smooth.value)));
    this.showSmoothing(Number(smooth.value));
    for (const name of ["from", "to"]) this.input(name).addEventListener("change", () => this.zoom());
    find(this, "[data-reset]").addEventListener("click", () => void this.page.zoom(null));
    find(this, "form").addEventListener("submit", (event) => event.preventDefault());
    this.page = joinCurves(this, { onCurves: () => this.showRange() });
  }

  private input(name: string): HTMLInputElement {
    return find(this, `input[name="${name}"]`);
  }

  private smooth(strength: number): void {
    writeQuery({ smooth: strength ? String(strength) : null });
    this.showSmoothing(strength);
    document.dispatchEvent(new Event("chartsettings"));
  }

  private showSmoothing(strength: number): void {
    find(this, "output").textContent = strength ? `${strength.toFixed(2)}, raw behind` : "off";
  }

  private zoom(): void {
    const [first, last] = this.page.range;
    const [from, to] = [this.input("from"), this.input("to")].map((input) => (input.value === "" ? null : Number(input.value)));
    if (from === null && to === null) void this.page.zoom(null);
    else if ((to ?? last) > (from ?? first)) void this.page.zoom([from ?? 0, to ?? last]);
  }

  private showRange(): void {
    const [from, to] = this.page.range;
    const zoomed = this.page.isZoomed;
    if (!this.contains(document.activeElement) || !zoomed) {
      this.input("from").value = zoomed ? String(from) : "";
      this.input("to").value = zoomed ? String(to) : "";
    }
    find<HTMLButtonElement>(this, "[data-reset]").disabled = !zoomed;
  }
}
