import { readStep, writeStep } from "../lib/address.ts";
import { find } from "../lib/dom.ts";
import { count } from "../lib/format.ts";
import { readJson } from "./curve-set.ts";

interface Grid {
  step: number;
  url: string;
  columns: number;
  count: number;
}

/** Every run's samples at one step, or at its step nearest to that, which is then named. */
export class CompareSamples extends HTMLElement {
  private grids: Record<string, Grid[]> = {};
  private steps: number[] = [];
  private index = -1;
  private slider!: HTMLInputElement;

  connectedCallback(): void {
    this.grids = readJson("compare-grids");
    this.steps = [...new Set(Object.values(this.grids).flat().map((grid) => grid.step))].sort((a, b) => a - b);
    this.slider = find(this, "input[type=range]");
    this.slider.disabled = !this.steps.length;
    this.slider.max = String(Math.max(0, this.steps.length - 1));
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    window.addEventListener("hashchange", () => this.readAddress());
    this.readAddress();
  }

  /** Moves by steps: −1 is the one before. */
  move(by: number): void {
    this.choose(this.index + by);
  }

  /** Goes to the newest step. */
  follow(): void {
    this.index = this.steps.length - 1;
    writeStep(null);
    this.show();
  }

  private choose(index: number): void {
    if (!this.steps.length) return;
    this.index = Math.max(0, Math.min(this.steps.length - 1, index));
    writeStep(this.steps[this.index]!);
    this.show();
  }

  private readAddress(): void {
    const asked = readStep();
    const steps = this.steps.map((step) => ({ step }));
    this.index = asked === null ? steps.length - 1 : steps.indexOf(nearest(steps, asked)!);
    this.show();
  }

  private show(): void {
    const step = this.steps[this.index];
    if (step === undefined) return;
    const label = `step ${count(step)}`;
    this.slider.value = String(this.index);
    this.slider.setAttribute("aria-valuetext", label);
    find(this, "[data-step-label]").textContent = label;
    for (const figure of this.querySelectorAll<HTMLElement>("figure[data-run]")) {
      const grid = nearest(this.grids[figure.dataset["run"]!] ?? [], step);
      if (grid) showGrid(figure, grid, step);
    }
  }
}

function showGrid(figure: HTMLElement, grid: Grid, step: number): void {
  const image = find<HTMLImageElement>(figure, "img");
  find<HTMLElement>(figure, ".grid-box").style.aspectRatio = `${grid.columns} / ${Math.ceil(grid.count / grid.columns)}`;
  find(figure, "[data-caption]").textContent = grid.step === step ? `step ${count(step)}` : `nearest: step ${count(grid.step)}`;
  image.alt = `${count(grid.count)} samples of ${find(figure, "strong").textContent} at step ${count(grid.step)}`;
  image.hidden = false;
  if (image.getAttribute("src") !== grid.url) image.src = grid.url;
}

function nearest<T extends { step: number }>(grids: T[], step: number): T | undefined {
  return grids.reduce<T | undefined>(
    (best, grid) => (!best || Math.abs(grid.step - step) < Math.abs(best.step - step) ? grid : best),
    undefined,
  );
}
