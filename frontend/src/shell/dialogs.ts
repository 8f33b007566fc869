import { find } from "../lib/dom.ts";

function dialogNamed(id: string): HTMLDialogElement | null {
  const dialog = document.getElementById(id);
  return dialog instanceof HTMLDialogElement ? dialog : null;
}

export function openDialog(id: string): void {
  dialogNamed(id)?.showModal();
}

/** Buttons with data-opens open that dialog; a click beside a dialog closes it; hx-confirm asks in ours. */
export function startDialogs(): void {
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const opener = event.target.closest<HTMLElement>("[data-opens]");
    if (opener) openDialog(opener.dataset["opens"]!);
    if (event.target instanceof HTMLDialogElement && event.target.open) event.target.close("no");
  });
  document.addEventListener("htmx:confirm", (event) => {
    const { question, issueRequest } = (event as CustomEvent<{ question: string | null; issueRequest(skip: boolean): void }>).detail;
    const button = event.target instanceof Element ? event.target.querySelector("button")?.textContent : null;
    if (!question) return;
    event.preventDefault();
    confirmInDialog(question, button ? (/ runs?$/.test(button) ? button : `${button} run`) : "Yes", () => issueRequest(true));
  });
}

function confirmInDialog(question: string, yes: string, then: () => void): void {
  const dialog = dialogNamed("confirm");
  if (!dialog) return;
  find(dialog, "#confirm-text").textContent = question;
  find(dialog, "#confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") then();
  };
  dialog.showModal();
}
