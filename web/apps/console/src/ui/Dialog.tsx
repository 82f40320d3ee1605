import { TriangleAlert } from 'lucide-react';
import { useEffect, useRef, type FormEvent, type InputHTMLAttributes, type ReactNode } from 'react';
import { useT } from '../i18n';
import { Button } from './Button';
import css from './Dialog.module.css';
import { Modal } from './Modal';

interface Props {
  title: string;
  text?: ReactNode;
  /** What the main button says. */
  action: string;
  problem?: string | null;
  busy?: boolean;
  /** Nothing to take back: one button, and a click beside the dialog does not close it. */
  final?: boolean;
  onSubmit: (form: FormData) => void;
  onClose: () => void;
  children?: ReactNode;
}

/** A question or a short form in the middle of the page; the focus goes to what has `data-first`. */
export function Dialog({ title, text, action, problem = null, busy = false, final = false, onSubmit, onClose, children }: Props) {
  const t = useT();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector<HTMLElement>('[data-first]')?.focus(), []);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!busy) onSubmit(new FormData(event.currentTarget));
  };
  return (
    <Modal label={title} className={css.dialog} onClose={onClose} keep={final}>
      <form ref={form} className={css.content} onSubmit={submit}>
        <h2>{title}</h2>
        {text && <p className={css.text}>{text}</p>}
        {children}
        {problem && (
          <p className={css.problem} role="alert">
            <TriangleAlert size={16} />
            {problem}
          </p>
        )}
        <div className={css.foot}>
          {!final && <Button onClick={onClose}>{t('dialog.cancel')}</Button>}
          <Button look="primary" type="submit" disabled={busy}>{action}</Button>
        </div>
      </form>
    </Modal>
  );
}

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string;
  first?: boolean;
}

export function Field({ label, hint, first, ...input }: FieldProps) {
  return (
    <label className={css.field}>
      <span>{label}</span>
      <input data-first={first} {...input} />
      {hint && <span className={css.hint}>{hint}</span>}
    </label>
  );
}
