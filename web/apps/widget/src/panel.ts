import {
  Api, Client, LiveThread, Thread, type Actor, type Body, type ConversationHead, type Messaging, type SignalFrame, type ThreadItem, type TimelineEvent,
} from '@unique-cs/client';
import type { Bridge, FromLoader } from './bridge';
import type { Words } from './i18n';
import { API, Visitor } from './visitor';

/** A typing signal that is not repeated is over after so long. */
const TYPING_TTL = 7_000;
const STRANGER: Actor = { kind: 'contact', id: '' };

export interface PanelSettings {
  readonly title?: string;
  readonly subtitle?: string;
  readonly greeting?: string;
  readonly questions?: readonly string[];
}

export interface PanelOptions {
  readonly inbox: string;
  /** To the loader; without it the panel is a page of its own (`/chat/<inbox key>`). */
  readonly bridge?: Bridge;
  readonly words: Words;
}

/** Everything the panel knows and does; the view only draws it. */
export class Panel {
  settings: PanelSettings = {};
  shown: boolean;
  typist: Actor | undefined;
  assignee: string | undefined;
  resolved = false;
  readonly #visitor: Visitor;
  readonly #listeners = new Set<() => void>();
  #client: Messaging | undefined;
  #live: LiveThread | undefined;
  #announced = 0;
  #typingEnd: ReturnType<typeof setTimeout> | undefined;
  /** Nobody was here before in this browser: there is nothing to wait for. */
  #stranger: boolean;
  #renewing = 0;
  #renewal: Promise<unknown> = Promise.resolve();

