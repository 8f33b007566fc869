import htmx from "htmx.org";
import type { RowMessage } from "../lib/protocol.ts";
import { Reconnecting, type Connection } from "../lib/socket.ts";
import { showAges } from "../shell/times.ts";

const SAID: Record<Connection, string> = {
  open: "live",
  disconnected: "disconnected, trying again",
  "signed-out": "signed out, reload the page",
};

const PAGE_SIZE = 50; // the server's

/** The table of runs: replaces rows as they change, and adds new ones where the first page is shown. */
export class RunsLive extends HTMLElement {
  private connection: Reconnecting | undefined;
  private missed = false;

  connectedCallback(): void {
    this.connection = new Reconnecting(
      () => this.dataset["url"]!,
      (data) => this.take(data as RowMessage),
      (status) => this.status(status),
    );
    this.connection.open();
    this.addEventListener("change", showPicked);
    showPicked();
  }

  disconnectedCallback(): void {
    this.connection?.close();
  }

  private status(status: Connection): void {
    const open = status === "open";
    const dot = document.getElementById("runs-connection");
    if (dot) {
      dot.dataset["status"] = open ? "live" : "disconnected";
      dot.textContent = SAID[status];
    }
    if (open && this.missed) void this.refresh();
    this.missed ||= !open;
  }

  /** Rows may have changed while we were away. */
  private async refresh(): Promise<void> {
    this.missed = false;
    await htmx.ajax("get", location.href, { target: `#${this.id}`, swap: "outerHTML" });
  }

  private take(message: RowMessage): void {
    if (message.type !== "row") return;
    const fresh = rowOf(message.html);
    const old = this.querySelector(`#run-${message.id}`);
    const focused = old?.contains(document.activeElement) ? document.activeElement!.id : "";
    if (old) old.replaceWith(fresh);
    else if (this.dataset["insert"] === "true" && message.id > this.newest()) this.insert(fresh);
    const picked = old?.querySelector<HTMLInputElement>("input[name=runs]")?.checked ?? false;
    const box = fresh.querySelector<HTMLInputElement>("input[name=runs]");
    if (box) box.checked = picked;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    showAges(fresh);
  }

  /** The highest number shown: an older run that is not here stands on another page, or was put away. */
  private newest(): number {
    const rows = this.querySelectorAll<HTMLElement>("tr[id^=run-]");
    return Math.max(0, ...[...rows].map((row) => Number(row.id.slice("run-".length))));
  }

  private insert(row: Element): void {
    const body = this.querySelector("tbody");
    if (!body) return location.reload(); // the first run takes the place of the empty page
    body.prepend(row);
    if (body.rows.length > PAGE_SIZE) body.rows[body.rows.length - 1]!.remove();
  }
}

/** How many runs are ticked, beside the button that compares them. */
function showPicked(): void {
  const place = document.querySelector("[data-picked]");
  const number = document.querySelectorAll("input[name=runs]:checked").length;
  if (!place) return;
  place.textContent =
    number > 8 ? `${number} ticked: eight at most` : number > 0 ? `${number} ticked` : "Tick two to eight runs to compare them.";
}

function rowOf(html: string): Element {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild!;
}
