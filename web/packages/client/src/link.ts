import { CLOSE, comeback, stopReason } from './close';
import type { Effects } from './effects';
import type { ClientFrame, CloseFrame } from './frames';
import type { Status, StopReason } from './types';

const BACKOFF_BASE = 500;
const BACKOFF_CAP = 30_000;
const JOIN_TIMEOUT = 15_000;
/** A connection that lasted this long was a good one: the next loss starts with the shortest wait. */
const STABLE = 5_000;
/** A server that answers at all is tried again within 2^3 × 500 ms, however long it was away before. */
const ANSWERED = 3;
/** After this long online, being replaced is news again and not the echo of the last time. */
const REPLACED_FORGOTTEN = 600_000;
const PROBE_GRACE = 10_000;

type Phase = 'stopped' | 'waiting' | 'opening' | 'joining' | 'online';

/** Whether there is a connection, and when to try again: close codes, back-off, heartbeat. */
export class Link {
  phase: Phase = 'stopped';
  #attempts = 0;
  #wasOnline = false;
  #since = 0;
  #retryAt = 0;
  #notBefore = 0;
  #refused = false;
  #returned = false;
  #heardAt = 0;
  #spokeAt = 0;
  #heartbeat = 25_000;
  #probe: { at: number; until: number } | undefined;

  readonly #effects: Effects;

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  get online(): boolean {
    return this.phase === 'online';
  }

  /** Begins, or tries at once where an attempt is due later: somebody asked for it. */
  start(): void {
    if (this.phase === 'waiting') return this.wake();
    if (this.phase !== 'stopped') return;
    this.#attempts = 0;
    this.#returned = this.#refused = this.#wasOnline = false;
    this.#open();
  }

  stop(reason: StopReason): void {
    if (this.phase === 'stopped') return;
    if (this.phase !== 'waiting') this.#effects.close(1000);
    this.#halt(reason);
  }

  /** The transport is open and `connect` goes out. */
  joining(): void {
    this.phase = 'joining';
    this.#refused = false;
  }

  joined(heartbeat: number): void {
    this.phase = 'online';
    this.#wasOnline = true;
    this.#heartbeat = heartbeat;
    this.#since = this.#heardAt = this.#effects.now();
    this.#effects.emit('status', { state: 'online' });
  }

  heard(): void {
    this.#heardAt = this.#effects.now();
    this.#probe = undefined;
  }

  send(frame: ClientFrame): void {
    this.#spokeAt = this.#effects.now();
    this.#effects.frame(frame);
  }

  /** The transport is gone: by itself, or announced by a `close` frame, after which the server reads nothing more. */
  closed(close: Partial<CloseFrame>): void {
    if (this.phase === 'stopped' || this.phase === 'waiting') return;
    this.#creditUptime();
    this.#act(comeback(close), close);
  }

  /** Ends the connection from this side and treats it as closed with that code. */
  drop(close: Partial<CloseFrame> & { code: number }): void {
    if (this.phase === 'stopped' || this.phase === 'waiting') return;
    this.#effects.close(close.code);
    this.closed(close);
  }

  /** No token to be had now (`final`: never, without the user). */
  tokenFailed(final: boolean): void {
    if (this.phase !== 'opening') return;
    if (final) this.#halt('unauthorized');
    else this.#wait(0);
  }

  /** The network or the page came back: look now rather than at the next deadline. */
  wake(): void {
    if (this.phase === 'waiting' && this.#effects.now() >= this.#notBefore) this.#open();
    else this.doubt(5_000);
  }

  /** Is the other side still there? It has `grace` ms to say anything. */
  doubt(grace: number): void {
    if (!this.online) return;
    const now = this.#effects.now();
    this.#probe = { at: now, until: now + grace };
    this.send({ type: 'ping' });
  }

  tick(): void {
    const now = this.#effects.now();
    if (this.phase === 'waiting' && now >= this.#retryAt) this.#open();
    else if ((this.phase === 'opening' || this.phase === 'joining') && now >= this.#since + JOIN_TIMEOUT) this.drop({ code: CLOSE.fault });
    else if (this.online) this.#beat(now);
  }

  next(): number | undefined {
    if (this.phase === 'stopped') return undefined;
    if (this.phase === 'waiting') return this.#retryAt;
    if (!this.online) return this.#since + JOIN_TIMEOUT;
    const beat = Math.max(this.#spokeAt, this.#since) + this.#heartbeat;
    return this.#probe ? Math.min(beat, this.#probe.until) : Math.min(beat, this.#heardAt + 2 * this.#heartbeat);
  }

  #beat(now: number): void {
    if (this.#probe && now >= this.#probe.until) return this.drop({ code: CLOSE.heartbeat });
    if (now >= this.#heardAt + 2 * this.#heartbeat && !this.#probe) {
      // A throttled tab wakes late: the silence may be its own, so one question comes before the verdict.
      return this.#silentFor(now) ? this.drop({ code: CLOSE.heartbeat }) : this.doubt(PROBE_GRACE);
    }
    if (now >= Math.max(this.#spokeAt, this.#since) + this.#heartbeat) this.send({ type: 'ping' });
  }

  /** Silence counts only from our own last question. */
  #silentFor(now: number): boolean {
    return this.#spokeAt > this.#heardAt && now - this.#spokeAt >= Math.min(this.#heartbeat, PROBE_GRACE);
  }

  #creditUptime(): void {
    if (!this.online) return;
    const uptime = this.#effects.now() - this.#since;
    this.#attempts = uptime >= STABLE ? 0 : Math.min(this.#attempts, ANSWERED);
    if (uptime >= REPLACED_FORGOTTEN) this.#returned = false;
  }

  #act(way: ReturnType<typeof comeback>, close: Partial<CloseFrame>): void {
    if (way === 'never' || (way === 'once' && this.#returned)) return this.#halt(stopReason(close.code));
    if (way === 'once') this.#returned = true;
    if (way === 'token') this.#refused = true;
    this.#wait(close.after_ms ?? 0);
  }

  /** Full jitter on top of what the server asked for. */
  #wait(after: number): void {
    const now = this.#effects.now();
    const span = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** this.#attempts);
    this.#attempts += 1;
    this.phase = 'waiting';
    this.#probe = undefined;
    this.#notBefore = now + after;
    this.#retryAt = this.#notBefore + Math.round(this.#effects.random() * span);
    this.#effects.emit('status', { state: this.#trying(), retryAt: this.#retryAt });
  }

  #open(): void {
    this.phase = 'opening';
    this.#since = this.#effects.now();
    this.#effects.emit('status', { state: this.#trying() });
    this.#effects.open(this.#refused);
  }

  /** Nothing is lost that never was there. */
  #trying(): Status['state'] {
    return this.#wasOnline ? 'reconnecting' : 'connecting';
  }

  #halt(reason: StopReason): void {
    this.phase = 'stopped';
    this.#probe = undefined;
    this.#effects.emit('status', { state: 'stopped', reason });
  }
}
