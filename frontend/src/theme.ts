// Runs before the first paint: applies the theme that the reader chose, if any.
import { applyTheme, savedTheme } from "./shell/themes.ts";

applyTheme(savedTheme());
