import { pickLocale } from '@unique-cs/design';

export const LOCALES = ['zh-CN', 'en'] as const;
export type Locale = (typeof LOCALES)[number];
export type Theme = 'system' | 'light' | 'dark';

export interface Preferences {
  theme: Theme;
  locale: Locale;
  sound: boolean;
  desktop: boolean;
}

const KEY = 'unique-cs:preferences';
const DARK = '(prefers-color-scheme: dark)';
const listeners = new Set<() => void>();
let current: Preferences = read();

function read(): Preferences {
  const defaults: Preferences = { theme: 'system', locale: pickLocale(navigator.languages, LOCALES, 'en'), sound: true, desktop: false };
  try {
    return { ...defaults, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Preferences>) };
  } catch {
    return defaults;
  }
}

export function preferences(): Preferences {
  return current;
}

export function onPreferences(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Changes and keeps settings of this browser; where storage is blocked they last until the page goes. */
export function setPreferences(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // The setting still holds for this page.
  }
  applyPreferences();
  for (const listener of listeners) listener();
}

export function applyPreferences(): void {
  const root = document.documentElement;
  root.lang = current.locale;
  if (current.theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = current.theme;
}

/** Calls the listener when `isDark` may have changed, also with the system's theme; returns what ends that. */
export function onTheme(listener: () => void): () => void {
  const system = matchMedia(DARK);
  const end = onPreferences(listener);
  system.addEventListener('change', listener);
  return () => {
    end();
    system.removeEventListener('change', listener);
  };
}

export function isDark(): boolean {
  if (current.theme !== 'system') return current.theme === 'dark';
  return matchMedia(DARK).matches;
}

export function toggleTheme(): void {
  setPreferences({ theme: isDark() ? 'light' : 'dark' });
}

addEventListener('storage', (event) => {
  if (event.key !== KEY) return;
  current = read();
  applyPreferences();
  for (const listener of listeners) listener();
});
