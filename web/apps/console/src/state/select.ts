/** What the screens show, derived from the state. */
import type { LocalMessage, TimelineEvent } from '../model';
import { isMessage } from '../model';
import { startOfDay } from '@unique-cs/design';
import { firstUnread } from './thread';
import type { Entry, Sort, State, StatusFilter, Thread, View } from './state';

/** Somebody is served well within this time; the row turns amber after it and red after twice. */
export const WAIT_TARGET_MS = 5 * 60_000;

export function inView(entry: Entry, view: View, filter: StatusFilter, me: string): boolean {
  if (view === 'waiting') return entry.assignee === null && entry.status === 'open';
  if (view === 'mine' && entry.assignee?.id !== me) return false;
  return filter === 'any' || entry.status === filter;
}

function newestFirst(a: Entry, b: Entry): number {
  return b.updated_at - a.updated_at || (a.id < b.id ? 1 : -1);
}

function longestWaitingFirst(a: Entry, b: Entry): number {
  return (a.waiting_since ?? Infinity) - (b.waiting_since ?? Infinity) || newestFirst(a, b);
}

export function viewIds(state: State, view: View, filter: StatusFilter, sort: Sort): string[] {
  const entries = Object.values(state.conversations).filter((entry) => inView(entry, view, filter, state.me.id));
  return entries
    .sort((a, b) => (sort === 'waiting' ? longestWaitingFirst(a, b) : newestFirst(a, b) || 0))
    .map((entry) => entry.id);
}

/** How many wait, and whether that is all that we know rather than all there are. */
export function waitingCount(state: State): { count: number; more: boolean } {
  const known = Object.values(state.conversations).filter((entry) => inView(entry, 'waiting', 'any', state.me.id)).length;
  const told = Object.values(state.queue).reduce((sum, waiting) => sum + waiting, 0);
  return { count: Math.max(known, told), more: told <= known && Boolean(state.lists.waiting?.cursor) };
}

/** Unread messages in our own open conversations. */
export function unreadMine(state: State): number {
  return Object.values(state.conversations)
    .filter((entry) => inView(entry, 'mine', 'open', state.me.id))
    .reduce((sum, entry) => sum + entry.unread, 0);
}

export function waitLevel(waitedMs: number): 'calm' | 'warn' | 'danger' {
  if (waitedMs < WAIT_TARGET_MS) return 'calm';
  return waitedMs < 2 * WAIT_TARGET_MS ? 'warn' : 'danger';
}

/** Messages of one conversation that have no place in its timeline yet. */
export function unsentOf(state: State, conversation: string): LocalMessage[] {
  return state.outbox.filter((message) => message.conversation === conversation && message.state !== 'sent');
}

export type Item =
  | { kind: 'day'; key: string; time: number }
  | { kind: 'new'; key: string }
  | { kind: 'activity'; key: string; event: TimelineEvent }
  | { kind: 'message'; key: string; event: Extract<TimelineEvent, { name: 'message.created' }>; first: boolean; last: boolean }
  | { kind: 'unsent'; key: string; message: LocalMessage; first: boolean; last: boolean };

const RUN_MS = 5 * 60_000;

function joins(a: TimelineEvent | undefined, b: TimelineEvent | undefined): boolean {
  if (!a || !b || !isMessage(a) || !isMessage(b)) return false;
  const sameSide = a.actor.kind === b.actor.kind && a.actor.id === b.actor.id && a.data.private === b.data.private;
  return sameSide && b.time - a.time < RUN_MS && startOfDay(a.time) === startOfDay(b.time);
}

/** Edits and deletions are told in the place of the message; everything else that is not a message is a line of activity. */
function visible(events: readonly TimelineEvent[]): TimelineEvent[] {
  const edits = new Map<string, TimelineEvent>();
  for (const event of events) {
    if (event.name === 'message.edited' || event.name === 'message.deleted') edits.set(event.data.message, event);
  }
  return events.flatMap((event) => {
    if (event.name === 'message.edited' || event.name === 'message.deleted') return [];
    const edit = edits.get(event.id);
    if (!edit || !isMessage(event)) return [event];
    return edit.name === 'message.edited' ? [{ ...event, data: { ...event.data, body: edit.data.body } }] : [];
  });
}

/** The rows of a thread: day lines, the line above what is new, activities, messages in runs of one author, what is unsent. */
export function threadItems(thread: Thread, unsent: readonly LocalMessage[]): Item[] {
  const items: Item[] = [];
  const events = visible(thread.events);
  const newFrom = thread.newAbove === null ? null : firstUnread(events, thread.newAbove);
  events.forEach((event, index) => {
    const [before, after] = [events[index - 1], events[index + 1]];
    const day = !before || startOfDay(before.time) !== startOfDay(event.time);
    if (day) items.push({ kind: 'day', key: `day-${startOfDay(event.time)}`, time: event.time });
    const fresh = event.seq === newFrom;
    if (fresh) items.push({ kind: 'new', key: 'new' });
    if (isMessage(event)) {
      const last = !joins(event, after) || after?.seq === newFrom;
      items.push({ kind: 'message', key: event.id, event, first: fresh || !joins(before, event), last });
    } else {
      items.push({ kind: 'activity', key: event.id, event });
    }
  });
  unsent.forEach((message, index) => {
    const last = unsent[index + 1]?.state !== message.state;
    items.push({ kind: 'unsent', key: message.localId, message, first: index === 0, last });
  });
  return items;
}

/** Messages of others above `seq`: what the pill below a thread counts. */
export function newBelow(thread: Thread, seq: number, me: string): number {
  return thread.events.filter((event) => event.seq > seq && isMessage(event) && !(event.actor.kind === 'agent' && event.actor.id === me)).length;
}
