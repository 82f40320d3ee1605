import { CLOSE } from './close';
import type { Effects } from './effects';
import type {
  Actor, ClientFrame, ConnectedFrame, ConversationHead, ErrorFrame, Position, SentFrame, ServerFrame, SubscribedFrame, TimelineEvent, Visit,
} from './frames';
import { Link } from './link';
import { Sends } from './sends';
import { Signals } from './signals';
import { FRESH, type Saved } from './store';
import { Timelines, type EventsPage, type Step } from './timelines';
import type { LocalMessage, StopReason } from './types';

/** `since` may name at most so many conversations. */
const SINCE_LIMIT = 500;

export interface SessionOptions {
  readonly name: string;
  readonly version: string;
  readonly autoDelivered?: boolean;
}

/**
 * The client side of docs/reference/protocol.md, without I/O: frames, user actions, transport events and ticks go in; effects come out.
 * Nothing here waits, and time and chance come from the effects, so a test owns both.
 */
export class Session {
  actor: Actor | null = null;
  readonly #link: Link;
  readonly #sends: Sends;
  readonly #timelines: Timelines;
  readonly #signals: Signals;
  /** Asked for by the application, with the position it has. */
  readonly #wanted = new Set<string>();

  readonly #effects: Effects;
  readonly #options: SessionOptions;

  constructor(
    effects: Effects,
    options: SessionOptions,
    saved: Saved = { record: FRESH, entries: [] },
  ) {
    this.#effects = effects;
    this.#options = options;
    this.#link = new Link(effects);
    this.#sends = new Sends(effects, this.#link, saved);
    this.#timelines = new Timelines(effects);
    this.#signals = new Signals(effects);
  }

  get outbox(): readonly LocalMessage[] {
    return this.#sends.outbox.list();
  }

  position(conversation: string): Position | undefined {
    return this.#timelines.position(conversation);
  }

  // -- what the application asks

