import { colourIndex } from '@unique-cs/design';
import { Clock3 } from 'lucide-react';
import { memo } from 'react';
import { useLanguage } from '../../i18n';
import { useNow } from '../../lib/now';
import { goOnClick } from '../../lib/route';
import { contactName, rowLine } from '../../lib/say';
import { waitLevel } from '../../state/select';
import type { Entry } from '../../state/state';
import { Avatar } from '../../ui/Avatar';
import { useDeskState } from '../../ui/context';
import css from './Row.module.css';

interface Props {
  id: string;
  selected: boolean;
  /** The one row that Tab reaches; arrows move on from there. */
  reachable: boolean;
  showAssignee: boolean;
}

export const Row = memo(function Row({ id, selected, reachable, showAssignee }: Props) {
  const { t, time } = useLanguage();
  const now = useNow();
  const entry = useDeskState((state) => state.conversations[id]);
  const typing = useDeskState((state) => state.typists.some((one) => one.conversation === id && one.actor.kind === 'contact'));
  const online = useDeskState((state) => state.presence[entry?.contact.id ?? '']);
  const me = useDeskState((state) => state.me.id);
  const several = useDeskState((state) => state.inboxes.length > 1);
  if (!entry) return null;
  const name = contactName(t, entry.contact);
  return (
    <a
      className={css.row}
      href={`#/c/${id}`}
      onClick={goOnClick({ page: 'desk', conversation: id })}
      aria-current={selected ? 'true' : undefined}
      tabIndex={reachable ? 0 : -1}
      data-unread={entry.unread > 0 || undefined}
      data-conversation={id}
    >
      <Avatar id={entry.contact.id} name={entry.contact.name || entry.contact.email || ''} online={online} />
      <span className={css.head}>
        <span className={css.name} dir="auto">{name}</span>
        {several && <span className={css.dot} data-hue={colourIndex(entry.inbox.id, 6)} title={entry.inbox.name} role="img" aria-label={entry.inbox.name} />}
        <time className={css.time} title={time.full(entry.updated_at)}>{time.ago(entry.updated_at, now)}</time>
      </span>
      <span className={css.tail}>
        {typing ? <span className={css.typing}>{t('row.typing')}</span> : <span className={css.line} dir="auto">{rowLine(t, entry.last_message, me)}</span>}
        <Badges entry={entry} now={now} showAssignee={showAssignee} />
      </span>
    </a>
  );
});

function Badges({ entry, now, showAssignee }: { entry: Entry; now: number; showAssignee: boolean }) {
  const { t, time } = useLanguage();
  const waited = entry.waiting_since !== null && entry.status === 'open' ? Math.max(0, now - entry.waiting_since) : null;
  const wait = waited === null ? '' : time.duration(waited);
  return (
    <>
      {waited !== null && waited >= 60_000 && (
        <span className={css.wait} data-level={waitLevel(waited)} title={t('row.waiting', { time: wait })}>
          <Clock3 size={11} aria-hidden="true" />
          <span className="visually-hidden">{t('row.waiting', { time: wait })}</span>
          <span aria-hidden="true">{wait}</span>
        </span>
      )}
      {showAssignee && entry.assignee && (
        <span title={entry.assignee.name}>
          <Avatar id={entry.assignee.id} name={entry.assignee.name} size="small" />
        </span>
      )}
      {entry.unread > 0 && (
        <span className={css.unread} aria-label={t('row.unread', { count: entry.unread })}>
          {entry.unread > 99 ? '99+' : entry.unread}
        </span>
      )}
    </>
  );
}
