import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClientFrame, ServerFrame } from '../src/frames';
import { Places } from '../src/places';
import type { Channel } from '../src/channel';
import { connected, head, message, sent } from './world';

const CONNECT: ClientFrame = { type: 'connect', token: 'T', c: 1, acked: 0, since: {}, client: { name: 'test', version: '1' } };
const send = (n: number): ClientFrame => ({ type: 'send', n, body: { kind: 'text', text: `m${n}` }, private: false }) as ClientFrame;

/** One request as the server sees it. */
class Call {
  readonly path: string;
  readonly body: unknown;
  readonly token: string;
  private stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  private answer!: (response: Response) => void;
  readonly response: Promise<Response>;

  constructor(url: string, init: RequestInit) {
    this.path = url.replace('http://shop/api/v1/stream', '');
    this.body = JSON.parse(init.body as string);
    this.token = (init.headers as Record<string, string>).authorization ?? '';
    this.response = new Promise((resolve, reject) => {
      this.answer = resolve;
      init.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  }

  json(frames: ServerFrame[]): void {
    this.answer(new Response(JSON.stringify(frames)));
  }

  refuse(status: number, headers: Record<string, string> = {}): void {
    this.answer(new Response('{}', { status, headers: { 'content-type': 'application/problem+json', ...headers } }));
  }

  /** Writes a piece of the stream as it is. */
  write(text: string): void {
    if (!this.stream) this.answer(new Response(new ReadableStream<Uint8Array>({ start: (stream) => void (this.stream = stream) })));
    this.stream?.enqueue(new TextEncoder().encode(text));
  }

  tell(...frames: ServerFrame[]): void {
    this.write(frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join(''));
  }

  end(): void {
    this.stream?.close();
  }
}

class FakeSocket {
  static made: FakeSocket[] = [];
  static OPEN = 1;
  readonly sent: string[] = [];
  readyState = 0;
  closed = false;
  onopen?: () => void;
  onclose?: (event: { code: number }) => void;
  onmessage?: (event: { data: string }) => void;

  constructor() {
    FakeSocket.made.push(this);
  }

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.closed = true;
  }
}

/** A page with a scripted network: WebSocket attempts fail until the way over HTTP is taken. */
class Page {
  readonly calls: Call[] = [];
  readonly heard: ServerFrame[] = [];
  closes = 0;
  opens = 0;
  channel: Channel | undefined;
  connect: ClientFrame = CONNECT;
  road!: (typeof import('../src/transport'))['anyRoad'];

  async load(): Promise<void> {
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      const call = new Call(url, init);
      this.calls.push(call);
      return call.response;
    });
    vi.stubGlobal('WebSocket', FakeSocket);
    this.road = (await import('../src/transport')).anyRoad;
  }

  open(): void {
    this.channel = this.road('ws://shop/ws', {
      opened: () => {
        this.opens += 1;
        this.channel?.send(this.connect);
      },
      received: (frame) => void this.heard.push(frame),
      closed: () => void (this.closes += 1),
    });
  }

  /** Up to the first request over HTTP. */
  async blocked(): Promise<Call> {
    for (let i = 0; i < 3; i += 1) {
      this.open();
      FakeSocket.made.at(-1)?.onclose?.({ code: 1006 });
    }
    this.open();
    return this.call(0);
  }

  async call(index: number): Promise<Call> {
    await vi.waitFor(() => expect(this.calls.length).toBeGreaterThan(index));
    return this.calls[index]!;
  }

  types(): string[] {
    return this.heard.map((frame) => frame.type);
  }
}

let page: Page;

