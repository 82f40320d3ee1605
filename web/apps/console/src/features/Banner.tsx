import { Check, CloudOff, Inbox, LoaderCircle, MonitorUp, TriangleAlert, X } from 'lucide-react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { Status } from '@unique-cs/client';
import { useT } from '../i18n';
import { Button, IconButton } from '../ui/Button';
import { useDesk, useDeskState } from '../ui/context';
import css from './Banner.module.css';

/** A first connection that takes longer than this is worth a word. */
const PATIENCE_MS = 1_000;
const TOAST_MS = 6_000;
/** Counting down from less would only flicker. */
const WORTH_COUNTING_S = 3;
const BACK_MS = 2_500;

function useBrowserOnline(): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const change = () => setOnline(navigator.onLine);
    addEventListener('online', change);
    addEventListener('offline', change);
    return () => {
      removeEventListener('online', change);
      removeEventListener('offline', change);
    };
  }, []);
  return online;
}

/** Seconds until the next attempt. */
function useSecondsUntil(time: number | undefined): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (time === undefined) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [time]);
  return time === undefined ? 0 : Math.max(0, Math.ceil((time - now) / 1000));
}

function usePatience(waiting: boolean): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    setOver(false);
    if (!waiting) return;
    const timer = setTimeout(() => setOver(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [waiting]);
  return waiting && over;
}

/**
 * Says within two seconds that the connection is lost, and what happens next; while it holds, what piles up. It stands at the foot of
 * the window, so that nothing moves under the pointer.
 */
export function Banner({ onWaiting }: { onWaiting: () => void }) {
  const link = useDeskState((state) => state.link);
  const slow = usePatience(link.state === 'connecting');
  const browserOnline = useBrowserOnline();
  const back = useJustBack(link.state === 'online');
  if (link.state === 'stopped') return <Stopped link={link} />;
  if (!browserOnline) return <Offline />;
  if (link.state === 'reconnecting' || (slow && link.retryAt !== undefined)) return <Reconnecting link={link} />;
  if (slow) return <Connecting />;
  return back ? <Back /> : <Backlog onWaiting={onWaiting} />;
}

/** True for a moment after a lost connection has come back. */
function useJustBack(online: boolean): boolean {
  const [back, setBack] = useState(false);
  const wasOnline = useRef(online);
  const wasLost = useRef(false);
  useEffect(() => {
    if (wasOnline.current && !online) wasLost.current = true;
    wasOnline.current = online;
    if (!online || !wasLost.current) return;
    wasLost.current = false;
    setBack(true);
    const timer = setTimeout(() => setBack(false), BACK_MS);
    return () => {
      clearTimeout(timer);
      setBack(false);
    };
  }, [online]);
  return back;
}

function Back() {
  const t = useT();
  return <Strip tone="ok" icon={<Check size={16} />}>{t('connection.back')}</Strip>;
}

function Strip({ tone, icon, children, action }: { tone: 'warn' | 'danger' | 'calm' | 'ok'; icon: ReactNode; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={css.strip} data-tone={tone} role="status">
      {icon}
      <p>{children}</p>
      {action}
    </div>
  );
}

const ALARMS = ['waiting', 'oldest_wait', 'undelivered', 'relay_lag', 'redis_memory'] as const;

/** The first thing that piles up, until it is over or was put away. */
function Backlog({ onWaiting }: { onWaiting: () => void }) {
  const t = useT();
  const backlog = useDeskState((state) => state.backlog);
  const queue = useDeskState((state) => state.queue);
  const [away, setAway] = useState<readonly string[]>([]);
  const keyOf = (alarm: string) => `${alarm}:${backlog[alarm]?.since}`;
  const alarm = ALARMS.find((name) => backlog[name] && !away.includes(keyOf(name)));
  const told = alarm && backlog[alarm];
  if (!alarm || !told) return null;
  const waiting = Object.values(queue).reduce((sum, each) => sum + each, 0);
  const counts = { waiting: waiting || told.value, oldest_wait: Math.round(told.threshold / 60), undelivered: told.value };
  const count = alarm in counts ? counts[alarm as keyof typeof counts] : 0;
  return (
    <Strip
      tone="warn"
      icon={<Inbox size={16} />}
      action={
        <>
          {alarm in counts && <Button size="small" onClick={onWaiting}>{t('backlog.show')}</Button>}
          <IconButton label={t('command.close')} onClick={() => setAway([...away, keyOf(alarm)])}>
            <X size={15} />
          </IconButton>
        </>
      }
    >
      {t(`backlog.${alarm}`, { count })}
    </Strip>
  );
}

function Connecting() {
  const t = useT();
  return <Strip tone="calm" icon={<LoaderCircle size={15} className={css.spin} />}>{t('connection.connecting')}</Strip>;
}

function Offline() {
  const t = useT();
  return (
    <Strip tone="warn" icon={<CloudOff size={16} />}>
      <strong>{t('connection.offline')}</strong> {t('connection.offline.next')}
    </Strip>
  );
}

function Reconnecting({ link }: { link: Status }) {
  const t = useT();
  const desk = useDesk();
  const seconds = useSecondsUntil(link.retryAt);
  return (
    <Strip
      tone="warn"
      icon={<CloudOff size={16} />}
      action={<Button size="small" onClick={() => desk.reconnect()}>{t('connection.now')}</Button>}
    >
      <strong>{t(link.state === 'connecting' ? 'connection.none' : 'connection.lost')}</strong>{' '}
      {/* Read aloud, each second would be news. */}
      <span aria-hidden="true">{seconds >= WORTH_COUNTING_S ? t('connection.retry', { count: seconds }) : t('connection.trying')}</span>{' '}
      <span className={css.more}>{t('connection.kept')}</span>
    </Strip>
  );
}

function Stopped({ link }: { link: Status }) {
  const t = useT();
  const desk = useDesk();
  if (link.reason === 'stopped' || link.reason === 'unauthorized' || link.reason === 'forbidden') return null;
  if (link.reason === 'replaced') {
    return (
      <Strip
        tone="calm"
        icon={<MonitorUp size={16} />}
        action={<Button size="small" onClick={() => desk.reconnect()}>{t('connection.replaced.action')}</Button>}
      >
        {t('connection.replaced')}
      </Strip>
    );
  }
  return (
    <Strip
      tone="danger"
      icon={<TriangleAlert size={16} />}
      action={<Button size="small" onClick={() => location.reload()}>{t('connection.reload')}</Button>}
    >
      {t('connection.refused')}
    </Strip>
  );
}

/** One thing that did not work, told for a few seconds. */
export function NoticeToast() {
  const t = useT();
  const desk = useDesk();
  const notice = useDeskState((state) => state.notice);
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => desk.store.dispatch({ type: 'notice', notice: null }), TOAST_MS);
    return () => clearTimeout(timer);
  }, [desk, notice]);
  return (
    <div className={css.toasts} role="alert">
      {notice && (
        <div className={css.toast}>
          <TriangleAlert size={16} />
          <p>{t(notice.key, notice.params)}</p>
          <IconButton label={t('command.close')} onClick={() => desk.store.dispatch({ type: 'notice', notice: null })}>
            <X size={15} />
          </IconButton>
        </div>
      )}
    </div>
  );
}
