/** A file on its way to the studio, in parts, so that it goes on after a lost connection or a reload. */

export interface Upload {
  id: string;
  name: string;
  size: number;
  offset: number;
}

/** The server's answer was no; the message is for the reader. */
export class Refused extends Error {
  readonly status: number;
  readonly offset: number | undefined;

  constructor(status: number, detail: string, offset?: number) {
    super(detail);
    this.status = status;
    this.offset = offset;
  }
}

/** Creating, continuing and looking at uploads below one address. */
export class Uploads {
  private readonly address: string;
  private readonly token: string;

  constructor(address: string, token: string) {
    this.address = address;
    this.token = token;
  }

  begin(file: File): Promise<Upload> {
    const body = JSON.stringify({ name: file.name, size: file.size });
    return this.ask(this.address, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  }

  /** The upload as the server has it, or null where it is gone. */
  async find(id: string): Promise<Upload | null> {
    try {
      return await this.ask(`${this.address}${id}/`, {});
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  /** Sends the next part. */
  send(upload: Upload, part: Blob, signal: AbortSignal): Promise<Upload> {
    const headers = { "Upload-Offset": String(upload.offset), "Content-Type": "application/octet-stream" };
    return this.ask(`${this.address}${upload.id}/`, { method: "PATCH", body: part, headers, signal });
  }

  private async ask(address: string, request: RequestInit): Promise<Upload> {
    const headers = { ...(request.headers as Record<string, string> | undefined), "X-CSRFToken": this.token };
    const response = await fetch(address, { ...request, headers });
    if (response.redirected) throw new Refused(401, "You are signed out: sign in again in another tab, then go on.");
    if (response.ok) return (await response.json()) as Upload;
    const said = await problem(response);
    throw new Refused(response.status, said.detail ?? `The server refused (status ${response.status}).`, said.offset);
  }
}

async function problem(response: Response): Promise<{ detail?: string; offset?: number }> {
  const isJson = response.headers.get("Content-Type")?.includes("json");
  return isJson ? ((await response.json()) as { detail?: string; offset?: number }) : {};
}
