import { describe, expect, it, vi } from 'vitest';
import type { Body } from '../src/frames';
import { House, until } from './house';
import { connected, head, message, sent } from './world';

const text = (value: string): Body => ({ kind: 'text', text: value });

describe('a client', () => {
  it('gives the message at once and settles it when the server answers', async () => {
    const house = new House();
    const { client, of } = bind(house);
    const line = await house.answer(1);
    const local = client.send(text('hi'), { conversation: 'c1' });
    expect(local).toMatchObject({ state: 'sending', body: { text: 'hi' } });
    expect(client.outbox).toMatchObject([{ localId: local.localId }]);
    await until(() => line.sends().length === 1);
    line.tell(sent(1, 1));
    expect(of('sent')).toMatchObject([{ localId: local.localId, seq: 1 }]);
    expect(client.outbox).toEqual([]);
    await client.stop();
  });

  it('keeps a message that was written before start', async () => {
    const house = new House();
    const first = house.tab();
    first.client.send(text('early'));
    const line = await house.answer(1);
    await until(() => line.sends().length === 1);
    await first.client.stop();
  });

  it('keeps an unsent message through a reload and sends it once, with its first number', async () => {
    const house = new House();
    const before = house.tab();
    const first = await house.answer(1);
    const local = before.client.send(text('hi'), { conversation: 'c1' });
    await until(() => first.sends().length === 1);
    before.tabs?.crash();
    const after = house.tab();
    await until(() => after.client.outbox.length === 1);
    const second = await house.answer(2, connected({ resumed: true, c: 2, n: 1, conversations: [head(1)] }));
    await until(() => second.sends().length === 1);
    expect(second.frames[0]).toMatchObject({ type: 'connect', session: 's_1', c: 2, acked: 0 });
    expect(second.sends()[0]).toMatchObject({ n: 1, body: { text: 'hi' } });
    second.tell(sent(1, 1));
    expect(after.of('sent')).toMatchObject([{ localId: local.localId }]);
    await after.client.stop();
    const later = house.tab();
    await house.answer(3);
    expect(later.client.outbox).toEqual([]);
    await later.client.stop();
  });

  it('does not let one bad listener starve the others', async () => {
    const house = new House();
    vi.stubGlobal('reportError', vi.fn());
    const tab = house.tab();
    tab.client.on('event', () => {
      throw new Error('mine');
    });
    const heard = vi.fn();
    tab.client.on('event', heard);
    (await house.answer(1)).tell(message(1));
    expect(heard).toHaveBeenCalledOnce();
    expect(reportError).toHaveBeenCalledOnce();
    vi.unstubAllGlobals();
    await tab.client.stop();
  });

  it('tells no more after the listener was ended', async () => {
    const house = new House();
    const tab = house.tab();
    const heard = vi.fn();
    tab.client.on('event', heard)();
    (await house.answer(1)).tell(message(1));
    expect(heard).not.toHaveBeenCalled();
    await tab.client.stop();
  });

  it('does not lead after it was stopped in the moment of its start', async () => {
    const house = new House();
    const first = house.tab();
    const stopped = first.client.stop();
    const second = house.tab();
    await stopped;
    await house.answer(1);
    await until(() => second.client.status.state === 'online');
    expect(first.client.status.state).toBe('stopped');
    await second.client.stop();
    expect(house.lines).toHaveLength(1);
  });

  it('starts again after stop', async () => {
    const house = new House();
    const tab = house.tab();
    await house.answer(1);
    await tab.client.stop();
    expect(tab.client.status.state).toBe('stopped');
    tab.client.start();
    await house.answer(2);
    expect(tab.client.status.state).toBe('online');
    await tab.client.stop();
  });
});

describe('two tabs', () => {
  it('share one connection; both see everything', async () => {
    const house = new House();
    const one = house.tab();
    const two = house.tab();
    const line = await house.answer(1);
    await until(() => two.client.status.state === 'online');
    expect(two.client.status.follower).toBe(true);
    line.tell(message(1, 'hello'));
    await until(() => two.of('event').length === 1);
    expect(one.of('event')).toHaveLength(1);
    expect(house.lines).toHaveLength(1);
    await two.client.stop();
    await one.client.stop();
  });

  it('send through the leader, each message once', async () => {
    const house = new House();
    const one = house.tab();
    const line = await house.answer(1);
    const two = house.tab();
    await until(() => two.client.status.state === 'online');
    const local = two.client.send(text('from two'), { conversation: 'c1' });
    expect(two.client.outbox).toHaveLength(1);
    await until(() => line.sends().length === 1);
    line.tell(sent(1, 1));
    await until(() => two.of('sent').length === 1);
    expect(two.of('sent')[0]).toMatchObject({ localId: local.localId, state: 'sent' });
    expect(one.of('event')).toMatchObject([{ localId: local.localId, seq: 1 }]);
    expect(two.client.outbox).toEqual([]);
    expect(line.sends()).toHaveLength(1);
    await two.client.stop();
    await one.client.stop();
  });

  it('that come later learn what the first knows', async () => {
    const house = new House();
    const one = house.tab();
    const line = await house.answer(1);
    line.tell(message(1), message(2));
    const two = house.tab();
    await until(() => two.of('connected').length === 1);
    expect(two.of('connected')[0]?.conversations).toMatchObject([{ id: 'c1', seq: 2 }]);
    expect(two.client.position('c1')).toEqual({ epoch: 'E', seq: 2 });
    await two.client.stop();
    await one.client.stop();
  });

  it('survive the death of the leader: same session, next c, positions and unsent messages kept', async () => {
    const house = new House();
    const one = house.tab();
    const first = await house.answer(1);
    const two = house.tab();
    await until(() => two.client.status.state === 'online');
    first.tell(message(1));
    await until(() => two.of('event').length === 1);
    two.client.send(text('a'), { conversation: 'c1' });
    await until(() => first.sends().length === 1);
    one.tabs?.crash();
    two.client.send(text('b'), { conversation: 'c1' });
    const second = await house.answer(2, connected({ resumed: true, c: 2, n: 1, conversations: [head(1)] }));
    await until(() => second.sends().length === 2);
    expect(second.frames[0]).toMatchObject({ session: 's_1', c: 2, acked: 0, since: { c1: { epoch: 'E', seq: 1 } } });
    expect(second.sends().map((frame) => [frame.n, frame.body.kind === 'text' && frame.body.text])).toEqual([[1, 'a'], [2, 'b']]);
    second.tell(sent(1, 2), sent(2, 3));
    expect(two.of('sent')).toHaveLength(2);
    await two.client.stop();
  });

  it('take over from a leader that is frozen, which then writes nothing more', async () => {
    const house = new House();
    const one = house.tab();
    const first = await house.answer(1);
    const two = house.tab();
    await until(() => two.client.status.state === 'online');
    if (one.tabs) one.tabs.frozen = true;
    two.client.send(text('hello?'), { conversation: 'c1' });
    two.tabs?.seize();
    const second = await house.answer(2, connected({ resumed: true, c: 2, conversations: [head(0)] }));
    await until(() => second.sends().length === 1);
    expect(first.closed).toBe(1000);
    one.client.send(text('late'), { conversation: 'c1' });
    expect(first.sends()).toEqual([]);
    await two.client.stop();
  });
});

function bind(house: House): { client: ReturnType<House['tab']>['client']; of: ReturnType<House['tab']>['of'] } {
  const tab = house.tab();
  return { client: tab.client, of: tab.of.bind(tab) };
}
