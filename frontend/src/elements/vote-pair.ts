import { find, make } from "../lib/dom.ts";

/** A pair of images: both appear together once both are there; keys answer; an answer is sent once. */
export class VotePair extends HTMLElement {
  private ready = false;

  connectedCallback(): void {
    const form = find<HTMLFormElement>(this, "form");
    form.addEventListener("submit", (event) => this.send(event));
    // Heard while the focus is inside, which it is from the start: a screen reader then begins with the prompt.
    this.addEventListener("keydown", (event) => this.press(event));
    find<HTMLElement>(this, "h1").focus({ preventScroll: true });
    // The browser's own copy of a page that was answered already.
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
    this.allow(false);
    void this.show();
  }

  private get buttons(): HTMLButtonElement[] {
    return [...this.querySelectorAll<HTMLButtonElement>("button[name=side]")];
  }

  private allow(yes: boolean): void {
    this.ready = yes;
    for (const button of this.buttons) button.disabled = !yes;
  }

  private say(text: string): HTMLElement {
    const state = find<HTMLElement>(this, ".vote-state");
    state.textContent = text;
    return state;
  }

  private async show(): Promise<void> {
    const waiting = window.setTimeout(() => this.say("Loading the two images…"), 500);
    try {
      await Promise.all([...this.querySelectorAll("img")].map((image) => image.decode()));
    } catch {
      const again = make("button", "Load again", { class: "button", type: "button" });
      again.addEventListener("click", () => location.reload());
      this.say("An image did not arrive. ").append(again);
      return;
    } finally {
      window.clearTimeout(waiting);
    }
    this.say("");
    this.classList.add("shown");
    this.allow(true);
  }

  private press(event: KeyboardEvent): void {
    // A key that is held down would answer the next pair as well.
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = { ArrowLeft: 0, ArrowRight: 1 }[event.key] ?? ["1", "2", "3"].indexOf(event.key);
    const button = this.buttons[place];
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
  }

  private send(event: SubmitEvent): void {
    if (!this.ready) {
      event.preventDefault();
      return;
    }
    this.ready = false;
    // After the form was read: a disabled button is not part of it.
    window.setTimeout(() => this.allow(false));
  }
}
