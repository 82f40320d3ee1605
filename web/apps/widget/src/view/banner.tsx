import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';

/** A first connection that takes longer than this is worth a word. */
const PATIENCE = 1_000;

/** The truth about the connection, and what happens next. */
export function Banner({ panel, words: { t } }: { panel: Panel; words: Words }): JSX.Element {
  const { state, reason } = panel.status;
  const slow = useDelay(state === 'connecting', PATIENCE);
  return (
    <div class="banner" role="status">
      {state === 'connecting' && slow && <p>{t('connecting')}</p>}
      {state === 'reconnecting' && (
        <Notice title={t('reconnecting')} detail={t('kept')} action={t('tryNow')} act={() => panel.reconnect()} />
      )}
      {state === 'stopped' && reason === 'replaced' && <Notice title={t('replaced')} action={t('useHere')} act={() => panel.reconnect()} />}
      {state === 'stopped' && reason !== 'replaced' && <Notice title={t('closed')} action={t('retry')} act={() => panel.reconnect()} />}
    </div>
  );
}

function Notice({ title, detail, action, act }: { title: string; detail?: string; action: string; act: () => void }): JSX.Element {
  return (
    <div class="notice">
      <p>
        <b>{title}</b>
        {detail && <span>{detail}</span>}
      </p>
      <button type="button" onClick={act}>
        {action}
      </button>
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