  /** Connects; while it waits for the next attempt, tries now. */
  start(): void {
    if (this.#link.phase === 'stopped') this.#link.start();
    else this.#link.wake();
  }

  /** Somebody wants to be heard: worth an attempt before its time. */
  #hurry(): void {
    if (this.#link.phase === 'waiting') this.#link.wake();
  }

  stop(reason: StopReason = 'stopped'): void {
    this.#link.stop(reason);
  }

  send(entry: LocalMessage): void {
    this.#sends.accept(entry);
    this.#hurry();
  }

  retry(localId: string): void {
    this.#sends.retry(localId);
    this.#hurry();
  }

  discard(localId: string): void {
    this.#sends.discard(localId);
  }

  subscribe(conversation: string, position?: Position): void {
    this.#wanted.add(conversation);
    const known = this.#timelines.position(conversation);
    if (known) return;
    if (position) this.#timelines.set(conversation, position);
    if (this.#link.online) this.#link.send({ type: 'subscribe', conversation, since: position });
  }

  unsubscribe(conversation: string): void {
    this.#wanted.delete(conversation);
    this.#timelines.forget(conversation);
    if (this.#link.online) this.#link.send({ type: 'unsubscribe', conversation });
  }

  typing(conversation: string, want: { on: boolean; preview?: string; private?: boolean }): void {
    this.#signals.typing(conversation, want);
    this.#flush();
  }

  cursor(kind: 'read' | 'delivered', conversation: string, seq: number): void {
    this.#signals.cursor(kind, conversation, seq);
    this.#flush();
  }

  page(visit: Visit): void {
    this.#signals.page(visit);
    this.#flush();
  }

  // -- what the world reports

  /** The transport is open; while it is in use: it is a series of polls, and wants the `connect` of the next one. */
  opened(token: string): void {
    if (!this.#link.online) this.#link.joining();
    const c = this.#sends.nextConnection();
    const { session } = this.#sends;
    this.#link.send({
      type: 'connect',
      token,
      session: session ?? undefined,
      c,
      acked: this.#sends.outbox.acked(),
      since: Object.fromEntries(this.#timelines.positions().slice(0, SINCE_LIMIT)),
      client: { name: this.#options.name, version: this.#options.version },
    });
  }

  /** No token: for now, or (`final`) until the user signs in again. */
  tokenFailed(final: boolean): void {
    this.#link.tokenFailed(final);
  }

  closed(code?: number): void {
    this.#link.closed(code === undefined ? {} : { code });
  }

  wake(): void {
    this.#link.wake();
  }

  /** The system says that the network is gone: it has `grace` ms to prove otherwise. */
  doubt(grace: number): void {
    this.#link.doubt(grace);
  }

  fetched(ticket: number, page: EventsPage): void {
    if (!this.#timelines.fetched(ticket, page)) this.#fault();
  }

  fetchFailed(ticket: number): void {
    this.#timelines.fetchFailed(ticket);
  }

  tick(): void {
    this.#link.tick();
    this.#sends.tick();
    this.#timelines.tick();
    this.#flush();
  }

  /** When `tick` is wanted next; undefined: never, unless something happens. */
  nextTick(): number | undefined {
    const signals = this.#link.online ? this.#signals.next() : undefined;
    const times = [this.#link.next(), this.#sends.next(), this.#timelines.next(), signals].filter((time) => time !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  received(frame: ServerFrame): void {
    this.#link.heard();
    if (frame.type === 'close') return this.#link.drop(frame);
    if (frame.type === 'connected') return this.#connected(frame);
    if (frame.type === 'error') return this.#error(frame);
    if (this.#link.online) this.#dispatch(frame);
  }

  #dispatch(frame: Exclude<ServerFrame, { type: 'close' | 'connected' | 'error' }>): void {
    switch (frame.type) {
      case 'event':
        return this.#event(frame);
      case 'sent':
        return this.#sent(frame);
      case 'advance':
        return void this.#step({ conversation: frame.conversation, seq: frame.seq, advance: true });
      case 'subscribed':
        return this.#subscribed(frame);
      case 'unsubscribed':
        this.#timelines.forget(frame.conversation);
        this.#wanted.delete(frame.conversation);
        return this.#effects.emit('unsubscribed', { conversation: frame.conversation });
      case 'resync':
        return this.#timelines.resync(frame.conversation, { epoch: frame.epoch, seq: frame.seq });
      case 'signal':
        return this.#effects.emit('signal', frame);
      default:
        return;
    }
  }

  #connected(frame: ConnectedFrame): void {
    if (this.#link.phase !== 'joining') return this.#fault();
    this.actor = frame.actor;
    this.#link.joined(frame.heartbeat_ms);
    const positions = this.#timelines.positions();
    const conversations = frame.conversations.map((head) => this.#timelines.join(head));
    const { session, resumed, actor, time } = frame;
    this.#effects.emit('connected', { session, resumed, actor, time, conversations });
    this.#sends.connected(frame, `${actor.kind}:${actor.id}`);
    this.#rejoin(positions);
    this.#signals.connected(frame.conversations);
    this.#flush();
  }

  /** Subscribes to what `since` had no room for, and to what was asked for while there was no connection. */
  #rejoin(positions: readonly [string, Position][]): void {
    for (const [conversation, since] of positions.slice(SINCE_LIMIT)) this.#link.send({ type: 'subscribe', conversation, since });
    for (const conversation of this.#wanted) {
      if (!this.#timelines.position(conversation)) this.#link.send({ type: 'subscribe', conversation });
    }
  }

  #subscribed(frame: SubscribedFrame): void {
    const { type: _type, conversation, ...rest } = frame;
    this.#effects.emit('subscribed', this.#timelines.join({ id: conversation, ...rest } as ConversationHead));
  }

  #event(frame: TimelineEvent): void {
    const local = frame.n === undefined ? undefined : this.#sends.outbox.byNumber(frame.n);
    const event = local ? { ...frame, localId: local.localId } : frame;
    const taken = this.#step({ conversation: frame.conversation, seq: frame.seq, event });
    if (taken && frame.name === 'message.created' && !this.#isMe(frame.actor)) this.#markDelivered(frame);
  }

  /** The answer to a send. A repeat's event came before; else the answer stands in the event's place. */
  #sent(frame: SentFrame): void {
    const local = this.#sends.sent(frame);
    if (!local) return;
    const { conversation, seq } = frame;
    const verdict = this.#timelines.take({ conversation, seq, event: this.#ownEvent(frame, local) });
    if (verdict === 'unknown') this.#effects.emit('event', this.#ownEvent(frame, local));
    this.#sends.settled(local, frame);
    if (verdict === 'fault') this.#fault();
  }

  #error(frame: ErrorFrame): void {
    if (frame.n !== undefined) return this.#sends.error({ ...frame, n: frame.n });
    if (frame.code === 'out_of_order' && frame.expected !== undefined) return this.#sends.outOfOrder(frame.expected, frame.retry_after_ms);
    this.#effects.emit('error', frame);
  }

  /** False: nothing to do with it. A subscribed timeline moves by one, or by `advance`; anything else ends the connection. */
  #step(step: Step): boolean {
    const verdict = this.#timelines.take(step);
    if (verdict === 'repeat' || verdict === 'fault') this.#fault();
    return verdict === 'taken';
  }

  #ownEvent(frame: SentFrame, local: LocalMessage): TimelineEvent & { localId: string } {
    const { id, conversation, seq, time, n } = frame;
    const data = { body: local.body, private: local.private };
    const actor = this.actor ?? { kind: 'system', id: '0' };
    return { type: 'event', name: 'message.created', conversation, seq, id, time, actor, data, n, localId: local.localId };
  }

  #markDelivered(frame: TimelineEvent): void {
    if (this.#options.autoDelivered === false) return;
    this.#signals.cursor('delivered', frame.conversation, frame.seq);
    this.#flush();
  }

  #isMe(actor: Actor): boolean {
    return actor.kind === this.actor?.kind && actor.id === this.actor.id;
  }

  #flush(): void {
    if (this.#link.online) this.#signals.flush((frame: ClientFrame) => this.#link.send(frame));
  }

  #fault(): void {
    this.#link.drop({ code: CLOSE.fault });
  }
}
