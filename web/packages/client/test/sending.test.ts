import { describe, expect, it } from 'vitest';
import type { ServerFrame } from '../src/frames';
import { ME, World, connected, head, message, sent } from './world';

function outOfOrder(n: number, expected: number): ServerFrame {
  return { type: 'error', code: 'out_of_order', n, expected };
}

function limited(n: number, after: number): ServerFrame {
  return { type: 'error', code: 'rate_limited', n, retry_after_ms: after };
}

function back(world: World, n: number, seq: number): void {
  world.session.closed(1006);
  world.pass(1_000);
  world.session.opened('T');
  world.forget();
  world.receive(connected({ resumed: true, c: 2, n, conversations: [head(seq)] }));
}

describe('numbers', () => {
  it('count 1, 2, 3 and are stored with the session before they travel', () => {
    const world = new World();
    world.online();
    world.forget();
    world.say('a');
    world.say('b');
    expect(world.numbers()).toEqual([1, 2]);
    const [save, frame] = world.done;
    expect(save).toMatchObject({ do: 'save', change: { record: { session: 's_1', next: 2 }, put: [{ localId: 'm1', n: 1 }] } });
    expect(frame).toMatchObject({ do: 'frame', frame: { type: 'send', n: 1, conversation: 'c1', body: { kind: 'text', text: 'a' }, private: false } });
  });

  it('are given when a message can travel; until then it is stored without', () => {
    const world = new World();
    world.say('early');
    expect([...world.entries.values()]).toMatchObject([{ localId: 'm1' }]);
    expect(world.entries.get('m1')).not.toHaveProperty('n');
    world.online();
    expect(world.numbers()).toEqual([1]);
  });

  it('leave the conversation out when the application does', () => {
    const world = new World();
    world.online();
    world.session.send({ localId: 'x', body: { kind: 'text', text: 'hi' }, private: false, createdAt: 0, state: 'sending' });
    expect(JSON.stringify(world.frames('send')[0])).not.toContain('conversation');
  });

  it('go on after a reload where they stood', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 1));
    world.say('b');
    world.boot();
    world.dial();
    expect(world.frames('connect')[0]).toMatchObject({ session: 's_1', c: 2, acked: 1 });
    world.receive(connected({ resumed: true, c: 2, n: 1, conversations: [head(1)] }));
    world.say('c');
    expect(world.numbers()).toEqual([2, 3]);
  });

  it('skip what the server has seen when the store lost its last writes', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 1));
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.forget();
    world.receive(connected({ resumed: true, c: 2, n: 5, conversations: [head(5)] }));
    world.say('b');
    expect(world.numbers()).toEqual([6]);
  });

  it('stop at 256 without an answer and go on as answers come', () => {
    const world = new World();
    world.online();
    for (let i = 0; i < 300; i += 1) world.say(`${i}`);
    expect(world.numbers()).toHaveLength(256);
    world.receive(sent(1, 1), sent(2, 2));
    expect(world.numbers().slice(256)).toEqual([257, 258]);
  });
});

describe('sent', () => {
  it('stands in the place of the event', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 1), message(2));
    expect(world.heard('event')).toMatchObject([
      { seq: 1, id: '101', localId: 'm1', actor: ME, data: { body: { kind: 'text', text: 'a' }, private: false } },
      { seq: 2 },
    ]);
    expect(world.heard('sent')).toMatchObject([{ localId: 'm1', state: 'sent', seq: 1, id: '101' }]);
    expect(world.entries.size).toBe(0);
    expect(world.session.outbox).toEqual([]);
  });

  it('of a repeat adds nothing: the replay brought the event, with n', () => {
    const world = new World();
    world.online();
    world.say('a');
    back(world, 1, 1);
    world.receive(message(1, 'a', { actor: ME, n: 1 }));
    world.receive(sent(1, 1), message(2));
    expect(world.heard('event').map((event) => [event.seq, event.localId])).toEqual([[1, 'm1'], [2, undefined]]);
    expect(world.heard('sent')).toHaveLength(1);
    expect(world.closes).toEqual([]);
  });

  it('opens a conversation: subscribed, opened, then the message', () => {
    const world = new World();
    world.online({ conversations: [] });
    world.session.send({ localId: 'x', body: { kind: 'text', text: 'hi' }, private: false, createdAt: 0, state: 'sending' });
    world.receive(
      { type: 'subscribed', conversation: 'c9', epoch: 'E', seq: 0 },
      message(1, '', { conversation: 'c9', name: 'conversation.opened', data: { inbox: '1', contact: { id: '7' } } } as never),
      sent(1, 2, 'c9'),
    );
    expect(world.heard('event').map((event) => event.seq)).toEqual([1, 2]);
    expect(world.session.position('c9')?.seq).toBe(2);
  });

  it('with a hole before it ends the connection', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 3));
    expect(world.closes).toEqual([4500]);
    expect(world.heard('sent')).toHaveLength(1);
  });

  it('that never comes makes the client look for a better connection', () => {
    const world = new World();
    world.online();
    world.say('a');
    for (let beat = 0; beat < 8; beat += 1) {
      world.pass(4_000);
      world.receive({ type: 'pong', time: 0 });
    }
    expect(world.closes).toEqual([4500]);
  });
});

