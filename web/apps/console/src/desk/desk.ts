import { Client, type ClientEvent, type Messaging } from '@unique-cs/client';
import { createApi, ApiError, type Api } from '../lib/api';
import { notifyMessage } from '../lib/notify';
import type { Session } from '../lib/session';
import type { Contact, Conversation, Member, Status } from '../model';
import { isFromContact } from '../model';
import { initialState, type Entry } from '../state/state';
import { createStore, type Store } from '../state/store';
import { KEPT_EVENTS } from '../state/thread';
import { Lists } from './lists';
import { Retries } from './retries';
import { Threads } from './threads';

const SWEEP_MS = 1_000;
const QUEUE_CHECK_MS = 1_500;
/** An attempt that is due within this is not worth hurrying. */
const SOON_MS = 1_000;

type Farewell = 'ended' | 'signedout' | 'disabled';

function socketUrl(): string {
  return `${location.origin.replace(/^http/, 'ws')}/ws`;
}

/** Everything that a signed-in agent can do; the screens read `store` and call this. */
export class Desk {
  readonly store: Store;
  readonly api: Api;
  readonly lists: Lists;
  readonly threads: Threads;
  private readonly client: Messaging;
  private readonly endings: (() => void)[] = [];
  private readonly retries = new Retries();
  private queueCheck: ReturnType<typeof setTimeout> | null = null;
  private left = false;
  /** Server time minus ours. */
  private skew = 0;

  constructor(
    session: Session,
    private readonly onSignedOut: (why: Farewell) => void,
  ) {
    this.store = createStore(initialState(session.agent));
    this.api = createApi(session.token, { unauthorized: () => this.leave('ended'), answered: () => this.hurry() });
    this.client = new Client({
      url: socketUrl(),
      token: (refused) => (refused === session.token ? this.refused() : Promise.resolve(session.token)),
      name: 'console',
      version: '0.1.0',
      store: `console:${session.agent.id}`,
    });
    this.lists = new Lists(this.api, this.store, this.retries);
    this.threads = new Threads(this.api, this.store, this.client, this.lists, this.retries);
  }

  start(): void {
    this.listen();
    this.store.dispatch({ type: 'outbox', outbox: this.client.outbox });
    const sweep = setInterval(() => this.store.dispatch({ type: 'typing-ended', now: Date.now() }), SWEEP_MS);
    this.endings.push(() => clearInterval(sweep));
    this.client.start();
    void this.loadPeople();
  }

  stop(): void {
    for (const end of this.endings.splice(0)) end();
    if (this.queueCheck) clearTimeout(this.queueCheck);
    this.retries.stop();
    void this.client.stop();
  }

  /** Ends the session on the server too; it ends here even if the server does not answer. */
  async signOut(): Promise<void> {
    this.left = true;
    await this.api.logout().catch(() => undefined);
    this.onSignedOut('signedout');
  }

  /** The first reason counts: what follows from it is none of its own. */
  private leave(why: Farewell): void {
    if (this.left) return;
    this.left = true;
    this.onSignedOut(why);
  }

  /** The server answers requests, so it will take connections, too. */
  private hurry(): void {
    const { retryAt } = this.store.get().link;
    if (retryAt !== undefined && retryAt > Date.now() + SOON_MS) this.client.start();
  }

  reconnect(): void {
    this.client.start();
  }

  send(conversation: string, text: string, note: boolean): void {
    this.client.typing(conversation, false, { private: note });
    this.client.send({ kind: 'text', text }, { conversation, private: note });
    this.store.dispatch({ type: 'thread', id: conversation, change: { newAbove: null } });
  }

  retry(localId: string): void {
    this.client.retry(localId);
  }

  discard(localId: string): void {
    this.client.discard(localId);
  }

  typing(conversation: string, on: boolean, note: boolean): void {
    this.client.typing(conversation, on, { private: note });
  }

  /** The open thread was at its end when `seq` was its last event, and somebody looked. */
  seen(id: string, seq: number): void {
    const { conversations, threads } = this.store.get();
    const entry = conversations[id];
    if ((threads[id]?.events.length ?? 0) > 2 * KEPT_EVENTS) this.store.dispatch({ type: 'trim', id });
    if (!entry || seq === 0 || (entry.read >= seq && entry.unread === 0)) return;
    if (entry.read < seq) this.client.read(id, seq);
    this.store.dispatch({ type: 'read', id, seq });
  }

  assign(id: string, agent: { id: string; name: string } | null): Promise<void> {
    return this.change(id, { assignee: agent }, () => this.api.assign(id, agent?.id ?? null));
  }

