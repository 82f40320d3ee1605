import { describe, expect, it } from 'vitest';
import type { TimelineEvent } from '../src/frames';
import { AGENT, ME, World, connected, head, message } from './world';

function page(events: TimelineEvent[], more = false, epoch = 'E'): { epoch: string; events: TimelineEvent[]; more: boolean } {
  return { epoch, events, more };
}

function ticket(world: World): number {
  return world.done.findLast((it) => it.do === 'fetch')?.ticket ?? 0;
}

function seqs(world: World): number[] {
  return world.heard('event').map((event) => event.seq);
}

describe('positions', () => {
  it('move by one; a hole ends the connection and the next one asks from the last good place', () => {
    const world = new World();
    world.online({ conversations: [head(10)] });
    world.receive(message(11), message(13));
    expect(seqs(world)).toEqual([11]);
    expect(world.closes).toEqual([4500]);
    world.pass(1_000);
    world.session.opened('T');
    expect(world.frames('connect').at(-1)?.since).toEqual({ c1: { epoch: 'E', seq: 11 } });
  });

  it('take a repeat as a fault, too', () => {
    const world = new World();
    world.online({ conversations: [head(10)] });
    world.receive(message(11), message(11));
    expect(seqs(world)).toEqual([11]);
    expect(world.closes).toEqual([4500]);
  });

  it('jump with advance', () => {
    const world = new World();
    world.online({ conversations: [head(10)] });
    world.receive({ type: 'advance', conversation: 'c1', seq: 15 }, message(16));
    expect(world.heard('advance')).toEqual([{ conversation: 'c1', seq: 15 }]);
    expect(seqs(world)).toEqual([16]);
    expect(world.closes).toEqual([]);
  });

  it('do not go back with advance', () => {
    const world = new World();
    world.online({ conversations: [head(10)] });
    world.receive({ type: 'advance', conversation: 'c1', seq: 10 });
    expect(world.closes).toEqual([4500]);
  });
});

describe('subscriptions', () => {
  it('that come unasked are live after the seq shown', () => {
    const world = new World();
    world.online({ conversations: [] });
    world.receive({ type: 'subscribed', conversation: 'c2', epoch: 'E2', seq: 7 }, message(8, 'x', { conversation: 'c2' }));
    expect(world.heard('subscribed')).toMatchObject([{ id: 'c2', seq: 7 }]);
    expect(seqs(world)).toEqual([8]);
  });

  it('that are asked for with a position get the replay from there', () => {
    const world = new World();
    world.online({ conversations: [] });
    world.session.subscribe('c2', { epoch: 'E', seq: 5 });
    expect(world.frames('subscribe')).toEqual([{ type: 'subscribe', conversation: 'c2', since: { epoch: 'E', seq: 5 } }]);
    world.receive({ type: 'subscribed', conversation: 'c2', epoch: 'E', seq: 7 }, message(6, '', { conversation: 'c2' }), message(7, '', { conversation: 'c2' }));
    expect(world.heard('subscribed')[0]?.seq).toBe(5);
    expect(seqs(world)).toEqual([6, 7]);
    expect(world.closes).toEqual([]);
  });

  it('that were asked for while away follow the connection', () => {
    const world = new World();
    world.session.subscribe('c2');
    world.session.subscribe('c3', { epoch: 'E', seq: 2 });
    world.online({ conversations: [] });
    expect(world.frames('connect')[0]?.since).toEqual({ c3: { epoch: 'E', seq: 2 } });
    expect(world.frames('subscribe')).toEqual([{ type: 'subscribe', conversation: 'c2' }]);
  });

  it('end with unsubscribed; later events of it are nothing to us', () => {
    const world = new World();
    world.online({ conversations: [head(1)] });
    world.receive({ type: 'unsubscribed', conversation: 'c1' }, message(9));
    expect(world.heard('unsubscribed')).toEqual([{ conversation: 'c1' }]);
    expect(seqs(world)).toEqual([]);
    expect(world.closes).toEqual([]);
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    expect(world.frames('connect').at(-1)?.since).toEqual({});
  });

  it('end when the application says so', () => {
    const world = new World();
    world.online({ conversations: [head(1)] });
    world.session.unsubscribe('c1');
    expect(world.frames('unsubscribe')).toEqual([{ type: 'unsubscribe', conversation: 'c1' }]);
    expect(world.session.position('c1')).toBeUndefined();
  });
});