  constructor(readonly options: PanelOptions) {
    this.#visitor = new Visitor(options.inbox, options.words.locale);
    this.#stranger = !this.#visitor.current;
    this.shown = this.standalone;
    options.bridge?.listen((message) => this.#heard(message));
    document.addEventListener('visibilitychange', () => this.#changed());
    this.#visitor.onChange(() => this.#renew(() => undefined));
    if (this.shown || this.#visitor.current) this.#connect();
  }

  // -- for the view

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get status(): Messaging['status'] {
    return this.#client?.status ?? { state: 'connecting' };
  }

  get items(): readonly ThreadItem[] {
    return this.#live ? this.#live.items : this.#unplaced();
  }

  /** Nothing was ever said, and nothing is still to be loaded. */
  get fresh(): boolean {
    return this.items.length === 0 && (this.#live ? this.#live.ready : this.#client?.actor != null || this.#stranger);
  }

  get history(): { readonly more: boolean; readonly loading: boolean } {
    return { more: this.#live?.more ?? false, loading: this.#live?.loading ?? false };
  }

  get unread(): number {
    return this.#live?.thread.unread ?? 0;
  }

  get standalone(): boolean {
    return this.options.bridge === undefined;
  }

  send(body: Body): void {
    if (this.#renewing > 0) return void this.#renewal.then(() => this.send(body));
    this.#connect();
    this.#client?.send(body, { conversation: this.#live?.conversation });
    this.typing('');
    this.options.bridge?.post({ do: 'known' });
  }

  say(text: string): void {
    const trimmed = text.trim();
    if (trimmed) this.send({ kind: 'text', text: trimmed });
  }

  retry(localId: string): void {
    this.#client?.retry(localId);
  }

  discard(localId: string): void {
    this.#client?.discard(localId);
  }

  typing(draft: string): void {
    if (this.#live) this.#client?.typing(this.#live.conversation, draft !== '', draft === '' ? {} : { preview: draft.slice(0, 500) });
  }

  older(): void {
    void this.#live?.older();
  }

  reconnect(): void {
    this.#client?.start();
  }

  hide(): void {
    this.options.bridge?.post({ do: 'hide' });
  }

  /** The visitor sees the newest message. */
  seen(): void {
    const live = this.#live;
    if (!live || !this.shown || document.visibilityState !== 'visible') return;
    const newest = live.thread.newestTheirs;
    if (newest <= live.thread.read) return;
    live.thread.heard({ read: newest });
    this.#client?.read(live.conversation, newest);
    this.#changed();
  }

  // -- the loader

  #heard(message: FromLoader): void {
    if (message.do === 'show' || message.do === 'hide') {
      this.shown = message.do === 'show';
      if (this.shown) this.#connect();
    } else if (message.do === 'page') {
      this.#visitor.visit = message.visit;
      this.#client?.page(message.visit);
    } else if (message.do === 'user') {
      const { identityToken } = message;
      if (identityToken) this.#renew(() => this.#visitor.identify(identityToken));
    } else if (message.do === 'settings') {
      this.#set(message.settings);
    }
    this.#changed();
  }

  #set(settings: Readonly<Record<string, unknown>>): void {
    const { color, questions } = settings;
    const text = (name: string): Record<string, string> => (typeof settings[name] === 'string' ? { [name]: settings[name] } : {});
    const list = typeof questions === 'string' ? questions.split('|') : questions;
    const asked = Array.isArray(list) ? { questions: list.filter((it): it is string => typeof it === 'string').slice(0, 4) } : {};
    this.settings = { ...this.settings, ...text('title'), ...text('subtitle'), ...text('greeting'), ...asked };
    if (typeof color === 'string' && CSS.supports('color', color)) document.documentElement.style.setProperty('--brand', color);
  }

  /** Another token, and so perhaps another contact: everything is asked anew. */
  #renew(change: () => unknown): void {
    this.#renewing += 1;
    this.#stranger = false;
    this.#renewal = this.#renewal
      .then(() => this.#client?.stop())
      .then(change)
      .catch(() => undefined)
      .then(() => {
        this.#renewing -= 1;
        this.#client = undefined;
        this.#leave();
        this.#connect();
        this.#changed();
      });
  }

  // -- the client

  #connect(): void {
    if (this.#client || this.#renewing > 0) return;
    const client = new Client({
      url: `${location.origin.replace(/^http/, 'ws')}/ws`,
      api: API,
      token: (refused) => this.#visitor.token(refused),
      name: this.standalone ? 'chat-page' : 'widget',
      version: '0.1.0',
      store: `visitor:${this.options.inbox}`,
    });
    this.#client = client;
    this.#listen(client);
    client.start();
  }

  #listen(client: Client): void {
    const changed = (): void => this.#changed();
    client.on('status', ({ state }) => {
      if (state !== 'online') this.typist = undefined;
      changed();
    });
    client.on('outbox', changed);
    client.on('connected', ({ conversations }) => this.#connected(client, conversations));
    client.on('subscribed', (head) => this.#enter(client, head));
    client.on('event', (event) => this.#event(event));
    client.on('signal', (signal) => this.#signal(signal));
  }

  #connected(client: Client, conversations: readonly ConversationHead[]): void {
    if (this.#visitor.visit) client.page(this.#visitor.visit);
    const open = conversations.filter((head) => head.status !== 'resolved').sort((a, b) => byId(b.id, a.id));
    if (open[0] && !this.#live) this.#enter(client, open[0]);
    if (conversations.length > 0) this.options.bridge?.post({ do: 'known' });
    this.#changed();
  }

  /** A contact has one conversation at a time; a newer one takes the place of the older. */
  #enter(client: Client, head: ConversationHead): void {
    if (client !== this.#client || !client.actor || head.status === 'resolved') return;
    if (this.#live && byId(this.#live.conversation, head.id) >= 0) return;
    this.#leave();
    const api = new Api(API, () => this.#visitor.current);
    this.#live = new LiveThread(client, api, head.id, client.actor, () => this.#changed(), { orphans: true, activities });
    this.#changed();
  }

  #leave(): void {
    this.#live?.close();
    this.#live = undefined;
    this.assignee = undefined;
    this.resolved = false;
  }

  #event(event: TimelineEvent): void {
    if (event.conversation !== this.#live?.conversation || event.name !== 'message.created' || event.actor.kind === 'contact') return;
    this.typist = undefined;
    this.options.bridge?.post({ do: 'event', detail: { id: event.id, text: event.data.body.kind === 'text' ? event.data.body.text : '' } });
    this.#changed();
  }

  #signal(signal: SignalFrame): void {
    if (signal.name !== 'typing' || signal.conversation !== this.#live?.conversation || signal.actor?.kind === 'contact') return;
    clearTimeout(this.#typingEnd);
    this.typist = signal.data.on ? (signal.actor ?? { kind: 'agent', id: '' }) : undefined;
    this.#typingEnd = setTimeout(() => {
      this.typist = undefined;
      this.#changed();
    }, TYPING_TTL);
    this.#changed();
  }

  /** Messages that were written before there was a conversation, or while its id is not known yet. */
  #unplaced(): readonly ThreadItem[] {
    const thread = new Thread('', this.#client?.actor ?? STRANGER);
    thread.setOutbox((this.#client?.outbox ?? []).map(({ conversation: _any, ...entry }) => entry), true);
    return thread.items();
  }

  /** The state of the conversation is what its newest events say; who took it, or who answers where that was long ago. */
  #follow(): void {
    for (const item of this.items) {
      if (item.kind === 'message' && item.actor.kind === 'agent') this.assignee = item.actor.name || this.assignee;
      if (item.kind !== 'activity') continue;
      if (item.event.name === 'conversation.assigned') this.assignee = item.event.data.assignee?.name || undefined;
      if (item.event.name === 'conversation.status_changed') this.resolved = item.event.data.status === 'resolved';
    }
  }

  #changed(): void {
    this.#follow();
    this.#announce(this.shown ? 0 : this.unread);
    for (const listener of this.#listeners) listener();
  }

  #announce(count: number): void {
    if (count === this.#announced) return;
    this.#announced = count;
    this.options.bridge?.post({ do: 'unread', count });
  }
}

/** What a visitor wants to be told of the conversation's own events. */
function activities(event: TimelineEvent): boolean {
  if (event.name === 'conversation.assigned') return event.data.assignee !== null;
  return event.name === 'conversation.status_changed' && (event.data.status === 'resolved' || event.data.previous === 'resolved');
}

/** Ids are numbers too large for JavaScript, and grow. */
function byId(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
