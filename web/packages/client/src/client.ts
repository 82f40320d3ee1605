import type { Transport } from './channel';
import type { Actor, Body, ConversationHead, Position, Visit } from './frames';
import { Heads } from './heads';
import { Leader, type Emit } from './leader';
import { IndexedDbStore, MemoryStore, STORE_TIMEOUT, within, type Saved, type SessionStore } from './store';
import { WebTabs, type Request, type TabMessage, type Tabs } from './tabs';
import { anyRoad } from './transport';
import type { ClientEvents, ClientOptions, EventName, Listener, LocalMessage, Messaging, SendOptions, Status } from './types';

/** A leader that does not answer for so long is frozen. */
const LEADER_GRACE = 4_000;
/** The system said "offline": the server has this long to prove it wrong. */
const OFFLINE_GRACE = 1_500;

/** What a client stands on; by default the browser. */
export interface Platform {
  readonly transport: Transport;
  openStore(name: string | undefined): Promise<SessionStore>;
  /** Undefined: this tab has the store to itself. */
  joinTabs(name: string): Tabs | undefined;
}

export const browser: Platform = {
  transport: anyRoad,
  async openStore(name) {
    if (name === undefined) return new MemoryStore();
    return IndexedDbStore.open(storeName(name)).catch(() => new MemoryStore());
  },
  joinTabs: (name) => (WebTabs.available ? new WebTabs(`unique-cs:${name}`) : undefined),
};

/** Messaging over one session. Tabs with the same `store` share it: one of them leads, the others work through it. */
export class Client implements Messaging {
  status: Status = { state: 'stopped', reason: 'stopped' };
  readonly #tab = randomId();
  readonly #heads = new Heads();
  readonly #listeners = new Map<EventName, Set<Listener<never>>>();
  readonly #wanted = new Map<string, Position | undefined>();
  /** Accepted here, not yet seen in the leader's outbox. */
  readonly #handedOver = new Map<string, LocalMessage>();
  #leaderOutbox: readonly LocalMessage[] = [];
  #store: Promise<SessionStore> | undefined;
  #stored: Promise<unknown> = Promise.resolve();
  #leader: Leader | undefined;
  #tabs: Tabs | undefined;
  #leaderDeadline: ReturnType<typeof setTimeout> | undefined;
  #generation = 0;
  /** The tab whose words count while this one follows. */
  #following: string | undefined;

  readonly #options: ClientOptions;
  readonly #platform: Platform;

  constructor(
    options: ClientOptions,
    platform: Platform = browser,
  ) {
    this.#options = options;
    this.#platform = platform;
  }

  get actor(): Actor | null {
    return this.#heads.actor;
  }