describe('resync', () => {
  it('keeps live frames, reads to S over REST, replaces, then goes on', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'F', seq: 5 }, message(6), message(7));
    expect(world.done.findLast((it) => it.do === 'fetch')).toMatchObject({ conversation: 'c1', after: 0 });
    expect(seqs(world)).toEqual([]);
    world.session.fetched(ticket(world), page([1, 2, 3].map((seq) => message(seq)), true, 'F'));
    world.session.fetched(ticket(world), page([4, 5, 6].map((seq) => message(seq)), true, 'F'));
    expect(world.heard('resync')).toMatchObject([{ conversation: 'c1', epoch: 'F', seq: 5, after: 0 }]);
    expect(world.heard('resync')[0]?.events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
    expect(seqs(world)).toEqual([6, 7]);
    expect(world.session.position('c1')).toEqual({ epoch: 'F', seq: 7 });
  });

  it('reads only what is new when the epoch is the same and the position merely too old', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'E', seq: 5 });
    expect(world.done.findLast((it) => it.do === 'fetch')).toMatchObject({ after: 3 });
    world.session.fetched(ticket(world), page([message(4), message(5)]));
    expect(world.heard('resync')).toMatchObject([{ seq: 5, after: 3 }]);
  });

  it('replaces all when the position was above the head', () => {
    const world = new World();
    world.online({ conversations: [head(9)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'E', seq: 5 });
    expect(world.done.findLast((it) => it.do === 'fetch')).toMatchObject({ after: 0 });
  });

  it('ends when REST has no more, even short of S (some events are not for us)', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'E', seq: 9 });
    world.session.fetched(ticket(world), page([message(4)], false));
    expect(world.session.position('c1')?.seq).toBe(9);
  });

  it('reconnects when REST shows another epoch', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'F', seq: 5 });
    world.session.fetched(ticket(world), page([], false, 'G'));
    expect(world.closes).toEqual([4500]);
    expect(world.heard('resync')).toEqual([]);
  });

  it('watches the live frames for holes meanwhile', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'F', seq: 5 }, message(7));
    expect(world.closes).toEqual([4500]);
  });

  it('survives the loss of the connection: the reading goes on and the next connection asks from the last live frame', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'F', seq: 5 }, message(6));
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    expect(world.frames('connect').at(-1)?.since).toEqual({ c1: { epoch: 'F', seq: 6 } });
    world.receive(connected({ resumed: true, c: 2, conversations: [head(6, 'c1', 'F')] }));
    world.session.fetched(ticket(world), page([4, 5].map((seq) => message(seq)), false, 'F'));
    expect(seqs(world)).toEqual([6]);
  });

  it('tries the reading again when it fails', () => {
    const world = new World();
    world.online({ conversations: [head(3)] });
    world.receive({ type: 'resync', conversation: 'c1', epoch: 'E', seq: 5 });
    world.forget();
    world.session.fetchFailed(1);
    world.pass(1_000);
    expect(world.done.filter((it) => it.do === 'fetch')).toMatchObject([{ ticket: 1, after: 3 }]);
  });
});

describe('signals', () => {
  it('typing goes out at most once in 2 s, and the last state wins', () => {
    const world = new World();
    world.online();
    world.session.typing('c1', { on: true, preview: 'h' });
    world.session.typing('c1', { on: true, preview: 'he' });
    world.session.typing('c1', { on: true, preview: 'hel' });
    expect(world.frames('typing')).toEqual([{ type: 'typing', conversation: 'c1', on: true, preview: 'h' }]);
    world.pass(2_000);
    expect(world.frames('typing')[1]).toMatchObject({ preview: 'hel' });
    world.session.typing('c1', { on: false });
    world.pass(2_000);
    expect(world.frames('typing')[2]).toMatchObject({ on: false });
    world.pass(10_000);
    expect(world.frames('typing')).toHaveLength(3);
  });

  it('says nothing when the typing ended before anyone was told', () => {
    const world = new World();
    world.online();
    world.session.typing('c1', { on: false });
    world.pass(5_000);
    expect(world.frames('typing')).toEqual([]);
  });

  it('cursors go out at most once a second and conversation, merged, and never back', () => {
    const world = new World();
    world.online();
    for (const seq of [3, 5, 4]) world.session.cursor('read', 'c1', seq);
    expect(world.frames('read').map((frame) => frame.seq)).toEqual([3]);
    world.pass(1_000);
    expect(world.frames('read').map((frame) => frame.seq)).toEqual([3, 5]);
  });

  it('says again after a reconnect what the server does not know', () => {
    const world = new World();
    world.online({ conversations: [head(5)] });
    world.session.cursor('read', 'c1', 5);
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.forget();
    world.receive(connected({ resumed: true, c: 2, conversations: [{ ...head(5), read: 4 }] }));
    world.pass(1_000);
    expect(world.frames('read').map((frame) => frame.seq)).toEqual([5]);
  });

  it('marks messages of others as delivered by itself, not its own, and not if told otherwise', () => {
    const world = new World();
    world.online();
    world.receive(message(1, 'x', { actor: ME }), message(2, 'y', { actor: AGENT }));
    expect(world.frames('delivered')).toEqual([{ type: 'delivered', conversation: 'c1', seq: 2 }]);
    const quiet = new World({ autoDelivered: false });
    quiet.online();
    quiet.receive(message(1));
    expect(quiet.frames('delivered')).toEqual([]);
  });

  it('tells the page after each connection', () => {
    const world = new World();
    world.session.page({ url: 'https://shop.example/a', title: 'A' });
    world.online();
    expect(world.frames('page')).toEqual([{ type: 'page', url: 'https://shop.example/a', title: 'A' }]);
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.receive(connected({ resumed: true, c: 2 }));
    expect(world.frames('page')).toHaveLength(2);
  });

  it('of others are handed on', () => {
    const world = new World();
    world.online();
    world.receive({ type: 'signal', name: 'typing', conversation: 'c1', actor: AGENT, data: { on: true } });
    expect(world.heard('signal')).toMatchObject([{ name: 'typing' }]);
  });
});
