import { Keyboard, LogOut, MessagesSquare, Moon, Search, Settings, Sun } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import { useT } from '../../i18n';
import { isDark, onTheme, toggleTheme } from '../../lib/preferences';
import { keysOf } from '../../lib/shortcuts';
import { unreadMine } from '../../state/select';
import { Avatar } from '../../ui/Avatar';
import { IconButton } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Logo } from '../../ui/Logo';
import { Menu, MenuItem, MenuLine } from '../../ui/Menu';
import css from './Rail.module.css';

export function Rail({ page, onPalette }: { page: 'desk' | 'settings'; onPalette: () => void }) {
  const t = useT();
  const unread = useDeskState(unreadMine);
  const dark = useSyncExternalStore(onTheme, isDark);
  return (
    <nav className={css.rail} aria-label={t('rail.label')}>
      <span className={css.logo}><Logo /></span>
      <a href="#/" className={css.place} aria-current={page === 'desk' ? 'page' : undefined} aria-label={t('rail.conversations')} title={t('rail.conversations')}>
        <MessagesSquare size={20} />
        <span className={css.word}>{t('rail.conversations')}</span>
        {unread > 0 && <span className={css.badge} aria-label={t('row.unread', { count: unread })}>{unread > 99 ? '99+' : unread}</span>}
      </a>
      <button type="button" className={css.place} onClick={onPalette} aria-label={t('rail.search')} title={`${t('rail.search')} (${keysOf('palette').join(' + ')})`}>
        <Search size={20} />
        <span className={css.word}>{t('rail.search')}</span>
      </button>
      <span className={css.gap} />
      <IconButton className={css.theme} label={t('rail.theme')} onClick={toggleTheme}>
        {dark ? <Sun size={19} /> : <Moon size={19} />}
      </IconButton>
      <a href="#/settings" className={css.place} aria-current={page === 'settings' ? 'page' : undefined} aria-label={t('rail.settings')} title={t('rail.settings')}>
        <Settings size={20} />
        <span className={css.word}>{t('rail.settings')}</span>
      </a>
      <AccountMenu />
    </nav>
  );
}

function AccountMenu() {
  const t = useT();
  const desk = useDesk();
  const me = useDeskState((state) => state.me);
  const online = useDeskState((state) => state.link.state === 'online');
  return (
    <Menu
      side="right"
      align="end"
      trigger={
        <button type="button" className={css.account} aria-label={t('rail.account', { name: me.name })} title={me.name}>
          <Avatar id={me.id} name={me.name} online={online} />
        </button>
      }
    >
      <div className={css.card}>
        <p>{me.name}</p>
        <p>{me.email}</p>
      </div>
      <MenuLine />
      <MenuItem onSelect={() => (location.hash = '#/settings')}>
        <Settings size={15} />
        {t('account.settings')}
      </MenuItem>
      <MenuItem onSelect={() => (location.hash = '#/settings/shortcuts')}>
        <Keyboard size={15} />
        {t('account.shortcuts')}
      </MenuItem>
      <MenuLine />
      <MenuItem tone="danger" onSelect={() => void desk.signOut()}>
        <LogOut size={15} />
        {t('account.signout')}
      </MenuItem>
    </Menu>
  );
}
