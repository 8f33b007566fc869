import { applyTheme, saveTheme, savedTheme, type Theme } from "./themes.ts";

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const NAMES: Record<Theme, string> = { auto: "Auto", light: "Light", dark: "Dark" };

/** The button that goes round auto, light and dark. Charts hear "themechange". */
export function startThemeToggle(): void {
  const button = document.getElementById("theme-toggle");
  const show = (): void => {
    if (!button) return;
    button.lastElementChild!.textContent = NAMES[savedTheme()];
    button.setAttribute("aria-label", `Theme: ${NAMES[savedTheme()]}`);
  };
  const changed = (): boolean => window.dispatchEvent(new Event("themechange"));
  button?.addEventListener("click", () => {
    saveTheme(NEXT[savedTheme()]);
    applyTheme(savedTheme());
    show();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
