import type { Actor, Body, ConversationHead, Cursor, MessageCreated, TimelineEvent } from './frames';
import { moved } from './heads';
import type { ClientEvent, LocalMessage } from './types';

/** How far a message of our own side has come. */
export type Mark = 'sending' | 'failed' | 'sent' | 'delivered' | 'read';

export interface MessageItem {
  readonly kind: 'message';
  /** Stays the same while a local message becomes an event. */
  readonly key: string;
  readonly id?: string;
  readonly localId?: string;
  readonly seq?: number;
  readonly time: number;
  readonly actor: Actor;
  /** Contact and staff are the two sides; `own` is this very actor. */
  readonly side: 'ours' | 'theirs';
  readonly own: boolean;
  readonly body: Body;
  readonly private: boolean;
  readonly edited: boolean;
  readonly deleted: boolean;
  /** Only on our own side. */
  readonly mark?: Mark;
  readonly error?: LocalMessage['error'];
  /** First and last of a run by one actor within some minutes. */
  readonly first: boolean;
  readonly last: boolean;
}

export type ThreadItem =
  | { readonly kind: 'day'; readonly key: string; readonly time: number }
  | { readonly kind: 'activity'; readonly key: string; readonly time: number; readonly event: TimelineEvent }
  | MessageItem;

/** A pause longer than this starts a new group. */
const GROUP_GAP = 5 * 60_000;

type Edit = { readonly body?: Body; readonly deleted: boolean };

/** One conversation as it is shown: events in order of `seq`, then what is still on its way. Knows nothing of the network. */
export class Thread {
  readonly #events = new Map<number, ClientEvent>();
  readonly #localKeys = new Map<string, string>();
  #pending: readonly LocalMessage[] = [];
  #cursors: readonly Cursor[] = [];
  #cache: readonly ThreadItem[] | undefined;
  /** The highest `seq` up to which all is here (0: nothing). */
  head = 0;
  /** The lowest `seq` that is here. */
  oldest = 0;
  /** The caller's own read cursor. */
  read = 0;

  readonly #me: Actor;
  readonly #activities: (event: TimelineEvent) => boolean;

  constructor(
    readonly conversation: string,
    me: Actor,
    /** Which events other than messages are shown. */
    activities: (event: TimelineEvent) => boolean = () => true,
  ) {
    this.#me = me;
    this.#activities = activities;
  }

  /** A page of history, or the events that were missed. */
  load(events: readonly ClientEvent[]): void {
    for (const event of events) this.#put(event);
    this.#changed();
  }

  apply(event: ClientEvent): void {
    this.#put(event);
    this.advance(event.seq);
  }

  advance(seq: number): void {
    this.head = Math.max(this.head, seq);
    this.#changed();
  }

  /** What a `resync` says: all above `after` is replaced. */
  replace(after: number, events: readonly ClientEvent[], head: number): void {
    for (const seq of this.#events.keys()) if (seq > after) this.#events.delete(seq);
    if (after === 0) this.oldest = 0;
    this.head = after;
    this.load(events);
    this.advance(head);
  }

  /** The cursors of the others and our own, as `connected` or `subscribed` tells them. */
  heard(conversation: Pick<ConversationHead, 'read' | 'cursors'>): void {
    this.read = Math.max(this.read, conversation.read ?? 0);
    for (const { actor, read, delivered } of conversation.cursors ?? []) {
      this.#cursors = moved(moved(this.#cursors, actor, 'read', read), actor, 'delivered', delivered);
    }
    this.#changed();
  }

  moveCursor(actor: Actor, kind: 'read' | 'delivered', seq: number): void {
    if (actor.kind === this.#me.kind && actor.id === this.#me.id) {
      if (kind === 'read') this.read = Math.max(this.read, seq);
    } else {
      this.#cursors = moved(this.#cursors, { kind: actor.kind, id: actor.id }, kind, seq);
    }
    this.#changed();
  }

  /** The client's whole outbox; `orphans`: messages without a conversation belong here too. */
  setOutbox(outbox: readonly LocalMessage[], orphans = false): void {
    this.#pending = outbox.filter((entry) => entry.conversation === this.conversation || (orphans && entry.conversation === undefined));
    this.#changed();
  }

  /** Messages of the others above our read cursor. */
  get unread(): number {
    return this.#messages().filter((event) => event.seq > this.read && this.#side(event.actor) === 'theirs').length;
  }

  /** The seq of the newest message of the others (0: none): what to mark read. */
  get newestTheirs(): number {
    return this.#messages().findLast((event) => this.#side(event.actor) === 'theirs')?.seq ?? 0;
  }

  items(): readonly ThreadItem[] {
    this.#cache ??= grouped(withDays([...this.#eventItems(), ...this.#pendingItems()]));
    return this.#cache;
  }

  #changed(): void {
    this.#cache = undefined;
  }

