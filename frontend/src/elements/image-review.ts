/** Review by keyboard: one image is the current one; a verdict goes on to the next that has none. */
export class ImageReview extends HTMLElement {
  private current = "";

  connectedCallback(): void {
    this.addEventListener("focusin", (event) => {
      const card = event.target instanceof Element ? event.target.closest<HTMLElement>(".review-card[id]") : null;
      if (card) this.mark(card);
    });
    // The card was replaced: the event comes from the one that took its place.
    this.addEventListener("htmx:afterSettle", (event) => {
      const card = event.target instanceof HTMLElement ? event.target.closest<HTMLElement>(".review-card") : null;
      if (!card) return;
      if (card.querySelector("[role=alert]")) this.go(card);
      else if (document.activeElement === document.body) this.go(this.nextPending(card) ?? card);
      else if (card.id === this.current) this.mark(card);
    });
    this.addEventListener("htmx:afterRequest", (event) => {
      const failed = (event as CustomEvent<{ failed?: boolean }>).detail.failed;
      const card = failed && event.target instanceof Element ? event.target.closest<HTMLElement>(".review-card") : null;
      if (card) card.dataset["review"] = "pending";
    });
  }

  move(by: number): void {
    const cards = this.cards();
    const now = cards.findIndex((card) => card.id === this.current);
    const next = now < 0 ? (this.nextPending() ?? cards[0]) : cards[Math.max(0, Math.min(cards.length - 1, now + by))];
    if (next) this.go(next);
  }

  /** Goes on at once: the answer arrives while the reader looks at the next image. */
  approve(): void {
    const card = this.card();
    const button = card?.querySelector<HTMLButtonElement>("[data-approve]");
    const image = card?.querySelector("img");
    if (!card) this.move(0);
    else if (image && !(image.complete && image.naturalWidth)) return; // nobody has seen it yet
    else if (!button || card.dataset["review"] === "sent") this.move(1);
    else {
      button.click();
      card.dataset["review"] = "sent";
      this.go(this.nextPending(card) ?? card);
    }
  }

  reject(): void {
    const card = this.card();
    if (card) card.querySelector<HTMLInputElement>("[data-reason]")?.focus();
    else this.move(0);
  }

  private cards(): HTMLElement[] {
    return [...this.querySelectorAll<HTMLElement>(".review-card[id]")];
  }

  private card(): HTMLElement | undefined {
    return this.cards().find((card) => card.id === this.current);
  }

  /** The first without a verdict after `from`, else the first of all. */
  private nextPending(from?: HTMLElement): HTMLElement | undefined {
    const cards = this.cards();
    const start = from ? cards.indexOf(from) + 1 : 0;
    return [...cards.slice(start), ...cards.slice(0, start)].find((card) => card.dataset["review"] === "pending");
  }

  private go(card: HTMLElement): void {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
    this.mark(card);
  }

  private mark(card: HTMLElement): void {
    this.current = card.id;
    for (const other of this.cards()) other.toggleAttribute("aria-current", false);
    card.setAttribute("aria-current", "true");
  }
}
