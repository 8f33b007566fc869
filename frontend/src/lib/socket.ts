import type { RunEvent, RunMessage } from "./protocol.ts";
import { backoff, inSequence } from "./sequence.ts";

export type Status = "replaying" | "live" | "disconnected" | "gone" | "signed-out";

const SIGNED_OUT = 4401;

export type Connection = "open" | "disconnected" | "signed-out";

/** A WebSocket that comes back by itself. `address` is asked anew before each try. */
export class Reconnecting {
  private socket: WebSocket | undefined;
  private timer: number | undefined;
  private tries = 0;
  private closed = false;
  private readonly address: () => string;
  private readonly onMessage: (data: unknown) => void;
  private readonly onStatus: (status: Connection) => void;

  constructor(address: () => string, onMessage: (data: unknown) => void, onStatus: (status: Connection) => void) {
    this.address = address;
    this.onMessage = onMessage;
    this.onStatus = onStatus;
  }

  open(): void {
    const url = new URL(this.address(), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => this.onStatus("open");
    socket.onmessage = (message) => {
      this.tries = 0;
      this.onMessage(JSON.parse(String(message.data)));
    };
    socket.onclose = ({ code }) => {
      if (this.closed) return;
      this.onStatus(code === SIGNED_OUT ? "signed-out" : "disconnected");
      if (code === SIGNED_OUT) return;
      this.timer = window.setTimeout(() => this.open(), backoff(this.tries++, Math.random()));
    };
  }

  /** Drops the connection; it is opened again after the usual wait. */
  restart(): void {
    this.socket?.close();
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }
}

/** A run's events, each once and in order, whatever happens to the connection. */
export class EventStream {
  private last: number;
  private readonly connection: Reconnecting;
  private readonly onEvents: (events: RunEvent[]) => void;
  private readonly onStatus: (status: Status) => void;

  constructor(
    path: string,
    since: number,
    onEvents: (events: RunEvent[]) => void,
    onStatus: (status: Status) => void,
  ) {
    this.last = since;
    this.onEvents = onEvents;
    this.onStatus = onStatus;
    this.connection = new Reconnecting(
      () => `${path}?since=${this.last}`,
      (data) => this.receive(data as RunMessage),
      (status) => onStatus(status === "open" ? "replaying" : status),
    );
    this.connection.open();
  }

  close(): void {
    this.connection.close();
  }

  private receive(message: RunMessage): void {
    if (message.type === "events") this.take(message.events);
    else if (message.type === "live") this.onStatus("live");
    else if (message.type === "gone") {
      this.close();
      this.onStatus("gone");
    }
  }

  private take(events: RunEvent[]): void {
    const { fresh, last, gap } = inSequence(this.last, events);
    this.last = last;
    if (fresh.length) this.onEvents(fresh);
    if (gap) this.connection.restart();
  }
}