beforeEach(async () => {
  vi.resetModules();
  FakeSocket.made = [];
  page = new Page();
  await page.load();
});
afterEach(() => {
  page.channel?.close(1000);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the choice of the road', () => {
  it('is HTTP after three attempts over WebSocket that let nothing through', async () => {
    const call = await page.blocked();
    expect(FakeSocket.made).toHaveLength(3);
    expect(page.closes).toBe(3);
    expect(call).toMatchObject({ path: '', token: 'Bearer T', body: { type: 'connect', c: 1 } });
    expect(call.body).not.toHaveProperty('token');
  });

  it('is HTTP after one that was opened and never answered', async () => {
    page.open();
    page.channel?.close(4500);
    page.open();
    await page.call(0);
    expect(FakeSocket.made).toHaveLength(1);
  });

  it('stays with WebSocket while frames come, whatever they say', () => {
    for (let i = 0; i < 5; i += 1) {
      page.open();
      FakeSocket.made.at(-1)?.onmessage?.({ data: '{"type":"close","code":4503}' });
      page.channel?.close(4500);
    }
    expect(FakeSocket.made).toHaveLength(5);
  });

  it('is polls where a stream is held up, and WebSocket again when polls fail, too', async () => {
    vi.useFakeTimers();
    await page.blocked();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(page.closes).toBe(4);
    page.open();
    const poll = await page.call(1);
    expect(poll.path).toBe('?poll=1&now=1');
    poll.refuse(502);
    await vi.waitFor(() => expect(page.closes).toBe(5));
    page.open();
    expect(FakeSocket.made).toHaveLength(4);
  });

  it('is kept for some attempts when it worked before', async () => {
    (await page.blocked()).tell(connected());
    await vi.waitFor(() => expect(page.types()).toEqual(['connected']));
    page.channel?.close(4500);
    for (let i = 1; i <= 5; i += 1) {
      page.open();
      const call = await page.call(i);
      expect(call.path).toBe('');
      call.refuse(502);
      await vi.waitFor(() => expect(page.closes).toBe(3 + i));
    }
    page.open();
    expect((await page.call(6)).path).toBe('?poll=1&now=1');
  });

  it('is WebSocket again once it answers beside a stream', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    (await page.blocked()).tell(connected());
    await vi.waitFor(() => expect(page.types()).toEqual(['connected']));
    vi.advanceTimersByTime(300_000);
    const probe = FakeSocket.made[3]!;
    probe.onopen?.();
    expect(probe.sent).toEqual(['{"type":"ping"}']);
    probe.onmessage?.({ data: '{}' });
    expect([probe.closed, page.closes]).toEqual([true, 4]);
    page.open();
    expect(FakeSocket.made).toHaveLength(5);
  });
});

describe('a stream', () => {
  it('is read by lines, however it is cut, and comments are none', async () => {
    const call = await page.blocked();
    const text = `: alive\n\ndata: ${JSON.stringify(connected())}\n\ndata: ${JSON.stringify(message(1, '你好'))}\n\n`;
    call.write(text.slice(0, 30));
    call.write(text.slice(30, 200));
    call.write(text.slice(200));
    await vi.waitFor(() => expect(page.types()).toEqual(['connected', 'event']));
    expect(page.heard[1]).toMatchObject({ data: { body: { text: '你好' } } });
  });

  it('carries frames up one request at a time, and together what came meanwhile', async () => {
    (await page.blocked()).tell(connected());
    await vi.waitFor(() => expect(page.types()).toEqual(['connected']));
    for (const n of [1, 2, 3]) page.channel?.send(send(n));
    const first = await page.call(1);
    expect(first).toMatchObject({ path: '/s_1', body: { n: 1 } });
    expect(page.calls).toHaveLength(2);
    first.json([{ type: 'pong' }]);
    expect((await page.call(2)).body).toMatchObject([{ n: 2 }, { n: 3 }]);
  });

  it('gives an answer after the event that it is for', async () => {
    const down = await page.blocked();
    down.tell(connected());
    await vi.waitFor(() => expect(page.types()).toEqual(['connected']));
    page.channel?.send(send(1));
    (await page.call(1)).json([sent(1, 1)]);
    page.channel?.send({ type: 'ping' });
    await page.call(2);
    expect(page.types()).toEqual(['connected']);
    down.tell(message(1));
    await vi.waitFor(() => expect(page.types()).toEqual(['connected', 'event', 'sent']));
  });

  it('is lost when it ends, when it falls silent, and when a request fails', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (const how of ['end', 'silence', 'request'] as const) {
      const closes = page.closes;
      const next = page.calls.length;
      if (next === 0) await page.blocked();
      else page.open();
      const down = await page.call(next);
      down.tell(connected());
      await vi.waitFor(() => expect(page.types()).toContain('connected'));
      page.heard.length = 0;
      if (how === 'end') down.end();
      else if (how === 'silence') vi.advanceTimersByTime(40_000);
      else {
        page.channel?.send({ type: 'ping' });
        (await page.call(next + 1)).refuse(404);
      }
      await vi.waitFor(() => expect(page.closes).toBeGreaterThan(closes));
    }
  });

  it('passes a refusal on as the close code that says the same', async () => {
    (await page.blocked()).refuse(429, { 'retry-after': '3' });
    await vi.waitFor(() => expect(page.heard).toMatchObject([{ type: 'close', code: 4529, after_ms: 3_000 }]));
  });

  it('does not take the word of a proxy for that of the server', async () => {
    (await page.blocked()).refuse(403, { 'content-type': 'text/html' });
    await vi.waitFor(() => expect(page.heard).toMatchObject([{ type: 'close', code: 4500 }]));
  });
});

