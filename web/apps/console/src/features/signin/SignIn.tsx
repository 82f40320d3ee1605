import { Eye, EyeOff, Globe, TriangleAlert } from 'lucide-react';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useLanguage, type T } from '../../i18n';
import { ApiError, login } from '../../lib/api';
import { LOCALES, setPreferences } from '../../lib/preferences';
import type { Session } from '../../lib/session';
import { Button } from '../../ui/Button';
import { Logo } from '../../ui/Logo';
import css from './SignIn.module.css';

export type SignInReason = 'ended' | 'signedout' | 'disabled';

interface Props {
  reason: SignInReason | null;
  onSignIn: (session: Session, stay: boolean) => void;
}

type Problem = { kind: 'wrong' | 'unreachable' | 'away' | 'disabled' } | { kind: 'limited'; until: number } | { kind: 'failed'; reason: string };

const DEFAULT_WAIT_S = 30;

function problemOf(error: unknown): Problem {
  if (!(error instanceof ApiError)) return { kind: 'failed', reason: String(error) };
  if (error.status === 0) return { kind: 'unreachable' };
  if (error.status === 429) return { kind: 'limited', until: Date.now() + (error.retryAfter ?? DEFAULT_WAIT_S) * 1000 };
  if (error.status === 403) return { kind: 'disabled' };
  if ([400, 401, 404, 422].includes(error.status)) return { kind: 'wrong' };
  return error.status >= 500 ? { kind: 'away' } : { kind: 'failed', reason: error.message };
}

/** Whole seconds until `until`, counting down once a second. */
function useCountdown(until: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (until === null) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [until]);
  return until === null ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
}

function problemText(t: T, problem: Problem | null, reason: SignInReason | null, seconds: number): string | null {
  if (problem?.kind === 'limited') return seconds > 0 ? t('signin.limited', { count: seconds }) : null;
  if (problem?.kind === 'failed') return t('signin.failed', { reason: problem.reason });
  if (problem) return t(`signin.${problem.kind}`);
  return reason === null || reason === 'signedout' ? null : t(`signin.${reason}`);
}

function useSignIn(onSignIn: Props['onSignIn']) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (form: FormData, onWrong: () => void) => {
    setBusy(true);
    setProblem(null);
    try {
      onSignIn(await login(String(form.get('email')).trim(), String(form.get('password'))), form.get('stay') !== null);
    } catch (error) {
      const found = problemOf(error);
      setProblem(found);
      setBusy(false);
      if (found.kind === 'wrong') onWrong();
    }
  };
  return { busy, problem, submit };
}

export function SignIn({ reason, onSignIn }: Props) {
  const { t } = useLanguage();
  const { busy, problem, submit } = useSignIn(onSignIn);
  const password = useRef<HTMLInputElement>(null);
  const seconds = useCountdown(problem?.kind === 'limited' ? problem.until : null);
  const text = problemText(t, problem, reason, seconds);

  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void submit(new FormData(event.currentTarget), () => password.current?.select());
  };

  return (
    <main className={css.page}>
      <form className={css.card} onSubmit={onSubmit}>
        <div className={css.brand}>
          <Logo size={40} />
        </div>
        <h1 className={css.title}>{t('signin.title')}</h1>
        {reason === 'signedout' && !text && <p className={css.hint} role="status">{t('signin.signedout')}</p>}
        {text && (
          <p className={css.problem} role="alert">
            <TriangleAlert size={16} />
            {text}
          </p>
        )}
        <label className={css.field}>
          <span>{t('signin.email')}</span>
          <input name="email" type="email" autoComplete="username" inputMode="email" required autoFocus spellCheck={false} />
        </label>
        <PasswordField t={t} inputRef={password} />
        <label className={css.stay}>
          <input name="stay" type="checkbox" defaultChecked />
          {t('signin.stay')}
        </label>
        <Button look="primary" size="large" type="submit" disabled={busy || seconds > 0}>
          {t(busy ? 'signin.busy' : 'signin.submit')}
        </Button>
      </form>
      <LanguageSwitch />
    </main>
  );
}

function PasswordField({ t, inputRef }: { t: T; inputRef: React.RefObject<HTMLInputElement | null> }) {
  const [shown, setShown] = useState(false);
  const label = t(shown ? 'signin.hide' : 'signin.show');
  return (
    <div className={css.field}>
      <label htmlFor="password">{t('signin.password')}</label>
      <div className={css.password}>
        <input id="password" ref={inputRef} name="password" type={shown ? 'text' : 'password'} autoComplete="current-password" required />
        <button type="button" aria-label={label} title={label} onClick={() => setShown(!shown)}>
          {shown ? <EyeOff size={17} /> : <Eye size={17} />}
        </button>
      </div>
    </div>
  );
}

function LanguageSwitch() {
  const { locale } = useLanguage();
  const names = { 'zh-CN': '简体中文', en: 'English' };
  return (
    <div className={css.languages}>
      <Globe size={15} />
      {LOCALES.map((one) => (
        <button key={one} type="button" lang={one} aria-pressed={one === locale} onClick={() => setPreferences({ locale: one })}>
          {names[one]}
        </button>
      ))}
    </div>
  );
}
