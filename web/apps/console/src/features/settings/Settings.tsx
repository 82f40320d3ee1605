import { Monitor, Moon, Smartphone, Sun } from 'lucide-react';
import { useEffect, useId, useState, useSyncExternalStore, type ReactNode } from 'react';
import { useLanguage, useT } from '../../i18n';
import { describeDevice, isPhone } from '../../lib/device';
import { notificationState, playSound } from '../../lib/notify';
import { useNow } from '../../lib/now';
import { LOCALES, onPreferences, preferences, setPreferences, type Theme } from '../../lib/preferences';
import { keysOf, SHORTCUTS, type ShortcutName } from '../../lib/shortcuts';
import type { SessionInfo } from '../../model';
import { Avatar } from '../../ui/Avatar';
import { Button, Keys } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { FirstRun } from '../first/FirstRun';
import { Password } from './Password';
import { Section } from './Section';
import css from './Settings.module.css';
import { Team } from './Team';

function usePreferences() {
  return useSyncExternalStore(onPreferences, preferences);
}

export function Settings() {
  const t = useT();
  const [passwords, setPasswords] = useState(0);
  useEffect(() => {
    if (location.hash.endsWith('/shortcuts')) document.getElementById('shortcuts')?.scrollIntoView();
  }, []);
  return (
    <main className={css.page}>
      <div className={css.column}>
        <h1>{t('settings.title')}</h1>
        <Account onPassword={() => setPasswords((count) => count + 1)} />
        <Team />
        <Appearance />
        <Notifications />
        <Sessions key={passwords} />
        <Section title={t('settings.install')}><FirstRun heading={false} /></Section>
        <Shortcuts />
      </div>
    </main>
  );
}

function Account({ onPassword }: { onPassword: () => void }) {
  const t = useT();
  const desk = useDesk();
  const me = useDeskState((state) => state.me);
  return (
    <Section title={t('settings.account')}>
      <div className={css.row}>
        <Avatar id={me.id} name={me.name} />
        <div className={css.grow}>
          <p className={css.strong}>{me.name}</p>
          <p className={css.soft}>{me.email}</p>
        </div>
        <Button onClick={() => void desk.signOut()}>{t('account.signout')}</Button>
      </div>
      <Password onChanged={onPassword} />
    </Section>
  );
}

const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon };

function Appearance() {
  const { t, locale } = useLanguage();
  const { theme } = usePreferences();
  const names = { 'zh-CN': '简体中文', en: 'English' };
  return (
    <Section title={t('settings.appearance')}>
      <Choice
        label={t('settings.theme')}
        value={theme}
        options={(['system', 'light', 'dark'] as const).map((value: Theme) => {
          const Icon = THEME_ICONS[value];
          return { value, label: <><Icon size={15} />{t(`settings.theme.${value}`)}</> };
        })}
        onChange={(value) => setPreferences({ theme: value })}
      />
      <Choice
        label={t('settings.language')}
        value={locale}
        options={LOCALES.map((value) => ({ value, label: <span lang={value}>{names[value]}</span> }))}
        onChange={(value) => setPreferences({ locale: value })}
      />
    </Section>
  );
}

function Choice<V extends string>({ label, value, options, onChange }: {
  label: string;
  value: V;
  options: readonly { value: V; label: ReactNode }[];
  onChange: (value: V) => void;
}) {
  const name = useId();
  return (
    <fieldset className={css.row}>
      <legend className="visually-hidden">{label}</legend>
      <span className={css.grow} aria-hidden="true">{label}</span>
      <span className={css.choice}>
        {options.map((option) => (
          <label key={option.value}>
            <input type="radio" name={name} checked={option.value === value} onChange={() => onChange(option.value)} />
            <span>{option.label}</span>
          </label>
        ))}
      </span>
    </fieldset>
  );
}

