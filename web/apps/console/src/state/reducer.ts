import type { ClientEvents, ConversationHead, LocalMessage, SignalFrame, Status as LinkStatus } from '@unique-cs/client';
import type { EventsPage } from '../lib/api';
import type { Agent, Contact, Conversation, Inbox, TimelineEvent } from '../model';
import { applyCursor, applyEvent, markRead, mergeConversation, mergeCursors } from './conversation';
import type { Entry, Listing, Notice, State, Thread, Typist } from './state';
import { appendEvent, applyPage, emptyThread, resyncThread, trimThread, type PageKind } from './thread';

export type Action =
  | { type: 'people'; agents?: readonly Agent[]; inboxes?: readonly Inbox[] }
  | { type: 'link'; status: LinkStatus }
  | { type: 'untouched'; value: boolean }
  | { type: 'notice'; notice: Notice | null }
  | { type: 'list'; key: string; change: Partial<Listing> }
  | { type: 'conversations'; conversations: readonly Conversation[] }
  | { type: 'contact'; contact: Contact }
  | { type: 'heads'; heads: readonly ConversationHead[] }
  | { type: 'thread'; id: string; change: Partial<Thread> }
  | { type: 'page'; id: string; page: EventsPage; kind: PageKind }
  | { type: 'trim'; id: string }
  | { type: 'forget'; ids: readonly string[] }
  | { type: 'event'; event: TimelineEvent }
  | { type: 'resync'; resync: ClientEvents['resync'] }
  | { type: 'signal'; signal: SignalFrame; now: number }
  | { type: 'typing-ended'; now: number }
  | { type: 'outbox'; outbox: readonly LocalMessage[] }
  | { type: 'read'; id: string; seq: number }
  | { type: 'left'; id: string };

const TYPING_MS = 6_000;

function patch<V>(record: Readonly<Record<string, V>>, key: string, change: (value: V) => V): Readonly<Record<string, V>> {
  const value = record[key];
  if (value === undefined) return record;
  const next = change(value);
  return next === value ? record : { ...record, [key]: next };
}

function without<V>(record: Readonly<Record<string, V>>, keys: readonly string[]): Readonly<Record<string, V>> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

function withConversations(state: State, fresh: readonly Conversation[]): State {
  if (!fresh.length) return state;
  const conversations: Record<string, Entry> = { ...state.conversations };
  for (const one of fresh) conversations[one.id] = mergeConversation(conversations[one.id], one);
  return { ...state, conversations, untouched: false };
}

function withContact(state: State, contact: Contact): State {
  const conversations = Object.fromEntries(
    Object.entries(state.conversations).map(([id, entry]) => [id, entry.contact.id === contact.id ? { ...entry, contact } : entry]),
  );
  return { ...state, conversations };
}

function withHeads(state: State, heads: readonly ConversationHead[]): State {
  let conversations = state.conversations;
  for (const head of heads) {
    conversations = patch(conversations, head.id, (entry) => {
      const read = head.read !== undefined && head.epoch === entry.epoch ? markRead(entry, head.read) : entry;
      return head.cursors ? mergeCursors(read, head.cursors) : read;
    });
  }
  return { ...state, conversations };
}

function withEvent(state: State, event: TimelineEvent): State {
  const conversations = patch(state.conversations, event.conversation, (entry) => applyEvent(entry, event, state.me.id));
  const threads = patch(state.threads, event.conversation, (thread) => appendEvent(thread, event));
  const typists = event.name === 'message.created' ? silence(state.typists, event.conversation, event.actor) : state.typists;
  const same = conversations === state.conversations && threads === state.threads && typists === state.typists;
  return same ? state : { ...state, conversations, threads, typists };
}

function silence(typists: readonly Typist[], conversation: string, actor: { kind: string; id: string }): readonly Typist[] {
  const left = typists.filter((one) => one.conversation !== conversation || one.actor.kind !== actor.kind || one.actor.id !== actor.id);
  return left.length === typists.length ? typists : left;
}

function withTyping(state: State, signal: Extract<SignalFrame, { name: 'typing' }>, now: number): State {
  const { conversation, actor, data } = signal;
  if (!conversation || !actor || (actor.kind === 'agent' && actor.id === state.me.id)) return state;
  const others = silence(state.typists, conversation, actor);
  if (!data.on) return { ...state, typists: others };
  const typist: Typist = {
    conversation,
    actor: { kind: actor.kind, id: actor.id, name: actor.name ?? '' },
    preview: data.preview ?? '',
    private: data.private === true,
    until: now + TYPING_MS,
  };
  return { ...state, typists: [...others, typist] };
}

