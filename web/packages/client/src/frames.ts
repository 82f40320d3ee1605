/** The frames of wire protocol version 1: docs/reference/protocol.md. Ids are strings of decimal digits, times are ms since 1970 UTC. */

export type ActorKind = 'contact' | 'agent' | 'bot' | 'system';

export interface Actor {
  readonly kind: ActorKind;
  readonly id: string;
  readonly name?: string | null;
}

export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export type ConversationStatus = 'open' | 'pending' | 'snoozed' | 'resolved';

/** Another participant's cursors; they only grow. */
export interface Cursor {
  readonly actor: { readonly kind: ActorKind; readonly id: string };
  readonly read: number;
  readonly delivered: number;
}

/** What `connected` and `subscribed` say about a conversation. `read` and `delivered` are the caller's own cursors. */
export interface ConversationHead extends Position {
  readonly id: string;
  readonly status?: ConversationStatus;
  readonly read?: number;
  readonly delivered?: number;
  readonly contact?: { readonly id: string; readonly name?: string | null };
  readonly cursors?: readonly Cursor[];
}

export interface Attachment {
  readonly id: string;
  readonly name?: string;
  readonly url?: string;
  readonly content_type?: string;
  readonly size?: number;
  readonly width?: number;
  readonly height?: number;
}

export interface CardAction {
  readonly title?: string;
  readonly text?: string;
  readonly url?: string;
}

export type Body =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'image' | 'file' | 'audio'; readonly attachment: string | Attachment }
  | {
      readonly kind: 'card';
      readonly title: string;
      readonly description?: string;
      readonly image_url?: string;
      readonly url?: string;
      readonly price?: string | number;
      readonly actions?: readonly CardAction[];
    }
  | { readonly kind: 'choices'; readonly text: string; readonly options: readonly (string | { readonly title: string })[] }
  | { readonly kind: 'rating'; readonly score: number; readonly comment?: string }
  | { readonly kind: 'custom'; readonly [field: string]: unknown };

export interface EventBase<Name extends string, Data> {
  readonly type: 'event';
  readonly name: Name;
  readonly conversation: string;
  readonly seq: number;
  readonly id: string;
  readonly time: number;
  readonly actor: Actor;
  readonly data: Data;
  /** The sender's number, only on events of this very session. */
  readonly n?: number;
}

export interface NamedRef {
  readonly id: string;
  readonly name?: string | null;
}

export type MessageCreated = EventBase<'message.created', { readonly body: Body; readonly private?: boolean }>;
export type MessageEdited = EventBase<'message.edited', { readonly message: string; readonly body: Body; readonly private?: boolean }>;
export type MessageDeleted = EventBase<'message.deleted', { readonly message: string; readonly private?: boolean }>;
export type ConversationOpened = EventBase<'conversation.opened', { readonly inbox: string; readonly contact: NamedRef }>;
export type ConversationAssigned = EventBase<
  'conversation.assigned',
  { readonly assignee: NamedRef | null; readonly previous?: NamedRef | null }
>;
export type StatusChanged = EventBase<
  'conversation.status_changed',
  { readonly status: ConversationStatus; readonly previous?: ConversationStatus; readonly until?: number }
>;
export type ConversationLabelled = EventBase<'conversation.labelled', { readonly labels: readonly string[] }>;
export type ConversationRated = EventBase<'conversation.rated', { readonly score: number; readonly comment?: string }>;
export type ConversationTransferred = EventBase<'conversation.transferred', Record<string, unknown>>;

/** Durable, each has a place in the timeline. A server may send names that are not listed: ignore them, the position still moves. */
export type TimelineEvent =
  | MessageCreated
  | MessageEdited
  | MessageDeleted
  | ConversationOpened
  | ConversationAssigned
  | ConversationTransferred
  | StatusChanged
  | ConversationLabelled
  | ConversationRated;

export type SignalName = 'typing' | 'read' | 'delivered' | 'presence' | 'queue' | 'backlog' | 'page';

