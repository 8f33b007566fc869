import { find } from "../lib/dom.ts";

/** A text to be copied: an input or a text area, and a button that only scripts can serve. */
export class CopyText extends HTMLElement {
  connectedCallback(): void {
    const button = find<HTMLButtonElement>(this, "button");
    button.hidden = false;
    button.addEventListener("click", () => void this.copy(button));
  }

  private async copy(button: HTMLButtonElement): Promise<void> {
    const input = find<HTMLInputElement | HTMLTextAreaElement>(this, "input, textarea");
    input.select();
    try {
      await navigator.clipboard.writeText(input.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C"; // without HTTPS there is no clipboard; the text is selected
    }
    window.setTimeout(() => (button.textContent = "Copy"), 2_000);
  }
}
