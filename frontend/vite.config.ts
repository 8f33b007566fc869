import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  build: {
    manifest: "manifest.json",
    target: ["chrome123", "firefox120", "safari17.5"], // the first with light-dark()
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: ["src/main.ts", "src/theme.ts", "src/vote.ts"],
      checks: { eval: false }, // htmx holds one, switched off by allowEval in _page.html
    },
  },
});
