import { CornerDownLeft, Search } from 'lucide-react';
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useT, type Key, type T } from '../../i18n';
import { contactName, rowLine } from '../../lib/say';
import { keysOf, type ShortcutName } from '../../lib/shortcuts';
import type { Entry, State } from '../../state/state';
import { sameItems } from '../../state/store';
import { Avatar } from '../../ui/Avatar';
import { Keys } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Modal } from '../../ui/Modal';
import { go } from '../../lib/route';
import css from './CommandBar.module.css';

export type CommandName = ShortcutName | 'release' | 'mine' | 'waiting' | 'all' | 'theme' | 'palette' | 'escape' | 'signout';

interface Command {
  name: CommandName;
  label: Key;
  keys?: ShortcutName;
}

const SEARCH_MS = 200;
const MOST_FOUND = 8;

function commandsFor(entry: Entry | undefined, me: string): Command[] {
  const here: Command[] = entry
    ? [
        { name: 'reply', label: 'command.reply', keys: 'reply' },
        { name: 'note', label: 'command.addnote', keys: 'note' },
        { name: 'resolve', label: entry.status === 'resolved' ? 'command.reopen' : 'command.resolve', keys: 'resolve' },
        ...(entry.status === 'resolved' ? [] : [{ name: 'snooze' as const, label: 'command.snooze' as const, keys: 'snooze' as const }]),
        ...(entry.assignee?.id === me
          ? [{ name: 'release' as const, label: 'command.release' as const }]
          : [{ name: 'take' as const, label: 'command.take' as const, keys: 'take' as const }]),
        { name: 'contact', label: 'command.contact', keys: 'contact' },
      ]
    : [];
  return [
    ...here,
    { name: 'next', label: 'command.next', keys: 'next' },
    { name: 'previous', label: 'command.previous', keys: 'previous' },
    { name: 'mine', label: 'command.mine' },
    { name: 'waiting', label: 'command.waiting' },
    { name: 'all', label: 'command.all' },
    { name: 'settings', label: 'command.settings', keys: 'settings' },
    { name: 'theme', label: 'command.theme' },
    { name: 'signout', label: 'command.signout' },
  ];
}

function matches(query: string, ...texts: (string | null | undefined)[]): boolean {
  const wanted = query.toLocaleLowerCase();
  return texts.some((text) => text?.toLocaleLowerCase().includes(wanted));
}

/** Known conversations that fit, the newest first, and what the server found. */
function findEntries(state: State, query: string, t: T): Entry[] {
  const found = new Set(state.lists.command?.ids ?? []);
  return Object.values(state.conversations)
    .filter((entry) => (query === '' ? true : found.has(entry.id) || matches(query, contactName(t, entry.contact), entry.contact.email)))
    .sort((a, b) => b.updated_at - a.updated_at)
    .slice(0, MOST_FOUND);
}

interface Props {
  open: string | null;
  commands: Record<CommandName, () => void>;
  onClose: () => void;
}

/** What the query finds, in the order in which it is shown: actions first until something was typed. */
function useChoices(open: string | null, q: string, commands: Record<CommandName, () => void>) {
  const t = useT();
  const me = useDeskState((state) => state.me.id);
  const entry = useDeskState((state) => (open ? state.conversations[open] : undefined));
  const entries = useDeskState((state) => findEntries(state, q, t), sameItems);
  const actions = useMemo(() => commandsFor(entry, me).filter((one) => !q || matches(q, t(one.label))), [entry, me, q, t]);
  const runs = [
    actions.map((one) => ({ key: one.name as string, run: commands[one.name] })),
    entries.map((one) => ({ key: one.id, run: () => go({ page: 'desk', conversation: one.id }) })),
  ];
  return { entries, actions, choices: (q ? runs.reverse() : runs).flat() };
}

