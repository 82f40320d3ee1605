import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { useT } from '../../i18n';
import { Button } from '../../ui/Button';
import { useDesk } from '../../ui/context';
import { Dialog, Field } from '../../ui/Dialog';
import css from './Settings.module.css';
import { useAsk } from './useAsk';

export const MIN_PASSWORD = 10;

/** The agent's own password: a row of the account, and the dialog that changes it. */
export function Password({ onChanged }: { onChanged: () => void }) {
  const t = useT();
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  const finish = () => {
    setOpen(false);
    setDone(true);
    onChanged();
  };
  return (
    <div className={css.row}>
      <KeyRound size={18} aria-hidden="true" />
      <div className={css.grow}>
        <p>{t('password.title')}</p>
        {done && <p className={css.soft} role="status">{t('password.done')}</p>}
      </div>
      <Button onClick={() => setOpen(true)}>{t('password.change')}</Button>
      {open && <PasswordDialog onClose={() => setOpen(false)} onDone={finish} />}
    </div>
  );
}

function PasswordDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const t = useT();
  const desk = useDesk();
  const email = desk.store.get().me.email;
  const { busy, problem, ask } = useAsk({ 403: 'password.wrong' });
  const submit = (form: FormData) => void ask(() => desk.api.changePassword(String(form.get('old')), String(form.get('new'))), onDone);
  return (
    <Dialog title={t('password.change')} text={t('password.text')} action={t('password.change')} problem={problem} busy={busy} onSubmit={submit} onClose={onClose}>
      {/* Tells a password manager whose password this is. */}
      <input className="visually-hidden" name="username" autoComplete="username" defaultValue={email} readOnly tabIndex={-1} aria-hidden="true" />
      <Field label={t('password.old')} name="old" type="password" autoComplete="current-password" required first />
      <Field label={t('password.new')} hint={t('password.hint')} name="new" type="password" autoComplete="new-password" minLength={MIN_PASSWORD} maxLength={1024} required />
    </Dialog>
  );
}
