import { lazy, Suspense, useEffect, useRef, useState, type MouseEvent } from 'react';
import { useT } from '../i18n';
import { toggleTheme } from '../lib/preferences';
import { DRAWER, PHONE, useMedia } from '../lib/media';
import { go, useRoute } from '../lib/route';
import { useShortcuts } from '../lib/shortcuts';
import { untilTomorrow } from '../lib/snooze';
import { unreadMine } from '../state/select';
import { useDesk, useDeskState } from '../ui/context';
import { Modal } from '../ui/Modal';
import { CommandBar, type CommandName } from './command/CommandBar';
import { ContactPane } from './contact/ContactPane';
import { Idle } from './first/Idle';
import { Banner, NoticeToast } from './Banner';
import { ListPane } from './list/ListPane';
import { useListed, type Listed } from './list/useListed';
import { Rail } from './rail/Rail';
import type { ComposerHandle } from './thread/Composer';
import { ThreadPane } from './thread/ThreadPane';
import css from './Workspace.module.css';

/** Loaded when first opened. */
const Settings = lazy(() => import('./settings/Settings').then((module) => ({ default: module.Settings })));

function useTitle(): void {
  const t = useT();
  const unread = useDeskState(unreadMine);
  useEffect(() => {
    const title = t('app.name');
    document.title = unread ? t('title.unread', { count: unread, title }) : title;
  }, [t, unread]);
}

/** The conversation below or above the open one; one that has left the list is taken to be where it was. */
function useNeighbour(ids: readonly string[], open: string | null): (step: 1 | -1) => string | undefined {
  const place = useRef(0);
  const index = open ? ids.indexOf(open) : -1;
  useEffect(() => {
    if (index >= 0) place.current = index;
  }, [index]);
  return (step) => {
    if (!open) return ids[0];
    if (index >= 0) return ids[index + step];
    return ids[Math.min(step === 1 ? place.current : place.current - 1, ids.length - 1)];
  };
}

interface Parts {
  listed: Listed;
  open: string | null;
  composer: React.RefObject<ComposerHandle | null>;
  toggleContact: () => void;
  showPalette: () => void;
  back: () => void;
}

/** Every action that a key or the command bar can start. */
function useCommands({ listed, open, composer, toggleContact, showPalette, back }: Parts): Record<CommandName, () => void> {
  const desk = useDesk();
  const entry = () => (open ? desk.store.get().conversations[open] : undefined);
  const neighbour = useNeighbour(listed.ids, open);
  const move = (step: 1 | -1) => {
    const id = neighbour(step);
    if (id) go({ page: 'desk', conversation: id });
  };
  const view = (name: Listed['view']) => () => {
    listed.setView(name);
    if (!open || matchMedia(PHONE).matches) go({ page: 'desk', conversation: null });
  };
  const take = () => {
    const { me } = desk.store.get();
    if (open) void desk.assign(open, { id: me.id, name: me.name });
  };
  return {
    next: () => move(1),
    previous: () => move(-1),
    reply: () => composer.current?.focus('reply'),
    note: () => composer.current?.focus('note'),
    resolve: () => open && void desk.setStatus(open, entry()?.status === 'resolved' ? 'open' : 'resolved'),
    snooze: () => open && entry()?.status !== 'resolved' && void desk.setStatus(open, 'snoozed', untilTomorrow(Date.now())),
    take,
    release: () => open && void desk.assign(open, null),
    contact: toggleContact,
    settings: () => go({ page: 'settings' }),
    mine: view('mine'),
    waiting: view('waiting'),
    all: view('all'),
    theme: toggleTheme,
    palette: showPalette,
    escape: back,
    signout: () => void desk.signOut(),
  };
}

/** Whoever takes a conversation from those who wait goes on with it among its own. */
function useFollow(listed: Listed, open: string | null): void {
  const mine = useDeskState((state) => open !== null && state.conversations[open]?.assignee?.id === state.me.id);
  const before = useRef({ open, mine });
  useEffect(() => {
    const taken = before.current.open === open && !before.current.mine && mine;
    before.current = { open, mine };
    if (taken && listed.view === 'waiting') listed.setView('mine');
  }, [open, mine, listed]);
}

export function Workspace() {
  const t = useT();
  const route = useRoute();
  const open = route.page === 'desk' ? route.conversation : null;
  const listed = useListed();
  const drawer = useMedia(DRAWER);
  const [aside, setAside] = useState(true);
  const [drawn, setDrawn] = useState(false);
  const [palette, setPalette] = useState(false);
  const composer = useRef<ComposerHandle>(null);
  const commands = useCommands({
    listed,
    open,
    composer,
    toggleContact: () => (drawer ? setDrawn((shown) => !shown) : setAside((shown) => !shown)),
    showPalette: () => setPalette(true),
    back: () => leaveStep(route.page, open),
  });
  useTitle();
  useFollow(listed, open);
  useShortcuts(commands);
  useEffect(() => setDrawn(false), [open, drawer]);
  const contactShown = drawer ? drawn : aside;

  return (
    <div className={css.app} data-page={route.page} data-open={open !== null || undefined} data-aside={(aside && !drawer && open !== null) || undefined}>
      {open && <SkipLink />}
      <Rail page={route.page} onPalette={commands.palette} />
      {route.page === 'settings' ? (
        <Suspense fallback={<main className={css.thread} aria-busy="true" />}>
          <Settings />
        </Suspense>
      ) : (
        <>
          <div className={css.list}>
            <ListPane listed={listed} selected={open} onMove={(step) => (step === 1 ? commands.next() : commands.previous())} />
          </div>
          <main className={css.thread}>
            {open ? <ThreadPane id={open} contactShown={contactShown} onBack={() => go({ page: 'desk', conversation: null })} onContact={commands.contact} composer={composer} /> : <Idle />}
          </main>
          {open && !drawer && aside && <div className={css.aside}><ContactPane id={open} /></div>}
          {open && drawer && drawn && (
            <Modal label={t('contact.title')} className={css.drawer} onClose={() => setDrawn(false)}>
              <ContactPane id={open} onClose={() => setDrawn(false)} />
            </Modal>
          )}
        </>
      )}
      <Banner onWaiting={commands.waiting} />
      {palette && <CommandBar open={open} commands={commands} onClose={() => setPalette(false)} />}
      <NoticeToast />
    </div>
  );
}

/** The first stop of the Tab key: past the list, into the open conversation. */
function SkipLink() {
  const t = useT();
  const skip = (event: MouseEvent) => {
    event.preventDefault();
    document.getElementById('thread')?.focus();
  };
  return <a className={css.skip} href="#thread" onClick={skip}>{t('app.skip')}</a>;
}

/** Escape: out of the text first, then out of the conversation (on a phone and in settings). */
function leaveStep(page: string, open: string | null): void {
  const focused = document.activeElement;
  if (focused instanceof HTMLTextAreaElement || focused instanceof HTMLInputElement) {
    focused.blur();
    if (open) document.querySelector<HTMLElement>(`[data-conversation="${open}"]`)?.focus();
    return;
  }
  if (page === 'settings' || matchMedia(PHONE).matches) go({ page: 'desk', conversation: null });
}
