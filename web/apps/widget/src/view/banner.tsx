import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import type { TextKey } from '../texts/en';

/** A first connection that takes longer than this is worth a word. */
const PATIENCE = 1_000;

/** What is said, and what the button says. */
const NOTICES: Readonly<Record<string, readonly [TextKey, TextKey]>> = {
  connecting: ['connecting', 'tryNow'],
  reconnecting: ['reconnecting', 'tryNow'],
  replaced: ['replaced', 'useHere'],
  stopped: ['closed', 'retry'],
};

/** The truth about the connection, and what happens next. It stands where it moves nothing that is being read. */
export function Banner({ panel, words: { t } }: { panel: Panel; words: Words }): JSX.Element {
  const { state, reason } = panel.status;
  const first = state === 'connecting';
  const slow = useDelay(first, PATIENCE);
  const [title, action] = ((!first || slow) && NOTICES[reason === 'replaced' ? reason : state]) || [];
  return (
    <div class="banner" role="status">
      {title && action && (
        <div class="notice">
          <p>
            <b>{t(title)}</b>
            {state !== 'stopped' && <span>{t('kept')}</span>}
          </p>
          <button type="button" onClick={() => panel.reconnect()}>
            {t(action)}
          </button>
        </div>
      )}
    </div>
  );
}

function useDelay(on: boolean, ms: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!on) return;
    const timer = setTimeout(() => setLate(true), ms);
    return () => clearTimeout(timer);
  }, [on, ms]);
  return late;
}
