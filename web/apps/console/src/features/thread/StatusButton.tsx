import { AlarmClock, Check, ChevronDown, CircleDot, Clock3, RotateCcw } from 'lucide-react';
import { useLanguage, useT } from '../../i18n';
import { useNow } from '../../lib/now';
import { keysOf } from '../../lib/shortcuts';
import { snoozes } from '../../lib/snooze';
import type { Status } from '../../model';
import type { Entry } from '../../state/state';
import { Button, Keys } from '../../ui/Button';
import { useDesk } from '../../ui/context';
import { Menu, MenuGroup, MenuItem, MenuLine } from '../../ui/Menu';
import css from './Header.module.css';

/** Resolves or reopens; its menu has the other states. */
export function StatusButton({ entry }: { entry: Entry }) {
  const t = useT();
  const desk = useDesk();
  const resolved = entry.status === 'resolved';
  const main: Status = resolved ? 'open' : 'resolved';
  const set = (status: Status) => void desk.setStatus(entry.id, status);
  const label = t(resolved ? 'thread.reopen' : 'thread.resolve');
  return (
    <div className={css.split}>
      <Button onClick={() => set(main)} aria-label={label} title={`${label} (${keysOf('resolve').join(' + ')})`}>
        {resolved ? <RotateCcw size={14} aria-hidden="true" /> : <Check size={15} className={css.check} aria-hidden="true" />}
        <span className={css.word}>{label}</span>
      </Button>
      <Menu
        trigger={
          <Button aria-label={t('thread.more')} title={t('thread.more')}>
            <ChevronDown size={15} />
          </Button>
        }
      >
        <MenuItem onSelect={() => set(main)} hint={<Keys keys={keysOf('resolve')} />}>
          {resolved ? <RotateCcw size={15} /> : <Check size={15} />}
          {label}
        </MenuItem>
        <MenuLine />
        {entry.status !== 'pending' && (
          <MenuItem onSelect={() => set('pending')}>
            <Clock3 size={15} />
            {t('thread.set.pending')}
          </MenuItem>
        )}
        {entry.status !== 'open' && !resolved && (
          <MenuItem onSelect={() => set('open')}>
            <CircleDot size={15} />
            {t('thread.set.open')}
          </MenuItem>
        )}
        {!resolved && <SnoozeItems entry={entry} />}
      </Menu>
    </div>
  );
}

function SnoozeItems({ entry }: { entry: Entry }) {
  const { t, time } = useLanguage();
  const desk = useDesk();
  const now = useNow();
  // A snooze with a time is not made endless by another one without: its time would stay.
  const offered = snoozes(now).filter(({ until }) => until !== undefined || entry.status !== 'snoozed');
  return (
    <>
      <MenuLine />
      <MenuGroup label={t('thread.snooze')}>
        {offered.map(({ name, until }) => (
          <MenuItem key={name} onSelect={() => void desk.setStatus(entry.id, 'snoozed', until)} hint={until && time.upcoming(until, now)}>
            <AlarmClock size={15} />
            {t(`snooze.${name}`)}
          </MenuItem>
        ))}
      </MenuGroup>
    </>
  );
}
