import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { comeback } from '../src/close';
import type { ClientFrame, ServerFrame } from '../src/frames';
import { World, head } from './world';

interface Golden<Frame> {
  readonly name: string;
  readonly from: 'client' | 'server';
  readonly json: Frame;
}

/** What the server reads and writes, kept by its own tests: tests/wire/frames.json. */
const GOLDEN = JSON.parse(readFileSync(new URL('../../../../tests/wire/frames.json', import.meta.url), 'utf8')) as Golden<ClientFrame | ServerFrame>[];
const SERVER = GOLDEN.filter((it): it is Golden<ServerFrame> => it.from === 'server');
const TALK = '402371330965504003';

function fromServer<T extends ServerFrame['type']>(type: T): Golden<Extract<ServerFrame, { type: T }>>[] {
  return SERVER.filter((it): it is Golden<Extract<ServerFrame, { type: T }>> => it.json.type === type);
}

function fromClient(name: string): unknown {
  return GOLDEN.find((it) => it.from === 'client' && it.name === name)?.json;
}

/** As it travels: JSON leaves out what is undefined. */
function travelled(frame: ClientFrame | undefined): unknown {
  return JSON.parse(JSON.stringify(frame));
}

function talking(seq: number): World {
  const world = new World();
  world.online({ conversations: [head(seq, TALK)] });
  world.forget();
  return world;
}

describe('golden frames of the server', () => {
  it.each(fromServer('connected'))('$name brings the client online', ({ json }) => {
    const world = new World();
    world.dial();
    world.receive(json);
    expect(world.heard('connected').at(-1)?.conversations).toEqual(json.conversations);
    expect(world.closes).toEqual([]);
  });

  it.each(fromServer('event'))('$name is given out in its place', ({ json }) => {
    const world = talking(json.seq - 1);
    world.receive(json);
    expect(world.heard('event')).toMatchObject([json]);
    expect(world.session.position(TALK)?.seq).toBe(json.seq);
  });

  it('sent settles the message and stands in the place of its event', () => {
    const [sent] = fromServer('sent');
    if (!sent) throw new Error('no golden frame');
    const world = talking(sent.json.seq - 1);
    world.say('hello', { conversation: TALK });
    world.receive(sent.json);
    expect(world.heard('sent')).toMatchObject([{ id: sent.json.id, seq: sent.json.seq }]);
    expect(world.session.position(TALK)?.seq).toBe(sent.json.seq);
  });

  it('advance moves the position', () => {
    const world = talking(40);
    for (const { json } of fromServer('advance')) world.receive(json);
    expect(world.session.position(TALK)?.seq).toBe(45);
  });

  it('resync has the events fetched', () => {
    const world = talking(40);
    for (const { json } of fromServer('resync')) world.receive(json);
    expect(world.done).toContainEqual(expect.objectContaining({ do: 'fetch', conversation: TALK }));
  });

  it.each(fromServer('subscribed'))('$name is given out with its place', ({ json }) => {
    const world = new World();
    world.online({ conversations: [] });
    world.receive(json);
    expect(world.heard('subscribed')).toMatchObject([{ id: TALK, epoch: json.epoch, seq: json.seq }]);
    expect(world.session.position(TALK)?.seq).toBe(json.seq);
  });

  it('unsubscribed ends the position', () => {
    const world = talking(40);
    for (const { json } of fromServer('unsubscribed')) world.receive(json);
    expect(world.heard('unsubscribed')).toEqual([{ conversation: TALK }]);
    expect(world.session.position(TALK)).toBeUndefined();
  });

  it.each(fromServer('signal'))('$name is given out as it came', ({ json }) => {
    const world = talking(45);
    world.receive(json);
    expect(world.heard('signal')).toEqual([json]);
  });

  it.each(fromServer('error').filter((it) => it.json.n === undefined))('$name harms nothing', ({ json }) => {
    const world = talking(45);
    world.receive(json);
    expect(world.heard('error')).toEqual([json]);
    expect(world.closes).toEqual([]);
  });

  it('a final error fails its message; others are waited out', () => {
    for (const { name, json } of fromServer('error').filter((it) => it.json.n === 1)) {
      const world = talking(45);
      world.say('hello', { conversation: TALK });
      world.receive(json);
      expect(world.heard('failed'), name).toHaveLength(json.retry_after_ms === undefined ? 1 : 0);
      world.pass(1_000);
      expect(world.numbers(), name).toEqual(json.retry_after_ms === undefined ? [1] : [1, 1]);
    }
  });

  it.each(fromServer('close'))('$name tells the client whether to come back', ({ json }) => {
    const returns = ['token', 'backoff', 'later'].includes(comeback(json));
    expect(returns).toBe(json.reconnect);
  });

  it('pong is a sign of life', () => {
    const world = talking(45);
    for (const { json } of fromServer('pong')) world.receive(json);
    expect(world.closes).toEqual([]);
  });
});

describe('golden frames of the client', () => {
  it('connect', () => {
    const world = new World();
    world.dial();
    expect(travelled(world.frames('connect')[0])).toMatchObject(fromClient('connect, the first') as object);
  });

  it('send', () => {
    const world = talking(0);
    for (let n = 1; n < 18; n += 1) world.say(`m${n}`, { conversation: TALK });
    world.say('line\n你好 🎉', { conversation: TALK });
    world.say('between us', { conversation: TALK, private: true });
    const [text, note] = world.frames('send').slice(-2);
    expect(travelled(text)).toMatchObject(fromClient('send, text') as object);
    expect(travelled(note)).toEqual(fromClient('send, a note'));
  });

  it('signals and subscriptions', () => {
    const world = talking(45);
    world.session.typing(TALK, { on: true, preview: 'I would li' });
    world.session.cursor('read', TALK, 45);
    world.session.page({ url: 'https://shop.example/', title: 'Shop', referrer: 'https://search.example/' });
    world.session.unsubscribe(TALK);
    world.session.subscribe(TALK);
    world.pass(30_000);
    for (const type of ['typing', 'read', 'page', 'unsubscribe', 'subscribe', 'ping'] as const) {
      expect(travelled(world.frames(type)[0]), type).toEqual(fromClient(type));
    }
  });
});
