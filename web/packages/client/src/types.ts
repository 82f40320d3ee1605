import type {
  Actor, Body, ConnectedFrame, ConversationHead, ErrorCode, ErrorFrame, Position, SignalFrame, TimelineEvent, Visit,
} from './frames';

/** Why a client stopped for good: it needs the user (`start()` tries again). */
export type StopReason = 'stopped' | 'replaced' | 'unauthorized' | 'forbidden' | 'bad_frame' | 'too_large';

export interface Status {
  readonly state: 'connecting' | 'online' | 'reconnecting' | 'stopped';
  /** When the next attempt starts (ms since 1970), after one has failed; absent while one is under way. */
  readonly retryAt?: number;
  readonly reason?: StopReason;
  /** True in a tab that works through another tab's connection. */
  readonly follower?: boolean;
}

/** A message of this client that has no place in a timeline yet, or never got one. */
export interface LocalMessage {
  readonly localId: string;
  readonly n?: number;
  readonly conversation?: string | undefined;
  readonly body: Body;
  readonly private: boolean;
  readonly createdAt: number;
  readonly state: 'sending' | 'sent' | 'failed';
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

export interface SendOptions {
  readonly conversation?: string | undefined;
  readonly private?: boolean;
}

/** An event as the application gets it: `localId` names the local message that it settles. */
export type ClientEvent = TimelineEvent & { readonly localId?: string };

export interface ClientEvents {
  status: Status;
  /** After each (re)connection. Conversations without a known position are live from `seq`: load what is before it over REST. */
  connected: Pick<ConnectedFrame, 'session' | 'resumed' | 'actor' | 'conversations' | 'time'>;
  /** Each durable event once and in order of `seq`, own messages included. */
  event: ClientEvent;
  advance: { readonly conversation: string; readonly seq: number };
  subscribed: ConversationHead;
  unsubscribed: { readonly conversation: string };
  /** Drop what you have above `after` and put `events` in its place; live events follow. `after` is 0 when all is replaced. */
  resync: Position & { readonly conversation: string; readonly after: number; readonly events: readonly TimelineEvent[] };
  /** A local message became durable. Its event was or is given by `event` with the same `localId`. */
  sent: LocalMessage & { readonly id: string; readonly conversation: string; readonly seq: number; readonly time: number };
  /** A local message got its final refusal; it stays in the outbox until `retry` or `discard`. */
  failed: LocalMessage;
  signal: SignalFrame;
  /** All messages that are sending or failed, oldest first, at each change. */
  outbox: readonly LocalMessage[];
  /** An error that belongs to no message. */
  error: ErrorFrame;
}

export type EventName = keyof ClientEvents;
export type Listener<E extends EventName> = (value: ClientEvents[E]) => void;

/** The public surface of `Client`; an application depends on no more than this. */
export interface Messaging {
  readonly status: Status;
  readonly actor: Actor | null;
  readonly outbox: readonly LocalMessage[];
  /** The newest state of each subscribed conversation. */
  readonly conversations: readonly ConversationHead[];
  /** The position up to which events of the conversation were given, if it is subscribed. */
  position(conversation: string): Position | undefined;
  /** Connects; where an attempt is due at `retryAt` it tries now, unless the server asked for a longer pause. */
  start(): void;
  /** Ends the connection; numbered messages stay in the store for the next start. */
  stop(): Promise<void>;
  /** Accepts the message at once; it is stored before it travels, and survives a reload. Does not wait for `retryAt` either. */
  send(body: Body, options?: SendOptions): LocalMessage;
  /** Sends a failed message again, as a new one. */
  retry(localId: string): void;
  /** Forgets a failed message. A message on its way cannot be taken back. */
  discard(localId: string): void;
  subscribe(conversation: string, position?: Position): void;
  unsubscribe(conversation: string): void;
  /** At most one signal in 2 s travels; the last state wins. */
  typing(conversation: string, on: boolean, options?: { readonly preview?: string; readonly private?: boolean }): void;
  read(conversation: string, seq: number): void;
  delivered(conversation: string, seq: number): void;
  page(visit: Visit): void;
  /** Returns the function that ends it. */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void;
}

export interface ClientOptions {
  /** `wss://host/ws`. */
  readonly url: string;
  /** REST root, used for `resync`; by default `/api/v1` on the host of `url`. */
  readonly api?: string;
  /** Gives a token; `refused` is the one the server turned away with 4401. Throw `Unauthorized` to stop. */
  readonly token: (refused?: string) => Promise<string>;
  readonly name: string;
  readonly version: string;
  /**
   * Name of the session store. Tabs of one origin with the same name share one session through one leader tab; choose one per actor.
   * Without a name the session lives in memory.
   */
  readonly store?: string;
  /** Tell the server `delivered` for each message of others as it arrives (default true). */
  readonly autoDelivered?: boolean;
}