export function CommandBar({ open, commands, onClose }: Props) {
  const t = useT();
  const [query, setQuery] = useState('');
  const [active, setActive] = useState(0);
  const q = query.trim();
  const { entries, actions, choices } = useChoices(open, q, commands);
  const activeKey = choices[active]?.key;
  useServerSearch(q);
  useEffect(() => setActive(0), [q]);

  const choose = (key: string | undefined) => {
    const choice = choices.find((one) => one.key === key);
    if (!choice) return;
    onClose();
    // The dialog first gives the focus back; what was chosen may then take it.
    setTimeout(choice.run, 0);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const step = event.key === 'ArrowDown' ? 1 : -1;
      setActive((now) => (now + step + choices.length) % Math.max(1, choices.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      choose(activeKey);
    }
  };
  const groups = [
    { title: t('command.actions'), items: actions.map((one) => <ActionOption key={one.name} command={one} active={activeKey === one.name} onChoose={choose} />) },
    { title: t('command.conversations'), items: entries.map((one) => <EntryOption key={one.id} entry={one} active={activeKey === one.id} onChoose={choose} />) },
  ];
  if (q) groups.reverse();

  return (
    <Modal label={t('command.label')} className={css.dialog} onClose={onClose}>
      <QueryField query={query} activeKey={activeKey} onChange={setQuery} onKeyDown={onKeyDown} />
      <div id="command-list" role="listbox" aria-label={t('command.label')} className={css.list}>
        {groups.filter((group) => group.items.length).map((group) => (
          <div key={group.title} role="group" aria-label={group.title}>
            <p className={css.title}>{group.title}</p>
            {group.items}
          </div>
        ))}
        {!choices.length && <p className={css.none}>{t('command.none', { query: q })}</p>}
      </div>
      <footer className={css.foot}>
        <span><Keys keys={['↑', '↓']} /> {t('command.move')}</span>
        <span><Keys keys={['↵']} /> {t('command.choose')}</span>
      </footer>
    </Modal>
  );
}

function QueryField({ query, activeKey, onChange, onKeyDown }: {
  query: string;
  activeKey: string | undefined;
  onChange: (query: string) => void;
  onKeyDown: (event: KeyboardEvent) => void;
}) {
  const t = useT();
  return (
    <div className={css.input}>
      <Search size={17} aria-hidden="true" />
      <input
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls="command-list"
        aria-activedescendant={activeKey ? `command-${activeKey}` : undefined}
        aria-label={t('command.label')}
        placeholder={t('command.hint')}
        value={query}
        maxLength={200}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <Keys keys={['Esc']} />
    </div>
  );
}

function useServerSearch(q: string): void {
  const desk = useDesk();
  useEffect(() => {
    const timer = setTimeout(() => void desk.lists.search(q, 'command'), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [desk, q]);
}

interface OptionProps {
  active: boolean;
  onChoose: (key: string) => void;
}

function useInSight(active: boolean) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (active) ref.current?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return ref;
}

function ActionOption({ command, active, onChoose }: OptionProps & { command: Command }) {
  const t = useT();
  const ref = useInSight(active);
  return (
    <button ref={ref} type="button" role="option" tabIndex={-1} id={`command-${command.name}`} aria-selected={active} className={css.option} onClick={() => onChoose(command.name)}>
      <span className={css.icon}><CornerDownLeft size={14} /></span>
      <span className={css.label}>{t(command.label)}</span>
      {command.keys && <Keys keys={keysOf(command.keys)} />}
    </button>
  );
}

function EntryOption({ entry, active, onChoose }: OptionProps & { entry: Entry }) {
  const t = useT();
  const ref = useInSight(active);
  const me = useDeskState((state) => state.me.id);
  return (
    <button ref={ref} type="button" role="option" tabIndex={-1} id={`command-${entry.id}`} aria-selected={active} className={css.option} onClick={() => onChoose(entry.id)}>
      <Avatar id={entry.contact.id} name={entry.contact.name ?? ''} size="small" />
      <span className={css.label}>{contactName(t, entry.contact)}</span>
      <span className={css.line}>{rowLine(t, entry.last_message, me)}</span>
    </button>
  );
}
