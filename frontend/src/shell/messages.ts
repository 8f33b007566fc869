import htmx from "htmx.org";
import { make } from "../lib/dom.ts";

/** Says something to the reader, in the page's live region. */
export function showMessage(text: string, level = "error"): void {
  document.getElementById("messages")?.replaceChildren(make("p", text, { class: "message", "data-level": level }));
}

interface Response {
  xhr: XMLHttpRequest;
  requestConfig: { path: string };
  shouldSwap: boolean;
}

/** htmx: says when a request fails; follows the server to another page where it sends the reader there. */
export function startRequests(): void {
  htmx.on("htmx:responseError", (event) => {
    const { xhr } = (event as CustomEvent<Response>).detail;
    showMessage(`The server refused (status ${xhr.status}). Reload the page and try again.`);
  });
  htmx.on("htmx:sendError", () => showMessage("The server does not answer. Is the studio running?"));
  htmx.on("htmx:beforeSwap", (event) => {
    const { detail } = event as CustomEvent<Response>;
    const answered = new URL(detail.xhr.responseURL || location.href, location.href);
    const asked = new URL(detail.requestConfig.path, location.href);
    if ([asked.pathname, location.pathname].includes(answered.pathname)) return;
    detail.shouldSwap = false;
    location.assign(answered);
  });
}