export interface Visit {
  readonly url: string;
  readonly title?: string;
  readonly referrer?: string;
}

/** Ephemeral: lost if nobody listens. */
export type SignalFrame =
  | SignalOf<'typing', { readonly on: boolean; readonly preview?: string; readonly private?: boolean }>
  | SignalOf<'read' | 'delivered', { readonly seq: number }>
  | SignalOf<'presence', { readonly state?: string; readonly online?: boolean }>
  | SignalOf<'page', Visit>
  | { readonly type: 'signal'; readonly name: 'queue'; readonly data: { readonly inbox: string; readonly waiting: number } }
  | { readonly type: 'signal'; readonly name: 'backlog'; readonly data: Backlog };

/** Something piles up, or no longer does: then `raised` is false. */
export interface Backlog {
  readonly alarm: string;
  readonly raised: boolean;
  readonly value: number;
  readonly threshold: number;
  readonly since: number;
}

export interface SignalOf<Name extends string, Data> {
  readonly type: 'signal';
  readonly name: Name;
  readonly conversation?: string;
  readonly actor?: Actor;
  readonly data: Data;
}

export type ErrorCode =
  | 'bad_frame'
  | 'unknown_type'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'out_of_order'
  | 'too_large'
  | 'rate_limited'
  | 'overloaded'
  | 'conflict'
  | 'invalid'
  | 'internal';

export interface ErrorFrame {
  readonly type: 'error';
  readonly code: ErrorCode;
  readonly message?: string;
  readonly n?: number;
  readonly expected?: number;
  readonly retry_after_ms?: number;
}

export interface ConnectedFrame {
  readonly type: 'connected';
  readonly session: string;
  readonly resumed: boolean;
  readonly c: number;
  readonly n: number;
  readonly actor: Actor;
  readonly conversations: readonly ConversationHead[];
  readonly heartbeat_ms: number;
  readonly max_frame: number;
  readonly time: number;
}

export interface SentFrame {
  readonly type: 'sent';
  readonly n: number;
  readonly id: string;
  readonly conversation: string;
  readonly seq: number;
  readonly time: number;
}

export interface SubscribedFrame extends Omit<ConversationHead, 'id'> {
  readonly type: 'subscribed';
  readonly conversation: string;
}

export interface CloseFrame {
  readonly type: 'close';
  readonly code: number;
  readonly reason?: string;
  readonly reconnect?: boolean;
  readonly after_ms?: number;
}

export type ServerFrame =
  | ConnectedFrame
  | TimelineEvent
  | SentFrame
  | SubscribedFrame
  | SignalFrame
  | ErrorFrame
  | CloseFrame
  | { readonly type: 'advance'; readonly conversation: string; readonly seq: number }
  | { readonly type: 'resync'; readonly conversation: string; readonly epoch: string; readonly seq: number }
  | { readonly type: 'unsubscribed'; readonly conversation: string }
  | { readonly type: 'pong'; readonly time?: number };

/** In what the client sends, undefined is as good as absent: JSON leaves it out. */
export interface ConnectFrame {
  readonly type: 'connect';
  readonly token: string;
  readonly session?: string | undefined;
  readonly c?: number;
  readonly acked?: number;
  readonly since?: Readonly<Record<string, Position>>;
  readonly client?: { readonly name: string; readonly version: string };
}

export interface SendFrame {
  readonly type: 'send';
  readonly n: number;
  readonly conversation?: string | undefined;
  readonly body: Body;
  readonly private?: boolean;
}

export type ClientFrame =
  | ConnectFrame
  | SendFrame
  | { readonly type: 'subscribe'; readonly conversation: string; readonly since?: Position | undefined }
  | { readonly type: 'unsubscribe'; readonly conversation: string }
  | { readonly type: 'typing'; readonly conversation: string; readonly on: boolean; readonly preview?: string; readonly private?: boolean }
  | { readonly type: 'read' | 'delivered'; readonly conversation: string; readonly seq: number }
  | ({ readonly type: 'page' } & Visit)
  | { readonly type: 'ping' };
