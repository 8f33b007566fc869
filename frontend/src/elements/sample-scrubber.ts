import { readStep, writeStep } from "../lib/address.ts";
import { find } from "../lib/dom.ts";
import { count } from "../lib/format.ts";
import { survives, type RunEvent, type SampleGrid, type Source } from "../lib/protocol.ts";
import { joinRun } from "./run-page.ts";

const SOURCES: Source[] = ["student", "teacher"];

/** The student's grid at any step beside the teacher's, from the same latents. Follows the newest unless moved. */
export class SampleScrubber extends HTMLElement {
  private students: SampleGrid[] = [];
  private teacher: SampleGrid | null = null;
  private index = -1;
  private following = true;
  private slider!: HTMLInputElement;
  private dialog!: HTMLDialogElement;

  connectedCallback(): void {
    this.slider = find(this, "input[type=range]");
    this.dialog = find(this, "dialog");
    for (const item of this.querySelectorAll<HTMLElement>("[data-samples] li")) this.store(gridOf(item));
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    find(this, "[data-live]").addEventListener("click", () => this.follow());
    for (const button of this.querySelectorAll("[data-enlarge]")) button.addEventListener("click", () => this.dialog.showModal());
    this.dialog.addEventListener("keydown", (event) => this.arrow(event));
    window.addEventListener("hashchange", () => this.readAddress());
    this.readAddress();
    joinRun(this, { onEvents: (events) => this.take(events) });
  }

  /** Moves by grids: −1 is the one before. */
  move(by: number): void {
    this.choose(this.index + by);
  }

  follow(): void {
    this.following = true;
    writeStep(null);
    this.index = this.students.length - 1;
    this.show();
  }

  private choose(index: number): void {
    if (!this.students.length) return;
    this.index = Math.max(0, Math.min(this.students.length - 1, index));
    this.following = false;
    writeStep(this.students[this.index]!.step);
    this.show();
  }

  private readAddress(): void {
    const step = readStep();
    this.following = step === null;
    this.index = step === null ? this.students.length - 1 : nearest(this.students, step);
    this.show();
  }

  private take(events: RunEvent[]): void {
    const before = this.students[this.index];
    const relevant = events.filter((event) => event.type === "samples" || event.type === "started");
    for (const event of relevant) {
      if (event.type === "samples") this.store(event);
      else this.students = this.students.filter((grid) => survives(grid.step, event));
    }
    if (!relevant.length) return;
    this.index = this.following || !before ? this.students.length - 1 : nearest(this.students, before.step);
    this.show();
  }

  private store(grid: SampleGrid): void {
    if (grid.source === "teacher") this.teacher = grid;
    else if (!this.students.some((other) => other.id === grid.id)) {
      this.students.push(grid);
      this.students.sort((a, b) => a.step - b.step);
    }
  }

  private arrow(event: KeyboardEvent): void {
    if (event.key === "ArrowLeft") this.move(-1);
    else if (event.key === "ArrowRight") this.move(1);
    else return;
    event.preventDefault();
  }

  private show(): void {
    const student = this.students[this.index] ?? null;
    const label = student ? `step ${count(student.step)}` : "–";
    this.slider.disabled = !student;
    this.slider.max = String(Math.max(0, this.students.length - 1));
    this.slider.value = String(Math.max(0, this.index));
    this.slider.setAttribute("aria-valuetext", label);
    find(this, "[data-step-label]").textContent = label;
    find(this, "[data-large-step]").textContent = label;
    find(this, "[data-live]").setAttribute("aria-pressed", String(this.following));
    for (const source of SOURCES) {
      const grid = source === "student" ? student : this.teacher;
      for (const place of ["source", "large"]) {
        const figure = this.querySelector<HTMLElement>(`[data-${place}="${source}"]`); // a teacher's training has one
        if (!figure) continue;
        if (grid) showGrid(figure, grid);
        else clearGrid(figure);
      }
    }
  }
}

function gridOf(item: HTMLElement): SampleGrid {
  const { id, step, source, url, count, columns, nfe } = item.dataset;
  return {
    id: Number(id),
    step: Number(step),
    source: source as Source,
    url: url!,
    count: Number(count),
    columns: Number(columns),
    nfe: Number(nfe),
  };
}

function nearest(grids: SampleGrid[], step: number): number {
  const distance = (grid: SampleGrid): number => Math.abs(grid.step - step);
  return grids.reduce((best, grid, i) => (best < 0 || distance(grid) < distance(grids[best]!) ? i : best), -1);
}

function showGrid(figure: HTMLElement, grid: SampleGrid): void {
  const image = find<HTMLImageElement>(figure, "img");
  const box = find<HTMLElement>(figure, ".grid-box");
  const scatter = grid.columns === 0;
  box.style.aspectRatio = scatter ? "1" : `${grid.columns} / ${Math.ceil(grid.count / grid.columns)}`;
  image.classList.toggle("pixels", !scatter);
  if (box instanceof HTMLButtonElement) box.disabled = false;
  find(figure, "[data-caption]").textContent = `NFE ${count(grid.nfe)}`;
  image.alt = `${count(grid.count)} ${scatter ? "points" : "images"} of the ${find(figure, "strong").textContent.toLowerCase()}${grid.source === "student" ? ` at step ${count(grid.step)}` : ""}`;
  image.hidden = false;
  if (image.getAttribute("src") !== grid.url) image.src = grid.url; // the old picture stays until the new one is decoded
}

function clearGrid(figure: HTMLElement): void {
  const image = find<HTMLImageElement>(figure, "img");
  image.hidden = true;
  image.removeAttribute("src");
  find(figure, "[data-caption]").textContent = "nothing yet";
}
