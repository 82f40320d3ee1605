import type { EventsPage } from './timelines';

/** A problem document (RFC 9457) as an exception. `status` 0: the server was not reached. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'Problem';
  }
}

/** No token will be had without the user: stops the client. */
export class Unauthorized extends Error {
  override name = 'Unauthorized';
}

export interface RequestOptions {
  /** In place of the usual one; null: none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface PageOptions {
  readonly before?: number;
  readonly after?: number;
  readonly limit?: number;
}

type TokenSource = () => string | null | Promise<string | null>;

/** JSON over HTTP with a bearer token. */
export class Api {
  readonly #token: TokenSource;

  constructor(
    readonly base: string,
    token: TokenSource = () => null,
  ) {
    this.#token = token;
  }

  get<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.request<T>('GET', path, undefined, options);
  }

  post<T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> {
    return this.request<T>('POST', path, body, options);
  }

  /** Rejects with `Problem` for every answer that is not 2xx, and when there is no answer. */
  async request<T>(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
    const token = options.token === undefined ? await this.#token() : options.token;
    const headers = {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...options.headers,
    };
    const init: RequestInit = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(this.base + path, options.signal ? { ...init, signal: options.signal } : init).catch((cause: unknown) => {
      throw new Problem(0, 'unreachable', String(cause));
    });
    if (!response.ok) throw await problem(response);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** Oldest first; `before` alone gives the newest page below it. */
  events(conversation: string, page: PageOptions = {}, options?: RequestOptions): Promise<EventsPage> {
    const query = new URLSearchParams(Object.entries(page).map(([name, value]) => [name, String(value)]));
    return this.get<EventsPage>(`/conversations/${conversation}/events?${query}`, options);
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
