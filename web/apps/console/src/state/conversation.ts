/** How events and signals change one conversation: pure functions. */
import type { Actor, Conversation, Cursor, TimelineEvent } from '../model';
import { isFromContact, isMessage, isNote } from '../model';
import type { Entry } from './state';

/** The unread messages that a conversation from the REST API probably has; the opening event counts as none. */
export function estimateUnread(conversation: Conversation): number {
  if (!isFromContact(conversation.last_message) || conversation.last_message.seq <= conversation.read) return 0;
  const events = conversation.seq - conversation.read - (conversation.read === 0 ? 1 : 0);
  return Math.max(1, events);
}

/** Takes what the server says, but nothing older than what live events have already told. */
export function mergeConversation(known: Entry | undefined, fresh: Conversation): Entry {
  if (!known || known.epoch !== fresh.epoch) return { ...fresh, unread: estimateUnread(fresh) };
  if (known.seq > fresh.seq) return { ...known, contact: { ...fresh.contact, visit: known.contact.visit ?? fresh.contact.visit } };
  const read = Math.max(known.read, fresh.read);
  const seen = known.seq === fresh.seq && known.read === read;
  const merged = { ...fresh, read };
  return { ...merged, unread: seen ? known.unread : estimateUnread(merged) };
}

function waitingAfter(entry: Entry, event: TimelineEvent): number | null {
  if (isFromContact(event)) return entry.waiting_since ?? event.time;
  if (isMessage(event) && !isNote(event)) return null;
  if (event.name === 'conversation.status_changed' && event.data.status === 'resolved') return null;
  return entry.waiting_since;
}

function changedFields(entry: Entry, event: TimelineEvent): Partial<Entry> {
  switch (event.name) {
    case 'message.created':
      return { last_message: event, updated_at: event.time };
    case 'conversation.assigned':
      return { assignee: event.data.assignee && { id: event.data.assignee.id, name: event.data.assignee.name ?? '' } };
    case 'conversation.status_changed':
      return { status: event.data.status, updated_at: event.time };
    case 'conversation.labelled':
      return { labels: [...event.data.labels] };
    case 'message.edited':
      return entry.last_message?.id === event.data.message && isMessage(entry.last_message)
        ? { last_message: { ...entry.last_message, data: { ...entry.last_message.data, body: event.data.body } } }
        : {};
    default:
      return {};
  }
}

/** Events at or below the known head were already counted, unless a replay brings them: they change nothing again. */
export function applyEvent(entry: Entry, event: TimelineEvent, me: string): Entry {
  if (event.seq <= entry.seq) return entry;
  const mine = event.actor.kind === 'agent' && event.actor.id === me;
  const unread = isFromContact(event) && event.seq > entry.read ? entry.unread + 1 : entry.unread;
  return {
    ...entry,
    seq: event.seq,
    waiting_since: waitingAfter(entry, event),
    ...changedFields(entry, event),
    ...(mine && isMessage(event) ? { unread: 0, read: event.seq } : { unread }),
  };
}

function advanceCursor(cursors: readonly Cursor[], actor: Actor, change: { read?: number; delivered?: number }): readonly Cursor[] {
  const same = (cursor: Cursor) => cursor.actor.kind === actor.kind && cursor.actor.id === actor.id;
  const old = cursors.find(same) ?? { actor: { kind: actor.kind, id: actor.id }, read: 0, delivered: 0 };
  const read = Math.max(old.read, change.read ?? 0);
  const next = { ...old, read, delivered: Math.max(old.delivered, change.delivered ?? 0, read) };
  return [...cursors.filter((cursor) => !same(cursor)), next];
}

/** A cursor moved; our own `read` comes from another window of ours. */
export function applyCursor(entry: Entry, actor: Actor, name: 'read' | 'delivered', seq: number, me: string): Entry {
  if (actor.kind === 'agent' && actor.id === me) return name === 'read' ? markRead(entry, seq) : entry;
  return { ...entry, cursors: advanceCursor(entry.cursors, actor, { [name]: seq }) };
}

export function mergeCursors(entry: Entry, cursors: readonly Cursor[]): Entry {
  const merged = cursors.reduce((all, cursor) => advanceCursor(all, cursor.actor, cursor), entry.cursors);
  return { ...entry, cursors: merged };
}

export function markRead(entry: Entry, seq: number): Entry {
  if (seq <= entry.read && entry.unread === 0) return entry;
  const unread = seq >= (entry.last_message?.seq ?? 0) ? 0 : entry.unread;
  return { ...entry, read: Math.max(entry.read, seq), unread };
}

export type Mark = 'sent' | 'delivered' | 'read';

/** How far the contact's cursors have come for an event of ours. */
export function markOf(cursors: readonly Cursor[], seq: number): Mark {
  const contacts = cursors.filter((cursor) => cursor.actor.kind === 'contact');
  if (contacts.some((cursor) => cursor.read >= seq)) return 'read';
  return contacts.some((cursor) => cursor.delivered >= seq) ? 'delivered' : 'sent';
}
