import { find, make } from "../lib/dom.ts";
import { bytes, count, inForm, moment } from "../lib/format.ts";
import { survives, type Checkpoint, type Evaluation, type RunEvent, type StateMove } from "../lib/protocol.ts";
import { joinRun } from "./run-page.ts";

/** A table whose rows come with events and go when an attempt starts from an earlier step. */
abstract class RunTable extends HTMLElement {
  protected body!: HTMLElement;

  connectedCallback(): void {
    this.body = find(this, "tbody");
    joinRun(this, {
      onEvents: (events) => {
        for (const event of events) {
          if (event.type === "started") this.restart(event);
          else this.take(event);
        }
        this.update();
      },
    });
    this.update();
  }

  protected abstract take(event: RunEvent): void;

  /** Newest first. */
  protected add(row: HTMLElement): void {
    this.body.prepend(row);
  }

  private restart(start: { step: number; resumed: boolean }): void {
    for (const row of this.body.querySelectorAll<HTMLElement>("tr")) {
      if (!survives(Number(row.dataset["step"]), start)) row.remove();
    }
  }

  protected update(): void {
    const empty = !this.body.childElementCount;
    find<HTMLElement>(this, "[data-empty]").hidden = !empty;
    find<HTMLElement>(this, "table").hidden = empty;
  }
}

export class RunEvaluations extends RunTable {
  override connectedCallback(): void {
    super.connectedCallback();
    for (const row of this.body.querySelectorAll<HTMLElement>("tr")) this.fill(row);
    this.update();
  }

  /** The columns of figures, the headline first. */
  private get figures(): DOMStringMap[] {
    return [...this.querySelectorAll<HTMLElement>("th[data-figure]")].map((head) => head.dataset);
  }

  protected override update(): void {
    super.update();
    const headline = this.figures[0]!["figure"]!;
    const headlineOf = (row: Element | null): number => valueOf(row, headline) ?? NaN;
    const students = [...this.body.querySelectorAll('tr[data-source="student"]')].map(headlineOf);
    const teacher = headlineOf(this.body.querySelector('tr[data-source="teacher"]'));
    const [now, first] = [students.at(0) ?? NaN, students.length > 1 ? students.at(-1)! : NaN];
    const parts = [
      now / teacher > 0 ? `${ratio(now / teacher)} the teacher’s` : "",
      first >= now ? `${ratio(first / now)} below the start` : first < now ? `${ratio(now / first)} above the start` : "",
    ];
    find(this, "[data-verdict]").textContent = parts.filter(Boolean).join(", ");
  }

  protected take(event: RunEvent): void {
    if (event.type !== "evaluation") return;
    const row = evaluationRow(event);
    this.fill(row);
    this.add(row);
  }

  private fill(row: HTMLElement): void {
    const { source, step, samples, nfe } = row.dataset;
    const values = this.figures.map(({ figure, form }) => {
      const value = valueOf(row, figure!);
      return value === null ? "–" : inForm(value, form!);
    });
    const number = (text: string): HTMLElement => make("td", text, { class: "num" });
    const cells = [source === "teacher" ? "–" : count(Number(step)), ...values, count(Number(samples)), nfe ?? ""];
    row.replaceChildren(make("td", source === "student" ? (this.dataset["trained"] ?? source) : source), ...cells.map(number));
  }
}

function valueOf(row: Element | null, figure: string): number | null {
  const text = row?.getAttribute(`data-value-${figure}`) ?? null;
  return text === null ? null : Number(text);
}

/** 1.29 → "1.3×", 81.2 → "81×". */
function ratio(value: number): string {
  return `${value < 10 ? value.toFixed(1) : count(value)}×`;
}

function evaluationRow(evaluation: Evaluation): HTMLElement {
  const { source, step, samples, nfe } = evaluation;
  const row = make("tr", "", { "data-source": source, "data-step": `${step}`, "data-samples": `${samples}`, "data-nfe": `${nfe}` });
  for (const [name, value] of Object.entries(evaluation.values)) row.setAttribute(`data-value-${name}`, String(value));
  return row;
}

export class RunCheckpoints extends RunTable {
  protected take(event: RunEvent): void {
    if (event.type === "checkpoint") this.add(checkpointRow(event));
    else if (event.type === "removed") this.drop(event.steps);
  }

  private drop(steps: number[]): void {
    const note = find<HTMLElement>(this, "[data-removed]");
    const total = Number(note.dataset["count"]) + steps.length;
    note.dataset["count"] = String(total);
    note.hidden = false;
    find(note, '[data-out="removed"]').textContent = count(total);
    for (const step of steps) this.body.querySelector(`tr[data-step="${step}"]`)?.remove();
  }
}

function checkpointRow({ step, size, url }: Checkpoint): HTMLElement {
  const row = make("tr", "", { "data-step": String(step) });
  const link = make("a", "Download", { href: url, download: "", "aria-label": `Download the checkpoint of step ${count(step)}` });
  const cell = make("td");
  cell.append(link);
  row.append(make("td", count(step), { class: "num" }), make("td", bytes(size), { class: "num" }), cell);
  return row;
}

/** Every move between states. */
export class RunAudit extends HTMLElement {
  connectedCallback(): void {
    const list = find(this, "ol");
    joinRun(this, {
      onEvents: (events) => {
        for (const event of events) if (event.type === "state" && event.from !== event.to) list.prepend(moveItem(event.at, event));
      },
    });
  }
}

function moveItem(at: string, move: StateMove): HTMLElement {
  const text = make("span", move.from_label ? `${move.from_label} → ` : "");
  text.append(make("strong", move.to_label), move.actor ? ` by ${move.actor}` : "");
  if (move.reason) text.append(make("span", `: ${move.reason}`, { class: "soft" }));
  const item = make("li");
  item.append(make("time", moment(at), { datetime: at }), text);
  return item;
}
