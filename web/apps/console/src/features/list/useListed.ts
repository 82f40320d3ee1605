import { useCallback, useEffect, useRef, useState } from 'react';
import { viewIds } from '../../state/select';
import { listKey, type Listing, type Sort, type StatusFilter, type View } from '../../state/state';
import { sameItems } from '../../state/store';
import { useDesk, useDeskState } from '../../ui/context';

const TYPED_MS = 220;
const POLL_MS = 20_000;

/** Which conversations the list shows, and how to change that. */
export interface Listed {
  view: View;
  filter: StatusFilter;
  sort: Sort;
  query: string;
  ids: readonly string[];
  phase: Listing['phase'];
  setView: (view: View) => void;
  setFilter: (filter: StatusFilter) => void;
  setSort: (sort: Sort) => void;
  setQuery: (query: string) => void;
  retry: () => void;
}

/** Conversations of other agents are not told live: the list that shows them asks again from time to time. */
function useFreshness(view: View, filter: StatusFilter): void {
  const desk = useDesk();
  useEffect(() => {
    desk.lists.show(view, filter);
    const refresh = () => document.visibilityState === 'visible' && void desk.lists.refresh(view, filter);
    const timer = setInterval(() => view === 'all' && refresh(), POLL_MS);
    addEventListener('focus', refresh);
    return () => {
      clearInterval(timer);
      removeEventListener('focus', refresh);
    };
  }, [desk, view, filter]);
}

/** Somebody without conversations begins with those who wait. */
function useBeginning(): View | null {
  return useDeskState((state) => {
    if (state.lists[listKey('mine', 'open')]?.phase !== 'ready') return null;
    return viewIds(state, 'mine', 'open', 'activity').length ? 'mine' : 'waiting';
  });
}

export function useListed(): Listed {
  const desk = useDesk();
  const chosen = useRef(false);
  const [view, setViewOnly] = useState<View>('mine');
  const [filter, setFilter] = useState<StatusFilter>('open');
  const [sort, setSort] = useState<Sort>('activity');
  const [query, setQuery] = useState('');
  const q = query.trim();

  useFreshness(view, filter);
  useEffect(() => desk.lists.show('waiting', 'open'), [desk]);
  useEffect(() => {
    const timer = setTimeout(() => void desk.lists.search(q), q ? TYPED_MS : 0);
    return () => clearTimeout(timer);
  }, [desk, q]);

  const key = q ? 'search' : listKey(view, filter);
  const phase = useDeskState((state) => state.lists[key]?.phase ?? 'loading');
  const ids = useDeskState(
    (state) => (q ? (state.lists.search?.ids ?? []).filter((id) => state.conversations[id]) : viewIds(state, view, filter, sort)),
    sameItems,
  );
  const beginning = useBeginning();
  useEffect(() => {
    if (beginning === null || chosen.current) return;
    chosen.current = true;
    setViewOnly(beginning);
  }, [beginning]);
  const setView = useCallback((next: View) => {
    chosen.current = true;
    setViewOnly(next);
    setQuery('');
  }, []);
  const retry = () => void (q ? desk.lists.search(q) : desk.lists.refresh(view, filter));
  return { view, filter, sort, query, ids, phase, setView, setFilter, setSort, setQuery, retry };
}
