/** How people and messages are put into words. */
import type { Key, Language, T } from '../i18n';
import type { Actor, Body, TimelineEvent } from '../model';
import { isMessage } from '../model';

export function contactName(t: T, contact: { id: string; name?: string | null; email?: string | null }): string {
  return contact.name || contact.email || `${t('contact.anonymous')} ${contact.id.slice(-4)}`;
}

export function actorName(t: T, actor: Actor, me: string): string {
  if (actor.kind === 'agent' && actor.id === me) return t('actor.you');
  return (actor.kind !== 'system' && actor.name) || t(`actor.${actor.kind}`);
}

/** One line that stands for a body. */
export function bodyLine(t: T, body: Body): string {
  switch (body.kind) {
    case 'text':
    case 'choices':
      return body.text;
    case 'file':
      return t('kind.file', { name: typeof body.attachment === 'string' ? '' : (body.attachment.name ?? '') }).trim();
    case 'card':
      return t('kind.card', { title: body.title });
    case 'rating':
      return t('kind.rating', { score: body.score });
    case 'image':
    case 'audio':
      return t(`kind.${body.kind}`);
    default:
      return t('kind.custom');
  }
}

export function preview(t: T, event: TimelineEvent | null): string {
  return isMessage(event) ? bodyLine(t, event.data.body) : '';
}

/** The row's second line: who spoke matters only if it was us. */
export function rowLine(t: T, event: TimelineEvent | null, me: string): string {
  if (!isMessage(event)) return t('row.empty');
  const text = bodyLine(t, event.data.body);
  if (event.data.private) return t('row.note', { text });
  return event.actor.kind === 'agent' && event.actor.id === me ? t('row.you', { text }) : text;
}

const STATUS_LINES = {
  open: 'activity.reopened',
  pending: 'activity.pending',
  snoozed: 'activity.snoozed',
  resolved: 'activity.resolved',
} as const satisfies Record<string, Key>;

/** An activity line, or null for an event that this version does not know. */
export function activityLine({ t, time }: Pick<Language, 't' | 'time'>, event: TimelineEvent, me: string): string | null {
  const actor = actorName(t, event.actor, me);
  switch (event.name) {
    case 'conversation.opened':
      return t('activity.opened', { actor });
    case 'conversation.assigned': {
      const { assignee } = event.data;
      if (!assignee) return t('activity.unassigned', { actor });
      if (event.actor.kind === 'agent' && assignee.id === event.actor.id) return t('activity.taken', { actor });
      return t('activity.assigned', { actor, assignee: actorName(t, { kind: 'agent', ...assignee }, me) });
    }
    case 'conversation.status_changed':
      if (event.actor.kind === 'system' && event.data.previous === 'snoozed') return t('activity.woken');
      if (event.data.until !== undefined) return t('activity.snoozed.until', { actor, time: time.full(event.data.until) });
      return t(STATUS_LINES[event.data.status], { actor });
    case 'conversation.transferred':
      return t('activity.transferred', { actor });
    case 'conversation.labelled':
      return t('activity.labelled', { actor });
    case 'conversation.rated':
      return t('activity.rated', { actor, score: event.data.score });
    default:
      return null;
  }
}

const FAILURES: Readonly<Record<string, Key>> = {
  too_large: 'failure.too_large',
  rate_limited: 'failure.rate_limited',
  forbidden: 'failure.forbidden',
  unauthorized: 'failure.forbidden',
  not_found: 'failure.not_found',
  overloaded: 'failure.overloaded',
  invalid: 'failure.invalid',
};

export function failureReason(t: T, code: string): string {
  const key = FAILURES[code];
  return key ? t(key) : t('failure.other', { code });
}