  get outbox(): readonly LocalMessage[] {
    const known = new Set(this.#leaderOutbox.map((entry) => entry.localId));
    return [...this.#leaderOutbox, ...[...this.#handedOver.values()].filter((entry) => !known.has(entry.localId))];
  }

  get conversations(): readonly ConversationHead[] {
    return this.#heads.list();
  }

  position(conversation: string): Position | undefined {
    return this.#heads.position(conversation);
  }

  start(): void {
    if (this.#store) return this.#ask('start');
    this.#emit('status', { state: 'connecting' });
    this.#store = this.#platform.openStore(this.#options.store);
    this.#tabs = this.#options.store === undefined ? undefined : this.#platform.joinTabs(this.#options.store);
    this.#watchPage(true);
    for (const entry of this.#handedOver.values()) this.#handOver(entry);
    if (!this.#tabs) return void this.#lead();
    this.#tabs.listen((message) => this.#heard(message));
    this.#campaign();
  }

  async stop(): Promise<void> {
    const [leader, store, tabs] = [this.#leader, this.#store, this.#tabs];
    if (!store) return;
    this.#generation += 1;
    this.#watchPage(false);
    clearTimeout(this.#leaderDeadline);
    this.#leader = this.#tabs = this.#store = undefined;
    await this.#stored;
    await leader?.end();
    tabs?.leave();
    this.#emit('status', { state: 'stopped', reason: 'stopped' });
    (await store).close();
  }

  send(body: Body, options: SendOptions = {}): LocalMessage {
    const entry: LocalMessage = {
      localId: randomId(),
      conversation: options.conversation,
      body,
      private: options.private ?? false,
      createdAt: Date.now(),
      state: 'sending',
    };
    if (this.#leader) this.#ask('send', entry);
    else this.#handOver(entry);
    return entry;
  }

  retry(localId: string): void {
    this.#ask('retry', localId);
  }

  discard(localId: string): void {
    this.#ask('discard', localId);
  }

  subscribe(conversation: string, position?: Position): void {
    this.#wanted.set(conversation, position);
    this.#ask('subscribe', conversation, position);
  }

  unsubscribe(conversation: string): void {
    this.#wanted.delete(conversation);
    this.#ask('unsubscribe', conversation);
  }

  typing(conversation: string, on: boolean, options: { preview?: string; private?: boolean } = {}): void {
    this.#ask('typing', conversation, { on, ...options });
  }

  read(conversation: string, seq: number): void {
    this.#ask('cursor', 'read', conversation, seq);
  }

  delivered(conversation: string, seq: number): void {
    this.#ask('cursor', 'delivered', conversation, seq);
  }

  page(visit: Visit): void {
    this.#ask('page', visit);
  }

  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener as Listener<never>));
    return () => void set.delete(listener as Listener<never>);
  }

  // -- leading

  async #lead(): Promise<void> {
    // The lock may be granted to a tab that is just leaving.
    if (!this.#store) return;
    const generation = ++this.#generation;
    clearTimeout(this.#leaderDeadline);
    await this.#stored;
    const { store, saved } = await this.#claim();
    if (generation !== this.#generation) return;
    const sink: Emit = (name, value) => generation === this.#generation && this.#spread(name, value);
    this.#install(new Leader(this.#options, this.#platform.transport, store, this.#tab, saved, sink));
  }

  /** A store that fails or hangs is done without: what is sent then does not survive a reload. */
  async #claim(): Promise<{ store: SessionStore; saved: Saved }> {
    const memory = new MemoryStore();
    try {
      const store = (await within(STORE_TIMEOUT, this.#store)) ?? memory;
      return { store, saved: await within(STORE_TIMEOUT, store.claim(this.#tab)) };
    } catch {
      return { store: memory, saved: await memory.claim() };
    }
  }

  /** The new leader goes on where this tab stands: same positions, same session, the next `c`. */
  #install(leader: Leader): void {
    this.#leader = leader;
    for (const head of this.#heads.list()) leader.run((session) => session.subscribe(head.id, { epoch: head.epoch, seq: head.seq }));
    for (const [id, position] of this.#wanted) leader.watch(this.#tab, id, this.#heads.position(id) ?? position);
    for (const entry of this.#handedOver.values()) leader.handle({ ask: 'send', args: [entry] }, this.#tab);
    this.#emit('outbox', leader.session.outbox);
    this.#tabs?.post({ tell: 'leading', from: this.#tab });
    leader.run((session) => session.start());
  }

  /** Another tab took the leadership by force: this one was frozen. */
  #lost(): void {
    this.#generation += 1;
    void this.#leader?.end();
    this.#leader = undefined;
    this.#campaign();
  }

  #spread<E extends EventName>(name: E, value: ClientEvents[E]): void {
    this.#tabs?.post({ tell: 'emit', from: this.#tab, name, value } as TabMessage);
    this.#emit(name, value);
  }

  // -- following

  #campaign(): void {
    this.#tabs?.campaign(() => void this.#lead(), () => this.#lost());
    this.#greet();
  }

  #greet(): void {
    const wanted = [...this.#wanted].map(([id, position]): [string, Position | undefined] => [id, this.#heads.position(id) ?? position]);
    this.#tabs?.post({ ask: 'hello', from: this.#tab, wanted });
    this.#expectLeader();
  }

  #expectLeader(): void {
    if (this.#leader || this.#leaderDeadline !== undefined) return;
    this.#leaderDeadline = setTimeout(() => {
      this.#leaderDeadline = undefined;
      if (!this.#leader && visible()) this.#tabs?.seize();
    }, LEADER_GRACE);
  }

  #ask<V extends Request['ask']>(ask: V, ...args: Extract<Request, { ask: V }>['args']): void {
    const request = { ask, args } as Request;
    if (this.#leader) this.#leader.handle(request, this.#tab);
    else this.#tabs?.post({ ...request, from: this.#tab });
  }

  /** Stored before the leader hears of it, so that neither tab's end loses it; its local id keeps it from going twice. */
  #handOver(entry: LocalMessage): void {
    this.#handedOver.set(entry.localId, entry);
    this.#emit('outbox', this.#leaderOutbox);
    const stored = this.#store?.then((store) => store.apply({ put: [entry] })).catch(() => undefined);
    this.#stored = Promise.all([this.#stored, stored]);
    void stored?.then(() => this.#ask('send', entry));
    this.#expectLeader();
  }

  #heard(message: TabMessage): void {
    if ('ask' in message) return this.#answer(message);
    if (this.#leader) return;
    clearTimeout(this.#leaderDeadline);
    this.#leaderDeadline = undefined;
    if (message.tell === 'emit') return void (message.from === this.#following && this.#repeat(message.name, message.value));
    if (message.tell === 'state' && message.to !== this.#tab) return;
    this.#following = message.from;
    if (message.tell === 'leading') this.#greet();
    else this.#adopt(message);
  }

  #answer(message: Extract<TabMessage, { ask: string }>): void {
    const leader = this.#leader;
    if (!leader) return;
    if (message.ask !== 'hello') return leader.handle(message, message.from);
    const connected = this.#heads.snapshot();
    const state = { status: this.status, outbox: this.#leaderOutbox, ...(connected ? { connected } : {}) };
    this.#tabs?.post({ tell: 'state', from: this.#tab, to: message.from, ...state });
    for (const [id, position] of message.wanted) leader.watch(message.from, id, position);
  }

  #adopt(state: Extract<TabMessage, { tell: 'state' }>): void {
    if (state.connected) this.#emit('connected', state.connected);
    this.#repeat('outbox', state.outbox);
    this.#repeat('status', state.status);
  }

  /** What the leader told its own listeners, minus what this tab has; a hole is announced so that the application reads it over REST. */
  #repeat<E extends EventName>(name: E, value: ClientEvents[E]): void {
    if (name === 'status') return this.#emit('status', { ...(value as Status), follower: true });
    if (name === 'event' || name === 'advance') {
      const { conversation, seq } = value as ClientEvents['advance'];
      const known = this.#heads.position(conversation);
      if (known && seq <= known.seq) return;
      if (known && seq > known.seq + 1 && name === 'event') this.#emit('subscribed', { id: conversation, ...known, seq: seq - 1 });
    }
    this.#emit(name, value);
  }

  // -- both

  #emit<E extends EventName>(name: E, value: ClientEvents[E]): void {
    this.#fold(name, value);
    const told = name === 'outbox' ? (this.outbox as ClientEvents[E]) : value;
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        (listener as Listener<E>)(told);
      } catch (error) {
        reportError(error);
      }
    }
  }

  #fold<E extends EventName>(name: E, value: ClientEvents[E]): void {
    if (name === 'status') this.status = value as Status;
    else if (name === 'outbox') this.#leaderOutbox = value as readonly LocalMessage[];
    else if (name === 'sent' || name === 'failed') this.#handedOver.delete((value as LocalMessage).localId);
    else this.#heads.fold(name, value);
  }

  readonly #woken = (): void => {
    if (!visible()) return;
    if (this.#leader) this.#leader.run((session) => session.wake());
    else this.#greet();
  };

  readonly #offline = (): void => this.#leader?.run((session) => session.doubt(OFFLINE_GRACE));

  #watchPage(on: boolean): void {
    if (typeof document === 'undefined') return;
    const change = on ? 'addEventListener' : 'removeEventListener';
    window[change]('online', this.#woken);
    window[change]('offline', this.#offline);
    window[change]('pageshow', this.#woken);
    document[change]('visibilitychange', this.#woken);
  }
}

function visible(): boolean {
  return typeof document === 'undefined' || document.visibilityState === 'visible';
}

/** 64 random bits; `crypto.randomUUID` would need a secure context. */
function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Without locks tabs cannot share: each has a store of its own, which a reload finds again. */
function storeName(name: string): string {
  if (WebTabs.available) return `unique-cs:${name}`;
  const key = `unique-cs:tab:${name}`;
  const own = sessionStorage.getItem(key) ?? randomId();
  sessionStorage.setItem(key, own);
  return `unique-cs:${name}:${own}`;
}
