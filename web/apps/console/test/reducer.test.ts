import { describe, expect, it } from 'vitest';
import type { TimelineEvent } from '../src/model';
import type { Action } from '../src/state/reducer';
import { markOf } from '../src/state/conversation';
import { ANN, conversation, event, ME, MEI, NOON, run, says } from './words';

const known = (change = {}): Action => ({ type: 'conversations', conversations: [conversation(change)] });
const live = (one: TimelineEvent): Action => ({ type: 'event', event: one });
const opened: Action = { type: 'thread', id: '5000', change: {} };
const page = (events: TimelineEvent[], kind: 'newest' | 'earlier' | 'later', more = false, epoch = 'E'): Action => ({
  type: 'page',
  id: '5000',
  kind,
  page: { epoch, events, more },
});
const seqs = (state: ReturnType<typeof run>) => state.threads['5000']?.events.map((one) => one.seq);

describe('a conversation under live events', () => {
  it('counts what the contact writes, and nothing else', () => {
    const state = run([known({ seq: 1 }), live(says(2, ANN)), live(says(3, { kind: 'agent', id: '7', name: 'Jo' })), live(says(4, ANN))]);
    expect(state.conversations['5000']).toMatchObject({ seq: 4, unread: 2 });
  });

  it('counts a replayed event once', () => {
    const state = run([known({ seq: 1 }), live(says(2, ANN)), live(says(2, ANN))]);
    expect(state.conversations['5000']?.unread).toBe(1);
  });

  it('waits from the first unanswered message until an agent answers; a note is no answer', () => {
    const asked = run([known({ seq: 1 }), live(says(2, ANN)), live(says(3, ANN)), live(says(4, MEI, 'x', { private: true }))]);
    expect(asked.conversations['5000']?.waiting_since).toBe(NOON + 2000);
    expect(run([live(says(5, MEI))], asked).conversations['5000']?.waiting_since).toBeNull();
  });

  it('follows status and assignee', () => {
    const state = run([
      known({ seq: 1 }),
      live(event(2, 'conversation.assigned', MEI, { assignee: { id: ME.id, name: 'Mei' } })),
      live(event(3, 'conversation.status_changed', MEI, { status: 'resolved' })),
    ]);
    expect(state.conversations['5000']).toMatchObject({ assignee: { id: ME.id, name: 'Mei' }, status: 'resolved', waiting_since: null });
  });

  it('is read when we answer', () => {
    const state = run([known({ seq: 1 }), live(says(2, ANN)), live(says(3, MEI))]);
    expect(state.conversations['5000']).toMatchObject({ unread: 0, read: 3 });
  });

  it('does not go back to an older answer of the server', () => {
    const state = run([known({ seq: 1 }), live(says(2, ANN, 'newest')), known({ seq: 1 })]);
    expect(state.conversations['5000']).toMatchObject({ seq: 2, unread: 1, last_message: { id: 'e2' } });
  });

  it('takes all of another epoch', () => {
    const state = run([known({ seq: 40 }), known({ seq: 3, epoch: 'F' })]);
    expect(state.conversations['5000']).toMatchObject({ epoch: 'F', seq: 3 });
  });

  it('estimates the unread messages of a conversation from the list', () => {
    const last = says(9, ANN);
    expect(run([known({ seq: 9, read: 7, last_message: last })]).conversations['5000']?.unread).toBe(2);
    expect(run([known({ seq: 9, read: 9, last_message: last })]).conversations['5000']?.unread).toBe(0);
    expect(run([known({ seq: 9, read: 2, last_message: says(9, MEI) })]).conversations['5000']?.unread).toBe(0);
  });
});

describe('a thread', () => {
  it('joins pages and live events, each place once and in order', () => {
    const state = run([known({ seq: 5 }), opened, live(says(6, ANN)), page([says(4, ANN), says(5, MEI)], 'newest', true), page([says(3, ANN), says(4, ANN)], 'earlier', true)]);
    expect(seqs(state)).toEqual([3, 4, 5, 6]);
    expect(state.threads['5000']).toMatchObject({ phase: 'ready', more: true });
  });

  it('never shows a run with a hole', () => {
    const state = run([known({ seq: 9 }), opened, page([says(1, ANN), says(2, ANN)], 'newest'), live(says(9, ANN))]);
    expect(seqs(state)).toEqual([9]);
    expect(state.threads['5000']?.more).toBe(true);
    expect(seqs(run([page([says(7, ANN), says(8, ANN), says(9, ANN)], 'newest', true)], state))).toEqual([7, 8, 9]);
  });

  it('marks where the new messages began when it was opened', () => {
    const state = run([known({ seq: 4, read: 2, last_message: says(4, ANN) }), opened, page([says(1, ANN), says(2, MEI), says(3, ANN), says(4, ANN)], 'newest')]);
    expect(state.threads['5000']?.newAbove).toBe(2);
    expect(run([{ type: 'read', id: '5000', seq: 4 }], state).threads['5000']?.newAbove).toBe(2);
  });

  it('starts again with another epoch', () => {
    const state = run([known(), opened, page([says(1, ANN), says(2, ANN)], 'newest'), page([says(1, MEI)], 'newest', false, 'F')]);
    expect(state.threads['5000']).toMatchObject({ epoch: 'F', events: [{ actor: MEI }] });
  });

  it('replaces what a resync names', () => {
    const state = run([known({ seq: 3 }), opened, page([says(1, ANN), says(2, ANN), says(3, ANN)], 'newest')]);
    const next = run([{ type: 'resync', resync: { conversation: '5000', epoch: 'E', seq: 4, after: 2, events: [says(3, MEI), says(4, ANN)] } }], state);
    expect(seqs(next)).toEqual([1, 2, 3, 4]);
    expect(next.threads['5000']?.events[2]?.actor).toEqual(MEI);
    expect(next.conversations['5000']?.seq).toBe(4);
  });
});