  #put(event: ClientEvent): void {
    if (event.localId !== undefined) this.#localKeys.set(event.id, event.localId);
    this.#events.set(event.seq, event);
    this.oldest = this.oldest === 0 ? event.seq : Math.min(this.oldest, event.seq);
    this.head = Math.max(this.head, event.seq);
  }

  #sorted(): ClientEvent[] {
    return [...this.#events.values()].sort((a, b) => a.seq - b.seq);
  }

  #messages(): MessageCreated[] {
    return this.#sorted().filter((event): event is MessageCreated => event.name === 'message.created');
  }

  #side(actor: Actor): 'ours' | 'theirs' {
    return (actor.kind === 'contact') === (this.#me.kind === 'contact') ? 'ours' : 'theirs';
  }

  #eventItems(): ThreadItem[] {
    const edits = this.#edits();
    const reach = { read: this.#reach('read'), delivered: this.#reach('delivered') };
    return this.#sorted().flatMap((event): ThreadItem[] => {
      if (event.name === 'message.created') return [this.#messageItem(event, edits.get(event.id), reach)];
      if (event.name === 'message.edited' || event.name === 'message.deleted') return [];
      return this.#activities(event) ? [{ kind: 'activity', key: event.id, time: event.time, event }] : [];
    });
  }

  #messageItem(event: MessageCreated & { localId?: string }, edit: Edit | undefined, reach: { read: number; delivered: number }): MessageItem {
    const localId = event.localId ?? this.#localKeys.get(event.id);
    const side = this.#side(event.actor);
    const mark: Mark = event.seq <= reach.read ? 'read' : event.seq <= reach.delivered ? 'delivered' : 'sent';
    return {
      kind: 'message',
      key: localId ?? event.id,
      id: event.id,
      ...(localId === undefined ? {} : { localId }),
      seq: event.seq,
      time: event.time,
      actor: event.actor,
      side,
      own: event.actor.kind === this.#me.kind && event.actor.id === this.#me.id,
      body: edit?.body ?? event.data.body,
      private: event.data.private ?? false,
      edited: edit?.body !== undefined,
      deleted: edit?.deleted ?? false,
      ...(side === 'ours' ? { mark } : {}),
      first: true,
      last: true,
    };
  }

  /** Read is delivered, too. */
  #reach(kind: 'read' | 'delivered'): number {
    const theirs = this.#cursors.filter((cursor) => (cursor.actor.kind === 'contact') !== (this.#me.kind === 'contact'));
    return Math.max(0, ...theirs.map((cursor) => (kind === 'read' ? cursor.read : Math.max(cursor.read, cursor.delivered))));
  }

  #edits(): Map<string, Edit> {
    const edits = new Map<string, Edit>();
    for (const event of this.#sorted()) {
      if (event.name === 'message.edited') edits.set(event.data.message, { body: event.data.body, deleted: false });
      else if (event.name === 'message.deleted') edits.set(event.data.message, { deleted: true });
    }
    return edits;
  }

  #pendingItems(): MessageItem[] {
    const settled = new Set(this.#localKeys.values());
    return this.#pending
      .filter((entry) => !settled.has(entry.localId))
      .map((entry) => ({
        kind: 'message',
        key: entry.localId,
        localId: entry.localId,
        time: entry.createdAt,
        actor: this.#me,
        side: 'ours',
        own: true,
        body: entry.body,
        private: entry.private,
        edited: false,
        deleted: false,
        mark: entry.state === 'failed' ? 'failed' : 'sending',
        ...(entry.error ? { error: entry.error } : {}),
        first: true,
        last: true,
      }));
  }
}

function withDays(items: ThreadItem[]): ThreadItem[] {
  let day = '';
  return items.flatMap((item): ThreadItem[] => {
    const today = new Date(item.time).toDateString();
    if (today === day) return [item];
    day = today;
    return [{ kind: 'day', key: `day:${today}:${item.key}`, time: item.time }, item];
  });
}

function grouped(items: ThreadItem[]): ThreadItem[] {
  return items.map((item, index) => {
    if (item.kind !== 'message') return item;
    return { ...item, first: !together(items[index - 1], item), last: !together(items[index + 1], item) };
  });
}

function together(a: ThreadItem | undefined, b: MessageItem): boolean {
  if (a?.kind !== 'message' || a.private !== b.private) return false;
  return a.actor.kind === b.actor.kind && a.actor.id === b.actor.id && Math.abs(a.time - b.time) < GROUP_GAP;
}
