import type { ConversationHead, Cursor, Position, SignalFrame } from './frames';
import type { ClientEvent, ClientEvents, EventName } from './types';

type Connected = ClientEvents['connected'];

/** What a tab that comes later must be told: the actor, and each conversation's newest state as this tab knows it. */
export class Heads {
  #last: Connected | undefined;
  readonly #heads = new Map<string, ConversationHead>();

  get actor(): Connected['actor'] | null {
    return this.#last?.actor ?? null;
  }

  list(): readonly ConversationHead[] {
    return [...this.#heads.values()];
  }

  position(conversation: string): Position | undefined {
    const head = this.#heads.get(conversation);
    return head && { epoch: head.epoch, seq: head.seq };
  }

  snapshot(): Connected | undefined {
    return this.#last && { ...this.#last, conversations: this.list() };
  }

  fold<E extends EventName>(name: E, value: ClientEvents[E]): void {
    switch (name) {
      case 'connected':
        return this.#connected(value as Connected);
      case 'subscribed':
        return this.#join(value as ConversationHead);
      case 'unsubscribed':
        return void this.#heads.delete((value as ClientEvents['unsubscribed']).conversation);
      case 'event':
        return this.#event(value as ClientEvent);
      case 'advance':
      case 'resync':
        return this.#move(value as ClientEvents['advance' | 'resync']);
      case 'signal':
        return this.#signal(value as SignalFrame);
    }
  }

  #connected(value: Connected): void {
    if (this.#last && this.#last.actor.id !== value.actor.id) this.#heads.clear();
    this.#last = value;
    for (const head of value.conversations) this.#join(head);
  }

  #join(head: ConversationHead): void {
    const known = this.#heads.get(head.id);
    const ahead = known !== undefined && known.epoch === head.epoch && known.seq > head.seq;
    this.#heads.set(head.id, { ...known, ...head, seq: ahead ? known.seq : head.seq });
  }

  #event(event: ClientEvent): void {
    this.#move(event);
    if (event.name === 'conversation.status_changed') this.#update(event.conversation, { status: event.data.status });
  }

  #move({ conversation, seq, ...rest }: { conversation: string; seq: number; epoch?: string }): void {
    this.#update(conversation, { seq, ...(rest.epoch === undefined ? {} : { epoch: rest.epoch }) });
  }

  #signal(signal: SignalFrame): void {
    if ((signal.name !== 'read' && signal.name !== 'delivered') || !signal.conversation || !signal.actor) return;
    const head = this.#heads.get(signal.conversation);
    if (!head) return;
    const { actor } = signal;
    if (actor.id === this.actor?.id) return this.#update(head.id, { [signal.name]: Math.max(head[signal.name] ?? 0, signal.data.seq) });
    this.#update(head.id, { cursors: moved(head.cursors ?? [], { kind: actor.kind, id: actor.id }, signal.name, signal.data.seq) });
  }

  #update(conversation: string, change: Partial<ConversationHead>): void {
    const head = this.#heads.get(conversation);
    if (head) this.#heads.set(conversation, { ...head, ...change });
  }
}

/** Cursors only grow. */
export function moved(cursors: readonly Cursor[], actor: Cursor['actor'], kind: 'read' | 'delivered', seq: number): readonly Cursor[] {
  const old = cursors.find((cursor) => cursor.actor.kind === actor.kind && cursor.actor.id === actor.id);
  const cursor = old ?? { actor, read: 0, delivered: 0 };
  return [...cursors.filter((other) => other !== old), { ...cursor, [kind]: Math.max(cursor[kind], seq) }];
}
