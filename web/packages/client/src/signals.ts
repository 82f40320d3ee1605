import type { Effects } from './effects';
import type { ClientFrame, Visit } from './frames';

const TYPING_INTERVAL = 2_000;
const CURSOR_INTERVAL = 1_000;

type Send = (frame: ClientFrame) => void;
type CursorKind = 'read' | 'delivered';

interface Typing {
  want: { on: boolean; preview?: string; private?: boolean };
  dirty: boolean;
  shown: boolean;
  at: number;
}

interface CursorState {
  readonly kind: CursorKind;
  readonly conversation: string;
  want: number;
  sent: number;
  at: number;
}

/** Ephemeral frames at the pace that the protocol allows; more are merged into the last. */
export class Signals {
  readonly #typings = new Map<string, Typing>();
  readonly #cursors = new Map<string, CursorState>();
  #visit: Visit | undefined;
  #visitSent = true;

  readonly #effects: Effects;

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  typing(conversation: string, want: Typing['want']): void {
    const state = this.#typings.get(conversation) ?? { want, dirty: false, shown: false, at: 0 };
    state.want = want;
    state.dirty = want.on || state.shown;
    this.#typings.set(conversation, state);
  }

  cursor(kind: CursorKind, conversation: string, seq: number): void {
    const key = `${kind}:${conversation}`;
    const state = this.#cursors.get(key) ?? { kind, conversation, want: 0, sent: 0, at: 0 };
    state.want = Math.max(state.want, seq);
    this.#cursors.set(key, state);
  }

  page(visit: Visit): void {
    this.#visit = visit;
    this.#visitSent = false;
  }

  /** What was sent over the last connection may be lost; the server knows the cursors of these heads. */
  connected(heads: readonly { id: string; read?: number; delivered?: number }[]): void {
    const known = new Map(heads.map((head) => [head.id, head]));
    for (const state of this.#cursors.values()) state.sent = known.get(state.conversation)?.[state.kind] ?? 0;
    this.#typings.clear();
    this.#visitSent = this.#visit === undefined;
  }

  /** Sends what is due. Call only while online. */
  flush(send: Send): void {
    const now = this.#effects.now();
    for (const [conversation, state] of this.#typings) this.#flushTyping(conversation, state, now, send);
    for (const state of this.#cursors.values()) {
      if (state.want <= state.sent || now < state.at + CURSOR_INTERVAL) continue;
      state.sent = state.want;
      state.at = now;
      send({ type: state.kind, conversation: state.conversation, seq: state.want });
    }
    if (this.#visit && !this.#visitSent) send({ type: 'page', ...this.#visit });
    this.#visitSent = true;
  }

  next(): number | undefined {
    const typing = [...this.#typings.values()].filter((state) => state.dirty).map((state) => state.at + TYPING_INTERVAL);
    const cursors = [...this.#cursors.values()].filter((state) => state.want > state.sent).map((state) => state.at + CURSOR_INTERVAL);
    const times = [...typing, ...cursors];
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #flushTyping(conversation: string, state: Typing, now: number, send: Send): void {
    if (!state.dirty || now < state.at + TYPING_INTERVAL) return;
    state.dirty = false;
    state.shown = state.want.on;
    state.at = now;
    send({ type: 'typing', conversation, ...state.want });
  }
}
