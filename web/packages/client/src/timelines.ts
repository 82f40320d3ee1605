import type { Effects } from './effects';
import type { ConversationHead, Position, TimelineEvent } from './frames';

/** What moves a timeline. */
export type Step =
  | { readonly conversation: string; readonly seq: number; readonly event: TimelineEvent & { readonly localId?: string } }
  | { readonly conversation: string; readonly seq: number; readonly advance: true };

export type Verdict = 'taken' | 'repeat' | 'fault' | 'unknown';

interface Resync {
  readonly ticket: number;
  readonly after: number;
  readonly to: number;
  readonly events: TimelineEvent[];
  readonly held: Step[];
  failures: number;
  retryAt: number | undefined;
}

interface Timeline {
  /** What the next frame must follow. */
  live: Position;
  /** Up to where events were given to the application; behind `live` only during a resync. */
  shown: Position;
  resync?: Resync;
}

export interface EventsPage {
  readonly epoch: string;
  readonly events: readonly TimelineEvent[];
  readonly more: boolean;
}

const RETRY_BASE = 1_000;
const RETRY_CAP = 30_000;

/** The positions of all subscribed conversations: no gap, no repeat, and resync where the server cannot replay. */
export class Timelines {
  readonly #timelines = new Map<string, Timeline>();
  #tickets = 0;

  readonly #effects: Effects;

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  /** Up to where events were given out. */
  position(conversation: string): Position | undefined {
    return this.#timelines.get(conversation)?.shown;
  }

  /** What to name in `since`, most recently moved first. */
  positions(): [string, Position][] {
    return [...this.#timelines].map(([id, timeline]): [string, Position] => [id, timeline.live]).reverse();
  }

  set(conversation: string, position: Position): void {
    this.#timelines.set(conversation, { live: position, shown: position });
  }

  forget(conversation: string): void {
    this.#timelines.delete(conversation);
  }

  /** A head without a known position is live from where it is; a known one keeps its own, and the replay follows. */
  join(head: ConversationHead): ConversationHead {
    if (!this.#timelines.has(head.id)) this.set(head.id, { epoch: head.epoch, seq: head.seq });
    const { epoch, seq } = this.#timelines.get(head.id)?.shown ?? head;
    return { ...head, epoch, seq };
  }

  take(step: Step): Verdict {
    const timeline = this.#timelines.get(step.conversation);
    if (!timeline) return 'unknown';
    const expected = timeline.live.seq + 1;
    if (step.seq < expected) return 'repeat';
    if (step.seq > expected && !('advance' in step)) return 'fault';
    timeline.live = { ...timeline.live, seq: step.seq };
    if (timeline.resync) timeline.resync.held.push(step);
    else this.#give(timeline, step);
    this.#touch(step.conversation, timeline);
    return 'taken';
  }

  resync(conversation: string, to: Position): void {
    const old = this.#timelines.get(conversation);
    const shown = old?.shown ?? { epoch: to.epoch, seq: 0 };
    const after = shown.epoch === to.epoch && shown.seq <= to.seq ? shown.seq : 0;
    const resync: Resync = { ticket: ++this.#tickets, after, to: to.seq, events: [], held: [], failures: 0, retryAt: undefined };
    this.#timelines.set(conversation, { live: to, shown, resync });
    this.#effects.fetch(resync.ticket, conversation, after);
  }

  /** False if the page belongs to another epoch: reconnect. */
  fetched(ticket: number, page: EventsPage): boolean {
    const found = this.#byTicket(ticket);
    if (!found) return true;
    const [conversation, timeline, resync] = found;
    if (page.epoch !== timeline.live.epoch) return false;
    resync.failures = 0;
    resync.events.push(...page.events.filter((event) => event.seq <= resync.to));
    const last = page.events.at(-1)?.seq;
    if (page.more && last !== undefined && last < resync.to) this.#effects.fetch(ticket, conversation, last);
    else this.#finish(conversation, timeline, resync);
    return true;
  }

  fetchFailed(ticket: number): void {
    const resync = this.#byTicket(ticket)?.[2];
    if (!resync) return;
    resync.retryAt = this.#effects.now() + Math.min(RETRY_CAP, RETRY_BASE * 2 ** resync.failures);
    resync.failures += 1;
  }

  tick(): void {
    const now = this.#effects.now();
    for (const [conversation, { resync }] of this.#timelines) {
      if (resync?.retryAt === undefined || now < resync.retryAt) continue;
      resync.retryAt = undefined;
      this.#effects.fetch(resync.ticket, conversation, resync.events.at(-1)?.seq ?? resync.after);
    }
  }

  next(): number | undefined {
    const times = [...this.#timelines.values()].flatMap(({ resync }) => resync?.retryAt ?? []);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #finish(conversation: string, timeline: Timeline, resync: Resync): void {
    delete timeline.resync;
    timeline.shown = { epoch: timeline.live.epoch, seq: resync.to };
    this.#effects.emit('resync', { conversation, ...timeline.shown, after: resync.after, events: resync.events });
    for (const step of resync.held) this.#give(timeline, step);
  }

  #give(timeline: Timeline, step: Step): void {
    timeline.shown = { ...timeline.shown, seq: step.seq };
    if ('event' in step) this.#effects.emit('event', step.event);
    else this.#effects.emit('advance', { conversation: step.conversation, seq: step.seq });
  }

  /** Keeps the map in order of last movement. */
  #touch(conversation: string, timeline: Timeline): void {
    this.#timelines.delete(conversation);
    this.#timelines.set(conversation, timeline);
  }

  #byTicket(ticket: number): [string, Timeline, Resync] | undefined {
    for (const [id, timeline] of this.#timelines) {
      if (timeline.resync?.ticket === ticket) return [id, timeline, timeline.resync];
    }
    return undefined;
  }
}
