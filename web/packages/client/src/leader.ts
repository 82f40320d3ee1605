import type { Channel, Transport } from './channel';
import type { Effects } from './effects';
import type { ClientFrame, Position } from './frames';
import { Api, Unauthorized, apiBase } from './rest';
import { Session } from './session';
import { NotHolder, STORE_TIMEOUT, within, type Change, type Saved, type SessionStore } from './store';
import type { Request } from './tabs';
import type { ClientEvents, ClientOptions, EventName, LocalMessage } from './types';

const PAGE_SIZE = 200;

export type Emit = <E extends EventName>(name: E, value: ClientEvents[E]) => void;

/** Drives one Session: sockets, timers, tokens and the store, in the order the core asks for. */
export class Leader implements Effects {
  readonly session: Session;
  /** Messages that were ever handed in: a tab may hand in again what it is not sure of. */
  readonly #accepted: Set<string>;
  #channel: Channel | undefined;
  #token: string | undefined;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #chain: Promise<unknown> = Promise.resolve();
  #depth = 0;
  #emissions: (() => void)[] = [];
  readonly #api: Api;
  /** Which tabs look at a conversation. */
  readonly #watchers = new Map<string, Set<string>>();

  readonly #options: ClientOptions;
  readonly #transport: Transport;
  readonly #store: SessionStore;
  readonly #holder: string;
  readonly #sink: Emit;

  constructor(
    options: ClientOptions,
    transport: Transport,
    store: SessionStore,
    holder: string,
    saved: Saved,
    sink: Emit,
  ) {
    this.#options = options;
    this.#transport = transport;
    this.#store = store;
    this.#holder = holder;
    this.#sink = sink;
    this.session = new Session(this, options, saved);
    this.#accepted = new Set(saved.entries.map((entry) => entry.localId));
    this.#api = new Api(options.api ?? apiBase(options.url), () => this.#token ?? null);
  }

  /** Runs one input of the core, then tells the listeners, then sets the clock. */
  run(input: (session: Session) => void): void {
    this.#depth += 1;
    try {
      input(this.session);
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#settle();
    }
  }

  handle({ ask, args }: Request, tab: string): void {
    if (ask === 'send') this.run(() => this.#accept(...args));
    else if (ask === 'subscribe') this.watch(tab, ...args);
    else if (ask === 'unsubscribe') this.run(() => this.#unwatch(tab, ...args));
    else this.run((session) => (session[ask] as (this: Session, ...args: unknown[]) => void).call(session, ...args));
  }

  watch(tab: string, conversation: string, position?: Position): void {
    const tabs = this.#watchers.get(conversation) ?? new Set();
    this.#watchers.set(conversation, tabs.add(tab));
    this.run((session) => session.subscribe(conversation, position));
  }

  /** Leaves the connection and the store alone from now on; what was asked of the store is finished first. */
  async end(): Promise<void> {
    this.run((session) => session.stop());
    clearTimeout(this.#timer);
    this.#attempt += 1;
    await this.#chain;
  }

  // -- effects

  now(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  open(refused: boolean): void {
    const attempt = ++this.#attempt;
    const current = (input: (session: Session) => void): void => {
      if (attempt === this.#attempt) this.run(input);
    };
    const stale = refused ? this.#token : undefined;
    this.#options.token(stale).then(
      (token) => {
        if (attempt === this.#attempt) this.#connect(token, current);
      },
      (error: unknown) => current((session) => session.tokenFailed(error instanceof Unauthorized)),
    );
  }

  frame(frame: ClientFrame): void {
    const channel = this.#channel;
    this.#after(() => channel?.send(frame));
  }

  close(code: number): void {
    this.#attempt += 1;
    this.#channel?.close(code);
    this.#channel = undefined;
  }

  save(change: Change): void {
    this.#after(() => within(STORE_TIMEOUT, this.#store.apply(change, this.#holder)));
  }

  emit<E extends EventName>(name: E, value: ClientEvents[E]): void {
    this.#emissions.push(() => this.#sink(name, value));
    if (this.#depth === 0) this.#settle();
  }

  fetch(ticket: number, conversation: string, after: number): void {
    this.#api.events(conversation, { after, limit: PAGE_SIZE }).then(
      (page) => this.run((session) => session.fetched(ticket, page)),
      () => this.run((session) => session.fetchFailed(ticket)),
    );
  }

  // -- inside

  #connect(token: string, current: (input: (session: Session) => void) => void): void {
    this.#token = token;
    this.#channel = this.#transport(this.#options.url, {
      opened: () => current((session) => session.opened(token)),
      received: (frame) => current((session) => session.received(frame)),
      closed: (code) => current((session) => session.closed(code)),
    });
  }

  #unwatch(tab: string, conversation: string): void {
    const tabs = this.#watchers.get(conversation);
    tabs?.delete(tab);
    if (tabs && tabs.size > 0) return;
    this.#watchers.delete(conversation);
    this.session.unsubscribe(conversation);
  }

  #accept(entry: LocalMessage): void {
    if (this.#accepted.has(entry.localId)) return;
    this.#accepted.add(entry.localId);
    this.session.send(entry);
  }

  /** A store that fails costs the promise about reloads, not the message; a store that has another holder ends this one's sending. */
  #after(step: () => unknown): void {
    this.#chain = this.#chain.then(step).catch((error: unknown) => {
      if (error instanceof NotHolder) this.run((session) => session.stop('replaced'));
    });
  }

  #settle(): void {
    for (let emission = this.#emissions.shift(); emission; emission = this.#emissions.shift()) emission();
    clearTimeout(this.#timer);
    const next = this.session.nextTick();
    if (next === undefined) return;
    this.#timer = setTimeout(() => this.run((session) => session.tick()), Math.max(0, next - this.now()));
  }
}
