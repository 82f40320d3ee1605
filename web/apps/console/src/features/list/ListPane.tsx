import { ArrowUp, ListFilter, Search, X } from 'lucide-react';
import { useCallback, type ReactNode } from 'react';
import { useT, type T } from '../../i18n';
import { unreadMine, waitingCount } from '../../state/select';
import { PHONE, useMedia } from '../../lib/media';
import { VIEWS, type Sort, type StatusFilter } from '../../state/state';
import { Button, IconButton } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Menu, MenuChoice, MenuLine } from '../../ui/Menu';
import { FirstRun } from '../first/FirstRun';
import css from './List.module.css';
import { Row } from './Row';
import { Rows } from './Rows';
import { useCalmOrder } from './useCalmOrder';
import type { Listed } from './useListed';

const FILTERS: readonly StatusFilter[] = ['open', 'pending', 'snoozed', 'resolved', 'any'];
const SORTS: readonly Sort[] = ['activity', 'waiting'];

interface Props {
  listed: Listed;
  selected: string | null;
  onMove: (step: 1 | -1) => void;
}

export function ListPane({ listed, selected, onMove }: Props) {
  const t = useT();
  const desk = useDesk();
  const { view, filter, query } = listed;
  const order = useCalmOrder(listed.ids, `${view}:${filter}:${listed.sort}:${query}`);
  const onNearEnd = useCallback(() => {
    if (!query) void desk.lists.more(view, filter);
  }, [desk, view, filter, query]);
  const reachable = selected && order.ids.includes(selected) ? selected : order.ids[0];

  return (
    <section className={css.pane} aria-label={t('list.label')}>
      <Head listed={listed} />
      {order.held > 0 && (
        <button type="button" className={css.held} onClick={order.release}>
          <ArrowUp size={13} />
          {t('list.updates', { count: order.held })}
        </button>
      )}
      <Rows
        ids={order.ids}
        selected={selected}
        label={t(`view.${view}`)}
        onMove={onMove}
        onNearEnd={onNearEnd}
        pointer={order.pointer}
        footer={<Footer listed={listed} empty={order.ids.length === 0} />}
        row={(id) => <Row id={id} selected={id === selected} reachable={id === reachable} showAssignee={view === 'all' || query !== ''} />}
      />
    </section>
  );
}

function Head({ listed }: { listed: Listed }) {
  const t = useT();
  const { query, setQuery } = listed;
  return (
    <header className={css.head}>
      <div className={css.search}>
        <Search size={15} aria-hidden="true" />
        <input
          type="search"
          value={query}
          maxLength={200}
          aria-label={t('list.search')}
          placeholder={t('list.search')}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => event.key === 'Escape' && query && (event.preventDefault(), setQuery(''))}
        />
        {query && (
          <button type="button" aria-label={t('list.clear')} title={t('list.clear')} onClick={() => setQuery('')}>
            <X size={14} />
          </button>
        )}
      </div>
      <FilterMenu listed={listed} />
      <Tabs listed={listed} />
    </header>
  );
}

function FilterMenu({ listed }: { listed: Listed }) {
  const t = useT();
  const statusName = (value: StatusFilter) => t(`status.${value}`);
  return (
    <Menu
      trigger={
        <IconButton label={t('list.filter')} pressed={listed.filter !== 'open' || listed.sort !== 'activity'}>
          <ListFilter size={17} />
        </IconButton>
      }
    >
      <MenuChoice
        label={t('list.filter.status')}
        value={listed.filter}
        onChange={listed.setFilter}
        options={FILTERS.map((value) => ({ value, label: statusName(value) }))}
      />
      <MenuLine />
      <MenuChoice
        label={t('list.filter.sort')}
        value={listed.sort}
        onChange={listed.setSort}
        options={SORTS.map((value) => ({ value, label: t(`list.sort.${value}`) }))}
      />
    </Menu>
  );
}

function badge(count: number, more = false): string {
  if (count === 0) return '';
  return count > 99 ? '99+' : `${count}${more ? '+' : ''}`;
}

function Tabs({ listed }: { listed: Listed }) {
  const t = useT();
  const waiting = useDeskState(waitingCount, (a, b) => a.count === b.count && a.more === b.more);
  const counts = { mine: badge(useDeskState(unreadMine)), waiting: badge(waiting.count, waiting.more), all: '' };
  const onKey = (step: number) => {
    const next = VIEWS[(VIEWS.indexOf(listed.view) + step + VIEWS.length) % VIEWS.length];
    if (!next) return;
    listed.setView(next);
    document.getElementById(`view-${next}`)?.focus();
  };
  return (
    <div className={css.tabs} role="tablist" aria-label={t('list.label')}>
      {VIEWS.map((view) => (
        <button
          key={view}
          id={`view-${view}`}
          type="button"
          role="tab"
          aria-selected={view === listed.view && !listed.query}
          tabIndex={view === listed.view ? 0 : -1}
          onClick={() => listed.setView(view)}
          onKeyDown={(event) => (event.key === 'ArrowRight' ? onKey(1) : event.key === 'ArrowLeft' && onKey(-1))}
        >
          {t(`view.${view}`)}
          {counts[view] && <span className={css.count} data-view={view}>{counts[view]}</span>}
        </button>
      ))}
    </div>
  );
}

function Footer({ listed, empty }: { listed: Listed; empty: boolean }) {
  const t = useT();
  const untouched = useDeskState((state) => state.untouched === true);
  const phone = useMedia(PHONE);
  if (listed.phase === 'failed') {
    return (
      <Message title={t('list.error')}>
        <Button size="small" onClick={listed.retry}>{t('list.retry')}</Button>
      </Message>
    );
  }
  if (empty && listed.phase === 'loading') return <Skeleton label={t('list.loading')} />;
  if (listed.phase === 'loading') return <p className={css.more} role="status">{t('list.more')}</p>;
  if (!empty || listed.phase === 'idle') return null;
  if (untouched && phone) return <div className={css.first}><FirstRun heading /></div>;
  return emptyMessage(t, listed);
}

function emptyMessage(t: T, listed: Listed) {
  if (listed.query) return <Message title={t('list.empty.search.title')} text={t('list.empty.search.text', { query: listed.query })} />;
  const { view } = listed;
  return (
    <Message title={t(`list.empty.${view}.title`)} text={t(`list.empty.${view}.text`)}>
      {view === 'mine' && <Button size="small" onClick={() => listed.setView('waiting')}>{t('list.empty.mine.action')}</Button>}
    </Message>
  );
}

function Message({ title, text, children }: { title: string; text?: string; children?: ReactNode }) {
  return (
    <div className={css.message} role="status">
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

function Skeleton({ label }: { label: string }) {
  return (
    <div className={css.skeletons} role="status" aria-label={label}>
      {[62, 48, 70, 40, 56, 66].map((width) => (
        <div key={width} className={css.skeleton}>
          <span />
          <i style={{ width: `${width}%` }} />
          <i style={{ width: `${(width * 1.7) % 90}%` }} />
        </div>
      ))}
    </div>
  );
}
