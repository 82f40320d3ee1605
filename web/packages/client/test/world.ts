import type { Effects } from '../src/effects';
import type { ClientFrame, ConnectedFrame, Body, ServerFrame, TimelineEvent } from '../src/frames';
import { Session, type SessionOptions } from '../src/session';
import { FRESH, inOrder, type Change, type Saved, type SessionRecord } from '../src/store';
import type { ClientEvents, EventName, LocalMessage } from '../src/types';

export const ME = { kind: 'contact', id: '7', name: 'Ann' } as const;
export const AGENT = { kind: 'agent', id: '9', name: 'Mei' } as const;

type FrameOf<T> = ClientFrame extends infer F ? (F extends { type: infer U } ? (T extends U ? F : never) : never) : never;

/** What the session asked of the world, in order. */
export type Done =
  | { readonly do: 'open'; readonly refused: boolean }
  | { readonly do: 'frame'; readonly frame: ClientFrame }
  | { readonly do: 'close'; readonly code: number }
  | { readonly do: 'save'; readonly change: Change }
  | { readonly do: 'fetch'; readonly ticket: number; readonly conversation: string; readonly after: number };

/** A session in a test's hands: its clock, its chance, its network and its disk. */
export class World implements Effects {
  session!: Session;
  done: Done[] = [];
  chance = 0.5;
  record: SessionRecord = FRESH;
  readonly entries = new Map<string, LocalMessage>();
  private readonly heardEvents: { name: EventName; value: unknown }[] = [];
  private time = 1_000_000;
  private ids = 0;

  constructor(options: Partial<SessionOptions> = {}) {
    this.boot(options);
  }

  /** The page is loaded anew: only the disk is left. */
  boot(options: Partial<SessionOptions> = {}): void {
    this.done = [];
    this.heardEvents.length = 0;
    this.session = new Session(this, { name: 'test', version: '1', ...options }, this.disk());
  }

  disk(): Saved {
    return { record: this.record, entries: inOrder(this.entries.values()) };
  }

  now(): number {
    return this.time;
  }

  random(): number {
    return this.chance;
  }

  open(refused: boolean): void {
    this.done.push({ do: 'open', refused });
  }

  frame(frame: ClientFrame): void {
    this.done.push({ do: 'frame', frame });
  }

  close(code: number): void {
    this.done.push({ do: 'close', code });
  }

  save(change: Change): void {
    this.done.push({ do: 'save', change });
    if (change.record) this.record = change.record;
    for (const entry of change.put ?? []) this.entries.set(entry.localId, entry);
    for (const id of change.remove ?? []) this.entries.delete(id);
  }

  emit<E extends EventName>(name: E, value: ClientEvents[E]): void {
    this.heardEvents.push({ name, value });
  }

  fetch(ticket: number, conversation: string, after: number): void {
    this.done.push({ do: 'fetch', ticket, conversation, after });
  }

  // -- what a test does

  /** Start, get a token, open: up to the `connect` frame. */
  dial(token = 'T'): void {
    this.session.start();
    this.session.opened(token);
  }

  /** Up to `connected`. */
  online(change: Partial<ConnectedFrame> = {}): void {
    this.dial();
    this.receive(connected(change));
  }

  receive(...frames: ServerFrame[]): void {
    for (const frame of frames) this.session.received(frame);
  }

  /** Lets time pass, waking the session whenever it asked to be. */
  pass(ms: number): void {
    const end = this.time + ms;
    for (let next = this.session.nextTick(); next !== undefined && next <= end; next = this.session.nextTick()) {
      this.time = Math.max(next, this.time);
      this.session.tick();
    }
    this.time = end;
  }

  /** A sleep of the machine: time passes without a single tick. */
  sleep(ms: number): void {
    this.time += ms;
  }

  say(text: string, change: Partial<LocalMessage> = {}): LocalMessage {
    const body: Body = { kind: 'text', text };
    const entry: LocalMessage = { localId: `m${++this.ids}`, conversation: 'c1', body, private: false, createdAt: this.time + this.ids, state: 'sending', ...change };
    this.session.send(entry);
    return entry;
  }

  frames<T extends ClientFrame['type']>(type: T): FrameOf<T>[] {
    return this.done.flatMap((it) => (it.do === 'frame' && it.frame.type === type ? [it.frame as FrameOf<T>] : []));
  }

  /** The numbers of the sends that travelled, in order. */
  numbers(): number[] {
    return this.frames('send').map((frame) => frame.n);
  }

  heard<E extends EventName>(name: E): ClientEvents[E][] {
    return this.heardEvents.filter((event) => event.name === name).map((event) => event.value as ClientEvents[E]);
  }

  forget(): void {
    this.done = [];
    this.heardEvents.length = 0;
  }

  get opens(): number {
    return this.done.filter((it) => it.do === 'open').length;
  }

  get closes(): number[] {
    return this.done.flatMap((it) => (it.do === 'close' ? [it.code] : []));
  }
}

export function connected(change: Partial<ConnectedFrame> = {}): ConnectedFrame {
  return {
    type: 'connected',
    session: 's_1',
    resumed: false,
    c: 1,
    n: 0,
    actor: ME,
    conversations: [head(0)],
    heartbeat_ms: 25_000,
    max_frame: 65_536,
    time: 1_700_000_000_000,
    ...change,
  };
}

export function head(seq: number, id = 'c1', epoch = 'E'): ConnectedFrame['conversations'][number] {
  return { id, status: 'open', epoch, seq, read: 0, delivered: 0 };
}

export function message(seq: number, text = `m${seq}`, change: Partial<TimelineEvent> = {}): TimelineEvent {
  const event = { type: 'event', name: 'message.created', conversation: 'c1', seq, id: `${100 + seq}`, time: 1_700_000_000_000 + seq, actor: AGENT };
  return { ...event, data: { body: { kind: 'text', text }, private: false }, ...change } as TimelineEvent;
}

export function sent(n: number, seq: number, conversation = 'c1'): ServerFrame {
  return { type: 'sent', n, id: `${100 + seq}`, conversation, seq, time: 1_700_000_000_000 + seq };
}
