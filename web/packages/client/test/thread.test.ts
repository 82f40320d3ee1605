import { describe, expect, it } from 'vitest';
import { Thread, type MessageItem, type ThreadItem } from '../src/thread';
import type { TimelineEvent } from '../src/frames';
import type { LocalMessage } from '../src/types';
import { AGENT, ME, message } from './world';

const DAY = 86_400_000;

function thread(...events: TimelineEvent[]): Thread {
  const it = new Thread('c1', ME);
  it.load(events);
  return it;
}

function mine(seq: number, change: Partial<TimelineEvent> = {}): TimelineEvent {
  return message(seq, `m${seq}`, { actor: ME, ...change });
}

function messages(items: readonly ThreadItem[]): MessageItem[] {
  return items.filter((item) => item.kind === 'message');
}

const local: LocalMessage = { localId: 'L', conversation: 'c1', body: { kind: 'text', text: 'x' }, private: false, createdAt: 1_700_000_009_000, state: 'sending' };

describe('a thread', () => {
  it('orders by seq whatever the order of arrival, and shows nothing twice', () => {
    const it = thread(message(3), message(4));
    it.load([message(1), message(2), message(3)]);
    it.apply(message(5));
    expect(messages(it.items()).map((item) => item.seq)).toEqual([1, 2, 3, 4, 5]);
    expect([it.oldest, it.head]).toEqual([1, 5]);
  });

  it('keeps the key while a local message becomes an event', () => {
    const it = thread(message(1));
    it.setOutbox([local]);
    expect(messages(it.items()).at(-1)).toMatchObject({ key: 'L', mark: 'sending' });
    it.apply({ ...mine(2), localId: 'L' });
    expect(messages(it.items())).toHaveLength(2);
    expect(messages(it.items()).at(-1)).toMatchObject({ key: 'L', mark: 'sent', seq: 2 });
    it.load([mine(2)]);
    expect(messages(it.items()).at(-1)?.key).toBe('L');
  });

  it('shows failed messages with their error', () => {
    const it = thread();
    it.setOutbox([{ ...local, state: 'failed', error: { code: 'invalid', message: 'No.' } }, { ...local, localId: 'other', conversation: 'c2' }]);
    expect(messages(it.items())).toMatchObject([{ mark: 'failed', error: { code: 'invalid' } }]);
  });

  it('takes messages without a conversation only if told to', () => {
    const { conversation: _none, ...orphan } = local;
    const it = thread();
    it.setOutbox([orphan]);
    expect(it.items()).toEqual([]);
    it.setOutbox([orphan], true);
    expect(messages(it.items())).toHaveLength(1);
  });

  it('marks what the others got and read; cursors never go back', () => {
    const it = thread(mine(1), mine(2), mine(3));
    it.heard({ cursors: [{ actor: { kind: 'agent', id: '9' }, read: 1, delivered: 2 }] });
    expect(messages(it.items()).map((item) => item.mark)).toEqual(['read', 'delivered', 'sent']);
    it.moveCursor(AGENT, 'read', 3);
    it.moveCursor(AGENT, 'read', 2);
    expect(messages(it.items()).map((item) => item.mark)).toEqual(['read', 'read', 'read']);
  });

  it('does not take a cursor of our own side for one of the others', () => {
    const it = thread(mine(1));
    it.moveCursor(ME, 'read', 1);
    expect(messages(it.items())[0]?.mark).toBe('sent');
    expect(it.read).toBe(1);
  });

  it('counts what is unread', () => {
    const it = thread(message(1), message(2), mine(3));
    expect(it.unread).toBe(2);
    it.heard({ read: 1 });
    expect(it.unread).toBe(1);
    expect(it.newestTheirs).toBe(2);
  });

  it('separates days and groups runs of one actor', () => {
    const it = thread(message(1), message(2), mine(3), message(4, 'x', { time: 1_700_000_000_000 + 2 * DAY }));
    const items = it.items();
    expect(items.map((item) => item.kind)).toEqual(['day', 'message', 'message', 'message', 'day', 'message']);
    expect(messages(items).map(({ first, last }) => [first, last])).toEqual([[true, false], [false, true], [true, true], [true, true]]);
  });

  it('applies edits and deletions', () => {
    const it = thread(message(1), message(2));
    it.apply(message(3, '', { name: 'message.edited', data: { message: '101', body: { kind: 'text', text: 'better' } } } as never));
    it.apply(message(4, '', { name: 'message.deleted', data: { message: '102' } } as never));
    expect(messages(it.items())).toMatchObject([{ edited: true, body: { text: 'better' } }, { deleted: true }]);
  });

  it('replaces what a resync says and keeps what is below', () => {
    const it = thread(message(1), message(2), message(9, 'wrong'));
    it.replace(2, [message(3), message(4)], 4);
    expect(messages(it.items()).map((item) => item.seq)).toEqual([1, 2, 3, 4]);
    expect(it.head).toBe(4);
    it.replace(0, [message(7)], 7);
    expect(messages(it.items()).map((item) => item.seq)).toEqual([7]);
    expect(it.oldest).toBe(7);
  });

  it('shows the events of the conversation as activities', () => {
    const it = thread(message(1, '', { name: 'conversation.status_changed', data: { status: 'resolved', previous: 'open' } } as never));
    expect(it.items()[1]).toMatchObject({ kind: 'activity', event: { data: { status: 'resolved' } } });
  });
});
