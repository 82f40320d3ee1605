import type { EventsPage } from './timelines';

/** A problem document (RFC 9457) as an exception. `status` 0: the server was not reached. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** No token will be had without the user: stops the client. */
export class Unauthorized extends Error {}

export interface PageOptions {
  readonly before?: number;
  readonly after?: number;
  readonly limit?: number;
}

/** JSON over HTTP with a bearer token. */
export class Api {
  readonly #base: string;
  readonly #token: () => string | null;

  constructor(base: string, token: () => string | null) {
    this.#base = base;
    this.#token = token;
  }

  /** Rejects with `Problem` for every answer that is not 2xx, and when there is no answer. */
  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const token = this.#token();
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(this.#base + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) }).catch((cause: unknown) => {
      throw new Problem(0, 'unreachable', String(cause));
    });
    if (!response.ok) throw await problem(response);
    return (await response.json()) as T;
  }

  /** Oldest first; `before` alone gives the newest page below it. */
  events(conversation: string, page: PageOptions): Promise<EventsPage> {
    const query = new URLSearchParams(Object.entries(page).map(([name, value]) => [name, String(value)]));
    return this.request('GET', `/conversations/${conversation}/events?${query}`);
  }
}

/** `wss://host/ws` → `https://host/api/v1`. */
export function apiBase(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}/api/v1`;
}

async function problem(response: Response): Promise<Problem> {
  const document = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; title?: string };
  return new Problem(response.status, document.code ?? 'internal', document.detail ?? document.title ?? response.statusText);
}
