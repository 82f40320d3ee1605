/** How a thread's window of events grows: pure functions. */
import type { TimelineEvent } from '../model';
import { isFromContact } from '../model';
import type { EventsPage } from '../lib/api';
import type { Entry, Thread } from './state';

/** So many events stay in memory when a thread is left or read at its end. */
export const KEPT_EVENTS = 300;

export function emptyThread(): Thread {
  return { phase: 'loading', epoch: '', events: [], more: false, loadingEarlier: false, newAbove: null };
}

/** Both runs of events in order, each place once; a later copy of an event wins. */
export function mergeEvents(a: readonly TimelineEvent[], b: readonly TimelineEvent[]): readonly TimelineEvent[] {
  if (!b.length) return a;
  const last = a[a.length - 1];
  const first = b[0];
  if (!last || (first && first.seq > last.seq)) return [...a, ...b];
  const places = new Map<number, TimelineEvent>();
  for (const event of a) places.set(event.seq, event);
  for (const event of b) places.set(event.seq, event);
  return [...places.values()].sort((x, y) => x.seq - y.seq);
}

/** The newest run without a gap: what lies before a gap is dropped, and can be loaded again. */
export function withoutGaps(events: readonly TimelineEvent[]): { events: readonly TimelineEvent[]; cut: boolean } {
  for (let index = events.length - 1; index > 0; index--) {
    const [before, after] = [events[index - 1], events[index]];
    if (before && after && after.seq !== before.seq + 1) return { events: events.slice(index), cut: true };
  }
  return { events, cut: false };
}

export function firstUnread(events: readonly TimelineEvent[], read: number): number | null {
  return events.find((event) => event.seq > read && isFromContact(event))?.seq ?? null;
}

export type PageKind = 'newest' | 'earlier' | 'later';

export function applyPage(thread: Thread, page: EventsPage, kind: PageKind, entry: Entry | undefined): Thread {
  const other = thread.epoch !== '' && thread.epoch !== page.epoch;
  const { events, cut } = withoutGaps(mergeEvents(other ? [] : thread.events, page.events));
  const more = kind === 'later' ? thread.more || cut : page.more || cut;
  const first = thread.phase !== 'ready';
  return {
    ...thread,
    phase: 'ready',
    epoch: page.epoch,
    events,
    more: (events[0]?.seq ?? 1) > 1 && more,
    loadingEarlier: kind === 'earlier' ? false : thread.loadingEarlier,
    newAbove: first && entry && entry.unread > 0 ? entry.read : thread.newAbove,
  };
}

/** A live event. One that does not follow the window waits outside until the page between is loaded. */
export function appendEvent(thread: Thread, event: TimelineEvent): Thread {
  const last = thread.events[thread.events.length - 1];
  if (last && event.seq <= last.seq) return thread;
  if (last && event.seq !== last.seq + 1) return { ...thread, events: [event], more: event.seq > 1 };
  return { ...thread, events: [...thread.events, event] };
}

export function trimThread(thread: Thread): Thread {
  if (thread.events.length <= KEPT_EVENTS) return thread;
  return { ...thread, events: thread.events.slice(-KEPT_EVENTS), more: true };
}

export function resyncThread(thread: Thread, epoch: string, after: number, events: readonly TimelineEvent[]): Thread {
  const kept = after === 0 ? [] : thread.events.filter((event) => event.seq <= after);
  const run = withoutGaps(mergeEvents(kept, events));
  return { ...thread, epoch, events: run.events, more: (run.events[0]?.seq ?? 1) > 1 };
}
