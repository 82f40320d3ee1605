import { CLOSE } from './close';
import type { Effects } from './effects';
import type { ErrorFrame, SentFrame } from './frames';
import type { Link } from './link';
import { Outbox, sendFrame } from './outbox';
import type { Saved, SessionRecord } from './store';
import type { LocalMessage } from './types';

const REORDER_WAIT = 200;
const REORDER_CAP = 5_000;
/** A send without any answer for so long means that the connection is not what it seems. */
const ANSWER_TIMEOUT = 30_000;

/** The numbers: stored before they travel, answered in order, resent after each connection. */
export class Sends {
  readonly outbox: Outbox;
  #record: SessionRecord;
  #maxFrame = 65_536;
  /** Nothing from `expected` on was taken: resend at `until`. */
  #hold: { expected: number; until: number } | undefined;
  /** The last `expected` that was resent, and how many refusals of frames from before that are still to come. */
  #resent = { expected: 0, stale: 0, tries: 0 };
  #inFlight = 0;
  #answeredAt = 0;

  readonly #effects: Effects;
  readonly #link: Link;

  constructor(
    effects: Effects,
    link: Link,
    saved: Saved,
  ) {
    this.#effects = effects;
    this.#link = link;
    this.#record = saved.record;
    this.outbox = new Outbox(saved.entries, saved.record.next);
  }

  get session(): string | null {
    return this.#record.session;
  }

  /** Counts the connection that is about to be made. */
  nextConnection(): number {
    this.#save({ c: this.#record.c + 1 });
    return this.#record.c;
  }

