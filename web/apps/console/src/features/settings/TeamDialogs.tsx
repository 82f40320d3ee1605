import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import { useT } from '../../i18n';
import type { Member, Named } from '../../model';
import { Button } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Dialog, Field } from '../../ui/Dialog';
import { useCopy } from '../../ui/useCopy';
import css from './Team.module.css';
import { useAsk } from './useAsk';

interface Props {
  /** Something has changed on the server. */
  onChanged: () => void;
  onClose: () => void;
}

interface Made {
  agent: Named;
  password: string;
}

export function AddAgent({ onChanged, onClose }: Props) {
  const t = useT();
  const desk = useDesk();
  const { busy, problem, ask } = useAsk({ 409: 'team.taken' });
  const [made, setMade] = useState<Made | null>(null);
  const submit = (form: FormData) => {
    const role = form.get('role') === 'admin' ? 'admin' : 'agent';
    const draft = { name: String(form.get('name')).trim(), email: String(form.get('email')).trim(), role } as const;
    void ask(() => desk.api.addAgent(draft), (agent) => {
      setMade({ agent, password: agent.password });
      onChanged();
    });
  };
  if (made) return <ShownPassword made={made} onClose={onClose} />;
  return (
    <Dialog title={t('team.add')} text={t('team.add.text')} action={t('team.add')} problem={problem} busy={busy} onSubmit={submit} onClose={onClose}>
      <Field label={t('team.name')} name="name" autoComplete="off" maxLength={300} pattern=".*\S.*" required first />
      <Field label={t('signin.email')} name="email" type="email" autoComplete="off" maxLength={320} spellCheck={false} required />
      <Roles />
    </Dialog>
  );
}

/** Only an owner makes administrators. */
function Roles() {
  const t = useT();
  const isOwner = useDeskState((state) => state.me.role === 'owner');
  if (!isOwner) return null;
  return (
    <fieldset className={css.roles}>
      <legend>{t('team.role')}</legend>
      {(['agent', 'admin'] as const).map((role) => (
        <label key={role}>
          <input type="radio" name="role" value={role} defaultChecked={role === 'agent'} />
          <span><strong>{t(`team.role.${role}`)}</strong>{t(`team.may.${role}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function ResetPassword({ member, onChanged, onClose }: Props & { member: Member }) {
  const t = useT();
  const desk = useDesk();
  const { busy, problem, ask } = useAsk();
  const [made, setMade] = useState<Made | null>(null);
  const { name } = member;
  const submit = () =>
    void ask(() => desk.api.resetPassword(member.id), ({ password }) => {
      setMade({ agent: member, password });
      onChanged();
    });
  if (made) return <ShownPassword made={made} onClose={onClose} />;
  return <Dialog title={t('team.reset.title', { name })} text={t('team.reset.text', { name })} action={t('team.reset')} problem={problem} busy={busy} onSubmit={submit} onClose={onClose} />;
}

/** The only time that a random password can be read. */
function ShownPassword({ made, onClose }: { made: Made; onClose: () => void }) {
  const t = useT();
  const [copied, copy] = useCopy();
  const { name } = made.agent;
  return (
    <Dialog title={t('team.password.title', { name })} text={t('team.password.text', { name })} action={t('dialog.done')} final onSubmit={onClose} onClose={onClose}>
      <div className={css.secret}>
        <code dir="ltr" data-password>{made.password}</code>
        <Button data-first onClick={() => copy(made.password)}>
          {copied ? <Check size={14} /> : <Copy size={14} />}
          {t(copied ? 'contact.copied' : 'contact.copy')}
        </Button>
      </div>
    </Dialog>
  );
}
