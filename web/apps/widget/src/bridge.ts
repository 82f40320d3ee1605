import type { Visit } from '@unique-cs/client';

/** What the loader says to the panel. */
export type FromLoader =
  | { readonly do: 'show' | 'hide' }
  | { readonly do: 'page'; readonly visit: Visit }
  | { readonly do: 'user'; readonly identityToken?: string }
  | { readonly do: 'settings'; readonly settings: Readonly<Record<string, unknown>> };

/** What the panel says to the loader. */
export type ToLoader =
  | { readonly do: 'hide' | 'known' }
  | { readonly do: 'unread'; readonly count: number }
  | { readonly do: 'event'; readonly detail: unknown };

/** The loader's end of the channel, once the page that embeds us has handed it over. Make it before anything is waited for. */
export class Bridge {
  readonly #port: Promise<MessagePort>;

  constructor() {
    this.#port = new Promise((resolve) => {
      window.addEventListener('message', ({ source, data, ports: [port] }) => {
        if (source === window.parent && data === 'unique-cs' && port) resolve(port);
      });
    });
  }

  /** The port keeps what comes before. */
  listen(heard: (message: FromLoader) => void): void {
    void this.#port.then((port) => {
      port.onmessage = ({ data }: MessageEvent<FromLoader>) => heard(data);
    });
  }

  post(message: ToLoader): void {
    void this.#port.then((port) => port.postMessage(message));
  }
}