describe('signals', () => {
  const typing = (on: boolean, actor = ANN): Action => ({
    type: 'signal',
    now: NOON,
    signal: { type: 'signal', name: 'typing', conversation: '5000', actor, data: { on, preview: 'I wan' } },
  });

  it('shows who types until they stop, send, or fall silent', () => {
    expect(run([typing(true)]).typists).toMatchObject([{ preview: 'I wan', actor: { id: '3000' } }]);
    expect(run([typing(true), typing(false)]).typists).toEqual([]);
    expect(run([known(), typing(true), live(says(1, ANN))]).typists).toEqual([]);
    expect(run([typing(true), { type: 'typing-ended', now: NOON + 5_000 }]).typists).toHaveLength(1);
    expect(run([typing(true), { type: 'typing-ended', now: NOON + 60_000 }]).typists).toEqual([]);
  });

  it('does not show our own other window', () => {
    expect(run([typing(true, MEI)]).typists).toEqual([]);
  });

  const cursor = (name: 'read' | 'delivered', seq: number, actor = ANN): Action => ({
    type: 'signal',
    now: NOON,
    signal: { type: 'signal', name, conversation: '5000', actor, data: { seq } },
  });

  it('moves the marks forward only', () => {
    const state = run([known(), cursor('delivered', 4), cursor('read', 3), cursor('read', 1)]);
    const cursors = state.conversations['5000']?.cursors ?? [];
    expect([2, 3, 4, 5].map((seq) => markOf(cursors, seq))).toEqual(['read', 'read', 'delivered', 'sent']);
  });

  it('reads here what was read in another window', () => {
    const state = run([known({ seq: 1 }), live(says(2, ANN)), cursor('read', 2, MEI)]);
    expect(state.conversations['5000']).toMatchObject({ unread: 0, read: 2 });
  });

  it('shows the page of the contact in all its conversations', () => {
    const page: Action = { type: 'signal', now: NOON, signal: { type: 'signal', name: 'page', actor: ANN, data: { url: 'https://a.example/x', title: 'X' } } };
    const state = run([known(), known({ id: '5001' }), page]);
    expect([state.conversations['5000'], state.conversations['5001']].map((one) => one?.contact.visit?.url)).toEqual(['https://a.example/x', 'https://a.example/x']);
  });

  it('knows who is there until they leave, or until we were away', () => {
    const leaves: Action = { type: 'signal', now: NOON, signal: { type: 'signal', name: 'presence', actor: ANN, data: { online: false } } };
    expect(run([typing(true)]).presence).toEqual({ [ANN.id]: true });
    expect(run([typing(true), leaves]).presence).toEqual({ [ANN.id]: false });
    expect(run([typing(true), { type: 'link', status: { state: 'reconnecting' } }]).presence).toEqual({});
  });
});

describe('what piles up', () => {
  const told = (alarm: string, raised: boolean, since = 1): Action => ({
    type: 'signal',
    now: NOON,
    signal: { type: 'signal', name: 'backlog', data: { alarm, raised, value: 57, threshold: 50, since } },
  });

  it('is known until it is over', () => {
    const state = run([told('waiting', true), told('relay_lag', true), told('waiting', false)]);
    expect(Object.keys(state.backlog)).toEqual(['relay_lag']);
    expect(run([told('relay_lag', false), told('relay_lag', false)], state).backlog).toEqual({});
  });

  it('is forgotten with the connection: what lasts is told anew', () => {
    const state = run([told('waiting', true), { type: 'link', status: { state: 'online' } }]);
    expect(Object.keys(state.backlog)).toEqual(['waiting']);
    expect(run([{ type: 'link', status: { state: 'reconnecting' } }], state).backlog).toEqual({});
  });
});
