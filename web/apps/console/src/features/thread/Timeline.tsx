import { ArrowDown } from 'lucide-react';
import { useCallback, useEffect, useMemo } from 'react';
import { useLanguage, useT } from '../../i18n';
import { useNow } from '../../lib/now';
import { activityLine, contactName } from '../../lib/say';
import { newBelow, threadItems, unsentOf, type Item } from '../../state/select';
import type { Entry, Thread } from '../../state/state';
import { sameItems } from '../../state/store';
import { isNote, type TimelineEvent } from '../../model';
import { markOf, type Mark } from '../../state/conversation';
import { useDesk, useDeskState } from '../../ui/context';
import { MessageRow, UnsentRow } from './MessageRow';
import css from './Timeline.module.css';
import { Typing } from './Typing';
import { useThreadScroll } from './useThreadScroll';

/** The messages of one conversation; the caller gives it a `key`, so that each conversation starts fresh. */
export function Timeline({ entry, thread }: { entry: Entry; thread: Thread }) {
  const t = useT();
  const desk = useDesk();
  const unsent = useDeskState((state) => unsentOf(state, entry.id), sameItems);
  const me = useDeskState((state) => state.me.id);
  const items = useMemo(() => threadItems(thread, unsent), [thread, unsent]);
  const earlier = useCallback(() => void desk.threads.earlier(entry.id), [desk, entry.id]);
  const scroll = useThreadScroll(thread, unsent.length, earlier);
  // Before the end was seen once, the unread messages may reach further up than what is loaded.
  const below = scroll.seenSeq > entry.read ? newBelow(thread, scroll.seenSeq, me) : entry.unread;

  useSeen(entry.id, scroll.seenSeq);

  return (
    <div className={css.frame}>
      <div ref={scroll.box} className={css.scroll} onScroll={scroll.onScroll} tabIndex={0} role="log" aria-label={t('thread.label', { name: contactName(t, entry.contact) })}>
        <div ref={scroll.content} className={css.content}>
          {thread.more && <p className={css.earlier}>{thread.loadingEarlier ? t('thread.earlier') : ''}</p>}
          {items.map((item) => (
            <ItemRow key={item.key} item={item} entry={entry} />
          ))}
          <Typing conversation={entry.id} />
        </div>
      </div>
      {!scroll.atBottom && (
        <button type="button" className={css.pill} data-new={below > 0 || undefined} onClick={scroll.toBottom} aria-label={below ? undefined : t('thread.latest')} title={t('thread.latest')}>
          <ArrowDown size={15} />
          {below > 0 && t('thread.below', { count: below })}
        </button>
      )}
    </div>
  );
}

/** Tells the server how far we have read: only what was in sight of somebody who looks. */
function useSeen(id: string, seq: number): void {
  const desk = useDesk();
  useEffect(() => {
    const tell = () => {
      if (document.visibilityState === 'visible' && document.hasFocus()) desk.seen(id, seq);
    };
    tell();
    addEventListener('focus', tell);
    document.addEventListener('visibilitychange', tell);
    return () => {
      removeEventListener('focus', tell);
      document.removeEventListener('visibilitychange', tell);
    };
  }, [desk, id, seq]);
}

function ItemRow({ item, entry }: { item: Item; entry: Entry }) {
  const t = useT();
  switch (item.kind) {
    case 'day':
      return <DayLine day={item.time} />;
    case 'new':
      return (
        <div className={css.fresh} data-new-line role="separator">
          <span>{t('thread.new')}</span>
        </div>
      );
    case 'activity':
      return <ActivityRow event={item.event} />;
    case 'message':
      return (
        <MessageRow event={item.event} mark={markFor(item.event, entry)} contact={entry.contact.name ?? ''} first={item.first} last={item.last} />
      );
    case 'unsent':
      return <UnsentRow message={item.message} first={item.first} last={item.last} />;
  }
}

/** Notes and what the contact wrote have no mark. */
function markFor(event: TimelineEvent, entry: Entry): Mark | null {
  return event.actor.kind === 'contact' || isNote(event) ? null : markOf(entry.cursors, event.seq);
}

function DayLine({ day }: { day: number }) {
  const { time } = useLanguage();
  return (
    <div className={css.day} role="separator">
      <span>{time.day(day, useNow())}</span>
    </div>
  );
}

function ActivityRow({ event }: { event: TimelineEvent }) {
  const language = useLanguage();
  const me = useDeskState((state) => state.me.id);
  const line = activityLine(language, event, me);
  if (!line) return null;
  return (
    <p className={css.activity}>
      {line}
      <time title={language.time.full(event.time)}>{language.time.clock(event.time)}</time>
    </p>
  );
}
