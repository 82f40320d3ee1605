import type { Messaging } from '@unique-cs/client';
import type { Api, EventsQuery } from '../lib/api';
import { ApiError } from '../lib/api';
import type { TimelineEvent } from '../model';
import type { PageKind } from '../state/thread';
import type { Store } from '../state/store';
import type { Lists } from './lists';
import type { Retries } from './retries';

const PAGE = 50;
/** Catching up over more pages than this starts again at the newest one. */
const CATCH_UP_PAGES = 4;
/** Threads kept in memory, newest opened first. */
const KEPT_THREADS = 10;

/** Loads windows of timelines and keeps the opened ones subscribed. */
export class Threads {
  private opened: string[] = [];

  constructor(
    private readonly api: Api,
    private readonly store: Store,
    private readonly client: Messaging,
    private readonly lists: Lists,
    private readonly retries: Retries,
  ) {}

  async open(id: string): Promise<void> {
    this.remember(id);
    const known = this.store.get().threads[id];
    this.store.dispatch({ type: 'thread', id, change: known?.phase === 'ready' ? {} : { phase: 'loading' } });
    const found = this.store.get().conversations[id] ? { here: true } : await this.lists.fetch(id);
    if (!found.here) return this.missing(id, found.error);
    await (known?.phase === 'ready' ? this.catchUp(id) : this.load(id, { limit: PAGE }, 'newest'));
    this.subscribe(id);
  }

  /** None that we may see, or none that can be read now. */
  private missing(id: string, error: unknown): void {
    this.store.dispatch({ type: 'thread', id, change: { phase: error === undefined ? 'gone' : 'failed' } });
    this.retries.later(id, error, () => this.opened[0] === id && this.open(id));
  }

  /** Leaving forgets where the new messages began, and frees what was scrolled far up. */
  leave(id: string): void {
    if (!this.store.get().threads[id]) return;
    this.store.dispatch({ type: 'thread', id, change: { newAbove: null } });
    this.store.dispatch({ type: 'trim', id });
  }

  async earlier(id: string): Promise<void> {
    const thread = this.store.get().threads[id];
    const first = thread?.events[0]?.seq;
    if (!thread?.more || thread.loadingEarlier || first === undefined) return;
    this.store.dispatch({ type: 'thread', id, change: { loadingEarlier: true } });
    await this.load(id, { before: first, limit: PAGE }, 'earlier');
  }

  /** Reads what came after the last event we have, up to the head. */
  async catchUp(id: string): Promise<void> {
    for (let page = 0; page < CATCH_UP_PAGES; page++) {
      const last = this.store.get().threads[id]?.events.at(-1)?.seq;
      if (last === undefined) break;
      if (!(await this.load(id, { after: last, limit: PAGE }, 'later'))) return;
    }
    await this.reload(id);
  }

  /** The newest page again: the way out of a gap. */
  async reload(id: string): Promise<void> {
    await this.load(id, { limit: PAGE }, 'newest');
  }

  /** Heads told at connect: a loaded thread that is behind one reads the rest. */
  repair(heads: readonly { id: string; seq: number }[]): void {
    for (const { id, seq } of heads) {
      const thread = this.store.get().threads[id];
      if (thread?.phase === 'ready' && (thread.events.at(-1)?.seq ?? 0) < seq) void this.catchUp(id);
    }
  }

  /** True if the event does not follow the loaded window of its conversation. */
  leavesGap(event: TimelineEvent): boolean {
    const last = this.store.get().threads[event.conversation]?.events.at(-1)?.seq;
    return last !== undefined && event.seq > last + 1;
  }

  /** Opened threads that failed to load, or lost their subscription, again. */
  resume(): void {
    for (const id of this.opened) {
      const phase = this.store.get().threads[id]?.phase;
      if (phase === 'failed') void this.open(id);
      else if (phase === 'ready') void this.catchUp(id).then(() => this.subscribe(id));
    }
  }

  /** True while there may be more of the same kind to read. */
  private async load(id: string, query: EventsQuery, kind: PageKind): Promise<boolean> {
    try {
      const page = await this.api.events(id, query);
      if (kind !== 'newest' && this.renumbered(id, page.epoch)) return false;
      this.store.dispatch({ type: 'page', id, page, kind });
      return page.more;
    } catch (error) {
      const gone = error instanceof ApiError && error.status === 404;
      const empty = !this.store.get().threads[id]?.events.length;
      const phase = gone ? ('gone' as const) : empty ? ('failed' as const) : ('ready' as const);
      const again = !gone && this.retries.later(id, error, () => this.again(id, query, kind));
      this.store.dispatch({ type: 'thread', id, change: { phase, loadingEarlier: kind === 'earlier' && again } });
      return false;
    }
  }

  /** Places of another epoch do not join ours: the client's `resync` replaces what is here, in one step. */
  private renumbered(id: string, epoch: string): boolean {
    const known = this.store.get().threads[id]?.epoch;
    if (!known || known === epoch) return false;
    this.store.dispatch({ type: 'thread', id, change: { loadingEarlier: false } });
    return true;
  }

  /** What the thread says stays until there is an answer. */
  private async again(id: string, query: EventsQuery, kind: PageKind): Promise<void> {
    if (!this.store.get().threads[id]) return;
    await this.load(id, query, kind);
    this.subscribe(id);
  }

  /** Live from the last event that was loaded, so that nothing falls between. */
  private subscribe(id: string): void {
    const thread = this.store.get().threads[id];
    if (thread?.phase !== 'ready' || this.client.position(id)) return;
    this.client.subscribe(id, { epoch: thread.epoch, seq: thread.events.at(-1)?.seq ?? 0 });
  }

  private remember(id: string): void {
    this.opened = [id, ...this.opened.filter((other) => other !== id)];
    const dropped = this.opened.splice(KEPT_THREADS);
    if (!dropped.length) return;
    const { conversations, me } = this.store.get();
    for (const old of dropped) {
      const entry = conversations[old];
      const kept = entry && (entry.assignee?.id === me.id || (entry.assignee === null && entry.status === 'open'));
      if (!kept) this.client.unsubscribe(old);
    }
    this.store.dispatch({ type: 'forget', ids: dropped });
  }
}
