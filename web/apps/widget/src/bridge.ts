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

/** The loader's end of the channel, once the page that embeds us has handed it over. */
export class Bridge {
  #port: MessagePort | undefined;
  #waiting: ToLoader[] = [];

  constructor(heard: (message: FromLoader) => void) {
    window.addEventListener('message', (event) => {
      const [port] = event.ports;
      if (this.#port || event.source !== window.parent || event.data !== 'unique-cs' || !port) return;
      this.#port = port;
      port.onmessage = ({ data }: MessageEvent<FromLoader>) => heard(data);
      for (const message of this.#waiting) port.postMessage(message);
    });
  }

  post(message: ToLoader): void {
    if (this.#port) this.#port.postMessage(message);
    else this.#waiting = [...this.#waiting, message];
  }
}