  /** `until` goes with snoozed: then it opens by itself. */
  setStatus(id: string, status: Status, until?: number): Promise<void> {
    return this.change(id, { status }, () => this.api.setStatus(id, status, until));
  }

  /** Returns every agent; those who are not disabled can be assigned from now on. */
  async refreshAgents(): Promise<Member[]> {
    const { agents } = await this.api.agents();
    this.store.dispatch({ type: 'people', agents: agents.filter((agent) => !agent.disabled) });
    return agents;
  }

  async earlierConversations(contact: Contact): Promise<Conversation[]> {
    return (await this.api.contactConversations(contact.id)).conversations;
  }

  /** Shows the change at once, and takes it back if the server refuses. */
  private async change(id: string, change: Partial<Entry>, ask: () => Promise<Conversation>): Promise<void> {
    const before = this.store.get().conversations[id];
    if (!before) return;
    this.store.dispatch({ type: 'conversations', conversations: [{ ...before, ...change }] });
    try {
      this.store.dispatch({ type: 'conversations', conversations: [await ask()] });
    } catch (error) {
      this.store.dispatch({ type: 'conversations', conversations: [before] });
      this.complain(error);
    }
  }

  /** Tells for a few seconds what did not work. */
  complain(error: unknown): void {
    const unreachable = error instanceof ApiError && error.status === 0;
    const params = { reason: error instanceof Error ? error.message : String(error) };
    const notice = unreachable ? { key: 'signin.unreachable' as const, params: {} } : { key: 'thread.error.action' as const, params };
    this.store.dispatch({ type: 'notice', notice: { id: Date.now(), ...notice } });
  }

  private refused(): Promise<string> {
    this.leave('ended');
    return Promise.reject(new Error('signed out'));
  }

  private async loadPeople(): Promise<void> {
    const [, inboxes] = await Promise.all([this.refreshAgents().catch(() => null), this.api.inboxes().catch(() => null)]);
    if (inboxes) this.store.dispatch({ type: 'people', inboxes: inboxes.inboxes });
  }

  private listen(): void {
    const { client, store } = this;
    this.endings.push(
      client.on('status', (status) => {
        store.dispatch({ type: 'link', status });
        // Who may not work here any more has nothing to look at here either.
        if (status.reason === 'forbidden') this.leave('disabled');
      }),
      client.on('outbox', (outbox) => store.dispatch({ type: 'outbox', outbox })),
      client.on('event', (event) => this.onEvent(event)),
      client.on('resync', (resync) => store.dispatch({ type: 'resync', resync })),
      client.on('signal', (signal) => {
        store.dispatch({ type: 'signal', signal, now: Date.now() });
        if (signal.name === 'queue') this.checkQueue();
      }),
      client.on('subscribed', (head) => {
        store.dispatch({ type: 'heads', heads: [head] });
        this.threads.repair([head]);
        if (!store.get().conversations[head.id]) void this.lists.fetch(head.id);
      }),
      client.on('unsubscribed', ({ conversation }) => {
        if (store.get().conversations[conversation]) void this.lists.fetch(conversation);
      }),
      client.on('connected', ({ conversations, time }) => {
        this.skew = time - Date.now();
        store.dispatch({ type: 'heads', heads: conversations });
        this.threads.repair(conversations);
        this.threads.resume();
        this.lists.refreshShown();
        if (!store.get().inboxes.length) void this.loadPeople();
      }),
    );
  }

  private onEvent(event: ClientEvent): void {
    const gap = this.threads.leavesGap(event);
    this.store.dispatch({ type: 'event', event });
    if (gap) void this.threads.reload(event.conversation);
    const entry = this.store.get().conversations[event.conversation];
    if (entry) return this.tell(event);
    void this.lists.fetch(event.conversation).then(() => {
      // The answer may be older than the event; if it is not, the event changes nothing.
      this.store.dispatch({ type: 'event', event });
      this.tell(event);
    });
  }

  private tell(event: ClientEvent): void {
    const { conversations, me } = this.store.get();
    const entry = conversations[event.conversation];
    if (entry && isFromContact(event)) notifyMessage(event, entry, me.id, Date.now() + this.skew);
  }

  /** More wait than we know of: they are beyond what the server tells us live. */
  private checkQueue(): void {
    this.queueCheck ??= setTimeout(() => {
      this.queueCheck = null;
      const { queue, conversations } = this.store.get();
      const told = Object.values(queue).reduce((sum, waiting) => sum + waiting, 0);
      const known = Object.values(conversations).filter((entry) => entry.assignee === null && entry.status === 'open').length;
      if (told !== known) void this.lists.refresh('waiting', 'open');
    }, QUEUE_CHECK_MS);
  }
}
