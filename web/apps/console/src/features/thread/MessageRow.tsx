import { AlertCircle, Check, CheckCheck, Clock3, Lock } from 'lucide-react';
import { memo, useEffect, useState, type ReactNode } from 'react';
import { useLanguage, useT } from '../../i18n';
import { actorName, failureReason } from '../../lib/say';
import type { LocalMessage, TimelineEvent } from '../../model';
import type { Mark } from '../../state/conversation';
import { Avatar } from '../../ui/Avatar';
import { useDesk, useDeskState } from '../../ui/context';
import { BodyView } from './BodyView';
import css from './Message.module.css';

const SLOW_MS = 1_000;

interface Props {
  event: Extract<TimelineEvent, { name: 'message.created' }>;
  /** How far the contact has come with it; null where that means nothing. */
  mark: Mark | null;
  contact: string;
  first: boolean;
  last: boolean;
}

function sideOf(kind: string): 'in' | 'out' {
  return kind === 'contact' ? 'in' : 'out';
}

export const MessageRow = memo(function MessageRow({ event, mark, contact, first, last }: Props) {
  const { t, time } = useLanguage();
  const me = useDeskState((state) => state.me.id);
  const side = sideOf(event.actor.kind);
  const note = event.data.private === true;
  const own = event.actor.kind === 'agent' && event.actor.id === me;
  const name = event.actor.name || (side === 'in' ? contact : '');
  return (
    <div className={css.message} data-side={side} data-note={note || undefined} data-first={first || undefined} data-seq={event.seq}>
      {first && side === 'out' && (!own || note) && (
        <p className={css.author}>
          {note && <Lock size={12} aria-hidden="true" />}
          <span>{actorName(t, event.actor, me)}</span>
          {note && <span className={css.kind}>{t('message.note')}</span>}
        </p>
      )}
      <div className={css.line}>
        {side === 'in' && (
          <span className={css.face}>{last && <Avatar id={event.actor.id} name={name} size="small" />}</span>
        )}
        <Bubble author={actorName(t, event.actor, me)}>
          <BodyView body={event.data.body} author={actorName(t, event.actor, me)} />
        </Bubble>
      </div>
      {last && (
        <p className={css.foot}>
          <time title={time.full(event.time)}>{time.clock(event.time)}</time>
          {mark && <MarkSign mark={mark} />}
        </p>
      )}
    </div>
  );
});

function Bubble({ author, children }: { author: string; children: ReactNode }) {
  return (
    <div className={css.bubble}>
      <span className="visually-hidden">{author}: </span>
      {children}
    </div>
  );
}

function MarkSign({ mark }: { mark: Mark | 'sending' | 'queued' }) {
  const t = useT();
  const label = t(`message.${mark}`);
  const Icon = mark === 'sent' ? Check : mark === 'sending' || mark === 'queued' ? Clock3 : CheckCheck;
  return (
    <span className={css.mark} data-mark={mark} title={label} role="img" aria-label={label}>
      <Icon size={mark === 'sending' || mark === 'queued' ? 12 : 15} />
    </span>
  );
}

/** True once something takes so long that it is worth a word. */
function useSlow(waiting: boolean): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (!waiting) return;
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [waiting]);
  return slow;
}

/** A message without a place in the timeline: on its way, or refused with a reason and a way out. */
export function UnsentRow({ message, first, last }: { message: LocalMessage; first: boolean; last: boolean }) {
  const { t, time } = useLanguage();
  const online = useDeskState((state) => state.link.state === 'online');
  const failed = message.state === 'failed';
  const slow = useSlow(!failed);
  return (
    <div
      className={css.message}
      data-side="out"
      data-note={message.private || undefined}
      data-first={first || undefined}
      data-unsent={failed ? 'failed' : 'sending'}
    >
      <div className={css.line}>
        <Bubble author={t('actor.you')}>
          <BodyView body={message.body} author={t('actor.you')} />
        </Bubble>
      </div>
      {failed && <FailedFoot message={message} />}
      {!failed && last && (
        <p className={css.foot}>
          {!online ? t('message.queued') : slow ? t('message.sending') : <time>{time.clock(message.createdAt)}</time>}
          <MarkSign mark={online ? 'sending' : 'queued'} />
        </p>
      )}
    </div>
  );
}

function FailedFoot({ message }: { message: LocalMessage }) {
  const t = useT();
  const desk = useDesk();
  return (
    <p className={css.failed} role="alert">
      <AlertCircle size={14} aria-hidden="true" />
      <span>{t('message.failed', { reason: failureReason(t, message.error?.code ?? 'internal') })}</span>
      <button type="button" onClick={() => desk.retry(message.localId)}>{t('message.retry')}</button>
      <button type="button" onClick={() => desk.discard(message.localId)}>{t('message.discard')}</button>
    </p>
  );
}
