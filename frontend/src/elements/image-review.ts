/** Review by keyboard: one image is the current one; a verdict goes on to the next that has none. */
export class ImageReview extends HTMLElement {
  private current = "";

  connectedCallback(): void {
    this.addEventListener("focusin", (event) => {
      const card = event.target instanceof Element ? event.target.closest<HTMLElement>(".review-card[id]") : null;
      if (card) this.mark(card);
    });
    // The target was replaced: the event comes from the card that took its place.
    this.addEventListener("htmx:afterSettle", (event) => {
      const card = event.target instanceof HTMLElement ? event.target.closest<HTMLElement>(".review-card") : null;
      if (!card) return;
      if (card.dataset["review"] === "pending" || card.querySelector("[role=alert]")) this.go(card);
      else this.go(this.nextPending(card) ?? card);
    });
  }

  move(by: number): void {
    const cards = this.cards();
    const now = cards.findIndex((card) => card.id === this.current);
    const next = now < 0 ? (this.nextPending() ?? cards[0]) : cards[Math.max(0, Math.min(cards.length - 1, now + by))];
    if (next) this.go(next);
  }

  approve(): void {
    const card = this.card();
    if (!card) this.move(0);
    else if (card.dataset["review"] === "approved") this.move(1);
    else card.querySelector<HTMLButtonElement>("[data-approve]")?.click();
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
