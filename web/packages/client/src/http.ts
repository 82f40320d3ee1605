import type { Channel, TransportHandlers } from './channel';
import { CLOSE } from './close';
import type { ClientFrame, ConnectedFrame, ServerFrame } from './frames';
import { Places } from './places';
import { apiBase } from './rest';

type ConnectFrame = Extract<ClientFrame, { type: 'connect' }>;

/** A proxy that collects the response takes longer than this for the first event. */
const FIRST = 5_000;
/** How long a response may say nothing: a stream has a comment every 15 s, a poll is answered within 25 s. */
const SILENCE = 40_000;
/** The shortest time from one poll to the next where a poll brought no event. */
const QUIET = 1_000;
/** How often WebSocket is tried again beside a connection over HTTP. */
const PROBE = 300_000;
const MAX_FRAMES = 256;
const CODES: Readonly<Record<number, number>> = { 400: 4400, 401: 4401, 403: 4403, 409: 4409, 413: 4413, 429: 4529, 503: 4529 };
const NEWS = ['event', 'advance', 'resync', 'subscribed'];

/** Failed attempts on a way that worked before it is left: the server may be away, and not the way. */
const LOYALTY = 5;

/** Streams did not come through here. */
let polling = false;
/** Whether this way ever worked, and how often it failed since. */
let worked = false;
let failures = 0;

class Refused extends Error {
  readonly code: number;
  readonly after: number;

  constructor(response: Response) {
    super(`HTTP ${response.status}`);
    // What a proxy refuses in its own name is no verdict of the server.
    const ours = response.headers.get('content-type')?.startsWith('application/problem+json');
    this.code = (ours && CODES[response.status]) || CLOSE.fault;
    this.after = Number(response.headers.get('retry-after')) * 1_000 || 0;
  }
}

/** A connection over HTTP: a stream, or polls where a proxy holds it up. `back`: let the next attempt be over WebSocket. */
export function http(url: string, handlers: TransportHandlers, back: () => void): Channel {
  return new HttpChannel(url, handlers, back);
}

class HttpChannel implements Channel {
  readonly #polls = polling;
  readonly #queue: string[] = [];
  readonly #places = new Places();
  readonly #abort = new AbortController();
  readonly #probe: ReturnType<typeof setInterval>;
  #token = '';
  #session = '';
  #maxFrame = 65_536;
  #busy = false;
  #over = false;
  #patience: ReturnType<typeof setTimeout> | undefined;

  readonly #url: string;
  readonly #handlers: TransportHandlers;
  readonly #back: () => void;

  constructor(url: string, handlers: TransportHandlers, back: () => void) {
    this.#url = url;
    this.#handlers = handlers;
    this.#back = back;
    this.#probe = setInterval(() => this.#tryWebSocket(), PROBE);
    queueMicrotask(() => this.#over || handlers.opened());
  }

  send(frame: ClientFrame): void {
    if (this.#over) return;
    this.#places.sending(frame);
    if (frame.type === 'connect') return void this.#down(frame);
    this.#queue.push(JSON.stringify(frame));
    void this.#up();
  }

  close(_code?: number): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#patience);
    clearInterval(this.#probe);
    this.#abort.abort();
    failures = this.#session ? 0 : failures + 1;
    if (failures >= (worked ? LOYALTY : 1)) this.#leave();
  }

  /** The other way next, and after both WebSocket again. */
  #leave(): void {
    if (this.#polls) this.#back();
    polling = !this.#polls;
    worked = false;
    failures = 0;
  }

  // -- down

  async #down(connect: ConnectFrame): Promise<void> {
    this.#token = connect.token;
    const body = JSON.stringify({ ...connect, token: undefined });
    try {
      await (this.#polls ? this.#poll(body) : this.#stream(body));
    } catch (error) {
      this.#failed(error);
    }
  }

  async #stream(connect: string): Promise<void> {
    this.#expect(FIRST);
    const response = await this.#post('', connect);
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return this.#lost();
      this.#expect(SILENCE);
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data:')) this.#came(JSON.parse(line.slice(5)) as ServerFrame);
    }
  }

  async #poll(connect: string): Promise<void> {
    this.#expect(SILENCE);
    const began = Date.now();
    // The first one tells the session that it is connected, news or not.
    const response = await this.#post(this.#session ? '?poll=1' : '?poll=1&now=1', connect);
    const frames = (await response.json()) as ServerFrame[];
    for (const frame of frames) this.#came(frame);
    const rest = frames.some(({ type }) => NEWS.includes(type)) ? 0 : began + QUIET - Date.now();
    setTimeout(() => this.#over || this.#handlers.opened(), Math.max(0, rest));
  }

  #came(frame: ServerFrame): void {
    if (frame.type === 'connected' && this.#session) return this.#counted(frame);
    if (frame.type === 'connected') [this.#session, this.#maxFrame, worked] = [frame.session, frame.max_frame, true];
    this.#places.came(frame);
    this.#give(frame);
    this.#release();
    if (frame.type === 'connected') void this.#up();
  }

  /** The session goes on from poll to poll; what it does not follow yet has begun meanwhile. */
  #counted(frame: ConnectedFrame): void {
    if (frame.session !== this.#session) return this.#lost();
    for (const { id: conversation, ...head } of frame.conversations) {
      if (!this.#places.knows(conversation)) this.#came({ type: 'subscribed', conversation, ...head });
    }
    this.#release();
  }

  #release(): void {
    for (let frame = this.#places.next(); frame; frame = this.#places.next()) this.#give(frame);
  }

  #give(frame: ServerFrame): void {
    if (!this.#over) this.#handlers.received(frame);
  }

  // -- up

  /** One request at a time, so that the order is kept. */
  async #up(): Promise<void> {
    if (this.#busy || !this.#session) return;
    this.#busy = true;
    try {
      while (this.#queue.length > 0) {
        const response = await this.#post(`/${this.#session}`, this.#batch());
        this.#places.answered((await response.json()) as ServerFrame[]);
        this.#release();
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#busy = false;
  }

  /** As much as one request may carry: an array is bounded as a frame is. */
  #batch(): string {
    let count = 0;
    let size = 1;
    for (const frame of this.#queue.slice(0, MAX_FRAMES)) {
      size += new TextEncoder().encode(frame).length + 1;
      if (count > 0 && size > this.#maxFrame) break;
      count += 1;
    }
    const frames = this.#queue.splice(0, count);
    return count === 1 ? frames[0]! : `[${frames.join(',')}]`;
  }

  async #post(path: string, body: string): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    const response = await fetch(`${apiBase(this.#url)}/stream${path}`, { method: 'POST', headers, body, signal: this.#abort.signal });
    if (!response.ok) throw new Refused(response);
    return response;
  }

  // -- the end

  #expect(within: number): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#lost(), within);
  }

  #failed(error: unknown): void {
    if (error instanceof Refused) this.#give({ type: 'close', code: error.code, reason: error.message, reconnect: true, after_ms: error.after });
    this.#lost();
  }

  #lost(): void {
    if (this.#over) return;
    this.close();
    this.#handlers.closed();
  }

  /** Any answer proves that frames pass both ways. */
  #tryWebSocket(): void {
    const socket = new WebSocket(this.#url);
    socket.onopen = () => socket.send('{"type":"ping"}');
    socket.onmessage = () => {
      socket.close();
      if (this.#over) return;
      this.#back();
      this.#lost();
    };
  }
}
