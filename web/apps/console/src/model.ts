/** What the REST API says, as the console uses it. Times are milliseconds since 1970 UTC, ids decimal strings. */
import type { Body, ConversationStatus, Cursor, MessageCreated, TimelineEvent } from '@unique-cs/client';

export type { Actor, ActorKind, Attachment, Body, Cursor, LocalMessage, TimelineEvent } from '@unique-cs/client';
export type Status = ConversationStatus;

export interface Named {
  id: string;
  name: string;
}

export interface Agent extends Named {
  email: string;
  role: string;
}

/** An agent as the team's list shows it. */
export interface Member extends Agent {
  disabled: boolean;
}

export interface Inbox extends Named {
  key: string;
}

export interface Visit {
  url: string | null;
  title: string | null;
  referrer: string | null;
  user_agent: string | null;
  language: string | null;
  time_zone: string | null;
}

export interface Contact {
  id: string;
  name: string | null;
  email: string | null;
  identifier: string | null;
  verified: boolean;
  attributes: Record<string, unknown>;
  created_at: number;
  visit: Partial<Visit> | null;
}

export interface Conversation {
  id: string;
  inbox: Named;
  contact: Contact;
  status: Status;
  assignee: Named | null;
  labels: string[];
  epoch: string;
  seq: number;
  read: number;
  cursors: readonly Cursor[];
  created_at: number;
  updated_at: number;
  waiting_since: number | null;
  last_message: TimelineEvent | null;
}

export interface SessionInfo {
  id: string;
  created_at: number;
  last_seen_at: number;
  user_agent: string | null;
  ip: string | null;
  current: boolean;
}

export function isMessage(event: TimelineEvent | null): event is MessageCreated {
  return event?.name === 'message.created';
}

export function isNote(event: TimelineEvent): boolean {
  return isMessage(event) && event.data.private === true;
}

export function isFromContact(event: TimelineEvent | null): event is MessageCreated {
  return isMessage(event) && event.actor.kind === 'contact';
}

export type TextBody = Extract<Body, { kind: 'text' }>;
