import { useSyncExternalStore, type MouseEvent } from 'react';

export type Route = { page: 'desk'; conversation: string | null } | { page: 'settings' };

/** Addresses live in the fragment, so that any server that serves one page serves them all. */
export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/');
  if (parts[0] === 'settings') return { page: 'settings' };
  return { page: 'desk', conversation: parts[0] === 'c' && /^\d+$/.test(parts[1] ?? '') ? (parts[1] ?? null) : null };
}

export function routeHash(route: Route): string {
  if (route.page === 'settings') return '#/settings';
  return route.conversation ? `#/c/${route.conversation}` : '#/';
}

function isThread(route: Route): boolean {
  return route.page === 'desk' && route.conversation !== null;
}

/**
 * Moving from one conversation to the next replaces the history entry, and leaving one that was opened from the list steps back to
 * the list: the browser's Back never walks through every conversation of the day.
 */
export function go(route: Route): void {
  const from = parseRoute(location.hash);
  const hash = routeHash(route);
  const opened = (history.state as { opened?: boolean } | null)?.opened === true;
  if (hash === location.hash) return;
  if (opened && isThread(from) && hash === routeHash({ page: 'desk', conversation: null })) return history.back();
  if (isThread(from) && isThread(route)) history.replaceState(history.state, '', hash);
  else history.pushState({ opened: isThread(route) && from.page === 'desk' }, '', hash);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

/** For links: a plain click stays in the page, any other is the browser's. */
export function goOnClick(route: Route): (event: MouseEvent) => void {
  return (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(route);
  };
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  addEventListener('popstate', listener);
  return () => {
    removeEventListener('hashchange', listener);
    removeEventListener('popstate', listener);
  };
}

let cached = { hash: '', route: parseRoute('') };

function currentRoute(): Route {
  if (cached.hash !== location.hash) cached = { hash: location.hash, route: parseRoute(location.hash) };
  return cached.route;
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, currentRoute);
}
