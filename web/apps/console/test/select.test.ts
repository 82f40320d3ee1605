import { describe, expect, it } from 'vitest';
import type { LocalMessage } from '../src/model';
import { inView, newBelow, threadItems, unreadMine, viewIds, waitingCount, waitLevel, WAIT_TARGET_MS } from '../src/state/select';
import { emptyThread } from '../src/state/thread';
import { ANN, conversation, event, ME, MEI, NOON, run, says } from './words';

const mine = { id: ME.id, name: ME.name };

describe('lists', () => {
  const state = run([
    {
      type: 'conversations',
      conversations: [
        conversation({ id: '1', assignee: mine, updated_at: NOON + 1, seq: 4, read: 2, last_message: says(4, ANN) }),
        conversation({ id: '2', updated_at: NOON + 3, waiting_since: NOON }),
        conversation({ id: '3', updated_at: NOON + 2, waiting_since: NOON - 9 }),
        conversation({ id: '4', assignee: mine, status: 'resolved', updated_at: NOON + 9 }),
        conversation({ id: '5', assignee: { id: '7', name: 'Jo' }, updated_at: NOON + 5 }),
      ],
    },
  ]);

  it('shows mine, waiting and all by status', () => {
    expect(viewIds(state, 'mine', 'open', 'activity')).toEqual(['1']);
    expect(viewIds(state, 'mine', 'resolved', 'activity')).toEqual(['4']);
    expect(viewIds(state, 'waiting', 'resolved', 'activity')).toEqual(['2', '3']);
    expect(viewIds(state, 'all', 'any', 'activity')).toEqual(['4', '5', '2', '3', '1']);
  });

  it('puts the longest waiting first when asked', () => {
    expect(viewIds(state, 'waiting', 'open', 'waiting')).toEqual(['3', '2']);
  });

  it('counts unread messages of mine, and the queue where the server tells more than we know', () => {
    expect(unreadMine(state)).toBe(2);
    expect(waitingCount(state)).toEqual({ count: 2, more: false });
    const cut = run([{ type: 'list', key: 'waiting', change: { cursor: 'c' } }], state);
    expect(waitingCount(cut)).toEqual({ count: 2, more: true });
    const told = run([{ type: 'signal', now: NOON, signal: { type: 'signal', name: 'queue', data: { inbox: '71', waiting: 250 } } }], state);
    expect(waitingCount(told)).toEqual({ count: 250, more: false });
  });

  it('takes a resolved conversation from those who wait', () => {
    const entry = state.conversations['2'];
    expect(entry && inView({ ...entry, status: 'resolved' }, 'waiting', 'any', ME.id)).toBe(false);
  });

  it('turns amber after the target and red after twice', () => {
    expect([0, WAIT_TARGET_MS, 2 * WAIT_TARGET_MS].map(waitLevel)).toEqual(['calm', 'warn', 'danger']);
  });
});

describe('the rows of a thread', () => {
  const thread = (events: ReturnType<typeof says>[], newAbove: number | null = null) => ({ ...emptyThread(), phase: 'ready' as const, events, newAbove });
  const kinds = (items: ReturnType<typeof threadItems>) => items.map((item) => item.kind).join(' ');

  it('separates days and joins runs of one author', () => {
    const items = threadItems(thread([says(1, ANN, 'a', { time: NOON - 86_400_000 }), says(2, ANN), says(3, ANN), says(4, MEI)]), []);
    expect(kinds(items)).toBe('day message day message message message');
    expect(items.filter((item) => item.kind === 'message').map((item) => [item.first, item.last])).toEqual([[true, true], [true, false], [false, true], [true, true]]);
  });

  it('never joins a note with a reply', () => {
    const items = threadItems(thread([says(1, MEI), says(2, MEI, 'x', { private: true })]), []);
    expect(items.filter((item) => item.kind === 'message').every((item) => item.first && item.last)).toBe(true);
  });

  it('draws the line above what is new', () => {
    expect(kinds(threadItems(thread([says(1, ANN), says(2, ANN)], 1), []))).toBe('day message new message');
  });

  it('shows activity, applies edits and hides what was deleted', () => {
    const items = threadItems(
      thread([
        event(1, 'conversation.opened', ANN, { inbox: '71', contact: { id: '3000' } }),
        says(2, ANN, 'helo'),
        says(3, ANN, 'oops'),
        event(4, 'message.edited', ANN, { message: 'e2', body: { kind: 'text', text: 'hello' } }),
        event(5, 'message.deleted', ANN, { message: 'e3' }),
      ]),
      [],
    );
    expect(kinds(items)).toBe('day activity message');
    expect(items[2]).toMatchObject({ event: { data: { body: { text: 'hello' } } } });
  });

  it('ends with what is unsent', () => {
    const unsent: LocalMessage = { localId: 'l1', body: { kind: 'text', text: 'x' }, private: false, createdAt: NOON, state: 'sending', conversation: '5000' };
    expect(kinds(threadItems(thread([says(1, ANN)]), [unsent]))).toBe('day message unsent');
  });

  it('counts below only what others wrote', () => {
    const events = thread([says(1, ANN), says(2, MEI), says(3, ANN), event(4, 'conversation.status_changed', MEI, { status: 'open' })]);
    expect(newBelow(events, 1, ME.id)).toBe(1);
  });
});
