import { MessagesSquare } from 'lucide-react';
import { useT } from '../../i18n';
import { keysOf, SHORTCUTS } from '../../lib/shortcuts';
import { Keys } from '../../ui/Button';
import { useDeskState } from '../../ui/context';
import { FirstRun } from './FirstRun';
import css from './Idle.module.css';

/** The middle of the desk without a conversation: the next step of a new installation, else what the keyboard can do. */
export function Idle() {
  const t = useT();
  const untouched = useDeskState((state) => state.untouched);
  if (untouched) {
    return (
      <div className={css.page}>
        <FirstRun heading />
      </div>
    );
  }
  return (
    <div className={css.page}>
      <div className={css.idle}>
        <MessagesSquare size={34} strokeWidth={1.4} aria-hidden="true" />
        <h1>{t('idle.title')}</h1>
        <p>{t('idle.text')}</p>
        <dl>
          <div><dt>{t('command.palette')}</dt><dd><Keys keys={keysOf('palette')} /></dd></div>
          {(['next', 'previous', 'reply', 'resolve'] as const).map((name) => (
            <div key={name}><dt>{t(SHORTCUTS[name].label)}</dt><dd><Keys keys={keysOf(name)} /></dd></div>
          ))}
        </dl>
      </div>
    </div>
  );
}