describe('polls', () => {
  async function polling(): Promise<Call> {
    const stream = await page.blocked();
    stream.refuse(502);
    await vi.waitFor(() => expect(page.closes).toBe(4));
    page.heard.length = 0;
    page.open();
    return page.call(1);
  }

  it('follow each other, each with a new connect, and the session hears of one connection', async () => {
    (await polling()).json([connected(), message(1)]);
    page.connect = { ...CONNECT, session: 's_1', c: 2, since: { c1: { epoch: 'E', seq: 1 } } } as ClientFrame;
    const second = await page.call(2);
    expect(second).toMatchObject({ path: '?poll=1', body: { c: 2, since: { c1: { seq: 1 } } } });
    second.json([connected({ c: 2, resumed: true, conversations: [head(2)] }), message(2)]);
    await vi.waitFor(() => expect(page.types()).toEqual(['connected', 'event', 'event']));
  });

  it('tell of a conversation that began between two of them', async () => {
    (await polling()).json([connected({ conversations: [] }), { type: 'pong' }]);
    (await page.call(2)).json([connected({ c: 2, resumed: true, conversations: [head(2)] })]);
    await vi.waitFor(() => expect(page.types()).toEqual(['connected', 'pong', 'subscribed']));
    expect(page.heard[2]).toMatchObject({ conversation: 'c1', epoch: 'E', seq: 2 });
  });

  it('end when the session is another one', async () => {
    (await polling()).json([connected(), message(1)]);
    (await page.call(2)).json([connected({ session: 's_2' })]);
    await vi.waitFor(() => expect(page.closes).toBe(5));
  });
});

describe('places', () => {
  it('let an agent write where it does not listen, and a contact wait for the conversation that it begins', () => {
    for (const [kind, first] of [['agent', 'sent'], ['contact', undefined]] as const) {
      const places = new Places();
      places.came(connected({ actor: { kind, id: '1' } }));
      places.answered([sent(1, 1, 'c2')]);
      expect(places.next()?.type).toBe(first);
    }
  });

  it('begin where the client said', () => {
    const places = new Places();
    places.sending({ ...CONNECT, since: { c1: { epoch: 'E', seq: 1 } } } as ClientFrame);
    places.came(connected({ conversations: [head(3)] }));
    places.answered([sent(1, 2)]);
    expect(places.next()).toBeUndefined();
    places.came(message(2));
    expect(places.next()).toMatchObject({ n: 1 });
  });
});
