import type { ClientFrame, ServerFrame } from './frames';

/**
 * The order between two channels: holds `sent` back until the stream has reached its `seq`, so that a session sees one order.
 * A contact is subscribed to all of its conversations; an agent may write where it does not listen, and such an answer does not wait.
 */
export class Places {
  readonly #at = new Map<string, number>();
  readonly #held: ServerFrame[] = [];
  #everywhere = false;

  /** A frame leaves: positions that it names are where the stream goes on. */
  sending(frame: ClientFrame): void {
    if (frame.type === 'connect') for (const [id, { seq }] of Object.entries(frame.since ?? {})) this.#at.set(id, seq);
    else if (frame.type === 'subscribe' && frame.since) this.#at.set(frame.conversation, frame.since.seq);
    else if (frame.type === 'unsubscribe') this.#at.delete(frame.conversation);
  }

  /** A frame came down the stream. */
  came(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connected':
        this.#everywhere = frame.actor.kind === 'contact';
        for (const { id, seq } of frame.conversations) this.#begin(id, seq);
        break;
      case 'subscribed':
        this.#begin(frame.conversation, frame.seq);
        break;
      case 'unsubscribed':
        this.#at.delete(frame.conversation);
        break;
      case 'event':
      case 'advance':
      case 'resync':
        this.#at.set(frame.conversation, frame.seq);
    }
  }

  knows(conversation: string): boolean {
    return this.#at.has(conversation);
  }

  /** The answers of a request, in order. */
  answered(frames: readonly ServerFrame[]): void {
    this.#held.push(...frames);
  }

  /** The next answer that may be given now. */
  next(): ServerFrame | undefined {
    const [first] = this.#held;
    return first && !this.#waits(first) ? this.#held.shift() : undefined;
  }

  #begin(conversation: string, seq: number): void {
    if (!this.#at.has(conversation)) this.#at.set(conversation, seq);
  }

  #waits(frame: ServerFrame): boolean {
    if (frame.type !== 'sent') return false;
    const reached = this.#at.get(frame.conversation);
    return reached === undefined ? this.#everywhere : reached < frame.seq;
  }
}
