import type { Actor, ConversationHead, TimelineEvent } from './frames';
import { Problem, type Api } from './rest';
import { Thread, type ThreadItem } from './thread';
import type { ClientEvent, Messaging } from './types';

const PAGE = 50;
const RETRY = 3_000;

/** What `LiveThread` needs of the network: `Api` has it. */
export type History = Pick<Api, 'events'>;

/** A `Thread` kept up to date by a client: history over REST, the rest as it happens. */
export class LiveThread {
  readonly thread: Thread;
  /** Whether there is history above what is loaded. */
  more = true;
  loading = false;
  /** The first page is here, or the conversation is known to be empty. */
  ready = false;
  readonly #ends: (() => void)[];
  #closed = false;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  readonly #history: History;
  readonly #changed: () => void;

  constructor(
    client: Messaging,
    history: History,
    readonly conversation: string,
    me: Actor,
    changed: () => void,
    options: { readonly orphans?: boolean; readonly activities?: (event: TimelineEvent) => boolean } = {},
  ) {
    this.#history = history;
    this.#changed = changed;
    this.thread = new Thread(conversation, me, options.activities);
    const here = (id: string | undefined): boolean => id === conversation;
    const orphans = options.orphans ?? false;
    this.thread.setOutbox(client.outbox, orphans);
    this.#ends = [
      client.on('event', (event) => here(event.conversation) && this.#tell(() => this.thread.apply(event))),
      client.on('advance', ({ conversation: id, seq }) => here(id) && this.#tell(() => this.thread.advance(seq))),
      client.on('resync', (resync) => here(resync.conversation) && this.#resync(resync)),
      client.on('outbox', (outbox) => this.#tell(() => this.thread.setOutbox(outbox, orphans))),
      client.on('subscribed', (head) => here(head.id) && this.#joined(head)),
      client.on('connected', ({ conversations }) => {
        const head = conversations.find(({ id }) => id === conversation);
        if (head) this.#joined(head);
      }),
      client.on('signal', (signal) => {
        if ((signal.name !== 'read' && signal.name !== 'delivered') || !here(signal.conversation) || !signal.actor) return;
        const { actor, data, name } = signal;
        this.#tell(() => this.thread.moveCursor(actor, name, data.seq));
      }),
    ];
    const head = client.conversations.find(({ id }) => id === conversation);
    if (head) this.thread.heard(head);
    void this.older();
  }

  get items(): readonly ThreadItem[] {
    return this.thread.items();
  }

  /** Loads the page above, however often it takes: `loading` until it is here. */
  async older(): Promise<void> {
    if (!this.loading && this.more) await this.#older();
  }

  async #older(): Promise<void> {
    const before = this.thread.oldest;
    const page = await this.#fetch(before > 0 ? { before, limit: PAGE } : { limit: PAGE, before: Number.MAX_SAFE_INTEGER });
    if (!page) return this.#changed();
    this.more = page.more;
    this.ready = true;
    this.#tell(() => this.thread.load(page.events));
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const end of this.#ends) end();
  }

  #joined(head: ConversationHead): void {
    this.#tell(() => this.thread.heard(head));
    if (this.ready && head.seq > this.thread.head) void this.#missed(this.thread.head, head.seq);
  }

  /** Reads what lies between the thread's head and the place from which events are given; tries until it has it. */
  async #missed(from: number, upTo: number): Promise<void> {
    for (let after = from; after < upTo && !this.#closed; ) {
      const page = await this.#history.events(this.conversation, { after, limit: PAGE }).catch(() => undefined);
      if (!page) return this.#later(() => this.#missed(after, upTo));
      this.#tell(() => this.thread.load(page.events));
      const last = page.events.at(-1)?.seq;
      if (!page.more || last === undefined) return;
      after = last;
    }
  }

  #resync(resync: { after: number; events: readonly ClientEvent[]; seq: number }): void {
    this.#tell(() => this.thread.replace(resync.after, resync.events, resync.seq));
    if (resync.after === 0) this.more = false;
  }

  async #fetch(page: { before: number; limit: number }): Promise<{ events: readonly ClientEvent[]; more: boolean } | undefined> {
    this.loading = true;
    this.#changed();
    try {
      const found = await this.#history.events(this.conversation, page);
      this.loading = false;
      return found;
    } catch (error) {
      this.loading = !(error instanceof Problem) || error.status === 0 || error.status === 429 || error.status >= 500;
      if (this.loading) this.#later(() => this.#older());
      return undefined;
    }
  }

  #later(again: () => Promise<void>): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void again();
    }, RETRY);
    this.#timers.add(timer);
  }

  #tell(change: () => void): void {
    if (this.#closed) return;
    change();
    this.#changed();
  }
}
