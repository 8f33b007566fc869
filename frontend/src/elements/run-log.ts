import { find, make } from "../lib/dom.ts";
import { clock } from "../lib/format.ts";
import type { RunEvent } from "../lib/protocol.ts";
import { joinRun } from "./run-page.ts";

const MOST_LINES = 1000;

/** The log's tail: follows the newest line unless the reader scrolled up. */
export class RunLog extends HTMLElement {
  private place!: HTMLElement;
  private lines!: HTMLElement;
  private button!: HTMLButtonElement;
  private following = true;

  connectedCallback(): void {
    this.place = find(this, "[role=log]");
    this.lines = find(this, "ol");
    this.button = find(this, "[data-follow]");
    this.place.addEventListener("scroll", () => this.notice());
    this.button.addEventListener("click", () => this.follow());
    this.follow();
    joinRun(this, { onEvents: (events) => this.take(events) });
  }

  private take(events: RunEvent[]): void {
    const added = events.flatMap((event) => (event.type === "log" ? [line(event.at, event.level, event.message)] : []));
    if (!added.length) return;
    this.lines.append(...added);
    while (this.lines.childElementCount > MOST_LINES) this.lines.firstElementChild!.remove();
    if (this.following) this.follow();
  }

  private notice(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.place;
    this.following = scrollHeight - scrollTop - clientHeight < 24;
    this.button.hidden = this.following;
  }

  private follow(): void {
    this.place.scrollTop = this.place.scrollHeight;
    this.following = true;
    this.button.hidden = true;
  }
}

function line(at: string, level: string, message: string): HTMLElement {
  const item = make("li", "", { "data-level": level });
  item.append(make("time", clock(at), { datetime: at }), " ", make("span", level, { class: "level" }), " ", make("span", message));
  return item;
}
