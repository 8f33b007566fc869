import htmx from "htmx.org";
import { find } from "../lib/dom.ts";
import { count, duration, inForm, speed } from "../lib/format.ts";
import type { Action, Evaluation, RunEvent, StateMove } from "../lib/protocol.ts";
import type { Status } from "../lib/socket.ts";
import { joinRun } from "./run-page.ts";

const STATUS: Record<Status, string> = {
  live: "live",
  replaying: "replaying",
  disconnected: "disconnected, trying again",
  gone: "this run was removed",
  "signed-out": "signed out, reload the page",
};

const ENDED = ["succeeded", "failed", "cancelled"];

/** State, progress, speed, time left and actions of a run. */
export class RunHeader extends HTMLElement {
  private step = 0;
  private total = 0;
  private secondsPerIteration: number | null = null;

  connectedCallback(): void {
    this.step = Number(this.dataset["step"]);
    this.total = Number(this.dataset["total"]);
    const rate = Number(this.dataset["rate"]);
    if (rate > 0) this.secondsPerIteration = 1 / rate;
    this.show();
    joinRun(this, {
      onEvents: (events) => {
        for (const event of events) this.take(event);
        this.show();
      },
      onStatus: (status) => this.showStatus(status),
    });
  }

  private take(event: RunEvent): void {
    if ("step" in event && event.type !== "samples" && event.type !== "evaluation") this.step = event.step;
    this.write("attempt", String(event.attempt));
    if (event.type === "state") this.keepTimes(event.to, event.at);
    if (event.type === "started") this.start(event.total_steps, event.device);
    else if (event.type === "metrics") this.measure(event.values["seconds_per_iteration"]);
    else if (event.type === "checkpoint" && this.dataset["state"] === "running") this.write("reason", "");
    else if (event.type === "evaluation") this.showFigure(event);
    else if (event.type === "state") this.move(event);
  }

  private keepTimes(state: string, at: string): void {
    if (state === "starting") this.dataset["started"] ??= at;
    if (ENDED.includes(state)) this.dataset["finished"] = at;
    else delete this.dataset["finished"];
  }

  private start(total: number, device: string): void {
    this.total = total;
    this.secondsPerIteration = null;
    this.write("device", device);
  }

  /** The mean of about the last twenty iterations. */
  private measure(seconds: number | undefined): void {
    if (seconds === undefined) return;
    const before = this.secondsPerIteration ?? seconds;
    this.secondsPerIteration = before + 0.05 * (seconds - before);
  }

  private showFigure(evaluation: Evaluation): void {
    const { figure, form } = find<HTMLElement>(this, "[data-figure]").dataset;
    const value = evaluation.values[figure!];
    if (value !== undefined) this.write(evaluation.source, inForm(value, form!));
  }

  private move(move: StateMove): void {
    this.dataset["state"] = move.to;
    const chip = this.write("state", move.to_label);
    chip.dataset["state"] = move.to;
    if (move.worker) this.write("worker", move.worker);
    this.showReason(move);
    this.showActions(move.actions);
  }

  private showReason(move: StateMove): void {
    const failed = move.to === "failed";
    const box = find<HTMLElement>(this, '[data-out="failure"]');
    this.write("reason", failed ? "" : move.reason);
    box.replaceChildren();
    if (!failed) return;
    const shown = find<HTMLTemplateElement>(this, "template[data-failure]").content.cloneNode(true) as DocumentFragment;
    find(shown, "[data-reason]").textContent = move.reason;
    box.append(shown);
  }

  private showActions(actions: Action[]): void {
    const place = this.querySelector<HTMLElement>("#run-actions");
    if (!place) return; // a visitor who may only look
    const template = find<HTMLTemplateElement>(place, "template");
    const forms = actions.map((action) => {
      const form = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLFormElement;
      const address = `/runs/${this.closest<HTMLElement>("run-page")!.dataset["run"]}/actions/${action.name}/`;
      const button = find<HTMLButtonElement>(form, "button");
      form.setAttribute("action", address);
      form.setAttribute("hx-post", address);
      if (action.danger) form.setAttribute("hx-confirm", `${action.label} the run “${form.dataset["runName"]}”? What it wrote so far stays.`);
      button.classList.toggle("danger", action.danger);
      button.textContent = action.label;
      return form;
    });
    const focused = place.contains(document.activeElement);
    place.replaceChildren(...forms, template);
    htmx.process(place);
    if (focused) forms[0]?.querySelector("button")?.focus();
  }

  private show(): void {
    const running = this.dataset["state"] === "running";
    const pace = this.secondsPerIteration;
    const progress = find<HTMLProgressElement>(this, "progress");
    progress.max = this.total;
    progress.value = this.step;
    progress.dataset["state"] = this.dataset["state"];
    this.write("step", count(this.step));
    this.write("total", count(this.total));
    this.write("speed", pace === null ? "–" : speed(pace));
    this.showTime(running && pace !== null ? (this.total - this.step) * pace : null);
  }

  /** How long it will take, or how long it took. */
  private showTime(left: number | null): void {
    const { started, finished } = this.dataset;
    const took = started && finished ? (Date.parse(finished) - Date.parse(started)) / 1000 : null;
    const seconds = took ?? left;
    this.write("left-label", took === null ? "Time left" : "Took");
    this.write("left", seconds === null ? "–" : duration(seconds));
  }

  private showStatus(status: Status): void {
    const dot = this.write("connection", STATUS[status]);
    dot.dataset["status"] = status === "live" || status === "replaying" ? status : "disconnected";
  }

  private write(name: string, text: string): HTMLElement {
    const place = find<HTMLElement>(this, `[data-out="${name}"]`);
    if (place.textContent !== text) place.textContent = text;
    return place;
  }
}
