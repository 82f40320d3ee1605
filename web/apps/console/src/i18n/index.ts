import { createTimeWriter, createTranslate, type Dictionary, type TimeWriter, type Translate } from '@unique-cs/design';
import { useSyncExternalStore } from 'react';
import { onPreferences, preferences, type Locale } from '../lib/preferences';
import { en, type Key } from './en';
import { zhCN } from './zh-CN';

export type { Key } from './en';
export type T = Translate<Key>;

export interface Language {
  locale: Locale;
  t: T;
  time: TimeWriter;
}

const DICTIONARIES: Record<Locale, Dictionary<Key>> = { 'zh-CN': zhCN, en };
const made = new Map<Locale, Language>();

export function language(locale: Locale = preferences().locale): Language {
  const known = made.get(locale);
  if (known) return known;
  const t = createTranslate<Key>(locale, DICTIONARIES[locale]);
  const fresh: Language = { locale, t, time: createTimeWriter(locale, { now: t('time.now') }) };
  made.set(locale, fresh);
  return fresh;
}

/** The chosen language; the component renders again when it changes. */
export function useLanguage(): Language {
  return language(useSyncExternalStore(onPreferences, () => preferences().locale));
}

export function useT(): T {
  return useLanguage().t;
}
