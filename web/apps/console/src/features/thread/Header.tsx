import { ArrowLeft, ChevronDown, PanelRight, UserRound } from 'lucide-react';
import { useT } from '../../i18n';
import { contactName } from '../../lib/say';
import type { Status } from '../../model';
import { sameItems } from '../../state/store';
import type { Entry } from '../../state/state';
import { Avatar } from '../../ui/Avatar';
import { Button, IconButton } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Menu, MenuChoice } from '../../ui/Menu';
import { keysOf } from '../../lib/shortcuts';
import css from './Header.module.css';
import { StatusButton } from './StatusButton';

interface Props {
  entry: Entry;
  contactShown: boolean;
  onBack: () => void;
  onContact: () => void;
}

export function Header({ entry, contactShown, onBack, onContact }: Props) {
  const t = useT();
  const online = useDeskState((state) => state.presence[entry.contact.id]);
  const name = contactName(t, entry.contact);
  return (
    <header className={css.header}>
      <h1 className="visually-hidden">{t('thread.label', { name })}</h1>
      <IconButton className={css.back} label={t('thread.back')} onClick={onBack}>
        <ArrowLeft size={19} />
      </IconButton>
      <button type="button" className={css.who} onClick={onContact} title={t('thread.details')}>
        <Avatar id={entry.contact.id} name={entry.contact.name || entry.contact.email || ''} online={online} />
        <span className={css.names}>
          <span className={css.name} dir="auto">{name}</span>
          <span className={css.sub}>
            <StatusWord status={entry.status} />
            <span className={css.inbox}>{entry.inbox.name}</span>
          </span>
        </span>
      </button>
      <AssigneeMenu entry={entry} />
      <StatusButton entry={entry} />
      <IconButton className={css.contact} label={t('thread.details')} pressed={contactShown} onClick={onContact}>
        <PanelRight size={18} />
      </IconButton>
    </header>
  );
}

export function StatusWord({ status }: { status: Status }) {
  const t = useT();
  return <span className={css.status} data-status={status}>{t(`status.${status}`)}</span>;
}

function AssigneeMenu({ entry }: { entry: Entry }) {
  const t = useT();
  const desk = useDesk();
  const me = useDeskState((state) => state.me);
  const agents = useDeskState((state) => state.agents, sameItems);
  const others = agents.filter((agent) => agent.id !== me.id);
  const { assignee } = entry;
  const choose = (id: string) => void desk.assign(entry.id, [me, ...others].find((agent) => agent.id === id) ?? null);
  const faced = (one: { id: string; name: string }, label: string) => (
    <>
      <Avatar id={one.id} name={one.name} size="small" />
      {label}
    </>
  );
  return (
    <>
      {assignee === null && (
        <Button className={css.take} onClick={() => choose(me.id)} title={keysOf('take').join(' + ')}>
          {t('thread.assign.me')}
        </Button>
      )}
      <Menu
        onOpen={() => void desk.refreshAgents().catch(() => undefined)}
        trigger={
          <button type="button" className={css.assignee} aria-label={`${t('thread.assign')}: ${assignee?.name ?? t('thread.unassigned')}`} title={t('thread.assign')}>
            {assignee ? <Avatar id={assignee.id} name={assignee.name} size="small" /> : <span className={css.nobody}><UserRound size={14} /></span>}
            <span className={css.assigneeName}>{assignee?.name ?? t('thread.unassigned')}</span>
            <ChevronDown size={14} />
          </button>
        }
      >
        <MenuChoice
          label={t('thread.assign')}
          value={assignee?.id ?? ''}
          onChange={choose}
          options={[
            { value: '', label: t('thread.assign.none') },
            { value: me.id, label: faced(me, t('thread.you', { name: me.name })) },
            ...others.map((agent) => ({ value: agent.id, label: faced(agent, agent.name) })),
          ]}
        />
      </Menu>
    </>
  );
}