function Toggle({ label, hint, checked, disabled, onChange, children }: {
  label: string;
  hint?: string | undefined;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
  children?: ReactNode;
}) {
  return (
    <div className={css.row}>
      <label className={css.toggle}>
        <span className={css.grow}>
          {label}
          {hint && <span className={css.soft}>{hint}</span>}
        </span>
        <input type="checkbox" role="switch" checked={checked} disabled={disabled} onChange={(event) => onChange(event.target.checked)} />
      </label>
      {children}
    </div>
  );
}

function Notifications() {
  const t = useT();
  const { sound, desktop } = usePreferences();
  const [permission, setPermission] = useState(notificationState);
  const toggleDesktop = async (on: boolean) => {
    const state = on && permission === 'default' ? await Notification.requestPermission() : permission;
    setPermission(state);
    setPreferences({ desktop: on && state === 'granted' });
  };
  const hint = permission === 'denied' ? t('settings.desktop.denied') : permission === 'unsupported' ? t('settings.desktop.unsupported') : undefined;
  return (
    <Section title={t('settings.notifications')} text={t('settings.notifications.text')}>
      <Toggle label={t('settings.sound')} checked={sound} onChange={(on) => setPreferences({ sound: on })}>
        <Button size="small" onClick={playSound}>{t('settings.sound.test')}</Button>
      </Toggle>
      <Toggle
        label={t('settings.desktop')}
        hint={hint}
        checked={desktop && permission === 'granted'}
        disabled={permission === 'denied' || permission === 'unsupported'}
        onChange={(on) => void toggleDesktop(on)}
      />
    </Section>
  );
}

function Sessions() {
  const t = useT();
  const desk = useDesk();
  const [sessions, setSessions] = useState<readonly SessionInfo[] | 'failed' | null>(null);
  useEffect(() => {
    desk.api.sessions().then((answer) => setSessions(answer.sessions), () => setSessions('failed'));
  }, [desk]);
  const end = async (id: string) => {
    await desk.api.endSession(id);
    setSessions((known) => (Array.isArray(known) ? known.filter((one: SessionInfo) => one.id !== id) : known));
  };
  return (
    <Section title={t('settings.sessions')} text={t('settings.sessions.text')}>
      {sessions === 'failed' && <p className={css.row}>{t('settings.sessions.error')}</p>}
      {sessions === null && <p className={css.row} aria-busy="true">…</p>}
      {Array.isArray(sessions) && sessions.map((one: SessionInfo) => <SessionRow key={one.id} session={one} onEnd={() => void end(one.id).catch(() => setSessions('failed'))} />)}
    </Section>
  );
}

function SessionRow({ session, onEnd }: { session: SessionInfo; onEnd: () => void }) {
  const { t, time } = useLanguage();
  const now = useNow();
  const device = describeDevice(session.user_agent) ?? t('contact.unknown');
  const Icon = isPhone(session.user_agent) ? Smartphone : Monitor;
  return (
    <div className={css.row}>
      <Icon size={18} aria-hidden="true" />
      <div className={css.grow}>
        <p>
          {device}
          {session.current && <span className={css.current}>{t('settings.sessions.current')}</span>}
        </p>
        <p className={css.soft}>
          {[session.ip, t('settings.sessions.seen', { time: time.since(session.last_seen_at, now) })].filter(Boolean).join(' · ')}
        </p>
      </div>
      {!session.current && (
        <Button size="small" look="danger" onClick={onEnd} aria-label={t('settings.sessions.endlabel', { device })}>{t('settings.sessions.end')}</Button>
      )}
    </div>
  );
}

function Shortcuts() {
  const t = useT();
  const names = Object.keys(SHORTCUTS) as ShortcutName[];
  return (
    <Section title={t('settings.shortcuts')} id="shortcuts">
      <dl className={css.shortcuts}>
        <div><dt>{t('command.palette')}</dt><dd><Keys keys={keysOf('palette')} /></dd></div>
        {names.map((name) => (
          <div key={name}><dt>{t(SHORTCUTS[name].label)}</dt><dd><Keys keys={keysOf(name)} /></dd></div>
        ))}
        <div><dt>{t('command.back')}</dt><dd><Keys keys={keysOf('escape')} /></dd></div>
      </dl>
    </Section>
  );
}
