import type { Api, ConversationQuery } from '../lib/api';
import { ApiError } from '../lib/api';
import type { Conversation } from '../model';
import { inView } from '../state/select';
import { listKey, type Listing, type StatusFilter, type View } from '../state/state';
import type { Store } from '../state/store';
import type { Retries } from './retries';

const PAGE = 50;
const MOST = 100;
/** So many conversations that a list no longer shows are asked for one by one; the others are dropped. */
const RECHECKED = 40;

function queryOf(view: View, filter: StatusFilter): ConversationQuery {
  if (view === 'waiting') return { assignee: 'none', status: 'open' };
  return { ...(view === 'mine' ? { assignee: 'me' } : {}), ...(filter === 'any' ? {} : { status: filter }) };
}

/** What came of reading a conversation; without an `error` it is none that we may see. */
export interface Found {
  here: boolean;
  error?: unknown;
}

/** Keeps the lists and single conversations as the server has them. */
export class Lists {
  private readonly fetching = new Map<string, Promise<Found>>();
  private readonly shown = new Map<string, { view: View; filter: StatusFilter }>();
  private readonly searches = new Map<string, number>();

  constructor(
    private readonly api: Api,
    private readonly store: Store,
    private readonly retries: Retries,
  ) {}

  /** Loads the first page of a view if it was never loaded. */
  show(view: View, filter: StatusFilter): void {
    const phase = this.store.get().lists[listKey(view, filter)]?.phase ?? 'idle';
    if (phase === 'idle' || phase === 'failed') void this.refresh(view, filter);
  }

  /** `quiet`: what the list says stays until there is an answer. */
  async refresh(view: View, filter: StatusFilter, quiet = false): Promise<void> {
    const key = listKey(view, filter);
    this.shown.set(key, { view, filter });
    const phase = this.store.get().lists[key]?.phase;
    if (phase !== 'ready' && !quiet) this.store.dispatch({ type: 'list', key, change: { phase: 'loading' } });
    const limit = phase === 'ready' ? MOST : PAGE;
    try {
      const page = await this.api.conversations({ ...queryOf(view, filter), limit });
      this.store.dispatch({ type: 'conversations', conversations: page.conversations });
      this.store.dispatch({ type: 'list', key, change: { phase: 'ready', cursor: page.cursor } });
      this.recheck(view, filter, page.conversations);
      if (!page.conversations.length) await this.lookForAny();
    } catch (error) {
      if (phase !== 'ready') this.store.dispatch({ type: 'list', key, change: { phase: 'failed' } });
      this.retries.later(key, error, () => this.refresh(view, filter, true));
    }
  }

  /** Every list that was ever shown, again: after a reconnect anything may have moved. */
  refreshShown(): void {
    for (const { view, filter } of this.shown.values()) void this.refresh(view, filter);
  }

  async more(view: View, filter: StatusFilter): Promise<void> {
    const key = listKey(view, filter);
    const listing = this.store.get().lists[key];
    if (listing?.phase !== 'ready' || !listing.cursor) return;
    const { cursor } = listing;
    this.store.dispatch({ type: 'list', key, change: { phase: 'loading' } });
    const page = await this.api.conversations({ ...queryOf(view, filter), limit: PAGE, cursor }).catch(() => null);
    if (page) this.store.dispatch({ type: 'conversations', conversations: page.conversations });
    this.store.dispatch({ type: 'list', key, change: { phase: 'ready', cursor: page ? page.cursor : cursor } });
  }

  /** Puts the result under the list `key`; an older answer never replaces a newer one. */
  async search(q: string, key: 'search' | 'command' = 'search'): Promise<void> {
    const turn = (this.searches.get(key) ?? 0) + 1;
    this.searches.set(key, turn);
    const set = (change: Partial<Listing>) => {
      if (this.searches.get(key) === turn) this.store.dispatch({ type: 'list', key, change });
    };
    if (!q) return void set({ phase: 'idle', ids: [], cursor: null });
    set({ phase: 'loading' });
    try {
      const page = await this.api.conversations({ q, limit: PAGE });
      this.store.dispatch({ type: 'conversations', conversations: page.conversations });
      set({ phase: 'ready', ids: page.conversations.map((one) => one.id), cursor: null });
    } catch {
      set({ phase: 'failed', ids: [] });
    }
  }

  /** Reads one conversation. Calls at the same time share one request. */
  fetch(id: string): Promise<Found> {
    const running = this.fetching.get(id);
    if (running) return running;
    const request = this.api
      .conversation(id)
      .then((conversation): Found => {
        this.store.dispatch({ type: 'conversations', conversations: [conversation] });
        return { here: true };
      })
      .catch((error: unknown): Found => {
        const gone = error instanceof ApiError && (error.status === 404 || error.status === 403);
        if (!gone) return { here: this.store.get().conversations[id] !== undefined, error };
        this.store.dispatch({ type: 'left', id });
        return { here: false };
      })
      .finally(() => this.fetching.delete(id));
    this.fetching.set(id, request);
    return request;
  }

  /** What we show in a view, but the server no longer does, has changed unseen. */
  private recheck(view: View, filter: StatusFilter, fresh: readonly Conversation[]): void {
    const { conversations, me, threads } = this.store.get();
    const listed = new Set(fresh.map((one) => one.id));
    const stale = Object.values(conversations).filter((entry) => !listed.has(entry.id) && inView(entry, view, filter, me.id));
    stale.sort((a, b) => b.updated_at - a.updated_at);
    stale.forEach((entry, index) => {
      if (index < RECHECKED || threads[entry.id]) void this.fetch(entry.id);
      else this.store.dispatch({ type: 'left', id: entry.id });
    });
  }

  /** An empty list may be the first run: is there any conversation at all? */
  private async lookForAny(): Promise<void> {
    if (this.store.get().untouched === false) return;
    const page = await this.api.conversations({ limit: 1 });
    this.store.dispatch({ type: 'conversations', conversations: page.conversations });
    if (!page.conversations.length) this.store.dispatch({ type: 'untouched', value: true });
  }
}
