import { useSyncExternalStore } from 'react';

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

/** Moving from one conversation to the next replaces the entry: Back leads to where the thread was opened from. */
export function go(route: Route): void {
  const from = parseRoute(location.hash);
  const hash = routeHash(route);
  if (hash === location.hash) return;
  const sideways = from.page === 'desk' && route.page === 'desk' && from.conversation !== null && route.conversation !== null;
  if (sideways) history.replaceState(null, '', hash);
  else history.pushState(null, '', hash);
  dispatchEvent(new HashChangeEvent('hashchange'));
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