function withPage(state: State, signal: Extract<SignalFrame, { name: 'page' }>): State {
  const contact = signal.actor?.id;
  if (!contact) return state;
  const { url, title, referrer } = signal.data;
  const conversations: Record<string, Entry> = { ...state.conversations };
  for (const [id, entry] of Object.entries(conversations)) {
    if (entry.contact.id !== contact) continue;
    const visit = { ...entry.contact.visit, url, title: title ?? null, referrer: referrer ?? entry.contact.visit?.referrer ?? null };
    conversations[id] = { ...entry, contact: { ...entry.contact, visit } };
  }
  return { ...state, conversations };
}

/** A signal of a contact shows that it is there; only `presence` says that it has gone. */
function withPresence(state: State, signal: SignalFrame): State {
  if (signal.name === 'queue' || signal.name === 'backlog' || signal.actor?.kind !== 'contact') return state;
  const online = signal.name === 'presence' ? (signal.data.online ?? signal.data.state === 'online') : true;
  if (state.presence[signal.actor.id] === online) return state;
  return { ...state, presence: { ...state.presence, [signal.actor.id]: online } };
}

function withSignal(before: State, signal: SignalFrame, now: number): State {
  const state = withPresence(before, signal);
  switch (signal.name) {
    case 'typing':
      return withTyping(state, signal, now);
    case 'read':
    case 'delivered': {
      const { conversation, actor, name, data } = signal;
      if (!conversation || !actor) return state;
      const change = (entry: Entry) => applyCursor(entry, actor, name, data.seq, state.me.id);
      return { ...state, conversations: patch(state.conversations, conversation, change) };
    }
    case 'page':
      return withPage(state, signal);
    case 'queue':
      return { ...state, queue: { ...state.queue, [signal.data.inbox]: signal.data.waiting } };
    case 'backlog': {
      const { [signal.data.alarm]: _, ...others } = state.backlog;
      return { ...state, backlog: signal.data.raised ? { ...others, [signal.data.alarm]: signal.data } : others };
    }
    default:
      return state;
  }
}

function withThread(state: State, id: string, change: Partial<Thread>): State {
  const thread = { ...(state.threads[id] ?? emptyThread()), ...change };
  return { ...state, threads: { ...state.threads, [id]: thread } };
}

function withList(state: State, key: string, change: Partial<Listing>): State {
  const listing: Listing = { phase: 'idle', cursor: null, ids: [], ...state.lists[key], ...change };
  return { ...state, lists: { ...state.lists, [key]: listing } };
}

function withResync(state: State, { conversation, epoch, after, events }: ClientEvents['resync']): State {
  const next: State = { ...state, threads: patch(state.threads, conversation, (thread) => resyncThread(thread, epoch, after, events)) };
  return events.reduce((all, event) => withEvent(all, event), next);
}

function withoutTypists(state: State, now: number): State {
  const left = state.typists.filter((typist) => typist.until > now);
  return left.length === state.typists.length ? state : { ...state, typists: left };
}

/** A name or a role may have been changed since this agent signed in. */
function withPeople(state: State, agents: State['agents'], inboxes: State['inboxes']): State {
  const me = agents.find((agent) => agent.id === state.me.id) ?? state.me;
  const same = me.name === state.me.name && me.role === state.me.role;
  return { ...state, agents, inboxes, me: same ? state.me : { ...state.me, name: me.name, role: me.role } };
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'people':
      return withPeople(state, action.agents ?? state.agents, action.inboxes ?? state.inboxes);
    case 'link':
      // Who came and went while we were away is unknown, and what is over; what lasts is told anew.
      return action.status.state === 'online' ? { ...state, link: action.status } : { ...state, link: action.status, presence: {}, backlog: {} };
    case 'notice':
      return { ...state, notice: action.notice };
    case 'untouched':
      return { ...state, untouched: action.value };
    case 'list':
      return withList(state, action.key, action.change);
    case 'conversations':
      return withConversations(state, action.conversations);
    case 'contact':
      return withContact(state, action.contact);
    case 'heads':
      return withHeads(state, action.heads);
    case 'thread':
      return withThread(state, action.id, action.change);
    case 'page': {
      const entry = state.conversations[action.id];
      const change = (thread: Thread) => applyPage(thread, action.page, action.kind, entry);
      return { ...state, threads: patch(state.threads, action.id, change) };
    }
    case 'trim':
      return { ...state, threads: patch(state.threads, action.id, trimThread) };
    case 'forget':
      return { ...state, threads: without(state.threads, action.ids) };
    case 'event':
      return withEvent(state, action.event);
    case 'resync':
      return withResync(state, action.resync);
    case 'signal':
      return withSignal(state, action.signal, action.now);
    case 'typing-ended':
      return withoutTypists(state, action.now);
    case 'outbox':
      return { ...state, outbox: action.outbox };
    case 'read':
      return { ...state, conversations: patch(state.conversations, action.id, (entry) => markRead(entry, action.seq)) };
    case 'left':
      return { ...state, conversations: without(state.conversations, [action.id]), threads: without(state.threads, [action.id]) };
  }
}
