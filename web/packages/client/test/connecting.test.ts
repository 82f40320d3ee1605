import { describe, expect, it } from 'vitest';
import { ME, World, connected, head, message, sent } from './world';

describe('connect', () => {
  it('says token, c, acked, since and client; a first connection names no session', () => {
    const world = new World();
    world.dial('secret');
    expect(world.frames('connect')).toEqual([
      { type: 'connect', token: 'secret', c: 1, acked: 0, since: {}, client: { name: 'test', version: '1' } },
    ]);
  });

  it('stores the count of connections before it says it', () => {
    const world = new World();
    world.dial();
    const order = world.done.map((it) => it.do);
    expect(order.indexOf('save')).toBeLessThan(order.indexOf('frame'));
    expect(world.record.c).toBe(1);
  });

  it('resumes the session with a higher c and the positions it has given out', () => {
    const world = new World();
    world.online({ conversations: [head(40)] });
    world.receive(message(41), message(42));
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T2');
    expect(world.frames('connect').at(-1)).toMatchObject({ token: 'T2', session: 's_1', c: 2, since: { c1: { epoch: 'E', seq: 42 } } });
  });

  it('names at most 500 conversations in since and subscribes to the others afterwards', () => {
    const world = new World();
    const conversations = Array.from({ length: 510 }, (_, index) => head(1, `c${index}`));
    world.online({ conversations });
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.receive(connected({ resumed: true, c: 2, conversations: [] }));
    expect(Object.keys(world.frames('connect').at(-1)?.since ?? {})).toHaveLength(500);
    expect(world.frames('subscribe')).toHaveLength(10);
    expect(world.frames('subscribe')[0]).toMatchObject({ since: { epoch: 'E', seq: 1 } });
  });

  it('sends nothing more until the answer', () => {
    const world = new World();
    world.dial();
    world.say('hello');
    world.session.subscribe('c2');
    world.session.cursor('read', 'c1', 3);
    world.session.typing('c1', { on: true });
    world.session.page({ url: 'https://shop.example/' });
    world.pass(10_000);
    expect(world.done.filter((it) => it.do === 'frame')).toHaveLength(1);
  });

  it('gives up on a server that does not answer the connect', () => {
    const world = new World();
    world.dial();
    world.pass(15_000);
    expect(world.closes).toEqual([4500]);
    expect(world.heard('status').at(-1)).toMatchObject({ state: 'connecting', retryAt: expect.any(Number) as number });
  });

  it('tells who we are and from which positions events are given', () => {
    const world = new World();
    world.online({ conversations: [head(44)] });
    expect(world.heard('connected')[0]).toMatchObject({ actor: ME, conversations: [{ id: 'c1', seq: 44 }] });
    expect(world.session.position('c1')).toEqual({ epoch: 'E', seq: 44 });
  });

  it('keeps its own position when the server is ahead, for the replay follows', () => {
    const world = new World();
    world.online({ conversations: [head(40)] });
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.receive(connected({ resumed: true, c: 2, conversations: [head(42)] }), message(41), message(42));
    expect(world.heard('connected').at(-1)?.conversations[0]?.seq).toBe(40);
    expect(world.heard('event').map((event) => event.seq)).toEqual([41, 42]);
    expect(world.closes).toEqual([]);
  });

  it('ignores frames and events that it does not know', () => {
    const world = new World();
    world.online();
    world.receive({ type: 'weather', sunny: true } as never, message(1, '', { name: 'message.sung' } as never), message(2));
    expect(world.session.position('c1')?.seq).toBe(2);
    expect(world.closes).toEqual([]);
  });
});

