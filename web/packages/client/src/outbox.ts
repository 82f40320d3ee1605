import type { ErrorCode, SendFrame } from './frames';
import { inOrder } from './store';
import type { LocalMessage } from './types';

/** At most so many sends may be without an answer. */
export const WINDOW = 256;

/** Messages without an answer, in order: numbered ones may have travelled, the others never have. Failed ones wait for the user. */
export class Outbox {
  #entries: LocalMessage[];

  constructor(entries: readonly LocalMessage[], public next: number) {
    this.#entries = [...entries];
  }

  list(): readonly LocalMessage[] {
    return this.#entries;
  }

  has(localId: string): boolean {
    return this.#entries.some((entry) => entry.localId === localId);
  }

  /** False if it is known already. */
  add(entry: LocalMessage): boolean {
    if (this.has(entry.localId)) return false;
    this.#entries = [...this.#entries, entry];
    return true;
  }

  byNumber(n: number): LocalMessage | undefined {
    return this.#entries.find((entry) => entry.n === n);
  }

  unanswered(from = 1): LocalMessage[] {
    return inOrder(this.#entries.filter((entry) => entry.n !== undefined && entry.n >= from));
  }

  /** The highest number up to which all have final answers. */
  acked(): number {
    return (this.unanswered()[0]?.n ?? this.next) - 1;
  }

  /** Gives numbers to as many waiting messages as the window has room for. */
  number(): LocalMessage[] {
    let room = WINDOW - this.unanswered().length;
    const numbered: LocalMessage[] = [];
    this.#entries = this.#entries.map((entry) => {
      if (entry.n !== undefined || entry.state !== 'sending' || room <= 0) return entry;
      room -= 1;
      const taken = { ...entry, n: this.next++ };
      numbered.push(taken);
      return taken;
    });
    return numbered;
  }

  /** For a session of which the server has nothing: the same messages, in the same order, from 1. */
  renumber(): LocalMessage[] {
    const order = this.unanswered().map((entry) => entry.localId);
    this.#entries = this.#entries.map((entry) => (entry.n === undefined ? entry : { ...entry, n: order.indexOf(entry.localId) + 1 }));
    this.next = order.length + 1;
    return this.unanswered();
  }

  remove(localId: string): LocalMessage | undefined {
    const entry = this.#entries.find((candidate) => candidate.localId === localId);
    this.#entries = this.#entries.filter((candidate) => candidate !== entry);
    return entry;
  }

  /** A final refusal uses the number up. */
  fail(localId: string, code: ErrorCode, message: string): LocalMessage | undefined {
    return this.#replace(localId, ({ n: _used, ...entry }) => ({ ...entry, state: 'failed', error: { code, message } }));
  }

  /** A failed message queues again at the end. */
  retry(localId: string, now: number): LocalMessage | undefined {
    const entry = this.#entries.find((candidate) => candidate.localId === localId && candidate.state === 'failed');
    if (!entry) return undefined;
    this.remove(localId);
    const { error: _gone, ...rest } = entry;
    const again: LocalMessage = { ...rest, state: 'sending', createdAt: now };
    this.add(again);
    return again;
  }

  #replace(localId: string, change: (entry: LocalMessage) => LocalMessage): LocalMessage | undefined {
    const old = this.#entries.find((entry) => entry.localId === localId);
    if (!old) return undefined;
    const changed = change(old);
    this.#entries = this.#entries.map((entry) => (entry === old ? changed : entry));
    return changed;
  }
}

export function sendFrame({ n = 0, conversation, body, private: note }: LocalMessage): SendFrame {
  return { type: 'send', n, conversation, body, private: note };
}
