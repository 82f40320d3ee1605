import type { ClientFrame } from './frames';
import type { Change } from './store';
import type { ClientEvents, EventName } from './types';

/** Everything that the core asks of the world. It calls these and never waits for them. */
export interface Effects {
  /** Milliseconds since 1970. */
  now(): number;
  /** At least 0, less than 1. */
  random(): number;
  /** Get a token (another than the last, if it was refused), open a transport, then call `opened`. */
  open(refused: boolean): void;
  /** Frames leave in the order of the calls, and after every earlier `save` is stored. */
  frame(frame: ClientFrame): void;
  close(code: number): void;
  /** One transaction. */
  save(change: Change): void;
  emit<E extends EventName>(name: E, value: ClientEvents[E]): void;
  /** Read `events?after=` over REST, then call `fetched` or `fetchFailed` with the ticket. */
  fetch(ticket: number, conversation: string, after: number): void;
}