describe('after connected', () => {
  it('every send without an answer goes again, in order, before anything new', () => {
    const world = new World();
    world.online();
    for (const text of ['a', 'b', 'c']) world.say(text);
    world.receive(sent(1, 1));
    world.session.closed(1006);
    world.say('d');
    world.pass(1_000);
    world.session.opened('T');
    expect(world.frames('connect').at(-1)?.acked).toBe(1);
    world.forget();
    world.receive(connected({ resumed: true, c: 2, n: 3, conversations: [head(3)] }));
    expect(world.frames('send').map(({ n, body }) => [n, body.kind === 'text' && body.text])).toEqual([[2, 'b'], [3, 'c'], [4, 'd']]);
  });
});

describe('errors', () => {
  it('without retry_after_ms are final: the number is used up and the message waits for the user', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive({ type: 'error', code: 'invalid', message: 'No.', n: 1 });
    expect(world.heard('failed')).toMatchObject([{ localId: 'm1', state: 'failed', error: { code: 'invalid', message: 'No.' } }]);
    expect(world.entries.get('m1')).toMatchObject({ state: 'failed' });
    expect(world.entries.get('m1')).not.toHaveProperty('n');
    world.forget();
    world.session.retry('m1');
    expect(world.numbers()).toEqual([2]);
  });

  it('keep a failed message through a reload, and let it be forgotten', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive({ type: 'error', code: 'invalid', n: 1 });
    world.boot();
    expect(world.session.outbox).toMatchObject([{ localId: 'm1', state: 'failed' }]);
    world.session.discard('m1');
    expect(world.session.outbox).toEqual([]);
    expect(world.entries.size).toBe(0);
  });

  it('cannot be asked for: a message on its way is not taken back', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.session.discard('m1');
    expect(world.session.outbox).toHaveLength(1);
  });

  it('refuse here what is larger than max_frame, before it costs the connection', () => {
    const world = new World();
    world.online({ max_frame: 300 });
    world.say('字'.repeat(200));
    expect(world.numbers()).toEqual([]);
    expect(world.heard('failed')).toMatchObject([{ error: { code: 'too_large' } }]);
  });

  it('that name no message are told as they are', () => {
    const world = new World();
    world.online();
    world.receive({ type: 'error', code: 'not_found', message: 'No such conversation.' });
    expect(world.heard('error')).toMatchObject([{ code: 'not_found' }]);
  });
});

describe('out_of_order and retry_after_ms', () => {
  it('are no answers: waits as told, then resends from the refused number in order', () => {
    const world = new World();
    world.online();
    for (const text of ['a', 'b', 'c']) world.say(text);
    world.forget();
    world.receive(sent(1, 1), limited(2, 500), outOfOrder(3, 2));
    world.pass(499);
    expect(world.numbers()).toEqual([]);
    world.pass(1);
    expect(world.numbers()).toEqual([2, 3]);
    expect(world.heard('failed')).toEqual([]);
  });

  it('holds back new messages meanwhile, so that none overtakes', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(limited(1, 500));
    world.forget();
    world.say('b');
    expect(world.numbers()).toEqual([]);
    world.pass(500);
    expect(world.numbers()).toEqual([1, 2]);
  });

  it('waits once for many refusals with one expected', () => {
    const world = new World();
    world.online();
    for (const text of ['a', 'b', 'c', 'd']) world.say(text);
    world.forget();
    world.receive(outOfOrder(2, 1), outOfOrder(3, 1), outOfOrder(4, 1));
    world.pass(10_000);
    expect(world.numbers()).toEqual([1, 2, 3, 4]);
  });

  it('ignores refusals of the first flight that arrive after the second has left', () => {
    const world = new World();
    world.online();
    for (const text of ['a', 'b', 'c', 'd']) world.say(text);
    world.forget();
    world.receive(limited(1, 100));
    world.pass(100);
    expect(world.numbers()).toEqual([1, 2, 3, 4]);
    world.receive(outOfOrder(2, 1), outOfOrder(3, 1), outOfOrder(4, 1), sent(1, 1), sent(2, 2), sent(3, 3), sent(4, 4));
    world.pass(10_000);
    expect(world.numbers()).toEqual([1, 2, 3, 4]);
    expect(world.session.outbox).toEqual([]);
  });

  it('resends again when the second flight is refused too', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.say('b');
    world.forget();
    world.receive(limited(1, 100), outOfOrder(2, 1));
    world.pass(100);
    world.receive(limited(1, 100), outOfOrder(2, 1));
    world.pass(100);
    expect(world.numbers()).toEqual([1, 2, 1, 2]);
  });

  it('waits longer each time when the server gives no reason to hope', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.say('b');
    const waits = Array.from({ length: 4 }, () => {
      world.forget();
      world.receive(outOfOrder(1, 1), outOfOrder(2, 1));
      const from = world.now();
      while (world.numbers().length === 0) world.pass(100);
      return world.now() - from;
    });
    expect(waits).toEqual([200, 400, 800, 1_600]);
  });

  it('resumes when the server expects a number that is not here', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 1));
    world.say('b');
    world.receive(outOfOrder(2, 1));
    expect(world.closes).toEqual([4500]);
  });

  it('understands a refusal that does not repeat n', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.forget();
    world.receive({ type: 'error', code: 'out_of_order', expected: 1 });
    world.pass(200);
    expect(world.numbers()).toEqual([1]);
  });
});
