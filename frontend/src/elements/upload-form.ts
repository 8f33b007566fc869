import { find } from "../lib/dom.ts";
import { bytes } from "../lib/format.ts";
import { Refused, type Upload, Uploads } from "../lib/upload.ts";

const TRY_AGAIN_MS = 2000;

/** The import form: sends the chosen file in parts before the form itself, with progress, pause and resume. */
export class UploadForm extends HTMLElement {
  private uploads!: Uploads;
  private form!: HTMLFormElement;
  private pausing: AbortController | null = null;

  connectedCallback(): void {
    this.form = find<HTMLFormElement>(this, "form");
    const token = find<HTMLInputElement>(this.form, "[name=csrfmiddlewaretoken]").value;
    this.uploads = new Uploads(this.dataset["uploads"]!, token);
    this.querySelector<HTMLElement>("#error-summary")?.focus();
    this.form.addEventListener("submit", (event) => {
      const file = this.file();
      if (!file) return; // already here, on the server, or none: the server says
      event.preventDefault();
      void this.sendFile(file);
    });
    find<HTMLButtonElement>(this, "[data-pause]").addEventListener("click", () => this.toggle());
  }

  private file(): File | null {
    return this.form.querySelector<HTMLInputElement>("input[type=file]")?.files?.[0] ?? null;
  }

  private toggle(): void {
    const file = this.file();
    if (this.pausing) this.pausing.abort();
    else if (file) void this.sendFile(file);
  }

  private async sendFile(file: File): Promise<void> {
    if (this.pausing) return;
    this.pausing = new AbortController();
    this.show(true);
    try {
      const upload = await this.sendAll(await this.started(file), file, this.pausing.signal);
      find<HTMLInputElement>(this.form, "[name=upload]").value = upload.id;
      find<HTMLInputElement>(this.form, "input[type=file]").value = "";
      this.form.submit();
    } catch (error) {
      const paused = this.pausing.signal.aborted;
      this.say(paused ? "Paused. What was sent is kept." : "");
      if (!paused) this.refuse(error instanceof Refused ? error.message : String(error));
    } finally {
      this.pausing = null;
      this.show(false);
    }
  }

  /** The unfinished upload of the same file, or a new one. */
  private async started(file: File): Promise<Upload> {
    const known = [...document.querySelectorAll<HTMLElement>("[data-unfinished] li")].find(
      (item) => item.dataset["name"] === file.name && Number(item.dataset["size"]) === file.size,
    );
    const id = this.dataset["current"] ?? known?.dataset["id"];
    const upload = (id ? await this.uploads.find(id) : null) ?? (await this.uploads.begin(file));
    const fits = upload.size === file.size && upload.name === file.name;
    const chosen = fits ? upload : await this.uploads.begin(file);
    this.dataset["current"] = chosen.id;
    return chosen;
  }

  private async sendAll(upload: Upload, file: File, signal: AbortSignal): Promise<Upload> {
    const part = Number(this.dataset["part"]);
    let now = upload;
    while (now.offset < now.size) {
      this.progress(now);
      now = await this.sendPart(now, file.slice(now.offset, now.offset + part), signal);
    }
    this.progress(now);
    return now;
  }

  /** Where the connection is lost, tries again until it is back; where the server is further, goes on from there. */
  private async sendPart(upload: Upload, part: Blob, signal: AbortSignal): Promise<Upload> {
    try {
      return await this.uploads.send(upload, part, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof Refused && error.offset !== undefined) return { ...upload, offset: error.offset };
      if (error instanceof Refused) throw error;
      this.say(`The server does not answer; trying again. ${bytes(upload.offset)} are there.`);
      await new Promise((resolve) => window.setTimeout(resolve, TRY_AGAIN_MS));
      signal.throwIfAborted();
      return upload;
    }
  }

  private progress(upload: Upload): void {
    find<HTMLProgressElement>(this, "[data-progress] progress").value = (100 * upload.offset) / upload.size;
    this.say(`${bytes(upload.offset)} of ${bytes(upload.size)} sent`);
  }

  private say(text: string): void {
    find<HTMLElement>(this, "[data-status]").textContent = text;
  }

  private show(sending: boolean): void {
    find<HTMLElement>(this, "[data-progress]").hidden = !sending && !this.dataset["current"];
    find<HTMLElement>(this, "[data-pause]").textContent = sending ? "Pause" : "Go on";
    find<HTMLButtonElement>(this.form, "[type=submit].primary").disabled = sending;
    if (sending) this.refuse("");
  }

  private refuse(message: string): void {
    const place = find<HTMLElement>(this, "[data-error]");
    place.textContent = message;
    place.hidden = message === "";
    if (message) delete this.dataset["current"];
  }
}
