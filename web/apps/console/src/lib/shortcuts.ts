import { useEffect, useRef } from 'react';
import type { Key } from '../i18n';

export const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Physical keys: on a Mac, Alt changes what a key types. */
export const SHORTCUTS = {
  next: { code: 'KeyJ', label: 'command.next' },
  previous: { code: 'KeyK', label: 'command.previous' },
  reply: { code: 'KeyL', label: 'command.reply' },
  note: { code: 'KeyP', label: 'command.addnote' },
  resolve: { code: 'KeyE', label: 'command.resolve' },
  snooze: { code: 'KeyM', label: 'command.snooze' },
  take: { code: 'KeyA', label: 'command.take' },
  contact: { code: 'KeyO', label: 'command.contact' },
  settings: { code: 'KeyS', label: 'command.settings' },
} as const satisfies Record<string, { code: string; label: Key }>;

export type ShortcutName = keyof typeof SHORTCUTS;
export type ShortcutHandlers = Partial<Record<ShortcutName | 'palette' | 'escape', () => void>>;

export function keysOf(name: ShortcutName | 'palette' | 'escape'): string[] {
  if (name === 'palette') return [isMac ? '⌘' : 'Ctrl', 'K'];
  if (name === 'escape') return ['Esc'];
  return [isMac ? '⌥' : 'Alt', SHORTCUTS[name].code.slice(3)];
}

function nameOf(event: KeyboardEvent): ShortcutName | 'palette' | 'escape' | null {
  if (event.isComposing) return null;
  if ((event.metaKey || event.ctrlKey) && !event.altKey && event.code === 'KeyK') return 'palette';
  if (event.key === 'Escape') return 'escape';
  if (!event.altKey || event.ctrlKey || event.metaKey) return null;
  const found = Object.entries(SHORTCUTS).find(([, shortcut]) => shortcut.code === event.code);
  return (found?.[0] as ShortcutName | undefined) ?? null;
}

/** Listens on the whole window; an open dialog keeps every key for itself, an open menu Escape. */
export function useShortcuts(handlers: ShortcutHandlers): void {
  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const name = nameOf(event);
      const handler = name && latest.current[name];
      if (!handler || event.defaultPrevented) return;
      if (document.querySelector('dialog[open]') || (name === 'escape' && document.querySelector('[role="menu"]'))) return;
      event.preventDefault();
      handler();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
