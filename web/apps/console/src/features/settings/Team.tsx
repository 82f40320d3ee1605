import { Ban, CircleCheck, Ellipsis, KeyRound, ShieldCheck, UserPlus, UserRound } from 'lucide-react';
import { useCallback, useEffect, useState } from 'react';
import { useT } from '../../i18n';
import type { Member } from '../../model';
import { mayAdminister, mayReset } from '../../state/team';
import { Avatar } from '../../ui/Avatar';
import { Button, IconButton } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Menu, MenuItem } from '../../ui/Menu';
import { Section } from './Section';
import settings from './Settings.module.css';
import css from './Team.module.css';
import { AddAgent, ResetPassword } from './TeamDialogs';

type Open = { kind: 'add' } | { kind: 'reset'; member: Member } | null;

/** The agents, for those who may administer them. */
export function Team() {
  const t = useT();
  const desk = useDesk();
  const me = useDeskState((state) => state.me);
  const [members, setMembers] = useState<readonly Member[] | 'failed' | null>(null);
  const [open, setOpen] = useState<Open>(null);
  const load = useCallback(() => void desk.refreshAgents().then(setMembers, () => setMembers('failed')), [desk]);
  useEffect(load, [load]);
  const change = (member: Member, wanted: { disabled?: boolean; role?: 'agent' | 'admin' }) =>
    void desk.api.changeAgent(member.id, wanted).then(load, (error: unknown) => desk.complain(error));
  const dialog = { onChanged: load, onClose: () => setOpen(null) };
  if (!mayAdminister(me)) return null;
  return (
    <Section
      title={t('team.title')}
      text={t('team.text')}
      action={<Button size="small" onClick={() => setOpen({ kind: 'add' })}><UserPlus size={14} aria-hidden="true" />{t('team.add')}</Button>}
    >
      {members === 'failed' && (
        <div className={settings.row}>
          <p className={settings.grow}>{t('team.error')}</p>
          <Button size="small" onClick={load}>{t('list.retry')}</Button>
        </div>
      )}
      {members === null && <p className={settings.row} aria-busy="true">…</p>}
      {Array.isArray(members) && members.map((member: Member) => (
        <MemberRow key={member.id} member={member} onReset={() => setOpen({ kind: 'reset', member })} onChange={(wanted) => change(member, wanted)} />
      ))}
      {open?.kind === 'add' && <AddAgent {...dialog} />}
      {open?.kind === 'reset' && <ResetPassword member={open.member} {...dialog} />}
    </Section>
  );
}

interface RowProps {
  member: Member;
  onReset: () => void;
  onChange: (wanted: { disabled?: boolean; role?: 'agent' | 'admin' }) => void;
}

function MemberRow({ member, onReset, onChange }: RowProps) {
  const t = useT();
  const me = useDeskState((state) => state.me);
  const isMe = member.id === me.id;
  return (
    <div className={`${settings.row} ${css.member}`} data-member={member.id}>
      <span className={member.disabled ? css.off : undefined}><Avatar id={member.id} name={member.name} /></span>
      <div className={css.who}>
        <p className={css.name} dir="auto">{isMe ? t('thread.you', { name: member.name }) : member.name}</p>
        <p className={`${settings.soft} ${css.email}`} title={member.email}>{member.email}</p>
      </div>
      <div className={css.chips}>
        {member.disabled && <span className={css.chip} data-tone="off">{t('team.disabled')}</span>}
        <RoleChip role={member.role} />
      </div>
      {!isMe && member.role !== 'owner' && <MemberMenu member={member} onReset={onReset} onChange={onChange} />}
    </div>
  );
}

function RoleChip({ role }: { role: string }) {
  const t = useT();
  if (role !== 'owner' && role !== 'admin' && role !== 'agent') return null;
  return <span className={css.chip} data-tone={role === 'agent' ? undefined : 'accent'}>{t(`team.role.${role}`)}</span>;
}

function MemberMenu({ member, onReset, onChange }: RowProps) {
  const t = useT();
  const me = useDeskState((state) => state.me);
  const isAdmin = member.role === 'admin';
  return (
    <Menu trigger={<IconButton label={t('team.more', { name: member.name })}><Ellipsis size={18} /></IconButton>}>
      {mayReset(me, member) && <MenuItem onSelect={onReset}><KeyRound size={15} />{t('team.reset')}</MenuItem>}
      {me.role === 'owner' && (
        <MenuItem onSelect={() => onChange({ role: isAdmin ? 'agent' : 'admin' })}>
          {isAdmin ? <UserRound size={15} /> : <ShieldCheck size={15} />}
          {t(isAdmin ? 'team.demote' : 'team.promote')}
        </MenuItem>
      )}
      {member.disabled ? (
        <MenuItem onSelect={() => onChange({ disabled: false })}><CircleCheck size={15} />{t('team.enable')}</MenuItem>
      ) : (
        <MenuItem tone="danger" onSelect={() => onChange({ disabled: true })}><Ban size={15} />{t('team.disable')}</MenuItem>
      )}
    </Menu>
  );
}
