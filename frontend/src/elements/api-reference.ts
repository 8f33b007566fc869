interface SwaggerRequest {
  headers: Record<string, string>;
}

interface SwaggerOptions {
  url: string;
  domNode: HTMLElement;
  deepLinking: boolean;
  requestInterceptor(request: SwaggerRequest): SwaggerRequest;
}

declare global {
  interface Window {
    SwaggerUIBundle?: (options: SwaggerOptions) => void;
  }
}

/** The interactive reference: Swagger UI, from a package of the studio's own. */
export class ApiReference extends HTMLElement {
  connectedCallback(): void {
    // The bundle's script is deferred, so it has run by then.
    if (window.SwaggerUIBundle) this.start();
    else window.addEventListener("load", () => this.start(), { once: true });
  }

  private start(): void {
    window.SwaggerUIBundle?.({
      url: this.dataset["schema"]!,
      domNode: this,
      deepLinking: true,
      requestInterceptor: (request) => {
        const token = /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1];
        if (token) request.headers["X-CSRFToken"] = token;
        return request;
      },
    });
  }
}
