import { find, make } from "../lib/dom.ts";

type Widget = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** Marks the settings that differ from the preset, and takes one back to it. Knows no setting by name. */
export class SpecForm extends HTMLElement {
  connectedCallback(): void {
    const form = find<HTMLFormElement>(this, "form");
    for (const widget of form.querySelectorAll<Widget>("[data-preset-value]")) {
      mark(widget);
      openAround(widget);
    }
    form.addEventListener("input", (event) => {
      if (event.target instanceof Element && event.target.matches("[data-preset-value]")) mark(event.target as Widget);
    });
    this.querySelector<HTMLElement>("#error-summary")?.focus();
    for (const link of this.querySelectorAll<HTMLAnchorElement>("#error-summary a")) {
      link.addEventListener("click", (event) => {
        const field = document.getElementById(link.hash.slice(1));
        if (!field) return;
        event.preventDefault();
        field.closest("details")?.setAttribute("open", "");
        field.focus();
      });
    }
  }
}

function mark(widget: Widget): void {
  const field = widget.closest<HTMLElement>("[data-field]");
  if (!field) return;
  const preset = widget.dataset["presetValue"] ?? "";
  const differs = !same(valueOf(widget), preset);
  const note = field.querySelector(".differs-note");
  field.toggleAttribute("data-differs", differs);
  if (!differs) note?.remove();
  else if (!note) find(field, ".field-head").append(differsNote(widget, preset));
}

function differsNote(widget: Widget, preset: string): HTMLElement {
  const note = make("span", "≠ preset", { class: "differs-note" });
  const button = make("button", `reset to ${shown(widget, preset)}`, { type: "button", class: "link-button" });
  button.addEventListener("click", () => {
    setValue(widget, preset);
    widget.dispatchEvent(new Event("input", { bubbles: true }));
    widget.focus();
  });
  note.append(button);
  return note;
}

function shown(widget: Widget, preset: string): string {
  if (widget instanceof HTMLSelectElement) return [...widget.options].find((o) => o.value === preset)?.text ?? preset;
  return preset === "" ? "empty" : preset;
}

function valueOf(widget: Widget): string {
  return widget instanceof HTMLInputElement && widget.type === "checkbox" ? String(widget.checked) : widget.value;
}

function setValue(widget: Widget, value: string): void {
  if (widget instanceof HTMLInputElement && widget.type === "checkbox") widget.checked = value.toLowerCase() === "true";
  else widget.value = value;
}

/** Equal as text or as numbers: 1e-4 is 0.0001. */
function same(a: string, b: string): boolean {
  const [x, y] = [a.trim().toLowerCase(), b.trim().toLowerCase()];
  return x === y || (x !== "" && y !== "" && Number(x) === Number(y));
}

/** Advanced groups stand open where they hold an error or a differing value. */
function openAround(widget: Widget): void {
  const field = widget.closest("[data-field]");
  if (field?.matches("[data-differs], .has-error")) field.closest("details")?.setAttribute("open", "");
}
