import type { Backlog, LocalMessage, Status as LinkStatus } from '@unique-cs/client';
import type { Params } from '@unique-cs/design';
import type { Key } from '../i18n/en';
import type { Agent, Conversation, Inbox, Status, TimelineEvent } from '../model';

export type View = 'mine' | 'waiting' | 'all';
export const VIEWS: readonly View[] = ['mine', 'waiting', 'all'];
export type StatusFilter = Status | 'any';
export type Sort = 'activity' | 'waiting';

/** A conversation and what this console alone knows about it. */
export interface Entry extends Conversation {
  /** Messages of the contact above our read cursor; an estimate until the messages themselves were seen. */
  unread: number;
}

/** What is known of a list on the server: how far down it was read. */
export interface Listing {
  phase: 'idle' | 'loading' | 'ready' | 'failed';
  cursor: string | null;
  /** The order of a search result; the other lists are derived from the conversations themselves. */
  ids: readonly string[];
}

/** A window of a timeline: `events` has no gap, `more` tells that there are older ones. */
export interface Thread {
  phase: 'loading' | 'ready' | 'failed' | 'gone';
  epoch: string;
  events: readonly TimelineEvent[];
  more: boolean;
  loadingEarlier: boolean;
  /** Our read cursor when the thread was opened with unread messages: what lies above it is shown as new. */
  newAbove: number | null;
}

export interface Typist {
  conversation: string;
  actor: { kind: string; id: string; name: string };
  preview: string;
  private: boolean;
  /** When it ends by itself. */
  until: number;
}

/** Something that did not work, told once. */
export interface Notice {
  id: number;
  key: Key;
  params: Params;
}

export interface State {
  me: Agent;
  agents: readonly Agent[];
  inboxes: readonly Inbox[];
  link: LinkStatus;
  /** True when conversations of any status and view were looked for and none exists. */
  untouched: boolean | null;
  conversations: Readonly<Record<string, Entry>>;
  lists: Readonly<Record<string, Listing>>;
  threads: Readonly<Record<string, Thread>>;
  outbox: readonly LocalMessage[];
  typists: readonly Typist[];
  /** Contacts that signals have shown to be online, or to have left: id → online. */
  presence: Readonly<Record<string, boolean>>;
  /** How many wait in each inbox, from the queue signal. */
  queue: Readonly<Record<string, number>>;
  /** What piles up, by the name of its alarm. */
  backlog: Readonly<Record<string, Backlog>>;
  notice: Notice | null;
}

export function initialState(me: Agent): State {
  return {
    me,
    agents: [],
    inboxes: [],
    link: { state: 'connecting' },
    untouched: null,
    conversations: {},
    lists: {},
    threads: {},
    outbox: [],
    typists: [],
    presence: {},
    queue: {},
    backlog: {},
    notice: null,
  };
}

export function listKey(view: View, filter: StatusFilter): string {
  return view === 'waiting' ? 'waiting' : `${view}:${filter}`;
}
