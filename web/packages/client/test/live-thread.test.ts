import { describe, expect, it, vi } from 'vitest';
import type { ConversationHead, TimelineEvent } from '../src/frames';
import { LiveThread, type History } from '../src/live-thread';
import { Problem } from '../src/rest';
import type { ClientEvents, EventName, Listener, Messaging } from '../src/types';
import { AGENT, ME, head, message } from './world';

/** A client in a test's hands: it says what the test says. */
class Speaker {
  readonly #listeners = new Map<EventName, Listener<never>>();
  outbox = [];
  conversations: ConversationHead[] = [];

  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    this.#listeners.set(event, listener as Listener<never>);
    return () => void this.#listeners.delete(event);
  }

  tell<E extends EventName>(event: E, value: ClientEvents[E]): void {
    (this.#listeners.get(event) as Listener<E> | undefined)?.(value);
  }

  get listening(): number {
    return this.#listeners.size;
  }
}

/** Seq 1 … `count` in pages, or a failure as often as asked. */
class Shelf implements History {
  failures = 0;
  readonly asked: object[] = [];

  constructor(public count: number) {}

  async events(_id: string, { before = Infinity, after = 0, limit = 50 }: { before?: number; after?: number; limit?: number }): ReturnType<History['events']> {
    this.asked.push({ before, after });
    if (this.failures-- > 0) throw new Problem(0, 'unreachable', '');
    const all = Array.from({ length: this.count }, (_, index): TimelineEvent => message(index + 1)).filter((event) => event.seq < before && event.seq > after);
    const events = before === Infinity ? all.slice(0, limit) : all.slice(-limit);
    return { epoch: 'E', events, more: events.length < all.length };
  }
}

function open(shelf: Shelf): { client: Speaker; live: LiveThread; seqs: () => (number | undefined)[] } {
  const client = new Speaker();
  const live = new LiveThread(client as unknown as Messaging, shelf, 'c1', ME, () => undefined);
  return { client, live, seqs: () => live.items.flatMap((item) => (item.kind === 'message' ? [item.seq] : [])) };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a live thread', () => {
  it('loads the newest page, then older ones when asked, until there are no more', async () => {
    const { live, seqs } = open(new Shelf(120));
    await vi.waitFor(() => expect(live.ready).toBe(true));
    expect(seqs()).toEqual(range(71, 120));
    await live.older();
    await live.older();
    await live.older();
    expect(seqs()).toEqual(range(1, 120));
    expect(live.more).toBe(false);
  });

  it('reads what it missed when the client is live from further on', async () => {
    const shelf = new Shelf(3);
    const { client, live, seqs } = open(shelf);
    await vi.waitFor(() => expect(live.ready).toBe(true));
    shelf.count = 60;
    client.tell('subscribed', head(60));
    client.tell('event', message(61));
    await vi.waitFor(() => expect(seqs()).toEqual(range(1, 61)));
  });

  it('tries again after a failure, for the first page and for what it missed', async () => {
    vi.useFakeTimers();
    const shelf = new Shelf(3);
    shelf.failures = 1;
    const { client, live, seqs } = open(shelf);
    await vi.advanceTimersByTimeAsync(2_900);
    expect(live.loading).toBe(true);
    await live.older();
    expect(shelf.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(seqs()).toEqual([1, 2, 3]);
    expect(live.loading).toBe(false);
    shelf.failures = 2;
    shelf.count = 5;
    client.tell('subscribed', head(5));
    await vi.advanceTimersByTimeAsync(6_000);
    expect(seqs()).toEqual([1, 2, 3, 4, 5]);
    live.close();
    vi.useRealTimers();
  });

  it('asks for nothing when it has everything', async () => {
    const shelf = new Shelf(3);
    const { client, live } = open(shelf);
    await vi.waitFor(() => expect(live.ready).toBe(true));
    client.tell('subscribed', head(3));
    expect(shelf.asked).toHaveLength(1);
  });

  it('follows its own conversation only: events, cursors, resync', async () => {
    const { client, live, seqs } = open(new Shelf(2));
    await vi.waitFor(() => expect(live.ready).toBe(true));
    client.tell('event', message(1, 'elsewhere', { conversation: 'c2' }));
    client.tell('event', message(3, 'mine', { actor: ME }));
    client.tell('signal', { type: 'signal', name: 'read', conversation: 'c1', actor: AGENT, data: { seq: 3 } });
    expect(seqs()).toEqual([1, 2, 3]);
    expect(live.items.at(-1)).toMatchObject({ mark: 'read' });
    client.tell('resync', { conversation: 'c1', epoch: 'F', seq: 9, after: 0, events: [message(8), message(9)] });
    expect(seqs()).toEqual([8, 9]);
  });

  it('lets go of the client when it is closed', async () => {
    const { client, live } = open(new Shelf(1));
    live.close();
    expect(client.listening).toBe(0);
  });
});