describe('coming back', () => {
  const lose = (code?: number): World => {
    const world = new World();
    world.online();
    world.forget();
    world.session.closed(code);
    return world;
  };

  it.each([undefined, 1001, 1006, 4500, 4503, 4504, 4508, 4529, 4999])('comes back after code %s', (code) => {
    const world = lose(code);
    world.pass(500);
    expect(world.opens).toBe(1);
  });

  it.each([
    [4400, 'bad_frame'],
    [4403, 'forbidden'],
    [4413, 'too_large'],
  ])('stays away after %i', (code, reason) => {
    const world = lose(code);
    world.pass(3_600_000);
    expect(world.opens).toBe(0);
    expect(world.heard('status')).toEqual([{ state: 'stopped', reason }]);
  });

  it('gets a new token after 4401', () => {
    const world = lose(4401);
    world.pass(500);
    expect(world.done).toEqual([{ do: 'open', refused: true }]);
  });

  it('stops when there is no token without the user, and tries again when there is none for now', () => {
    const world = lose(4401);
    world.pass(500);
    world.session.tokenFailed(false);
    world.pass(2_000);
    expect(world.opens).toBe(2);
    world.session.tokenFailed(true);
    world.pass(3_600_000);
    expect(world.opens).toBe(2);
    expect(world.heard('status').at(-1)).toEqual({ state: 'stopped', reason: 'unauthorized' });
  });

  it('backs off after 4408', () => {
    const world = new World();
    world.dial();
    world.forget();
    world.session.closed(4408);
    expect(world.opens).toBe(0);
    world.pass(500);
    expect(world.opens).toBe(1);
  });

  it('comes back once after 4409, with a higher c, then waits for the user', () => {
    const world = lose(4409);
    world.pass(500);
    world.session.opened('T');
    expect(world.frames('connect')[0]?.c).toBe(2);
    world.receive(connected({ resumed: true, c: 2 }));
    world.session.closed(4409);
    world.pass(3_600_000);
    expect(world.opens).toBe(1);
    expect(world.heard('status').at(-1)).toEqual({ state: 'stopped', reason: 'replaced' });
    world.session.start();
    expect(world.opens).toBe(2);
  });

  it('waits at least after_ms of the close frame, with jitter on top', () => {
    const world = new World();
    world.online();
    world.forget();
    world.receive({ type: 'close', code: 4503, reason: 'draining', reconnect: true, after_ms: 1_200 });
    world.session.closed(4503);
    world.pass(1_200);
    expect(world.opens).toBe(0);
    world.pass(250);
    expect(world.opens).toBe(1);
  });

  it('does not let a wake-up overtake after_ms', () => {
    const world = new World();
    world.online();
    world.forget();
    world.receive({ type: 'close', code: 4529, after_ms: 5_000 });
    world.session.wake();
    expect(world.opens).toBe(0);
    world.pass(5_000);
    world.session.wake();
    expect(world.opens).toBe(1);
  });

  it('believes reconnect: false for a code that it does not know', () => {
    const world = new World();
    world.online();
    world.receive({ type: 'close', code: 4477, reconnect: false });
    expect(world.heard('status').at(-1)?.state).toBe('stopped');
  });

  it('spreads the attempts over a span that doubles up to 30 s (full jitter)', () => {
    const waits = (chance: number): number[] => {
      const world = new World();
      world.chance = chance;
      world.online();
      return Array.from({ length: 9 }, () => {
        world.session.closed(1006);
        const at = world.heard('status').at(-1)?.retryAt ?? 0;
        const wait = at - world.now();
        world.pass(wait);
        return wait;
      });
    };
    expect(waits(0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(waits(1)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('starts with the shortest wait again after a connection that lasted', () => {
    const world = new World();
    world.chance = 1;
    world.online();
    for (const _ of [1, 2, 3, 4]) {
      world.session.closed(1006);
      world.pass(10_000);
    }
    world.session.opened('T');
    world.receive(connected({ resumed: true, c: 9 }));
    world.pass(20_000);
    world.session.closed(1006);
    expect((world.heard('status').at(-1)?.retryAt ?? 0) - world.now()).toBe(500);
  });

  it('does not hold a long outage against a server that answers again', () => {
    const world = new World();
    world.chance = 1;
    world.online();
    for (let outage = 0; outage < 9; outage += 1) {
      world.session.closed(1006);
      world.pass(30_000);
    }
    world.session.opened('T');
    world.receive(connected({ resumed: true, c: 9 }));
    world.pass(100);
    world.session.closed(1006);
    expect((world.heard('status').at(-1)?.retryAt ?? 0) - world.now()).toBe(4_000);
  });

  it('says so at once when the connection is lost', () => {
    expect(lose(1006).heard('status')[0]).toMatchObject({ state: 'reconnecting', retryAt: expect.any(Number) as number });
  });

  it('looks at once when the page or the network comes back', () => {
    const world = lose(1006);
    world.session.wake();
    expect(world.opens).toBe(1);
  });

  it('looks at once when somebody sends or tries again, but not before the server wants it', () => {
    const world = lose(1006);
    const entry = world.say('anybody?');
    expect(world.opens).toBe(1);
    world.session.closed(1006);
    world.session.retry(entry.localId);
    expect(world.opens).toBe(2);
    world.session.received({ type: 'close', code: 4503, reason: 'draining', reconnect: true, after_ms: 1_200 });
    world.say('now?');
    expect(world.opens).toBe(2);
  });
});

describe('heartbeat', () => {
  it('sends something every heartbeat_ms when idle', () => {
    const world = new World();
    world.online();
    for (const beat of [1, 2, 3]) {
      world.pass(25_000);
      expect(world.frames('ping')).toHaveLength(beat);
      world.receive({ type: 'pong', time: 0 });
    }
  });

  it('takes silence for twice that as 4504 and comes back', () => {
    const world = new World();
    world.online();
    world.pass(50_000);
    expect(world.closes).toEqual([4504]);
    expect(world.heard('status').at(-1)?.state).toBe('reconnecting');
  });

  it('asks before it judges when it slept itself', () => {
    const world = new World();
    world.online();
    world.sleep(3_600_000);
    world.session.tick();
    expect(world.frames('ping')).toHaveLength(1);
    expect(world.closes).toEqual([]);
    world.receive({ type: 'pong', time: 0 });
    world.pass(20_000);
    expect(world.closes).toEqual([]);
  });

  it('says within 2 s that the connection is lost when the system reports it', () => {
    const world = new World();
    world.online();
    world.session.doubt(1_500);
    world.pass(2_000);
    expect(world.heard('status').at(-1)?.state).toBe('reconnecting');
  });

  it('counts an answer of any kind as life', () => {
    const world = new World();
    world.online();
    world.session.doubt(1_500);
    world.receive(message(1));
    world.pass(2_000);
    expect(world.closes).toEqual([]);
  });
});

describe('another session', () => {
  it('starts at 1 with the same messages when the server has nothing of it', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.receive(sent(1, 1));
    world.say('b');
    world.say('c');
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.forget();
    world.receive(connected({ session: 's_2', resumed: false, conversations: [head(1)] }));
    expect(world.numbers()).toEqual([1, 2]);
    expect(world.record).toMatchObject({ session: 's_2', next: 3 });
    expect([...world.entries.values()].map((entry) => entry.n)).toEqual([1, 2]);
  });

  it('stores the new numbers in one transaction, before any of them travels', () => {
    const world = new World();
    world.online();
    world.say('a');
    world.say('b');
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.forget();
    world.receive(connected({ session: 's_2', resumed: false }));
    const saves = world.done.filter((it) => it.do === 'save');
    expect(saves).toHaveLength(1);
    expect(saves[0]?.change).toMatchObject({ record: { session: 's_2', next: 3 }, put: [{ n: 1 }, { n: 2 }] });
    expect(world.done[0]?.do).toBe('save');
  });

  it('never sends the messages of one actor in the name of another', () => {
    const world = new World();
    world.online();
    world.say('mine');
    world.session.closed(1006);
    world.pass(1_000);
    world.session.opened('T');
    world.forget();
    world.receive(connected({ session: 's_2', resumed: false, actor: { kind: 'contact', id: '8' } }));
    expect(world.numbers()).toEqual([]);
    expect(world.heard('failed')).toMatchObject([{ state: 'failed', error: { code: 'forbidden' } }]);
    expect(world.entries.size).toBe(0);
  });
});
