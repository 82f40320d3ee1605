import { IDBFactory } from 'fake-indexeddb';
import { Client, type Platform } from '../src/client';
import type { ClientFrame, ServerFrame } from '../src/frames';
import { IndexedDbStore } from '../src/store';
import type { TabMessage, Tabs } from '../src/tabs';
import type { TransportHandlers } from '../src/channel';
import type { ClientEvents, EventName } from '../src/types';
import { connected, head } from './world';

/** One connection as the server sees it. */
export class Line {
  readonly frames: ClientFrame[] = [];
  closed: number | undefined;

  constructor(private readonly handlers: TransportHandlers) {}

  open(): void {
    this.handlers.opened();
  }

  tell(...frames: ServerFrame[]): void {
    for (const frame of frames) this.handlers.received(frame);
  }

  hangUp(code: number): void {
    this.closed = code;
    this.handlers.closed(code);
  }

  sends(): Extract<ClientFrame, { type: 'send' }>[] {
    return this.frames.filter((frame) => frame.type === 'send');
  }
}

/** One browser: its disk, its locks, its channel between tabs, and the server's side of its connections. */
export class House {
  readonly lines: Line[] = [];
  readonly tabs: FakeTabs[] = [];
  private readonly idb = new IDBFactory();

  readonly platform: Platform = {
    transport: (_url, handlers) => {
      const line = new Line(handlers);
      this.lines.push(line);
      return {
        send: (frame) => void (line.closed === undefined && line.frames.push(frame)),
        close: (code) => void (line.closed ??= code),
      };
    },
    openStore: (name) => {
      globalThis.indexedDB = this.idb;
      return IndexedDbStore.open(name ?? 'none');
    },
    joinTabs: () => {
      const tab = new FakeTabs(this);
      this.tabs.push(tab);
      return tab;
    },
  };

  tab(name = 'store'): TestTab {
    return new TestTab(this, name);
  }

  get line(): Line {
    const line = this.lines.at(-1);
    if (!line) throw new Error('nobody called yet');
    return line;
  }

  /** Waits for the next connection and answers it. */
  async answer(count: number, frame = connected({ conversations: [head(0)], c: count, resumed: count > 1 })): Promise<Line> {
    await until(() => this.lines.length === count);
    const { line } = this;
    line.open();
    await until(() => line.frames.length > 0);
    line.tell(frame);
    return line;
  }
}

export class TestTab {
  readonly client: Client;
  readonly heard: { name: EventName; value: unknown }[] = [];
  readonly tabs: FakeTabs | undefined;

  constructor(house: House, store: string) {
    this.client = new Client({ url: 'ws://host.test/ws', token: async () => 'T', name: 'test', version: '1', store }, house.platform);
    for (const name of ['status', 'connected', 'event', 'sent', 'failed', 'outbox', 'subscribed', 'signal', 'resync'] as const) {
      this.client.on(name, (value) => void this.heard.push({ name, value }));
    }
    this.client.start();
    this.tabs = house.tabs.at(-1);
  }

  of<E extends EventName>(name: E): ClientEvents[E][] {
    return this.heard.filter((event) => event.name === name).map((event) => event.value as ClientEvents[E]);
  }
}

/** Locks and a broadcast channel in memory. The first in the queue leads. */
export class FakeTabs implements Tabs {
  private static readonly queues = new WeakMap<House, FakeTabs[]>();
  private listener: ((message: TabMessage) => void) | undefined;
  private callbacks: { lead: () => void; lost: () => void } | undefined;
  /** A frozen tab hears and says nothing. */
  frozen = false;

  constructor(private readonly house: House) {
    if (!FakeTabs.queues.has(house)) FakeTabs.queues.set(house, []);
  }

  private get queue(): FakeTabs[] {
    return FakeTabs.queues.get(this.house) ?? [];
  }

  post(message: TabMessage): void {
    if (this.frozen) return;
    const copy = structuredClone(message);
    for (const other of this.house.tabs) if (other !== this && !other.frozen) queueMicrotask(() => other.listener?.(copy));
  }

  listen(listener: (message: TabMessage) => void): void {
    this.listener = listener;
  }

  campaign(lead: () => void, lost: () => void): void {
    this.callbacks = { lead, lost };
    this.queue.push(this);
    if (this.queue[0] === this) queueMicrotask(lead);
  }

  seize(): void {
    const [holder] = this.queue.splice(0, 1);
    this.queue.splice(this.queue.indexOf(this), 1);
    this.queue.unshift(this);
    holder?.callbacks?.lost();
    this.callbacks?.lead();
  }

  leave(): void {
    this.listener = undefined;
    const first = this.queue[0] === this;
    const at = this.queue.indexOf(this);
    if (at >= 0) this.queue.splice(at, 1);
    if (first) this.queue[0]?.callbacks?.lead();
  }

  /** The tab is closed without a word: what it was about to write or say is gone. */
  crash(): void {
    this.frozen = true;
    this.leave();
  }
}

export async function until(condition: () => boolean, ms = 3_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