  /** Takes over what the server said of the session, then resends. Messages of another actor are not sent in this one's name. */
  connected(frame: { session: string; resumed: boolean; c: number; n: number; max_frame: number }, actor: string): void {
    this.#maxFrame = frame.max_frame;
    this.#hold = undefined;
    this.#resent = { expected: 0, stale: 0, tries: 0 };
    this.#inFlight = 0;
    if (this.#record.actor !== null && this.#record.actor !== actor) this.#disown();
    const renumbered = frame.resumed ? [] : this.outbox.renumber();
    // The store may be behind the server (it lost its last write): those numbers belong to messages that are gone.
    if (frame.resumed) this.outbox.next = Math.max(this.outbox.next, frame.n + 1);
    this.#save({ session: frame.session, actor, c: Math.max(this.#record.c, frame.c) }, renumbered);
    if (renumbered.length > 0) this.#changed();
    this.#resend(1);
    this.#pump();
  }

  accept(entry: LocalMessage): void {
    if (!this.outbox.add(entry)) return;
    if (entry.state === 'sending' && this.#tooLarge(entry)) return this.#refuse(entry, 'too_large', 'too large');
    if (!this.#pump()) this.#effects.save({ put: [entry] });
    this.#changed();
  }

  retry(localId: string): void {
    const entry = this.outbox.retry(localId, this.#effects.now());
    if (!entry) return;
    if (!this.#pump()) this.#effects.save({ put: [entry] });
    this.#changed();
  }

  /** Only what failed or never travelled can be forgotten. */
  discard(localId: string): void {
    const entry = this.outbox.list().find((candidate) => candidate.localId === localId);
    if (!entry || entry.n !== undefined) return;
    this.outbox.remove(localId);
    this.#effects.save({ remove: [localId] });
    this.#changed();
  }

  /** The message that a `sent` answers; undefined if its answer came before. */
  sent(frame: SentFrame): LocalMessage | undefined {
    this.#answered();
    const entry = this.outbox.byNumber(frame.n);
    if (!entry) return undefined;
    this.outbox.remove(entry.localId);
    this.#resent.tries = 0;
    this.#effects.save({ remove: [entry.localId] });
    return entry;
  }

  /** Tells the listeners of a settled message, and uses the room in the window. */
  settled(entry: LocalMessage, frame: SentFrame): void {
    const { id, conversation, seq, time } = frame;
    this.#effects.emit('sent', { ...entry, state: 'sent', id, conversation, seq, time });
    this.#pump();
    this.#changed();
  }

  error(frame: ErrorFrame & { n: number }): void {
    this.#answered();
    if (frame.code === 'out_of_order') return this.outOfOrder(frame.expected ?? frame.n, frame.retry_after_ms);
    if (frame.retry_after_ms !== undefined) return this.#holdFrom(frame.n, frame.retry_after_ms);
    const entry = this.outbox.byNumber(frame.n);
    if (!entry) return;
    this.#refuse(entry, frame.code, frame.message ?? '');
    this.#pump();
  }

  /** An `out_of_order` may come without `n`. */
  outOfOrder(expected: number, after?: number): void {
    if (this.#hold?.expected === expected) return;
    if (this.#resent.expected === expected && this.#resent.stale > 0) {
      this.#resent.stale -= 1;
      return;
    }
    if (!this.outbox.byNumber(expected)) return this.#link.drop({ code: CLOSE.fault });
    const tries = this.#resent.expected === expected ? this.#resent.tries : 0;
    this.#holdFrom(expected, after ?? Math.min(REORDER_CAP, REORDER_WAIT * 2 ** tries));
  }

  tick(): void {
    const now = this.#effects.now();
    if (!this.#link.online) return;
    if (this.#hold && now >= this.#hold.until) return this.#release(this.#hold.expected);
    if (this.#waitsForAnswer() && now >= this.#answeredAt + ANSWER_TIMEOUT) this.#link.drop({ code: CLOSE.fault });
  }

  next(): number | undefined {
    if (!this.#link.online) return undefined;
    if (this.#hold) return this.#hold.until;
    return this.#waitsForAnswer() ? this.#answeredAt + ANSWER_TIMEOUT : undefined;
  }

  #waitsForAnswer(): boolean {
    return this.#inFlight > 0 && this.outbox.unanswered().length > 0;
  }

  #answered(): void {
    this.#answeredAt = this.#effects.now();
    this.#inFlight = Math.max(0, this.#inFlight - 1);
  }

  #holdFrom(expected: number, after: number): void {
    this.#hold = { expected, until: this.#effects.now() + after };
  }

  #release(expected: number): void {
    const tries = this.#resent.expected === expected ? this.#resent.tries + 1 : 1;
    this.#resent = { expected, stale: this.#inFlight, tries };
    this.#hold = undefined;
    this.#resend(expected);
    this.#pump();
  }

  #resend(from: number): void {
    for (const entry of this.outbox.unanswered(from)) this.#transmit(entry);
  }

  #transmit(entry: LocalMessage): void {
    if (this.#inFlight === 0) this.#answeredAt = this.#effects.now();
    this.#inFlight += 1;
    this.#link.send(sendFrame(entry));
  }

  /** Numbers, stores and sends what the window lets through; nothing new overtakes a hold. */
  #pump(): boolean {
    if (!this.#link.online || this.#hold) return false;
    const numbered = this.outbox.number();
    if (numbered.length === 0) return false;
    this.#save({}, numbered);
    for (const entry of numbered) this.#transmit(entry);
    return true;
  }

  #refuse(entry: LocalMessage, code: ErrorFrame['code'], message: string): void {
    const failed = this.outbox.fail(entry.localId, code, message);
    if (!failed) return;
    this.#save({}, [failed]);
    this.#effects.emit('failed', failed);
    this.#changed();
  }

  #disown(): void {
    const others = [...this.outbox.list()];
    for (const entry of others) this.outbox.remove(entry.localId);
    this.#effects.save({ remove: others.map((entry) => entry.localId) });
    for (const entry of others) {
      this.#effects.emit('failed', { ...entry, state: 'failed', error: { code: 'forbidden', message: 'another actor' } });
    }
    this.#changed();
  }

  #tooLarge(entry: LocalMessage): boolean {
    const frame = { ...sendFrame(entry), n: Number.MAX_SAFE_INTEGER };
    return new TextEncoder().encode(JSON.stringify(frame)).length > this.#maxFrame;
  }

  #save(change: Partial<SessionRecord>, put: readonly LocalMessage[] = []): void {
    this.#record = { ...this.#record, ...change, next: this.outbox.next };
    this.#effects.save({ record: this.#record, put });
  }

  #changed(): void {
    this.#effects.emit('outbox', this.outbox.list());
  }
}
