import type { Position } from './frames';
import type { Session } from './session';
import type { ClientEvents, EventName, LocalMessage, Status } from './types';

type Emission = { [E in EventName]: { readonly name: E; readonly value: ClientEvents[E] } }[EventName];

type Verb = 'start' | 'send' | 'retry' | 'discard' | 'subscribe' | 'unsubscribe' | 'typing' | 'cursor' | 'page';

/** What a tab asks of the leader: a method of its session. */
export type Request = { readonly [V in Verb]: { readonly ask: V; readonly args: Parameters<Session[V]> } }[Verb];

/** What tabs that share one session say to each other. */
export type TabMessage =
  | (Request & { readonly from: string })
  /** A tab came, or a new leader was announced: tell me the state; here is what I look at. */
  | { readonly ask: 'hello'; readonly from: string; readonly wanted: readonly [string, Position | undefined][] }
  | { readonly tell: 'leading'; readonly from: string }
  | { readonly tell: 'state'; readonly from: string; readonly to: string; readonly status: Status; readonly connected?: ClientEvents['connected']; readonly outbox: readonly LocalMessage[] }
  | ({ readonly tell: 'emit'; readonly from: string } & Emission);

/** The tabs of one origin that share one session store. */
export interface Tabs {
  post(message: TabMessage): void;
  listen(listener: (message: TabMessage) => void): void;
  /** Queues for the leadership. `lead` is called when it is ours, `lost` when another tab took it by force. */
  campaign(lead: () => void, lost: () => void): void;
  /** Takes the leadership from a tab that does not answer. */
  seize(): void;
  leave(): void;
}

/** Web Locks choose the leader, a BroadcastChannel carries the words. Both need a secure context. */
export class WebTabs implements Tabs {
  readonly #channel: BroadcastChannel;
  #release: (() => void) | undefined;
  #queued = new AbortController();
  #callbacks: { lead: () => void; lost: () => void } | undefined;

  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
  }

  static get available(): boolean {
    return typeof navigator !== 'undefined' && 'locks' in navigator && typeof BroadcastChannel !== 'undefined';
  }

  post(message: TabMessage): void {
    this.#channel.postMessage(message);
  }

  listen(listener: (message: TabMessage) => void): void {
    this.#channel.onmessage = (event: MessageEvent<TabMessage>) => listener(event.data);
  }

  campaign(lead: () => void, lost: () => void): void {
    this.#callbacks = { lead, lost };
    this.#request({ signal: this.#queued.signal });
  }

  seize(): void {
    this.#queued.abort();
    this.#queued = new AbortController();
    this.#request({ steal: true });
  }

  leave(): void {
    this.#callbacks = undefined;
    this.#queued.abort();
    this.#release?.();
    this.#channel.close();
  }

  #request(options: LockOptions): void {
    const held = (): Promise<void> =>
      new Promise((release) => {
        // Granted after `leave`: nobody would ever give it back.
        if (!this.#callbacks) return release();
        this.#release = release;
        this.#callbacks.lead();
      });
    navigator.locks.request(this.#name, options, held).catch(() => this.#gone());
  }

  /** Either the queued request was taken back, or a held lock was stolen. */
  #gone(): void {
    if (!this.#release) return;
    this.#release = undefined;
    this.#callbacks?.lost();
  }
}
